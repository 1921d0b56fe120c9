//! Language models without a graph: folders as the library transformers saves them, and files of llama.cpp.
//!
//! A configuration and the headers of files tell every tensor and every size; the graph is written from them, by
//! a row for each family over a few blocks. Weights are never read.

mod account;
mod blocks;
mod config;
mod decoder;
mod describe;
mod experts;
mod families;
mod folder;
mod ggml;
mod gguf;
mod llama_cpp;
mod names;
mod qwen_vision;
mod recurrent;
mod safetensors;
mod seq2seq;
mod spec;
mod tensors;
#[cfg(test)]
mod tests;
mod vision;
mod writer;

use super::draft::Draft;
use super::limits::Limits;
use super::{LoadError, LoadErrorKind, Place, Wanted};
use crate::ir::{DType, Diagnostic, Model, Severity};
use config::Config;
use describe::Layout;
use families::Row;
use seq2seq::Part;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use tensors::Tensors;
use writer::Writer;

/// As errors and lists name the format of folders.
pub(super) const NAME: &str = "Hugging Face";

/// The operator set of the newest operators that are written here.
pub(super) const OPSET: i64 = 27;

/// As they name that of llama.cpp.
pub(super) const GGUF: &str = gguf::NAME;

/// Whether this is a file of llama.cpp.
pub(super) fn sniff_gguf(place: &Place) -> bool {
    place.bytes().is_some_and(|bytes| bytes.starts_with(gguf::MAGIC))
}

/// Reads a file of llama.cpp, and those that it is split into.
pub(super) fn read_gguf(place: &Place, wanted: &Wanted<'_>) -> Result<Model, LoadError> {
    let Place::File { bytes, folder } = place else { return Err(LoadErrorKind::Directory.into()) };
    let found = llama_cpp::read(bytes, folder.as_deref())?;
    let mut model = written(&found.config, found.tensors, found.layout, wanted)?;
    (model.format, model.producer) = (found.format, found.name);
    Ok(model)
}

/// Whether this is a folder, a configuration or a file of a model without its graph.
pub(super) fn sniff(place: &Place) -> bool {
    match place {
        Place::Folder(path) => path.join("config.json").is_file(),
        Place::File { bytes, .. } => safetensors::sniff(bytes) || is_configuration(bytes),
    }
}

/// A JSON object that says the type or the class of a model.
fn is_configuration(text: &[u8]) -> bool {
    let start = text.iter().position(|b| !b.is_ascii_whitespace());
    if start.is_none_or(|at| text[at] != b'{') || text.len() > 1 << 20 {
        return false;
    }
    let said: Option<serde_json::Value> = serde_json::from_slice(text).ok();
    said.is_some_and(|said| said.get("model_type").is_some() || said.get("architectures").is_some())
}

/// Reads a folder, a configuration, or a file with its configuration beside it.
pub(super) fn read(place: &Place, wanted: &Wanted<'_>) -> Result<Model, LoadError> {
    let (text, found) = match place {
        Place::Folder(path) => (configuration(path)?, folder::tensors(path)?),
        Place::File { bytes, folder } if safetensors::sniff(bytes) => {
            let list = safetensors::read(bytes)?;
            let folder = folder.as_deref().ok_or_else(|| alone("no folder"))?;
            let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            (configuration(folder)?, Some((Tensors::of(list), size)))
        }
        Place::File { bytes, .. } => (bytes.to_vec(), None),
    };
    let config = Config::parse(&text)?;
    let (tensors, bytes) = found.unwrap_or_default();
    let mut model = written(&config, tensors, Layout::default(), wanted)?;
    model.file_bytes = bytes;
    Ok(model)
}

fn configuration(folder: &Path) -> Result<Vec<u8>, LoadError> {
    folder::text(folder, "config.json")?.ok_or_else(|| alone("no `config.json` beside it"))
}

fn alone(what: &str) -> LoadError {
    let instead = "give the folder that it came in, with `config.json`".to_owned();
    LoadErrorKind::Refused {
        what: format!("a safetensors file with {what}: weights without a program"),
        instead,
    }
    .into()
}

/// The model of a configuration and its tensors.
fn written(
    config: &Config,
    mut tensors: Tensors,
    layout: Layout,
    wanted: &Wanted<'_>,
) -> Result<Model, LoadError> {
    let text = config.text();
    let mut limits = Limits::of(0);
    let dtype = computed(&text, &tensors, &mut limits);
    let mut notes = Limits::of(0);
    let mut draft = Draft::new(&config.family, &mut limits);
    let mut writer = Writer {
        draft: &mut draft,
        tensors: &mut tensors,
        packing: text.packing(),
        dtype,
        angles: HashMap::new(),
        mask: None,
        numbers: 0,
        bytes: 0,
    };
    let (outputs, layers) = parts(&mut writer, config, &text, layout, wanted, &mut notes)?;
    account::idle(&mut writer, layers)?;
    let outputs: Vec<_> = outputs.iter().map(|(value, name)| (*value, name.as_str())).collect();
    let graph = draft.finish(&outputs)?;
    let (account, found) = tensors.close();
    let mut diagnostics = notes.diagnostics;
    diagnostics.extend(limits.diagnostics);
    diagnostics.extend(found);
    let producer = text.word("transformers_version").map(|v| format!("transformers {v}"));
    Ok(Model {
        graph,
        format: format!("{NAME} {}", config.family),
        producer: producer.unwrap_or_default(),
        opsets: BTreeMap::from([(String::new(), OPSET)]),
        diagnostics,
        tensors: Some(Box::new(account)),
        ..Model::default()
    })
}

/// The graph of what is wanted of a model, and how many layers its decoder has.
fn parts(
    w: &mut Writer<'_, '_>,
    config: &Config,
    text: &Config,
    layout: Layout,
    wanted: &Wanted<'_>,
    notes: &mut Limits,
) -> Result<(decoder::Outputs, usize), LoadError> {
    if seq2seq::knows(&config.family) {
        return Ok((seq2seq::write(w, config, side(wanted)?)?, usize::MAX));
    }
    if vision::is_pair(&config.family) {
        no_parts(wanted)?;
        return Ok((vision::pair(w, config)?, usize::MAX));
    }
    let row = row_of(text, w.tensors, notes)?;
    let spec = describe::describe(text, row, layout)?;
    let layers = spec.layers.len();
    let Some(tower) = config.part("vision_config") else {
        no_parts(wanted)?;
        return Ok((decoder::write(w, &spec)?, layers));
    };
    if !vision::knows(&tower) {
        no_parts(wanted)?;
        notes.diagnostics.push(Diagnostic {
            severity: Severity::Incomplete,
            place: "vision_config".to_owned(),
            message: format!(
                "is of the type `{}`, which is not read: the decoder alone is counted",
                tower.family
            ),
            hint: None,
        });
        return Ok((decoder::write(w, &spec)?, layers));
    }
    match wanted.signature {
        None | Some("language") => {
            w.apart(&mut |w| vision::beside(w, config, &tower, spec.hidden, true).map(drop))?;
            Ok((decoder::write(w, &spec)?, layers))
        }
        Some("vision") => {
            w.apart(&mut |w| decoder::write(w, &spec).map(drop))?;
            Ok((vision::beside(w, config, &tower, spec.hidden, false)?, layers))
        }
        Some(other) => {
            Err(unknown_part(other, "`language`, which is taken without --signature, and `vision`"))
        }
    }
}

/// Which part of an encoder with a decoder is wanted.
fn side(wanted: &Wanted<'_>) -> Result<Part, LoadError> {
    match wanted.signature {
        None => Ok(Part::Whole),
        Some("encoder") => Ok(Part::Encoder),
        Some("decoder") => Ok(Part::Decoder),
        Some(other) => {
            Err(unknown_part(other, "`encoder` and `decoder`; without --signature, both"))
        }
    }
}

fn no_parts(wanted: &Wanted<'_>) -> Result<(), LoadError> {
    wanted.signature.map_or(Ok(()), |name| Err(unknown_part(name, "none: the model is one graph")))
}

fn unknown_part(name: &str, known: &str) -> LoadError {
    let message = format!("has no part `{name}`");
    LoadErrorKind::Choice { message, known: format!("its parts are {known}") }.into()
}

/// The row of a family; that of a plain decoder where the tensors, or all sizes, say that it is one.
fn row_of(
    text: &Config,
    tensors: &Tensors,
    limits: &mut Limits,
) -> Result<&'static Row, LoadError> {
    if let Some(row) = families::find(&text.family) {
        return Ok(row);
    }
    let plain = ["self_attn.q_proj.", "self_attn.o_proj.", "mlp.down_proj."];
    let alike =
        tensors.files() && plain.iter().all(|role| tensors.any(&format!("layers.0.{role}")));
    if !alike {
        let what = format!("a model of the unknown family `{}`", text.family);
        let instead = "export it to ONNX: `optimum-cli export onnx --model FOLDER OUT`".to_owned();
        return Err(LoadErrorKind::Refused { what, instead }.into());
    }
    Ok(unknown(text, limits))
}

/// The row of a plain decoder, with a warning.
fn unknown(text: &Config, limits: &mut Limits) -> &'static Row {
    limits.diagnostics.push(Diagnostic {
        severity: Severity::Warning,
        place: text.family.clone(),
        message: "is an unknown family, read as a plain decoder".to_owned(),
        hint: Some(
            "its tensors have the names of one; parts without tensors of their own may be missing"
                .to_owned(),
        ),
    });
    families::UNKNOWN
}

/// The type of activations and caches.
fn computed(text: &Config, tensors: &Tensors, limits: &mut Limits) -> DType {
    if let Some(dtype) = text.dtype().or_else(|| tensors.usual()) {
        return dtype;
    }
    limits.diagnostics.push(Diagnostic {
        severity: Severity::Assumption,
        place: "configuration".to_owned(),
        message: "says no type of numbers: counted as f32".to_owned(),
        hint: Some("`--dtype bf16` counts another".to_owned()),
    });
    DType::F32
}
