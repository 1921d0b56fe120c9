//! `rooflens batching`: batch sizes, and settings of the server's own batching, against loads.

use super::super::{Exit, emit, hinted};
use super::run::{Bar, interruptible};
use super::target::TargetFlags;
use super::{failed, time};
use crate::probe::arrival::{Load, Stripe};
use crate::probe::drive::Plan;
use crate::probe::study::{BatchingStudy, Row, first_answer};
use crate::probe::target::platform::{Batching, Setting};
use crate::probe::target::{Prepared, Url};
use crate::render;
use crate::schema::{BatchingFile, Column};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Find out where batching helps and where it hurts.
///
/// Two kinds of batching can be varied:
///   --batch 1,2,4,8                 the client sends batches: what a gateway that collects requests
///                                   would gain and cost
///   --server-batching SETTING       the server batches single requests (Triton in explicit model
///                                   control mode): its model is reloaded with each setting, and
///                                   restored at the end (a second Ctrl-C skips that)
///
/// First the maximum throughput of each is measured, with --in-flight requests always waiting. Then
/// each runs at the same loads, in inferences per second, and the tail latency is drawn as a heat map.
/// A batch that arrives whole is answered sooner than one that must be collected first: the time to
/// collect it, (batch − 1) / rate for its first request, is given separately, and is added where
/// batching is compared with none.
///
/// A cell is faster or slower only where the confidence intervals of the two runs do not overlap and
/// differ by 5 %; otherwise it is undecided, and longer --seconds may decide it. Cells whose run is
/// not VALID are marked; one that is CLIENT-LIMITED can only count as faster, since a slow client
/// makes times longer, never shorter.
///
/// Examples:
///   rooflens batching kserve+grpc://localhost:8001/resnet50 --batch 1,2,4,8,16
///   rooflens batching kserve+http://localhost:8000/resnet50 --server-batching off \
///       --server-batching delay=500us --server-batching delay=5ms,preferred=4+8
///   rooflens batching tract:resnet50.onnx --batch 1,4 --loads 0.5,0.9 --seconds 20
///
/// Exit codes: 0 measured; 1 interrupted, or no two runs could be compared; 2 could not measure.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
#[allow(clippy::doc_markdown, reason = "the text is for terminals")]
#[allow(rustdoc::bare_urls)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    load: StudyFlags,
    #[command(flatten)]
    target: TargetFlags,
    /// Batch sizes that the client sends, one request each [default: 1,2,4,8, or 1 with --server-batching].
    #[arg(long, value_name = "N[,N…]", help_heading = "Requests", value_delimiter = ',', value_parser = clap::value_parser!(i64).range(1..))]
    batch: Vec<i64>,
    /// Warm-up to discard at the start of each run, in seconds [default: detected from the data].
    #[arg(long, value_name = "S", help_heading = "Judgement")]
    warm_up: Option<f64>,
    /// Folder for batching.json, batching.svg and batching.png; an existing one is kept, and a number appended.
    #[arg(short, long, value_name = "DIR", default_value = "rooflens-batching", help_heading = None::<&str>)]
    output: PathBuf,
    /// Format of what is printed.
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = None::<&str>)]
    format: Form,
}

/// Flags of the loads of a study.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Load")]
#[group(skip)]
struct StudyFlags {
    /// Loads, as shares of the highest of the maximum throughputs.
    #[arg(
        long,
        value_name = "SHARE[,SHARE…]",
        default_value = "0.2,0.5,0.8,0.95",
        value_delimiter = ','
    )]
    loads: Vec<f64>,
    /// Length of each run in seconds.
    #[arg(long, value_name = "S", default_value_t = 5.0)]
    seconds: f64,
    /// Requests always in flight while the maximum throughput is measured.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=4096))]
    in_flight: u16,
    /// Setting of Triton's dynamic batching to measure. Repeatable.
    ///
    /// as-found, off, or the maximum queue delay with preferred batch sizes: delay=500us, delay=5ms,preferred=4+8.
    /// Settings are compared with `off` where it is among them, else with the first.
    #[arg(long, value_name = "SETTING")]
    server_batching: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Text,
    Json,
}

impl Args {
    pub(in crate::cli) fn run(self) -> Result<Exit> {
        let (loads, settings, plan) = (sorted(&self.load.loads)?, self.settings()?, self.plan()?);
        let all = self.targets(!settings.is_empty())?;
        let stop = interruptible()?;
        let options = self.target.options(1, None)?;
        let url = Url::parse(&self.target.url).ok();
        let server = match (settings.is_empty(), &url) {
            (true, _) => None,
            (false, Some(url)) => Some(Batching::new(url, &all[0], &options).map_err(failed)?),
            (false, None) => {
                return Err(hinted(
                    "an in-process runtime has no dynamic batching",
                    "omit --server-batching; --batch varies what is sent",
                ));
            }
        };
        let rows = rows(&settings, &all)?;
        let folder = super::super::new_folder(&self.output)?;
        let study = BatchingStudy {
            rows: &rows,
            server: server.as_ref(),
            plan,
            in_flight: self.load.in_flight,
            loads: &loads,
            warm_up: self.warm_up.filter(|s| *s >= 0.0),
        };
        let file = study.measure(&stop, &mut Bar::default()).map_err(failed)?;
        self.print(&file, &loads, &folder)?;
        let compared = file.cells.iter().any(|c| c.against.is_decided());
        Ok(if file.stopped || !compared { Exit::Failed } else { Exit::Good })
    }

    /// The target at each batch, every one of which has answered; one batch where the `server` makes its own.
    fn targets(&self, server: bool) -> Result<Vec<Prepared>> {
        let mut batches = self.batch.clone();
        if batches.is_empty() {
            batches = if server { vec![1] } else { vec![1, 2, 4, 8] };
        }
        batches.sort_unstable();
        batches.dedup();
        let asked = |batch: i64| self.batch.contains(&batch);
        let all = batches.iter().map(|b| self.target.prepare(*b, asked(*b), false, None));
        let all = all.collect::<Result<Vec<_>>>()?;
        for prepared in &all {
            first_answer(prepared).map_err(failed)?;
        }
        Ok(all)
    }

    /// Writes the study into `folder` and prints it.
    fn print(&self, file: &BatchingFile, loads: &[f64], folder: &Path) -> Result<()> {
        let json = render::json::pretty(file)?;
        emit(&json, Some(&folder.join("batching.json")))?;
        if !file.cells.is_empty() {
            let map = render::chart::batching::heat_map(file, loads);
            let svg = crate::chart::render_heatmap(&map)?;
            emit(&svg, Some(&folder.join("batching.svg")))?;
            if crate::chart::MAKES_PNG {
                super::super::charts::picture(&svg, &folder.join("batching.png"))?;
            }
        }
        match self.format {
            Form::Json => emit(&json, None),
            Form::Text => emit(&render::text::batching(file, folder), None),
        }
    }

    /// Of each run, but for its load.
    fn plan(&self) -> Result<Plan> {
        let client = &self.target.client;
        Ok(Plan {
            load: Load::Closed(1),
            seed: self.target.requests.seed,
            duration: time("--seconds", self.load.seconds)?,
            requests: None,
            stripe: Stripe::WHOLE,
            senders: client.senders(),
            timeout: self.target.timeout()?,
            limits: Vec::new(),
            max_in_flight: client.max_in_flight(),
            start_at: None,
            met: None,
        })
    }

    /// The settings of the server, `off` first.
    fn settings(&self) -> Result<Vec<Setting>> {
        let mut all = Vec::new();
        for text in &self.load.server_batching {
            let setting = setting(text)?;
            if !all.contains(&setting) {
                all.push(setting);
            }
        }
        all.sort_by_key(|s| *s != Setting::Off);
        Ok(all)
    }
}

/// Each batch with each setting; two at least.
fn rows<'a>(settings: &'a [Setting], all: &'a [Prepared]) -> Result<Vec<Row<'a>>> {
    let mut rows = Vec::new();
    for setting in settings.iter().map(Some).chain(settings.is_empty().then_some(None)) {
        for prepared in all {
            let server = setting.map(ToString::to_string);
            rows.push(Row { column: Column { batch: prepared.batch, server }, setting, prepared });
        }
    }
    if let [only] = &rows[..] {
        return Err(hinted(
            format!("a study of {} alone has nothing to compare", only.column.name(&[])),
            "give at least two: --batch 1,4, or --server-batching off --server-batching delay=5ms",
        ));
    }
    Ok(rows)
}

fn sorted(loads: &[f64]) -> Result<Vec<f64>> {
    let mut loads = loads.to_vec();
    loads.sort_by(f64::total_cmp);
    loads.dedup();
    if loads.iter().any(|l| !(0.01..=2.0).contains(l)) {
        return Err(hinted("`--loads` takes shares from 0.01 to 2", "for example --loads 0.5,0.9"));
    }
    Ok(loads)
}

/// Reads a setting.
fn setting(text: &str) -> Result<Setting> {
    let wrong = || {
        hinted(
            format!("`--server-batching {text}` is not a setting"),
            "as-found, off, delay=500us, or delay=5ms,preferred=4+8",
        )
    };
    match text {
        "off" => return Ok(Setting::Off),
        "as-found" => return Ok(Setting::AsFound),
        _ => {}
    }
    let (mut delay, mut preferred) = (None, Vec::new());
    for part in text.split(',') {
        match part.split_once('=') {
            Some(("delay", time)) => delay = Some(short_time(time).ok_or_else(wrong)?),
            Some(("preferred", sizes)) => {
                let sizes = sizes.split('+').map(|n| n.parse::<u32>().ok().filter(|n| *n > 0));
                preferred = sizes.collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
            }
            _ => return Err(wrong()),
        }
    }
    Ok(Setting::On(delay.ok_or_else(wrong)?, preferred))
}

/// A time of 0 to 10 seconds, in whole microseconds: 0, 500us, 5ms, 0.1s.
fn short_time(text: &str) -> Option<Duration> {
    let at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let number: f64 = number.parse().ok()?;
    let micros = match unit {
        "us" => number,
        "ms" => number * 1e3,
        "s" => number * 1e6,
        "" if number == 0.0 => 0.0,
        _ => return None,
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = (0.0..=1e7).contains(&micros).then(|| micros.round() as u64);
    whole.map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_others_refused() {
        let on = |us: u64, sizes: &[u32]| Setting::On(Duration::from_micros(us), sizes.to_vec());
        assert_eq!(setting("off").unwrap(), Setting::Off);
        assert_eq!(setting("delay=0").unwrap(), on(0, &[]));
        assert_eq!(setting("delay=5ms,preferred=4+8").unwrap(), on(5000, &[4, 8]));
        for text in [
            "",
            "on",
            "delay",
            "delay=5",
            "delay=-1ms",
            "delay=1h",
            "preferred=4",
            "delay=1ms,preferred=0",
            "delay=nanms",
            "delay=99s",
            "delay=1ms,x=2",
        ] {
            assert!(setting(text).is_err(), "{text}");
        }
    }
}
