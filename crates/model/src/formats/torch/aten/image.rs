//! Images, boxes and grids.

use super::super::super::draft::Op;
use super::super::site::Site;
use super::super::value::{Lowered, Tensor, Value, unable};
use super::{Args, Row, own, signed, single};
use crate::ir::DType;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    own("upsample_nearest1d", "Resize", nearest::<1>), own("upsample_nearest2d", "Resize", nearest::<2>), own("upsample_nearest3d", "Resize", nearest::<3>), own("_upsample_nearest_exact1d", "Resize", nearest::<1>), own("_upsample_nearest_exact2d", "Resize", nearest::<2>), own("_upsample_nearest_exact3d", "Resize", nearest::<3>),
    own("upsample_linear1d", "Resize", linear::<1>), own("upsample_bilinear2d", "Resize", linear::<2>), own("upsample_trilinear3d", "Resize", linear::<3>), own("_upsample_bilinear2d_aa", "Resize", linear::<2>), own("upsample_bicubic2d", "Resize", cubic), own("_upsample_bicubic2d_aa", "Resize", cubic),
    own("pixel_shuffle", "DepthToSpace", pixel_shuffle), own("pixel_unshuffle", "SpaceToDepth", pixel_unshuffle), own("channel_shuffle", "Reshape, Transpose", channel_shuffle), own("native_channel_shuffle", "Reshape, Transpose", channel_shuffle), own("grid_sampler", "GridSample", grid_sampler), own("grid_sampler_2d", "GridSample", grid_sampler), own("grid_sampler_3d", "GridSample", grid_sampler), own("affine_grid_generator", "AffineGrid", affine_grid), own("col2im", "Col2Im", col2im), own("im2col", "own windows", im2col),
    own("torchvision::nms", "NonMaxSuppression", nms), own("torchvision::roi_align", "RoiAlign", roi_align), own("torchvision::_roi_align", "RoiAlign", roi_align), own("torchvision::roi_pool", "MaxRoiPool", roi_pool), own("torchvision::deform_conv2d", "DeformConv", deform_conv), own("torchvision::_deform_conv2d", "DeformConv", deform_conv),
];

// What most rows end with.
#[allow(clippy::unnecessary_wraps)]
fn tensor(made: Tensor) -> Lowered<Value> {
    Ok(Value::Tensor(made))
}

/// To these sizes, or by these factors, from this argument on: the factors are a list, or one each.
fn resized(
    site: &mut Site<'_, '_>,
    arguments: &Args,
    axes: usize,
    at: usize,
    op: Op,
) -> Lowered<Value> {
    let x = arguments.x()?;
    let spatial: Vec<i64> = (0..signed(axes)).map(|axis| axis + 2).collect();
    let op = op.with("axes", spatial);
    if let Some(sizes) = arguments.list(1, "output_size") {
        let sizes = site.list(&sizes)?;
        return tensor(site.emit(op, &[Some(&x), None, None, Some(&sizes)])?);
    }
    let factors = arguments.list(at, "scale_factors").unwrap_or_default();
    let factors: Option<Vec<f64>> = factors.iter().map(Value::as_float).collect();
    let factors = factors.unwrap_or_default();
    if factors.is_empty() {
        return unable("neither sizes nor factors are known");
    }
    let factors: Vec<f32> = factors.into_iter().map(single).collect();
    let factors = site.floats(&factors)?;
    tensor(site.emit(op, &[Some(&x), None, Some(&factors), None])?)
}

fn nearest<const AXES: usize>(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let op = Op::onnx("Resize").with("mode", "nearest");
    let op = op.with("nearest_mode", "floor").with("coordinate_transformation_mode", "asymmetric");
    resized(site, arguments, AXES, 2, op)
}

fn aligned(op: Op, arguments: &Args) -> Op {
    let mode = if arguments.flag(2, "align_corners") { "align_corners" } else { "half_pixel" };
    op.with("coordinate_transformation_mode", mode)
}

fn linear<const AXES: usize>(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let op = aligned(Op::onnx("Resize").with("mode", "linear"), arguments);
    resized(site, arguments, AXES, 3, op)
}

fn cubic(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let op = aligned(Op::onnx("Resize").with("mode", "cubic"), arguments);
    resized(site, arguments, 2, 3, op)
}

fn pixel_shuffle(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let block = arguments.int(1, "upscale_factor", 1)?;
    let op = Op::onnx("DepthToSpace").with("blocksize", block).with("mode", "CRD");
    tensor(site.unary(op, &arguments.x()?)?)
}

fn pixel_unshuffle(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let block = arguments.int(1, "downscale_factor", 1)?;
    tensor(site.unary(Op::onnx("SpaceToDepth").with("blocksize", block), &arguments.x()?)?)
}

fn channel_shuffle(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let groups = arguments.int(1, "groups", 1)?;
    let Some(rank) = x.rank().filter(|rank| *rank >= 2) else {
        return unable("the number of axes is not known");
    };
    let mut sizes = vec![site.size(&x, 0)?, Value::Int(groups), Value::Int(-1)];
    for axis in 2..rank {
        sizes.push(site.size(&x, signed(axis))?);
    }
    let shape = site.list(&sizes)?;
    let parts = site.reshape(&x, &shape)?.ranked(Some(rank + 1));
    let mut order: Vec<i64> = (0..=signed(rank)).collect();
    order.swap(1, 2);
    let turned = site.transpose(&parts, &order)?;
    let shape = site.shape(&x)?;
    tensor(site.reshape(&turned, &shape)?.ranked(Some(rank)))
}

fn grid_sampler(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (x, grid) = (arguments.x()?, arguments.tensor(1, "grid")?);
    let mode = match arguments.int(2, "interpolation_mode", 0)? {
        1 => "nearest",
        2 => "cubic",
        _ => "linear",
    };
    let op = Op::onnx("GridSample")
        .with("mode", mode)
        .with("align_corners", i64::from(arguments.flag(4, "align_corners")));
    tensor(site.emit(op, &[Some(&x), Some(&grid)])?)
}

fn affine_grid(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let theta = arguments.tensor(0, "theta")?;
    let Some(size) = arguments.list(1, "size") else { return unable("no size is given") };
    let rank = size.len();
    let size = site.list(&size)?;
    tensor(site.emit(Op::onnx("AffineGrid"), &[Some(&theta), Some(&size)])?.ranked(Some(rank)))
}

/// `x, output size, kernel, dilation, padding, stride`.
fn col2im(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let Some(size) = arguments.list(1, "output_size") else { return unable("no size is given") };
    let size = site.list(&size)?;
    let kernel = site.ints(&arguments.sizes(2, "kernel_size", 2, 1)?)?;
    let pads = arguments.sizes(4, "padding", 2, 0)?;
    let op = Op::onnx("Col2Im")
        .with("dilations", arguments.sizes(3, "dilation", 2, 1)?)
        .with("pads", [pads.clone(), pads].concat())
        .with("strides", arguments.sizes(5, "stride", 2, 1)?);
    tensor(site.emit(op, &[Some(&x), Some(&size), Some(&kernel)])?.ranked(Some(4)))
}

/// `x, kernel, dilation, padding, stride`: windows as columns.
fn im2col(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let op = Op::own("Columns")
        .with("kernel_shape", arguments.sizes(1, "kernel_size", 2, 1)?)
        .with("dilations", arguments.sizes(2, "dilation", 2, 1)?)
        .with("pads", arguments.sizes(3, "padding", 2, 0)?)
        .with("strides", arguments.sizes(4, "stride", 2, 1)?);
    tensor(site.unary(op, &arguments.x()?)?.ranked(Some(3)))
}

/// `boxes, scores, threshold`: the numbers of the boxes that stay.
fn nms(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (boxes, scores) = (arguments.tensor(0, "dets")?, arguments.tensor(1, "scores")?);
    let boxes = site.unsqueeze(&boxes, &[0])?;
    let most = site.size(&scores, 0)?;
    let scores = site.unsqueeze(&scores, &[0, 1])?;
    let most = site.list(&[most])?;
    let threshold = site.floats(&[single(arguments.float(2, "iou_threshold", 0.5))])?;
    let inputs = [Some(&boxes), Some(&scores), Some(&most), Some(&threshold)];
    let kept = site.emit(Op::onnx("NonMaxSuppression"), &inputs)?;
    let kept = kept.ranked(Some(2)).typed(Some(DType::I64));
    let column = site.int(2)?;
    let op = Op::onnx("Gather").with("axis", 1_i64);
    tensor(site.emit(op, &[Some(&kept), Some(&column)])?.ranked(Some(1)))
}

/// The boxes of `[K, 5]`, whose first column is the image.
fn regions(site: &mut Site<'_, '_>, rois: &Tensor) -> Lowered<(Tensor, Tensor)> {
    let (start, end, axis) = (site.ints(&[1])?, site.ints(&[5])?, site.ints(&[1])?);
    let boxes =
        site.emit(Op::onnx("Slice"), &[Some(rois), Some(&start), Some(&end), Some(&axis)])?;
    let first = site.int(0)?;
    let op = Op::onnx("Gather").with("axis", 1_i64);
    let images = site.emit(op, &[Some(rois), Some(&first)])?.ranked(Some(1));
    Ok((boxes, site.cast(&images, DType::I64)?))
}

fn roi_align(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (x, rois) = (arguments.tensor(0, "input")?, arguments.tensor(1, "rois")?);
    let (boxes, images) = regions(site, &rois)?;
    let op = Op::onnx("RoiAlign")
        .with("spatial_scale", single(arguments.float(2, "spatial_scale", 1.0)))
        .with("output_height", arguments.int(3, "pooled_height", 1)?)
        .with("output_width", arguments.int(4, "pooled_width", 1)?)
        .with("sampling_ratio", arguments.int(5, "sampling_ratio", -1)?.max(0));
    tensor(site.emit(op, &[Some(&x), Some(&boxes), Some(&images)])?.ranked(Some(4)))
}

fn roi_pool(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (x, rois) = (arguments.tensor(0, "input")?, arguments.tensor(1, "rois")?);
    let size = vec![arguments.int(3, "pooled_height", 1)?, arguments.int(4, "pooled_width", 1)?];
    let op = Op::onnx("MaxRoiPool")
        .with("pooled_shape", size)
        .with("spatial_scale", single(arguments.float(2, "spatial_scale", 1.0)));
    let made = site.emit(op, &[Some(&x), Some(&rois)])?;
    let rest = Value::Absent("the places of a pool over regions are read");
    Ok(Value::tuple(vec![Value::Tensor(made), rest]))
}

/// `x, weight, offset, mask, bias, strides, pads, dilations, groups, groups of offsets, whether there is a mask`.
fn deform_conv(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (x, weight) = (arguments.tensor(0, "input")?, arguments.tensor(1, "weight")?);
    let offset = arguments.tensor(2, "offset")?;
    let masked = arguments.get(13, "use_mask").is_none() || arguments.flag(13, "use_mask");
    let mask = if masked { arguments.maybe(3, "mask")? } else { None };
    let bias = arguments.maybe(4, "bias")?;
    let two = |at: usize, names: [&str; 2], default: i64| -> Lowered<Vec<i64>> {
        Ok(vec![arguments.int(at, names[0], default)?, arguments.int(at + 1, names[1], default)?])
    };
    let pads = two(7, ["pad_h", "pad_w"], 0)?;
    let op = Op::onnx("DeformConv")
        .with("strides", two(5, ["stride_h", "stride_w"], 1)?)
        .with("pads", [pads.clone(), pads].concat())
        .with("dilations", two(9, ["dilation_h", "dilation_w"], 1)?)
        .with("group", arguments.int(11, "groups", 1)?)
        .with("offset_group", arguments.int(12, "offset_groups", 1)?);
    let inputs = [Some(&x), Some(&weight), Some(&offset), bias.as_ref(), mask.as_ref()];
    tensor(site.emit(op, &inputs)?)
}
