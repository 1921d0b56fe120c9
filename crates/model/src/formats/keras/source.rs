//! What a file of Keras is: an archive, an HDF5 file or a JSON text, and what is found in each.

use super::super::zip::{self, Archive};
use super::super::{LoadError, LoadErrorKind};
use super::json::parse;
use super::stored::{self, Stored};
use bytes::Bytes;
use serde_json::Value;

/// A configuration unpacks to no more bytes than this.
const MAX_CONFIG: usize = 256 << 20;
/// The same of stored weights that are packed; those that are not, as Keras writes them, are never copied.
const MAX_WEIGHTS: usize = 256 << 20;

/// What a file holds.
pub(super) struct Source {
    /// The configuration of the model.
    pub(super) config: Value,
    /// The version of Keras that wrote the file, where it says so.
    pub(super) version: Option<String>,
    /// What kind of file it is, for people.
    pub(super) kind: &'static str,
    /// Shapes of the stored weights, where there are some.
    pub(super) stored: Option<Stored>,
    /// Why stored weights that are there were not read.
    pub(super) unread: Option<String>,
}

/// Refuses a file with what it is, and what to do instead.
pub(super) fn refused(what: impl Into<String>, instead: &str) -> LoadError {
    LoadErrorKind::Refused { what: what.into(), instead: instead.to_owned() }.into()
}

/// How to get a file with a graph from a model whose code is at hand.
pub(super) const EXPORT: &str = "load it in Keras and write its graph with `model.export(FOLDER)`, which rooflens reads \
                                 as a SavedModel, or `model.export(\"model.onnx\", format=\"onnx\")`";

/// Whether this is a file of Keras, by its content.
pub(super) fn sniff(file: &[u8]) -> bool {
    if zip::begins(file) {
        return is_archive(file);
    }
    file.starts_with(b"\x89HDF\r\n\x1a\n") || is_architecture(file)
}

/// Whether an archive has the entries of a `.keras` file: looked for by the names in its directory.
fn is_archive(file: &[u8]) -> bool {
    // The names of a short archive are found anywhere in it; those of a long one in its first header or at its end.
    const NEAR: usize = 1 << 16;
    let has = |part: &[u8], name: &[u8]| part.windows(name.len()).any(|w| w == name);
    let (start, end) = (&file[..file.len().min(NEAR)], &file[file.len().saturating_sub(NEAR)..]);
    let named = |name: &[u8]| has(end, name) || has(start, name);
    named(b"config.json") && (named(b"metadata.json") || named(b"model.weights"))
}

/// Whether a text is the architecture of a model: an object with a class and a configuration near its start.
fn is_architecture(file: &[u8]) -> bool {
    const NEAR: usize = 1 << 12;
    let start = &file[..file.len().min(NEAR)];
    let space = |b: &&u8| b.is_ascii_whitespace();
    let text = &start[start.iter().take_while(space).count()..];
    let has = |name: &[u8]| text.windows(name.len()).any(|w| w == name);
    text.starts_with(b"{") && has(b"\"class_name\"") && has(b"\"config\"")
        || text.starts_with(b"\"{") && has(b"\\\"class_name\\\"") && has(b"\\\"config\\\"")
}

impl Source {
    /// Reads what is needed of a file.
    pub(super) fn open(file: &Bytes) -> Result<Self, LoadError> {
        if zip::begins(file) {
            archive(file)
        } else if file.starts_with(b"\x89HDF") {
            hdf5(file)
        } else {
            let config = text(parse(file)?)?;
            let version = config.get("keras_version").and_then(Value::as_str).map(str::to_owned);
            let kind = "architecture JSON";
            Ok(Self { config, version, kind, stored: None, unread: None })
        }
    }
}

/// A configuration that was written as a JSON text inside JSON.
fn text(config: Value) -> Result<Value, LoadError> {
    match config {
        Value::String(inner) => parse(inner.as_bytes()),
        config => Ok(config),
    }
}

fn archive(file: &Bytes) -> Result<Source, LoadError> {
    let archive = Archive::open(file, super::NAME)?;
    let config = archive.find("config.json").ok_or_else(|| {
        let what = "an archive of Keras without `config.json`";
        refused(what, "save the model again with `model.save(\"model.keras\")`")
    })?;
    let config = text(parse(&archive.contents(config, MAX_CONFIG)?)?)?;
    let version = match archive.find("metadata.json") {
        Some(entry) => parse(&archive.contents(entry, MAX_CONFIG)?)?
            .get("keras_version")
            .and_then(Value::as_str)
            .map(str::to_owned),
        None => None,
    };
    let mut source = Source { config, version, kind: ".keras", stored: None, unread: None };
    if let Some(entry) = archive.find("model.weights.h5") {
        let read = archive.contents(entry, MAX_WEIGHTS);
        match read.and_then(|weights| stored::of_archive(&weights)) {
            Ok(stored) => source.stored = Some(stored),
            Err(error) => source.unread = Some(error.kind().to_string()),
        }
    }
    Ok(source)
}

fn hdf5(file: &Bytes) -> Result<Source, LoadError> {
    let root = stored::Root::open(file)?;
    let attributes = root.attributes()?;
    let find = |name: &str| attributes.iter().find(|(key, _)| key == name).map(|(_, text)| text);
    let Some(config) = find("model_config") else {
        let kind = if find("layer_names").is_some() || root.has("layers") {
            "an HDF5 file of Keras that holds weights only, without the model"
        } else {
            "an HDF5 file without a Keras model"
        };
        let instead = "save the whole model: `model.save(\"model.keras\")`, or give its architecture from \
                       `model.to_json()`";
        return Err(refused(kind, instead));
    };
    let config = text(parse(config.as_bytes())?)?;
    let version = find("keras_version").cloned();
    let mut source = Source { config, version, kind: ".h5", stored: None, unread: None };
    match root.weights() {
        Ok(stored) => source.stored = stored,
        Err(error) => source.unread = Some(error.kind().to_string()),
    }
    Ok(source)
}
