//! The pickle machine: opcodes in, plain data out. It resolves no name and runs nothing: what a pickle asks to call
//! is kept as the name and the arguments.
//!
//! All parts lie in one vector and name each other by number, so that depth and sharing cost nothing.

use super::super::LoadError;
use super::super::error::malformed;
use std::collections::HashMap;

/// Parts and entries of lists that one pickle may make.
const MAX_PARTS: usize = 10_000_000;
/// Bytes of texts that one pickle may hold in all.
const MAX_TEXT: usize = 256 << 20;

/// A part of a pickle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Id(u32);

/// What a part is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    /// No value.
    None,
    /// Truth.
    Bool(bool),
    /// A whole number that fits.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text; also bytes, as far as they are text.
    Text(String),
    /// A whole number that does not fit, little endian.
    Long(Vec<u8>),
    /// A tuple.
    Tuple(Vec<Id>),
    /// A list, or a set.
    List(Vec<Id>),
    /// Keys and values.
    Dict(Vec<(Id, Id)>),
    /// `module name`, which nothing looks up.
    Global(String),
    /// What would be called, with its arguments and the state that is set on the result.
    Call {
        /// What would be called: a name, mostly.
        callee: Id,
        /// Its arguments, a tuple.
        arguments: Id,
        /// What the result is given.
        state: Option<Id>,
    },
    /// What lies outside the pickle, by its description.
    Outside(Id),
}

/// A pickle that has been read.
#[derive(Debug)]
pub(super) struct Pickle {
    parts: Vec<Part>,
    /// The whole.
    pub(super) root: Id,
    /// Bytes that it takes.
    pub(super) length: usize,
}

impl Pickle {
    /// The part with this number.
    pub(super) fn part(&self, id: Id) -> &Part {
        self.parts.get(index(id)).unwrap_or(&Part::None)
    }

    /// The name, where a part is one.
    pub(super) fn global(&self, id: Id) -> Option<&str> {
        match self.part(id) {
            Part::Global(name) => Some(name),
            _ => None,
        }
    }

    /// The members of a tuple or list.
    pub(super) fn members(&self, id: Id) -> &[Id] {
        match self.part(id) {
            Part::Tuple(members) | Part::List(members) => members,
            _ => &[],
        }
    }

    /// The whole number, where a part is one.
    pub(super) fn int(&self, id: Id) -> Option<i64> {
        match self.part(id) {
            Part::Int(number) => Some(*number),
            Part::Bool(truth) => Some(i64::from(*truth)),
            _ => None,
        }
    }

    /// The text, where a part is one.
    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.part(id) {
            Part::Text(text) => Some(text),
            _ => None,
        }
    }
}

fn index(id: Id) -> usize {
    usize::try_from(id.0).unwrap_or(usize::MAX)
}

fn broken(why: &str) -> LoadError {
    malformed(super::NAME, format!("a pickle in it cannot be read: {why}"))
}

/// What lies on the stack.
enum Slot {
    Mark,
    Part(Id),
}

struct Machine<'a> {
    rest: &'a [u8],
    parts: Vec<Part>,
    stack: Vec<Slot>,
    memo: HashMap<u64, Id>,
    /// Entries of tuples, lists and dictionaries.
    entries: usize,
    text: usize,
    /// The next number of `MEMOIZE`.
    next: u64,
}

/// Reads the pickle at the start of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Result<Pickle, LoadError> {
    let mut machine = Machine {
        rest: bytes,
        parts: Vec::new(),
        stack: Vec::new(),
        memo: HashMap::new(),
        entries: 0,
        text: 0,
        next: 0,
    };
    loop {
        let opcode = machine.byte()?;
        if opcode == b'.' {
            let root = machine.pop()?;
            let length = bytes.len() - machine.rest.len();
            return Ok(Pickle { parts: machine.parts, root, length });
        }
        machine.step(opcode)?;
    }
}

impl<'a> Machine<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], LoadError> {
        let (taken, rest) =
            self.rest.split_at_checked(count).ok_or_else(|| broken("it is cut short"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, LoadError> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    fn number(&mut self, width: usize) -> Result<u64, LoadError> {
        let bytes = self.take(width)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn sized(&mut self, width: usize) -> Result<&'a [u8], LoadError> {
        let length = self.number(width)?;
        self.take(usize::try_from(length).map_err(|_| broken("a length is too large"))?)
    }

    fn line(&mut self) -> Result<&'a [u8], LoadError> {
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let line = self.take(end.ok_or_else(|| broken("it is cut short"))?)?;
        self.take(1)?;
        Ok(line)
    }

    fn count(&mut self, entries: usize) -> Result<(), LoadError> {
        self.entries = self.entries.saturating_add(entries);
        if self.entries.max(self.parts.len()).max(self.stack.len()) > MAX_PARTS {
            return Err(broken("it has too many parts"));
        }
        Ok(())
    }

    fn push(&mut self, part: Part) -> Result<(), LoadError> {
        let id = self.make(part)?;
        self.stack.push(Slot::Part(id));
        Ok(())
    }

    fn make(&mut self, part: Part) -> Result<Id, LoadError> {
        self.count(0)?;
        let id = Id(u32::try_from(self.parts.len()).map_err(|_| broken("it has too many parts"))?);
        self.parts.push(part);
        Ok(id)
    }

    fn pop(&mut self) -> Result<Id, LoadError> {
        match self.stack.pop() {
            Some(Slot::Part(id)) => Ok(id),
            _ => Err(broken("an operation has no operand")),
        }
    }

    fn top(&self) -> Result<Id, LoadError> {
        match self.stack.last() {
            Some(Slot::Part(id)) => Ok(*id),
            _ => Err(broken("an operation has no operand")),
        }
    }

    /// What lies above the last mark, which goes.
    fn marked(&mut self) -> Result<Vec<Id>, LoadError> {
        let at = self.stack.iter().rposition(|slot| matches!(slot, Slot::Mark));
        let at = at.ok_or_else(|| broken("a mark is missing"))?;
        let above = self.stack.drain(at..).filter_map(|slot| match slot {
            Slot::Part(id) => Some(id),
            Slot::Mark => None,
        });
        let above: Vec<Id> = above.collect();
        self.count(above.len())?;
        Ok(above)
    }

    fn some(&mut self, count: usize) -> Result<Vec<Id>, LoadError> {
        let mut popped = Vec::with_capacity(count);
        for _ in 0..count {
            popped.push(self.pop()?);
        }
        popped.reverse();
        self.count(count)?;
        Ok(popped)
    }

    fn text_of(&mut self, bytes: &[u8]) -> Result<String, LoadError> {
        self.text = self.text.saturating_add(bytes.len());
        if self.text > MAX_TEXT {
            return Err(broken("its texts are too long"));
        }
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    fn part_mut(&mut self, id: Id) -> Result<&mut Part, LoadError> {
        self.parts.get_mut(index(id)).ok_or_else(|| broken("a part is missing"))
    }

    fn step(&mut self, opcode: u8) -> Result<(), LoadError> {
        match opcode {
            b'(' => {
                self.count(0)?;
                self.stack.push(Slot::Mark);
                Ok(())
            }
            b'0' => match self.stack.pop() {
                Some(_) => Ok(()),
                None => Err(broken("an operation has no operand")),
            },
            b'1' => self.marked().map(drop),
            b'2' => {
                let top = self.top()?;
                self.count(0)?;
                self.stack.push(Slot::Part(top));
                Ok(())
            }
            0x80 => self.take(1).map(drop),
            0x95 => self.take(8).map(drop),
            b'q' | b'r' | b'p' | 0x94 | b'h' | b'j' | b'g' => self.memory(opcode),
            b')'
            | b']'
            | b'}'
            | b't'
            | b'l'
            | b'd'
            | 0x85..=0x87
            | 0x8f..=0x91
            | b'a'
            | b'e'
            | b's'
            | b'u' => self.container(opcode),
            b'c' | 0x93 | 0x81 | 0x92 | b'R' | b'b' | b'Q' | b'P' | b'i' | b'o' => {
                self.named(opcode)
            }
            _ => self.atom(opcode),
        }
    }

    fn memory(&mut self, opcode: u8) -> Result<(), LoadError> {
        let decimal = |line: &[u8]| {
            let text = std::str::from_utf8(line).ok().and_then(|text| text.trim().parse().ok());
            text.ok_or_else(|| broken("a number is none"))
        };
        let key = match opcode {
            b'q' | b'h' => self.number(1)?,
            b'r' | b'j' => self.number(4)?,
            0x94 => {
                self.next += 1;
                self.next - 1
            }
            _ => decimal(self.line()?)?,
        };
        if matches!(opcode, b'h' | b'j' | b'g') {
            let known = self.memo.get(&key).copied();
            let known = known.ok_or_else(|| broken("it names a part that is not there"))?;
            self.count(0)?;
            self.stack.push(Slot::Part(known));
            return Ok(());
        }
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn container(&mut self, opcode: u8) -> Result<(), LoadError> {
        let part = match opcode {
            b')' => Part::Tuple(Vec::new()),
            b']' | 0x8f => Part::List(Vec::new()),
            b'}' => Part::Dict(Vec::new()),
            b't' => Part::Tuple(self.marked()?),
            b'l' | 0x91 => Part::List(self.marked()?),
            b'd' => Part::Dict(pairs(&self.marked()?)),
            0x85 => Part::Tuple(self.some(1)?),
            0x86 => Part::Tuple(self.some(2)?),
            0x87 => Part::Tuple(self.some(3)?),
            b'a' => {
                let member = self.some(1)?;
                return self.append(member);
            }
            b's' => {
                let entry = self.some(2)?;
                return self.insert(&entry);
            }
            b'u' => {
                let entries = self.marked()?;
                return self.insert(&entries);
            }
            _ => {
                let members = self.marked()?;
                return self.append(members);
            }
        };
        self.push(part)
    }

    fn append(&mut self, members: Vec<Id>) -> Result<(), LoadError> {
        let list = self.top()?;
        match self.part_mut(list)? {
            Part::List(list) => list.extend(members),
            // Appending to an object is a call of its own: what it holds is not looked at.
            Part::Call { .. } => {}
            _ => return Err(broken("it appends to what is no list")),
        }
        Ok(())
    }

    fn insert(&mut self, entries: &[Id]) -> Result<(), LoadError> {
        let entries = pairs(entries);
        let dict = self.top()?;
        match self.part_mut(dict)? {
            Part::Dict(known) => known.extend(entries),
            // An ordered dictionary, as `collections OrderedDict` makes.
            Part::Call { state: None, .. } => {
                let state = self.make(Part::Dict(entries))?;
                if let Part::Call { state: slot, .. } = self.part_mut(dict)? {
                    *slot = Some(state);
                }
            }
            Part::Call { state: Some(state), .. } => {
                let state = *state;
                if let Part::Dict(known) = self.part_mut(state)? {
                    known.extend(entries);
                }
            }
            _ => return Err(broken("it sets entries of what is no dictionary")),
        }
        Ok(())
    }

    fn named(&mut self, opcode: u8) -> Result<(), LoadError> {
        match opcode {
            b'c' => {
                let name = self.global()?;
                self.push(name)
            }
            0x93 => {
                let parts = self.some(2)?;
                let text = |id: Id| match self.parts.get(index(id)) {
                    Some(Part::Text(text)) => Ok(text.clone()),
                    _ => Err(broken("a name is no text")),
                };
                let (module, name) = (text(parts[0])?, text(parts[1])?);
                let name = self.text_of(format!("{module} {name}").as_bytes())?;
                self.push(Part::Global(name))
            }
            b'R' | 0x81 | 0x92 => {
                let parts = self.some(if opcode == 0x92 { 3 } else { 2 })?;
                self.push(Part::Call { callee: parts[0], arguments: parts[1], state: None })
            }
            b'i' => {
                let callee = self.global()?;
                let callee = self.make(callee)?;
                let arguments = self.marked()?;
                let arguments = self.make(Part::Tuple(arguments))?;
                self.push(Part::Call { callee, arguments, state: None })
            }
            b'o' => {
                let mut marked = self.marked()?;
                if marked.is_empty() {
                    return Err(broken("an operation has no operand"));
                }
                let callee = marked.remove(0);
                let arguments = self.make(Part::Tuple(marked))?;
                self.push(Part::Call { callee, arguments, state: None })
            }
            b'b' => {
                let given = self.pop()?;
                let object = self.top()?;
                if let Part::Call { state, .. } = self.part_mut(object)? {
                    // Entries that were set stay those of an ordered dictionary.
                    state.get_or_insert(given);
                }
                Ok(())
            }
            b'P' => {
                let line = self.line()?;
                let text = self.text_of(line)?;
                let id = self.make(Part::Text(text))?;
                self.push(Part::Outside(id))
            }
            _ => {
                let id = self.pop()?;
                self.push(Part::Outside(id))
            }
        }
    }

    fn global(&mut self) -> Result<Part, LoadError> {
        let (module, name) = (self.line()?, self.line()?);
        let (module, name) = (self.text_of(module)?, self.text_of(name)?);
        Ok(Part::Global(format!("{module} {name}")))
    }

    fn atom(&mut self, opcode: u8) -> Result<(), LoadError> {
        let part = match opcode {
            b'N' => Part::None,
            0x88 => Part::Bool(true),
            0x89 => Part::Bool(false),
            b'K' => Part::Int(self.number(1)?.cast_signed()),
            b'M' => Part::Int(self.number(2)?.cast_signed()),
            b'J' => {
                let number = u32::try_from(self.number(4)?).unwrap_or_default();
                Part::Int(number.cast_signed().into())
            }
            b'G' => {
                let bytes = self.take(8)?.try_into().unwrap_or_default();
                Part::Float(f64::from_be_bytes(bytes))
            }
            0x8a => long(self.sized(1)?),
            0x8b => long(self.sized(4)?),
            b'X' | b'T' | b'B' => self.text_part(4)?,
            b'U' | 0x8c | b'C' => self.text_part(1)?,
            0x8d | 0x8e | 0x96 => self.text_part(8)?,
            b'I' | b'L' | b'F' | b'S' | b'V' => self.written(opcode)?,
            _ => return Err(broken(&format!("it has the unknown operation {opcode:#04x}"))),
        };
        self.push(part)
    }

    fn text_part(&mut self, width: usize) -> Result<Part, LoadError> {
        let bytes = self.sized(width)?;
        Ok(Part::Text(self.text_of(bytes)?))
    }

    /// Numbers and texts of protocol 0.
    fn written(&mut self, opcode: u8) -> Result<Part, LoadError> {
        let line = self.line()?;
        let text = self.text_of(line)?;
        let none = || broken("a number is none");
        Ok(match (opcode, text.as_str()) {
            (b'I', "00") => Part::Bool(false),
            (b'I', "01") => Part::Bool(true),
            (b'I' | b'L', number) => {
                Part::Int(number.trim_end_matches('L').parse().map_err(|_| none())?)
            }
            (b'F', number) => Part::Float(number.parse().map_err(|_| none())?),
            (b'S', text) => Part::Text(text.trim_matches(['\'', '"']).to_owned()),
            (_, text) => Part::Text(text.to_owned()),
        })
    }
}

fn pairs(entries: &[Id]) -> Vec<(Id, Id)> {
    entries.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

/// A whole number of any width, in two's complement.
fn long(bytes: &[u8]) -> Part {
    if bytes.len() > 8 {
        return Part::Long(bytes.to_vec());
    }
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut wide = if negative { [0xff; 8] } else { [0; 8] };
    wide[..bytes.len()].copy_from_slice(bytes);
    Part::Int(i64::from_le_bytes(wide))
}
