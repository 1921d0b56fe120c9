//! Models on devices: a row a model, a column a device.

use crate::report::{BoundReport, RunKind, RunReport};
use crate::results::{ModelMetric, ModelRow, ModelsCompared};
use crate::units::si;
use std::fmt::Write;

/// Models on devices as text.
pub fn models_text(compared: &ModelsCompared) -> String {
    Table { compared }.text()
}

/// Models on devices for a pull request.
pub fn models_markdown(compared: &ModelsCompared) -> String {
    Table { compared }.markdown()
}

struct Table<'a> {
    compared: &'a ModelsCompared,
}

impl Table<'_> {
    fn value(&self, value: f64) -> String {
        match self.metric() {
            ModelMetric::Time => si(value, "s"),
            ModelMetric::Rate => si(value, "").trim_end().to_owned() + "/s",
            ModelMetric::Energy => si(value, "J"),
            ModelMetric::Cost => format!("{value:.3} $"),
            ModelMetric::Memory => si(value, "B"),
        }
    }

    /// What stands under each device: a figure or a multiple, and what binds.
    fn cells(&self, row: &ModelRow) -> Vec<String> {
        let first = self.compared.value(row, 0);
        let cell = |(at, bound): (usize, &Option<BoundReport>)| {
            let Some(bound) = bound else { return format!("no {}", row.main_dtype) };
            let Some(value) = self.compared.value(row, at) else { return "–".to_owned() };
            let figure = match first {
                Some(first) if at > 0 && self.metric() != ModelMetric::Memory => {
                    format!("×{:.2}", value / first)
                }
                _ => self.value(value),
            };
            let said = match self.metric() {
                ModelMetric::Memory => fits(bound).to_owned(),
                _ => letter(bound),
            };
            format!("{figure} {said}").trim_end().to_owned()
        };
        row.bounds.iter().enumerate().map(cell).collect()
    }

    fn metric(&self) -> ModelMetric {
        self.compared.metric
    }

    fn title(&self) -> String {
        let what = match self.metric() {
            ModelMetric::Time => "fused time of a run",
            ModelMetric::Rate => "inferences per second at the fused time",
            ModelMetric::Energy => "joules per inference: design power over the fused time",
            ModelMetric::Cost => "dollars per million inferences at the fused time",
            ModelMetric::Memory => "bytes to hold: weights, and peak activations or cache",
        };
        what.to_owned()
    }

    fn names(&self) -> Vec<String> {
        let types = self.compared.rows.iter().map(|row| row.dtype.as_deref()).collect::<Vec<_>>();
        let several = types.windows(2).any(|pair| pair[0] != pair[1]);
        let name = |row: &ModelRow| {
            let mut name = row.label.clone();
            if let Some(batch) = row.batch {
                let _ = write!(name, "  batch {batch}");
            }
            if let Some(dtype) = row.dtype.as_ref().filter(|_| several) {
                let _ = write!(name, "  {dtype}");
            }
            name
        };
        self.compared.rows.iter().map(name).collect()
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.metric() != ModelMetric::Memory {
            notes.push("A arithmetic, M memory, L launches: what takes most of the fused time, and its share. \
                 × of the first column.".to_owned());
        }
        if self.metric() == ModelMetric::Cost {
            for device in &self.compared.devices {
                let price = device.price();
                notes.push(match price {
                    Some(p) => format!(
                        "{}: {} $/h at {} on {}",
                        device.name, p.usd_per_hour, p.provider, p.date
                    ),
                    None => format!("{}: no price is known", device.name),
                });
            }
        }
        for row in &self.compared.rows {
            for line in &row.assumptions {
                let line = format!("assumed in {}: {line}", row.label);
                if !notes.contains(&line) {
                    notes.push(line);
                }
            }
            if row.unknown_nodes > 0 {
                let (label, unknown, all) = (&row.label, row.unknown_nodes, row.nodes);
                let line = format!(
                    "{label}: {unknown} of {all} nodes are of unknown cost, and in no number"
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
        let dtype = self.compared.rows.first().map_or("", |row| row.main_dtype.as_str());
        let same = self.compared.rows.iter().all(|row| row.main_dtype.as_str() == dtype);
        let title = if same { format!("{}, {dtype}", self.title()) } else { self.title() };
        let wide = |text: &str| text.chars().count();
        let left = names.iter().map(|n| wide(n)).max().unwrap_or(0).max(8);
        let widths: Vec<usize> = (0..self.compared.devices.len())
            .map(|at| {
                let own = cells.iter().filter_map(|row| row.get(at)).map(|c| wide(c)).max();
                own.unwrap_or(0).max(wide(&self.compared.devices[at].name))
            })
            .collect();
        let mut text = format!("{title}\n{:left$}", "");
        for (device, width) in self.compared.devices.iter().zip(&widths) {
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
        let heads: Vec<String> = self.compared.devices.iter().map(|d| cell(&d.name)).collect();
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
        (self.names(), self.compared.rows.iter().map(|row| self.cells(row)).collect())
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
