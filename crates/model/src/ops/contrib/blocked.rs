//! Layouts that onnxruntime's optimiser gives to images: channels in blocks as wide as the vectors of the
//! machine it ran on (`com.microsoft.nchwc`), and channels last (`com.ms.internal.nhwc`).
//!
//! A tensor in blocks has the shape `[N, C, …]` of the plain one here. Weights are stored with their channels
//! padded to whole blocks; where the graph says how many there are without padding, that number counts.

use super::fused::with_activation;
use crate::dim::Dim;
use crate::ir::{Node, Shape, TensorInfo};
use crate::ops::Class::{Convolution, Movement, Normalization, Pooling};
use crate::ops::context::{OpCx, OpError, invalid};
use crate::ops::shape::Window;
use crate::ops::{Class, Effect, Op, Part, find, movement, pooling};

const BLOCKS: &str = "com.microsoft.nchwc";
const LAST: &str = "com.ms.internal.nhwc";

#[rustfmt::skip]
pub(in crate::ops) const OPS: &[Op] = &[
    Op::new("AveragePool", Pooling, pooling::average_pool).domain(BLOCKS).inputs(1, 1).formula("|y|·∏k"),
    Op::new("Conv", Convolution, conv).domain(BLOCKS).inputs(2, 4).formula("FusedConv, channels in blocks").weights("-pp-").packed(unpadded),
    Op::new("GlobalAveragePool", Pooling, pooling::global_average).domain(BLOCKS).inputs(1, 1).formula("|x|").playing(Part::Row),
    Op::new("GlobalMaxPool", Pooling, pooling::global_max).domain(BLOCKS).inputs(1, 1).formula("|x| − |y| comparisons").playing(Part::Row),
    Op::new("MaxPool", Pooling, pooling::max_pool).domain(BLOCKS).inputs(1, 1).formula("|y|·(∏k − 1) comparisons"),
    Op::new("ReorderInput", Movement, into_blocks).domain(BLOCKS).inputs(1, 1).playing(Part::Arrange),
    Op::new("ReorderOutput", Movement, out_of_blocks).domain(BLOCKS).inputs(1, 1).playing(Part::Arrange),
    Op::new("Upsample", Movement, upsample).domain(BLOCKS).inputs(1, 1).formula("9·|y| linear, 0 nearest"),
    last("AveragePool", Pooling),
    last("BatchNormalization", Normalization).weights("-wwtt").playing(Part::Map),
    last("Conv", Convolution).weights("-ww"),
    last("ConvTranspose", Convolution).weights("-ww"),
    last("DepthToSpace", Movement).playing(Part::Map),
    last("GlobalAveragePool", Pooling).playing(Part::Row),
    last("GlobalLpPool", Pooling).playing(Part::Row),
    last("GlobalMaxPool", Pooling).playing(Part::Row),
    last("GridSample", Movement),
    last("InstanceNormalization", Normalization).weights("-ww"),
    last("LRN", Normalization),
    last("LpPool", Pooling),
    last("MaxPool", Pooling),
    last("QLinearConv", Convolution).weights("-sswssssw"),
    Op::new("Resize", Movement, movement::resize).domain(LAST).inputs(1, 4).formula("as ai.onnx Resize"),
    last("SpaceToDepth", Movement).playing(Part::Map),
];

/// The operator of ai.onnx by this name, its images with channels last.
const fn last(name: &'static str, class: Class) -> Op {
    last_in(LAST, name, class)
}

/// The same in any operator set.
pub(in crate::ops) const fn last_in(domain: &'static str, name: &'static str, class: Class) -> Op {
    Op::new(name, class, channels_last).domain(domain).formula("as in ai.onnx, channels last")
}

/// Runs the standard operator on the shape with channels second, and turns its outputs back.
pub(in crate::ops) fn channels_last(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let Some(plain) = find("", &cx.node.op_type) else {
        return Err(OpError::Unsupported(format!("`{}` with channels last", cx.node.op_type)));
    };
    let mut turned = cx.input(0)?.clone();
    turned.value = None;
    match &mut turned.shape {
        Some(shape) if shape.len() >= 3 => shape[1..].rotate_right(1),
        Some(shape) => return invalid!("an image of rank {}", shape.len()),
        None => return Err(OpError::UnknownInput { port: 0, what: "shape" }),
    }
    let mut inputs: Vec<Option<&TensorInfo>> = cx.inputs.clone();
    if let Some(first) = inputs.first_mut() {
        *first = Some(&turned);
    }
    let mut effect = (plain.effect)(&cx.with_inputs(inputs))?;
    for shape in effect.outputs.iter_mut().filter_map(|o| o.shape.as_mut()) {
        if shape.len() >= 3 {
            shape[1..].rotate_left(1);
        }
    }
    Ok(effect)
}

/// The output and input channels of a convolution without padding, as far as that is known: the attribute
/// `channels` is what the reader found further down, and a filter to each channel keeps their number.
fn channels(node: &Node, input: &Shape, weight: &Shape) -> Option<(Dim, Dim)> {
    let (given, [out, per_group, ..]) = (input.get(1)?, &weight[..]) else { return None };
    let group = node.attrs.int_or("group", 1).ok()?;
    let each = *per_group == Dim::ONE && group > 1;
    let known = node.attrs.int("channels").ok().flatten().filter(|n| *n > 0).map(Dim::from);
    let out = known.unwrap_or_else(|| if each { given.clone() } else { out.clone() });
    let taken = if group == 1 { given.minimum(per_group) } else { per_group.clone() };
    Some((out, taken))
}

/// Numbers of the weights (port 1) or the bias (port 2) without padding.
fn unpadded(node: &Node, inputs: &[Option<&TensorInfo>], port: usize) -> Option<Dim> {
    let shape = |port: usize| inputs.get(port).copied().flatten()?.shape.as_ref();
    let weight = shape(1)?;
    let (out, taken) = channels(node, shape(0)?, weight)?;
    Some(if port == 1 { out * taken * weight.iter().skip(2).product() } else { out })
}

/// `x: [N, C, …]`, plain where it has fewer channels than a block; `w: [Cout, Cin/g, …]`; a bias and a sum.
fn conv(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (input, weight) = (cx.shape(0)?, cx.shape(1)?);
    let ([n, _, spatial @ ..], [_, _, kernel @ ..]) = (&input[..], &weight[..]) else {
        return invalid!("convolution of rank {} by rank {}", input.len(), weight.len());
    };
    let Some((out, taken)) = channels(cx.node, input, weight) else {
        return invalid!("convolution of rank {} by rank {}", input.len(), weight.len());
    };
    let window = Window::read(cx, kernel.to_vec())?;
    let places = window.output(spatial)?;
    let met = window.valid_taps(spatial, &places);
    let met = met.map(|m| m * n.clone() * out.clone() * taken.clone());
    let output = cx.like([n.clone(), out].into_iter().chain(places).collect::<Vec<_>>());
    let elements = output.elements().unwrap_or_default();
    let added = (2..=3).filter(|port| cx.optional(*port).is_some()).count();
    let taps: Dim = taken * kernel.iter().product();
    let effect = Effect::one(output).macs(elements.clone() * taps).effective(met);
    with_activation(cx, effect.other(elements * Dim::from(added)))
}

fn into_blocks(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut shape = cx.shape(0)?.clone();
    if cx.attrs().flag("channels_last")? && shape.len() > 2 {
        shape[1..].rotate_right(1);
    }
    Ok(Effect::one(cx.like(shape)))
}

/// `channels` is how many there are without padding.
fn out_of_blocks(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut shape = cx.shape(0)?.clone();
    let channels = cx.attrs().int("channels")?.filter(|n| *n > 0);
    match (channels, shape.get_mut(1)) {
        (Some(channels), Some(size)) => *size = Dim::from(channels),
        _ => return Err(crate::ir::AttrError::Missing("channels".into()).into()),
    }
    if cx.attrs().flag("channels_last")? && shape.len() > 2 {
        shape[1..].rotate_left(1);
    }
    Ok(Effect::one(cx.like(shape)))
}

fn upsample(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let scales = cx.attrs().dims("scales")?;
    let scales = scales.ok_or_else(|| crate::ir::AttrError::Missing("scales".into()))?;
    let input = cx.shape(0)?;
    if scales.len() != input.len() {
        return invalid!("{} scales of rank {}", scales.len(), input.len());
    }
    let shape: Shape = input.iter().zip(scales).map(|(size, by)| size.clone() * by).collect();
    let output = cx.like(shape);
    let n = output.elements().unwrap_or_default();
    let each = if cx.attrs().str("mode")? == Some("linear") { 9 } else { 0 };
    Ok(Effect::one(output).other(n * Dim::from(each)))
}
