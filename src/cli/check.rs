//! `rooflens check`: limits on what a model may cost, for a build that must not let it grow.

use super::sizes::Sizes;
use super::{Exit, Form, hinted};
use crate::report::{BoundReport, FitReport, ModelReport};
use crate::results::{CHECK, CheckResult, Limit, LimitUnit};
use crate::units::parse_si;
use anyhow::Result;
use std::path::PathBuf;

/// Check a model against limits; exit code 1 when one is exceeded.
///
/// Limits take SI prefixes, and bytes also KiB, MiB and GiB. Data-dependent sizes count at their upper
/// bound. A node of unknown cost fails the check, because no limit can be verified without it.
///
/// Examples:
///   rooflens check resnet50.onnx --max-flops 9G --max-params 26M
///   rooflens check net.onnx --batch 8 --max-peak 200MB --strict
///   rooflens check net.onnx --on t4 --dtype f16 --max-latency 5ms --max-memory 4GB
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Model file; `rooflens formats` lists what is read.
    model: PathBuf,
    #[command(flatten)]
    sizes: Sizes,
    /// Maximum floating-point and integer operations per run.
    #[arg(long, value_name = "N")]
    max_flops: Option<String>,
    /// Maximum multiply–accumulates per run.
    #[arg(long, value_name = "N")]
    max_macs: Option<String>,
    /// Maximum number of learned parameters.
    #[arg(long, value_name = "N")]
    max_params: Option<String>,
    /// Maximum bytes of weights.
    #[arg(long, value_name = "BYTES")]
    max_weights: Option<String>,
    /// Maximum peak memory of activations, in bytes.
    #[arg(long, value_name = "BYTES")]
    max_peak: Option<String>,
    /// Maximum compulsory traffic in bytes: inputs, weights and outputs, each moved once.
    #[arg(long, value_name = "BYTES")]
    max_traffic: Option<String>,
    /// Maximum bytes of weights and peak activations together, KV cache included.
    #[arg(long, value_name = "BYTES")]
    max_memory: Option<String>,
    /// Maximum time per run, such as 5ms, on the devices of --on.
    ///
    /// It is compared with a lower bound: a model that fails is certainly slower; one that passes may still be.
    #[arg(long, value_name = "TIME", requires = "on")]
    max_latency: Option<String>,
    /// Device for --max-latency, whose memory the model must also fit into. Repeatable.
    #[arg(long, value_name = "DEVICE")]
    on: Vec<String>,
    /// Folder of your own device files, which override the built-in ones.
    #[arg(long, value_name = "DIR")]
    hwdb: Option<PathBuf>,
    /// Minimum share of nodes with known cost, and of weight bytes that they read, in percent [default: 100].
    #[arg(long, value_name = "PERCENT")]
    min_coverage: Option<f64>,
    /// Accept nodes of unknown cost: limits then apply to the other nodes only.
    #[arg(long, conflicts_with = "min_coverage")]
    allow_unknown: bool,
    /// Fail unless all numbers are exact: also on upper bounds and on assumed sizes.
    #[arg(long)]
    strict: bool,
    /// Output format.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Form,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit> {
        let mut report = self.sizes.report(&self.model)?;
        if self.format != Form::Json {
            report.show_names();
        }
        let t = &report.totals;
        // Peaks of a memory that is not known whole are lower bounds.
        let sized = report.memory.is_complete();
        let (count, bytes) = ((LimitUnit::Count, true), (LimitUnit::Bytes, true));
        let peak = (LimitUnit::Bytes, sized);
        let limits = [
            ("FLOPs", count, t.operations(), "--max-flops", &self.max_flops),
            ("MACs", count, t.macs, "--max-macs", &self.max_macs),
            ("parameters", count, Some(t.params), "--max-params", &self.max_params),
            ("weights", bytes, Some(t.weight_bytes), "--max-weights", &self.max_weights),
            ("peak activations", peak, t.peak_activation_bytes, "--max-peak", &self.max_peak),
            ("compulsory traffic", bytes, t.compulsory_bytes, "--max-traffic", &self.max_traffic),
            ("memory", peak, memory(&report), "--max-memory", &self.max_memory),
        ];
        let mut checks = Vec::new();
        for (name, (unit, whole), found, flag, limit) in limits {
            let Some(limit) = limit else { continue };
            let most = number(limit, unit).ok_or_else(|| {
                let counts = unit == LimitUnit::Count;
                let hint = if counts { "for example 5G" } else { "for example 100MB or 96MiB" };
                hinted(format!("`{flag} {limit}` is not a number"), hint)
            })?;
            // A lower bound says something only where it is above the limit.
            let found =
                found.map(|n| n as f64).filter(|n| whole || *n > most || self.allow_unknown);
            // What is not known keeps to no limit, unless that was allowed.
            let ok = found.map_or(self.allow_unknown, |n| n <= most);
            checks.push(Limit { name: name.into(), unit, found, limit: most, ok });
        }
        let mut assumed = crate::report::assumptions(&report);
        let limited = !checks.is_empty() || self.min_coverage.is_some() || self.strict;
        checks.extend(self.devices(&report, limited, &mut assumed)?);
        if checks.is_empty() && !limited {
            let hint = "for example --max-flops 5G; `rooflens check --help` lists them";
            return Err(hinted("no limit is given", hint));
        }
        checks.extend(self.coverage(&report)?);
        let inexact = self.strict.then(|| crate::report::inexact(&report, self.allow_unknown));
        let inexact = inexact.unwrap_or_default();
        let checked = CheckResult {
            schema: CHECK,
            file: report.model.file.clone(),
            ok: checks.iter().all(|c| c.ok) && inexact.is_empty(),
            inexact,
            checks,
            unknown: report.coverage.unknown.clone(),
            assumed,
        };
        self.format.emit(&checked, || crate::render::text::check(&checked))?;
        Ok(if checked.ok { Exit::Good } else { Exit::Failed })
    }

    /// The time at best on each device, and whether the model fits there, which is assumed of a device whose
    /// memory is not known if anything else is `limited`.
    fn devices(
        &self,
        report: &ModelReport,
        limited: bool,
        assumed: &mut Vec<String>,
    ) -> Result<Vec<Limit>> {
        let most = self.max_latency.as_deref().map(latency).transpose()?;
        let catalogue = super::hw::catalogue(self.hwdb.as_deref())?;
        let mut checks = Vec::new();
        for name in &self.on {
            let device = super::hw::find(&catalogue, name)?;
            let roof = super::hw::hierarchy(device, report.main_dtype().into())?.roof;
            let bound = BoundReport::new(&roof, report).with_device(device, &roof, report);
            let known = report.coverage.known > 0;
            if let Some(limit) = most {
                let name = format!("time at best, {}", device.id);
                let found = known.then_some(bound.lower_bound_seconds);
                let ok = found.map_or(self.allow_unknown, |s| s <= limit);
                checks.push(Limit { name, unit: LimitUnit::Seconds, found, limit, ok });
            }
            match bound.memory {
                Some(fit) => checks.push(self.fits(&device.id, fit)),
                None if limited || most.is_some() => {
                    let hint =
                        if self.max_memory.is_some() { "" } else { " (limit with --max-memory)" };
                    let text = format!("fits into the memory of {}, whose capacity is", device.id);
                    assumed.push(format!("{text} not known{hint}"));
                }
                None => {
                    let message = format!("the memory of `{}` is not known", device.id);
                    return Err(hinted(
                        message,
                        "limit it with --max-memory, or time with --max-latency",
                    ));
                }
            }
        }
        Ok(checks)
    }

    /// What the model needs of the memory of a device; not known where some of it is not and the rest fits.
    fn fits(&self, device: &str, fit: FitReport) -> Limit {
        let known = fit.fits.is_some() || self.allow_unknown;
        Limit {
            name: format!("memory, {device}"),
            unit: LimitUnit::Bytes,
            found: known.then_some(fit.needed_bytes as f64),
            limit: fit.device_bytes as f64,
            ok: fit.fits.unwrap_or(self.allow_unknown),
        }
    }

    /// The shares of nodes and of weights that the numbers stand for, where that was asked for or falls
    /// short.
    fn coverage(&self, report: &ModelReport) -> Result<Vec<Limit>> {
        let least = self.min_coverage.unwrap_or(if self.allow_unknown { 0.0 } else { 100.0 });
        if !(0.0..=100.0).contains(&least) {
            let message = format!("`--min-coverage {least}` is not a share in percent");
            return Err(hinted(message, "from 0 to 100"));
        }
        let c = &report.coverage;
        let shares = [("coverage", c.percent), ("coverage, weights", c.weights_percent)];
        let check = |(name, found): (&str, f64)| {
            let ok = found >= least;
            Limit {
                name: name.into(),
                unit: LimitUnit::Percent,
                found: Some(found),
                limit: least,
                ok,
            }
        };
        let asked = self.min_coverage.is_some();
        Ok(shares.into_iter().map(check).filter(|c| asked || !c.ok).collect())
    }
}

/// Weights and peak activations, where these are known.
fn memory(report: &ModelReport) -> Option<u64> {
    report.memory.peak_activation_bytes.map(|_| report.memory_bytes())
}

/// A time such as `5ms`, in seconds.
fn latency(text: &str) -> Result<f64> {
    let seconds = parse_si(text, "s").filter(|s| *s > 0.0 && s.is_finite());
    seconds.ok_or_else(|| {
        hinted(format!("`--max-latency {text}` is not a time"), "for example 5ms or 0.5s")
    })
}

/// A limit of zero or more; bytes may be in powers of 1,024.
fn number(text: &str, unit: LimitUnit) -> Option<f64> {
    const BINARY: [(&str, f64); 4] = [
        ("KiB", 1024.0),
        ("MiB", 1_048_576.0),
        ("GiB", 1_073_741_824.0),
        ("TiB", 1_099_511_627_776.0),
    ];
    let binary = BINARY.iter().filter(|_| unit == LimitUnit::Bytes).find_map(|(suffix, scale)| {
        Some(text.trim().strip_suffix(suffix)?.trim_end().parse::<f64>().ok()? * scale)
    });
    binary.or_else(|| parse_si(text, unit.name())).filter(|n| n.is_finite() && *n >= 0.0)
}
