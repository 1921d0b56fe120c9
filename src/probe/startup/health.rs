//! Whether a server is live and ready and has its model, as each protocol tells it.

use super::super::grpc::{self, Call};
use super::super::http::{self, Request};
use super::super::record::Fault;
use super::super::target::{Client, Encoded, Options, Protocol, TargetError, Url, metadata};
use super::address;

/// A state on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Live,
    Ready,
    Model,
}

impl State {
    /// What the server does as long as it has not reached this state.
    pub(super) fn missing(self) -> &'static str {
        match self {
            Self::Live => "is not live",
            Self::Ready => "is not ready",
            Self::Model => "has no ready model",
        }
    }
}

/// `inference.ModelReadyRequest`.
#[derive(Clone, PartialEq, prost::Message)]
struct ModelReadyRequest {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

/// `inference.ServerLiveResponse`, `ServerReadyResponse` and `ModelReadyResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct Flag {
    #[prost(bool, tag = "1")]
    set: bool,
}

/// `tensorflow.serving.GetModelStatusRequest` with its `ModelSpec`.
#[derive(Clone, PartialEq, prost::Message)]
struct GetModelStatusRequest {
    #[prost(message, optional, tag = "1")]
    spec: Option<Name>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Name {
    #[prost(string, tag = "1")]
    name: String,
}

/// `tensorflow.serving.GetModelStatusResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct GetModelStatusResponse {
    #[prost(message, repeated, tag = "1")]
    versions: Vec<VersionStatus>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct VersionStatus {
    #[prost(int32, tag = "2")]
    state: i32,
}

/// `ModelVersionStatus.State.AVAILABLE`.
const AVAILABLE: i32 = 30;

/// Questions for each state, where the protocol has one.
pub(super) struct Health<'a> {
    url: &'a Url,
    options: &'a Options,
    questions: [Option<Encoded>; 3],
}

impl<'a> Health<'a> {
    pub(super) fn new(
        url: &'a Url,
        options: &'a Options,
        ready_path: Option<&str>,
    ) -> Result<Self, TargetError> {
        let authority = format!("{}:{}", url.host, url.port);
        let get = |path: &str| {
            Some(Encoded::Http(Request::new("GET", path, &authority, &options.headers, b"")))
        };
        let questions = match url.protocol {
            Protocol::Http => {
                let path = ready_path.unwrap_or("/");
                [get(path), ready_path.and_then(get), None]
            }
            Protocol::KserveHttp => {
                let model = match url.model()? {
                    (name, Some(version)) => format!("/v2/models/{name}/versions/{version}/ready"),
                    (name, None) => format!("/v2/models/{name}/ready"),
                };
                [get("/v2/health/live"), get("/v2/health/ready"), get(&model)]
            }
            Protocol::KserveGrpc => {
                let (name, version) = url.model()?;
                let call = |path: &'static str, message: &ModelReadyRequest| {
                    Some(Encoded::Grpc(Call::new(path, message)))
                };
                let (empty, model) = (
                    ModelReadyRequest::default(),
                    ModelReadyRequest { name, version: version.unwrap_or_default() },
                );
                [
                    call("/inference.GRPCInferenceService/ServerLive", &empty),
                    call("/inference.GRPCInferenceService/ServerReady", &empty),
                    call("/inference.GRPCInferenceService/ModelReady", &model),
                ]
            }
            Protocol::TfsHttp => {
                let path = format!("/v1/models/{}", url.model()?.0);
                [get(&path), None, get(&path)]
            }
            Protocol::TfsGrpc => {
                let ask = GetModelStatusRequest { spec: Some(Name { name: url.model()?.0 }) };
                let path = "/tensorflow.serving.ModelService/GetModelStatus";
                let call = || Some(Encoded::Grpc(Call::new(path, &ask)));
                [call(), None, call()]
            }
        };
        Ok(Self { url, options, questions })
    }

    fn question(&self, state: State) -> Option<&Encoded> {
        self.questions[state as usize].as_ref()
    }

    /// Whether the protocol tells of a state.
    pub(super) fn tells(&self, state: State) -> bool {
        self.question(state).is_some()
    }

    /// Connections for the questions.
    pub(super) fn client(&self) -> Result<Client, TargetError> {
        let grpc = matches!(self.url.protocol, Protocol::KserveGrpc | Protocol::TfsGrpc);
        let address = address(self.url, self.options, grpc)?;
        let largest = self.options.largest;
        Ok(if grpc {
            let metadata = metadata(&self.options.headers)?;
            Client::Grpc(grpc::Pool::new(address, self.url.secure, metadata, largest))
        } else {
            Client::Http(http::Pool::new(address, largest))
        })
    }

    /// Asks once; `true` when the server says that it has reached the state.
    pub(super) async fn ask(&self, client: &Client, state: State) -> bool {
        let Some(question) = self.question(state) else { return true };
        let answer = client.call(question, || {}).await;
        let body = match answer {
            Ok((answer, _)) => answer.body,
            // Whoever answers at all is alive, where the protocol has no question for that.
            Err((Fault::Http(_) | Fault::Grpc(2..=13 | 15 | 16), _)) => {
                return state == State::Live
                    && !matches!(self.url.protocol, Protocol::KserveHttp | Protocol::KserveGrpc);
            }
            Err(_) => return false,
        };
        match (self.url.protocol, state) {
            (Protocol::KserveGrpc, _) => {
                <Flag as prost::Message>::decode(body).is_ok_and(|flag| flag.set)
            }
            (Protocol::TfsHttp, State::Model) => {
                let value = serde_json::from_slice::<serde_json::Value>(&body).unwrap_or_default();
                let mut versions = value["model_version_status"].as_array().into_iter().flatten();
                versions.any(|v| v["state"] == "AVAILABLE")
            }
            (Protocol::TfsGrpc, State::Model) => {
                let status = <GetModelStatusResponse as prost::Message>::decode(body);
                status.is_ok_and(|s| s.versions.iter().any(|v| v.state == AVAILABLE))
            }
            _ => true,
        }
    }
}
