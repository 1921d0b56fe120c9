//! `rooflens batching`: batch sizes against loads.

use super::super::{Exit, emit, hinted};
use super::{first_answer, interruptible, senders, time, watched};
use crate::chart::{Cell, HeatMap, render_heatmap};
use crate::probe::arrival::{Arrival, Load, Stripe};
use crate::probe::drive::Plan;
use crate::probe::judge::name;
use crate::probe::measurement::{Aims, BATCHING, BatchingFile, CellPart, Measured, PlateauPart};
use crate::units::si;
use anyhow::{Context, Result};
use std::fmt::Write;
use std::sync::atomic::Ordering;

/// Find out where batching pays and where it loses.
///
/// Measures the highest throughput of each batch size, then each batch size at the same loads in
/// inferences a second, and draws the tail of the response time over both. A batch that is sent
/// whole answers faster than one that must be gathered first: the time to gather, (batch − 1) /
/// rate, is given apart and counts where batching is compared with none.
///
/// Takes the flags of `rooflens probe` that say how requests are made; the loads are its own.
///
/// Examples:
///   rooflens batching kserve+grpc://localhost:8001/resnet50 --batch 1,2,4,8,16
///   rooflens batching tract:resnet50.onnx --batch 1,4 --loads 0.5,0.9 --seconds 20
///
/// Exit codes: 0 measured; 1 interrupted; 2 could not measure.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    mut_arg("load", |a| a.hide(true)),
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
    mut_arg("seconds", |a| a.default_value("5")),
    mut_arg("batch", |a| a.default_value("1,2,4,8")),
    mut_arg("output", |a| a.default_value("rooflens-batching").help(
        "Folder of batching.json, batching.svg and batching.png; an older one is never overwritten"
    )),
)]
#[allow(rustdoc::bare_urls)]
#[group(skip)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    probe: super::Args,
    /// Loads, as shares of the highest throughput of any batch size.
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
    /// What is printed.
    #[arg(long, value_name = "HOW", default_value = "text", value_parser = ["text", "json"])]
    format: String,
}

impl Args {
    pub(in crate::cli) fn run(self) -> Result<Exit> {
        let own = &self.probe;
        if own.start_up.spawn.is_some() || own.slo.is_some() || own.stripe.is_some() || own.dry_run
        {
            let hint = "start the server first; `rooflens probe` has these flags";
            return Err(hinted("batching makes its own loads against a running target", hint));
        }
        let mut loads = self.loads.clone();
        loads.sort_by(f64::total_cmp);
        loads.dedup();
        if loads.iter().any(|l| !(0.01..=2.0).contains(l)) {
            return Err(hinted("a load is a share of 0.01 to 2", "for example --loads 0.5,0.9"));
        }
        let mut batches = own.batch.clone();
        batches.sort_unstable();
        batches.dedup();
        let plan = |load: Load| -> Result<Plan> {
            Ok(Plan {
                load,
                seed: own.seed,
                duration: time("--seconds", own.longest())?,
                stripe: Stripe::WHOLE,
                senders: own.senders.map_or_else(senders, usize::from),
                timeout: time("--timeout", own.timeout)?,
                max_in_flight: own.max_in_flight.max(1),
                start_at: None,
            })
        };
        let aims = Aims {
            headline: 0.99,
            slo: None,
            warm_up: own.warm_up.filter(|s| *s >= 0.0),
            throttled: None,
        };
        plan(Load::Closed(1))?;
        let all = batches.iter().map(|b| own.prepare(*b)).collect::<Result<Vec<_>>>()?;
        for prepared in &all {
            first_answer(&own.target, prepared)?;
        }
        let stop = interruptible()?;
        let folder = super::super::new_folder(&own.output)?;
        let mut file = BatchingFile {
            schema: BATCHING.into(),
            tool: concat!("rooflens ", env!("CARGO_PKG_VERSION")).into(),
            target: own.target.clone(),
            platform: all.first().map_or(String::new(), |p| p.platform.clone()),
            seconds: own.longest(),
            seed: own.seed,
            quantile: None,
            plateaus: Vec::new(),
            cells: Vec::new(),
            findings: Vec::new(),
            stopped: false,
            notes: notes(&own.target),
        };
        let run = |i: usize, load: Load| -> Result<Measured> {
            let plan = plan(load)?;
            let outcome = watched(&plan, &all[i], &stop, None)?;
            Ok(Measured::new(&plan, &all[i], outcome, &aims, None))
        };
        for i in 0..batches.len() {
            let measured = run(i, Load::Closed(usize::from(self.in_flight)))?;
            if stop.load(Ordering::Relaxed) {
                break;
            }
            file.plateaus.push(PlateauPart {
                batch: batches[i],
                in_flight: u64::from(self.in_flight),
                inferences_per_second: measured.file.window.inferences_per_second,
                verdict: measured.file.verdict.verdict.clone(),
            });
        }
        let best = file.plateaus.iter().map(|p| p.inferences_per_second).fold(0.0, f64::max);
        if best <= 0.0 && !stop.load(Ordering::Relaxed) {
            return Err(hinted(
                "no batch size got a good answer under load",
                "see why with `rooflens probe … --load closed:1`",
            ));
        }
        'all: for (i, batch) in batches.iter().enumerate() {
            for load in &loads {
                if stop.load(Ordering::Relaxed) {
                    break 'all;
                }
                let wanted = best * load;
                let measured = run(i, Load::Open(Arrival::Poisson(wanted / *batch as f64)))?;
                if !stop.load(Ordering::Relaxed) {
                    file.cells.push(CellPart::new(&measured.file, *load, wanted));
                }
            }
        }
        file.stopped = stop.load(Ordering::Relaxed);
        file.judge();
        let json =
            serde_json::to_string_pretty(&file).context("the study cannot be written")? + "\n";
        emit(&json, Some(&folder.join("batching.json")))?;
        if file.cells.len() == batches.len() * loads.len() {
            let svg = render_heatmap(&map(&file, &batches, &loads))?;
            emit(&svg, Some(&folder.join("batching.svg")))?;
            #[cfg(feature = "png")]
            super::super::charts::picture(&svg, &folder.join("batching.png"))?;
        }
        if self.format == "json" {
            emit(&json, None)?;
        } else {
            emit(&format!("{}\nstudy in {}/\n", text(&file), folder.display()), None)?;
        }
        Ok(if file.stopped { Exit::Failed } else { Exit::Good })
    }
}

/// What was not varied, and why.
fn notes(target: &str) -> Vec<String> {
    let mut all = vec!["batches are formed by the client, one request each".to_owned()];
    if target.starts_with("tfs+") {
        all.push(
            "TensorFlow Serving reads its batching parameters only when it starts (--enable_batching, --batching_parameters_file): run the study once for each"
                .into(),
        );
    } else if target.starts_with("kserve+") {
        all.push("the server's own batching parameters are as they were found".into());
    }
    all
}

fn shown(file: &BatchingFile, cell: &CellPart) -> String {
    let time = file.quantile.and_then(|q| cell.at(q)).map_or("–".into(), |v| si(v, "s"));
    if cell.overloaded { format!("{time} !") } else { time }
}

/// The picture.
fn map(file: &BatchingFile, batches: &[i64], loads: &[f64]) -> HeatMap {
    let quantile = file.quantile.map_or("no percentile".into(), name);
    let best = file.plateaus.iter().map(|p| p.inferences_per_second).fold(0.0, f64::max);
    let column = |batch: &i64| {
        let plateau = file.plateaus.iter().find(|p| p.batch == *batch);
        format!("{batch} (≤ {:.0}/s)", plateau.map_or(0.0, |p| p.inferences_per_second))
    };
    let cell = |batch: i64, load: f64| {
        let found = file.cells.iter().find(|c| c.batch == batch && (c.load - load).abs() < 1e-9);
        found.map_or(Cell::default(), |c| Cell {
            value: file.quantile.and_then(|q| c.at(q)),
            text: file.quantile.and_then(|q| c.at(q)).map_or("–".into(), |v| si(v, "s")),
            small: match (c.overloaded, batch) {
                (true, _) => "overloaded".into(),
                (false, 1) => String::new(),
                _ => format!("+ {} to gather", si(c.gather_seconds, "s")),
            },
            hatched: c.overloaded,
            framed: c.loses,
        })
    };
    HeatMap {
        title: format!("{quantile} of the response time over batch and load"),
        subtitle: format!("{}; {} s a cell, poisson", file.target, file.seconds),
        x_title: "batch (highest throughput in inferences/s)".into(),
        y_title: "load, inferences/s".into(),
        columns: batches.iter().map(column).collect(),
        rows: loads.iter().map(|l| format!("{:.0}/s ({:.0} %)", best * l, 100.0 * l)).collect(),
        cells: loads
            .iter()
            .map(|load| batches.iter().map(|batch| cell(*batch, *load)).collect())
            .collect(),
        notes: vec![
            "red frame: slower than no batching at the same load, time to gather included".into(),
            "hatched: overloaded, so that the time grows with the length of the run".into(),
        ],
    }
}

/// What a person reads.
fn text(file: &BatchingFile) -> String {
    let mut out = format!("{}  {}\n\n", file.target, file.platform);
    for p in &file.plateaus {
        let _ = writeln!(
            out,
            "batch {:<4} at most {:>10.1} inferences/s  ({} in flight, {})",
            p.batch, p.inferences_per_second, p.in_flight, p.verdict
        );
    }
    let label = file.quantile.map_or("no percentile is supported by all".into(), name);
    let _ =
        writeln!(out, "\n{label} of the response time; ! overloaded, < slower than no batching");
    let mut loads: Vec<f64> = file.cells.iter().map(|c| c.load).collect();
    loads.sort_by(f64::total_cmp);
    loads.dedup();
    let _ = write!(out, "{:>16}", "inferences/s");
    for p in &file.plateaus {
        let _ = write!(out, "{:>14}", format!("batch {}", p.batch));
    }
    out.push('\n');
    for load in loads.iter().rev() {
        let row: Vec<&CellPart> =
            file.cells.iter().filter(|c| (c.load - load).abs() < 1e-9).collect();
        let rate = row.first().map_or(0.0, |c| c.wanted_inferences_per_second);
        let _ = write!(out, "{rate:>16.1}");
        for cell in row {
            let mark = if cell.loses { " <" } else { "" };
            let _ = write!(out, "{:>14}", shown(file, cell) + mark);
        }
        out.push('\n');
    }
    out.push('\n');
    if file.findings.is_empty() && !file.stopped && file.quantile.is_some() {
        out.push_str("batching loses nowhere in this study\n");
    }
    for f in &file.findings {
        let load = f.load.map_or(String::new(), |l| format!(" at {:.0} % load", 100.0 * l));
        let _ = writeln!(out, "{}: batch {}{load}: {}", f.kind, f.batch, f.evidence);
    }
    for note in &file.notes {
        let _ = writeln!(out, "note: {note}");
    }
    if file.stopped {
        out.push_str("stopped before the end\n");
    }
    out
}
