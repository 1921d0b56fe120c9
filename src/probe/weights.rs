//! Random contents for weights that a model's file does not hold.

use super::ProbeError;
use super::random::Random;
use crate::os::proc::Proc;
use tract_onnx::pb::{self, tensor_proto::DataLocation};

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

/// Puts random contents where a tensor's own lie in a file that is not read. Values are small
/// enough that activations neither overflow nor sink into denormals, which are slow.
pub(super) fn fill_weights(
    proto: &mut pb::ModelProto,
    seed: u64,
) -> Result<WeightsOrigin, ProbeError> {
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

/// Free memory, as the kernel estimates it; 8 GiB where it does not.
fn available_memory() -> u64 {
    Proc::default().memory().and_then(|m| m.available).unwrap_or(8 << 30)
}
