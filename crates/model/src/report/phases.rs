//! The two phases of a decoder that keeps a cache.

use crate::analysis::{Analysis, Cache};
use crate::dim::{Bindings, Dim};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Tokens of a prefill, and those kept before a decode step, where no size was given.
const TYPICAL: i128 = 128;

rooflens_ground::words! {
    /// A phase of a decoder.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum PhaseKind {
        /// Nothing is kept yet, or many tokens are new.
        Prefill = "prefill",
        /// One token is new.
        Decode = "decode",
    }
}

/// One phase: what it costs in formulas, and at the report's bindings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PhaseReport {
    /// Which.
    pub name: PhaseKind,
    /// The symbol that the phase fixes.
    pub symbol: String,
    /// The value that the phase fixes it at.
    pub value: u64,
    /// Sizes that the numbers are for although none was given, with their values.
    #[serde(default)]
    pub assumed: BTreeMap<String, u64>,
    /// Operations, floating and integer; a multiply-accumulate counts as two.
    pub flops: u64,
    /// Bytes of inputs, weights and outputs once.
    pub compulsory_bytes: u64,
    /// Of `flops`, what no kernel can skip: without padding, masked scores, products that fast convolutions
    /// spare, and data-dependent work.
    #[serde(default)]
    #[serde(alias = "least_operations")]
    pub lower_bound_operations: u64,
    /// Of `compulsory_bytes`, those that move whatever the data are.
    #[serde(default)]
    #[serde(alias = "least_bytes")]
    pub lower_bound_bytes: u64,
    /// Operations per compulsory byte.
    pub intensity: Option<f64>,
    /// `flops` in the model's symbols.
    pub flops_formula: String,
    /// `compulsory_bytes` in the model's symbols.
    pub compulsory_bytes_formula: String,
}

/// Work of a whole model and the bytes that it must move, as counted, and what no run goes below.
pub(super) struct Work {
    /// Operations, floating and integer.
    pub(super) operations: u64,
    /// Of these, without padding, masked scores, products that fast convolutions spare, and nodes whose cost
    /// is a bound.
    pub(super) lower_bound_operations: u64,
    /// Compulsory bytes.
    pub(super) bytes: u64,
    /// Of these, bytes that move whatever the data are.
    pub(super) lower_bound_bytes: u64,
}

/// The length of the mask, where it has a symbol of its own: what is kept and what is new. A mask over a
/// cache of fixed length has that length, whatever is new.
pub(super) fn total(cache: &Cache) -> Option<(Arc<str>, Dim)> {
    let sum = Dim::symbol(cache.past.as_ref()?) + Dim::symbol(cache.new.as_ref()?);
    Some((cache.total.clone()?, sum))
}

/// Prefill and decode, where the model has a cache and the number of new tokens is a symbol; without a phase
/// whose numbers are too large to count. Of `bindings`, somebody gave those in `given`: a length that nobody
/// gave is 128 tokens here. A cache of fixed length is filled by any number of new tokens. `work` counts at sizes
/// of which data-dependent ones are given only where somebody gave them.
pub(super) fn phases(
    analysis: &Analysis,
    bindings: &Bindings,
    given: &Bindings,
    work: &dyn Fn(&Bindings) -> Option<Work>,
) -> Vec<PhaseReport> {
    let cache = &analysis.cache;
    let Some(new) = &cache.new else { return Vec::new() };
    let phase = |name: PhaseKind, symbol: &Arc<str>, value: i128, open: Option<&Arc<str>>| {
        let mut all = bindings.clone();
        // The most that a data-dependent size can be is another at the sizes of a phase.
        all.retain(|name, _| given.contains_key(name) || !analysis.limits.contains_key(name));
        let mut assumed = BTreeMap::new();
        if let Some(open) = open.filter(|open| !given.contains_key(*open)) {
            all.insert(open.clone(), TYPICAL);
            assumed.insert(open.to_string(), u64::try_from(TYPICAL).unwrap_or(0));
        }
        // Where the number of new tokens is all that is open, the formula of a prefill is in it.
        let fixed: Bindings = match open {
            Some(open) if open == symbol => Bindings::new(),
            _ => [(symbol.clone(), value)].into(),
        };
        all.extend(fixed.clone());
        Phase { analysis, fixed, all }.report(name, symbol, assumed, work)
    };
    let prefill = match &cache.past {
        Some(past) => phase(PhaseKind::Prefill, past, 0, Some(new)),
        None => phase(PhaseKind::Prefill, new, 0, Some(new)),
    };
    let decode = phase(PhaseKind::Decode, new, 1, cache.past.as_ref());
    [prefill, decode].into_iter().flatten().collect()
}

/// An analysis at the sizes of a phase.
struct Phase<'a> {
    analysis: &'a Analysis,
    /// What the phase fixes.
    fixed: Bindings,
    /// All sizes.
    all: Bindings,
}

impl Phase<'_> {
    fn report(
        mut self,
        name: PhaseKind,
        symbol: &Arc<str>,
        assumed: BTreeMap<String, u64>,
        work: &dyn Fn(&Bindings) -> Option<Work>,
    ) -> Option<PhaseReport> {
        let mut sums: BTreeMap<Arc<str>, Dim> = BTreeMap::new();
        if let Some((total, sum)) = total(&self.analysis.cache) {
            self.all.insert(total.clone(), sum.eval(&self.all).ok()?);
            sums.insert(total, sum);
        }
        let formula = |dim: &Dim| {
            let dim = if sums.is_empty() { dim.clone() } else { dim.replace(&sums) };
            dim.bind(&self.fixed).to_string()
        };
        let totals = &self.analysis.totals;
        let work = work(&self.all)?;
        let value = self.all.get(symbol).copied().unwrap_or_default();
        let (f, b) = (work.operations, work.bytes);
        Some(PhaseReport {
            name,
            symbol: symbol.to_string(),
            value: u64::try_from(value).unwrap_or(0),
            assumed,
            flops: f,
            compulsory_bytes: b,
            lower_bound_operations: work.lower_bound_operations,
            lower_bound_bytes: work.lower_bound_bytes,
            intensity: (b > 0).then(|| f as f64 / b as f64),
            flops_formula: formula(&totals.operations()),
            compulsory_bytes_formula: formula(&self.analysis.compulsory_bytes),
        })
    }
}
