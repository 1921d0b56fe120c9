//! Convolutions. Kernels are stored as Keras has them, and turned on their own path: activations never are.

use super::super::super::LoadError;
use super::super::super::draft::Op;
use super::super::inputs::Inputs;
use super::super::json::Layer;
use super::super::site::{Site, Size, T};
use super::{Context, Row, Written, activate, at, input, row, spatial};
use crate::ir::ValueId;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("Conv1D", "Conv", plain),
    row("Conv2D", "Conv", plain),
    row("Conv3D", "Conv", plain),
    row("Conv1DTranspose", "ConvTranspose", transposed),
    row("Conv2DTranspose", "ConvTranspose", transposed),
    row("Conv3DTranspose", "ConvTranspose", transposed),
    row("Convolution1D", "Conv", plain),
    row("Convolution2D", "Conv", plain),
    row("Convolution3D", "Conv", plain),
    row("Convolution1DTranspose", "ConvTranspose", transposed),
    row("Convolution2DTranspose", "ConvTranspose", transposed),
    row("Convolution3DTranspose", "ConvTranspose", transposed),
    row("DepthwiseConv1D", "Conv", depthwise),
    row("DepthwiseConv2D", "Conv", depthwise),
    row("SeparableConv1D", "Conv, Conv", separable),
    row("SeparableConv2D", "Conv, Conv", separable),
    row("SeparableConvolution1D", "Conv, Conv", separable),
    row("SeparableConvolution2D", "Conv, Conv", separable),
];

/// How a kernel slides.
pub(in super::super) struct Window {
    /// Sizes of the kernel along the spatial axes.
    pub(in super::super) kernel: Vec<i64>,
    pub(in super::super) strides: Vec<i64>,
    pub(in super::super) dilations: Vec<i64>,
    pub(in super::super) padding: String,
    /// Whether channels are the first axis after the batch.
    pub(in super::super) first: bool,
}

impl Window {
    fn of(layer: &Layer<'_>) -> Result<Self, LoadError> {
        let n = spatial(layer);
        Ok(Self {
            kernel: match layer.get("kernel_size") {
                Some(_) => layer.sizes("kernel_size", n, 1)?,
                None => return Err(layer.error("has no `kernel_size`")),
            },
            strides: layer.sizes("strides", n, 1)?,
            dilations: layer.sizes("dilation_rate", n, 1)?,
            padding: layer.text("padding", "valid").to_lowercase(),
            first: layer.channels_first(),
        })
    }

    /// The axis of the channels.
    pub(in super::super) fn channels(&self) -> i64 {
        if self.first { 1 } else { -1 }
    }

    fn rank(&self) -> usize {
        self.kernel.len() + 2
    }

    /// The operator, in the layout of the images.
    fn op(&self, name: &str) -> Op {
        let op = if self.first { Op::onnx(name) } else { Op::own(name) };
        op.with("kernel_shape", self.kernel.clone())
            .with("strides", self.strides.clone())
            .with("dilations", self.dilations.clone())
    }

    /// The operator with its padding.
    fn padded(&self, name: &str) -> Op {
        let op = self.op(name);
        match self.padding.as_str() {
            "same" => op.with("auto_pad", "SAME_UPPER"),
            "causal" => {
                let reach = |(k, d): (&i64, &i64)| (k - 1).saturating_mul(*d);
                let mut pads: Vec<i64> =
                    self.kernel.iter().zip(&self.dilations).map(reach).collect();
                pads.extend(self.kernel.iter().map(|_| 0));
                op.with("pads", pads)
            }
            _ => op,
        }
    }
}

/// A kernel as ONNX has it, from `[…, in, out]`: `[out, in, …]`.
pub(super) fn turned(site: &mut Site<'_, '_, '_>, kernel: T, n: usize) -> Result<T, LoadError> {
    let mut order = vec![at(n) + 1, at(n)];
    order.extend(0..at(n));
    site.transpose("kernel_t", kernel, &order)
}

/// The kernel of a depthwise convolution as ONNX has it, from `[…, in, multiplier]`: `[in·multiplier, 1, …]`.
fn turned_depthwise(
    site: &mut Site<'_, '_, '_>,
    kernel: T,
    window: &Window,
) -> Result<T, LoadError> {
    let n = window.kernel.len();
    let mut order = vec![at(n), at(n) + 1];
    order.extend(0..at(n));
    let kernel = site.transpose("kernel_t", kernel, &order)?;
    let mut shape = vec![-1, 1];
    shape.extend(&window.kernel);
    site.reshape("kernel_g", kernel, &shape)
}

/// Applies a kernel `[…, in, out]` to `x`.
pub(in super::super) fn convolve(
    site: &mut Site<'_, '_, '_>,
    suffix: &str,
    (x, kernel, bias): (T, T, Option<ValueId>),
    window: &Window,
    groups: i64,
) -> Result<T, LoadError> {
    let kernel = turned(site, kernel, window.kernel.len())?;
    apply(site, suffix, (x, kernel, bias), window, groups)
}

/// Applies a kernel as ONNX has it to `x`.
pub(super) fn apply(
    site: &mut Site<'_, '_, '_>,
    suffix: &str,
    (x, kernel, bias): (T, T, Option<ValueId>),
    window: &Window,
    groups: i64,
) -> Result<T, LoadError> {
    let op = window.padded("Conv").with("group", groups);
    let id = site.one(suffix, op, &[Some(x.id), Some(kernel.id), bias])?;
    Ok(x.ranked(Some(window.rank())).like(id))
}

/// Applies a kernel `[…, in, multiplier]` to the channels of `x` one by one.
pub(in super::super) fn convolve_depthwise(
    site: &mut Site<'_, '_, '_>,
    suffix: &str,
    (x, kernel, bias): (T, T, Option<ValueId>),
    window: &Window,
) -> Result<T, LoadError> {
    let kernel = turned_depthwise(site, kernel, window)?;
    let op = window.padded("Conv").with("group", 0_i64);
    let id = site.one(suffix, op, &[Some(x.id), Some(kernel.id), bias])?;
    Ok(x.ranked(Some(window.rank())).like(id))
}

/// `[kernel…, of the input, made]`.
fn kernel_sizes(window: &Window, last: [Size; 2]) -> Vec<Size> {
    window.kernel.iter().map(|k| Size::Is(*k)).chain(last).collect()
}

fn bias<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    x: T,
    size: Size,
) -> Result<Option<ValueId>, LoadError> {
    if !layer.flag("use_bias", true) {
        return Ok(None);
    }
    Ok(Some(site.variable(layer, "bias", x, &[size])?.id))
}

fn plain<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let (x, window) = (input(layer, inputs)?, Window::of(layer)?);
    let filters = layer.size("filters")?;
    let groups = layer.int_or("groups", 1)?;
    if groups < 1 {
        return Err(layer.error(format!("has {groups} groups")));
    }
    let sizes = kernel_sizes(&window, [Size::Axis(window.channels()), Size::Is(filters)]);
    let kernel = site.variable_in(layer, "kernel", x, &sizes, groups)?;
    let bias = bias(site, layer, x, Size::Is(filters))?;
    let y = convolve(site, "", (x, kernel, bias), &window, groups)?;
    Ok(vec![activate(site, layer, "activation", y)?])
}

fn depthwise<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let (x, window) = (input(layer, inputs)?, Window::of(layer)?);
    let multiplier = layer.int_or("depth_multiplier", 1)?.max(1);
    let sizes = kernel_sizes(&window, [Size::Axis(window.channels()), Size::Is(multiplier)]);
    let name = if site.state.major >= 3 { "kernel" } else { "depthwise_kernel" };
    let kernel = site.variable(layer, name, x, &sizes)?;
    let turned = turned_depthwise(site, kernel, &window)?;
    let bias = bias(site, layer, turned, Size::Axis(0))?;
    let op = window.padded("Conv").with("group", 0_i64);
    let id = site.one("", op, &[Some(x.id), Some(turned.id), bias])?;
    let y = x.ranked(Some(window.rank())).like(id);
    Ok(vec![activate(site, layer, "activation", y)?])
}

/// A depthwise convolution without bias, and one of kernel 1 over its channels.
fn separable<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let (x, window) = (input(layer, inputs)?, Window::of(layer)?);
    let multiplier = layer.int_or("depth_multiplier", 1)?.max(1);
    let filters = layer.size("filters")?;
    let channels = window.channels();
    let sizes = kernel_sizes(&window, [Size::Axis(channels), Size::Is(multiplier)]);
    let kernel = site.variable(layer, "depthwise_kernel", x, &sizes)?;
    let y = convolve_depthwise(site, "depthwise", (x, kernel, None), &window)?;
    let ones = vec![1; window.kernel.len()];
    let point = Window {
        kernel: ones.clone(),
        strides: ones.clone(),
        dilations: ones,
        padding: "valid".to_owned(),
        first: window.first,
    };
    let sizes = kernel_sizes(&point, [Size::Axis(channels), Size::Is(filters)]);
    let kernel = site.variable(layer, "pointwise_kernel", y, &sizes)?;
    let bias = bias(site, layer, x, Size::Is(filters))?;
    let y = convolve(site, "", (y, kernel, bias), &point, 1)?;
    Ok(vec![activate(site, layer, "activation", y)?])
}

/// Each size becomes `n·s` with padding, and `n·s + max(k − s, 0)` without, unless `output_padding` is given.
fn transposed<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let (x, window) = (input(layer, inputs)?, Window::of(layer)?);
    let n = window.kernel.len();
    let filters = layer.size("filters")?;
    let extra = match layer.get("output_padding") {
        Some(_) => Some(layer.ints("output_padding")?),
        None => None,
    };
    let extra = match extra {
        Some(list) if list.len() == 1 => Some(vec![list[0]; n]),
        Some(list) if list.len() != n => {
            return Err(layer.error("`output_padding` is not one size an axis"));
        }
        other => other,
    };
    let sizes = kernel_sizes(&window, [Size::Is(filters), Size::Axis(window.channels())]);
    let kernel = site.variable(layer, "kernel", x, &sizes)?;
    let bias = bias(site, layer, x, Size::Is(filters))?;
    let y = deconvolve(site, "", (x, kernel, bias), &window, extra.as_deref())?;
    Ok(vec![activate(site, layer, "activation", y)?])
}

/// Applies a kernel `[…, out, in]` to `x`, transposed.
pub(in super::super) fn deconvolve(
    site: &mut Site<'_, '_, '_>,
    suffix: &str,
    (x, kernel, bias): (T, T, Option<ValueId>),
    window: &Window,
    extra: Option<&[i64]>,
) -> Result<T, LoadError> {
    let n = window.kernel.len();
    let kernel = turned(site, kernel, n)?;
    let (mut begins, mut ends, mut more) = (Vec::new(), Vec::new(), Vec::new());
    for axis in 0..n {
        let reach = (window.kernel[axis] - 1).saturating_mul(window.dilations[axis]) + 1;
        let spare = reach - window.strides[axis];
        let (begin, end, out) = match (extra, window.padding.as_str()) {
            (Some(extra), "same") => (reach / 2, reach / 2, extra[axis]),
            (Some(extra), _) => (0, 0, extra[axis]),
            (None, "same") if spare >= 0 => (spare / 2, spare - spare / 2, 0),
            (None, _) => (0, 0, (-spare).max(0)),
        };
        begins.push(begin);
        ends.push(end);
        more.push(out);
    }
    begins.extend(ends);
    let op = window.op("ConvTranspose").with("pads", begins).with("output_padding", more);
    let id = site.one(suffix, op, &[Some(x.id), Some(kernel.id), bias])?;
    Ok(x.ranked(Some(window.rank())).like(id))
}
