//! Files with weights and no program: what they are, by the first thing in their pickle.

use super::super::LoadError;
use super::super::error::malformed;
use super::pickle::{Part, Pickle, read};

/// The number with which `torch.save` began until version 1.6.
const LEGACY: &[u8] = &[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// What a pickle of `torch.save` holds, with its article.
pub(super) fn what(pickle: &Pickle) -> String {
    let weights = |what: &str| format!("{what}: weights without a program");
    match pickle.part(pickle.root) {
        Part::Call { callee, .. } => {
            let name = pickle.global(*callee).unwrap_or_default();
            match name.rsplit_once(' ') {
                Some((_, "OrderedDict")) => weights("a state_dict of PyTorch"),
                Some((_, tensor)) if tensor.starts_with("_rebuild_") => {
                    weights("a tensor of PyTorch")
                }
                Some((module, class)) => {
                    let class =
                        rooflens_ground::text::shown(&format!("{module}.{class}")).into_owned();
                    weights(&format!("a pickled module of the class `{class}`"))
                }
                None => weights("a pickle of PyTorch"),
            }
        }
        Part::Dict(entries) => {
            let has = |word: &str| {
                entries
                    .iter()
                    .any(|(key, _)| pickle.text(*key).is_some_and(|key| key.contains(word)))
            };
            let checkpoint = has("state_dict") || has("optimizer") || has("epoch") || has("model");
            weights(if checkpoint { "a checkpoint of PyTorch" } else { "a state_dict of PyTorch" })
        }
        _ => weights("a pickle of PyTorch"),
    }
}

/// What a pickle outside an archive holds: one of `torch.save` before 1.6, or another.
pub(super) fn bare(bytes: &[u8]) -> Result<String, LoadError> {
    let first = read(bytes)?;
    if !matches!(first.part(first.root), Part::Long(number) if number == LEGACY) {
        return Ok(what(&first).replace(" of PyTorch", ""));
    }
    let mut rest = bytes.get(first.length..).unwrap_or_default();
    // Version and machine stand before the contents.
    for _ in 0..2 {
        let skipped = read(rest)?.length;
        rest = rest.get(skipped..).unwrap_or_default();
    }
    if rest.is_empty() {
        return Err(malformed(super::NAME, "it ends before its contents"));
    }
    Ok(what(&read(rest)?))
}
