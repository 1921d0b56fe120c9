//! Any HTTP server: Flask, `FastAPI`, `TorchServe`, a static page.

use super::expect::Wanted;
use super::protocol::{Health, Questions, Row};
use super::requests::of_data;
use super::{Asker, Body, Failure, Found, Requests, TargetError};
use crate::connector::{Answer, Encoded, Transport, excerpt};
use crate::data::Record;
use crate::http::Request;
use crate::random::Random;
use crate::record::Fault;
use crate::schema::BodyEncoding;
use bytes::Bytes;

pub(super) static HTTP: Row = Row {
    schemes: ["http", "https"],
    port: 80,
    transport: Transport::Http,
    models: false,
    tokens: false,
    prepare,
    check,
    health: Health { questions, reached: |_, _| true, live_on_error: true },
    sequence: None,
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
    if let Some(text) = wanted.rejects.filter(found) {
        let body = excerpt(&answer.body);
        return Err((Fault::WrongAnswer, format!("the answer contains `{text}`: {body}")));
    }
    wanted.expected.iter().try_for_each(|e| e.in_json(&answer.body))
}

/// How a request without its body is made.
struct Form {
    method: String,
    path: String,
    authority: String,
    headers: Vec<(String, String)>,
}

impl Form {
    fn new(asker: &Asker<'_>) -> Self {
        let options = asker.options;
        let path = match asker.url.path.as_str() {
            "" => "/".to_owned(),
            query if query.starts_with('?') => format!("/{query}"),
            path => path.to_owned(),
        };
        let body = options.body.is_some() || options.data.is_some();
        let usual = if body { "POST" } else { "GET" };
        Self {
            method: options.method.clone().unwrap_or_else(|| usual.into()),
            path,
            authority: asker.connector.authority().to_owned(),
            headers: options.headers.clone(),
        }
    }

    /// A request with a body of a type, unless the user gave another.
    fn request(&self, content_type: Option<&str>, body: &[u8]) -> Encoded {
        let typed = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let mut headers = self.headers.clone();
        let content_type = content_type.filter(|_| !typed);
        headers.extend(content_type.map(|kind| ("Content-Type".to_owned(), kind.to_owned())));
        let Self { method, path, authority, .. } = self;
        Encoded::Http(Request::new(method, path, authority, &headers, body))
    }
}

/// The first request of a load.
pub(super) fn first(asker: &Asker<'_>) -> Result<Encoded, TargetError> {
    requests(asker).map(|requests| requests.first().clone())
}

fn requests(asker: &Asker<'_>) -> Result<Requests, TargetError> {
    let Some(set) = &asker.options.data else {
        return variants(asker).map(Requests::variants);
    };
    if asker.options.batch > 1 {
        return Err(TargetError::new(
            "a record of a data set is a whole body, which has the rows that it has",
            "leave --batch out, or write bodies with several rows",
        ));
    }
    let form = Form::new(asker);
    let encode = move |records: &[Record]| {
        let body = |r: &Record| form.request(Some(r.kind.media_type()), &r.bytes);
        Ok(records.first().map_or(Encoded::Local, body))
    };
    of_data(set, 1, Box::new(encode))
}

/// The bodies that are given, in their variants.
fn variants(asker: &Asker<'_>) -> Result<Vec<Encoded>, TargetError> {
    let options = asker.options;
    let body = options.body.as_ref().map(|body| rows(body, options.batch)).transpose()?;
    if options.batch > 1 && body.as_ref().is_none_or(|body| !body.repeats) {
        return Err(no_rows(options.batch));
    }
    let form = Form::new(asker);
    let content_type = options.body.as_ref().map(|body| body.content_type.as_str());
    let request = |variant| {
        let body = body.as_ref().map(|b| fill(&b.bytes, variant, options.seed)).unwrap_or_default();
        form.request(content_type, &body)
    };
    Ok((0..options.variants.max(1)).map(request).collect())
}

fn prepare(asker: &Asker<'_>) -> Result<Found, TargetError> {
    let options = asker.options;
    let body = options.body.is_some() || options.data.is_some();
    Ok(Found {
        platform: "HTTP".into(),
        encoding: if body { BodyEncoding::Body } else { BodyEncoding::None },
        inputs: Vec::new(),
        outputs: Vec::new(),
        batch: options.batch,
        requests: requests(asker)?,
        reader: None,
    })
}

/// What stands around the row of a body that is made for batches.
const ROW: [&str; 2] = ["{{row}}", "{{/row}}"];

/// A body of as many rows as a batch has.
struct Rows {
    bytes: Bytes,
    /// Whether rows were repeated: another body has as many as its author put in it.
    repeats: bool,
}

/// Repeats what stands between `{{row}}` and `{{/row}}`, with commas between.
fn rows(body: &Body, batch: i64) -> Result<Rows, TargetError> {
    let text = std::str::from_utf8(&body.bytes).ok().filter(|t| ROW.iter().any(|m| t.contains(m)));
    let Some(text) = text else { return Ok(Rows { bytes: body.bytes.clone(), repeats: false }) };
    let whole = || {
        let (before, rest) = text.split_once(ROW[0])?;
        let (row, behind) = rest.split_once(ROW[1])?;
        let more = [before, row, behind].iter().any(|part| ROW.iter().any(|m| part.contains(m)));
        (!more).then_some((before, row, behind))
    };
    let (before, row, behind) = whole().ok_or_else(|| {
        TargetError::new(
            "the body has not one {{row}} with one {{/row}} behind it",
            "for example --json '{\"instances\":[{{row}}[1,2,3]{{/row}}]}'",
        )
    })?;
    let count = usize::try_from(batch.max(1)).unwrap_or(1);
    let largest = row.len().saturating_add(1).checked_mul(count).filter(|n| *n <= LARGEST);
    if largest.is_none() {
        return Err(TargetError::new(
            format!("a body of {batch} rows is beyond any request"),
            "give a smaller --batch",
        ));
    }
    let bytes = [before, &vec![row; count].join(","), behind].concat().into();
    Ok(Rows { bytes, repeats: true })
}

/// Bytes of a body, at most.
const LARGEST: usize = 1 << 30;

/// Why a body cannot be a batch: sending the same bytes is one request, whatever is counted for it.
fn no_rows(batch: i64) -> TargetError {
    TargetError::new(
        format!(
            "a plain HTTP request has the rows that its body has: --batch {batch} would not change what is sent"
        ),
        "--json '{\"x\":[{{row}}[1,2,3]{{/row}}]}' repeats the row, as a file of --body with such a row does; or --batch 1",
    )
}

/// A variant of a body: `{{i}}` and `{{random}}` filled in where it is text.
fn fill(body: &Bytes, variant: u64, seed: u64) -> Vec<u8> {
    let Some(text) = std::str::from_utf8(body).ok().filter(|t| t.contains("{{")) else {
        return body.to_vec();
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
        let parse =
            |v| serde_json::from_slice::<serde_json::Value>(&fill(&body.bytes, v, 3)).unwrap();
        assert_eq!(parse(2)["id"], 2);
        assert_ne!(parse(0)["x"][0], parse(0)["x"][1]);
        assert_ne!(parse(0)["x"], parse(1)["x"]);
        assert_eq!(parse(1), parse(1));
    }

    #[test]
    fn a_row_is_repeated_and_filled_in_for_itself() {
        let body = |text: &str| Body {
            content_type: "application/json".into(),
            bytes: text.to_owned().into(),
        };
        let made = rows(&body(r#"{"x":[{{row}}[{{random}},{{i}}]{{/row}}]}"#), 3).unwrap();
        assert!(made.repeats);
        let filled: serde_json::Value = serde_json::from_slice(&fill(&made.bytes, 5, 1)).unwrap();
        let all = filled["x"].as_array().unwrap();
        assert!(
            all.len() == 3 && all[0] != all[1] && all.iter().all(|row| row[1] == 5),
            "{filled}"
        );
        assert!(!rows(&body("{}"), 3).unwrap().repeats);
        for wrong in ["{{row}}1", "{{/row}}{{row}}", "{{row}}1{{/row}}{{row}}2{{/row}}"] {
            assert!(rows(&body(wrong), 2).is_err(), "{wrong}");
        }
        assert!(rows(&body("{{row}}1{{/row}}"), i64::MAX).is_err());
    }
}
