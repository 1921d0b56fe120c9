//! Pooling.

use super::super::super::draft::Op;
use super::super::inputs::Inputs;
use super::super::json::Layer;
use super::super::site::Site;
use super::{Context, Row, Written, input, row, sizes, spatial, spatial_axes};

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("AdaptiveAveragePooling1D", "AveragePool", adaptive),
    row("AdaptiveAveragePooling2D", "AveragePool", adaptive),
    row("AdaptiveAveragePooling3D", "AveragePool", adaptive),
    row("AdaptiveMaxPooling1D", "MaxPool", adaptive),
    row("AdaptiveMaxPooling2D", "MaxPool", adaptive),
    row("AdaptiveMaxPooling3D", "MaxPool", adaptive),
    row("AveragePooling1D", "AveragePool", sliding),
    row("AveragePooling2D", "AveragePool", sliding),
    row("AveragePooling3D", "AveragePool", sliding),
    row("AvgPool1D", "AveragePool", sliding),
    row("AvgPool2D", "AveragePool", sliding),
    row("AvgPool3D", "AveragePool", sliding),
    row("GlobalAveragePooling1D", "ReduceMean", global),
    row("GlobalAveragePooling2D", "ReduceMean", global),
    row("GlobalAveragePooling3D", "ReduceMean", global),
    row("GlobalAvgPool1D", "ReduceMean", global),
    row("GlobalAvgPool2D", "ReduceMean", global),
    row("GlobalAvgPool3D", "ReduceMean", global),
    row("GlobalMaxPool1D", "ReduceMax", global),
    row("GlobalMaxPool2D", "ReduceMax", global),
    row("GlobalMaxPool3D", "ReduceMax", global),
    row("GlobalMaxPooling1D", "ReduceMax", global),
    row("GlobalMaxPooling2D", "ReduceMax", global),
    row("GlobalMaxPooling3D", "ReduceMax", global),
    row("MaxPool1D", "MaxPool", sliding),
    row("MaxPool2D", "MaxPool", sliding),
    row("MaxPool3D", "MaxPool", sliding),
    row("MaxPooling1D", "MaxPool", sliding),
    row("MaxPooling2D", "MaxPool", sliding),
    row("MaxPooling3D", "MaxPool", sliding),
];

fn kind(layer: &Layer<'_>) -> &'static str {
    if layer.class.contains("Max") { "MaxPool" } else { "AveragePool" }
}

fn sliding<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let n = spatial(layer);
    let kernel = match (layer.get("pool_size"), layer.get("pool_length")) {
        (None, Some(_)) => layer.sizes("pool_length", n, 2)?,
        _ => layer.sizes("pool_size", n, 2)?,
    };
    let strides = match layer.get("strides") {
        Some(_) => layer.sizes("strides", n, 1)?,
        None => kernel.clone(),
    };
    let op = if layer.channels_first() { Op::onnx(kind(layer)) } else { Op::own(kind(layer)) };
    let op = op.with("kernel_shape", kernel).with("strides", strides);
    let same = layer.text("padding", "valid").eq_ignore_ascii_case("same");
    let op = if same { op.with("auto_pad", "SAME_UPPER") } else { op };
    Ok(vec![x.ranked(Some(n + 2)).like(site.one("", op, &[Some(x.id)])?)])
}

fn global<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let op = if layer.class.contains("Max") { "ReduceMax" } else { "ReduceMean" };
    let axes = spatial_axes(layer, spatial(layer));
    let x = x.ranked(Some(spatial(layer) + 2));
    Ok(vec![site.reduce("", op, x, &axes, layer.flag("keepdims", false))?])
}

/// Windows that divide the image evenly: any other windows differ from each other.
fn adaptive<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    context: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let n = spatial(layer);
    let output = layer.sizes("output_size", n, 1)?;
    if output.iter().all(|size| *size == 1) {
        let op = if layer.class.contains("Max") { "ReduceMax" } else { "ReduceMean" };
        let x = x.ranked(Some(n + 2));
        return Ok(vec![site.reduce("", op, x, &spatial_axes(layer, n), true)?]);
    }
    let from = usize::from(layer.channels_first()) + 1;
    let size = |i: usize| sizes(layer, context)?.get(from + i).copied().flatten();
    let each = |i: usize| size(i).filter(|size| size % output[i] == 0).map(|size| size / output[i]);
    let kernel: Option<Vec<i64>> = (0..n).map(each).collect();
    let Some(kernel) = kernel.filter(|kernel| kernel.iter().all(|k| *k > 0)) else {
        let outputs = site.unknown(layer.class, &[x.id], 1)?;
        return Ok(vec![x.ranked(Some(n + 2)).like(outputs[0])]);
    };
    let op = if layer.channels_first() { Op::onnx(kind(layer)) } else { Op::own(kind(layer)) };
    let op = op.with("kernel_shape", kernel.clone()).with("strides", kernel);
    Ok(vec![x.ranked(Some(n + 2)).like(site.one("", op, &[Some(x.id)])?)])
}
