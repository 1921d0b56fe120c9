//! Layers around layers, and layers whose code is not in the file.

use super::super::inputs::{Arg, Call, Inputs};
use super::super::json::{Layer, shape};
use super::super::site::{Site, T};
use super::model::hint;
use super::reshape::{folded, unfolded};
use super::{Context, Row, Written, call_inner, input, row};
use crate::ir::{Severity, ValueId};

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("Lambda", "a node of unknown cost: its code is never read", lambda),
    row("TimeDistributed", "the layer inside, over all steps", time_distributed),
    row("Wrapper", "the layer inside", wrapper),
];

/// The layer inside.
pub(super) fn inner<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    key: &str,
) -> Result<Layer<'j>, super::LoadError> {
    let value = layer.get(key).ok_or_else(|| layer.error("has no layer inside"))?;
    site.state.inner(layer, value, key)
}

fn wrapper<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    context: &Context,
) -> Written {
    let inner = inner(site, layer, "layer")?;
    call_inner(site, &inner, inputs, context)
}

/// Classes that do to each step what they do to a whole.
const PLAIN: &[&str] = &["Activation", "Dense", "Dropout", "LeakyReLU", "ReLU"];

/// Steps are samples of the layer inside.
fn time_distributed<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    context: &Context,
) -> Written {
    let inner = inner(site, layer, "layer")?;
    if PLAIN.contains(&inner.class) {
        return call_inner(site, &inner, inputs, context);
    }
    let first = input(layer, inputs)?;
    let mut folds = Vec::new();
    let mut steps = Vec::new();
    if let Some(arg) = inputs.args.first() {
        arg.tensors(&mut steps);
    }
    for t in steps {
        folds.push(Arg::Tensor(folded(site, *t)?));
    }
    let arg = if folds.len() == 1 { folds.remove(0) } else { Arg::List(folds) };
    let inside = Context { outputs: context.outputs, sizes: None };
    let outputs = call_inner(site, &inner, &Call::of(vec![arg]), &inside)?;
    outputs.into_iter().map(|y| unfolded(site, y, first)).collect()
}

/// A function whose code is in the file as bytecode, which is never read. The shape of its output is the one that the
/// file states, if it states one.
fn lambda<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    context: &Context,
) -> Written {
    let all: Vec<ValueId> = inputs.tensors().iter().map(|t| t.id).collect();
    let outputs = site.unknown("Lambda", &all, context.outputs)?;
    let made: Vec<T> =
        outputs.into_iter().map(|id| T { id, rank: None, dtype: Some(site.compute) }).collect();
    site.note(
        Severity::Assumption,
        "the code of a Lambda layer is never run or decoded; what it costs is unknown".to_owned(),
        Some(
            "write the model's graph with `model.export()`, or put a layer in its place".to_owned(),
        ),
    );
    let Some(sizes) = layer.get("output_shape").and_then(shape) else { return Ok(made) };
    let sizes: Vec<Option<i64>> = [None].into_iter().chain(sizes).collect();
    let Some(first) = made.first().copied() else { return Ok(made) };
    hint(site, first, &sizes);
    let mut made = made;
    made[0] = first.ranked(Some(sizes.len()));
    Ok(made)
}
