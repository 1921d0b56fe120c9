//! Small flatbuffers for tests: tables of fields, and models of these.

use super::super::schema::OPERATORS;

/// What a field of a table holds.
#[derive(Clone)]
pub(super) enum Field {
    /// A scalar, as little-endian bytes.
    Scalar(Vec<u8>),
    /// A vector of so many elements, as bytes.
    Vector(usize, Vec<u8>),
    Table(Fields),
    Tables(Vec<Fields>),
}

/// The fields of a table, by number.
pub(super) type Fields = Vec<(usize, Field)>;

pub(super) fn byte(n: u8) -> Field {
    Field::Scalar(vec![n])
}

pub(super) fn int(n: i32) -> Field {
    Field::Scalar(n.to_le_bytes().into())
}

pub(super) fn float(x: f32) -> Field {
    Field::Scalar(x.to_le_bytes().into())
}

pub(super) fn ints(list: &[i32]) -> Field {
    Field::Vector(list.len(), list.iter().flat_map(|n| n.to_le_bytes()).collect())
}

pub(super) fn bytes(list: &[u8]) -> Field {
    Field::Vector(list.len(), list.to_vec())
}

pub(super) fn text(text: &str) -> Field {
    bytes(text.as_bytes())
}

/// A file whose root is this table, with the mark of the format.
pub(super) fn file(root: &Fields) -> Vec<u8> {
    let mut out = vec![0; 8];
    out[4..8].copy_from_slice(b"TFL3");
    let at = table(root, &mut out);
    out[..4].copy_from_slice(&u32::try_from(at).unwrap().to_le_bytes());
    out
}

/// Writes a table and what its fields refer to behind it: where it lies.
fn table(fields: &Fields, out: &mut Vec<u8>) -> usize {
    let count = fields.iter().map(|(number, _)| number + 1).max().unwrap_or(0);
    let mut places = vec![0_u16; count];
    let mut size = 4;
    for (number, field) in fields {
        places[*number] = u16::try_from(size).unwrap();
        size += match field {
            Field::Scalar(bytes) => bytes.len(),
            _ => 4,
        };
    }
    let vtable = out.len();
    let length = 4 + 2 * count;
    out.extend(u16::try_from(length).unwrap().to_le_bytes());
    out.extend(u16::try_from(size).unwrap().to_le_bytes());
    out.extend(places.iter().flat_map(|place| place.to_le_bytes()));
    let at = out.len();
    out.extend(i32::try_from(at - vtable).unwrap().to_le_bytes());
    for (_, field) in fields {
        match field {
            Field::Scalar(bytes) => out.extend(bytes),
            _ => out.extend([0; 4]),
        }
    }
    for (number, field) in fields {
        let place = at + usize::from(places[*number]);
        let target = match field {
            Field::Scalar(_) => continue,
            Field::Vector(count, bytes) => vector(*count, bytes, out),
            Field::Table(fields) => table(fields, out),
            Field::Tables(tables) => {
                let start = vector(tables.len(), &vec![0; 4 * tables.len()], out);
                for (i, fields) in tables.iter().enumerate() {
                    let target = table(fields, out);
                    point(start + 4 + 4 * i, target, out);
                }
                start
            }
        };
        point(place, target, out);
    }
    at
}

fn vector(count: usize, bytes: &[u8], out: &mut Vec<u8>) -> usize {
    let at = out.len();
    out.extend(u32::try_from(count).unwrap().to_le_bytes());
    out.extend(bytes);
    at
}

fn point(place: usize, target: usize, out: &mut [u8]) {
    let offset = u32::try_from(target - place).unwrap();
    out[place..place + 4].copy_from_slice(&offset.to_le_bytes());
}

/// Types of elements by their number.
pub(super) const F32: u8 = 0;
pub(super) const I32: u8 = 2;
pub(super) const BOOL: u8 = 6;
pub(super) const I8: u8 = 9;
pub(super) const RESOURCE: u8 = 13;

/// A model that is put together.
#[derive(Default)]
pub(super) struct Net {
    graphs: Vec<Graph>,
    buffers: Vec<Vec<u8>>,
    codes: Vec<Fields>,
    pub(super) signatures: Vec<Fields>,
}

/// A subgraph that is put together.
#[derive(Clone, Default)]
struct Graph {
    tensors: Vec<Fields>,
    inputs: Vec<i32>,
    outputs: Vec<i32>,
    operators: Vec<Fields>,
}

impl Net {
    pub(super) fn new() -> Self {
        let buffers = vec![Vec::new()];
        Self { graphs: vec![Graph::default()], buffers, ..Self::default() }
    }

    /// Goes on with another subgraph: its number.
    pub(super) fn graph(&mut self) -> i32 {
        self.graphs.push(Graph::default());
        i32::try_from(self.graphs.len() - 1).unwrap()
    }

    fn last(&mut self) -> &mut Graph {
        self.graphs.last_mut().unwrap()
    }

    /// A tensor that an operator makes.
    pub(super) fn tensor(&mut self, name: &str, kind: u8, shape: &[i32]) -> i32 {
        self.tensor_with(name, kind, shape, Vec::new())
    }

    /// The same with more fields.
    pub(super) fn tensor_with(&mut self, name: &str, kind: u8, shape: &[i32], more: Fields) -> i32 {
        let own = vec![(0, ints(shape)), (1, byte(kind)), (3, text(name)), (8, byte(1))];
        let graph = self.last();
        graph.tensors.push(own.into_iter().chain(more).collect());
        i32::try_from(graph.tensors.len() - 1).unwrap()
    }

    /// Gives a tensor another field.
    pub(super) fn set_field(&mut self, tensor: i32, number: usize, field: Field) {
        self.last().tensors[usize::try_from(tensor).unwrap()].push((number, field));
    }

    pub(super) fn input(&mut self, name: &str, kind: u8, shape: &[i32]) -> i32 {
        let open = shape.iter().map(|n| if *n < 0 { 1 } else { *n }).collect::<Vec<_>>();
        let input = self.tensor_with(name, kind, &open, vec![(7, ints(shape))]);
        self.last().inputs.push(input);
        input
    }

    /// A stored tensor with these bytes.
    pub(super) fn stored(&mut self, name: &str, kind: u8, shape: &[i32], data: Vec<u8>) -> i32 {
        self.buffers.push(data);
        let buffer = i32::try_from(self.buffers.len() - 1).unwrap();
        self.tensor_with(name, kind, shape, vec![(2, int(buffer))])
    }

    /// A stored tensor of zeros.
    pub(super) fn weight(&mut self, name: &str, kind: u8, shape: &[i32]) -> i32 {
        let count: i32 = shape.iter().product();
        let width = if kind == I8 { 1 } else { 4 };
        self.stored(name, kind, shape, vec![0; usize::try_from(count).unwrap() * width])
    }

    /// A stored list of integers.
    pub(super) fn list(&mut self, name: &str, list: &[i32]) -> i32 {
        let shape = [i32::try_from(list.len()).unwrap()];
        self.stored(name, I32, &shape, list.iter().flat_map(|n| n.to_le_bytes()).collect())
    }

    /// A stored integer without axes.
    pub(super) fn number(&mut self, name: &str, n: i32) -> i32 {
        self.stored(name, I32, &[], n.to_le_bytes().into())
    }

    /// An operator of the runtime, with its options.
    pub(super) fn op(&mut self, name: &str, inputs: &[i32], outputs: &[i32], options: Fields) {
        let code = OPERATORS.iter().position(|n| *n == name).unwrap();
        let code = i32::try_from(code).unwrap();
        let early = u8::try_from(code.min(127)).unwrap();
        let code = self.code(vec![(0, byte(early)), (3, int(code))]);
        let fields = vec![
            (0, int(code)),
            (1, ints(inputs)),
            (2, ints(outputs)),
            (3, byte(1)),
            (4, Field::Table(options)),
        ];
        self.last().operators.push(fields);
    }

    /// An operator by a name of its own, with its options.
    pub(super) fn custom(&mut self, name: &str, inputs: &[i32], outputs: &[i32], options: &[u8]) {
        let code = self.code(vec![(0, byte(32)), (1, text(name)), (3, int(32))]);
        let ports = vec![(0, int(code)), (1, ints(inputs)), (2, ints(outputs))];
        self.last().operators.push(ports.into_iter().chain([(5, bytes(options))]).collect());
    }

    fn code(&mut self, code: Fields) -> i32 {
        self.codes.push(code);
        i32::try_from(self.codes.len() - 1).unwrap()
    }

    pub(super) fn outputs(&mut self, outputs: &[i32]) {
        self.last().outputs = outputs.to_vec();
    }

    pub(super) fn inputs(&mut self, inputs: &[i32]) {
        self.last().inputs = inputs.to_vec();
    }

    /// The bytes of the file.
    pub(super) fn file(&self) -> Vec<u8> {
        let graph = |g: &Graph| {
            vec![
                (0, Field::Tables(g.tensors.clone())),
                (1, ints(&g.inputs)),
                (2, ints(&g.outputs)),
                (3, Field::Tables(g.operators.clone())),
                (4, text("part")),
            ]
        };
        let buffer =
            |data: &Vec<u8>| if data.is_empty() { Fields::new() } else { vec![(0, bytes(data))] };
        file(&vec![
            (0, int(3)),
            (1, Field::Tables(self.codes.clone())),
            (2, Field::Tables(self.graphs.iter().map(graph).collect())),
            (3, text("written by hand")),
            (4, Field::Tables(self.buffers.iter().map(buffer).collect())),
            (7, Field::Tables(self.signatures.clone())),
        ])
    }
}
