//! What Triton adds to the Open Inference Protocol over gRPC: sequences of requests for models with a state, models
//! that answer a request with several responses, and inputs in memory that client and server share.

use super::super::messages::{
    InferParameter, InferTensor, ModelConfigResponse, ModelReadyRequest, ModelStreamInferResponse,
    RegionName, RegisterRegion, RequestParameters,
};
use super::super::protocol::Step;
use super::super::{Asker, TargetError};
use crate::connector::{Answer, Connector, Encoded};
use crate::grpc::{Call, messages};
use crate::record::Fault;
use crate::stream::Failure;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Answers one request with any number of responses.
pub(super) const STREAM: &str = "/inference.GRPCInferenceService/ModelStreamInfer";
const CONFIG: &str = "/inference.GRPCInferenceService/ModelConfig";
const REGISTER: &str = "/inference.GRPCInferenceService/SystemSharedMemoryRegister";
const UNREGISTER: &str = "/inference.GRPCInferenceService/SystemSharedMemoryUnregister";

/// A request as a step of a sequence.
pub(crate) fn in_sequence(request: &Encoded, step: Step) -> Encoded {
    let Encoded::Grpc(call) = request else { return request.clone() };
    let parameters = [
        ("sequence_id", InferParameter::number(step.id)),
        ("sequence_start", InferParameter::flag(step.starts)),
        ("sequence_end", InferParameter::flag(step.ends)),
    ];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value));
    Encoded::Grpc(call.with(&RequestParameters { parameters: BTreeMap::from(parameters) }))
}

/// Whether a model answers a request with any number of responses, by its configuration; no, where the server has none.
pub(super) fn is_decoupled(
    asker: &Asker<'_>,
    model: &str,
    version: &str,
) -> Result<bool, TargetError> {
    let ask = ModelReadyRequest { name: model.into(), version: version.into() };
    let answer: Option<ModelConfigResponse> = asker.call(Call::new(CONFIG, &ask))?;
    let policy = answer.and_then(|a| a.config).and_then(|c| c.model_transaction_policy);
    Ok(policy.is_some_and(|policy| policy.decoupled))
}

/// The responses of a streamed answer; an error among them is the answer's.
pub(super) fn responses(
    answer: &Answer,
) -> Result<Vec<super::super::messages::ModelInferResponse>, Failure> {
    let mut all = Vec::new();
    for message in messages(&answer.body) {
        let response =
            <ModelStreamInferResponse as prost::Message>::decode(message?).map_err(|e| {
                (Fault::Malformed, format!("a response is not a ModelStreamInferResponse: {e}"))
            })?;
        if !response.error_message.is_empty() {
            // The stream itself ends well: the status of a failed inference is unknown.
            return Err((Fault::Grpc(2), response.error_message.chars().take(200).collect()));
        }
        all.extend(response.infer_response);
    }
    Ok(all)
}

/// Memory that the server maps too, with the contents of inputs one behind the other. It is given back to the server
/// when this value ends.
pub(crate) struct Region {
    name: String,
    state: Mutex<Open>,
    connector: Connector,
    registered: Mutex<bool>,
}

struct Open {
    file: File,
    size: u64,
}

/// Where the system keeps memory that has a name.
const FOLDER: &str = "/dev/shm";
/// What giving a region back may take.
const PATIENCE: Duration = Duration::from_secs(2);

impl Region {
    /// An empty one.
    pub(super) fn new(asker: &Asker<'_>) -> Result<Arc<Self>, TargetError> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        if !asker.url.is_here() {
            return Err(TargetError::new(
                format!("`{}` is not this machine, and shares no memory with it", asker.url.host),
                "run the probe on the server's host, or omit --shared-memory",
            ));
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("rooflens-{}-{number}", std::process::id());
        let path = format!("{FOLDER}/{name}");
        let file = File::create_new(&path).map_err(|e| {
            TargetError::new(
                format!("there is no memory to share: `{path}`: {e}"),
                "omit --shared-memory",
            )
        })?;
        let (state, registered) = (Mutex::new(Open { file, size: 0 }), Mutex::new(false));
        Ok(Arc::new(Self { name, state, connector: asker.connector.clone(), registered }))
    }

    /// Adds the contents of an input, and says where they are.
    pub(super) fn add(&self, data: &[u8]) -> Result<BTreeMap<String, InferParameter>, TargetError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (offset, length) = (state.size, data.len() as u64);
        state.file.write_all(data).map_err(|e| {
            TargetError::new(
                format!("the shared memory cannot hold the inputs: {e}"),
                "omit --shared-memory, or give fewer --variants or a smaller data set",
            )
        })?;
        state.size += length;
        let number = |n: u64| InferParameter::number(i64::try_from(n).unwrap_or(i64::MAX));
        Ok(BTreeMap::from([
            ("shared_memory_region".to_owned(), InferParameter::text(&self.name)),
            ("shared_memory_offset".to_owned(), number(offset)),
            ("shared_memory_byte_size".to_owned(), number(length)),
        ]))
    }

    /// Has the server map what was added. The name of the memory is given up then, so that nothing is left of it
    /// however the probe ends.
    pub(super) fn register(&self, asker: &Asker<'_>) -> Result<(), TargetError> {
        let size = self.state.lock().unwrap_or_else(PoisonError::into_inner).size;
        let ask = RegisterRegion {
            name: self.name.clone(),
            key: format!("/{}", self.name),
            offset: 0,
            byte_size: size,
        };
        let asked = asker.connector.ask(&Encoded::Grpc(Call::new(REGISTER, &ask)), PATIENCE);
        let _ = std::fs::remove_file(format!("{FOLDER}/{}", self.name));
        match asked {
            Ok(_) => {
                *self.registered.lock().unwrap_or_else(PoisonError::into_inner) = true;
                Ok(())
            }
            Err((Fault::Grpc(12), _)) => Err(TargetError::new(
                "the server has no system shared memory (SystemSharedMemoryRegister)",
                "Triton has; omit --shared-memory for other servers",
            )),
            Err((_, text)) => Err(TargetError::new(
                format!("the server did not map the shared memory: {text}"),
                "it must run in the same IPC namespace, as the same user or root: `docker run --ipc=host`",
            )),
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(format!("{FOLDER}/{}", self.name));
        if *self.registered.lock().unwrap_or_else(PoisonError::into_inner) {
            let call = Call::new(UNREGISTER, &RegionName { name: self.name.clone() });
            // A server that is gone maps nothing.
            let _ = self.connector.ask(&Encoded::Grpc(call), PATIENCE);
        }
    }
}

/// A tensor as a request has it: by its contents, or by where they are in a region.
pub(super) fn input(
    tensor: &super::super::tensor::Tensor,
    region: Option<&Region>,
) -> Result<InferTensor, TargetError> {
    let parameters = match region {
        Some(region) => region.add(&tensor.data)?,
        None => BTreeMap::new(),
    };
    Ok(InferTensor {
        name: tensor.name.clone(),
        datatype: tensor.dtype.name().into(),
        shape: tensor.shape.clone(),
        parameters,
        contents: None,
    })
}
