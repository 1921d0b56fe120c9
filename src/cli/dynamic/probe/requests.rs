//! Flags of what is sent and of which answers are right, for every command that sends requests.

use super::{hinted, load, read};
use crate::probe::arrival::Load;
use crate::probe::data::{Kind, Order};
use crate::probe::stream::Trust;
use crate::probe::target::tensor::Given;
use crate::probe::target::{Body, DataSet, Encoding, Options};
use anyhow::Result;
use std::path::PathBuf;

/// How tensors travel, as the flag says it. Variants have no comments: help lists the words alone.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum EncodingFlag {
    Auto,
    Json,
    Binary,
}

/// The order in which records are used, as the flag says it.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum DrawFlag {
    Sequential,
    Random,
}

/// Flags of requests and answers.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Requests")]
#[group(skip)]
#[allow(clippy::doc_markdown, reason = "the text is for terminals")]
#[allow(clippy::struct_excessive_bools, reason = "flags, each by itself")]
pub(super) struct RequestFlags {
    /// Shape, type and shape, or contents of an input; repeatable.
    ///
    /// NAME=1x3x224x224, NAME=INT64:1x128, NAME=file.npy, or NAME=text:Hello for strings. Inputs are generated at random
    /// where no contents are given.
    #[arg(long, value_name = "NAME=SPEC")]
    pub(super) input: Vec<String>,
    /// Data set to make requests of: a folder, or a .jsonl file.
    ///
    /// In a folder, each file is a body (plain HTTP) or the model's input, as .npy or as a string; NAME=FOLDER says which input
    /// where the model has several. In a .jsonl file, each line is a body, or an object with an entry for each input. One
    /// record is one inference.
    #[arg(long, value_name = "[NAME=]PATH", conflicts_with_all = ["body", "json"])]
    data: Option<String>,
    /// Order in which records of --data are used; random is by --seed.
    #[arg(long, value_name = "ORDER", default_value = "sequential", requires = "data")]
    draw: DrawFlag,
    /// Length of sequences, for models with a state (kserve+grpc, closed loops).
    ///
    /// Each request carries its sequence id, start and end, and follows the answer to the one before.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    sequence: Option<u64>,
    /// Put inputs into memory shared with the server, as Triton on this machine can (kserve+grpc).
    #[arg(long)]
    shared_memory: bool,
    /// File to send as the body (plain HTTP); its content type follows from its extension.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    body: Option<PathBuf>,
    /// JSON text to send as the body (plain HTTP).
    ///
    /// {{i}} becomes the number of the variant, {{random}} a number between 0 and 1. The text between {{row}}
    /// and {{/row}} is repeated for each row of --batch. For a language model, the members of this object become
    /// part of every request.
    #[arg(long, value_name = "TEXT")]
    pub(super) json: Option<String>,
    /// Request method (plain HTTP) [default: POST with a body, else GET].
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// Text that a correct answer contains (plain HTTP).
    #[arg(long, value_name = "TEXT")]
    expect: Option<String>,
    /// Text that no correct answer contains, such as that of an error behind status 200 (plain HTTP).
    #[arg(long, value_name = "TEXT")]
    reject: Option<String>,
    /// Follow a redirect of the first request, and send the load to where it leads (plain HTTP).
    #[arg(long)]
    follow: bool,
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
            Given::Shape(_, shape) | Given::Contents(_, shape, _) => Some((name, shape)),
            Given::Text(_) => None,
        };
        given.filter_map(sized).collect()
    }

    /// How requests of a batch are made.
    pub(super) fn options(&self, batch: i64) -> Result<Options> {
        Ok(Options {
            headers: self.headers()?,
            inputs: self.input.iter().map(|i| load::input(i)).collect::<Result<_>>()?,
            data: self.data()?,
            sequence: self.sequence,
            shared_memory: self.shared_memory,
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
            reject: self.reject.clone(),
            follow: self.follow,
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
        let content_type = Kind::of(path).media_type().into();
        Ok(Some(Body { content_type, bytes: read(path)?.into() }))
    }

    fn data(&self) -> Result<Option<DataSet>> {
        let order = match self.draw {
            DrawFlag::Sequential => Order::Sequential,
            DrawFlag::Random => Order::Random(self.seed),
        };
        self.data.as_ref().map(|text| load::data(text, order)).transpose()
    }

    /// Refuses sequences in a load that does not wait for answers.
    pub(super) fn fits(&self, load: &Load) -> Result<()> {
        if self.sequence.is_none() || matches!(load, Load::Closed(_)) {
            return Ok(());
        }
        Err(hinted(
            "--sequence takes a closed loop: each request of a sequence follows the answer to the one before",
            "for example --load closed:8, which keeps 8 sequences open",
        ))
    }

    /// Refuses flags that a runtime in this process has no use for.
    pub(super) fn fit_in_process(&self) -> Result<()> {
        let strange = [
            (self.data.is_some(), "--data"),
            (self.sequence.is_some(), "--sequence"),
            (self.shared_memory, "--shared-memory"),
        ];
        let Some((_, flag)) = strange.into_iter().find(|s| s.0) else { return Ok(()) };
        Err(hinted(
            format!("a runtime in this process has no {flag}: its inputs are generated once"),
            "omit it, or probe a server",
        ))
    }
}
