//! Messages of gRPC inference services, only the fields that are used.
//!
//! Field numbers are those of the Open Inference Protocol (package `inference`) and of TensorFlow
//! Serving (package `tensorflow.serving`); unknown fields are skipped.

use super::tensor::{Dtype, numbers};
use bytes::Bytes;
use std::collections::BTreeMap;

/// `inference.ServerMetadataResponse`; its request is empty.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ServerMetadataResponse {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) version: String,
}

/// `inference.ModelMetadataRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ModelMetadataRequest {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) version: String,
}

/// `inference.ModelMetadataResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ModelMetadataResponse {
    #[prost(string, tag = "3")]
    pub(super) platform: String,
    #[prost(message, repeated, tag = "4")]
    pub(super) inputs: Vec<InferTensor>,
    #[prost(message, repeated, tag = "5")]
    pub(super) outputs: Vec<InferTensor>,
}

/// `inference.ModelMetadataResponse.TensorMetadata` and the heads of `InferInputTensor` and
/// `InferOutputTensor`, which begin alike.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct InferTensor {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) datatype: String,
    #[prost(int64, repeated, tag = "3")]
    pub(super) shape: Vec<i64>,
    /// Of inputs, where their contents are.
    #[prost(btree_map = "string, message", tag = "4")]
    pub(super) parameters: BTreeMap<String, InferParameter>,
    /// Of answers without raw contents.
    #[prost(message, optional, tag = "5")]
    pub(super) contents: Option<InferContents>,
}

/// `inference.InferParameter`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct InferParameter {
    #[prost(oneof = "InferChoice", tags = "1, 2, 3")]
    choice: Option<InferChoice>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum InferChoice {
    #[prost(bool, tag = "1")]
    Flag(bool),
    #[prost(int64, tag = "2")]
    Number(i64),
    #[prost(string, tag = "3")]
    Text(String),
}

impl InferParameter {
    pub(super) fn flag(value: bool) -> Self {
        Self { choice: Some(InferChoice::Flag(value)) }
    }

    pub(super) fn number(value: i64) -> Self {
        Self { choice: Some(InferChoice::Number(value)) }
    }

    pub(super) fn text(value: &str) -> Self {
        Self { choice: Some(InferChoice::Text(value.into())) }
    }
}

#[cfg(test)]
impl TryFrom<&InferParameter> for i64 {
    type Error = ();

    fn try_from(from: &InferParameter) -> Result<Self, ()> {
        match from.choice {
            Some(InferChoice::Number(number)) => Ok(number),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
impl TryFrom<&InferParameter> for bool {
    type Error = ();

    fn try_from(from: &InferParameter) -> Result<Self, ()> {
        match from.choice {
            Some(InferChoice::Flag(flag)) => Ok(flag),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
impl TryFrom<&InferParameter> for String {
    type Error = ();

    fn try_from(from: &InferParameter) -> Result<Self, ()> {
        match &from.choice {
            Some(InferChoice::Text(text)) => Ok(text.clone()),
            _ => Err(()),
        }
    }
}

/// `inference.ModelInferRequest`, its parameters alone: fields of a message may stand before the rest of it.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RequestParameters {
    #[prost(btree_map = "string, message", tag = "4")]
    pub(super) parameters: BTreeMap<String, InferParameter>,
}

/// `inference.ModelStreamInferResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ModelStreamInferResponse {
    #[prost(string, tag = "1")]
    pub(super) error_message: String,
    #[prost(message, optional, tag = "2")]
    pub(super) infer_response: Option<ModelInferResponse>,
}

/// `inference.ModelConfigResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ModelConfigResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) config: Option<ModelConfig>,
}

/// `inference.ModelConfig`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ModelConfig {
    #[prost(message, optional, tag = "19")]
    pub(super) model_transaction_policy: Option<TransactionPolicy>,
}

/// `inference.ModelTransactionPolicy`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct TransactionPolicy {
    #[prost(bool, tag = "1")]
    pub(super) decoupled: bool,
}

/// `inference.SystemSharedMemoryRegisterRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RegisterRegion {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) key: String,
    #[prost(uint64, tag = "3")]
    pub(super) offset: u64,
    #[prost(uint64, tag = "4")]
    pub(super) byte_size: u64,
}

/// `inference.SystemSharedMemoryUnregisterRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RegionName {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

/// `inference.InferTensorContents`; one of the fields is filled.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct InferContents {
    #[prost(bool, repeated, tag = "1")]
    bools: Vec<bool>,
    #[prost(int32, repeated, tag = "2")]
    ints: Vec<i32>,
    #[prost(int64, repeated, tag = "3")]
    longs: Vec<i64>,
    #[prost(uint32, repeated, tag = "4")]
    unsigned: Vec<u32>,
    #[prost(uint64, repeated, tag = "5")]
    unsigned_longs: Vec<u64>,
    #[prost(float, repeated, tag = "6")]
    floats: Vec<f32>,
    #[prost(double, repeated, tag = "7")]
    doubles: Vec<f64>,
}

impl InferContents {
    /// The elements, whatever their type.
    pub(super) fn numbers(&self) -> Vec<f64> {
        let bools = self.bools.iter().map(|v| f64::from(u8::from(*v)));
        let small = self.ints.iter().map(|v| f64::from(*v));
        let small = small.chain(self.unsigned.iter().map(|v| f64::from(*v)));
        let large = self.longs.iter().map(|v| *v as f64);
        let large = large.chain(self.unsigned_longs.iter().map(|v| *v as f64));
        let floats = self.floats.iter().map(|v| f64::from(*v)).chain(self.doubles.iter().copied());
        bools.chain(small).chain(large).chain(floats).collect()
    }
}

/// `inference.ModelInferRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ModelInferRequest {
    #[prost(string, tag = "1")]
    pub(super) model_name: String,
    #[prost(string, tag = "2")]
    pub(super) model_version: String,
    #[prost(message, repeated, tag = "5")]
    pub(super) inputs: Vec<InferTensor>,
    /// Contents of all inputs in order, little endian, row major.
    #[prost(bytes = "bytes", repeated, tag = "7")]
    pub(super) raw_input_contents: Vec<Bytes>,
}

/// `inference.ModelInferResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ModelInferResponse {
    #[prost(message, repeated, tag = "5")]
    pub(super) outputs: Vec<InferTensor>,
    #[prost(bytes = "bytes", repeated, tag = "6")]
    pub(super) raw_output_contents: Vec<Bytes>,
}

/// `tensorflow.serving.ModelSpec`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ModelSpec {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, optional, tag = "2")]
    pub(super) version: Option<Int64Value>,
    #[prost(string, tag = "3")]
    pub(super) signature_name: String,
}

/// `google.protobuf.Int64Value`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Int64Value {
    #[prost(int64, tag = "1")]
    pub(super) value: i64,
}

/// `tensorflow.serving.PredictRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PredictRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) model_spec: Option<ModelSpec>,
    #[prost(btree_map = "string, message", tag = "2")]
    pub(super) inputs: BTreeMap<String, TensorProto>,
}

/// `tensorflow.serving.PredictResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PredictResponse {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(super) outputs: BTreeMap<String, TensorProto>,
}

/// `tensorflow.TensorProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TensorProto {
    #[prost(int32, tag = "1")]
    pub(super) dtype: i32,
    #[prost(message, optional, tag = "2")]
    pub(super) tensor_shape: Option<TensorShape>,
    /// Contents of all types but strings, little endian, row major.
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) tensor_content: Bytes,
    #[prost(float, repeated, tag = "5")]
    pub(super) float_val: Vec<f32>,
    #[prost(double, repeated, tag = "6")]
    pub(super) double_val: Vec<f64>,
    /// Of all integers of up to 32 bits.
    #[prost(int32, repeated, tag = "7")]
    pub(super) int_val: Vec<i32>,
    #[prost(bytes = "bytes", repeated, tag = "8")]
    pub(super) string_val: Vec<Bytes>,
    #[prost(int64, repeated, tag = "10")]
    pub(super) int64_val: Vec<i64>,
    #[prost(bool, repeated, tag = "11")]
    pub(super) bool_val: Vec<bool>,
    /// Bits of FP16 and BF16.
    #[prost(int32, repeated, tag = "13")]
    pub(super) half_val: Vec<i32>,
    #[prost(uint32, repeated, tag = "16")]
    pub(super) uint32_val: Vec<u32>,
    #[prost(uint64, repeated, tag = "17")]
    pub(super) uint64_val: Vec<u64>,
}

impl TensorProto {
    /// The elements in typed fields, one of which is filled.
    pub(super) fn numbers(&self, dtype: Dtype) -> Vec<f64> {
        let bits = |v: &i32| v.to_le_bytes().into_iter().take(2);
        let halves: Vec<u8> = self.half_val.iter().flat_map(bits).collect();
        let small = self.int_val.iter().map(|v| f64::from(*v));
        let small = small.chain(self.uint32_val.iter().map(|v| f64::from(*v)));
        let small = small.chain(self.bool_val.iter().map(|v| f64::from(u8::from(*v))));
        let large = self.int64_val.iter().map(|v| *v as f64);
        let large = large.chain(self.uint64_val.iter().map(|v| *v as f64));
        let floats = self.float_val.iter().map(|v| f64::from(*v));
        let floats = floats.chain(self.double_val.iter().copied());
        let halves = if halves.is_empty() { None } else { numbers(dtype, &halves) };
        small.chain(large).chain(floats).chain(halves.into_iter().flatten()).collect()
    }
}

/// `tensorflow.TensorShapeProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TensorShape {
    #[prost(message, repeated, tag = "2")]
    pub(super) dim: Vec<TensorDim>,
    #[prost(bool, tag = "3")]
    pub(super) unknown_rank: bool,
}

/// `tensorflow.TensorShapeProto.Dim`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct TensorDim {
    #[prost(int64, tag = "1")]
    pub(super) size: i64,
}

/// `tensorflow.serving.GetModelMetadataRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct GetModelMetadataRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) model_spec: Option<ModelSpec>,
    /// `signature_def` is the only field there is.
    #[prost(string, repeated, tag = "2")]
    pub(super) metadata_field: Vec<String>,
}

/// `tensorflow.serving.GetModelMetadataResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct GetModelMetadataResponse {
    #[prost(btree_map = "string, message", tag = "2")]
    pub(super) metadata: BTreeMap<String, Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Any {
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) value: Bytes,
}

/// `tensorflow.serving.SignatureDefMap`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SignatureDefMap {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(super) signature_def: BTreeMap<String, SignatureDef>,
}

/// `tensorflow.SignatureDef`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SignatureDef {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(super) inputs: BTreeMap<String, TensorInfo>,
    #[prost(btree_map = "string, message", tag = "2")]
    pub(super) outputs: BTreeMap<String, TensorInfo>,
}

/// `tensorflow.TensorInfo`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TensorInfo {
    #[prost(int32, tag = "2")]
    pub(super) dtype: i32,
    #[prost(message, optional, tag = "3")]
    pub(super) tensor_shape: Option<TensorShape>,
}

/// `inference.ModelReadyRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ModelReadyRequest {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) version: String,
}

/// `inference.ServerLiveResponse`, `ServerReadyResponse` and `ModelReadyResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ReadyFlag {
    #[prost(bool, tag = "1")]
    pub(super) set: bool,
}

/// `tensorflow.serving.GetModelStatusRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct GetModelStatusRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) model_spec: Option<ModelSpec>,
}

/// `tensorflow.serving.GetModelStatusResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct GetModelStatusResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) versions: Vec<VersionStatus>,
}

/// `tensorflow.serving.ModelVersionStatus`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct VersionStatus {
    #[prost(int32, tag = "2")]
    pub(super) state: i32,
}
