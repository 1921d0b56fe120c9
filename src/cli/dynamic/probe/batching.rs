//! `rooflens batching`: batch sizes, and settings of the server's own batching, against loads.

mod show;

use super::super::{Exit, emit, hinted};
use super::run::{Bar, interruptible};
use super::{failed, senders, time};
use crate::probe::arrival::{Load, Stripe};
use crate::probe::drive::Plan;
use crate::probe::study::{BatchingStudy, Row, first_answer};
use crate::probe::target::platform::{Batching, Setting};
use crate::probe::target::{Prepared, Url};
use crate::schema::{BatchingFile, Column};
use anyhow::{Context, Result};
use std::path::Path;
use std::time::Duration;

/// Find out where batching pays and where it loses.
///
/// Two kinds of batching can be varied:
///   --batch 1,2,4,8                 the client sends batches: what a gateway that gathers requests
///                                   would gain and cost
///   --server-batching SETTING       the server makes batches of single requests (Triton in explicit
///                                   model control mode): its model is reloaded with each setting,
///                                   and put back as it was found at the end
///                                   (a second Ctrl-C leaves it as it is)
///
/// First the highest throughput of each is measured, with --in-flight requests always waiting; then
/// each at the same loads, in inferences a second, whose tail of the response time is drawn as a
/// heat-map. A batch that is sent whole answers sooner than one that must be gathered first: the time
/// to gather, (batch − 1) / rate for the first request of a batch, is given apart, and counts where
/// batching is compared with none.
///
/// A cell is slower or faster only where the intervals of both runs are apart and 5 % between them;
/// else it is not decided, and longer --seconds may decide it. Cells whose run is not VALID say so;
/// one whose client was late counts only as faster, since that makes times longer, never shorter.
///
/// Takes the flags of `rooflens probe` that say how requests are made; the loads are its own.
///
/// Examples:
///   rooflens batching kserve+grpc://localhost:8001/resnet50 --batch 1,2,4,8,16
///   rooflens batching kserve+http://localhost:8000/resnet50 --server-batching off \
///       --server-batching delay=500us --server-batching delay=5ms,preferred=4+8
///   rooflens batching tract:resnet50.onnx --batch 1,4 --loads 0.5,0.9 --seconds 20
///
/// Exit codes: 0 measured; 1 interrupted, or no two runs could be compared; 2 could not measure.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    mut_arg("load", |a| a.hide(true).default_value(None::<&'static str>)),
    mut_arg("until", |a| a.hide(true)),
    mut_arg("budget", |a| a.hide(true)),
    mut_arg("requests", |a| a.hide(true)),
    mut_arg("slo", |a| a.hide(true)),
    mut_arg("stripe", |a| a.hide(true)),
    mut_arg("start_at", |a| a.hide(true)),
    mut_arg("model", |a| a.hide(true)),
    mut_arg("dry_run", |a| a.hide(true)),
    mut_arg("spawn", |a| a.hide(true)),
    mut_arg("repeats", |a| a.hide(true)),
    mut_arg("page_cache", |a| a.hide(true)),
    mut_arg("evict", |a| a.hide(true)),
    mut_arg("ready_path", |a| a.hide(true)),
    mut_arg("warm_seconds", |a| a.hide(true)),
    mut_arg("start_up_only", |a| a.hide(true)),
    mut_arg("seconds", |a| a.default_value("5").help("Seconds of each run")),
    mut_arg("batch", |a| a.help(
        "Batches that the client sends, one request each; 1,2,4,8 where left out, 1 with --server-batching"
    )),
    mut_arg("output", |a| a.default_value("rooflens-batching").help(
        "Folder of batching.json, batching.svg and batching.png; an older one is never overwritten"
    )),
)]
#[allow(clippy::doc_markdown, reason = "the text is for terminals")]
#[allow(rustdoc::bare_urls)]
#[group(skip)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    probe: super::Args,
    /// Loads, as shares of the highest throughput of all.
    #[arg(
        long,
        value_name = "SHARE[,SHARE…]",
        default_value = "0.2,0.5,0.8,0.95",
        value_delimiter = ',',
        help_heading = "Load"
    )]
    loads: Vec<f64>,
    /// Requests always in flight when the highest throughput is measured.
    #[arg(long, value_name = "N", default_value_t = 16, help_heading = "Load", value_parser = clap::value_parser!(u16).range(1..=4096))]
    in_flight: u16,
    /// A setting of Triton's dynamic batching: as-found, off, or the longest wait for others with
    /// batch sizes that end it: delay=500us, delay=5ms,preferred=4+8. Repeatable; compared with `off`,
    /// or else the first.
    #[arg(long, value_name = "SETTING", help_heading = "Load")]
    server_batching: Vec<String>,
    /// What is printed.
    #[arg(long, value_name = "HOW", default_value = "text")]
    format: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Text,
    Json,
}

impl Args {
    pub(in crate::cli) fn run(self) -> Result<Exit> {
        self.refuse()?;
        let own = &self.probe;
        let (loads, settings, plan) = (sorted(&self.loads)?, self.settings()?, self.plan()?);
        let all = self.targets(!settings.is_empty())?;
        let stop = interruptible()?;
        let options = own.options(1)?;
        let url = Url::parse(&own.target).ok();
        let server = match (settings.is_empty(), &url) {
            (true, _) => None,
            (false, Some(url)) => Some(Batching::new(url, &all[0], &options).map_err(failed)?),
            (false, None) => {
                return Err(hinted(
                    "a runtime in this process makes no batches",
                    "leave out --server-batching; --batch varies what is sent",
                ));
            }
        };
        let rows = rows(&settings, &all)?;
        let folder = super::super::new_folder(&own.output)?;
        let study = BatchingStudy {
            rows: &rows,
            server: server.as_ref(),
            plan,
            in_flight: self.in_flight,
            loads: &loads,
            warm_up: own.warm_up.filter(|s| *s >= 0.0),
        };
        let file = study.measure(&stop, &mut Bar::default()).map_err(failed)?;
        self.print(&file, &loads, &folder)?;
        let compared = file.cells.iter().any(|c| show::decided(c.against));
        Ok(if file.stopped || !compared { Exit::Failed } else { Exit::Good })
    }

    /// Refuses flags of `probe` that a study has no use for.
    fn refuse(&self) -> Result<()> {
        let own = &self.probe;
        let strange = [
            (own.start_up.spawn.is_some(), "--spawn"),
            (own.slo.is_some(), "--slo"),
            (own.stripe.is_some(), "--stripe"),
            (own.until.is_some(), "--until"),
            (own.requests.is_some(), "--requests"),
            (own.model.is_some(), "--model"),
            (own.dry_run, "--dry-run"),
            (own.load.is_some(), "--load"),
        ];
        let Some((_, flag)) = strange.into_iter().find(|s| s.0) else { return Ok(()) };
        Err(hinted(
            format!(
                "a batching study has no {flag}: it makes its own loads against a running target"
            ),
            format!("leave it out; `rooflens probe {flag}` measures one load"),
        ))
    }

    /// The target at each batch, every one of which has answered; one batch where the `server` makes its own.
    fn targets(&self, server: bool) -> Result<Vec<Prepared>> {
        let own = &self.probe;
        let mut batches = own.batch.clone();
        if batches.is_empty() {
            batches = if server { vec![1] } else { vec![1, 2, 4, 8] };
        }
        batches.sort_unstable();
        batches.dedup();
        let sizes = own.sizes();
        let all = batches.iter().map(|b| own.prepare(*b, &sizes, false));
        let all = all.collect::<Result<Vec<_>>>()?;
        for prepared in &all {
            first_answer(prepared).map_err(failed)?;
        }
        Ok(all)
    }

    /// Writes the study into `folder` and prints it.
    fn print(&self, file: &BatchingFile, loads: &[f64], folder: &Path) -> Result<()> {
        let json =
            serde_json::to_string_pretty(file).context("the study cannot be written")? + "\n";
        emit(&json, Some(&folder.join("batching.json")))?;
        if !file.cells.is_empty() {
            let svg = crate::chart::render_heatmap(&show::map(file, loads))?;
            emit(&svg, Some(&folder.join("batching.svg")))?;
            if crate::chart::MAKES_PNG {
                super::super::charts::picture(&svg, &folder.join("batching.png"))?;
            }
        }
        if self.format == Form::Json {
            return emit(&json, None);
        }
        emit(&format!("{}\nstudy in {}/\n", show::text(file), folder.display()), None)
    }

    /// Of each run, but for its load.
    fn plan(&self) -> Result<Plan> {
        let own = &self.probe;
        Ok(Plan {
            load: Load::Closed(1),
            seed: own.seed,
            duration: time("--seconds", own.longest())?,
            requests: None,
            stripe: Stripe::WHOLE,
            senders: own.senders.map_or_else(senders, usize::from),
            timeout: time("--timeout", own.timeout)?,
            max_in_flight: own.max_in_flight.max(1),
            start_at: None,
        })
    }

    /// The settings of the server, `off` first.
    fn settings(&self) -> Result<Vec<Setting>> {
        let mut all = Vec::new();
        for text in &self.server_batching {
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
            format!("a study of {} alone compares nothing", only.column.name(&[])),
            "name two at least: --batch 1,4, or --server-batching off --server-batching delay=5ms",
        ));
    }
    Ok(rows)
}

fn sorted(loads: &[f64]) -> Result<Vec<f64>> {
    let mut loads = loads.to_vec();
    loads.sort_by(f64::total_cmp);
    loads.dedup();
    if loads.iter().any(|l| !(0.01..=2.0).contains(l)) {
        return Err(hinted("a load is a share of 0.01 to 2", "for example --loads 0.5,0.9"));
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
