//! `rooflens recommend`: which devices hold a demand, and with how many copies.

use super::gather::Gathered;
use super::latency;
use super::sizes::{Open, Sizes};
use super::{Exit, hinted};
use crate::analysis::Precision;
use crate::hwdb::{Device, Evidence, RuntimeClass};
use crate::render::recommendation;
use crate::report::{BoundReport, FitReport, ModelReport};
use crate::roofline::Hierarchy;
use crate::schema::TOOL;
use crate::study::recommend::{
    Candidate, ChoicePart, Demand, Missing, Proof, RECOMMENDATION, RecommendationFile, Span,
    Verdict, decide, dollars_per_million, joules_per_request, ranks,
};
use anyhow::Result;
use std::path::PathBuf;

/// Say which devices hold a latency objective at a rate, with how many copies.
///
/// A device is NO where a bound proves that one run is too slow, or where the model does not fit; YES where the slow end of
/// the likely range holds everything with the copies given; MAYBE otherwise. Likely times come from published
/// measurements (hwdb/evidence.toml), or from --efficiency. Requests arrive as a Poisson process and are served one at a time.
///
/// Examples:
///   rooflens recommend resnet50.onnx --slo p99=50ms --qps 200 --on t4 --on l4 --runtime engine
///   rooflens recommend resnet50.onnx --slo p99=50ms --qps 200 --dtype f32,f16 --format csv
///
/// Exit codes: 0 answered, whatever the verdicts; 2 could not answer.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The model.
    model: PathBuf,
    /// The latency objective: a percentile and a time, as in p99=50ms.
    #[arg(long, value_name = "PERCENTILE=TIME")]
    slo: String,
    /// Requests per second.
    #[arg(long, value_name = "RATE")]
    qps: f64,
    /// Device to ask about. Repeatable; all known ones that have the type where omitted.
    #[arg(long, value_name = "DEVICE")]
    on: Vec<String>,
    /// Count in these types: f32, f16, i8. The model's own where omitted.
    #[arg(long, value_name = "TYPE[,TYPE…]", value_delimiter = ',')]
    dtype: Vec<Precision>,
    /// Kind of runtime: narrows the likely range.
    #[arg(long, value_name = "KIND")]
    runtime: Option<Runtime>,
    /// Share of the fused rate that runs reach, in place of published ranges: LOW-HIGH, as in 0.3-0.7.
    #[arg(long, value_name = "LOW-HIGH", conflicts_with = "runtime")]
    efficiency: Option<String>,
    /// Largest share of the time in which a copy may be busy.
    #[arg(long, value_name = "SHARE", default_value = "0.7")]
    busy: f64,
    /// Give a symbol a value: SYMBOL=N. Repeatable.
    #[arg(long, value_name = "SYMBOL=N")]
    dim: Vec<String>,
    /// Fix the shape of an input. Repeatable.
    #[arg(long, value_name = "[NAME=]DIMS")]
    shape: Vec<String>,
    /// A folder of your own device files; they win over the shipped ones.
    #[arg(long, value_name = "DIR")]
    hwdb: Option<PathBuf>,
    /// Form of the output.
    #[arg(long, value_name = "FORM", default_value = "table")]
    format: Form,
    /// Write to a file instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Forms of a recommendation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Table,
    Json,
    Markdown,
    Csv,
}

/// Kinds of runtimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Runtime {
    Engine,
    Compiled,
    Eager,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit> {
        let asked = Asked::new(&self)?;
        let mut file = RecommendationFile {
            schema: RECOMMENDATION.to_owned(),
            tool: TOOL.to_owned(),
            model: self.model.display().to_string(),
            quantile: asked.demand.quantile,
            limit_seconds: asked.demand.seconds,
            rate: asked.demand.rate,
            busy: asked.demand.busy,
            warnings: Vec::new(),
            choices: Vec::new(),
        };
        let own = [None];
        let given: Vec<Option<Precision>> = self.dtype.iter().copied().map(Some).collect();
        for dtype in if given.is_empty() { &own[..] } else { &given } {
            let report = self.report(*dtype)?;
            for line in warnings(&report) {
                if !file.warnings.contains(&line) {
                    file.warnings.push(line);
                }
            }
            for device in &asked.devices {
                match Hierarchy::of(device, report.main_dtype()) {
                    Ok(h) => file.choices.push(asked.choice(device, &h, &report)),
                    Err(error) if !self.on.is_empty() => return Err(super::hw::no_roof(&error)),
                    Err(_) => {}
                }
            }
        }
        if file.choices.is_empty() {
            let hint = "`rooflens hw list` shows what they have; --dtype counts in another type";
            return Err(hinted("no known device has a ceiling of this type", hint));
        }
        rank(&mut file.choices);
        let output = self.output.as_deref();
        match self.format {
            Form::Json => super::emit_json(&file, output)?,
            Form::Table => super::emit(&recommendation::text(&file), output)?,
            Form::Markdown => super::emit(&recommendation::markdown(&file), output)?,
            Form::Csv => super::emit(&recommendation::csv(&file), output)?,
        }
        Ok(Exit::Good)
    }

    fn report(&self, dtype: Option<Precision>) -> Result<ModelReport> {
        let open = Open { dim: self.dim.clone(), shape: self.shape.clone(), ..Open::default() };
        let gathered = Gathered::read(std::slice::from_ref(&self.model), &Sizes { open, dtype })?;
        let Some(counted) = gathered.models.into_iter().next() else {
            return Err(hinted("a measurement is no model", "name a model's file"));
        };
        let report = counted.report;
        if report.memory.kv_cache_bytes.is_some_and(|bytes| bytes > 0) {
            let why = "a decoder with a cache serves tokens, not single runs: its percentiles are not modelled";
            return Err(hinted(why, "`rooflens serve-plan` gives its memory and bounds by device"));
        }
        Ok(report)
    }
}

/// What a reader should know before using a number.
fn warnings(report: &ModelReport) -> Vec<String> {
    let assumed = crate::report::assumptions(report).into_iter();
    let mut lines: Vec<String> = assumed.map(|line| format!("assumed: {line}")).collect();
    if !report.is_complete() {
        let c = &report.coverage;
        lines.push(format!(
            "{} of {} nodes are of unknown cost: bounds are lower than they could be, and nothing is YES",
            c.nodes - c.known,
            c.nodes
        ));
    }
    lines
}

/// What is asked, read from the arguments.
struct Asked {
    demand: Demand,
    devices: Vec<Device>,
    evidence: Evidence,
    runtime: Option<RuntimeClass>,
    efficiency: Option<Span>,
}

impl Asked {
    fn new(args: &Args) -> Result<Self> {
        let (quantile, seconds) = slo(&args.slo)?;
        if !(args.qps.is_finite() && args.qps > 0.0) {
            let message = format!("`--qps {}` is no rate above 0", args.qps);
            return Err(hinted(message, "for example --qps 200"));
        }
        if !(args.busy > 0.0 && args.busy < 1.0) {
            let message = format!("`--busy {}` is no share between 0 and 1", args.busy);
            return Err(hinted(message, "for example --busy 0.7"));
        }
        let catalogue = super::hw::catalogue(args.hwdb.as_deref())?;
        let devices = if args.on.is_empty() {
            catalogue.iter().cloned().collect()
        } else {
            super::hw::devices(&args.on, args.hwdb.as_deref())?
        };
        let runtime = args.runtime.map(|runtime| match runtime {
            Runtime::Engine => RuntimeClass::Engine,
            Runtime::Compiled => RuntimeClass::Compiled,
            Runtime::Eager => RuntimeClass::Eager,
        });
        Ok(Self {
            demand: Demand {
                quantile,
                seconds,
                rate: args.qps,
                busy: args.busy,
                variation: VARIATION,
            },
            devices,
            evidence: Evidence::shipped(catalogue.iter())?,
            runtime,
            efficiency: args.efficiency.as_deref().map(efficiency).transpose()?,
        })
    }

    /// A device in the type of the report.
    fn choice(&self, device: &Device, h: &Hierarchy, report: &ModelReport) -> ChoicePart {
        let bound = BoundReport::new(&h.roof, report);
        let capacity = device.dram().and_then(|memory| memory.capacity_bytes);
        let (fused, complete) = (bound.fused_seconds, report.is_complete());
        let moves = |bytes: Option<u64>| bytes.is_some_and(|bytes| bytes > 0);
        let costs = report.nodes().filter(|op| moves(op.bytes_read) || moves(op.bytes_written));
        let nodes = costs.count() as u64;
        let published = || self.evidence.likely(device, &bound.dtype, self.runtime, fused, nodes);
        let (range, rows) = match self.efficiency {
            Some(share) => (Some(Span { low: fused / share.high, high: fused / share.low }), None),
            None => {
                let found = published();
                (found.map(|l| Span { low: l.low, high: l.high }), found.map(|l| l.rows))
            }
        };
        let range = range.filter(|_| complete);
        let candidate = Candidate {
            proved: bound.lower_bound_seconds,
            low: range.map(|r| r.low.max(bound.lower_bound_seconds)),
            high: range.map(|r| r.high.max(bound.lower_bound_seconds)),
            fits: capacity.and_then(|bytes| FitReport::new(report, bytes).fits),
        };
        let verdict = decide(&candidate, &self.demand);
        let found = match verdict {
            Verdict::Yes(copies) => Some(copies),
            Verdict::Maybe(_) | Verdict::No(_) => None,
        };
        let answers = |seconds: Option<f64>| self.demand.response(seconds?, found?);
        let hourly = device.price().map(|price| price.usd_per_hour);
        let dollars = found.and_then(|n| dollars_per_million(hourly, n, self.demand.rate));
        let joules = found.and_then(|n| joules_per_request(device.tdp_w, n, self.demand.rate));
        ChoicePart {
            verdict: verdict.into(),
            first: None,
            last: None,
            device: device.id.clone(),
            name: device.name.clone(),
            dtype: bound.dtype.clone(),
            copies: found,
            proved_seconds: candidate.proved,
            low_seconds: candidate.low,
            high_seconds: candidate.high,
            low_response_seconds: answers(candidate.low),
            high_response_seconds: answers(candidate.high),
            dollars_per_million: dollars,
            low_joules: joules.map(|j| j.low),
            high_joules: joules.map(|j| j.high),
            rows: rows.filter(|_| complete),
            reason: reason(verdict, &bound),
        }
    }
}

/// The coefficient of variation that service times are taken to have.
const VARIATION: f64 = 0.3;

fn reason(verdict: Verdict, bound: &BoundReport) -> String {
    match verdict {
        Verdict::Yes(_) => format!("bound by {}", bound.bound),
        Verdict::Maybe(Missing::Memory) => "whether it fits is not known".to_owned(),
        Verdict::Maybe(Missing::SlowEnd) => "too little published: give --efficiency".to_owned(),
        Verdict::Maybe(Missing::Narrower) => "the slow end is above the limit".to_owned(),
        Verdict::No(Proof::Memory) => "does not fit into its memory".to_owned(),
        Verdict::No(Proof::OneRun) => "one run is above the limit".to_owned(),
    }
}

/// Puts choices in order: YES by cost where every price is known, else by energy; then MAYBE, then NO.
fn rank(choices: &mut [ChoicePart]) {
    let yes = |c: &ChoicePart| c.copies.is_some() && c.high_response_seconds.is_some();
    let priced = choices.iter().filter(|c| yes(c)).all(|c| c.dollars_per_million.is_some());
    let figure = |c: &ChoicePart| {
        let cost = c.dollars_per_million.map(|d| Span { low: d, high: d });
        let energy = c.low_joules.zip(c.high_joules).map(|(low, high)| Span { low, high });
        (if priced { cost } else { energy }).filter(|_| yes(c))
    };
    let figures: Vec<Option<Span>> = choices.iter().map(figure).collect();
    for (choice, place) in choices.iter_mut().zip(ranks(&figures)) {
        (choice.first, choice.last) = (place.map(|p| p.first), place.map(|p| p.last));
    }
    let group = |c: &ChoicePart| (!yes(c), c.high_seconds.is_none());
    choices.sort_by(|a, b| {
        let middle = |c: &ChoicePart| figure(c).map_or(f64::INFINITY, |f| f.low + f.high);
        let order = group(a).cmp(&group(b)).then(middle(a).total_cmp(&middle(b)));
        order.then(a.proved_seconds.total_cmp(&b.proved_seconds))
    });
}

/// A quantile and its limit in seconds.
fn slo(text: &str) -> Result<(f64, f64)> {
    let parse = || -> Option<(f64, f64)> {
        let (name, time) = text.split_once('=')?;
        Some((latency::quantile(name.trim())?, latency::seconds(time.trim())?))
    };
    parse().ok_or_else(|| {
        let message = format!("`--slo {text}` is not a percentile of latency and a time");
        hinted(message, "for example --slo p99=50ms")
    })
}

/// Shares of the fused rate.
fn efficiency(text: &str) -> Result<Span> {
    let parse = || -> Option<Span> {
        let (low, high) = text.split_once('-')?;
        let (low, high) = (low.trim().parse::<f64>().ok()?, high.trim().parse::<f64>().ok()?);
        (low > 0.0 && low <= high && high.is_finite()).then_some(Span { low, high })
    };
    parse().ok_or_else(|| {
        let message = format!("`--efficiency {text}` is not a range of shares above 0");
        hinted(message, "for example --efficiency 0.3-0.7")
    })
}
