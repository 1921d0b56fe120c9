//! Models on devices, by batch and type.

use super::{Exit, Form, hinted};
use crate::analysis::Precision;
use crate::cli::gather::{Counted, Gathered};
use crate::cli::sizes::{Open, Sizes};
use crate::hwdb::Device;
use crate::report::{BoundReport, RunKind, RunReport};
use crate::units::si;
use anyhow::Result;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What models are counted at.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Models")]
#[group(skip)]
pub(super) struct Flags {
    /// Device to hold the models against. Repeatable; the first is what others are multiples of.
    #[arg(long, value_name = "DEVICE")]
    on: Vec<String>,
    /// Give the batch these values.
    #[arg(long, value_name = "N[,N…]", value_delimiter = ',')]
    batch: Vec<u64>,
    /// Count in these types: f32, f16, i8, w4a16. The model's own where omitted.
    #[arg(long, value_name = "TYPE[,TYPE…]", value_delimiter = ',')]
    dtype: Vec<Precision>,
    /// Give a symbol a value: SYMBOL=N. Repeatable.
    #[arg(long, value_name = "SYMBOL=N")]
    dim: Vec<String>,
    /// Fix the shape of an input. Repeatable.
    #[arg(long, value_name = "[NAME=]DIMS")]
    shape: Vec<String>,
    /// What to compare: the fused time of a run, inferences per second at that time, joules per inference at design
    /// power, dollars per million inferences at the price of the device's file, or bytes to hold.
    #[arg(long, value_name = "WHAT", default_value = "time")]
    metric: Metric,
    /// A folder of your own device files; they win over the shipped ones.
    #[arg(long, value_name = "DIR")]
    hwdb: Option<PathBuf>,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Metric {
    Time,
    Rate,
    Energy,
    Cost,
    Memory,
}

/// A model at one batch in one type.
struct Row {
    label: String,
    batch: Option<u64>,
    dtype: Option<String>,
    counted: Counted,
}

/// A model on a device.
struct Cell {
    value: Option<f64>,
    bound: BoundReport,
}

impl Flags {
    /// Refuses what only models have.
    pub(super) fn refuse(&self) -> Result<()> {
        if self.on.is_empty() && self.batch.is_empty() && self.dtype.is_empty() {
            return Ok(());
        }
        Err(hinted(
            "--on, --batch and --dtype are for models, and these are runs",
            "leave them out",
        ))
    }

    pub(super) fn run(
        &self,
        models: &[PathBuf],
        form: Form,
        output: Option<&Path>,
    ) -> Result<Exit> {
        if self.on.is_empty() {
            let hint = "name devices, as in --on v100 --on t4; `rooflens hw list` shows them";
            return Err(hinted("models are compared on devices", hint));
        }
        let devices = crate::cli::hw::devices(&self.on, self.hwdb.as_deref())?;
        let rows = self.rows(models)?;
        if let Form::Json = form {
            let models = rows.into_iter().map(|row| row.counted).collect();
            let study = Gathered { models, runs: Vec::new() }.study(&devices)?;
            crate::cli::emit_json(&study, output)?;
            return Ok(Exit::Good);
        }
        let table = Table { flags: self, devices: &devices, rows: &rows };
        let text = if let Form::Markdown = form { table.markdown() } else { table.text() };
        crate::cli::emit(&text, output)?;
        Ok(Exit::Good)
    }

    /// Every model at every batch in every type.
    fn rows(&self, models: &[PathBuf]) -> Result<Vec<Row>> {
        let batches: Vec<Option<u64>> = if self.batch.is_empty() {
            vec![None]
        } else {
            self.batch.iter().copied().map(Some).collect()
        };
        let types: Vec<Option<Precision>> = if self.dtype.is_empty() {
            vec![None]
        } else {
            self.dtype.iter().copied().map(Some).collect()
        };
        let mut rows = Vec::new();
        for dtype in &types {
            for batch in &batches {
                let open = Open {
                    dim: self.dim.clone(),
                    batch: *batch,
                    shape: self.shape.clone(),
                    ..Open::default()
                };
                let sizes = Sizes { open, dtype: *dtype };
                let gathered = Gathered::read(models, &sizes)?;
                if !gathered.runs.is_empty() {
                    return Err(hinted("a measurement is no model", "compare runs with runs"));
                }
                for counted in gathered.models {
                    if batch.is_some() && counted.report.model.batch_symbol.is_none() {
                        let file = &counted.report.model.file;
                        let message =
                            format!("`{file}` has no size that can be said to be the batch");
                        return Err(hinted(message, "leave --batch out, or set sizes with --dim"));
                    }
                    let named = counted.report.model.batch_symbol.as_ref();
                    let at = named.and_then(|s| counted.report.bindings.get(s)).copied();
                    rows.push(Row {
                        label: crate::study::label(&counted.report.model.file),
                        batch: at,
                        dtype: dtype.map(|p| p.to_string()),
                        counted,
                    });
                }
            }
        }
        // Of one model all rows together.
        let order: Vec<String> = models.iter().map(|m| m.display().to_string()).collect();
        rows.sort_by_key(|row| {
            order.iter().position(|file| *file == row.counted.report.model.file)
        });
        Ok(rows)
    }
}

struct Table<'a> {
    flags: &'a Flags,
    devices: &'a [Device],
    rows: &'a [Row],
}

impl Table<'_> {
    /// The model of a row on a device.
    fn cell(&self, row: &Row, device: &Device) -> Option<Cell> {
        let bound = row.counted.bound(device)?;
        let seconds = Some(bound.fused_seconds).filter(|s| *s > 0.0);
        let inferences = row.batch.unwrap_or(1).max(1) as f64;
        let value = match self.flags.metric {
            Metric::Time => seconds,
            Metric::Rate => seconds.map(|s| inferences / s),
            Metric::Energy => seconds.zip(device.tdp_w).map(|(s, watts)| watts * s / inferences),
            Metric::Cost => {
                let price = device.prices.iter().max_by(|a, b| a.date.cmp(&b.date));
                seconds.zip(price).map(|(s, p)| p.usd_per_hour / 3600.0 * s / inferences * 1e6)
            }
            Metric::Memory => Some(row.counted.report.memory_bytes() as f64),
        };
        Some(Cell { value, bound })
    }

    fn value(&self, value: f64) -> String {
        match self.flags.metric {
            Metric::Time => si(value, "s"),
            Metric::Rate => si(value, "").trim_end().to_owned() + "/s",
            Metric::Energy => si(value, "J"),
            Metric::Cost => format!("{value:.3} $"),
            Metric::Memory => si(value, "B"),
        }
    }

    /// What stands under each device: a figure or a multiple, and what binds.
    fn cells(&self, row: &Row) -> Vec<String> {
        let cells: Vec<Option<Cell>> =
            self.devices.iter().map(|device| self.cell(row, device)).collect();
        let first = cells.first().and_then(Option::as_ref).and_then(|c| c.value);
        cells
            .iter()
            .enumerate()
            .map(|(at, cell)| {
                let Some(cell) = cell else {
                    return format!("no {}", row.counted.report.main_dtype());
                };
                let Some(value) = cell.value else { return "–".to_owned() };
                let figure = match first {
                    Some(first) if at > 0 && self.flags.metric != Metric::Memory => {
                        format!("×{:.2}", value / first)
                    }
                    _ => self.value(value),
                };
                let said = match self.flags.metric {
                    Metric::Memory => fits(&cell.bound).to_owned(),
                    _ => letter(&cell.bound),
                };
                format!("{figure} {said}").trim_end().to_owned()
            })
            .collect()
    }

    fn title(&self) -> String {
        let what = match self.flags.metric {
            Metric::Time => "fused time of a run",
            Metric::Rate => "inferences per second at the fused time",
            Metric::Energy => "joules per inference: design power over the fused time",
            Metric::Cost => "dollars per million inferences at the fused time",
            Metric::Memory => "bytes to hold: weights, and peak activations or cache",
        };
        what.to_owned()
    }

    fn names(&self) -> Vec<String> {
        let types = self.rows.iter().map(|row| row.dtype.as_deref()).collect::<Vec<_>>();
        let several = types.windows(2).any(|pair| pair[0] != pair[1]);
        let name = |row: &Row| {
            let mut name = row.label.clone();
            if let Some(batch) = row.batch {
                let _ = write!(name, "  batch {batch}");
            }
            if let Some(dtype) = row.dtype.as_ref().filter(|_| several) {
                let _ = write!(name, "  {dtype}");
            }
            name
        };
        self.rows.iter().map(name).collect()
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.flags.metric != Metric::Memory {
            notes.push("A arithmetic, M memory, L launches: what takes most of the fused time, and its share. \
                 × of the first column.".to_owned());
        }
        if self.flags.metric == Metric::Cost {
            for device in self.devices {
                let price = device.prices.iter().max_by(|a, b| a.date.cmp(&b.date));
                notes.push(match price {
                    Some(p) => format!(
                        "{}: {} $/h at {} on {}",
                        device.name, p.usd_per_hour, p.provider, p.date
                    ),
                    None => format!("{}: no price is known", device.name),
                });
            }
        }
        for row in self.rows {
            for line in crate::report::assumptions(&row.counted.report) {
                let line = format!("assumed in {}: {line}", row.label);
                if !notes.contains(&line) {
                    notes.push(line);
                }
            }
            let coverage = &row.counted.report.coverage;
            if coverage.known < coverage.nodes {
                let line = format!(
                    "{}: {} of {} nodes are of unknown cost, and in no number",
                    row.label,
                    coverage.nodes - coverage.known,
                    coverage.nodes
                );
                if !notes.contains(&line) {
                    notes.push(line);
                }
            }
        }
        notes
    }

    fn text(&self) -> String {
        let (names, cells) = self.grid();
        let dtype = self.rows.first().map_or("", |row| row.counted.report.main_dtype());
        let same = self.rows.iter().all(|row| row.counted.report.main_dtype() == dtype);
        let title = if same { format!("{}, {dtype}", self.title()) } else { self.title() };
        let wide = |text: &str| text.chars().count();
        let left = names.iter().map(|n| wide(n)).max().unwrap_or(0).max(8);
        let widths: Vec<usize> = (0..self.devices.len())
            .map(|at| {
                let own = cells.iter().filter_map(|row| row.get(at)).map(|c| wide(c)).max();
                own.unwrap_or(0).max(wide(&self.devices[at].name))
            })
            .collect();
        let mut text = format!("{title}\n{:left$}", "");
        for (device, width) in self.devices.iter().zip(&widths) {
            let _ = write!(text, "  {:>width$}", device.name);
        }
        text.push('\n');
        for (name, row) in names.iter().zip(&cells) {
            let _ = write!(text, "{name:left$}");
            for (cell, width) in row.iter().zip(&widths) {
                let _ = write!(text, "  {cell:>width$}");
            }
            text.push('\n');
        }
        text + &self.notes().join("\n") + "\n"
    }

    fn markdown(&self) -> String {
        let (names, cells) = self.grid();
        let cell = crate::text::markdown;
        let heads: Vec<String> = self.devices.iter().map(|d| cell(&d.name)).collect();
        let rules = vec!["---:"; heads.len()].join(" | ");
        let mut text =
            format!("{}\n\n| | {} |\n| --- | {rules} |\n", self.title(), heads.join(" | "));
        for (name, row) in names.iter().zip(&cells) {
            let row: Vec<String> = row.iter().map(|c| cell(c)).collect();
            let _ = writeln!(text, "| {} | {} |", cell(name), row.join(" | "));
        }
        let notes: Vec<String> = self.notes().iter().map(|n| cell(n)).collect();
        text + "\n<details><summary>how to read it</summary>\n\n- "
            + &notes.join("\n- ")
            + "\n\n</details>\n"
    }

    fn grid(&self) -> (Vec<String>, Vec<Vec<String>>) {
        (self.names(), self.rows.iter().map(|row| self.cells(row)).collect())
    }
}

/// What takes most of the fused time, as a letter and a share.
fn letter(bound: &BoundReport) -> String {
    let fused = |run: &&RunReport| run.name == RunKind::Fused;
    let Some(run) = bound.runs.iter().find(fused) else { return String::new() };
    let s = run.shares;
    let all = [("A", s.compute), ("M", s.memory), ("L", s.launches)];
    let most = all.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    most.map_or_else(String::new, |(letter, share)| format!("{letter} {:>3.0} %", 100.0 * share))
}

fn fits(bound: &BoundReport) -> &'static str {
    match bound.memory.as_ref().and_then(|m| m.fits) {
        Some(true) => "fits",
        Some(false) => "does not fit",
        None => "may fit",
    }
}
