//! The Open Inference Protocol (`KServe` v2): Triton, `MLServer`, `KServe`; over HTTP and gRPC.

mod extensions;

use super::expect::{Contents, Wanted, missing};
use super::messages::{
    InferTensor, ModelInferRequest, ModelInferResponse, ModelMetadataRequest,
    ModelMetadataResponse, ModelReadyRequest, ReadyFlag, ServerMetadataResponse,
};
use super::protocol::{Health, Questions, Row, State};
use super::tensor::{Dtype, Slot, Tensor};
use super::{Asker, Encoding, Failure, Found, TargetError};
use crate::connector::{Answer, Encoded, Transport};
use crate::grpc::Call;
use crate::http::Request;
use crate::record::Fault;
use crate::schema::BodyEncoding;
use extensions::{Region, STREAM, input, is_decoupled, responses};
use serde_json::{Value, json};
use std::any::Any;
use std::sync::Arc;

pub(super) static HTTP: Row = Row {
    schemes: ["kserve+http", "kserve+https"],
    port: 8000,
    transport: Transport::Http,
    models: true,
    tokens: false,
    prepare: prepare_http,
    check: check_http,
    health: Health { questions: questions_http, reached: |_, _| true, live_on_error: false },
    sequence: None,
};

pub(super) static GRPC: Row = Row {
    schemes: ["kserve+grpc", "kserve+grpcs"],
    port: 8001,
    transport: Transport::Grpc,
    models: true,
    tokens: false,
    prepare: prepare_grpc,
    check: check_grpc,
    health: Health { questions: questions_grpc, reached: is_set, live_on_error: false },
    sequence: Some(extensions::in_sequence),
};

/// Where a model is, over HTTP.
pub(super) fn model_path(model: &str, version: Option<&str>) -> String {
    let version = version.map_or(String::new(), |v| format!("/versions/{v}"));
    format!("/v2/models/{model}{version}")
}

fn prepare_http(asker: &Asker<'_>) -> Result<Found, TargetError> {
    let (model, version) = asker.url.model()?;
    let base = model_path(&model, version.as_deref());
    let server = asker.get("/v2")?;
    let parsed =
        |bytes: Option<bytes::Bytes>| bytes.and_then(|b| serde_json::from_slice::<Value>(&b).ok());
    let server = parsed(server).unwrap_or_default();
    let metadata = asker.get(&base)?;
    let metadata = parsed(metadata).ok_or_else(|| no_model(&model))?;
    let slots = |key: &str| {
        metadata[key].as_array().into_iter().flatten().filter_map(slot).collect::<Vec<_>>()
    };
    let (inputs, outputs) = (slots("inputs"), slots("outputs"));
    let extensions = server["extensions"].as_array().into_iter().flatten();
    let can = extensions.filter_map(Value::as_str).any(|e| e.starts_with("binary_tensor_data"));
    let binary = match asker.options.encoding {
        Encoding::Auto => can,
        Encoding::Binary => true,
        Encoding::Json => false,
    };
    let (path, authority) = (format!("{base}/infer"), asker.connector.authority().to_owned());
    let given = asker.options.headers.clone();
    let encode = move |tensors: &[Tensor]| {
        let (head, body) = if binary { binary_body(tensors) } else { json_body(tensors)? };
        let mut headers = given.clone();
        if binary {
            headers.push(("Content-Type".into(), "application/octet-stream".into()));
            headers.push(("Inference-Header-Content-Length".into(), head.to_string()));
        } else {
            headers.push(("Content-Type".into(), "application/json".into()));
        }
        Ok(Encoded::Http(Request::new("POST", &path, &authority, &headers, &body)))
    };
    let made = asker.requests(&inputs, &outputs, encode)?;
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let parts = [text(&server["name"]), text(&server["version"]), text(&metadata["platform"])];
    let encoding = if binary { BodyEncoding::Binary } else { BodyEncoding::Json };
    Ok(made.found(platform(parts), encoding, outputs))
}

/// Name and version of the server, and what runs the model in it, as far as they are told.
fn platform(parts: [String; 3]) -> String {
    parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(" ")
}

fn no_model(model: &str) -> TargetError {
    TargetError::new(
        format!("the server has no model `{model}`"),
        "check the name; a model that failed to load is not there either",
    )
}

/// A tensor as model metadata declares it.
fn slot(value: &Value) -> Option<Slot> {
    Some(Slot {
        name: value["name"].as_str()?.to_owned(),
        dtype: Dtype::find(value["datatype"].as_str()?)?,
        shape: value["shape"].as_array()?.iter().map(Value::as_i64).collect::<Option<_>>()?,
    })
}

/// The JSON head with its length, and the tensors behind it.
fn binary_body(tensors: &[Tensor]) -> (usize, Vec<u8>) {
    let inputs: Vec<Value> = tensors
        .iter()
        .map(|t| json!({"name": t.name, "datatype": t.dtype.name(), "shape": t.shape, "parameters": {"binary_data_size": t.data.len()}}))
        .collect();
    let head = json!({"inputs": inputs, "parameters": {"binary_data_output": true}}).to_string();
    let mut body = head.clone().into_bytes();
    for tensor in tensors {
        body.extend_from_slice(&tensor.data);
    }
    (head.len(), body)
}

fn json_body(tensors: &[Tensor]) -> Result<(usize, Vec<u8>), TargetError> {
    let input = |t: &Tensor| {
        let data = t
            .json()
            .ok_or_else(|| TargetError::new(no_json(t), "use --encoding binary, or gRPC"))?;
        Ok(json!({"name": t.name, "datatype": t.dtype.name(), "shape": t.shape, "data": data}))
    };
    let inputs = tensors.iter().map(input).collect::<Result<Vec<_>, TargetError>>()?;
    Ok((0, json!({"inputs": inputs}).to_string().into_bytes()))
}

/// What has no JSON form, and why that may be.
pub(super) fn no_json(tensor: &Tensor) -> String {
    format!(
        "input `{}` of {} has no JSON form: half-width floats, NaN, infinity and bytes that are no text have none",
        tensor.name,
        tensor.dtype.name()
    )
}

fn check_http(answer: &Answer, wanted: &Wanted<'_>) -> Result<(), Failure> {
    let malformed = |text: &str| (Fault::Malformed, text.to_owned());
    let head = answer.inference_header.unwrap_or(answer.body.len());
    let head_bytes = answer
        .body
        .get(..head)
        .ok_or_else(|| malformed("the JSON head is longer than the body"))?;
    let value: Value = serde_json::from_slice(head_bytes)
        .map_err(|e| (Fault::Malformed, format!("the answer is not JSON: {e}")))?;
    let outputs =
        value["outputs"].as_array().ok_or_else(|| malformed("the answer has no `outputs`"))?;
    let size = |o: &Value| {
        o["parameters"]["binary_data_size"].as_u64().and_then(|n| usize::try_from(n).ok())
    };
    let binary = outputs.iter().filter_map(size).try_fold(head, usize::checked_add);
    if answer.inference_header.is_some() && binary != Some(answer.body.len()) {
        return Err(malformed("the tensors have not the length that the head says"));
    }
    for slot in wanted.declared {
        let output = outputs
            .iter()
            .find(|o| o["name"] == slot.name.as_str())
            .ok_or_else(|| missing(&slot.name))?;
        let shape: Vec<i64> =
            output["shape"].as_array().into_iter().flatten().filter_map(Value::as_i64).collect();
        // Binary tensors lie behind the head, in the order of the outputs.
        let contents = match size(output) {
            Some(length) => {
                let before: usize =
                    outputs.iter().take_while(|o| !std::ptr::eq(*o, output)).filter_map(size).sum();
                let at = head + before;
                let data = answer.body.get(at..at.saturating_add(length));
                Contents::Raw(data.ok_or_else(|| malformed("a tensor ends behind the body"))?)
            }
            None => Contents::Json(&output["data"]),
        };
        let dtype = output["datatype"].as_str().unwrap_or("nothing");
        wanted.output(slot, dtype, &shape, Some(&contents))?;
    }
    Ok(())
}

const SERVER: &str = "/inference.GRPCInferenceService/ServerMetadata";
const METADATA: &str = "/inference.GRPCInferenceService/ModelMetadata";
const INFER: &str = "/inference.GRPCInferenceService/ModelInfer";

fn prepare_grpc(asker: &Asker<'_>) -> Result<Found, TargetError> {
    let (model, version) = asker.url.model()?;
    let version = version.unwrap_or_default();
    let ask = ModelMetadataRequest { name: model.clone(), version: version.clone() };
    let metadata: ModelMetadataResponse =
        asker.call(Call::new(METADATA, &ask))?.ok_or_else(|| no_model(&model))?;
    // A server that does not say what it is can be measured all the same.
    let server: ServerMetadataResponse =
        asker.call(Call::new(SERVER, &())).ok().flatten().unwrap_or_default();
    let slot = |t: &InferTensor| {
        Some(Slot {
            name: t.name.clone(),
            dtype: Dtype::find(&t.datatype)?,
            shape: t.shape.clone(),
        })
    };
    let inputs: Vec<Slot> = metadata.inputs.iter().filter_map(slot).collect();
    let outputs: Vec<Slot> = metadata.outputs.iter().filter_map(slot).collect();
    let decoupled = is_decoupled(asker, &model, &version)?;
    let region = asker.options.shared_memory.then(|| Region::new(asker)).transpose()?;
    let shared = region.clone();
    let encode = move |tensors: &[Tensor]| {
        let inputs = tensors.iter().map(|t| input(t, shared.as_deref()));
        let contents = tensors.iter().filter(|_| shared.is_none());
        let request = ModelInferRequest {
            model_name: model.clone(),
            model_version: version.clone(),
            inputs: inputs.collect::<Result<_, _>>()?,
            raw_input_contents: contents.map(|t| t.data.clone().into()).collect(),
        };
        let path = if decoupled { STREAM } else { INFER };
        let call = Call::new(path, &request);
        Ok(Encoded::Grpc(if decoupled { call.streamed() } else { call }))
    };
    let made = asker.requests(&inputs, &outputs, encode)?;
    if let Some(region) = &region {
        if made.requests.is_slow() {
            return Err(TargetError::new(
                "the data set is too large for --shared-memory",
                "leave it out, or give a data set of at most 64 MiB and --batch 1",
            ));
        }
        region.register(asker)?;
    }
    let parts = [server.name, server.version, metadata.platform];
    let found = made.found(platform(parts), BodyEncoding::Binary, outputs);
    let region = region.map(|region| region as Arc<dyn Any + Send + Sync>);
    Ok(Found { requests: found.requests.needing(region), ..found })
}

fn check_grpc(answer: &Answer, wanted: &Wanted<'_>) -> Result<(), Failure> {
    if answer.streamed {
        // A model may answer with any number of responses, each with the rows that it has; the last may be empty.
        let wanted = Wanted { any_rows: true, ..*wanted };
        let all = responses(answer)?;
        let mut filled = all.iter().filter(|response| !response.outputs.is_empty());
        return filled.try_for_each(|response| check_response(response, &wanted));
    }
    let response = <ModelInferResponse as prost::Message>::decode(answer.body.clone())
        .map_err(|e| (Fault::Malformed, format!("the answer is not a ModelInferResponse: {e}")))?;
    check_response(&response, wanted)
}

fn check_response(response: &ModelInferResponse, wanted: &Wanted<'_>) -> Result<(), Failure> {
    for slot in wanted.declared {
        let at = response
            .outputs
            .iter()
            .position(|o| o.name == slot.name)
            .ok_or_else(|| missing(&slot.name))?;
        let output = &response.outputs[at];
        let raw = response.raw_output_contents.get(at).map(|data| Contents::Raw(data));
        let typed = || output.contents.as_ref().map(|c| Contents::Typed(c.numbers(), false));
        let contents = raw.or_else(typed);
        wanted.output(slot, &output.datatype, &output.shape, contents.as_ref())?;
    }
    Ok(())
}

fn questions_http(asker: &Asker<'_>, _: Option<&str>) -> Result<Questions, TargetError> {
    let (model, version) = asker.url.model()?;
    let model = format!("{}/ready", model_path(&model, version.as_deref()));
    Ok(["/v2/health/live", "/v2/health/ready", &model].map(|path| Some(asker.page(path))))
}

fn questions_grpc(asker: &Asker<'_>, _: Option<&str>) -> Result<Questions, TargetError> {
    let (name, version) = asker.url.model()?;
    let (server, version) = (ModelReadyRequest::default(), version.unwrap_or_default());
    let model = ModelReadyRequest { name, version };
    let calls = [
        Call::new("/inference.GRPCInferenceService/ServerLive", &server),
        Call::new("/inference.GRPCInferenceService/ServerReady", &server),
        Call::new("/inference.GRPCInferenceService/ModelReady", &model),
    ];
    Ok(calls.map(|call| Some(Encoded::Grpc(call))))
}

fn is_set(_: State, body: bytes::Bytes) -> bool {
    <ReadyFlag as prost::Message>::decode(body).is_ok_and(|flag| flag.set)
}

#[cfg(test)]
mod tests;
