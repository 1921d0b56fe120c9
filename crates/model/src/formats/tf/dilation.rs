//! Dilated convolutions that a file spells as convolutions on blocks: `SpaceToBatchND(d)`, a convolution without
//! padding and strides, `BatchToSpaceND(d)`. They are one convolution of dilation d, and TensorFlow's own
//! converter takes them so.

use super::program::{Body, Dilation, Node, Source, index};
use super::tensor;
use std::sync::Arc;

/// The integers of a constant.
pub(super) fn constant(body: &Body, source: Source) -> Option<Vec<i64>> {
    let mut at = source;
    for _ in 0..16 {
        let Source::Node(id, 0) = at else { return None };
        let node = body.nodes.get(index(id))?;
        match node.def.op.as_str() {
            "Const" => {
                let found = tensor::constant(&node.def.name, &node.def.tensor("value")?).ok()?;
                return found.info.const_ints();
            }
            "Identity" => at = *node.inputs.first()?,
            _ => return None,
        }
    }
    None
}

/// A chain of nodes that is one dilated convolution.
struct Chain {
    /// `BatchToSpaceND`.
    last: usize,
    conv: usize,
    /// The convolution, or the node before it that adds an axis.
    first: usize,
    /// What `SpaceToBatchND` reads.
    source: Source,
    dilation: Dilation,
}

/// Puts such chains in terms of one convolution.
pub(super) fn fuse(body: &mut Body) {
    if !body.nodes.iter().any(|n| n.def.op == "BatchToSpaceND") {
        return;
    }
    let mut readers = vec![0_u32; body.nodes.len()];
    let read = body.nodes.iter().flat_map(|n| &n.inputs).chain(&body.returns);
    for source in read {
        if let Source::Node(id, _) = source {
            readers[index(*id)] += 1;
        }
    }
    for at in 0..body.nodes.len() {
        let Some(chain) = chain(body, at, &readers) else { continue };
        let conv = &body.nodes[chain.conv];
        let changed = conv.def.changed(&conv.def.op, Some(chain.dilation));
        body.nodes[chain.conv].def = Arc::new(changed);
        body.nodes[chain.first].inputs[0] = chain.source;
        let last = &mut body.nodes[chain.last];
        last.def = Arc::new(last.def.changed("Identity", None));
        last.inputs.truncate(1);
    }
}

fn input(body: &Body, node: &Node, port: usize) -> Option<usize> {
    match node.inputs.get(port)? {
        Source::Node(id, 0) => Some(index(*id)).filter(|at| *at < body.nodes.len()),
        _ => None,
    }
}

fn chain(body: &Body, last: usize, readers: &[u32]) -> Option<Chain> {
    let node = &body.nodes[last];
    if node.def.op != "BatchToSpaceND" {
        return None;
    }
    let (block, crops) =
        (constant(body, *node.inputs.get(1)?)?, constant(body, *node.inputs.get(2)?)?);
    let mut conv = input(body, node, 0)?;
    let squeezed = body.nodes[conv].def.op == "Squeeze";
    if squeezed {
        if readers[conv] != 1 {
            return None;
        }
        conv = input(body, &body.nodes[conv], 0)?;
    }
    let def = &body.nodes[conv].def;
    let known = ["Conv2D", "DepthwiseConv2dNative", "Conv3D"].contains(&def.op.as_str());
    let ones = |name: &str| def.ints(name).is_none_or(|list| list.iter().all(|n| *n == 1));
    let plain = def.text("padding")? == "VALID" && ones("strides") && ones("dilations");
    let first_channels = def.text("data_format").is_some_and(|f| f.starts_with("NC"));
    if !known || !plain || first_channels || readers[conv] != 1 || def.dilation.is_some() {
        return None;
    }
    let mut first = conv;
    let before = input(body, &body.nodes[conv], 0)?;
    let expanded = body.nodes[before].def.op == "ExpandDims";
    if expanded != squeezed {
        return None;
    }
    let blocks = if expanded {
        if readers[before] != 1 {
            return None;
        }
        first = before;
        input(body, &body.nodes[before], 0)?
    } else {
        before
    };
    let split = &body.nodes[blocks];
    if split.def.op != "SpaceToBatchND" || constant(body, *split.inputs.get(1)?)? != block {
        return None;
    }
    let pads = constant(body, *split.inputs.get(2)?)?;
    let axes = if def.op == "Conv3D" { 3 } else { 2 };
    let dilation = dilation(&block, &pads, &crops, axes, expanded)?;
    let source = *split.inputs.first()?;
    Some(Chain { last, conv, first, source, dilation })
}

/// The dilation of blocks that are padded before and cropped after; `expanded` puts an axis before those of the blocks.
fn dilation(
    block: &[i64],
    pads: &[i64],
    crops: &[i64],
    axes: usize,
    expanded: bool,
) -> Option<Dilation> {
    let lead = usize::from(expanded);
    let covered = block.len() + lead;
    if covered > axes || pads.len() != 2 * block.len() || crops.len() != pads.len() {
        return None;
    }
    let mut found = Dilation { dilations: vec![1; axes], pads: vec![0; 2 * axes] };
    for (i, size) in block.iter().enumerate() {
        let at = i + lead;
        found.dilations[at] = *size;
        found.pads[at] = pads[2 * i].checked_sub(crops[2 * i])?;
        found.pads[axes + at] = pads[2 * i + 1].checked_sub(crops[2 * i + 1])?;
    }
    let sound = block.iter().all(|d| *d >= 1) && found.pads.iter().all(|p| *p >= 0);
    sound.then_some(found)
}
