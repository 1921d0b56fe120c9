//! Words of the command line that describe a load: `--load`, `--slo`, `--input`.

use super::hinted;
use crate::cli::latency;
use crate::probe::arrival::{Arrival, Load};
use crate::probe::data::Order;
use crate::probe::judge::{QUANTILES, same};
use crate::probe::measurement::Objective;
use crate::probe::target::DataSet;
use crate::probe::target::tensor::{Dtype, Given, npy};
use crate::probe::trace::{Scale, Trace};
use crate::schema::{SloMetric, percentile};
use anyhow::{Result, anyhow};
use std::sync::Arc;
use std::time::Duration;

/// A load, or the search for the highest.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    /// As it stands; the batch that a scenario prescribes; the percentile it is judged by.
    Load(Load, Option<i64>, Option<f64>),
    /// The highest Poisson rate that meets the SLO; from a first guess where there is one.
    Highest(Option<f64>),
}

const KINDS: &str = "closed:N steady:RATE poisson:RATE burst:BASE,PEAK,PERIOD,DUTY ramp:FROM,TO \
    trace:FILE[,speed=X][,keep=SHARE][,unit=ms] single-stream multi-stream:N server:RATE offline:N max[:RATE]";

/// Reads `--load`; `seed` places what a trace leaves open.
pub(super) fn load(text: &str, seed: u64) -> Result<Wanted> {
    let (kind, rest) = text.split_once(':').map_or((text, None), |(k, r)| (k, Some(r)));
    let usage = || hinted(format!("`--load {text}` is not a load"), format!("one of: {KINDS}"));
    let number = |t: &str| {
        t.trim().parse::<f64>().ok().filter(|v| v.is_finite() && *v >= 0.0).ok_or_else(usage)
    };
    let numbers = |n: usize| -> Result<Vec<f64>> {
        let all = rest.ok_or_else(usage)?.split(',').map(number).collect::<Result<Vec<_>>>()?;
        if all.len() == n { Ok(all) } else { Err(usage()) }
    };
    let positive = |v: f64| if v > 0.0 { Ok(v) } else { Err(usage()) };
    let count = |default: Option<usize>| -> Result<usize> {
        let parsed =
            rest.map(|r| r.parse::<usize>().ok().filter(|n| *n > 0)).map(|n| n.ok_or_else(usage));
        parsed.transpose()?.or(default).ok_or_else(usage)
    };
    let open = |arrival| Wanted::Load(Load::Open(arrival), None, None);
    Ok(match kind {
        "closed" => Wanted::Load(Load::Closed(count(None)?), None, None),
        "steady" => open(Arrival::Steady(positive(numbers(1)?[0])?)),
        "poisson" => open(Arrival::Poisson(positive(numbers(1)?[0])?)),
        "burst" => {
            let v = numbers(4)?;
            let (_, _) = (positive(v[1])?, positive(v[2])?);
            if v[3] > 1.0 {
                return Err(hinted(
                    "the duty of a burst is a share of its period, 0 to 1",
                    "for example burst:10,200,5,0.2",
                ));
            }
            let period = Duration::try_from_secs_f64(v[2]).map_err(|_| usage())?;
            open(Arrival::Burst { base: v[0], peak: v[1], period, duty: v[3] })
        }
        "ramp" => {
            let v = numbers(2)?;
            positive(v[0].max(v[1]))?;
            open(Arrival::Ramp { from: v[0], to: v[1] })
        }
        "trace" => open(Arrival::Trace(Arc::new(trace(rest.ok_or_else(usage)?, seed)?))),
        "single-stream" if rest.is_none() => Wanted::Load(Load::Closed(1), None, Some(0.9)),
        "multi-stream" => {
            let batch = i64::try_from(count(Some(8))?).map_err(|_| usage())?;
            Wanted::Load(Load::Closed(1), Some(batch), Some(0.99))
        }
        "server" => {
            Wanted::Load(Load::Open(Arrival::Poisson(positive(numbers(1)?[0])?)), None, Some(0.99))
        }
        "offline" => Wanted::Load(Load::Closed(count(Some(64))?), None, None),
        "max" => Wanted::Highest(rest.map(|r| number(r).and_then(positive)).transpose()?),
        _ => return Err(usage()),
    })
}

fn trace(text: &str, seed: u64) -> Result<Trace> {
    let mut parts = text.split(',');
    let path = parts.next().unwrap_or_default();
    let mut scale = Scale::default();
    for part in parts {
        let value = |v: &str| v.parse::<f64>().ok().filter(|v| *v > 0.0 && v.is_finite());
        match part.split_once('=').map(|(k, v)| (k, value(v))) {
            Some(("speed", Some(v))) => scale.speed = v,
            Some(("keep", Some(v))) if v <= 1.0 => scale.keep = v,
            Some(("unit", None)) if unit(part).is_some() => scale.unit = unit(part),
            _ => {
                return Err(hinted(
                    format!("`{part}` does not change a trace"),
                    "speed=2 halves all gaps, keep=0.1 keeps a tenth of the arrivals, unit=ms says what times are in: s, ms, us or ns",
                ));
            }
        }
    }
    let file = std::fs::File::open(path)
        .map_err(|e| hinted(format!("`{path}` cannot be read: {e}"), "check the path"))?;
    Trace::read(path, file, scale, seed).map_err(|e| {
        hinted(
            format!("`{path}`: {e}"),
            "the first line names the columns; `rooflens probe --help` lists the formats",
        )
    })
}

/// The seconds in the unit of `unit=ms`.
fn unit(text: &str) -> Option<f64> {
    let units = [("unit=s", 1.0), ("unit=ms", 1e-3), ("unit=us", 1e-6), ("unit=ns", 1e-9)];
    units.into_iter().find(|(word, _)| *word == text).map(|(_, seconds)| seconds)
}

/// Reads `--slo p99=50ms`, or several SLOs: `ttft_p99=200ms,tpot_p99=20ms`.
pub(super) fn slo(text: &str) -> Result<Vec<Objective>> {
    let all = text.split(',').map(|part| objective(text, part));
    let all = all.collect::<Result<Vec<Objective>>>()?;
    // Those that are computed for every metric, and one more.
    let first = all.first().map_or(0.99, |one| one.quantile);
    let known = |q: f64| same(q, first) || QUANTILES.iter().any(|known| same(*known, q));
    if let Some(other) = all.iter().find(|one| !known(one.quantile)) {
        return Err(hinted(
            format!(
                "`--slo {text}`: {} is beside {}",
                percentile(other.quantile),
                percentile(first)
            ),
            "several SLOs are on p50, p90, p95, p99 and p99.9, or on one other percentile",
        ));
    }
    Ok(all)
}

fn objective(text: &str, part: &str) -> Result<Objective> {
    let usage = || {
        hinted(
            format!("`--slo {text}` is not an SLO"),
            "for example --slo p99=50ms, or --slo ttft_p99=200ms,tpot_p99=20ms for a language model",
        )
    };
    let (name, time) = part.split_once('=').ok_or_else(usage)?;
    let (metric, name) = match name.trim().split_once('_') {
        None => (SloMetric::Response, name.trim()),
        Some(("e2e" | "response", name)) => (SloMetric::Response, name),
        Some(("ttft", name)) => (SloMetric::Ttft, name),
        Some(("itl", name)) => (SloMetric::Itl, name),
        Some(("tpot", name)) => (SloMetric::Tpot, name),
        Some(_) => return Err(usage()),
    };
    let quantile = latency::quantile(name).ok_or_else(usage)?;
    let seconds = latency::seconds(time).ok_or_else(usage)?;
    Ok(Objective { metric, quantile, seconds })
}

/// Reads `--until 10%`, or 0.1.
pub(super) fn tolerance(text: &str) -> Result<f64> {
    let (digits, scale) = text.strip_suffix('%').map_or((text, 1.0), |d| (d, 0.01));
    let share = digits.trim().parse::<f64>().ok().map(|d| d * scale);
    share.filter(|s| (0.001..=0.5).contains(s)).ok_or_else(|| {
        hinted(
            format!("`--until {text}` is not a share of 0.1 % to 50 %"),
            "for example --until 10%",
        )
    })
}

/// Reads `--input NAME=SPEC`: a shape, a type and a shape, a `.npy` file, or a text.
pub(super) fn input(text: &str) -> Result<(String, Given)> {
    let usage = || {
        hinted(
            format!("`--input {text}` is not NAME=SPEC"),
            "for example --input image=1x3x224x224, --input ids=INT64:1x128, --input x=x.npy or --input prompt=text:Hello",
        )
    };
    let (name, spec) = text.split_once('=').ok_or_else(usage)?;
    if let Some(text) = spec.strip_prefix("text:") {
        return Ok((name.into(), Given::Text(text.into())));
    }
    if std::path::Path::new(spec).extension().is_some_and(|e| e == "npy") {
        return Ok((name.into(), array(spec)?));
    }
    let (dtype, shape) = match spec.split_once(':') {
        Some((dtype, shape)) => {
            let found = Dtype::find(dtype).ok_or_else(|| {
                hinted(
                    format!("`{dtype}` is not an element type"),
                    "for example FP32, INT64, UINT8, BYTES",
                )
            })?;
            (Some(found), shape)
        }
        None => (None, spec),
    };
    let sizes = shape.split('x').map(|s| s.parse::<i64>().ok().filter(|n| *n > 0));
    Ok((name.into(), Given::Shape(dtype, sizes.collect::<Option<_>>().ok_or_else(usage)?)))
}

/// Reads `--data [NAME=]PATH`, drawn in an order.
pub(super) fn data(text: &str, order: Order) -> Result<DataSet> {
    // A path may have a sign of equality in it.
    let (input, path) = match text.split_once('=') {
        Some((name, path)) if !std::path::Path::new(text).exists() => (Some(name.into()), path),
        _ => (None, text),
    };
    let records = crate::probe::data::open(std::path::Path::new(path))
        .map_err(|e| hinted(e.message, e.hint))?;
    Ok(DataSet { records, order, input })
}

/// Reads `--expect-output NAME=file.npy`.
pub(super) fn output(text: &str) -> Result<(String, Given)> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() => Ok((name.into(), array(path)?)),
        _ => Err(hinted(
            format!("`--expect-output {text}` is not NAME=FILE"),
            "for example --expect-output y=y.npy",
        )),
    }
}

/// Bytes that a `.npy` file may have.
const LARGEST_ARRAY: u64 = 1 << 30;

/// Contents of a `.npy` file.
fn array(path: &str) -> Result<Given> {
    let bytes = crate::files::bytes(path.as_ref(), LARGEST_ARRAY)
        .map_err(|e| hinted(format!("`{path}` cannot be read: {e}"), "check the path"))?;
    npy(&bytes).map_err(|e| hinted(format!("`{path}` {e}"), "save it with numpy.save"))
}

/// Reads `--header 'Name: value'`.
pub(super) fn header(text: &str) -> Result<(String, String)> {
    let (name, value) = text.split_once(':').ok_or_else(|| anyhow!("no colon")).map_err(|_| {
        hinted(format!("`--header {text}` has no colon"), "for example --header 'X-Key: 7'")
    })?;
    if text.contains(['\r', '\n']) || name.trim().is_empty() {
        return Err(hinted(
            format!("`{name}` is not a valid header"),
            "for example --header 'X-Key: 7'",
        ));
    }
    Ok((name.trim().into(), value.trim().into()))
}
