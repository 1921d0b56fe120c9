//! Any HTTP server: Flask, `FastAPI`, `TorchServe`, a static page.

use super::expect::Wanted;
use super::protocol::{Health, Questions, Row};
use super::{Asker, Body, Failure, Found, TargetError};
use crate::connector::{Answer, Encoded, Transport, excerpt};
use crate::http::Request;
use crate::random::Random;
use crate::record::Fault;
use crate::schema::BodyEncoding;

pub(super) static HTTP: Row = Row {
    schemes: ["http", "https"],
    port: 80,
    transport: Transport::Http,
    models: false,
    prepare,
    check,
    health: Health { questions, reached: |_, _| true, live_on_error: true },
};

/// With the path of a user: without one, the protocol has no question for readiness.
#[allow(clippy::unnecessary_wraps, reason = "other protocols have questions that fail")]
fn questions(asker: &Asker<'_>, path: Option<&str>) -> Result<Questions, TargetError> {
    let page = |path: &str| asker.page(path);
    Ok([Some(page(path.unwrap_or("/"))), path.map(page), None])
}

/// The status is good already: a text in the body, and members of JSON where they are known.
fn check(answer: &Answer, wanted: &Wanted<'_>) -> Result<(), Failure> {
    let found = |t: &&str| answer.body.windows(t.len().max(1)).any(|w| w == t.as_bytes());
    if let Some(text) = wanted.contains.filter(|t| !found(t)) {
        let body = excerpt(&answer.body);
        return Err((Fault::WrongAnswer, format!("the answer does not contain `{text}`: {body}")));
    }
    wanted.expected.iter().try_for_each(|e| e.in_json(&answer.body))
}

#[allow(clippy::unnecessary_wraps, reason = "other protocols ask, which can fail")]
fn prepare(asker: &Asker<'_>) -> Result<Found, TargetError> {
    let options = asker.options;
    let path = match asker.url.path.as_str() {
        "" => "/".to_owned(),
        query if query.starts_with('?') => format!("/{query}"),
        path => path.to_owned(),
    };
    let mut headers = options.headers.clone();
    let typed = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    if let Some(body) = options.body.as_ref().filter(|_| !typed) {
        headers.push(("Content-Type".into(), body.content_type.clone()));
    }
    let method = options
        .method
        .clone()
        .unwrap_or_else(|| if options.body.is_some() { "POST".into() } else { "GET".into() });
    let authority = asker.connector.authority();
    let requests = (0..options.variants.max(1)).map(|variant| {
        let body =
            options.body.as_ref().map(|b| fill(b, variant, options.seed)).unwrap_or_default();
        Encoded::Http(Request::new(&method, &path, authority, &headers, &body))
    });
    Ok(Found {
        platform: "HTTP".into(),
        encoding: if options.body.is_some() { BodyEncoding::Body } else { BodyEncoding::None },
        inputs: Vec::new(),
        outputs: Vec::new(),
        batch: options.batch,
        requests: requests.collect(),
    })
}

/// A variant of a body: `{{i}}` and `{{random}}` filled in where it is text.
fn fill(body: &Body, variant: u64, seed: u64) -> Vec<u8> {
    let Some(text) = std::str::from_utf8(&body.bytes).ok().filter(|t| t.contains("{{")) else {
        return body.bytes.to_vec();
    };
    let mut random = Random::new(seed ^ variant.rotate_left(32));
    let mut out = String::with_capacity(text.len());
    let text = text.replace("{{i}}", &variant.to_string());
    let mut parts = text.split("{{random}}");
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        out.push_str(&random.unit().to_string());
        out.push_str(part);
    }
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_differ_by_variant_and_repeat() {
        let body = Body {
            content_type: "application/json".into(),
            bytes: r#"{"id":{{i}},"x":[{{random}},{{random}}]}"#.into(),
        };
        let parse = |v| serde_json::from_slice::<serde_json::Value>(&fill(&body, v, 3)).unwrap();
        assert_eq!(parse(2)["id"], 2);
        assert_ne!(parse(0)["x"][0], parse(0)["x"][1]);
        assert_ne!(parse(0)["x"], parse(1)["x"]);
        assert_eq!(parse(1), parse(1));
    }
}
