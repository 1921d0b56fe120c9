//! Where a model lies, and what is there instead of one that is read.

use super::{LoadError, LoadErrorKind, bytes};
use ::bytes::Bytes;
use std::path::{Path, PathBuf};

/// A model as it lies on disk or in memory.
pub enum Place {
    /// One file.
    File {
        /// Its contents, mapped.
        bytes: Bytes,
        /// Where files that it names may lie; none for contents from memory.
        folder: Option<PathBuf>,
    },
    /// A folder that is the model.
    Folder(PathBuf),
}

impl Place {
    /// What is at `path`.
    pub fn at(path: &Path) -> Result<Self, LoadError> {
        if path.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
        Ok(Self::File { bytes: bytes::map(path)?, folder: Some(folder) })
    }

    /// The contents, of a file.
    pub fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::File { bytes, .. } => Some(bytes),
            Self::Folder(_) => None,
        }
    }

    /// Refuses what is known to be something that this tool does not read.
    pub(super) fn other(&self) -> Result<(), LoadError> {
        match self {
            Self::File { bytes, .. } => other_file(bytes),
            Self::Folder(path) => other_folder(path),
        }
    }
}

/// How to get to a file that is read.
const EXPORT: &str = "export the model to ONNX in the framework that made it, and give that file";
const OPENVINO: &str = "give the model that it was converted from: the IR is a conversion of it";
const CORE_ML: &str =
    "give the model that it was converted from; coremltools writes no other format";
const ENGINE: &str = "an engine is compiled for one GPU; give the model that it was built from";
const PADDLE: &str = "export it with `paddle2onnx --model_dir DIR --save_file model.onnx`";
const MXNET: &str = "export it with `mx.onnx.export_model`";
const STABLE_HLO: &str = "export the model as a SavedModel or ONNX file instead";

/// Files that are told by their first bytes: these, what they are, and how to get to one that is read.
const STARTS: &[(&[u8], &str, Option<&str>)] = &[
    (b"\xff\xd8\xff", "a JPEG image", None),
    (b"\x89PNG\r\n\x1a\n", "a PNG image", None),
    (b"GIF8", "a GIF image", None),
    (b"%PDF", "a PDF document", None),
    (b"\x7fELF", "a program", None),
    (b"\x1f\x8b", "a gzip archive", Some("unpack it and give the model inside")),
    (b"BZh", "a bzip2 archive", Some("unpack it and give the model inside")),
    (b"\xfd7zXZ\x00", "an xz archive", Some("unpack it and give the model inside")),
    (b"(\xb5/\xfd", "a zstd archive", Some("unpack it and give the model inside")),
    (
        b"version https://git-lfs",
        "a Git LFS pointer, not the file it stands for",
        Some("fetch it: `git lfs pull`"),
    ),
    (b"ML\xefR", "an MLIR bytecode file (StableHLO)", Some(STABLE_HLO)),
    (b"module ", "an MLIR text (StableHLO)", Some(STABLE_HLO)),
    (b"module{", "an MLIR text (StableHLO)", Some(STABLE_HLO)),
    (b"module @", "an MLIR text (StableHLO)", Some(STABLE_HLO)),
    (b"HloModule", "an HLO text of XLA", Some(STABLE_HLO)),
    (b"ftrt", "a TensorRT engine", Some(ENGINE)),
    (b"ptrt", "a TensorRT engine", Some(ENGINE)),
    (b"PK\x03\x04", "a ZIP archive", Some(EXPORT)),
    (b"\x93NUMPY", "a NumPy array", None),
    (b"{", "a JSON text", None),
    (b"<?xml version=\"1.0\"?>\n<net", "an OpenVINO IR", Some(OPENVINO)),
    (b"<?xml version=\"1.0\" ?>\n<net", "an OpenVINO IR", Some(OPENVINO)),
    (b"<?xml version=\"1.0\"?>\r\n<net", "an OpenVINO IR", Some(OPENVINO)),
    (b"<net ", "an OpenVINO IR", Some(OPENVINO)),
    (b"<", "an XML or HTML text", None),
];

fn refused(what: &str, instead: &str) -> LoadError {
    LoadErrorKind::Refused { what: what.to_owned(), instead: instead.to_owned() }.into()
}

fn other_file(file: &[u8]) -> Result<(), LoadError> {
    let known = STARTS.iter().find(|(start, ..)| file.starts_with(start));
    match known {
        Some((_, what, Some(instead))) => return Err(refused(what, instead)),
        Some((_, what, None)) => return Err(LoadErrorKind::NotAModel(what).into()),
        None => {}
    }
    if is_mxnet_params(file) {
        return Err(refused("an MXNet file of parameters", MXNET));
    }
    if is_core_ml(file) {
        return Err(refused("a Core ML model", CORE_ML));
    }
    if is_paddle(file) {
        return Err(refused("a PaddlePaddle program", PADDLE));
    }
    if is_text(file) {
        return Err(LoadErrorKind::NotAModel("a text").into());
    }
    Ok(())
}

/// Nothing but characters that are printed, as far as one looks: the messages of a model begin with tags, which are
/// control characters.
fn is_text(file: &[u8]) -> bool {
    let start = &file[..file.len().min(512)];
    let printed = |b: &u8| *b >= b' ' && *b != 0x7f || b"\t\n\r".contains(b);
    let whole = match std::str::from_utf8(start) {
        Ok(_) => true,
        // A character that the end of what is looked at cuts in two.
        Err(error) => error.error_len().is_none() && start.len() < file.len(),
    };
    !start.is_empty() && whole && start.iter().all(printed)
}

/// A program is a list of blocks, the first of which has number 0 and, as its parent, number −1 or 0.
fn is_paddle(file: &[u8]) -> bool {
    let [0x0a, rest @ ..] = file else { return false };
    let length = rest.iter().take(10).position(|b| b & 0x80 == 0).map_or(0, |at| at + 1);
    matches!(rest.get(length..), Some([0x08, 0x00, 0x10, 0x00 | 0xff, ..]))
}

/// The mark of lists of arrays.
fn is_mxnet_params(file: &[u8]) -> bool {
    file.starts_with(&0x112_u64.to_le_bytes())
}

/// Field 1, the version of the specification, and field 2, a description that begins with features:
/// an ONNX model has no message in field 2.
fn is_core_ml(file: &[u8]) -> bool {
    let [0x08, version, 0x12, rest @ ..] = file else { return false };
    // The length of the message, then a feature of it: field 1 or 10, a message that begins with a name.
    let skipped = rest.iter().position(|b| b & 0x80 == 0).map_or(0, |at| at + 1);
    (1..=20).contains(version) && matches!(rest.get(skipped..), Some([0x0a, _, 0x0a, ..]))
}

fn other_folder(path: &Path) -> Result<(), LoadError> {
    let has = |name: &str| path.join(name).is_file();
    let ends = |end: &str| {
        let entries = std::fs::read_dir(path).into_iter().flatten().take(4096).flatten();
        entries.into_iter().any(|e| e.file_name().to_string_lossy().ends_with(end))
    };
    if has("Manifest.json") && path.join("Data").is_dir() {
        return Err(refused("a Core ML package", CORE_ML));
    }
    if ends(".pdmodel") || has("__model__") {
        return Err(refused("a folder of a PaddlePaddle model", PADDLE));
    }
    if has("saved_model.cpb") {
        let instead = "save it again below 2 GB, as a frozen graph for one";
        return Err(refused("a SavedModel in chunks", instead));
    }
    if has("variables.index") || has("checkpoint") || ends(".index") {
        let what = "a folder of a TensorFlow checkpoint: weights without a program";
        return Err(refused(
            what,
            "save the model with `model.export(DIR)` or `tf.saved_model.save`",
        ));
    }
    Ok(())
}
