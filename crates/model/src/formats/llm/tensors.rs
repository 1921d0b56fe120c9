//! The tensors of a model's files by name, and an account of all of them: which the configuration asks for and
//! the files hold, which of both are alone, and which no run needs.

use crate::ir::{DType, Diagnostic, Severity, TensorAccount};
use std::collections::BTreeMap;
use std::ops::Bound;

/// How the numbers of a tensor are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Each by itself, in a type of ONNX.
    Plain(DType),
    /// In blocks or widths that ONNX has no type for, under this name.
    Packed(&'static str),
}

/// A tensor as the header of a file describes it.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    pub(super) kind: Kind,
    /// Sizes, outermost first.
    pub(super) shape: Vec<u64>,
    /// Of its data in the file.
    pub(super) bytes: u64,
}

impl Tensor {
    /// How many numbers it holds; none where that is beyond any number.
    pub(super) fn elements(&self) -> Option<u64> {
        self.shape.iter().try_fold(1_u64, |product, n| product.checked_mul(*n))
    }

    /// Whether it has this shape, axes of one aside, or as many numbers in other axes.
    fn fits(&self, shape: &[i64]) -> bool {
        let wanted =
            shape.iter().try_fold(1_u64, |n, size| n.checked_mul(u64::try_from(*size).ok()?));
        let long = |size: &&i64| **size != 1;
        let mut axes = self.shape.iter().filter(|size| **size != 1);
        let same =
            shape.iter().filter(long).all(|size| axes.next().copied() == u64::try_from(*size).ok());
        (same && axes.next().is_none())
            || (self.shape.len() != shape.len() && self.elements() == wanted)
    }
}

/// A tensor that a part of the model asked for.
pub(super) struct Taken {
    /// As the file has it.
    pub(super) name: String,
    pub(super) tensor: Tensor,
}

struct Entry {
    name: String,
    tensor: Tensor,
    used: bool,
}

/// The tensors of a model's files.
#[derive(Default)]
pub(super) struct Tensors {
    entries: BTreeMap<String, Entry>,
    account: TensorAccount,
    /// First examples of each kind of fault.
    missing: Vec<String>,
    mismatched: Vec<String>,
    unknown: Vec<String>,
    /// Names that are in files which are not there.
    absent: Vec<String>,
}

/// So many names a diagnostic shows.
const SHOWN: usize = 4;

/// Parts that wrap the tensors of a model; they are no part of their names here.
const WRAPPERS: &[&str] = &[
    "model.",
    "transformer.",
    "language_model.",
    "backbone.",
    "bert.",
    "roberta.",
    "electra.",
    "distilbert.",
    "new.",
    "thinker.",
    "base_model.",
    "deberta.",
    "mpnet.",
    "esm.",
];

/// A name without what wraps the model.
pub(super) fn plain(name: &str) -> &str {
    let mut name = name;
    while let Some(rest) = WRAPPERS.iter().find_map(|wrapper| name.strip_prefix(wrapper)) {
        name = rest;
    }
    name
}

impl Tensors {
    /// Those of all files.
    pub(super) fn of(list: Vec<(String, Tensor)>) -> Self {
        let mut tensors = Self::default();
        tensors.account.files = true;
        for (name, tensor) in list {
            tensors.account.stored.count(&tensor);
            let mut key = plain(&name).to_owned();
            if tensors.entries.contains_key(&key) {
                key.clone_from(&name);
            }
            tensors.entries.insert(key, Entry { name, tensor, used: false });
        }
        tensors
    }

    /// Notes tensors whose file is not there.
    pub(super) fn lack(&mut self, names: Vec<String>) {
        self.absent = names;
    }

    /// Whether there are files, and not a configuration alone.
    pub(super) fn files(&self) -> bool {
        self.account.files
    }

    /// The tensor of this name, whatever its shape.
    pub(super) fn find(&self, name: &str) -> Option<&Tensor> {
        self.entries.get(name).map(|entry| &entry.tensor)
    }

    /// Whether some name begins like this.
    pub(super) fn any(&self, start: &str) -> bool {
        let mut from = self.entries.range::<str, _>((Bound::Included(start), Bound::Unbounded));
        from.next().is_some_and(|(name, _)| name.starts_with(start))
    }

    /// What follows `start` in the names that begin with it.
    pub(super) fn ends(&self, start: &str) -> Vec<String> {
        let from = self.entries.range::<str, _>((Bound::Included(start), Bound::Unbounded));
        from.map_while(|(name, _)| name.strip_prefix(start)).map(str::to_owned).collect()
    }

    /// The type of most bytes among plain floats.
    pub(super) fn usual(&self) -> Option<DType> {
        let mut bytes: BTreeMap<DType, u64> = BTreeMap::new();
        for Entry { tensor, .. } in self.entries.values() {
            match tensor.kind {
                Kind::Plain(dtype) if dtype.is_float() && dtype.bits() >= 16 => {
                    let sum = bytes.entry(dtype).or_default();
                    *sum = sum.saturating_add(tensor.bytes);
                }
                _ => {}
            }
        }
        bytes.into_iter().max_by_key(|(_, sum)| *sum).map(|(dtype, _)| dtype)
    }

    /// Takes the tensor of this name, which should have this shape, as far as one is known.
    pub(super) fn take(&mut self, name: &str, shape: Option<&[i64]>) -> Option<Taken> {
        let entry = self.entries.get_mut(name)?;
        let first = !std::mem::replace(&mut entry.used, true);
        let taken = Taken { name: entry.name.clone(), tensor: entry.tensor.clone() };
        if first {
            match shape.filter(|shape| !taken.tensor.fits(shape)) {
                Some(shape) => {
                    self.account.mismatched.count(&taken.tensor);
                    let (name, stored) = (&taken.name, &taken.tensor.shape);
                    push(&mut self.mismatched, || {
                        format!("`{name}` is {stored:?}, and the configuration says {shape:?}")
                    });
                }
                None => self.account.matched.count(&taken.tensor),
            }
        }
        Some(taken)
    }

    /// Notes that a tensor which a run needs is in no file.
    pub(super) fn miss(&mut self, name: &str) {
        if self.account.files {
            self.account.missing += 1;
            push(&mut self.missing, || format!("`{name}`"));
        }
    }

    /// Notes that a packed tensor holds another number of numbers than the configuration says.
    pub(super) fn disagree(&mut self, what: impl FnOnce() -> String) {
        self.account.disagreements += 1;
        push(&mut self.mismatched, what);
    }

    /// Notes learned numbers of a part that is not run.
    pub(super) fn set_apart(&mut self, numbers: u64) {
        self.account.apart = self.account.apart.saturating_add(numbers);
    }

    /// Tensors that nothing asked for: a name, what is stored, and whether it is known that no run needs it.
    pub(super) fn left(&mut self, idle: &dyn Fn(&str) -> bool) -> Vec<(String, Tensor)> {
        let mut left = Vec::new();
        for (key, entry) in &mut self.entries {
            if std::mem::replace(&mut entry.used, true) {
                continue;
            }
            if idle(key) {
                self.account.idle.count(&entry.tensor);
            } else {
                self.account.unknown.count(&entry.tensor);
                push(&mut self.unknown, || format!("`{}`", entry.name));
            }
            left.push((entry.name.clone(), entry.tensor.clone()));
        }
        left
    }

    /// The account, and what is amiss.
    pub(super) fn close(self) -> (TensorAccount, Vec<Diagnostic>) {
        let mut notes = Vec::new();
        let a = &self.account;
        if !a.files {
            let message = "are those that the configuration asks for: not checked against tensors";
            let hint = "give the folder with its safetensors files, of which the headers suffice";
            notes.push(note(Severity::Assumption, message.to_owned(), Some(hint)));
        }
        let wrong = a.mismatched.tensors + a.disagreements;
        if wrong > 0 {
            let list = shown(&self.mismatched, wrong);
            let hint = Some("the configuration may be of another model");
            let message = format!("and configuration disagree: {list}");
            notes.push(note(Severity::Conflict, message, hint));
        }
        if !self.absent.is_empty() {
            let all = self.absent.len() as u64;
            let first = self.absent.iter().take(SHOWN);
            let list: Vec<String> = first.map(|name| format!("`{name}`")).collect();
            let message = format!("in shards that are not there: {}", shown(&list, all));
            let hint = "fetch the missing files; their sizes are taken from the configuration";
            notes.push(note(Severity::Incomplete, message, Some(hint)));
        } else if a.missing > 0 {
            let list = shown(&self.missing, a.missing);
            let message = format!("that a run needs are in no file: {list}");
            notes.push(note(Severity::Incomplete, message, None));
        }
        if a.unknown.tensors > 0 {
            let (n, bytes) = (a.unknown.elements, a.unknown.bytes);
            let list = shown(&self.unknown, a.unknown.tensors);
            let message =
                format!("that no part of the model takes, {n} elements in {bytes} bytes: {list}");
            notes.push(note(Severity::Incomplete, message, None));
        }
        if a.idle.tensors > 0 {
            let (n, count, bytes) = (a.idle.elements, a.idle.tensors, a.idle.bytes);
            let message =
                format!("that are stored and not run: {count}, {n} elements in {bytes} bytes");
            notes.push(note(Severity::Assumption, message, None));
        }
        (self.account, notes)
    }
}

fn note(severity: Severity, message: String, hint: Option<&str>) -> Diagnostic {
    Diagnostic { severity, place: "tensors".to_owned(), message, hint: hint.map(str::to_owned) }
}

/// The first of a list, and how many more there are.
fn shown(list: &[String], all: u64) -> String {
    match all.saturating_sub(list.len() as u64) {
        0 => list.join(", "),
        more => format!("{} and {more} more", list.join(", ")),
    }
}

fn push(list: &mut Vec<String>, text: impl FnOnce() -> String) {
    if list.len() < SHOWN {
        list.push(text());
    }
}

/// Adds a tensor to a tally.
trait Count {
    fn count(&mut self, tensor: &Tensor);
}

impl Count for crate::ir::Tally {
    fn count(&mut self, tensor: &Tensor) {
        self.tensors += 1;
        self.elements = self.elements.saturating_add(tensor.elements().unwrap_or(u64::MAX));
        self.bytes = self.bytes.saturating_add(tensor.bytes);
    }
}
