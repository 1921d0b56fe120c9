//! Pooling.

use super::super::super::draft::Op;
use super::super::site::Site;
use super::super::value::{Lowered, Tensor, Value, unable};
use super::{Args, Row, near, own};
use crate::ir::DType;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    own("max_pool1d", "MaxPool", max_pool::<1>), own("max_pool2d", "MaxPool", max_pool::<2>), own("max_pool3d", "MaxPool", max_pool::<3>), own("mkldnn_max_pool2d", "MaxPool", max_pool::<2>), own("quantized_max_pool2d", "MaxPool", max_pool::<2>), own("max_pool1d_with_indices", "MaxPool", max_pool_indices::<1>), own("max_pool2d_with_indices", "MaxPool", max_pool_indices::<2>), own("max_pool3d_with_indices", "MaxPool", max_pool_indices::<3>), own("_low_memory_max_pool2d_with_offsets", "MaxPool", max_pool_indices::<2>),
    own("avg_pool1d", "AveragePool", avg_pool::<1>), own("avg_pool2d", "AveragePool", avg_pool::<2>), own("avg_pool3d", "AveragePool", avg_pool::<3>), own("adaptive_avg_pool1d", "GlobalAveragePool, or own", adaptive::<1>), own("adaptive_avg_pool2d", "GlobalAveragePool, or own", adaptive::<2>), own("adaptive_avg_pool3d", "GlobalAveragePool, or own", adaptive::<3>), own("_adaptive_avg_pool2d", "GlobalAveragePool, or own", adaptive::<2>), own("_adaptive_avg_pool3d", "GlobalAveragePool, or own", adaptive::<3>), own("mkldnn_adaptive_avg_pool2d", "GlobalAveragePool, or own", adaptive::<2>),
    own("adaptive_max_pool1d", "GlobalMaxPool, or own", adaptive_max::<1>), own("adaptive_max_pool2d", "GlobalMaxPool, or own", adaptive_max::<2>), own("adaptive_max_pool3d", "GlobalMaxPool, or own", adaptive_max::<3>), own("lp_pool1d", "LpPool", lp_pool::<1>), own("lp_pool2d", "LpPool", lp_pool::<2>), own("max_unpool2d", "MaxUnpool", max_unpool), near(own("fractional_max_pool2d", "own", fractional)),
];

/// `kernel, stride, padding` from argument 1 on; without strides, windows touch.
struct Window {
    kernel: Vec<i64>,
    strides: Vec<i64>,
    pads: Vec<i64>,
}

fn window(arguments: &Args, axes: usize) -> Lowered<Window> {
    let kernel = arguments.sizes(1, "kernel_size", axes, 1)?;
    let strides = match arguments.ints(2, "stride")? {
        Some(list) if !list.is_empty() => arguments.sizes(2, "stride", axes, 1)?,
        _ => kernel.clone(),
    };
    Ok(Window { kernel, strides, pads: arguments.sizes(3, "padding", axes, 0)? })
}

impl Window {
    fn on(self, op: &str) -> Op {
        Op::onnx(op)
            .with("kernel_shape", self.kernel)
            .with("strides", self.strides)
            .with("pads", [self.pads.clone(), self.pads].concat())
    }
}

/// On images with or without a batch.
fn batched(
    site: &mut Site<'_, '_>,
    x: &Tensor,
    axes: usize,
    apply: impl FnOnce(&mut Site<'_, '_>, &Tensor) -> Lowered<Vec<Tensor>>,
) -> Lowered<Vec<Tensor>> {
    if x.rank() != Some(axes + 1) {
        return apply(site, x);
    }
    let images = site.unsqueeze(x, &[0])?;
    let mut made = Vec::new();
    for each in apply(site, &images)? {
        made.push(site.squeeze(&each, &[0])?);
    }
    Ok(made)
}

fn first(made: Vec<Tensor>) -> Lowered<Value> {
    made.into_iter().next().map_or_else(|| unable("no output"), |made| Ok(Value::Tensor(made)))
}

fn max_of<const AXES: usize>(
    site: &mut Site<'_, '_>,
    arguments: &Args,
    outputs: usize,
) -> Lowered<Vec<Tensor>> {
    let op = window(arguments, AXES)?
        .on("MaxPool")
        .with("dilations", arguments.sizes(4, "dilation", AXES, 1)?)
        .with("ceil_mode", i64::from(arguments.flag(5, "ceil_mode")));
    batched(site, &arguments.x()?, AXES, |site, x| site.several(op, &[Some(x)], outputs))
}

fn max_pool<const AXES: usize>(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    first(max_of::<AXES>(site, arguments, 1)?)
}

fn max_pool_indices<const AXES: usize>(
    site: &mut Site<'_, '_>,
    arguments: &Args,
) -> Lowered<Value> {
    let made = max_of::<AXES>(site, arguments, 2)?;
    if let Some(indices) = made.get(1) {
        indices.change(|known| known.dtype = Some(DType::I64));
    }
    Ok(Value::tensors(made))
}

fn avg_pool<const AXES: usize>(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let padded =
        arguments.get(5, "count_include_pad").is_none() || arguments.flag(5, "count_include_pad");
    let op = window(arguments, AXES)?
        .on("AveragePool")
        .with("ceil_mode", i64::from(arguments.flag(4, "ceil_mode")))
        .with("count_include_pad", i64::from(padded));
    first(batched(site, &arguments.x()?, AXES, |site, x| site.several(op, &[Some(x)], 1))?)
}

fn lp_pool<const AXES: usize>(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let kernel = arguments.sizes(2, "kernel_size", AXES, 1)?;
    let strides = arguments.ints(3, "stride")?.filter(|list| !list.is_empty());
    let strides = strides.unwrap_or_else(|| kernel.clone());
    let op = Op::onnx("LpPool").with("kernel_shape", kernel).with("strides", strides);
    first(batched(site, &arguments.x()?, AXES, |site, x| site.several(op, &[Some(x)], 1))?)
}

/// Windows that follow from the sizes of the input and the output.
fn adapted(
    site: &mut Site<'_, '_>,
    x: &Tensor,
    sizes: &[Value],
    ops: [&str; 2],
) -> Lowered<Tensor> {
    let axes = sizes.len();
    let made = batched(site, x, axes, |site, x| {
        if sizes.iter().all(|size| size.as_int() == Some(1)) {
            return Ok(vec![site.unary(Op::onnx(ops[0]), x)?]);
        }
        let mut all = Vec::new();
        for (at, size) in sizes.iter().enumerate() {
            all.push(match size {
                Value::None => site.size(x, 2 + super::signed(at))?,
                size => size.clone(),
            });
        }
        let shape = site.list(&all)?;
        Ok(vec![site.emit(Op::own(ops[1]), &[Some(x), Some(&shape)])?])
    })?;
    made.into_iter().next().map_or_else(|| unable("no output"), Ok)
}

fn output_sizes(arguments: &Args, axes: usize) -> Lowered<Vec<Value>> {
    let Some(value) = arguments.get(1, "output_size") else { return unable("no size is given") };
    let list = value.members().unwrap_or_else(|| vec![value.clone(); axes]);
    Ok(if list.len() == 1 && axes > 1 { vec![list[0].clone(); axes] } else { list })
}

const AVERAGE: [&str; 2] = ["GlobalAveragePool", "AdaptiveAveragePool"];
const MAX: [&str; 2] = ["GlobalMaxPool", "AdaptiveMaxPool"];

fn adaptive<const AXES: usize>(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let sizes = output_sizes(arguments, AXES)?;
    Ok(Value::Tensor(adapted(site, &arguments.x()?, &sizes, AVERAGE)?))
}

fn adaptive_max<const AXES: usize>(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let sizes = output_sizes(arguments, AXES)?;
    let made = adapted(site, &arguments.x()?, &sizes, MAX)?;
    let rest = Value::Absent("the places of an adaptive pool are read");
    Ok(Value::tuple(vec![Value::Tensor(made), rest]))
}

fn fractional(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let Some(sizes) = arguments.list(2, "output_size") else { return unable("no size is given") };
    let made = adapted(site, &arguments.x()?, &sizes, MAX)?;
    let rest = Value::Absent("the places of a fractional pool are read");
    Ok(Value::tuple(vec![Value::Tensor(made), rest]))
}

fn max_unpool(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (x, indices) = (arguments.x()?, arguments.tensor(1, "indices")?);
    let Some(size) = arguments.list(2, "output_size") else { return unable("no size is given") };
    let mut sizes = vec![site.size(&x, 0)?, site.size(&x, 1)?];
    sizes.extend(size.into_iter().rev().take(2).collect::<Vec<_>>().into_iter().rev());
    let shape = site.list(&sizes)?;
    let op = Op::onnx("MaxUnpool").with("kernel_shape", vec![1_i64, 1]);
    Ok(Value::Tensor(site.emit(op, &[Some(&x), Some(&indices), Some(&shape)])?))
}
