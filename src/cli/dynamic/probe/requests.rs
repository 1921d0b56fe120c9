//! Flags of what is sent and of which answers are right, for every command that sends requests.

use super::{hinted, load, read};
use crate::probe::stream::Trust;
use crate::probe::target::tensor::Given;
use crate::probe::target::{Body, Encoding, Options};
use anyhow::Result;
use std::path::PathBuf;

/// How tensors travel, as the flag says it. Variants have no comments: help lists the words alone.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum EncodingFlag {
    Auto,
    Json,
    Binary,
}

/// Flags of requests and answers.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Requests")]
#[group(skip)]
#[allow(clippy::doc_markdown, reason = "the text is for terminals")]
pub(super) struct RequestFlags {
    /// Shape, type and shape, or contents of an input; repeatable.
    ///
    /// NAME=1x3x224x224, NAME=INT64:1x128, or NAME=file.npy. Inputs are generated at random where no contents are
    /// given.
    #[arg(long, value_name = "NAME=SPEC")]
    pub(super) input: Vec<String>,
    /// File to send as the body (plain HTTP); its content type follows from its extension.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    body: Option<PathBuf>,
    /// JSON text to send as the body (plain HTTP).
    ///
    /// {{i}} becomes the number of the variant, {{random}} a number between 0 and 1. What stands between {{row}} and
    /// {{/row}} is repeated once per row of --batch.
    #[arg(long, value_name = "TEXT")]
    json: Option<String>,
    /// Request method (plain HTTP) [default: POST with a body, else GET].
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// Text that a correct answer contains (plain HTTP).
    #[arg(long, value_name = "TEXT")]
    expect: Option<String>,
    /// Expected values of an output; other values count as errors. Repeatable.
    ///
    /// NAME is an output, or a member of the JSON that a plain HTTP server answers with. Use it with inputs of known
    /// contents: --input NAME=file.npy, --body or --json.
    #[arg(long, value_name = "NAME=FILE.npy")]
    expect_output: Vec<String>,
    /// Relative tolerance for --expect-output; absolute for values below one.
    #[arg(long, value_name = "X", default_value_t = 1e-4)]
    tolerance: f64,
    /// Accept different answers to the same request, as from a model that samples.
    ///
    /// Answers are then not compared by hash with earlier ones, and of large answers only a sample is checked.
    #[arg(long)]
    answers_vary: bool,
    /// Accept any number of rows in the outputs of a batch, as from a detector.
    #[arg(long)]
    any_rows: bool,
    /// Number of different requests, encoded before the clock starts and sent in turn.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=1024))]
    variants: u64,
    /// Seed for the schedule and generated inputs; the same seed gives the same load.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
    /// Encoding of tensors over kserve+http.
    #[arg(long, value_name = "ENCODING", default_value = "auto")]
    encoding: EncodingFlag,
    /// Header or gRPC metadata to send: 'Name: value'. Repeatable.
    #[arg(long, value_name = "HEADER")]
    header: Vec<String>,
    /// Environment variable with a token, sent as `Authorization: Bearer`.
    #[arg(long, value_name = "VARIABLE")]
    token: Option<String>,
    /// PEM file of certificates to trust in addition to the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// Shapes of inputs, by name.
pub(super) type Sizes = Vec<(String, Vec<i64>)>;

impl RequestFlags {
    /// The sizes of inputs that the command line gives.
    pub(super) fn sizes(&self) -> Sizes {
        let given = self.input.iter().filter_map(|text| load::input(text).ok());
        let sized = |(name, given)| match given {
            Given::Shape(_, shape) | Given::Contents(_, shape, _) => (name, shape),
        };
        given.map(sized).collect()
    }

    /// How requests of a batch are made.
    pub(super) fn options(&self, batch: i64) -> Result<Options> {
        Ok(Options {
            headers: self.headers()?,
            inputs: self.input.iter().map(|i| load::input(i)).collect::<Result<_>>()?,
            batch,
            seed: self.seed,
            variants: self.variants,
            encoding: match self.encoding {
                EncodingFlag::Auto => Encoding::Auto,
                EncodingFlag::Json => Encoding::Json,
                EncodingFlag::Binary => Encoding::Binary,
            },
            body: self.body()?,
            method: self.method.clone(),
            expect: self.expect.clone(),
            expected: self.expect_output.iter().map(|o| load::output(o)).collect::<Result<_>>()?,
            answers_vary: self.answers_vary,
            any_rows: self.any_rows,
            tolerance: self.tolerance,
            trust: Trust { ca: self.ca.clone() },
            ..Options::default()
        })
    }

    fn headers(&self) -> Result<Vec<(String, String)>> {
        let mut headers =
            self.header.iter().map(|h| load::header(h)).collect::<Result<Vec<_>>>()?;
        if let Some(variable) = &self.token {
            let token = std::env::var(variable).map_err(|_| {
                hinted(
                    format!("the environment variable `{variable}` is not set"),
                    "--token takes the name of a variable, so that the token stays out of the shell history",
                )
            })?;
            headers.push(("Authorization".into(), format!("Bearer {}", token.trim())));
        }
        Ok(headers)
    }

    fn body(&self) -> Result<Option<Body>> {
        if let Some(text) = &self.json {
            return Ok(Some(Body {
                content_type: "application/json".into(),
                bytes: text.clone().into(),
            }));
        }
        let Some(path) = &self.body else { return Ok(None) };
        let bytes = read(path)?;
        let kind = match path.extension().and_then(|e| e.to_str()).unwrap_or_default() {
            "json" => "application/json",
            "jpg" | "jpeg" => "image/jpeg",
            "png" => "image/png",
            "txt" => "text/plain",
            _ => "application/octet-stream",
        };
        Ok(Some(Body { content_type: kind.into(), bytes: bytes.into() }))
    }
}
