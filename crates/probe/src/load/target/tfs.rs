//! TensorFlow Serving: REST in its columnar form, and gRPC.

use super::expect::{Contents, Wanted, missing};
use super::kserve::no_json;
use super::messages::{
    GetModelMetadataRequest, GetModelMetadataResponse, GetModelStatusRequest,
    GetModelStatusResponse, Int64Value, ModelSpec, PredictRequest, PredictResponse,
    SignatureDefMap, TensorDim, TensorInfo, TensorProto, TensorShape,
};
use super::protocol::{Health, Questions, Row, State};
use super::tensor::{Dtype, Slot, Tensor};
use super::{Asker, Failure, Found, TargetError};
use crate::connector::{Answer, Encoded, Transport};
use crate::grpc::Call;
use crate::http::Request;
use crate::record::Fault;
use crate::schema::BodyEncoding;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

const SIGNATURE: &str = "serving_default";

pub(super) static HTTP: Row = Row {
    schemes: ["tfs+http", "tfs+https"],
    port: 8501,
    transport: Transport::Http,
    models: true,
    tokens: false,
    prepare: prepare_http,
    check: check_http,
    health: Health { questions: questions_http, reached: reached_http, live_on_error: true },
    sequence: None,
};

pub(super) static GRPC: Row = Row {
    schemes: ["tfs+grpc", "tfs+grpcs"],
    port: 8500,
    transport: Transport::Grpc,
    models: true,
    tokens: false,
    prepare: prepare_grpc,
    check: check_grpc,
    health: Health { questions: questions_grpc, reached: reached_grpc, live_on_error: true },
    sequence: None,
};

/// Where a model is, over HTTP.
fn model_path(model: &str, version: Option<&str>) -> String {
    let version = version.map_or(String::new(), |v| format!("/versions/{v}"));
    format!("/v1/models/{model}{version}")
}

fn prepare_http(asker: &Asker<'_>) -> Result<Found, TargetError> {
    let (model, version) = asker.url.model()?;
    let base = model_path(&model, version.as_deref());
    let metadata = asker.get(&format!("{base}/metadata"))?;
    let metadata: Value =
        metadata.and_then(|b| serde_json::from_slice(&b).ok()).ok_or_else(|| no_model(&model))?;
    let signature = &metadata["metadata"]["signature_def"]["signature_def"][SIGNATURE];
    let slots = |key: &str| {
        let entries = signature[key].as_object().into_iter().flatten();
        entries.filter_map(|(name, info)| slot(name, info)).collect::<Vec<_>>()
    };
    let (inputs, outputs) = (slots("inputs"), slots("outputs"));
    let mut headers = asker.options.headers.clone();
    headers.push(("Content-Type".into(), "application/json".into()));
    let authority = asker.connector.authority().to_owned();
    let encode = move |tensors: &[Tensor]| {
        let mut columns = Map::new();
        for tensor in tensors {
            let value = nested(tensor)
                .ok_or_else(|| TargetError::new(no_json(tensor), "use tfs+grpc://"))?;
            columns.insert(tensor.name.clone(), value);
        }
        let body = serde_json::json!({"signature_name": SIGNATURE, "inputs": columns}).to_string();
        let path = format!("{base}:predict");
        Ok(Encoded::Http(Request::new("POST", &path, &authority, &headers, body.as_bytes())))
    };
    let made = asker.requests(&inputs, &outputs, encode)?;
    Ok(made.found("TensorFlow Serving REST".into(), BodyEncoding::Json, outputs))
}

/// Elements as nested arrays; strings that are no text in the form that the protocol has for them.
fn nested(tensor: &Tensor) -> Option<Value> {
    let Some(texts) = tensor.texts() else { return tensor.nested() };
    let element = |bytes: &&[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => serde_json::json!({"b64": STANDARD.encode(bytes)}),
    };
    tensor.nest(texts.iter().map(element).collect())
}

fn no_model(model: &str) -> TargetError {
    TargetError::new(
        format!("the server has no model `{model}` with a signature"),
        "check the name; the signature `serving_default` is used",
    )
}

fn slot(name: &str, info: &Value) -> Option<Slot> {
    let number = |v: &Value| v.as_i64().or_else(|| v.as_str()?.parse().ok());
    let shape = &info["tensor_shape"];
    let dims = shape["dim"].as_array().into_iter().flatten();
    Some(Slot {
        name: name.to_owned(),
        dtype: Dtype::find(info["dtype"].as_str()?)?,
        shape: dims.map(|d| number(&d["size"])).collect::<Option<_>>()?,
    })
}

fn check_http(answer: &Answer, wanted: &Wanted<'_>) -> Result<(), Failure> {
    let value: Value = serde_json::from_slice(&answer.body)
        .map_err(|e| (Fault::Malformed, format!("the answer is not JSON: {e}")))?;
    let outputs =
        value.get("outputs").ok_or((Fault::Malformed, "the answer has no `outputs`".to_owned()))?;
    for slot in wanted.declared {
        // One output stands alone, several by name.
        let alone = wanted.declared.len() == 1;
        let output = if alone { Some(outputs) } else { outputs.get(&slot.name) };
        let output = output.ok_or_else(|| missing(&slot.name))?;
        let contents = Contents::Json(output);
        wanted.output(slot, slot.dtype.name(), &shape_of(output), Some(&contents))?;
    }
    Ok(())
}

/// Sizes of nested arrays, by their first entries.
fn shape_of(value: &Value) -> Vec<i64> {
    let (mut shape, mut at) = (Vec::new(), value);
    while let Some(list) = at.as_array() {
        shape.push(i64::try_from(list.len()).unwrap_or(i64::MAX));
        match list.first() {
            Some(first) => at = first,
            None => break,
        }
    }
    shape
}

const METADATA: &str = "/tensorflow.serving.PredictionService/GetModelMetadata";
const PREDICT: &str = "/tensorflow.serving.PredictionService/Predict";

fn prepare_grpc(asker: &Asker<'_>) -> Result<Found, TargetError> {
    let (model, version) = asker.url.model()?;
    let number = version.map(|v| v.parse().map(|value| Int64Value { value })).transpose();
    let version = number.map_err(|_| {
        TargetError::new("the version is not a number", "for example …/MODEL/versions/2")
    })?;
    let spec = |signature: &str| {
        Some(ModelSpec { name: model.clone(), version, signature_name: signature.into() })
    };
    let ask = GetModelMetadataRequest {
        model_spec: spec(""),
        metadata_field: vec!["signature_def".into()],
    };
    let metadata: GetModelMetadataResponse =
        asker.call(Call::new(METADATA, &ask))?.ok_or_else(|| no_model(&model))?;
    let packed =
        metadata.metadata.get("signature_def").map(|any| any.value.clone()).unwrap_or_default();
    let map = <SignatureDefMap as prost::Message>::decode(packed).map_err(|e| {
        TargetError::new(
            format!("the model's signature cannot be read: {e}"),
            "check that this is TensorFlow Serving",
        )
    })?;
    let signature = map.signature_def.get(SIGNATURE).ok_or_else(|| no_model(&model))?;
    let slots = |infos: &BTreeMap<String, TensorInfo>| {
        let slot = |(name, info): (&String, &TensorInfo)| {
            let shape = info.tensor_shape.as_ref().map(|s| s.dim.iter().map(|d| d.size).collect());
            Some(Slot {
                name: name.clone(),
                dtype: Dtype::of_tensorflow(info.dtype)?,
                shape: shape.unwrap_or_default(),
            })
        };
        infos.iter().filter_map(slot).collect::<Vec<_>>()
    };
    let (inputs, outputs) = (slots(&signature.inputs), slots(&signature.outputs));
    let model_spec = spec(SIGNATURE);
    let encode = move |tensors: &[Tensor]| {
        let inputs = tensors.iter().map(|t| (t.name.clone(), proto(t))).collect();
        let request = PredictRequest { model_spec: model_spec.clone(), inputs };
        Ok(Encoded::Grpc(Call::new(PREDICT, &request)))
    };
    let made = asker.requests(&inputs, &outputs, encode)?;
    Ok(made.found("TensorFlow Serving gRPC".into(), BodyEncoding::Binary, outputs))
}

fn proto(tensor: &Tensor) -> TensorProto {
    let dim = tensor.shape.iter().map(|size| TensorDim { size: *size }).collect();
    let texts = tensor.texts();
    let text = |bytes: &[u8]| bytes::Bytes::copy_from_slice(bytes);
    TensorProto {
        dtype: tensor.dtype.tensorflow(),
        tensor_shape: Some(TensorShape { dim, unknown_rank: false }),
        tensor_content: if texts.is_some() {
            bytes::Bytes::new()
        } else {
            tensor.data.clone().into()
        },
        string_val: texts.into_iter().flatten().map(text).collect(),
        ..TensorProto::default()
    }
}

fn check_grpc(answer: &Answer, wanted: &Wanted<'_>) -> Result<(), Failure> {
    let response = <PredictResponse as prost::Message>::decode(answer.body.clone())
        .map_err(|e| (Fault::Malformed, format!("the answer is not a PredictResponse: {e}")))?;
    for slot in wanted.declared {
        let output = response.outputs.get(&slot.name).ok_or_else(|| missing(&slot.name))?;
        let shape: Vec<i64> =
            output.tensor_shape.iter().flat_map(|s| &s.dim).map(|d| d.size).collect();
        let dtype = Dtype::of_tensorflow(output.dtype).map_or("unknown", Dtype::name);
        let contents = if !output.tensor_content.is_empty() {
            Some(Contents::Raw(&output.tensor_content))
        } else if slot.dtype.width().is_some() {
            Some(Contents::Typed(output.numbers(slot.dtype), true))
        } else {
            None
        };
        wanted.output(slot, dtype, &shape, contents.as_ref())?;
    }
    Ok(())
}

/// `ModelVersionStatus.State.AVAILABLE`.
const AVAILABLE: i32 = 30;

fn questions_http(asker: &Asker<'_>, _: Option<&str>) -> Result<Questions, TargetError> {
    let status = asker.page(&model_path(&asker.url.model()?.0, None));
    Ok([Some(status.clone()), None, Some(status)])
}

#[allow(clippy::needless_pass_by_value, reason = "one signature for all protocols")]
fn reached_http(state: State, body: bytes::Bytes) -> bool {
    let value = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    let mut versions = value["model_version_status"].as_array().into_iter().flatten();
    state != State::Model || versions.any(|v| v["state"] == "AVAILABLE")
}

fn questions_grpc(asker: &Asker<'_>, _: Option<&str>) -> Result<Questions, TargetError> {
    let spec = ModelSpec { name: asker.url.model()?.0, ..ModelSpec::default() };
    let ask = GetModelStatusRequest { model_spec: Some(spec) };
    let status = Encoded::Grpc(Call::new("/tensorflow.serving.ModelService/GetModelStatus", &ask));
    Ok([Some(status.clone()), None, Some(status)])
}

fn reached_grpc(state: State, body: bytes::Bytes) -> bool {
    let status = <GetModelStatusResponse as prost::Message>::decode(body);
    let available = |s: &GetModelStatusResponse| s.versions.iter().any(|v| v.state == AVAILABLE);
    state != State::Model || status.is_ok_and(|s| available(&s))
}
