//! A graph that another format's reader made, written out as an ONNX file that runtimes load: weights are declared
//! and left out, and what has no counterpart in ONNX is put in its terms.

use super::messages::{
    AttributeProto, Dimension, GraphProto, ModelProto, NodeProto, OperatorSetId, Size, StringPair,
    TensorProto, TensorShape, TensorType, TypeProto, ValueInfo,
};
use crate::formats::contents;
use crate::ir::{
    Attr, Attrs, DType, Elem, Graph, Model, Node, OWN_DOMAIN, Order, TensorInfo, ValueId,
};
use prost::Message;

/// What keeps a model from being written as ONNX.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("node `{node}` has no counterpart in ONNX: {why}")]
pub struct Untranslated {
    /// The node.
    pub node: String,
    /// One clause.
    pub why: String,
}

/// The version of the format that is written.
const IR_VERSION: i64 = 11;

/// The ONNX file of `model`, of whose values `known` is known (indexed like them), with weights for
/// [`super::Unfilled`] to fill.
pub fn translate(model: &Model, known: &[TensorInfo]) -> Result<Vec<u8>, Untranslated> {
    let graph = graph(&model.graph, known)?;
    let opset = |domain: &str, version| OperatorSetId { domain: domain.to_owned(), version };
    let plain = model.opsets.get("").copied().unwrap_or(crate::formats::draft::OPSET);
    let file = ModelProto {
        ir_version: IR_VERSION,
        producer_name: "rooflens".into(),
        graph: Some(graph),
        opset_import: vec![opset("", plain), opset("com.microsoft", 1)],
        ..ModelProto::default()
    };
    Ok(file.encode_to_vec())
}

fn graph(graph: &Graph, known: &[TensorInfo]) -> Result<GraphProto, Untranslated> {
    let info = |id: ValueId| known.get(id.index()).unwrap_or(&graph.value(id).info);
    let declared = |id: &ValueId| value_info(&graph.value(*id).name, info(*id));
    let mut written = Written { graph, known, nodes: Vec::new(), tensors: Vec::new() };
    for id in graph.value_ids().filter(|id| graph.value(*id).weight.is_some()) {
        let value = graph.value(id);
        written.tensors.push(stored(&value.name, &value.info));
    }
    let order = match Order::of(graph) {
        Order::Sorted(order) | Order::Cycle(order) => order,
    };
    for id in order {
        written.node(graph.node(id))?;
    }
    // A name may be left out, and must not be there twice.
    let mut seen = std::collections::HashSet::new();
    for node in &mut written.nodes {
        if !seen.insert(node.name.clone()) {
            node.name.clear();
        }
    }
    Ok(GraphProto {
        node: written.nodes.iter().map(|n| n.encode_to_vec().into()).collect(),
        name: if graph.name.is_empty() { "graph".into() } else { graph.name.clone() },
        initializer: written.tensors.iter().map(|t| t.encode_to_vec().into()).collect(),
        input: graph.inputs.iter().map(declared).collect(),
        output: graph.outputs.iter().map(declared).collect(),
        ..GraphProto::default()
    })
}

fn value_info(name: &str, info: &TensorInfo) -> ValueInfo {
    let axis = |dim: &crate::dim::Dim| Dimension {
        size: Some(match dim.as_const().and_then(|n| i64::try_from(n).ok()) {
            Some(n) => Size::Value(n),
            None => Size::Param(dim.to_string()),
        }),
    };
    let shape =
        info.shape.as_ref().map(|shape| TensorShape { dim: shape.iter().map(axis).collect() });
    let kind = info.dtype.filter(|_| info.sequence.is_none()).map(|dtype| TypeProto {
        tensor: Some(TensorType { elem_type: dtype.onnx(), shape }),
        ..TypeProto::default()
    });
    ValueInfo { name: name.to_owned(), kind }
}

/// A stored tensor: with its contents where they are known, else declared to lie in another file.
fn stored(name: &str, info: &TensorInfo) -> TensorProto {
    let size = |dim: &crate::dim::Dim| dim.as_const().and_then(|n| i64::try_from(n).ok());
    let tensor = TensorProto {
        dims: info.shape.iter().flatten().map(|dim| size(dim).unwrap_or(i64::MAX)).collect(),
        data_type: info.dtype.map_or(1, DType::onnx),
        name: name.to_owned(),
        ..TensorProto::default()
    };
    match contents::packed(info) {
        Some(data) => TensorProto { raw_data: data.into(), ..tensor },
        None => TensorProto {
            external_data: vec![StringPair { key: "location".into(), value: "absent".into() }],
            data_location: 1,
            ..tensor
        },
    }
}

/// What is written of a graph so far.
struct Written<'a> {
    graph: &'a Graph,
    known: &'a [TensorInfo],
    nodes: Vec<NodeProto>,
    tensors: Vec<TensorProto>,
}

/// Operators whose images have channels last, and that have a counterpart with channels second.
const IMAGES: [&str; 13] = [
    "AveragePool",
    "Conv",
    "ConvTranspose",
    "DepthToSpace",
    "GlobalAveragePool",
    "GlobalLpPool",
    "GlobalMaxPool",
    "InstanceNormalization",
    "LRN",
    "LpPool",
    "MaxPool",
    "QLinearConv",
    "SpaceToDepth",
];

impl Written<'_> {
    fn node(&mut self, node: &Node) -> Result<(), Untranslated> {
        let refuse = |why: &str| Untranslated { node: node.name.clone(), why: why.to_owned() };
        let names = |ports: &[Option<ValueId>]| -> Vec<String> {
            let name = |id: &Option<ValueId>| id.map(|id| self.graph.value(id).name.clone());
            ports.iter().map(|port| name(port).unwrap_or_default()).collect()
        };
        let mut proto = NodeProto {
            input: names(&node.inputs),
            output: names(&node.outputs),
            name: node.name.clone(),
            op_type: node.op_type.to_string(),
            attribute: attributes(&node.attrs)?,
            domain: node.domain.to_string(),
            ..NodeProto::default()
        };
        let convolution = matches!(&*node.op_type, "Conv" | "ConvTranspose" | "QLinearConv");
        if convolution && node.attrs.int_or("group", 1) == Ok(0) {
            let groups = self.groups(node).ok_or_else(|| refuse("its channels are not known"))?;
            proto.attribute.retain(|a| a.name != "group");
            proto.attribute.push(integer("group", groups));
        }
        if node.attrs.flag("hybrid") == Ok(true) {
            self.as_floats(&mut proto);
        }
        match &*node.domain {
            "" | "com.microsoft" => {
                self.standard(node, proto);
                Ok(())
            }
            OWN_DOMAIN => {
                proto.domain = String::new();
                self.own(node, proto)
            }
            domain => Err(refuse(&format!("`{}` of {domain} is not known", node.op_type))),
        }
    }

    /// An operator of the standard, in a spelling that runtimes take.
    fn standard(&mut self, node: &Node, mut proto: NodeProto) {
        let recurrent = matches!(&*node.op_type, "LSTM" | "GRU" | "RNN");
        if recurrent && node.attrs.int_or("layout", 0) == Ok(1) {
            self.steps_first(proto);
            return;
        }
        let resize = &*node.op_type == "Resize";
        if let Some(scales) = resize.then(|| self.all_scales(node)).flatten() {
            let data = scales.iter().flat_map(|x| x.to_le_bytes()).collect();
            proto.input[2] = self.list(&proto.output[0], "scales", DType::F32, scales.len(), data);
            proto.attribute.retain(|a| a.name != "axes");
        }
        if &*node.op_type == "Pad" && proto.input.len() > 3 {
            if let Some(pads) = self.all_pads(node) {
                let data = pads.iter().flat_map(|n| n.to_le_bytes()).collect();
                proto.input[1] = self.list(&proto.output[0], "pads", DType::I64, pads.len(), data);
                proto.input.truncate(3);
            }
        }
        self.nodes.push(proto);
    }

    /// A stored list of numbers that belongs to an output; its name.
    fn list(&mut self, of: &str, what: &str, dtype: DType, count: usize, data: Vec<u8>) -> String {
        let name = format!("{of}/{what}");
        self.tensors.push(TensorProto {
            dims: vec![i64::try_from(count).unwrap_or(i64::MAX)],
            data_type: dtype.onnx(),
            name: name.clone(),
            raw_data: data.into(),
            ..TensorProto::default()
        });
        name
    }

    /// The padding of every axis, where a node pads some of them.
    fn all_pads(&self, node: &Node) -> Option<Vec<i64>> {
        let rank = self.info(node.inputs.first())?.rank()?;
        let pads = self.info(node.inputs.get(1))?.const_ints()?;
        let axes = self.info(node.inputs.get(3))?.const_ints()?;
        let mut all = vec![0; 2 * rank];
        for (i, axis) in axes.iter().enumerate() {
            let axis = if *axis < 0 { axis + i64::try_from(rank).ok()? } else { *axis };
            let axis = usize::try_from(axis).ok().filter(|a| *a < rank)?;
            all[axis] = *pads.get(i)?;
            all[rank + axis] = *pads.get(axes.len() + i)?;
        }
        Some(all)
    }

    /// The factor of every axis, where a node scales some of them.
    fn all_scales(&self, node: &Node) -> Option<Vec<f32>> {
        let axes = node.attrs.ints("axes").ok()??;
        let rank = self.info(node.inputs.first())?.rank()?;
        let scales = self.info(node.inputs.get(2))?.value.clone()?;
        let mut all = vec![1.0_f32; rank];
        for (axis, scale) in axes.iter().zip(scales.iter()) {
            let axis = if *axis < 0 { axis + i64::try_from(rank).ok()? } else { *axis };
            // ONNX has scales as `f32`.
            #[allow(clippy::cast_possible_truncation)]
            let scale = scale.as_f64()? as f32;
            *all.get_mut(usize::try_from(axis).ok()?)? = scale;
        }
        Some(all)
    }

    /// A recurrence with the batch first, between transpositions: no runtime has it.
    fn steps_first(&mut self, mut proto: NodeProto) {
        proto.attribute.retain(|a| a.name != "layout");
        let states = [(0, [1, 0, 2]), (5, [1, 0, 2]), (6, [1, 0, 2])];
        for (port, axes) in states {
            let Some(name) = proto.input.get(port).filter(|name| !name.is_empty()).cloned() else {
                continue;
            };
            let turned = format!("{}/turned_{port}", proto.name);
            self.nodes.push(transpose(&name, &turned, &axes));
            proto.input[port] = turned;
        }
        let mut after = Vec::new();
        for (port, output) in proto.output.iter_mut().enumerate().filter(|(_, o)| !o.is_empty()) {
            let made = format!("{output}/steps_first");
            let axes: &[i64] = if port == 0 { &[2, 0, 1, 3] } else { &[1, 0, 2] };
            after.push(transpose(&made, output, axes));
            *output = made;
        }
        self.nodes.push(proto);
        self.nodes.extend(after);
    }

    /// A product of floats by integers, its weights as floats.
    fn as_floats(&mut self, proto: &mut NodeProto) {
        proto.attribute.retain(|a| a.name != "hybrid");
        let Some(weights) = proto.input.get_mut(1) else { return };
        let floats = format!("{}/floats", proto.name);
        let cast = NodeProto {
            input: vec![std::mem::replace(weights, floats.clone())],
            output: vec![floats.clone()],
            name: floats,
            op_type: "Cast".into(),
            attribute: vec![integer("to", DType::F32.onnx().into())],
            ..NodeProto::default()
        };
        self.nodes.push(cast);
    }

    fn info(&self, port: Option<&Option<ValueId>>) -> Option<&TensorInfo> {
        let id = port.copied().flatten()?;
        Some(self.known.get(id.index()).unwrap_or(&self.graph.value(id).info))
    }

    /// How many groups the channels of an image make: as many as it has of a filter's.
    fn groups(&self, node: &Node) -> Option<i64> {
        let (x, w) = (self.info(node.inputs.first())?, self.info(node.inputs.get(1))?);
        let (x, w) = (x.shape.as_ref()?, w.shape.as_ref()?);
        let channels = if &*node.domain == OWN_DOMAIN { x.last()? } else { x.get(1)? };
        let (channels, each) = (channels.as_const()?, w.get(1)?.as_const()?);
        i64::try_from(channels.checked_div(each)?).ok()
    }

    /// An operator of this tool's own domain.
    fn own(&mut self, node: &Node, mut proto: NodeProto) -> Result<(), Untranslated> {
        let refuse = |why: &str| Untranslated { node: node.name.clone(), why: why.to_owned() };
        let op = &*node.op_type;
        let rank = self.info(node.inputs.first()).and_then(TensorInfo::rank);
        if op == "Resize" {
            // The standard's own counts any axes.
            self.standard(node, proto);
            return Ok(());
        }
        if op == "FusedActivation" {
            return self.activation(node, proto);
        }
        let along = node.attrs.int_or("axis", -1).unwrap_or(-1);
        if op == "BatchNormalization" {
            self.plain_norm(node, &mut proto)?;
            if along == 1 || rank == Some(2) {
                self.nodes.push(proto);
                return Ok(());
            }
        } else if !IMAGES.contains(&op) {
            return Err(refuse(&format!("`{op}` is this tool's own")));
        }
        let rank = rank.filter(|r| *r >= 3).ok_or_else(|| refuse("its rank is not known"))?;
        if op == "ConvTranspose" && proto.input.len() > 3 {
            let given = self.info(node.inputs.get(3)).and_then(TensorInfo::const_ints);
            let given = given.ok_or_else(|| refuse("the shape of its output is data"))?;
            let spatial = if given.len() == rank { &given[1..rank - 1] } else { &given[..] };
            proto.attribute.push(integers("output_shape", spatial));
            proto.input.truncate(3);
        }
        let last = i64::try_from(rank).unwrap_or(i64::MAX) - 1;
        let second: Vec<i64> = [0, last].into_iter().chain(1..last).collect();
        let back: Vec<i64> = std::iter::once(0).chain(2..=last).chain([1]).collect();
        let (input, output) = (proto.input[0].clone(), proto.output[0].clone());
        let (turned, made) = (format!("{output}/channels_second"), format!("{output}/made"));
        self.turned(proto, [&input, &output, &turned, &made], &second, &back);
        Ok(())
    }

    /// A node between two transpositions.
    fn turned(
        &mut self,
        mut proto: NodeProto,
        [input, output, turned, made]: [&str; 4],
        second: &[i64],
        back: &[i64],
    ) {
        self.nodes.push(transpose(input, turned, second));
        turned.clone_into(&mut proto.input[0]);
        made.clone_into(&mut proto.output[0]);
        self.nodes.push(proto);
        self.nodes.push(transpose(made, output, back));
    }

    /// Puts scale and shift where a normalisation has none, and leaves out what the standard's own has not.
    fn plain_norm(&mut self, node: &Node, proto: &mut NodeProto) -> Result<(), Untranslated> {
        proto.attribute.retain(|a| a.name != "axis");
        proto.input.truncate(5);
        let shape = self.info(node.inputs.get(3)).and_then(|info| info.shape.clone());
        for (port, number) in [(1, 1.0), (2, 0.0)] {
            if proto.input.get(port).is_none_or(|name| !name.is_empty()) {
                continue;
            }
            let count = match shape.as_deref() {
                Some([size]) => size.as_usize().filter(|n| *n <= MOST_CHANNELS),
                _ => None,
            };
            let Some(count) = count else {
                let why = "its channels are not known".to_owned();
                return Err(Untranslated { node: node.name.clone(), why });
            };

            let data: Vec<u8> =
                std::iter::repeat_n(f32::to_le_bytes(number), count).flatten().collect();
            let what = format!("constant_{port}");
            proto.input[port] = self.list(&node.name, &what, DType::F32, count, data);
        }
        Ok(())
    }
}

/// No image has more.
const MOST_CHANNELS: usize = 1 << 20;

impl Written<'_> {
    /// An activation within another kernel, as an operator of its own.
    fn activation(&mut self, node: &Node, mut proto: NodeProto) -> Result<(), Untranslated> {
        let refuse = || Untranslated { node: node.name.clone(), why: "names no activation".into() };
        let name = node.attrs.str("activation").ok().flatten().ok_or_else(refuse)?;
        name.clone_into(&mut proto.op_type);
        proto.attribute.clear();
        let dtype = self.info(node.inputs.first()).and_then(|info| info.dtype);
        for limit in ["low", "high"] {
            let Some(number) = node.attrs.float(limit).ok().flatten() else { continue };
            let number = Elem::Float(number.into());
            let info = TensorInfo::new(dtype, Vec::new()).with_value(vec![number]);
            let name = format!("{}/{limit}", proto.output[0]);
            self.tensors.push(stored(&name, &info));
            proto.input.push(name);
        }
        self.nodes.push(proto);
        Ok(())
    }
}

fn transpose(input: &str, output: &str, axes: &[i64]) -> NodeProto {
    NodeProto {
        input: vec![input.to_owned()],
        output: vec![output.to_owned()],
        name: format!("{output}/transpose"),
        op_type: "Transpose".into(),
        attribute: vec![integers("perm", axes)],
        ..NodeProto::default()
    }
}

fn integer(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.to_owned(), i, kind: 2, ..AttributeProto::default() }
}

fn integers(name: &str, ints: &[i64]) -> AttributeProto {
    let ints = ints.to_vec();
    AttributeProto { name: name.to_owned(), ints, kind: 7, ..AttributeProto::default() }
}

fn attributes(attrs: &Attrs) -> Result<Vec<AttributeProto>, Untranslated> {
    attrs.iter().map(|(name, attr)| attribute(name, attr)).collect()
}

fn attribute(name: &str, attr: &Attr) -> Result<AttributeProto, Untranslated> {
    let proto = AttributeProto { name: name.to_owned(), ..AttributeProto::default() };
    let text = |text: &String| text.clone().into_bytes().into();
    Ok(match attr {
        Attr::Float(f) => AttributeProto { f: *f, kind: 1, ..proto },
        Attr::Int(i) => AttributeProto { i: *i, kind: 2, ..proto },
        Attr::Str(s) => AttributeProto { s: text(s), kind: 3, ..proto },
        Attr::Tensor(info) => AttributeProto { t: Some(stored("", info)), kind: 4, ..proto },
        Attr::Graph(body) => {
            let body = Box::new(graph(body, &[])?);
            AttributeProto { g: Some(body), kind: 5, ..proto }
        }
        Attr::Floats(floats) => AttributeProto { floats: floats.clone(), kind: 6, ..proto },
        Attr::Ints(ints) => AttributeProto { ints: ints.clone(), kind: 7, ..proto },
        Attr::Strs(strs) => {
            AttributeProto { strings: strs.iter().map(text).collect(), kind: 8, ..proto }
        }
        Attr::Other => {
            let why = format!("its attribute `{name}` was not kept");
            return Err(Untranslated { node: name.to_owned(), why });
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::analyze;
    use crate::dim::{Bindings, Dim};
    use crate::formats::draft::{Draft, Op};
    use crate::formats::limits::Limits;
    use crate::ir::Weight;

    fn image(sizes: &[u32]) -> TensorInfo {
        let shape: Vec<Dim> = sizes.iter().map(|n| Dim::from(*n)).collect();
        TensorInfo::new(Some(DType::F32), shape)
    }

    /// A separable convolution with channels last, and a product.
    fn model() -> Model {
        let mut limits = Limits::of(0);
        let mut draft = Draft::new("net", &mut limits);
        let mut batch = image(&[1, 9, 9, 4]);
        batch.shape.as_mut().unwrap()[0] = Dim::symbol("batch");
        let x = draft.input("x", batch).unwrap();
        let info = image(&[4, 1, 3, 3]);
        let w = draft.stored("w", info.clone(), Weight::of(&info)).unwrap();
        let each = Op::own("Conv").with("group", 0_i64).with("auto_pad", "SAME_UPPER");
        let y = draft.one("each", each.with("strides", vec![2, 2]), &[Some(x), Some(w)]).unwrap();
        let pool = Op::own("GlobalAveragePool");
        let pooled = draft.one("pool", pool, &[Some(y)]).unwrap();
        let shape = draft.ints(&[-1, 4]).unwrap();
        let flat = draft.one("flat", Op::onnx("Reshape"), &[Some(pooled), Some(shape)]).unwrap();
        let info = image(&[4, 10]);
        let w = draft.stored("product", info.clone(), Weight::of(&info)).unwrap();
        let y = draft.one("classes", Op::onnx("MatMul"), &[Some(flat), Some(w)]).unwrap();
        let graph = draft.finish(&[(y, "scores")]).unwrap();
        let opsets = [(String::new(), crate::formats::draft::OPSET)].into_iter().collect();
        Model { graph, opsets, ..Model::default() }
    }

    #[test]
    fn the_file_has_the_same_cost() {
        let model = model();
        let analysis = analyze(&model, &Bindings::new());
        assert!(analysis.coverage.is_full(), "{:?}", analysis.diagnostics);
        let file = translate(&model, &analysis.values).unwrap();
        let again = crate::formats::load_bytes(&file.into()).unwrap();
        let counted = analyze(&again, &Bindings::new());
        assert!(counted.coverage.is_full(), "{:?}", counted.diagnostics);
        assert_eq!(counted.totals.macs, analysis.totals.macs);
        assert_eq!(counted.totals.macs.to_string(), "940·batch");
        assert_eq!(counted.params.to_string(), "76");
        assert_eq!(again.graph.value(again.graph.outputs[0]).name, "scores");
    }

    #[test]
    fn what_has_no_counterpart_is_named() {
        let mut model = model();
        let node = model.graph.nodes.last_mut().unwrap();
        (node.domain, node.op_type) = ("tf".into(), "Mystery".into());
        let known = analyze(&model, &Bindings::new()).values;
        let error = translate(&model, &known).unwrap_err();
        assert!(error.to_string().contains("`Mystery` of tf"), "{error}");
    }
}
