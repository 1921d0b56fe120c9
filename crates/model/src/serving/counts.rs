//! The formulas of a decoder's graph at the sizes that serving it has.

use super::figure::{Limit, ModelFormulas};
use crate::analysis::{Analysis, NodeReport};
use crate::dim::{Bindings, Dim};
use crate::ir::{Model, Node, ValueId};
use crate::ops::{Class, Status};
use crate::report::batch_symbol;
use crate::roofline::Roof;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Why a model cannot be served as a decoder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CountsError {
    /// It keeps nothing.
    #[error("the model keeps no cache between steps: it is no decoder that generates tokens")]
    NoCache,
    /// Some size that steps differ by is fixed.
    #[error("the model has no dynamic size for {0}")]
    Fixed(&'static str),
}

/// Sizes of a step: sequences, new tokens of each, and tokens that are kept of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Sequences.
    pub batch: u64,
    /// New tokens of each.
    pub new: u64,
    /// Tokens that are kept of each.
    pub past: u64,
}

/// Which experts a step reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Experts {
    /// As few as there can be: all tokens choose the same.
    Fewest,
    /// As many as are expected where each is chosen as often as any other.
    Even,
}

/// Experts of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mixture {
    /// Layers with experts.
    pub(super) layers: f64,
    /// Experts that a token takes in a layer, in the mean over layers.
    pub(super) chosen: f64,
    /// Experts of a layer by those that a token takes.
    pub(super) ratio: f64,
    /// Bytes of the experts that one token takes, over all layers.
    fewest: f64,
}

impl Mixture {
    /// The share of all experts that `tokens` read where each is chosen as often as any other.
    fn even(&self, tokens: f64) -> f64 {
        1.0 - (1.0 - 1.0 / self.ratio).powf(tokens)
    }
}

/// How the work of a layer can be shared by devices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape {
    /// Layers that mix tokens.
    pub(super) layers: u64,
    /// Numbers of a token between layers.
    pub(super) hidden: f64,
    /// Bytes of a number there.
    pub(super) bytes: f64,
    /// Heads whose keys and values are kept; `None` where latent vectors or states are.
    pub(super) kept_heads: Option<u64>,
    /// Sums over devices in a layer: one where its two parts run side by side.
    pub(super) sums: f64,
}

/// A decoder's counts.
pub struct Counts<'a> {
    model: &'a Model,
    analysis: &'a Analysis,
    batch: Arc<str>,
    new: Arc<str>,
    past: Option<Arc<str>>,
    others: Bindings,
    assumed: Vec<String>,
    dtype: String,
    /// Operations of all nodes that mix tokens.
    mixing: Dim,
    operations: Dim,
    /// Reads of weights by nodes that read a part of them, the more the more tokens there are.
    partial: Dim,
    mixture: Option<Mixture>,
    /// Bytes of the cache that grow with the tokens kept, and those that do not.
    growing: Dim,
    constant: Dim,
    /// Bytes that each number of the growing cache takes, by those that it takes in the graph.
    kv_share: f64,
    largest: Vec<Dim>,
    /// Rows and columns of all plain matrices.
    sides: f64,
    weights: f64,
    shape: Shape,
}

impl<'a> Counts<'a> {
    /// Of `model` and its analysis with open sizes; `given` holds what the user said of sizes, and `kv_bits` the bits
    /// of a number of the cache where they differ from the graph's.
    pub fn new(
        model: &'a Model,
        analysis: &'a Analysis,
        given: &Bindings,
        kv_bits: Option<u64>,
    ) -> Result<Self, CountsError> {
        let cache = &analysis.cache;
        if cache.pairs.is_empty() {
            return Err(CountsError::NoCache);
        }
        let new = cache.new.clone().ok_or(CountsError::Fixed("new tokens"))?;
        let batch = batch_symbol(model).ok_or(CountsError::Fixed("the batch"))?.symbol;
        let steps: BTreeSet<&Arc<str>> =
            [&batch, &new].into_iter().chain(&cache.past).chain(&cache.total).collect();
        let (mut others, mut assumed) = (given.clone(), Vec::new());
        for symbol in analysis.symbols.iter().filter(|symbol| !steps.contains(symbol)) {
            others.entry(symbol.clone()).or_insert_with(|| {
                assumed.push(symbol.to_string());
                1
            });
        }
        let totals = &analysis.totals;
        let kept = Kept::of(analysis, cache.past.as_ref());
        let share = |bits: u64| bits as f64 / kept.bits.unwrap_or(16.0);
        let mut counts = Self {
            model,
            analysis,
            batch,
            new,
            past: cache.past.clone(),
            others,
            assumed,
            dtype: main_type(model, analysis),
            mixing: nodes(model, analysis)
                .filter(|(_, report)| report.class == Class::Attention)
                .map(|(_, report)| report.cost.operations())
                .sum(),
            operations: totals.operations(),
            partial: nodes(model, analysis)
                .filter(|(_, report)| is_partial(report))
                .map(|(_, report)| report.cost.weight_bytes_read.clone())
                .sum(),
            mixture: None,
            growing: kept.growing,
            constant: kept.constant,
            kv_share: kv_bits.map_or(1.0, share),
            largest: working_sets(model, analysis),
            sides: sides(model, analysis),
            weights: 0.0,
            shape: shape(model, analysis),
        };
        counts.weights = counts.number(&analysis.weight_bytes, Step { batch: 1, new: 1, past: 0 });
        counts.mixture = counts.mixture_of();
        Ok(counts)
    }

    /// The type that multiplies, as devices name it.
    pub fn dtype(&self) -> &str {
        &self.dtype
    }

    /// Symbols that were set to one because nothing was said.
    pub fn assumed(&self) -> &[String] {
        &self.assumed
    }

    /// Bytes of all stored weights: W.
    pub fn weights(&self) -> f64 {
        self.weights
    }

    pub(super) fn mixture(&self) -> Option<Mixture> {
        self.mixture
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    fn bindings(&self, step: Step) -> Bindings {
        let mut all = self.others.clone();
        all.insert(self.batch.clone(), step.batch.into());
        all.insert(self.new.clone(), step.new.into());
        if let Some(past) = &self.past {
            all.insert(past.clone(), step.past.into());
        }
        if let Some(total) = &self.analysis.cache.total {
            all.insert(total.clone(), i128::from(step.past) + i128::from(step.new));
        }
        all
    }

    /// A formula at a step; not a number where it has none there.
    fn number(&self, dim: &Dim, step: Step) -> f64 {
        dim.eval(&self.bindings(step)).map_or(f64::NAN, |n| n.max(0) as f64)
    }

    /// Operations of a step that no kernel can spare: of scores, only those that a causal mask leaves.
    pub fn operations(&self, step: Step) -> f64 {
        let all = self.number(&self.operations, step);
        let mixing = self.number(&self.mixing, step);
        all - mixing + self.seen(step, mixing)
    }

    /// What mixing tokens takes where each sees those before it and itself.
    fn seen(&self, step: Step, nominal: f64) -> f64 {
        // Latent vectors are expanded once for all of a prompt's tokens: no sum over its tokens says what that takes,
        // and a causal mask leaves at least half of all pairs.
        let half = 0.5 * nominal;
        if step.new == 1 {
            return nominal;
        }
        if self.shape.kept_heads.is_none() && self.past.is_some() {
            return half;
        }
        let one = |past: u64| self.number(&self.mixing, Step { new: 1, past, ..step });
        sum(step, &one).clamp(0.0, nominal)
    }

    /// Bytes that a step must move at least.
    pub fn traffic(&self, step: Step) -> f64 {
        self.bytes(step, Experts::Fewest)
    }

    /// The least seconds of a step under a roof, and the ceiling that binds them.
    pub fn least(&self, roof: &Roof, step: Step) -> (f64, Limit) {
        let compute = self.operations(step) / roof.peak.get();
        let memory = self.traffic(step) / roof.bandwidth.get();
        if compute >= memory { (compute, Limit::Compute) } else { (memory, Limit::Memory) }
    }

    /// Bytes that a step must move: Q.
    pub(super) fn bytes(&self, step: Step, experts: Experts) -> f64 {
        let all = self.number(&self.analysis.compulsory_bytes, step);
        let read = self.number(&self.partial, step);
        let least = self.mixture.map_or(0.0, |mixture| match experts {
            Experts::Fewest => mixture.fewest,
            Experts::Even => {
                let tokens = step.batch as f64 * step.new as f64;
                mixture.fewest * mixture.ratio * mixture.even(tokens)
            }
        });
        // The cache is counted in the graph's type.
        let kept = self.number(&self.growing, step);
        all - read + least.min(read.max(least)) - (1.0 - self.kv_share) * kept
    }

    /// Bytes that are kept of one sequence of so many tokens: K.
    pub fn cache(&self, tokens: u64) -> f64 {
        let step = Step { batch: 1, new: 1, past: tokens.saturating_sub(1) };
        self.kv_share * self.number(&self.growing, step) + self.number(&self.constant, step)
    }

    /// The largest node's inputs and outputs, without weights and cache.
    pub(super) fn working_set(&self, step: Step) -> f64 {
        let sizes = self.largest.iter().map(|dim| self.number(dim, step));
        sizes.filter(|n| n.is_finite()).fold(0.0, f64::max)
    }

    /// Numbers of an adapter of a rank on every plain matrix; a token takes twice as many operations.
    pub(super) fn adapter(&self, rank: u64) -> f64 {
        rank as f64 * self.sides
    }

    fn mixture_of(&self) -> Option<Mixture> {
        let one = Step { batch: 1, new: 1, past: 0 };
        let fewest = self.number(&self.partial, one);
        let all = self.number(&self.partial, Step { batch: 1 << 24, ..one });
        if fewest.is_nan() || fewest <= 0.0 || all <= fewest {
            return None;
        }
        let layers = nodes(self.model, self.analysis).filter(|(_, report)| is_partial(report));
        let chosen: Vec<f64> = layers
            .map(|(node, _)| node.attrs.int("k").ok().flatten().map_or(1.0, |k| k as f64))
            .collect();
        let count = chosen.len() as f64;
        Some(Mixture {
            layers: count,
            chosen: chosen.iter().sum::<f64>() / count,
            ratio: all / fewest,
            fewest,
        })
    }

    /// The formulas that figures are made of.
    pub(super) fn formulas(&self) -> ModelFormulas {
        let shown = |dim: &Dim| dim.bind(&self.others).to_string();
        ModelFormulas {
            operations: shown(&self.operations),
            bytes: shown(&self.analysis.compulsory_bytes),
            cache: shown(&self.analysis.cache.bytes),
        }
    }

    /// What a reader should know of all figures.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let coverage = &self.analysis.coverage;
        if !coverage.is_full() {
            notes.push("the cost of some nodes is not known: bounds hold, and are lower than they could be".into());
        }
        if let Some(account) = &self.model.tensors {
            if !account.files {
                notes.push("read from a configuration alone: not checked against tensors".into());
            }
            if account.idle.bytes > 0 {
                notes.push(format!(
                    "{:.3} GB of the files are not part of a run, as layers that predict further tokens, and count in no figure",
                    account.idle.bytes as f64 / 1e9
                ));
            }
            if account.apart > 0 {
                notes.push("parts beside the decoder, as a vision tower, count in no figure; tokens of images are part of a prompt".into());
            }
        }
        notes.push(
            "what caches of the device keep of the weights from one step to the next is not counted".into(),
        );
        notes
    }
}

/// The nodes of the graph with what is known of them.
fn nodes<'a>(
    model: &'a Model,
    analysis: &'a Analysis,
) -> impl Iterator<Item = (&'a Node, &'a NodeReport)> {
    model.graph.nodes.iter().zip(&analysis.nodes)
}

/// Whether a node reads a part of its weights, the more the more tokens there are.
fn is_partial(report: &NodeReport) -> bool {
    let read = &report.cost.weight_bytes_read;
    report.class == Class::MatrixProduct
        && report.status == Status::Bound
        && read.as_const().is_none()
}

/// The cache by whether it grows.
struct Kept {
    growing: Dim,
    constant: Dim,
    /// Bits of a number of what grows.
    bits: Option<f64>,
}

impl Kept {
    fn of(analysis: &Analysis, past: Option<&Arc<str>>) -> Self {
        let mut kept = Self { growing: Dim::ZERO, constant: Dim::ZERO, bits: None };
        for (_, output) in &analysis.cache.pairs {
            let info = &analysis.values[output.index()];
            let Some(bytes) = info.bytes() else { continue };
            let mut symbols = BTreeSet::new();
            bytes.symbols(&mut symbols);
            if past.is_some_and(|past| symbols.contains(past)) {
                kept.growing = kept.growing + bytes;
                kept.bits = kept.bits.or(info.dtype.map(|dtype| f64::from(dtype.bits())));
            } else {
                kept.constant = kept.constant + bytes;
            }
        }
        kept
    }
}

/// Rows and columns of the matrices that adapters stand beside, added up.
fn sides(model: &Model, analysis: &Analysis) -> f64 {
    let graph = &model.graph;
    let products = nodes(model, analysis)
        .filter(|(_, report)| report.class == Class::MatrixProduct && !is_partial(report));
    let sizes = products.filter_map(|(node, _)| {
        let weight = node.inputs.iter().flatten().find(|id| graph.value(**id).weight.is_some());
        let shape = analysis.values[weight?.index()].shape.as_ref()?;
        let sizes: Vec<f64> = shape.iter().filter_map(Dim::as_const).map(|n| n as f64).collect();
        // The head and the table have no adapters.
        match sizes[..] {
            [a, b] if a.max(b) < 16.0 * a.min(b) => Some(a + b),
            _ => None,
        }
    });
    sizes.sum()
}

/// The type that most of the arithmetic is done in, as device files name it.
fn main_type(model: &Model, analysis: &Analysis) -> String {
    let mut work: BTreeMap<&'static str, f64> = BTreeMap::new();
    let one = |symbols: &BTreeSet<Arc<str>>| -> Bindings {
        symbols.iter().map(|symbol| (symbol.clone(), 1)).collect()
    };
    let bindings = one(&analysis.symbols);
    for (node, report) in nodes(model, analysis) {
        let first = node.inputs.first().copied().flatten();
        let Some(dtype) = first.and_then(|id| analysis.values[id.index()].dtype) else { continue };
        let macs = report.cost.macs.eval(&bindings).unwrap_or(0) as f64;
        *work.entry(dtype.name()).or_default() += macs;
    }
    let most = work.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
    most.map_or("f32", |(name, _)| name).to_owned()
}

/// What each node holds of inputs and outputs, each sum once; the largest is less than what is alive at once.
fn working_sets(model: &Model, analysis: &Analysis) -> Vec<Dim> {
    let graph = &model.graph;
    let kept: BTreeSet<ValueId> =
        analysis.cache.pairs.iter().flat_map(|(input, output)| [*input, *output]).collect();
    let mut sums: hashbrown::HashSet<Dim> = hashbrown::HashSet::new();
    for node in &graph.nodes {
        let values: BTreeSet<ValueId> =
            node.inputs.iter().chain(&node.outputs).flatten().copied().collect();
        let live =
            values.into_iter().filter(|id| !kept.contains(id) && graph.value(*id).weight.is_none());
        sums.insert(live.filter_map(|id| analysis.values[id.index()].bytes()).sum());
    }
    sums.into_iter().collect()
}

/// What devices that share a layer exchange.
fn shape(model: &Model, analysis: &Analysis) -> Shape {
    let graph = &model.graph;
    let mixes =
        |report: &NodeReport| report.class == Class::Attention && !report.cost.macs.is_zero();
    // How many products with weights lie before each value, on the longest way.
    let mut depth: Vec<u64> = vec![0; graph.values.len()];
    let (mut mixers, mut width) = (Vec::new(), None);
    for id in &analysis.order {
        let (node, report) = (graph.node(*id), &analysis.nodes[id.index()]);
        let inputs = || node.inputs.iter().flatten();
        let weighs = inputs().any(|v| graph.value(*v).weight.is_some());
        let product = report.class == Class::MatrixProduct && weighs;
        let before = inputs().map(|v| depth[v.index()]).max().unwrap_or(0);
        if mixes(report) {
            mixers.push(before);
        }
        if product && width.is_none() {
            let first = inputs().find(|v| graph.value(**v).weight.is_none());
            width = first.map(|v| &analysis.values[v.index()]);
        }
        for output in node.outputs.iter().flatten() {
            depth[output.index()] = before + u64::from(product);
        }
    }
    let mut steps: Vec<u64> =
        mixers.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
    steps.sort_unstable();
    let middle = steps.get(steps.len() / 2).copied().unwrap_or(4);
    let last = |info: &&crate::ir::TensorInfo| info.shape.as_ref()?.last()?.as_const();
    let heads = analysis.cache.pairs.iter().find_map(|(_, output)| {
        match analysis.values[output.index()].shape.as_deref()? {
            [_, heads, _, _] => heads.as_const(),
            _ => None,
        }
    });
    Shape {
        layers: mixers.len() as u64,
        hidden: width.as_ref().and_then(last).map_or(f64::NAN, |n| n as f64),
        bytes: width.and_then(|info| info.dtype).map_or(2.0, |dtype| f64::from(dtype.bits()) / 8.0),
        kept_heads: heads.and_then(|n| u64::try_from(n).ok()),
        // The output of attention, and two products behind it: they wait for it.
        sums: if middle >= 3 { 2.0 } else { 1.0 },
    }
}

/// The sum of `one` over the new tokens of a step: exact for few, and from below for many, as what a token takes
/// grows ever less with the tokens before it.
fn sum(step: Step, one: &dyn Fn(u64) -> f64) -> f64 {
    const EXACT: u64 = 64;
    let parts = step.new.min(EXACT);
    let at = |part: u64| step.past + step.new * part / parts;
    if parts == step.new {
        return (0..parts).map(|part| one(at(part))).sum();
    }
    let ends = |part: u64| (at(part), at(part + 1) - 1);
    let area = |(from, to): (u64, u64)| 0.5 * (one(from) + one(to)) * (to - from + 1) as f64;
    (0..parts).map(|part| area(ends(part))).sum()
}
