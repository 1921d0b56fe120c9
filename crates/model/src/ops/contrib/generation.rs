//! Text generation as one node: bodies that run once for the prompt and once for every step.

use crate::dim::Dim;
use crate::ir::{DType, Graph, TensorInfo};
use crate::ops::Effect;
use crate::ops::context::{OpCx, OpError, invalid};

/// Sizes of one run of a body: sequences, new tokens in each, tokens before them, and what an encoder
/// gave.
struct Run {
    rows: Dim,
    queries: Dim,
    past: Dim,
    encoded: Dim,
}

impl Run {
    /// The inputs that the body declares, by the names and ranks that the operator prescribes; sizes
    /// written as numbers stay.
    fn inputs(&self, graph: &Graph) -> Vec<TensorInfo> {
        graph.inputs.iter().map(|id| self.input(&graph.value(*id).name, graph, *id)).collect()
    }

    fn input(&self, name: &str, graph: &Graph, id: crate::ir::ValueId) -> TensorInfo {
        let mut info = graph.value(id).info.clone();
        let Some(shape) = &mut info.shape else { return info };
        let all = self.past.clone() + self.queries.clone();
        let ids = if name.starts_with("encoder") { &self.encoded } else { &self.queries };
        let cross = name.contains("cross");
        let sizes: &[(usize, &Dim)] = match shape.len() {
            5 => &[(1, &self.rows), (3, &self.past)],
            4 => &[(0, &self.rows), (2, if cross { &self.encoded } else { &self.past })],
            // Pictures of sound, `[B, features, frames]`, or an encoder's states, `[B, L, H]`.
            3 if name.contains("input") => &[(0, &self.rows), (2, &self.encoded)],
            3 => &[(0, &self.rows), (1, &self.encoded)],
            2 if name == "attention_mask" => &[(0, &self.rows), (1, &all)],
            2 => &[(0, &self.rows), (1, ids)],
            _ => &[],
        };
        for (axis, size) in sizes {
            if shape[*axis].as_const().is_none() {
                shape[*axis] = (*size).clone();
            }
        }
        info
    }
}

fn whole(cx: &OpCx<'_>, port: usize) -> Option<Dim> {
    cx.optional(port)?.ints()?.into_iter().next()
}

/// How many positions an encoder gave: those of its states or of the cross-attention keys it made, where
/// the body says.
fn encoded(cx: &OpCx<'_>, name: &str, outputs: &[TensorInfo]) -> Result<Option<Dim>, OpError> {
    let Some(body) = cx.attrs().graph(name)? else { return Ok(None) };
    let named = body.outputs.iter().map(|v| &*body.value(*v).name).zip(outputs);
    let mut lengths = named.filter_map(|(name, info)| match &info.shape.as_ref()?[..] {
        [_, _, length, _] if name.contains("cross") => Some(length.clone()),
        [_, length, _] if name.contains("hidden") => Some(length.clone()),
        _ => None,
    });
    Ok(lengths.next())
}

/// Sizes of a generation.
struct Generated {
    batch: Dim,
    /// Of the sequences, prompt included.
    longest: Dim,
    steps: Dim,
    vocabulary: Dim,
    /// Positions that an encoder gave.
    encoded: Dim,
}

/// `input_ids: [B, S]`, or features `[B, F, T]` for an encoder. Every step runs the decoder for one
/// token a beam, at most as long a cache behind it as the last step has. An encoder's decoder begins
/// with one token, or with those at `start`.
fn generate(cx: &OpCx<'_>, beams: Dim, start: usize) -> Result<(Effect, Generated), OpError> {
    let shape = cx.shape(0)?;
    let (Some(batch), Some(length)) = (shape.first(), shape.get(1..).and_then(<[Dim]>::last))
    else {
        return invalid!("a prompt of rank {}", shape.len());
    };
    let encoder = cx.attrs().graph("encoder")?;
    let given = cx.optional(start).and_then(|i| i.shape.as_ref()?.last());
    let prompt = if encoder.is_none() { length } else { given.unwrap_or(&Dim::ONE) };
    let most = whole(cx, 1);
    let steps = (cx.fresh)("steps", most.clone().map(|m| m - prompt.clone()));
    let prompt = prompt.clone();
    let first = match encoder {
        Some(_) => "encoder",
        None if cx.attrs().has("init_decoder") => "init_decoder",
        None => "decoder",
    };
    let rows = batch.clone() * beams;
    let run = |name: &str, queries: Dim, past: Dim, encoded: Dim| {
        let body = cx.attrs().graph(name)?;
        let body = body.ok_or_else(|| crate::ir::AttrError::Missing(name.to_owned()))?;
        let run = Run { rows: rows.clone(), queries, past, encoded };
        (cx.run_body)(name, &run.inputs(body))
    };
    let (made, mut cost) = run(first, prompt.clone(), Dim::ZERO, length.clone())?;
    let encoded = encoded(cx, first, &made)?.unwrap_or_else(|| length.clone());
    let past = prompt.clone() + steps.clone();
    let (outputs, step) = run("decoder", Dim::ONE, past, encoded.clone())?;
    cost.add(&step.times(&steps));
    let vocabulary = outputs.first().and_then(|o| o.shape.as_ref()?.last().cloned());
    let vocabulary = vocabulary.ok_or_else(|| {
        OpError::Invalid("the decoder's first output, logits, has no known shape".into())
    })?;
    let longest = most.unwrap_or_else(|| prompt + steps.clone());
    let seen = steps.clone() * rows * vocabulary.clone();
    let effect = Effect::of(Vec::new()).inner(cost).comparisons(seen).integer(false);
    let ports = cx.inputs.len();
    let effect = (0..ports).fold(effect, |e, port| e.reads(port, Dim::ZERO)).bound();
    Ok((effect, Generated { batch: batch.clone(), longest, steps, vocabulary, encoded }))
}

/// Scores are logarithms of probabilities: an exp, a maximum, a difference and a sum a logit.
fn scored(mut effect: Effect) -> Effect {
    let seen = effect.comparisons.clone();
    effect.other = effect.other + seen.clone() * Dim::from(3);
    effect.transcendentals = effect.transcendentals + seen;
    effect
}

/// `[B, R, L]`, their scores `[B, R]`, and the scores of every step `[steps, B, beams, V]`.
pub(super) fn beam_search(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    Ok(beams(cx, usize::MAX)?.0)
}

/// The same for speech, the decoder's first tokens at port 10; then the scores of cross-attention
/// `[B, R, layers·heads, L, frames]`, of the pairs at port 12 alone where given, and `[B]`.
pub(super) fn whisper_beam_search(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (mut effect, sizes, kept) = beams(cx, 10)?;
    let heads = match cx.optional(12) {
        Some(pairs) => pairs.shape.as_ref().and_then(|s| s.first().cloned()),
        None => cx.attrs().graph("decoder")?.and_then(|body| {
            let inputs = body.inputs.iter().map(|v| body.value(*v));
            let keys = inputs.filter(|v| v.name.contains("key_cross"));
            keys.map(|v| v.info.shape.as_ref()?.get(1).cloned()).sum::<Option<Dim>>()
        }),
    };
    let heads = heads.filter(|n| !n.is_zero()).unwrap_or_else(|| (cx.fresh)("heads", None));
    let float = effect.outputs.get(1).and_then(|o| o.dtype).unwrap_or(DType::F32);
    let crossed = vec![sizes.batch.clone(), kept, heads, sizes.longest, sizes.encoded];
    for shape in [crossed, vec![sizes.batch]] {
        effect.outputs.push(TensorInfo::new(Some(float), shape));
    }
    effect.outputs.truncate(cx.output_count().max(1));
    Ok(effect)
}

fn beams(cx: &OpCx<'_>, start: usize) -> Result<(Effect, Generated, Dim), OpError> {
    let beams = whole(cx, 3).unwrap_or_else(|| (cx.fresh)("beams", None));
    let kept = whole(cx, 4).unwrap_or_else(|| beams.clone());
    let (mut effect, sizes) = generate(cx, beams.clone(), start)?;
    let Generated { batch, longest, steps, vocabulary, .. } = &sizes;
    let float = Some(cx.dtype(5).unwrap_or(DType::F32));
    let scores = vec![steps.clone(), batch.clone(), beams, vocabulary.clone()];
    let sequences = vec![batch.clone(), kept.clone(), longest.clone()];
    effect.outputs = vec![
        TensorInfo::new(Some(DType::I32), sequences),
        TensorInfo::new(float, vec![batch.clone(), kept.clone()]),
        TensorInfo::new(float, scores),
    ];
    effect.outputs.truncate(cx.output_count().max(1));
    Ok((scored(effect), sizes, kept))
}

/// `[B, L]`.
pub(super) fn greedy_search(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (mut effect, sizes) = generate(cx, Dim::ONE, usize::MAX)?;
    effect.outputs = vec![TensorInfo::new(Some(DType::I32), vec![sizes.batch, sizes.longest])];
    Ok(effect)
}

/// `[B, L]`, and the logits that were drawn from, `[B, V]`.
pub(super) fn sampling(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (mut effect, sizes) = generate(cx, Dim::ONE, usize::MAX)?;
    effect.outputs = vec![
        TensorInfo::new(Some(DType::I32), vec![sizes.batch.clone(), sizes.longest]),
        TensorInfo::new(Some(DType::F32), vec![sizes.batch, sizes.vocabulary]),
    ];
    effect.outputs.truncate(cx.output_count().max(1));
    Ok(scored(effect))
}
