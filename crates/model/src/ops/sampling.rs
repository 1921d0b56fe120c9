//! Operators on images and boxes: sampling grids, regions, detections.

use super::Class::{Convolution, Movement, Pooling, Reduction};
use super::boxes::Suppression;
use super::context::{OpCx, OpError, invalid};
use super::shape::{Window, axes};
use super::{Effect, Op};
use crate::dim::Dim;
use crate::ir::{DType, Shape, TensorInfo};

#[rustfmt::skip]
pub(super) const OPS: &[Op] = &[
    Op::new("AffineGrid", Movement, affine_grid).inputs(2, 2).formula("2·|y|·r, r = 2 or 3 axes"),
    Op::new("CenterCropPad", Movement, center_crop_pad).inputs(2, 2),
    Op::new("Col2Im", Movement, col2im).inputs(3, 3).formula("|x|"),
    Op::new("DeformConv", Convolution, deform_conv).inputs(3, 5).formula("conv + 11·N·Cin·∏k·∏out (bilinear)").weights("-w-w-"),
    Op::new("GridSample", Movement, grid_sample).inputs(2, 2).formula("linear over r axes: 2^(r+1)·|y| + 8 per grid point; 35·|y| cubic; 0 nearest"),
    Op::new("ImageDecoder", Movement, image_decoder).inputs(1, 1).formula("the decoder's; not counted"),
    Op::new("MaxRoiPool", Pooling, max_roi_pool).inputs(2, 2).formula("≤ rois·C·H·W comparisons"),
    Op::new("MaxUnpool", Movement, max_unpool).inputs(2, 3),
    Op::new("NonMaxSuppression", Reduction, non_max_suppression).inputs(2, 5).formula("≤ 16·N·C·boxes·max_out for overlaps").weights("c"),
    Op::new("RoiAlign", Pooling, roi_align).inputs(3, 3).formula("11·|y|·sampling²").weights("-cc"),
];

/// `θ: [N, 2, 3]` or `[N, 3, 4]` and the size of the output.
fn affine_grid(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let size = cx.ints(1)?;
    let [n, _, spatial @ ..] = &size[..] else {
        return invalid!("a grid of rank {}", size.len());
    };
    let r = Dim::from(spatial.len());
    let shape: Shape =
        std::iter::once(n.clone()).chain(spatial.iter().cloned()).chain([r.clone()]).collect();
    let output = cx.like(shape);
    let elements = output.elements().unwrap_or_default();
    Ok(Effect::one(output).other(elements * r * Dim::from(2)).reads(1, Dim::ZERO))
}

fn center_crop_pad(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (shape, target) = (cx.shape(0)?, cx.ints(1)?);
    let at = match cx.attrs().ints("axes")? {
        Some(given) => axes(given, shape.len())?,
        None => (0..shape.len()).collect(),
    };
    if at.len() != target.len() {
        return invalid!("{} sizes for {} axes", target.len(), at.len());
    }
    let mut output = shape.clone();
    at.into_iter().zip(target).for_each(|(a, size)| output[a] = size);
    Ok(Effect::one(cx.like(output)).reads(1, Dim::ZERO))
}

/// `[N, C·∏block, L]` → `[N, C, …]`: overlapping blocks are summed.
fn col2im(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (shape, image, block) = (cx.shape(0)?, cx.ints(1)?, cx.ints(2)?);
    let [n, channels, _] = &shape[..] else {
        return invalid!("columns of rank {}", shape.len());
    };
    let taps: Dim = block.iter().product();
    let mut output = vec![n.clone(), channels.floor_div(&taps)];
    output.extend(image);
    Ok(Effect::one(cx.like(output)).other(cx.elements(0)?).reads(1, Dim::ZERO).reads(2, Dim::ZERO))
}

/// A convolution whose taps are sampled: four weights and seven operations each.
fn deform_conv(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (input, weight) = (cx.shape(0)?, cx.shape(1)?);
    let ([n, channels, spatial @ ..], [out_channels, per_group, kernel @ ..]) =
        (&input[..], &weight[..])
    else {
        return invalid!("convolution of rank {} by rank {}", input.len(), weight.len());
    };
    let window = Window::read(cx, kernel.to_vec())?;
    let places = window.output(spatial)?;
    let area: Dim = places.iter().product();
    let taps: Dim = kernel.iter().product();
    let shape: Shape = [n.clone(), out_channels.clone()].into_iter().chain(places).collect();
    let output = cx.like(shape);
    let elements = output.elements().unwrap_or_default();
    let biased = if cx.optional(3).is_some() { elements.clone() } else { Dim::ZERO };
    let sampled = n.clone() * channels.clone() * taps.clone() * area * Dim::from(11);
    Ok(Effect::one(output).macs(elements * per_group.clone() * taps).other(sampled + biased))
}

/// `x: [N, C, …]`, `grid: [N, …, r]` → `[N, C, …]`.
pub(super) fn grid_sample(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (input, grid) = (cx.shape(0)?, cx.shape(1)?);
    let (Some(head), Some(places)) = (input.get(..2), grid.get(1..grid.len().saturating_sub(1)))
    else {
        return invalid!("grid of rank {} over rank {}", grid.len(), input.len());
    };
    let output = cx.like([head, places].concat());
    let n = output.elements().unwrap_or_default();
    let points = head[0].clone() * places.iter().product();
    let r = places.len().min(8);
    let arithmetic = match cx.attrs().str("mode")?.unwrap_or("linear") {
        "nearest" => Dim::ZERO,
        "cubic" | "bicubic" => n * Dim::from(35),
        _ => n * Dim::from(1u64 << (r + 1)) + points * Dim::from(8),
    };
    Ok(Effect::one(output).other(arithmetic))
}

/// What an encoded image holds is known when it is decoded.
fn image_decoder(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let side = |name| (cx.fresh)(name, None);
    let channels = match cx.attrs().str("pixel_format")?.unwrap_or("RGB") {
        "Grayscale" => 1,
        _ => 3,
    };
    let shape = vec![side("height"), side("width"), Dim::from(channels)];
    Ok(Effect::one(TensorInfo::new(Some(DType::U8), shape)).bound())
}

fn max_roi_pool(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (shape, rois) = (cx.shape(0)?, cx.shape(1)?);
    let pooled = cx.attrs().dims("pooled_shape")?.unwrap_or_default();
    let ([_, c, space @ ..], Some(count)) = (&shape[..], rois.first()) else {
        return invalid!("regions of rank {} over rank {}", rois.len(), shape.len());
    };
    let output: Shape = [count.clone(), c.clone()].into_iter().chain(pooled).collect();
    let compared = count.clone() * c.clone() * space.iter().product();
    Ok(Effect::one(cx.like(output)).comparisons(compared).bound())
}

/// The inverse of a pooling's size: `(I − 1)·s − p + k`, unless it is given.
fn max_unpool(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    if cx.optional(2).is_some() {
        return Ok(Effect::one(cx.like(cx.ints(2)?)).reads(2, Dim::ZERO));
    }
    let shape = cx.shape(0)?;
    let [n, c, spatial @ ..] = &shape[..] else {
        return invalid!("pooling over rank {}", shape.len());
    };
    let kernel = cx.attrs().dims("kernel_shape")?;
    let kernel = kernel.ok_or_else(|| crate::ir::AttrError::Missing("kernel_shape".into()))?;
    let window = Window::read(cx, kernel)?;
    if window.kernel.len() != spatial.len() {
        return invalid!("{} spatial axes, kernel has {}", spatial.len(), window.kernel.len());
    }
    let mut output = vec![n.clone(), c.clone()];
    for (i, size) in spatial.iter().enumerate() {
        let stepped = (size.clone() - Dim::ONE) * Dim::from(window.strides[i]);
        output.push(stepped + window.kernel[i].clone() - Dim::from(window.padding(i)));
    }
    Ok(Effect::one(cx.like(output)))
}

/// `boxes: [N, B, 4]`, `scores: [N, C, B]` → `[chosen, 3]`.
fn non_max_suppression(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (boxes, scores) = (cx.shape(0)?, cx.shape(1)?);
    let ([n, count, _], [_, classes, _]) = (&boxes[..], &scores[..]) else {
        return invalid!("boxes of rank {}, scores of rank {}", boxes.len(), scores.len());
    };
    // A sum over all levels of a pyramid gets a name, so that its square stays short.
    let count = match count.term_count() {
        0..8 => count.clone(),
        _ => (cx.fresh)("boxes", Some(count.clone())),
    };
    // Exporters write "as many as there are" as the largest integer.
    let least = |most: &Dim| match most.as_const() {
        Some(most) if most >= i128::from(i32::MAX) => count.clone(),
        _ => most.minimum(&count),
    };
    let per_class = match cx.optional(2) {
        Some(info) => info.ints().and_then(|v| v.first().map(least)),
        None => Some(Dim::ZERO),
    };
    let per_class = per_class.unwrap_or_else(|| count.clone());
    let most = n.clone() * classes.clone() * per_class.clone();
    let chosen = match kept(cx, [n, classes, &count, &per_class]) {
        Some(kept) => kept,
        None if most.is_zero() => Dim::ZERO,
        None => (cx.fresh)("chosen", Some(most)),
    };
    let output = TensorInfo::new(Some(DType::I64), vec![chosen, Dim::from(3)]);
    let overlaps = n.clone() * classes.clone() * count * per_class * Dim::from(16);
    Ok(Effect::one(output).other(overlaps).bound().integer(false))
}

/// How many boxes stay in all, where boxes, scores and limits are constants.
fn kept(cx: &OpCx<'_>, sizes: [&Dim; 4]) -> Option<Dim> {
    #[allow(clippy::cast_possible_truncation)]
    let floats = |port: usize| -> Option<Vec<f32>> {
        let value = cx.optional(port)?.value.as_ref()?;
        value.iter().map(|e| e.as_f64().map(|x| x as f32)).collect()
    };
    // A limit that is given but not known leaves the answer open.
    let limit = |port: usize| match cx.optional(port) {
        None => Some(None),
        Some(_) => floats(port)?.first().map(|x| Some(*x)),
    };
    let [images, classes, count, most] = sizes.map(Dim::as_usize);
    let wanted = Suppression {
        most: most?,
        overlap: limit(3)?.unwrap_or(0.0),
        score: limit(4)?,
        centred: cx.attrs().int_or("center_point_box", 0).ok()? == 1,
    };
    wanted.kept((images?, classes?, count?), &floats(0)?, &floats(1)?).map(Dim::from)
}

fn roi_align(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (shape, rois) = (cx.shape(0)?, cx.shape(1)?);
    let (Some(c), Some(count)) = (shape.get(1), rois.first()) else {
        return invalid!("regions of rank {} over rank {}", rois.len(), shape.len());
    };
    let side = |name: &str| -> Result<Dim, OpError> { Ok(Dim::from(cx.attrs().int_or(name, 1)?)) };
    let output =
        cx.like(vec![count.clone(), c.clone(), side("output_height")?, side("output_width")?]);
    let n = output.elements().unwrap_or_default();
    // Zero means as many samples as the region needs; two is usual.
    let samples = match cx.attrs().int_or("sampling_ratio", 0)? {
        0 => 2,
        s => s,
    };
    let work = n * Dim::from(11) * Dim::from(samples) * Dim::from(samples);
    let effect = Effect::one(output).other(work);
    Ok(if cx.attrs().int_or("sampling_ratio", 0)? == 0 { effect.bound() } else { effect })
}
