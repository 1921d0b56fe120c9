//! The two phases of a decoder that keeps a cache.

use crate::analysis::Analysis;
use crate::dim::{Bindings, Dim};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Tokens of a prefill, and those kept before a decode step, where no size was given.
const TYPICAL: i128 = 128;

/// One phase: what it costs in formulas, and at the report's bindings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct PhaseReport {
    /// `prefill` (nothing is kept yet) or `decode` (one token).
    pub name: String,
    /// The symbol that the phase fixes, and at what.
    pub symbol: String,
    pub value: u64,
    /// Sizes that the numbers are for although none was given, with their values.
    #[serde(default)]
    pub assumed: BTreeMap<String, u64>,
    pub flops: u64,
    pub compulsory_bytes: u64,
    /// Operations per compulsory byte.
    pub intensity: Option<f64>,
    pub flops_formula: String,
    pub compulsory_bytes_formula: String,
}

/// Prefill and decode, where the model has a cache whose length is a symbol; without a phase whose numbers
/// are too large to count. Of `bindings`, somebody gave those in `given`: a length that nobody gave is 128
/// tokens here.
pub(super) fn phases(
    analysis: &Analysis,
    bindings: &Bindings,
    given: &Bindings,
) -> Vec<PhaseReport> {
    let cache = &analysis.cache;
    let (Some(past), Some(new)) = (&cache.past, &cache.new) else { return Vec::new() };
    let work = analysis.totals.flops.clone() + analysis.totals.int_ops.clone();
    let phase = |name: &str, symbol: &Arc<str>, value: i128, open: &Arc<str>| {
        let fixed: Bindings = [(symbol.clone(), value)].into();
        let mut all = bindings.clone();
        all.insert(symbol.clone(), value);
        let mut assumed = BTreeMap::new();
        if !given.contains_key(open) {
            all.insert(open.clone(), TYPICAL);
            assumed.insert(open.to_string(), u64::try_from(TYPICAL).unwrap_or(0));
        }
        let number = |dim: &Dim| u64::try_from(dim.eval(&all).ok()?.max(0)).ok();
        let (flops, bytes) = (work.bind(&fixed), analysis.compulsory_bytes.bind(&fixed));
        let (f, b) = (number(&flops)?, number(&bytes)?);
        Some(PhaseReport {
            name: name.to_owned(),
            symbol: symbol.to_string(),
            value: u64::try_from(value).unwrap_or(0),
            assumed,
            flops: f,
            compulsory_bytes: b,
            intensity: (b > 0).then(|| f as f64 / b as f64),
            flops_formula: flops.to_string(),
            compulsory_bytes_formula: bytes.to_string(),
        })
    };
    [phase("prefill", past, 0, new), phase("decode", new, 1, past)].into_iter().flatten().collect()
}
