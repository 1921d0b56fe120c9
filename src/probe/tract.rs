//! tract, in this process.

use super::random::Random;
use super::{ProbeError, Target};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;
use tract_onnx::pb::{self, tensor_proto::DataLocation};
use tract_onnx::prelude::{
    DatumType, Framework, InferenceFact, InferenceModelExt, IntoTValue, RunnableModel, TValue,
    TVec, Tensor, TypedFact, TypedOp, tvec,
};
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::{IntoRunnable, TypedModel};

/// Where the weights of a measured model come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightsOrigin {
    /// The model file.
    File,
    /// Random numbers, because the file that holds them is not there.
    Random {
        /// Tensors filled in.
        tensors: usize,
        /// Their bytes.
        bytes: u64,
    },
}

type Runnable = std::sync::Arc<RunnableModel<TypedFact, Box<dyn TypedOp>>>;

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
    /// Loads the ONNX model `file`, its inputs at `shapes` (in the model's order); weights that the
    /// file does not hold become random numbers from `seed`.
    pub fn load(file: &[u8], shapes: &[Vec<usize>], seed: u64) -> Result<Self, ProbeError> {
        guard(ProbeError::Load, || load(file, shapes, seed))
    }
}

impl Target for TractTarget {
    fn infer(&self) -> Result<(), ProbeError> {
        guard(ProbeError::Infer, || {
            let outputs = self.plan.run(self.inputs.clone());
            std::hint::black_box(outputs.map_err(|e| ProbeError::Infer(format!("{e:#}")))?);
            Ok(())
        })
    }
}

/// Runs `work`; a panic of the runtime becomes an error.
fn guard<T>(
    error: impl FnOnce(String) -> ProbeError,
    work: impl FnOnce() -> Result<T, ProbeError>,
) -> Result<T, ProbeError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Err(error(text.unwrap_or_else(|| "the runtime panicked".into())))
    })
}

fn load(file: &[u8], shapes: &[Vec<usize>], seed: u64) -> Result<TractTarget, ProbeError> {
    let start = Instant::now();
    let fail = |e: tract_onnx::prelude::TractError| ProbeError::Load(format!("{e:#}"));
    let mut proto = <pb::ModelProto as prost::Message>::decode(file)
        .map_err(|e| ProbeError::Load(e.to_string()))?;
    let weights = fill_weights(&mut proto, seed)?;
    let mut inputs: TVec<TValue> = tvec![];
    let mut model = tract_onnx::onnx().model_for_proto_model(&proto).map_err(fail)?;
    drop(proto);
    let mut random = Random::new(seed ^ 0x9e37_79b9_7f4a_7c15);
    for (i, shape) in shapes.iter().enumerate() {
        let fact = model.input_fact(i).map_err(fail)?;
        let dtype = fact.datum_type.concretize().unwrap_or(DatumType::F32);
        let fact = InferenceFact::dt_shape(dtype, shape.clone());
        model.set_input_fact(i, fact).map_err(fail)?;
        let count = shape.iter().product();
        let tensor = if dtype.is_float() {
            let values: Vec<f32> = (0..count).map(|_| random.symmetric()).collect();
            Tensor::from_shape(shape, &values)
                .and_then(|t| t.cast_to_dt(dtype).map(std::borrow::Cow::into_owned))
        } else {
            // Ones are valid as token ids, masks and flags alike.
            let values = vec![1i64; count];
            Tensor::from_shape(shape, &values)
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

/// Puts random contents where a tensor's own lie in a file that is not read. Values are small
/// enough that activations neither overflow nor sink into denormals, which are slow.
fn fill_weights(proto: &mut pb::ModelProto, seed: u64) -> Result<WeightsOrigin, ProbeError> {
    let Some(graph) = &mut proto.graph else { return Ok(WeightsOrigin::File) };
    let missing = |t: &pb::TensorProto| t.data_location == Some(DataLocation::External as i32);
    let size = |t: &pb::TensorProto| -> u64 {
        let count = t.dims.iter().try_fold(1u64, |n, d| n.checked_mul(u64::try_from(*d).ok()?));
        count.unwrap_or(u64::MAX).saturating_mul(width(t.data_type))
    };
    let needed =
        graph.initializer.iter().filter(|t| missing(t)).map(size).fold(0, u64::saturating_add);
    if needed > available_memory() / 2 {
        return Err(ProbeError::Memory(needed));
    }
    let mut roles = std::collections::HashMap::new();
    for node in graph.node.iter().filter(|n| n.op_type == "BatchNormalization") {
        for (name, value) in node.input.iter().skip(1).zip([1.0, 0.0, 0.0, 1.0f32]) {
            roles.insert(name.clone(), value);
        }
    }
    let mut random = Random::new(seed);
    let mut tensors = 0;
    for tensor in graph.initializer.iter_mut().filter(|t| missing(t)) {
        let count: i64 = tensor.dims.iter().product();
        let fan_in = count / tensor.dims.first().copied().unwrap_or(1).max(1);
        #[allow(clippy::cast_precision_loss)]
        let scale = 1.7 / (fan_in.max(1) as f32).sqrt();
        let role = roles.get(&tensor.name).copied();
        let bytes = usize::try_from(size(tensor)).unwrap_or(0);
        tensor.raw_data = if tensor.data_type == pb::tensor_proto::DataType::Float as i32 {
            let mut data = Vec::with_capacity(bytes);
            for _ in 0..count {
                let value = role.unwrap_or_else(|| random.symmetric() * scale);
                data.extend_from_slice(&value.to_le_bytes());
            }
            data
        } else {
            vec![0; bytes]
        };
        tensor.data_location = None;
        tensor.external_data.clear();
        tensors += 1;
    }
    Ok(if tensors == 0 {
        WeightsOrigin::File
    } else {
        WeightsOrigin::Random { tensors, bytes: needed }
    })
}

/// Bytes of an element of an ONNX data type.
fn width(data_type: i32) -> u64 {
    match data_type {
        7 | 11 | 13 | 14 => 8,
        4 | 5 | 10 | 16 => 2,
        2 | 3 | 9 => 1,
        _ => 4,
    }
}

/// Free memory, as the kernel estimates it.
fn available_memory() -> u64 {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = info.lines().find_map(|l| l.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.map_or(8 << 30, |k| k.saturating_mul(1024))
}
