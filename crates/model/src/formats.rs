//! Reading model files into [`Model`]s.
//!
//! Files are untrusted: every reader answers a malformed, truncated or hostile file with one
//! [`LoadError`] that names the place. Weights are mapped, never read. This floor sees the graph's
//! types and knows nothing of what operators do or cost.
//!
//! A format is a row of [`FORMATS`], recognized by what is in a file and never by its name, and a room with
//! its reader: from bytes to plain structures, and from these, by a table with a row for each operator, to
//! a graph in ONNX's vocabulary that a `Draft` writes.

mod bytes;
mod caffe;
mod census;
mod checked;
mod contents;
mod draft;
mod error;
mod json;
mod keras;
mod limits;
mod llm;
mod onnx;
mod place;
mod prototext;
mod tf;
mod tflite;
mod torch;
mod wanted;
mod wire;
mod zip;

pub use error::{LoadError, LoadErrorKind};
pub use onnx::{Sketch, Unfilled, Untranslated, translate};
pub use place::Place;
pub use wanted::{Given, Wanted};

use crate::ir::Model;
use std::path::Path;

/// A format of model files.
pub struct Format {
    /// What errors and reports call it.
    pub name: &'static str,
    /// Its name as a domain of operators, lower case; empty for ONNX, whose operators are the vocabulary.
    pub domain: &'static str,
    /// What its files usually look like, for people.
    pub files: &'static str,
    /// Which versions and kinds of it are read, in a phrase.
    pub read_of_it: &'static str,
    /// Which are not, in a phrase.
    pub not_read: &'static str,
    /// Whether a file may hold several models to choose from by name.
    pub signatures: bool,
    /// Whether its frameworks count running statistics among the parameters.
    pub statistics: bool,
    /// Whether any node may be made an output.
    pub outputs: bool,
    /// The operators of its own that are understood, with what they become in ONNX's vocabulary; empty for
    /// ONNX itself.
    pub operators: fn() -> Vec<(&'static str, &'static str)>,
    sniff: fn(&Place) -> bool,
    read: fn(&Place, &Wanted<'_>) -> Result<Model, LoadError>,
}

/// The formats that are read, tried in this order. The last takes whatever no other takes and is not known
/// to be something else: a protobuf message says nothing of what it is.
pub static FORMATS: &[Format] = &[
    Format {
        name: keras::NAME,
        domain: "keras",
        files: ".keras, .h5, .hdf5, or the JSON of `to_json()`",
        read_of_it: "Keras 2 and 3: Sequential, Functional and nested models, keras.ops",
        not_read: "subclassed models, files of weights only, Keras 1, the code of Lambda layers",
        signatures: false,
        statistics: true,
        outputs: false,
        operators: keras::operators,
        sniff: keras::sniff,
        read: keras::read,
    },
    Format {
        name: torch::NAME,
        domain: "aten",
        files: ".pt, .pth, .jit, .ptl (TorchScript), .pt2 (torch.export)",
        read_of_it: "TorchScript: traced, scripted, frozen, mobile and quantised; exported programs of torch 2.1 and later",
        not_read: "weights without a program: state_dicts, checkpoints, pickled modules; AOTInductor packages",
        signatures: true,
        statistics: false,
        outputs: false,
        operators: torch::operators,
        sniff: torch::sniff,
        read: torch::read,
    },
    Format {
        name: caffe::NAME,
        domain: "caffe",
        files: ".prototxt, .caffemodel",
        read_of_it: "text and binary, all three generations of layers, in the TEST phase; layers of SSD, R-CNN and \
                     segmentation forks",
        not_read: "solvers; what data layers read",
        operators: caffe::operators,
        signatures: false,
        statistics: true,
        outputs: false,
        sniff: caffe::sniff,
        read: caffe::read,
    },
    Format {
        name: llm::NAME,
        domain: "llm",
        files: "a folder with config.json and *.safetensors, or config.json alone",
        read_of_it: "configurations and headers of decoders, encoders and their quantised forms",
        not_read: "weights; models in the form of pickles",
        operators: Vec::new,
        signatures: true,
        statistics: false,
        outputs: false,
        sniff: llm::sniff,
        read: llm::read,
    },
    Format {
        name: llm::GGUF,
        domain: "gguf",
        files: ".gguf, and the files that one is split into",
        read_of_it: "versions 1 to 3, both byte orders, every type of block",
        not_read: "weights; adapters, vision parts and importance matrices",
        operators: Vec::new,
        signatures: false,
        statistics: false,
        outputs: false,
        sniff: llm::sniff_gguf,
        read: llm::read_gguf,
    },
    Format {
        name: tf::NAME,
        domain: tf::DOMAIN,
        files: "SavedModel folder, saved_model.pb, .pb, .pbtxt, .meta",
        read_of_it: "SavedModels and meta graphs of TensorFlow 1 and 2, frozen graphs, binary and text",
        not_read: "SavedModels in chunks (.cpb); gradients",
        signatures: true,
        statistics: true,
        outputs: true,
        operators: tf::operators,
        sniff: tf::sniff,
        read: tf::read,
    },
    Format {
        name: tflite::NAME,
        domain: "tflite",
        files: ".tflite, .lite",
        read_of_it: "schema 3: float, half, dynamic range, integers, sparse; subgraphs, variables, signatures",
        not_read: "what a delegate or a compiler for one chip has taken out of the file: unknown",
        signatures: true,
        statistics: false,
        outputs: false,
        operators: tflite::operators,
        sniff: tflite::sniff,
        read: tflite::read,
    },
    Format {
        name: onnx::NAME,
        domain: "",
        files: ".onnx, with its external data",
        read_of_it: "every IR version, operator sets up to 27, com.microsoft",
        not_read: "training information; the text form",
        operators: Vec::new,
        signatures: false,
        statistics: false,
        outputs: false,
        sniff: onnx::sniff,
        read: onnx::read,
    },
];

/// Reads the model at `path`.
pub fn load(path: &Path) -> Result<Model, LoadError> {
    load_for(path, &Wanted::default())
}

/// Reads what is `wanted` of the model at `path`.
pub fn load_for(path: &Path, wanted: &Wanted<'_>) -> Result<Model, LoadError> {
    let place = Place::at(path)?;
    read(&place, wanted).map_err(|error| error.in_file(path))
}

/// Reads a model from memory; contents kept in other files are then not available.
pub fn load_bytes(bytes: &::bytes::Bytes) -> Result<Model, LoadError> {
    load_bytes_for(bytes, &Wanted::default())
}

/// The same, of what is `wanted`.
pub fn load_bytes_for(bytes: &::bytes::Bytes, wanted: &Wanted<'_>) -> Result<Model, LoadError> {
    read(&Place::File { bytes: bytes.clone(), folder: None }, wanted)
}

/// The row of the format that a place holds.
pub fn format_of(place: &Place) -> Result<&'static Format, LoadError> {
    let all = FORMATS.len();
    let known = FORMATS[..all.saturating_sub(1)].iter().find(|format| (format.sniff)(place));
    if let Some(format) = known {
        return Ok(format);
    }
    place.other()?;
    FORMATS
        .last()
        .filter(|format| (format.sniff)(place))
        .ok_or_else(|| LoadErrorKind::Directory.into())
}

fn read(place: &Place, wanted: &Wanted<'_>) -> Result<Model, LoadError> {
    let format = format_of(place)?;
    wanted.suits(format)?;
    let mut model = (format.read)(place, wanted)?;
    model.statistics = format.statistics;
    model.translated = !format.domain.is_empty();
    if let Place::File { bytes, .. } = place {
        model.file_bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    }
    Ok(model)
}
