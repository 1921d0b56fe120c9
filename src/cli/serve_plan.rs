//! `rooflens serve-plan`: what serving a language model takes on a device, and what it can give at most.

use super::given::{Choice, bindings, load};
use super::{Exit, emit, hinted};
use crate::analysis::{Precision, analyze};
use crate::dim::Bindings;
use crate::hwdb::Device;
use crate::ir::Model;
use crate::serving::{Counts, CountsError, ServePlan, Setting, markdown, table};
use crate::units::parse_si;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Plan serving a language model: memory, sequences that fit, and least times.
///
/// Everything follows from the model's graph and the device's ceilings: every figure says whether it is a bound, and
/// --formulas how it is computed. Weights are never read.
///
/// Examples:
///   rooflens serve-plan Llama-3.1-8B --on h100 --context 8192 --concurrency 32
///   rooflens serve-plan model.gguf --on l4,a10 --kv f8 --formulas
///   rooflens serve-plan Mixtral-8x7B --on h100 --devices 4 --concurrency 64 --format markdown
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
#[allow(clippy::doc_markdown, reason = "the text is for terminals")]
pub(super) struct Args {
    /// The model: a folder with config.json, a .gguf or .safetensors file, or an exported decoder.
    model: PathBuf,
    /// Devices to plan for; several are planned one by one.
    #[arg(long, value_name = "DEVICE", value_delimiter = ',', required = true)]
    on: Vec<String>,
    /// Devices of the same kind that share the model.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    devices: u64,
    /// Tokens of a sequence at its longest: prompt and answer.
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u64).range(2..=1 << 32))]
    context: u64,
    /// Tokens of an answer; the rest of the context is the prompt. 128 where omitted, or half of a shorter context.
    #[arg(long, value_name = "N")]
    output_tokens: Option<u64>,
    /// Sequences that are generated together.
    #[arg(long, value_name = "B", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1 << 24))]
    concurrency: u64,
    /// Count as if the model were cast: f16, bf16, int8, or weights and activations apart, as in w4a16.
    #[arg(long, value_name = "TYPE")]
    dtype: Option<Precision>,
    /// Type of the cache, where it is not that of the activations.
    #[arg(long, value_name = "TYPE")]
    kv: Option<Kv>,
    /// Tokens of a prompt that are processed at a time.
    #[arg(long, value_name = "N", default_value_t = 2048, value_parser = clap::value_parser!(u64).range(1..))]
    chunk: u64,
    /// Tokens of a page of the cache.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    page: u64,
    /// Share of a device's memory that the engine uses.
    #[arg(long, value_name = "SHARE", default_value_t = 0.9)]
    utilization: f64,
    /// Bytes of each device that the engine takes for itself, as 2G; nothing is assumed.
    #[arg(long, value_name = "BYTES")]
    overhead: Option<String>,
    /// Bytes per second of the link between devices, each way, as 450G; that of the device's file where omitted.
    #[arg(long, value_name = "RATE")]
    link: Option<String>,
    /// Microseconds that a message between devices takes at least; nothing is assumed.
    #[arg(long, value_name = "US", default_value_t = 0.0)]
    link_latency: f64,
    /// Tokens at the beginning of a prompt that a cache of prefixes holds.
    #[arg(long, value_name = "N")]
    prefix: Option<u64>,
    /// Adapters (LoRA) on every plain matrix: RANK, or RANKxNUMBER.
    #[arg(long, value_name = "RANK[xN]")]
    lora: Option<String>,
    /// A smaller model that drafts tokens, which the model checks several at a time.
    #[arg(long, value_name = "MODEL", requires = "accept")]
    draft: Option<PathBuf>,
    /// The share of drafted tokens that are accepted, from 0 to 1.
    #[arg(long, value_name = "SHARE", requires = "draft")]
    accept: Option<f64>,
    /// Tokens that are drafted at a time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=1024))]
    draft_tokens: u64,
    /// Give another symbol a value: SYMBOL=N. Repeatable.
    #[arg(long, value_name = "SYMBOL=N")]
    dim: Vec<String>,
    /// Print the formula of each figure.
    #[arg(long)]
    formulas: bool,
    /// Form of the output.
    #[arg(long, value_name = "FORM", default_value = "table")]
    format: Form,
    /// Write to a file instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A folder of your own device files; they win over the shipped ones.
    #[arg(long, value_name = "DIR")]
    hwdb: Option<PathBuf>,
}

/// Chunks of a prompt, at most: each is counted for itself.
const MOST_CHUNKS: u64 = 4096;

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Form {
    Table,
    Json,
    Markdown,
}

/// Types of a cache.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Kv {
    F32,
    F16,
    Bf16,
    F8,
    I8,
    F4,
    I4,
}

impl Kv {
    fn bits(self) -> u64 {
        match self {
            Self::F32 => 32,
            Self::F16 | Self::Bf16 => 16,
            Self::F8 | Self::I8 => 8,
            Self::F4 | Self::I4 => 4,
        }
    }
}

/// A model, cast where asked for, and what was given of its sizes.
struct Read {
    model: Model,
    given: Bindings,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit> {
        let setting = self.setting()?;
        let catalogue = super::hw::catalogue(self.hwdb.as_deref())?;
        let find = |name: &String| super::hw::find(&catalogue, name);
        let devices: Vec<&Device> = self.on.iter().map(find).collect::<Result<_>>()?;
        let kv_bits = setting.kv_bits;
        let own = self.read(&self.model)?;
        let drafts = self.draft.as_deref().map(|path| self.read(path)).transpose()?;
        let open = |read: &Read| analyze(&read.model, &Bindings::new());
        let analysis = open(&own);
        let counts = Counts::new(&own.model, &analysis, &own.given, kv_bits).map_err(refused)?;
        let draft_analysis = drafts.as_ref().map(open);
        let draft = match drafts.as_ref().zip(draft_analysis.as_ref()) {
            Some((read, analysis)) => {
                Some(Counts::new(&read.model, analysis, &read.given, kv_bits).map_err(refused)?)
            }
            None => None,
        };
        let name = self.model.display().to_string();
        let plan = ServePlan::new(&name, &counts, draft.as_ref(), &setting, &devices)
            .map_err(|e| hinted(e.to_string(), e.hint()))?;
        match self.format {
            Form::Json => super::emit_json(&plan, self.output.as_deref())?,
            Form::Markdown => emit(&markdown(&plan, self.formulas), self.output.as_deref())?,
            Form::Table => emit(&table(&plan, self.formulas), self.output.as_deref())?,
        }
        Ok(Exit::Good)
    }

    fn read(&self, path: &Path) -> Result<Read> {
        let mut model = load(path, &Choice::default())?;
        let given = bindings(&model, &self.dim, None)?;
        if let Some(precision) = self.dtype {
            model = crate::analysis::recast(&model, precision);
        }
        Ok(Read { model, given })
    }

    fn setting(&self) -> Result<Setting> {
        let output = self.output_tokens.unwrap_or(128.min(self.context / 2));
        if output == 0 || output >= self.context {
            return Err(hinted(
                format!("--output-tokens {output} of a context of {}", self.context),
                "the rest of --context is the prompt, which has a token at least",
            ));
        }
        let prompt = self.context - output;
        if prompt.div_ceil(self.chunk) > MOST_CHUNKS {
            return Err(hinted(
                format!(
                    "a prompt of {prompt} tokens has more than {MOST_CHUNKS} chunks of {}",
                    self.chunk
                ),
                "give a larger --chunk",
            ));
        }
        let within = |flag: &str, share: f64| {
            if share > 0.0 && share <= 1.0 {
                return Ok(share);
            }
            Err(hinted(
                format!("{flag} {share} is not a share above 0 and up to 1"),
                "for example 0.9",
            ))
        };
        if let Some(prefix) = self.prefix.filter(|prefix| *prefix >= prompt) {
            return Err(hinted(
                format!("--prefix {prefix} of prompts of {prompt} tokens"),
                "the prompt is --context without --output-tokens, and its last token is always processed",
            ));
        }
        if !(0.0..1e6).contains(&self.link_latency) {
            return Err(hinted(
                format!("--link-latency {} is no time in microseconds", self.link_latency),
                "for example --link-latency 5",
            ));
        }
        let accept = self.accept.map(|share| within("--accept", share)).transpose()?;
        Ok(Setting {
            context: self.context,
            prompt,
            output,
            concurrency: self.concurrency,
            devices: self.devices,
            chunk: self.chunk,
            page: self.page,
            utilization: within("--utilization", self.utilization)?,
            overhead_bytes: self.overhead.as_deref().map_or(Ok(0), bytes)?,
            dtype: self.dtype.map(|precision| precision.to_string()),
            kv_bits: self.kv.map(Kv::bits),
            link_bytes_per_second: self.link.as_deref().map(rate).transpose()?,
            link_seconds: self.link_latency * 1e-6,
            prefix: self.prefix,
            lora: self.lora.as_deref().map(lora).transpose()?,
            draft: accept.map(|accept| (accept, self.draft_tokens)),
        })
    }
}

#[allow(clippy::needless_pass_by_value)]
fn refused(error: CountsError) -> anyhow::Error {
    let hint = match error {
        CountsError::NoCache => "`rooflens analyze` counts any model",
        _ => "read the folder or the GGUF file of the model, whose sizes are all dynamic",
    };
    hinted(error.to_string(), hint)
}

fn rate(text: &str) -> Result<f64> {
    parse_si(text, "B/s").filter(|rate| *rate > 0.0).ok_or_else(|| {
        hinted(
            format!("`--link {text}` is not a number of bytes per second"),
            "for example --link 450G",
        )
    })
}

fn bytes(text: &str) -> Result<u64> {
    let value = parse_si(text, "B").filter(|value| (0.0..1e18).contains(value));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 10^18")]
    value.map(|value| value as u64).ok_or_else(|| {
        hinted(format!("`--overhead {text}` is not a number of bytes"), "for example --overhead 2G")
    })
}

fn lora(text: &str) -> Result<[u64; 2]> {
    let (rank, count) = text.split_once('x').unwrap_or((text, "1"));
    let number = |text: &str| text.parse::<u64>().ok().filter(|n| (1..=1 << 20).contains(n));
    number(rank).zip(number(count)).map(|(rank, count)| [rank, count]).ok_or_else(|| {
        hinted(
            format!("`--lora {text}` is not a rank, or a rank and a number"),
            "for example --lora 16x8",
        )
    })
}
