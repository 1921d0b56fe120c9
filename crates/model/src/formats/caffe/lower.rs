//! A network from its layers, in the order of the file: which are left out, which are sources, and what each becomes.

use super::decode::{Layer, Net as File};
use super::net::{Net, Row};
use super::{activation, combine, detection, product, reshape, window};
use crate::formats::error::invalid;
use crate::formats::limits::Limits;
use crate::formats::{LoadError, Wanted};
use crate::ir::{Graph, ValueId};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// All types of layers that are understood.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    [activation::ROWS, combine::ROWS, detection::ROWS, product::ROWS, reshape::ROWS, window::ROWS]
        .into_iter()
        .flatten()
}

/// Layers of training, and those that measure or swallow: nothing of them runs in a deployed network.
const DROPPED: [&str; 12] = [
    "Accuracy",
    "ContrastiveLoss",
    "EuclideanLoss",
    "HDF5Output",
    "HingeLoss",
    "InfogainLoss",
    "MultiBoxLoss",
    "MultinomialLogisticLoss",
    "SigmoidCrossEntropyLoss",
    "Silence",
    "SmoothL1Loss",
    "SoftmaxWithLoss",
];

/// Layers that read data from elsewhere.
const SOURCES: [&str; 9] = [
    "AnnotatedData",
    "Data",
    "DummyData",
    "HDF5Data",
    "ImageData",
    "Input",
    "MemoryData",
    "VideoData",
    "WindowData",
];

/// Writes a network: its graph, and the batch that its file states.
pub(super) fn write(
    file: &File,
    limits: &mut Limits,
    wanted: &Wanted<'_>,
) -> Result<(Graph, BTreeMap<Arc<str>, u64>), LoadError> {
    let mut net = Net::new(&file.name, steps(file), limits, wanted);
    for (name, sizes) in &file.inputs {
        net.input(name, sizes)?;
    }
    let mut read: HashSet<&str> = HashSet::new();
    let mut made: Vec<&str> = Vec::new();
    for layer in &file.layers {
        if SOURCES.contains(&layer.kind.as_str()) {
            source(&mut net, layer)?;
            continue;
        }
        if dropped(layer) {
            continue;
        }
        for bottom in &layer.bottoms {
            read.insert(bottom);
        }
        for top in &layer.tops {
            // Written in place, it is not yet read.
            read.remove(top.as_str());
            made.push(top);
        }
        write_layer(&mut net, layer)?;
    }
    let mut seen = HashSet::new();
    let outputs: Vec<(ValueId, &str)> = made
        .into_iter()
        .filter(|top| !read.contains(top) && seen.insert(*top))
        .filter_map(|top| Some((net.blob(top)?.id, top)))
        .collect();
    if outputs.is_empty() {
        return Err(invalid("network", "has no layer that computes anything"));
    }
    let stated = net.stated();
    Ok((net.draft.finish(&outputs)?, stated))
}

/// A layer that reads data: its first top is an input, its others where something reads them.
fn source(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let shapes = source_shapes(layer);
    for (at, top) in layer.tops.iter().enumerate() {
        let sizes = shapes.get(at).or(shapes.first().filter(|_| every(layer)));
        let sizes = sizes.cloned().unwrap_or_default();
        if at == 0 || layer.kind == "Input" {
            net.input(top, &sizes)?;
        } else {
            net.wait(top, sizes);
        }
    }
    Ok(())
}

fn write_layer(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    match rows().find(|row| row.name == layer.kind) {
        Some(row) => (row.write)(net, layer),
        None => net.unknown(layer),
    }
}

/// Whether a layer is of training alone.
fn dropped(layer: &Layer) -> bool {
    let python = layer.kind == "Python" && layer.name.to_lowercase().contains("loss");
    DROPPED.contains(&layer.kind.as_str()) || layer.kind.ends_with("Loss") || python
}

/// Steps and sequences of the recurrent layers' second input, the marks of where a sequence goes on.
fn steps(file: &File) -> Option<(i64, i64)> {
    let recurrent = |l: &&Layer| matches!(l.kind.as_str(), "LSTM" | "RNN");
    let marks = file.layers.iter().find(recurrent)?.bottoms.get(1)?;
    let of_input = file.inputs.iter().find(|(name, _)| name == marks).map(|(_, s)| s.clone());
    let of_layer = || {
        let source = file.layers.iter().find(|l| l.tops.contains(marks) && l.kind == "Input")?;
        let at = source.tops.iter().position(|top| top == marks)?;
        let shapes = source_shapes(source);
        shapes.get(at).or(shapes.first()).cloned()
    };
    match of_input.or_else(of_layer)?[..] {
        [t, n, ..] => Some((t, n)),
        _ => None,
    }
}

/// Whether one shape is that of every top.
fn every(layer: &Layer) -> bool {
    layer.kind == "Input"
}

/// The shapes that a source states, top by top.
fn source_shapes(layer: &Layer) -> Vec<Vec<i64>> {
    let memory = layer.param("memory_data_param");
    let sides = ["batch_size", "channels", "height", "width"].map(|name| memory.int(name));
    if let [Some(n), Some(c), Some(h), Some(w)] = sides {
        return vec![vec![n, c, h, w], vec![n]];
    }
    let param =
        layer.param(if layer.kind == "DummyData" { "dummy_data_param" } else { "input_param" });
    let stated: Vec<Vec<i64>> =
        param.messages("shape").map(|shape| shape.ints("dim").collect()).collect();
    if !stated.is_empty() {
        return stated;
    }
    let side = |name: &str| param.ints(name).collect::<Vec<i64>>();
    let old = ["num", "channels", "height", "width"].map(side);
    let tops = old.iter().map(Vec::len).min().unwrap_or(0);
    (0..tops).map(|at| old.iter().map(|sizes| sizes[at]).collect()).collect()
}
