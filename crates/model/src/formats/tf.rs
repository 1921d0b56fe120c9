//! The `TensorFlow` reader: `SavedModel`s, frozen graphs and meta graphs, in binary and text form.
//!
//! Graphs and functions become bodies of nodes ([`program`]); loops and branches of the first kind become nodes
//! with bodies ([`flow`]); what the outputs need ([`demand`]) is written into a graph ([`cx`]), node by node
//! ([`lower`]), by a table of rows ([`rows`]).

mod census;
mod checkpoint;
mod control;
mod cx;
mod demand;
mod dilation;
mod entry;
mod flow;
mod fold;
mod library;
mod lower;
mod messages;
mod ports;
mod program;
mod rows;
mod tensor;
#[cfg(test)]
mod tests;
mod text;
mod value;

use super::error::{invalid, malformed};
use super::limits::Limits;
use super::prototext;
use super::wire;
use super::{LoadError, LoadErrorKind, Place, Wanted};
use crate::formats::draft::{Draft, OPSET};
use crate::ir::Model;
use bytes::Bytes;
use cx::{Cx, Shared};
use entry::Entry;
use library::Library;
use messages::{GraphDef, MetaGraph, SavedModel};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// As errors and lists name the format.
pub(super) const NAME: &str = "TensorFlow";
/// As lists of operators name it.
pub(super) const DOMAIN: &str = "tf";

/// Every operator that is understood, with what it becomes.
pub(super) fn operators() -> Vec<(&'static str, &'static str)> {
    rows::operators()
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    SavedModel,
    MetaGraph,
    Graph,
}

/// What a file holds, and whether as text.
fn kind(file: &[u8]) -> Option<(Kind, bool)> {
    if let Some((name, mark)) = prototext::first_name(file) {
        let kind = match (name, mark) {
            ("saved_model_schema_version", b':') | ("meta_graphs", _) => Kind::SavedModel,
            ("meta_info_def" | "graph_def", b'{' | b':') => Kind::MetaGraph,
            ("node" | "versions" | "library", b'{') => Kind::Graph,
            _ => return binary_kind(file).map(|kind| (kind, false)),
        };
        return Some((kind, true));
    }
    binary_kind(file).map(|kind| (kind, false))
}

fn binary_kind(file: &[u8]) -> Option<Kind> {
    if is_graph(file) {
        return Some(Kind::Graph);
    }
    if is_meta_graph(file) {
        return Some(Kind::MetaGraph);
    }
    let saved = first(file, 2).is_some_and(is_meta_graph);
    (file.starts_with(&[0x08, 0x01, 0x12]) && saved).then_some(Kind::SavedModel)
}

/// The first field of this number among the first few.
fn first(message: &[u8], number: u64) -> Option<&[u8]> {
    let mut fields = wire::fields(message).take(64).map_while(|field| field);
    fields.find(|f| f.number == number).and_then(|f| f.contents)
}

/// Whether a message holds nodes: their names and operators are texts.
fn is_graph(message: &[u8]) -> bool {
    let numbers =
        wire::fields(message).take(4).map_while(|f| f).all(|f| (1..=5).contains(&f.number));
    let text = |node: &[u8], number| {
        let text = first(node, number).and_then(|t| std::str::from_utf8(t).ok());
        text.is_some_and(|t| !t.is_empty() && !t.contains(|c: char| c.is_control()))
    };
    numbers && first(message, 1).is_some_and(|node| text(node, 1) && text(node, 2))
}

fn is_meta_graph(message: &[u8]) -> bool {
    first(message, 2).is_some_and(is_graph)
}

/// The file of a `SavedModel` in a folder.
fn in_folder(folder: &Path) -> Option<PathBuf> {
    let names = ["saved_model.pb", "saved_model.pbtxt"];
    names.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

/// Whether a place holds what this reader reads.
pub(super) fn sniff(place: &Place) -> bool {
    match place {
        Place::File { bytes, .. } => kind(bytes).is_some(),
        Place::Folder(folder) => in_folder(folder).is_some(),
    }
}

/// Reads a model.
pub(super) fn read(place: &Place, wanted: &Wanted<'_>) -> Result<Model, LoadError> {
    match place {
        Place::File { bytes, folder } => file(bytes, folder.as_deref(), wanted),
        Place::Folder(folder) => {
            let path = in_folder(folder).ok_or(LoadErrorKind::Directory)?;
            let bytes = super::bytes::map(&path)?;
            let mut model = file(&bytes, Some(folder), wanted)?;
            model.file_bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            Ok(model)
        }
    }
}

fn file(bytes: &Bytes, folder: Option<&Path>, wanted: &Wanted<'_>) -> Result<Model, LoadError> {
    let Some((kind, as_text)) = kind(bytes) else {
        return Err(malformed(NAME, "it is no graph and no SavedModel"));
    };
    let bytes =
        &if as_text { Bytes::from(text::binary(bytes, text_fields(kind))?) } else { bytes.clone() };
    let (entry, title) = match kind {
        Kind::SavedModel => {
            census::check(bytes, census::Kind::SavedModel)?;
            let saved: SavedModel = tensor::decoded(bytes)?;
            (entry::serving(&saved)?, "SavedModel")
        }
        Kind::MetaGraph => {
            census::check(bytes, census::Kind::MetaGraph)?;
            (tensor::decoded::<MetaGraph>(bytes)?, "meta graph")
        }
        Kind::Graph => {
            census::check(bytes, census::Kind::Graph)?;
            let graph: GraphDef = tensor::decoded(bytes)?;
            (MetaGraph { graph: Some(graph), ..MetaGraph::default() }, "graph")
        }
    };
    let mut model = model(&entry, kind, folder, wanted, bytes.len())?;
    let form = if as_text { ", as text" } else { "" };
    model.format = format!("{NAME} {title}{form}");
    let version = entry.info.map(|info| info.tensorflow_version).unwrap_or_default();
    model.producer = if version.is_empty() { String::new() } else { format!("{NAME} {version}") };
    Ok(model)
}

fn text_fields(kind: Kind) -> &'static [(&'static str, u64, text::Kind)] {
    match kind {
        Kind::SavedModel => &text::SAVED_MODEL,
        Kind::MetaGraph => &text::META_GRAPH,
        Kind::Graph => &text::GRAPH,
    }
}

fn model(
    meta: &MetaGraph,
    kind: Kind,
    folder: Option<&Path>,
    wanted: &Wanted<'_>,
    file_bytes: usize,
) -> Result<Model, LoadError> {
    let graph = meta.graph.as_ref().ok_or_else(|| malformed(NAME, "it has no graph"))?;
    let functions = graph.library.as_ref().map(|l| &l.functions[..]).unwrap_or_default();
    let mut library = Library::of(functions)?;
    let Entry { body, inputs, outputs, variable } =
        entry::choose(meta, graph, kind == Kind::SavedModel, wanted, &mut library)?;
    let mut limits = Limits::of(file_bytes);
    let mut draft = Draft::new("graph", &mut limits);
    let mut args = Vec::new();
    for (at, input) in inputs.iter().enumerate() {
        args.push(entry::input(&mut draft, input, at, &wanted.given)?);
    }
    let mut shared = Shared {
        library,
        demands: demand::Demands::default(),
        variables: HashMap::new(),
        checkpoint: checkpoint::Shapes::beside(folder),
        variable,
        graphs: 0,
        lower: lower::node,
    };
    let body = Arc::new(body);
    let all = vec![true; body.returns.len()];
    let mut cx = Cx { draft: &mut draft, shared: &mut shared, graph: 0, depth: 0 };
    let found = cx.run(&body, &args, &all)?;
    let mut ends = Vec::new();
    for (val, name) in found.iter().zip(&outputs) {
        if val.is_nothing() {
            return Err(invalid(format!("output `{name}`"), "carries no data"));
        }
        ends.push((cx.id(val)?, name.as_str()));
    }
    let graph = draft.finish(&ends)?;
    let opsets = [(String::new(), OPSET)].into_iter().collect();
    Ok(Model { graph, opsets, diagnostics: limits.diagnostics, ..Model::default() })
}
