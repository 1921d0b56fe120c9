//! Models as bytes: just enough protobuf to write small ones in tests. Field numbers are those of
//! onnx.proto3.

/// A message being written.
#[derive(Clone, Default)]
pub(crate) struct Message(pub(crate) Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    /// An integer field.
    pub(crate) fn int(mut self, field: u64, value: i64) -> Self {
        self.varint(field << 3);
        self.varint(u64::from_le_bytes(value.to_le_bytes()));
        self
    }

    /// The start of a field of this many bytes, which follow.
    pub(crate) fn open(mut self, field: u64, length: u64) -> Self {
        self.varint(field << 3 | 2);
        self.varint(length);
        self
    }

    /// A string, bytes or message field.
    pub(crate) fn bytes(mut self, field: u64, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    /// A message field.
    pub(crate) fn message(self, field: u64, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }
}

/// A node of the standard operator set.
pub(crate) fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> Message {
    let node = inputs.iter().fold(Message::default(), |m, name| m.bytes(1, name));
    let node = outputs.iter().fold(node, |m, name| m.bytes(2, name));
    node.bytes(3, format!("{op}_{}", outputs.join("_"))).bytes(4, op)
}

/// A node of onnxruntime's own operators.
pub(crate) fn microsoft(op: &str, inputs: &[&str], outputs: &[&str]) -> Message {
    node(op, inputs, outputs).bytes(7, "com.microsoft")
}

/// A float tensor as an input or output; a size is a number or a symbol.
pub(crate) fn value(name: &str, sizes: &[&str]) -> Message {
    typed(name, 1, sizes)
}

/// A tensor of this element type, by its number in onnx.proto3.
pub(crate) fn typed(name: &str, dtype: i64, sizes: &[&str]) -> Message {
    let dims = sizes.iter().fold(Message::default(), |shape, size| {
        let dim = match size.parse() {
            Ok(n) => Message::default().int(1, n),
            Err(_) => Message::default().bytes(2, size),
        };
        shape.message(1, &dim)
    });
    let tensor = Message::default().int(1, dtype).message(2, &dims);
    Message::default().bytes(1, name).message(2, &Message::default().message(1, &tensor))
}

/// A graph.
pub(crate) fn graph(nodes: &[Message], inputs: &[Message], outputs: &[Message]) -> Message {
    let graph = nodes.iter().fold(Message::default().bytes(2, "g"), |g, n| g.message(1, n));
    let graph = inputs.iter().fold(graph, |g, v| g.message(11, v));
    outputs.iter().fold(graph, |g, v| g.message(12, v))
}

/// A model file at opset 17.
pub(crate) fn model(nodes: &[Message], inputs: &[Message], outputs: &[Message]) -> Vec<u8> {
    let opset = |domain: &str, version| Message::default().bytes(1, domain).int(2, version);
    let file = Message::default().int(1, 8).message(7, &graph(nodes, inputs, outputs));
    file.message(8, &opset("", 17)).message(8, &opset("com.microsoft", 1)).0
}
