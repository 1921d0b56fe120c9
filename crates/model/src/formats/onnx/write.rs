//! ONNX files of a few nodes, for measurements: weights are declared and left out.

use super::messages::{
    AttributeProto, Dimension, GraphProto, ModelProto, NodeProto, OperatorSetId, Size, TensorProto,
    TensorShape, TensorType, TypeProto, ValueInfo,
};
use prost::Message;

const FLOAT: i32 = 1;
const INT64: i32 = 7;

/// A graph while it grows; all tensors are `f32`.
pub struct Sketch {
    graph: GraphProto,
}

fn value(name: &str, shape: Option<&[i64]>) -> ValueInfo {
    let axis = |n: &i64| Dimension { size: Some(Size::Value(*n)) };
    let shape = shape.map(|s| TensorShape { dim: s.iter().map(axis).collect() });
    let tensor = Some(TensorType { elem_type: FLOAT, shape });
    ValueInfo { name: name.into(), kind: Some(TypeProto { tensor, ..TypeProto::default() }) }
}

impl Sketch {
    /// A graph whose input `x` has this shape.
    pub fn new(shape: &[i64]) -> Self {
        let input = vec![value("x", Some(shape))];
        Self { graph: GraphProto { name: "sketch".into(), input, ..GraphProto::default() } }
    }

    /// Declares a weight, which lies in a file that does not exist; its name.
    pub fn weight(&mut self, dims: &[i64]) -> String {
        let name = format!("w{}", self.graph.initializer.len());
        let tensor = TensorProto {
            dims: dims.to_vec(),
            data_type: FLOAT,
            name: name.clone(),
            external_data: vec![super::messages::StringPair {
                key: "location".into(),
                value: "absent".into(),
            }],
            data_location: 1,
            ..TensorProto::default()
        };
        self.graph.initializer.push(tensor.encode_to_vec().into());
        name
    }

    /// A constant number.
    pub fn scalar(&mut self, value: f32) -> String {
        let data = value.to_le_bytes().to_vec();
        self.constant(&[], FLOAT, data)
    }

    /// A constant list of integers.
    pub fn integers(&mut self, values: &[i64]) -> String {
        let data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(&[values.len().try_into().unwrap_or(i64::MAX)], INT64, data)
    }

    fn constant(&mut self, dims: &[i64], data_type: i32, data: Vec<u8>) -> String {
        let name = format!("w{}", self.graph.initializer.len());
        let tensor = TensorProto {
            dims: dims.to_vec(),
            data_type,
            name: name.clone(),
            raw_data: data.into(),
            ..TensorProto::default()
        };
        self.graph.initializer.push(tensor.encode_to_vec().into());
        name
    }

    /// Adds a node with one output; the output's name.
    pub fn node(&mut self, op: &str, inputs: &[&str], ints: &[(&str, &[i64])]) -> String {
        let name = format!("v{}", self.graph.node.len());
        let attribute = |(name, values): &(&str, &[i64])| match values {
            // One number is an integer, except where lists of one are meant.
            [one] if *name != "axes" => AttributeProto {
                name: (*name).into(),
                i: *one,
                kind: 2,
                ..AttributeProto::default()
            },
            _ => AttributeProto {
                name: (*name).into(),
                ints: values.to_vec(),
                kind: 7,
                ..AttributeProto::default()
            },
        };
        let node = NodeProto {
            input: inputs.iter().map(|i| (*i).to_owned()).collect(),
            output: vec![name.clone()],
            name: name.clone(),
            op_type: op.into(),
            attribute: ints.iter().map(attribute).collect(),
            ..NodeProto::default()
        };
        self.graph.node.push(node.encode_to_vec().into());
        name
    }

    /// The file, with `output` as its result.
    pub fn finish(mut self, output: &str) -> Vec<u8> {
        self.graph.output.push(value(output, None));
        let opset = OperatorSetId { domain: String::new(), version: 17 };
        let model = ModelProto {
            ir_version: 8,
            producer_name: "rooflens".into(),
            graph: Some(self.graph),
            opset_import: vec![opset],
            ..ModelProto::default()
        };
        model.encode_to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_counted() {
        let mut sketch = Sketch::new(&[1, 8, 10, 10]);
        let weight = sketch.weight(&[16, 8, 3, 3]);
        let conv = sketch.node("Conv", &["x", &weight], &[("pads", &[1, 1, 1, 1])]);
        let output = sketch.node("Relu", &[&conv], &[]);
        let model = crate::formats::load_bytes(&sketch.finish(&output).into()).unwrap();
        let analysis = crate::analysis::analyze(&model, &crate::dim::Bindings::new());
        assert_eq!(analysis.totals.macs.to_string(), (16 * 8 * 9 * 100).to_string());
        assert!(analysis.coverage.is_full());
    }
}
