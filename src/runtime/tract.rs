//! tract, in this process.

use super::weights::{WeightsOrigin, with_weights};
use super::{Feed, Loaded, RuntimeOptions};
use crate::probe::random::Random;
use crate::probe::{ProbeError, Target};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Once};
use std::time::Instant;
use tract_onnx::pb;
use tract_onnx::prelude::{
    DatumType, Framework, InferenceFact, InferenceModelExt, IntoTValue, RunnableModel, TValue,
    TVec, Tensor, TypedFact, TypedOp, tvec,
};
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::{IntoRunnable, TypedModel};

/// What tract is called, with the version that this crate asks for.
const TRACT: &str = "tract 0.23";

pub(super) fn loaded(
    file: &[u8],
    feeds: &[Feed],
    options: &RuntimeOptions,
) -> Result<Loaded, ProbeError> {
    let target = TractTarget::load(file, feeds, options.seed)?;
    Ok(Loaded {
        weights: target.weights,
        load_seconds: target.load_seconds,
        first_seconds: target.first_seconds,
        target: Arc::new(target),
        name: TRACT.into(),
    })
}

type Runnable = Arc<RunnableModel<TypedFact, Box<dyn TypedOp>>>;

/// A model loaded into tract, with inputs ready.
pub struct TractTarget {
    plan: Runnable,
    inputs: TVec<TValue>,
    /// Where its weights come from.
    pub weights: WeightsOrigin,
    /// Reading, optimising and planning, in seconds.
    pub load_seconds: f64,
    /// The first inference, in seconds.
    pub first_seconds: f64,
}

impl TractTarget {
    /// Loads the ONNX model `file`, its inputs fed with `feeds` (in the model's order); weights that the
    /// file does not hold become random numbers from `seed`.
    pub fn load(file: &[u8], feeds: &[Feed], seed: u64) -> Result<Self, ProbeError> {
        guard(|| load(file, feeds, seed))
    }
}

impl Target for TractTarget {
    fn infer(&self) -> Result<(), ProbeError> {
        guard(|| {
            let outputs = self.plan.run(self.inputs.clone());
            std::hint::black_box(outputs.map_err(|e| ProbeError::Infer(format!("{e:#}")))?);
            Ok(())
        })
    }
}

thread_local! {
    /// Whether this thread runs the runtime's code, whose panics are errors of ours and print nothing.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Keeps the panics of guarded threads from printing; all others go where they went before.
fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                before(info);
            }
        }));
    });
}

/// Runs `work`; a panic of the runtime becomes an error.
fn guard<T>(work: impl FnOnce() -> Result<T, ProbeError>) -> Result<T, ProbeError> {
    hush();
    let outer = GUARDED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(outer);
    done.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Err(ProbeError::Panic(text.unwrap_or_else(|| "it said nothing".into())))
    })
}

fn load(file: &[u8], feeds: &[Feed], seed: u64) -> Result<TractTarget, ProbeError> {
    let start = Instant::now();
    let fail = |e: tract_onnx::prelude::TractError| ProbeError::Load(format!("{e:#}"));
    let (file, weights) = with_weights(file, seed)?;
    let proto = <pb::ModelProto as prost::Message>::decode(&*file)
        .map_err(|e| ProbeError::Load(e.to_string()))?;
    drop(file);
    let mut inputs: TVec<TValue> = tvec![];
    let mut model = tract_onnx::onnx().model_for_proto_model(&proto).map_err(fail)?;
    drop(proto);
    let mut random = Random::new(seed ^ 0x9e37_79b9_7f4a_7c15);
    for (i, feed) in feeds.iter().enumerate() {
        let shape = &feed.shape;
        let fact = model.input_fact(i).map_err(fail)?;
        let dtype = fact.datum_type.concretize().unwrap_or(DatumType::F32);
        let fact = InferenceFact::dt_shape(dtype, shape.clone());
        model.set_input_fact(i, fact).map_err(fail)?;
        let tensor = if dtype.is_float() {
            Tensor::from_shape(shape, &feed.floats(&mut random)?)
                .and_then(|t| t.cast_to_dt(dtype).map(std::borrow::Cow::into_owned))
        } else {
            Tensor::from_shape(shape, &feed.integers()?)
                .and_then(|t| t.cast_to_dt(dtype).map(std::borrow::Cow::into_owned))
        };
        inputs.push(tensor.map_err(fail)?.into_tvalue());
    }
    let typed: TypedModel = model.into_optimized().map_err(fail)?;
    let plan = typed.into_runnable().map_err(fail)?;
    let load_seconds = start.elapsed().as_secs_f64();
    let first = Instant::now();
    plan.run(inputs.clone()).map_err(|e| ProbeError::Infer(format!("{e:#}")))?;
    let first_seconds = first.elapsed().as_secs_f64();
    Ok(TractTarget { plan, inputs, weights, load_seconds, first_seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_and_prints_nothing() {
        let numbers: Vec<u8> = Vec::new();
        let error = guard(|| Ok(numbers[std::hint::black_box(3)])).unwrap_err();
        assert!(
            matches!(&error, ProbeError::Panic(text) if text.contains("out of bounds")),
            "{error}"
        );
        assert!(!GUARDED.get());
    }
}
