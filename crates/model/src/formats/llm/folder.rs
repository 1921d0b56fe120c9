//! Which files of a folder are the model: those that its index names, or the one of the usual name.

use super::safetensors;
use super::tensors::{Tensor, Tensors};
use crate::formats::error::{invalid, malformed};
use crate::formats::{LoadError, bytes};
use std::collections::BTreeSet;
use std::path::Path;

/// A configuration, or an index, of a real model is no longer.
const MAX_TEXT: u64 = 64 << 20;
/// No model is in more files.
const MAX_SHARDS: usize = 4096;
const INDEX: &str = "model.safetensors.index.json";
const SINGLE: &[&str] = &["model.safetensors", "diffusion_pytorch_model.safetensors"];

/// A text file of a folder, if it is there.
pub(super) fn text(folder: &Path, name: &str) -> Result<Option<Vec<u8>>, LoadError> {
    let path = folder.join(name);
    let Ok(meta) = std::fs::metadata(&path) else { return Ok(None) };
    if meta.len() > MAX_TEXT {
        return Err(invalid(
            format!("`{name}`"),
            format!("has {} bytes, of at most {MAX_TEXT}", meta.len()),
        ));
    }
    let text = std::fs::read(&path)
        .map_err(|error| LoadError::from(crate::formats::LoadErrorKind::from(error)))?;
    Ok(Some(text))
}

/// The tensors of a folder's files, and the bytes of these; none without files.
pub(super) fn tensors(folder: &Path) -> Result<Option<(Tensors, u64)>, LoadError> {
    let (names, mapped) = match text(folder, INDEX)? {
        Some(index) => index_of(&index)?,
        None => {
            let single = SINGLE.iter().find(|name| folder.join(name).is_file());
            (single.into_iter().map(|name| (*name).to_owned()).collect(), Vec::new())
        }
    };
    if names.is_empty() {
        return Ok(None);
    }
    let (mut list, mut bytes_of_files, mut absent) = (Vec::new(), 0_u64, BTreeSet::new());
    for name in &names {
        let path = folder.join(name);
        if !path.exists() {
            absent.insert(name.as_str());
            continue;
        }
        let (tensors, bytes) = one(&path)?;
        list.extend(tensors);
        bytes_of_files = bytes_of_files.saturating_add(bytes);
    }
    if absent.len() == names.len() {
        return Ok(None);
    }
    let mut tensors = Tensors::of(list);
    let lacking = mapped.iter().filter(|(_, file)| absent.contains(file.as_str()));
    tensors.lack(lacking.map(|(tensor, _)| tensor.clone()).collect());
    Ok(Some((tensors, bytes_of_files)))
}

/// The tensors of one file, and its bytes.
fn one(path: &Path) -> Result<(Vec<(String, Tensor)>, u64), LoadError> {
    let file = bytes::map(path)?;
    let tensors = safetensors::read(&file).map_err(|error| error.in_file(path))?;
    Ok((tensors, u64::try_from(file.len()).unwrap_or(u64::MAX)))
}

/// Names of tensors with their files.
type Mapped = Vec<(String, String)>;

/// The files that an index names, each once, and which tensor is in which.
fn index_of(text: &[u8]) -> Result<(BTreeSet<String>, Mapped), LoadError> {
    let wrong = |why: String| malformed(safetensors::NAME, format!("`{INDEX}` {why}"));
    let index: serde_json::Value =
        serde_json::from_slice(text).map_err(|error| wrong(format!("is no JSON: {error}")))?;
    let Some(map) = index.get("weight_map").and_then(serde_json::Value::as_object) else {
        return Err(wrong("has no `weight_map`".to_owned()));
    };
    let (mut names, mut mapped) = (BTreeSet::new(), Vec::with_capacity(map.len()));
    for (tensor, file) in map {
        let Some(file) = file.as_str().filter(|name| is_plain(name)) else {
            return Err(wrong(format!("names no file of the folder for `{tensor}`")));
        };
        names.insert(file.to_owned());
        mapped.push((tensor.clone(), file.to_owned()));
    }
    if names.len() > MAX_SHARDS {
        return Err(wrong(format!("names {} files, of at most {MAX_SHARDS}", names.len())));
    }
    Ok((names, mapped))
}

/// Whether a name stays inside its folder.
fn is_plain(name: &str) -> bool {
    let parts: Vec<_> = Path::new(name).components().collect();
    matches!(parts[..], [std::path::Component::Normal(_)])
}
