//! Language models behind the interface of `OpenAI`, as vLLM, llama.cpp, `SGLang`, TGI and others serve it: chats and
//! completions are streamed, embeddings are not.

mod answer;
mod prompts;

use super::expect::Wanted;
use super::protocol::{Health, Questions, Row, State};
use super::{Asker, Failure, Found, Requests, TargetError, explain};
use crate::connector::{Answer, Encoded, Transport};
use crate::record::Fault;
use crate::schema::BodyEncoding;
use answer::{Stream, Whole};
use bytes::Bytes;
use prompts::Prompts;
pub use prompts::{Language, Line};
use serde::Deserialize;
use std::sync::Arc;

#[cfg(any(test, fuzzing))]
pub(in crate::load) use answer::fuzz as fuzz_answer;

pub(super) static HTTP: Row = Row {
    schemes: ["openai+http", "openai+https"],
    port: 8000,
    transport: Transport::Http,
    models: false,
    tokens: true,
    prepare,
    check,
    health: Health { questions, reached, live_on_error: true },
    sequence: None,
};

/// What a request asks for, by the end of the URL's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Chat,
    Completion,
    Embedding,
}

impl Endpoint {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Chat, "/chat/completions"),
        (Self::Completion, "/completions"),
        (Self::Embedding, "/embeddings"),
    ];

    /// The endpoint of a path and what stands before it: chats below `/v1` where it names none.
    fn of(path: &str) -> (Self, String) {
        let path = path.split('?').next().unwrap_or_default().trim_end_matches('/');
        let named = Self::ALL.iter().find_map(|(own, end)| Some((*own, path.strip_suffix(end)?)));
        let (endpoint, base) = named.unwrap_or((Self::Chat, path));
        let base = if base.is_empty() && named.is_none() { "/v1" } else { base };
        (endpoint, base.to_owned())
    }

    fn end(self) -> &'static str {
        let own = Self::ALL.iter().find(|(endpoint, _)| *endpoint == self);
        own.map_or("", |(_, end)| end)
    }
}

/// The list of models that a server has.
#[derive(Deserialize)]
struct Models {
    data: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
    #[serde(default)]
    owned_by: Option<String>,
}

fn models(body: &[u8]) -> Option<Vec<Named>> {
    serde_json::from_slice::<Models>(body).ok().map(|models| models.data)
}

#[allow(clippy::unnecessary_wraps)]
fn questions(asker: &Asker<'_>, path: Option<&str>) -> Result<Questions, TargetError> {
    let (_, base) = Endpoint::of(&asker.url.path);
    let health = asker.page(path.unwrap_or("/health"));
    let models = asker.page(&format!("{base}/models"));
    Ok([Some(health.clone()), Some(health), Some(models)])
}

#[allow(clippy::needless_pass_by_value)]
fn reached(state: State, body: Bytes) -> bool {
    match state {
        State::Live | State::Ready => true,
        State::Model => models(&body).is_some_and(|all| !all.is_empty()),
    }
}

/// The model to ask for, and what serves it.
fn model(asker: &Asker<'_>, base: &str) -> Result<(String, String), TargetError> {
    let wanted = asker.options.language.model.as_deref();
    let listed = asker.get(&format!("{base}/models"))?.and_then(|body| models(&body));
    let all = listed.unwrap_or_default();
    let found = match (wanted, &all[..]) {
        (Some(name), _) => all.iter().find(|m| m.id == name),
        (None, [only]) => Some(only),
        (None, []) => {
            return Err(TargetError::new(
                format!("`{}` does not list its models", asker.url.text),
                "name the model: --served-model NAME",
            ));
        }
        (None, many) => {
            let names: Vec<&str> = many.iter().take(8).map(|m| m.id.as_str()).collect();
            return Err(TargetError::new(
                format!("the server has {} models: {}", many.len(), names.join(" ")),
                "name one: --served-model NAME",
            ));
        }
    };
    let owner = found.and_then(|m| m.owned_by.clone()).filter(|o| !o.is_empty());
    let platform =
        owner.map_or("OpenAI-compatible".into(), |by| format!("{by}, OpenAI-compatible"));
    let name = wanted.map_or_else(|| found.map(|m| m.id.clone()), |name| Some(name.to_owned()));
    Ok((name.unwrap_or_default(), platform))
}

fn prepare(asker: &Asker<'_>) -> Result<Found, TargetError> {
    let (endpoint, base) = Endpoint::of(&asker.url.path);
    if asker.options.batch > 1 {
        return Err(TargetError::new(
            format!(
                "--batch {}: a request to a language model has one prompt",
                asker.options.batch
            ),
            "the server batches requests in flight: --load closed:N keeps N of them there",
        ));
    }
    let (model, platform) = model(asker, &base)?;
    let path = format!("{base}{}", endpoint.end());
    let ask = |request: &Encoded| {
        asker
            .connector
            .ask(request, asker.options.patience)
            .map_err(|failure| explain(asker.url, &failure))
    };
    let prompts = Prompts::new(asker, endpoint, &path, &model, &platform, &ask)?;
    Ok(Found {
        platform,
        encoding: BodyEncoding::Prompt,
        inputs: Vec::new(),
        outputs: Vec::new(),
        batch: 1,
        requests: Requests::new(Arc::new(prompts))?,
        reader: Some(match endpoint {
            Endpoint::Chat | Endpoint::Completion => || Box::new(Stream::default()),
            Endpoint::Embedding => || Box::new(Whole::default()),
        }),
    })
}

/// Of an answer that was not read as it arrived: the first one, before the load.
fn check(answer: &Answer, _: &Wanted<'_>) -> Result<(), Failure> {
    let events = answer.body.windows(5).any(|w| w == b"data:");
    let mut reader: Box<dyn super::protocol::Reader> =
        if events { Box::new(Stream::default()) } else { Box::new(Whole::default()) };
    reader.hear(&answer.body, 0);
    let heard = reader.end();
    if let Some(failure) = heard.fault {
        return Err(failure);
    }
    if !events && heard.pieces.output.is_some() {
        return Err((Fault::Malformed, "the answer is not streamed".into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_endpoints() {
        let of = |path| Endpoint::of(path);
        assert_eq!(of(""), (Endpoint::Chat, "/v1".into()));
        assert_eq!(of("/"), (Endpoint::Chat, "/v1".into()));
        assert_eq!(of("/v1/"), (Endpoint::Chat, "/v1".into()));
        assert_eq!(of("/api/v3/completions"), (Endpoint::Completion, "/api/v3".into()));
        assert_eq!(of("/v1/chat/completions"), (Endpoint::Chat, "/v1".into()));
        assert_eq!(of("/embeddings"), (Endpoint::Embedding, String::new()));
    }

    #[test]
    fn models_are_listed() {
        let list = br#"{"object":"list","data":[{"id":"m","object":"model","owned_by":"vllm"}]}"#;
        let all = models(list).unwrap();
        assert_eq!((all.len(), all[0].owned_by.as_deref()), (1, Some("vllm")));
        assert!(models(b"{}").is_none());
        assert!(reached(State::Model, Bytes::from_static(list)));
        assert!(!reached(State::Model, Bytes::from_static(b"{\"data\":[]}")));
    }
}
