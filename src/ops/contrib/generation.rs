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

/// `input_ids: [B, S]`, or features `[B, F, T]` for an encoder. Every step runs the decoder for one
/// token a beam, at most as long a cache behind it as the last step has.
fn generate(cx: &OpCx<'_>, beams: Dim) -> Result<(Effect, [Dim; 4]), OpError> {
    let shape = cx.shape(0)?;
    let (Some(batch), Some(length)) = (shape.first(), shape.get(1..).and_then(<[Dim]>::last))
    else {
        return invalid!("a prompt of rank {}", shape.len());
    };
    let encoder = cx.attrs().graph("encoder")?;
    let prompt = if encoder.is_some() { Dim::ONE } else { length.clone() };
    let most = whole(cx, 1);
    let steps = (cx.fresh)("steps", most.clone().map(|m| m - prompt.clone()));
    let first = match encoder {
        Some(_) => "encoder",
        None if cx.attrs().has("init_decoder") => "init_decoder",
        None => "decoder",
    };
    let rows = batch.clone() * beams;
    let run = |name: &str, queries: Dim, past: Dim| {
        let body = cx.attrs().graph(name)?;
        let body = body.ok_or_else(|| crate::ir::AttrError::Missing(name.to_owned()))?;
        let run = Run { rows: rows.clone(), queries, past, encoded: length.clone() };
        (cx.run_body)(name, &run.inputs(body))
    };
    let (_, mut cost) = run(first, prompt.clone(), Dim::ZERO)?;
    let (outputs, step) = run("decoder", Dim::ONE, prompt.clone() + steps.clone())?;
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
    Ok((effect, [batch.clone(), longest, steps, vocabulary]))
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
    let beams = whole(cx, 3).unwrap_or_else(|| (cx.fresh)("beams", None));
    let kept = whole(cx, 4).unwrap_or_else(|| beams.clone());
    let (mut effect, [batch, longest, steps, vocabulary]) = generate(cx, beams.clone())?;
    let float = Some(cx.dtype(5).unwrap_or(DType::F32));
    effect.outputs = vec![
        TensorInfo::new(Some(DType::I32), vec![batch.clone(), kept.clone(), longest]),
        TensorInfo::new(float, vec![batch.clone(), kept]),
        TensorInfo::new(float, vec![steps, batch, beams, vocabulary]),
    ];
    effect.outputs.truncate(cx.output_count().max(1));
    Ok(scored(effect))
}

/// `[B, L]`.
pub(super) fn greedy_search(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (mut effect, [batch, longest, ..]) = generate(cx, Dim::ONE)?;
    effect.outputs = vec![TensorInfo::new(Some(DType::I32), vec![batch, longest])];
    Ok(effect)
}

/// `[B, L]`, and the logits that were drawn from, `[B, V]`.
pub(super) fn sampling(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (mut effect, [batch, longest, _, vocabulary]) = generate(cx, Dim::ONE)?;
    effect.outputs = vec![
        TensorInfo::new(Some(DType::I32), vec![batch.clone(), longest]),
        TensorInfo::new(Some(DType::F32), vec![batch, vocabulary]),
    ];
    effect.outputs.truncate(cx.output_count().max(1));
    Ok(scored(effect))
}
