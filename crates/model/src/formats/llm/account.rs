//! Tensors that no part of the graph takes: known to be left alone by a run, or unknown.

use super::tensors::Tensor;
use super::writer::Writer;
use crate::formats::LoadError;

/// Parts of names of tensors that a run does not read.
const IDLE: &[&str] = &[
    "mtp.",
    "nextn.",
    "rotary_emb.",
    "inv_freq",
    "masked_bias",
    "attn.bias",
    "attention.bias",
    "position_ids",
    "pooler.",
    "e_score_correction_bias",
    "exp_probs_b",
    "rope_freqs",
    "rope_factors",
    "lm_head.",
    "k_scale",
    "v_scale",
    "output.weight",
    "cls.",
    "rel_pos",
];

/// Stores what is left, for its bytes, and tells apart what is known to be idle.
pub(super) fn idle(w: &mut Writer<'_, '_>, layers: usize) -> Result<(), LoadError> {
    let left =
        w.tensors.left(&|name| IDLE.iter().any(|part| name.contains(part)) || beyond(name, layers));
    // One value for each kind of tensor: their number is without bound, and nothing reads them.
    let mut kinds: std::collections::BTreeMap<String, Tensor> = std::collections::BTreeMap::new();
    for (name, tensor) in left {
        let kind: String = numberless(&name);
        let bytes = tensor.bytes;
        kinds
            .entry(kind)
            .and_modify(|sum| sum.bytes = sum.bytes.saturating_add(bytes))
            .or_insert(tensor);
    }
    for (name, tensor) in kinds {
        w.raw(&name, &tensor)?;
    }
    Ok(())
}

/// A name with a star for each number in it.
fn numberless(name: &str) -> String {
    let parts = name
        .split('.')
        .map(|part| if part.bytes().all(|b| b.is_ascii_digit()) { "*" } else { part });
    parts.collect::<Vec<_>>().join(".")
}

/// Whether a tensor is of a layer behind the last one that the configuration has.
fn beyond(name: &str, layers: usize) -> bool {
    let mut parts = name.split('.');
    let numbered = parts.find(|part| matches!(*part, "layers" | "blk" | "h" | "blocks"));
    let number = numbered.and_then(|_| parts.next()?.parse::<usize>().ok());
    number.is_some_and(|number| number >= layers)
}
