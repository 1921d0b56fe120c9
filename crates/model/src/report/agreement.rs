//! Whether formulas hold at the sizes that the numbers of a report are for.

use crate::analysis::Analysis;
use crate::dim::{Bindings, Dim};

/// The names of formulas that give other numbers at these sizes than a walk at them found. A formula
/// takes sizes under two names as equal where the model needs them so, and as more than one where one
/// would be another model.
pub(super) fn elsewhere(symbolic: &Analysis, numeric: &Analysis, at: &Bindings) -> Vec<String> {
    if std::ptr::eq(symbolic, numeric) {
        return Vec::new();
    }
    let number = |dim: &Dim| dim.eval(at).ok();
    let pair = |pick: fn(&Analysis) -> Dim| (number(&pick(symbolic)), number(&pick(numeric)));
    let peak = |a: &Analysis| a.peak_activation_bytes(at).ok();
    let counts = [
        ("macs", pair(|a| a.totals.macs.clone())),
        ("flops", pair(|a| a.totals.flops.clone())),
        ("int_ops", pair(|a| a.totals.int_ops.clone())),
        ("bytes", pair(|a| a.totals.bytes())),
        ("fused_bytes", pair(|a| a.fused_bytes.clone())),
        ("compulsory_bytes", pair(|a| a.compulsory_bytes.clone())),
        ("kv_cache_bytes", pair(|a| a.cache.bytes.clone())),
        ("peak_activation_bytes", (peak(symbolic), peak(numeric))),
    ];
    // A formula that is too long to hold is not printed, and one in sizes that have no value claims nothing.
    let differ = counts.into_iter().filter(|(_, (formula, walked))| {
        matches!((formula, walked), (Some(formula), Some(walked)) if formula != walked)
    });
    differ.map(|(name, _)| name.to_owned()).collect()
}
