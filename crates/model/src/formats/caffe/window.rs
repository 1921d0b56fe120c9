//! Layers that slide a window over an image.

use super::decode::Layer;
use super::net::{Blob, Net, Row, row};
use crate::formats::LoadError;
use crate::formats::draft::Op;
use crate::formats::error::invalid;
use crate::formats::prototext::Message;

pub(super) const ROWS: &[Row] = &[
    row("Convolution", "Conv", convolution),
    row("ConvolutionDepthwise", "Conv", depthwise),
    row("Deconvolution", "ConvTranspose", deconvolution),
    row("DepthwiseConvolution", "Conv", depthwise),
    row("Pooling", "MaxPool, AveragePool, GlobalMaxPool, GlobalAveragePool", pooling),
];

/// One number for each axis of an image: of one field that may repeat, or of one for each side.
fn sides(param: &Message, name: &str, prefix: &str, axes: usize, default: i64) -> Vec<i64> {
    let (h, w) = (param.int(&format!("{prefix}_h")), param.int(&format!("{prefix}_w")));
    if h.is_some() || w.is_some() {
        return vec![h.unwrap_or(default), w.unwrap_or(default)];
    }
    let given: Vec<i64> = param.ints(name).collect();
    match given[..] {
        [] => vec![default; axes],
        [one] => vec![one; axes],
        _ => given,
    }
}

/// Where a window slides.
struct Window {
    kernel: Vec<i64>,
    strides: Vec<i64>,
    pads: Vec<i64>,
    dilations: Vec<i64>,
}

impl Window {
    fn read(layer: &Layer, param: &Message, x: Blob) -> Result<Self, LoadError> {
        let axes = x.rank.unwrap_or(4).saturating_sub(2).max(1);
        let kernel = sides(param, "kernel_size", "kernel", axes, 0);
        let place = || format!("layer `{}`", layer.name);
        if kernel.iter().any(|k| *k < 1) {
            return Err(invalid(place(), "has no `kernel_size`"));
        }
        let strides = sides(param, "stride", "stride", axes, 1);
        let dilations = sides(param, "dilation", "dilation", axes, 1);
        let pads = sides(param, "pad", "pad", axes, 0);
        if [&strides, &dilations, &pads].iter().any(|list| list.len() != kernel.len()) {
            return Err(invalid(place(), "gives its window different numbers of axes"));
        }
        Ok(Self { kernel, strides, pads, dilations })
    }

    fn of(&self, op: Op) -> Op {
        let pads: Vec<i64> = self.pads.iter().chain(&self.pads).copied().collect();
        op.with("kernel_shape", self.kernel.clone())
            .with("strides", self.strides.clone())
            .with("pads", pads)
    }
}

fn convolution(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let group = layer.param("convolution_param").int("group").unwrap_or(1);
    convolve(net, layer, Some(group))
}

/// A filter to each channel.
fn depthwise(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    convolve(net, layer, None)
}

fn outputs(layer: &Layer, param: &Message) -> Result<i64, LoadError> {
    let count = param.int("num_output").filter(|n| *n > 0);
    count.ok_or_else(|| invalid(format!("layer `{}`", layer.name), "has no `num_output`"))
}

fn convolve(net: &mut Net<'_, '_>, layer: &Layer, group: Option<i64>) -> Result<(), LoadError> {
    let param = layer.param("convolution_param");
    let n = outputs(layer, &param)?;
    for at in 0..layer.bottoms.len().max(1) {
        let x = net.bottom(layer, at)?;
        let window = Window::read(layer, &param, x)?;
        let mut sizes = vec![n, i64::from(group.is_none())];
        sizes.extend(&window.kernel);
        let axes: Vec<i64> = (0..sizes.len()).map(|i| i64::from(i == 1)).collect();
        let more = [("group", group.unwrap_or(1))];
        let w = net.weight(layer, 0, x, (&sizes, &axes), &more)?;
        let mut inputs = vec![Some(x.id), Some(w)];
        if param.flag("bias_term").unwrap_or(true) {
            inputs.push(Some(net.weight(layer, 1, x, (&[n], &[0]), &[])?));
        }
        let op = window.of(Op::onnx("Conv")).with("dilations", window.dilations.clone());
        let y = net.step(layer, "", op.with("group", group.unwrap_or(0)), &inputs)?;
        net.top(layer, at, y, x.rank);
    }
    Ok(())
}

fn deconvolution(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let param = layer.param("convolution_param");
    let n = outputs(layer, &param)?;
    let group = param.int("group").unwrap_or(1).max(1);
    for at in 0..layer.bottoms.len().max(1) {
        let x = net.bottom(layer, at)?;
        let window = Window::read(layer, &param, x)?;
        let mut sizes = vec![0, n / group];
        sizes.extend(&window.kernel);
        let axes: Vec<i64> = (0..sizes.len()).map(|i| i64::from(i == 0)).collect();
        let w = net.weight(layer, 0, x, (&sizes, &axes), &[])?;
        let mut inputs = vec![Some(x.id), Some(w)];
        if param.flag("bias_term").unwrap_or(true) {
            inputs.push(Some(net.weight(layer, 1, x, (&[n], &[0]), &[])?));
        }
        let op = window.of(Op::onnx("ConvTranspose")).with("dilations", window.dilations.clone());
        let y = net.step(layer, "", op.with("group", group), &inputs)?;
        net.top(layer, at, y, x.rank);
    }
    Ok(())
}

/// Rounds up unless the file says otherwise; forks say it with `ceil_mode`.
fn pooling(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let param = layer.param("pooling_param");
    let x = net.bottom(layer, 0)?;
    let most = matches!(param.text("pool").unwrap_or("MAX"), "MAX" | "0");
    if param.flag("global_pooling").unwrap_or(false) {
        let op = if most { "GlobalMaxPool" } else { "GlobalAveragePool" };
        let y = net.step(layer, "", Op::onnx(op), &[Some(x.id)])?;
        net.top(layer, 0, y, x.rank);
        return Ok(());
    }
    let window = Window::read(layer, &param, x)?;
    let floor = matches!(param.text("round_mode").unwrap_or("CEIL"), "FLOOR" | "1")
        || param.flag("ceil_mode") == Some(false);
    let op = window.of(Op::onnx(if most { "MaxPool" } else { "AveragePool" }));
    let op = op.with("ceil_mode", i64::from(!floor));
    let op = if most { op } else { op.with("count_include_pad", 1_i64) };
    let outputs = if most { layer.tops.len().clamp(1, 2) } else { 1 };
    let made = net.draft.many(&layer.name, op, &[Some(x.id)], outputs)?;
    for (at, y) in made.into_iter().enumerate() {
        net.top(layer, at, y, x.rank);
    }
    Ok(())
}
