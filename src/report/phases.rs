//! The two phases of a decoder that keeps a cache.

use crate::analysis::Analysis;
use crate::dim::{Bindings, Dim};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One phase: what it costs in formulas, and at the report's bindings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct PhaseReport {
    /// `prefill` (nothing is kept yet) or `decode` (one token).
    pub name: String,
    /// The symbol that the phase fixes, and at what.
    pub symbol: String,
    pub value: u64,
    pub flops: u64,
    pub compulsory_bytes: u64,
    pub intensity: Option<f64>,
    pub flops_formula: String,
    pub compulsory_bytes_formula: String,
}

/// Prefill and decode, where the model has a cache whose length is a symbol; without a phase whose numbers
/// are too large to count.
pub(super) fn phases(analysis: &Analysis, bindings: &Bindings) -> Vec<PhaseReport> {
    let cache = &analysis.cache;
    let (Some(past), Some(new)) = (&cache.past, &cache.new) else { return Vec::new() };
    let work = analysis.totals.flops.clone() + analysis.totals.int_ops.clone();
    let phase = |name: &str, symbol: &Arc<str>, value: i128| {
        let fixed: Bindings = [(symbol.clone(), value)].into();
        let mut all = bindings.clone();
        all.insert(symbol.clone(), value);
        let number = |dim: &Dim| u64::try_from(dim.eval(&all).ok()?.max(0)).ok();
        let (flops, bytes) = (work.bind(&fixed), analysis.compulsory_bytes.bind(&fixed));
        let (f, b) = (number(&flops)?, number(&bytes)?);
        Some(PhaseReport {
            name: name.to_owned(),
            symbol: symbol.to_string(),
            value: u64::try_from(value).unwrap_or(0),
            flops: f,
            compulsory_bytes: b,
            intensity: (b > 0).then(|| f as f64 / b as f64),
            flops_formula: flops.to_string(),
            compulsory_bytes_formula: bytes.to_string(),
        })
    };
    [phase("prefill", past, 0), phase("decode", new, 1)].into_iter().flatten().collect()
}
