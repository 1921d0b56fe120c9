//! Models on devices, by batch and type.

use super::{Exit, Form, hinted};
use crate::analysis::Precision;
use crate::cli::gather::{Counted, Gathered};
use crate::cli::sizes::{Open, Sizes};
use crate::hwdb::Device;
use crate::render::comparison;
use crate::results::{ModelMetric, ModelRow, ModelsCompared};
use anyhow::Result;
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

impl From<Metric> for ModelMetric {
    fn from(metric: Metric) -> Self {
        match metric {
            Metric::Time => Self::Time,
            Metric::Rate => Self::Rate,
            Metric::Energy => Self::Energy,
            Metric::Cost => Self::Cost,
            Metric::Memory => Self::Memory,
        }
    }
}

/// A model at one batch in one type.
struct Row {
    label: String,
    batch: Option<u64>,
    dtype: Option<String>,
    counted: Counted,
}

impl Row {
    /// The model on these devices; none on one that has no ceiling in its type.
    fn on(&self, devices: &[Device]) -> ModelRow {
        ModelRow {
            label: self.label.clone(),
            batch: self.batch,
            dtype: self.dtype.clone(),
            main_dtype: self.counted.report.main_dtype().to_owned(),
            memory_bytes: self.counted.report.memory_bytes(),
            bounds: devices.iter().map(|device| self.counted.bound(device)).collect(),
            assumptions: crate::report::assumptions(&self.counted.report),
            nodes: self.counted.report.coverage.nodes,
            unknown_nodes: {
                let coverage = &self.counted.report.coverage;
                coverage.nodes.saturating_sub(coverage.known)
            },
        }
    }
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
        let rows = rows.iter().map(|row| row.on(&devices)).collect();
        let compared = ModelsCompared { metric: self.metric.into(), devices, rows };
        let text = match form {
            Form::Markdown => comparison::models_markdown(&compared),
            _ => comparison::models_text(&compared),
        };
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
