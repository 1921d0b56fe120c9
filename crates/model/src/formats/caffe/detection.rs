//! Layers of detectors: priors, regions and their pooling.

use super::decode::Layer;
use super::net::{Net, Row, row};
use crate::formats::LoadError;
use crate::formats::draft::Op;
use crate::ir::ValueId;

pub(super) const ROWS: &[Row] = &[
    row("DetectionOutput", "rooflens.DetectionOutput", detection_output),
    row("PriorBox", "ConstantOfShape", prior_box),
    row("Proposal", "rooflens.Proposal", proposal),
    row("ProposalLayer", "rooflens.Proposal", proposal),
    row("Python", "rooflens.Proposal, where it is one", python),
    row("ROIPooling", "MaxRoiPool", roi_pooling),
];

/// Regions that a proposal leaves where the file does not say: Faster R-CNN's setting for tests.
const PROPOSALS: i64 = 300;

fn all(net: &mut Net<'_, '_>, layer: &Layer) -> Result<Vec<Option<ValueId>>, LoadError> {
    (0..layer.bottoms.len()).map(|at| Ok(Some(net.bottom(layer, at)?.id))).collect()
}

fn python(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let param = layer.param("python_param");
    let named = |field: &str| param.text(field).unwrap_or_default().to_lowercase();
    if named("layer").contains("proposal") || named("module").contains("proposal") {
        return proposal(net, layer);
    }
    net.unknown(layer)
}

/// Regions `[R, 5]` of scores, shifts and the image's size.
fn proposal(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let most = ["proposal_param", "region_proposal_param"]
        .into_iter()
        .find_map(|name| layer.param(name).int("post_nms_topn"))
        .unwrap_or(PROPOSALS);
    let inputs = all(net, layer)?;
    let op = Op::own("Proposal").with("most", most);
    let made = net.draft.many(&layer.name, op, &inputs, layer.tops.len().clamp(1, 2))?;
    for (at, id) in made.into_iter().enumerate() {
        net.top(layer, at, id, Some(2));
    }
    Ok(())
}

/// Boxes `[1, 1, K, 7]` of shifts, scores and priors.
fn detection_output(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let param = layer.param("detection_output_param");
    let inputs = all(net, layer)?;
    let op = Op::own("DetectionOutput")
        .with("classes", param.int("num_classes").unwrap_or(1))
        .with("most", param.int("keep_top_k").filter(|n| *n > 0).unwrap_or(-1));
    let y = net.step(layer, "", op, &inputs)?;
    net.top(layer, 0, y, Some(4));
    Ok(())
}

fn roi_pooling(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let param = layer.param("roi_pooling_param");
    let inputs = all(net, layer)?;
    let sides = ["pooled_h", "pooled_w"].map(|side| param.int(side).unwrap_or(7));
    let op = Op::onnx("MaxRoiPool")
        .with("pooled_shape", sides.to_vec())
        .with("spatial_scale", param.float("spatial_scale").unwrap_or(1.0));
    let y = net.step(layer, "", op, &inputs)?;
    net.top(layer, 0, y, Some(4));
    Ok(())
}

/// Boxes and their variances `[1, 2, 4·h·w·P]`, the same for every image of a size.
fn prior_box(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let param = layer.param("prior_box_param");
    let x = net.bottom(layer, 0)?;
    let mut ratios: Vec<f32> = vec![1.0];
    let flip = param.flag("flip").unwrap_or(true);
    for ratio in param.texts("aspect_ratio").filter_map(crate::formats::prototext::float) {
        let new = |list: &[f32], r: f32| list.iter().all(|known| (known - r).abs() >= 1e-6);
        if new(&ratios, ratio) {
            ratios.push(ratio);
            if flip && ratio != 0.0 {
                ratios.push(1.0 / ratio);
            }
        }
    }
    let sizes = param.texts("min_size").count();
    let priors = ratios.len() * sizes + param.texts("max_size").count();
    let shape = net.step(layer, "shape", Op::onnx("Shape"), &[Some(x.id)])?;
    let axes = net.draft.ints(&[2, 3])?;
    let op = Op::onnx("Gather").with("axis", 0_i64);
    let sides = net.step(layer, "sides", op, &[Some(shape), Some(axes)])?;
    let places = net.step(layer, "places", Op::onnx("ReduceProd"), &[Some(sides)])?;
    let each = net.draft.ints(&[i64::try_from(4 * priors).unwrap_or(0)])?;
    let count = net.step(layer, "count", Op::onnx("Mul"), &[Some(places), Some(each)])?;
    let first = net.draft.ints(&[1, 2])?;
    let op = Op::onnx("Concat").with("axis", 0_i64);
    let whole = net.step(layer, "whole", op, &[Some(first), Some(count)])?;
    let y = net.step(layer, "", Op::onnx("ConstantOfShape"), &[Some(whole)])?;
    net.top(layer, 0, y, Some(3));
    Ok(())
}
