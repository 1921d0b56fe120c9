//! The sizes and types that a model is counted at: flags that all commands have alike.

use super::given::{Choice, bindings, every_symbol, load, set_sizes, set_value, shapes};
use super::{hinted, nearest};
use crate::analysis::Precision;
use crate::dim::Bindings;
use crate::ir::{Model, Severity};
use crate::report::{DiagnosticReport, ModelReport, batch_symbol};
use anyhow::Result;
use std::collections::BTreeSet;
use std::path::Path;

/// What a model leaves open: sizes, values of inputs, and which graph of its file is meant.
#[derive(Debug, Clone, Default, clap::Args)]
#[allow(clippy::doc_markdown, reason = "the text is for terminals")]
pub(super) struct Open {
    /// Set a symbol: SYMBOL=N. Repeatable.
    #[arg(long, value_name = "SYMBOL=N")]
    pub(super) dim: Vec<String>,
    /// Set the batch size.
    ///
    /// The batch is the dimension named "batch", else the one that operators identify, else the dynamic first axis.
    #[arg(long, value_name = "N")]
    pub(super) batch: Option<u64>,
    /// Set the shape of an input: NAME=1x3x224x224, or 1x3x224x224 for the next input in file order. Repeatable.
    #[arg(long, value_name = "[NAME=]DIMS")]
    pub(super) shape: Vec<String>,
    /// Set the value of a small input, such as a flag or a size: NAME=V or NAME=V,V. Repeatable.
    #[arg(long, value_name = "NAME=V")]
    pub(super) value: Vec<String>,
    /// Model to read where the file holds several: a signature of a SavedModel or TFLite file.
    #[arg(long, value_name = "NAME")]
    pub(super) signature: Option<String>,
    /// Node to use as an output where the file names none, as in frozen TensorFlow graphs. Repeatable.
    #[arg(long, value_name = "NODE")]
    pub(super) output_node: Vec<String>,
}

/// What a model leaves open, and the types that it is counted in.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Sizes {
    #[command(flatten)]
    pub(super) open: Open,
    /// Count as if the model were cast: f16, bf16, tf32, int8, int4, or separate types as in w4a16 (weights 4,
    /// activations 16 bits).
    #[arg(long, value_name = "TYPE")]
    pub(super) dtype: Option<Precision>,
}

impl Sizes {
    /// The first flag that was given, where any was.
    pub(super) fn asked(&self) -> Option<&'static str> {
        let Open { dim, batch, shape, value, signature, output_node } = &self.open;
        let given = [
            ("--dim", !dim.is_empty()),
            ("--batch", batch.is_some()),
            ("--shape", !shape.is_empty()),
            ("--value", !value.is_empty()),
            ("--signature", signature.is_some()),
            ("--output-node", !output_node.is_empty()),
            ("--dtype", self.dtype.is_some()),
        ];
        given.into_iter().find_map(|(flag, given)| given.then_some(flag))
    }
}

/// What a model leaves open, by name.
#[derive(Default)]
pub(super) struct Names {
    /// Sizes.
    pub(super) symbols: BTreeSet<String>,
    /// Inputs.
    pub(super) inputs: BTreeSet<String>,
    /// Whether one of the sizes is the batch.
    pub(super) batch: bool,
}

impl Names {
    /// What either of two models has.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.symbols.extend(other.symbols);
        self.inputs.extend(other.inputs);
        Self { batch: self.batch || other.batch, ..self }
    }
}

impl Open {
    /// The model at `path`.
    pub(super) fn load(&self, path: &Path) -> Result<Model> {
        let choice = Choice {
            shapes: &self.shape,
            signature: self.signature.as_deref(),
            outputs: &self.output_node,
        };
        load(path, &choice)
    }

    /// Gives the model's inputs their shapes and values; what its symbols are.
    pub(super) fn set(&self, model: &mut Model) -> Result<Bindings> {
        let given = shapes(model, &self.shape)?;
        set_sizes(model, &given, "--shape")?;
        for text in &self.value {
            set_value(model, text)?;
        }
        bindings(model, &self.dim, self.batch)
    }

    /// A warning where `--batch` sets a size that only a convention says is the batch.
    pub(super) fn by_convention(&self, model: &Model) -> Option<DiagnosticReport> {
        self.batch?;
        let batch = batch_symbol(model).filter(|b| b.by_convention)?;
        Some(DiagnosticReport {
            severity: Severity::Warning,
            place: batch.symbol.to_string(),
            message: "taken as the batch, because it is the first dynamic axis: neither a name nor an operator says so".into(),
            hint: Some(format!("set sizes by their names with --dim, as in --dim {}=8", batch.symbol)),
        })
    }
}

impl Sizes {
    /// Analyses the model at `path` at these sizes.
    pub(super) fn report(&self, path: &Path) -> Result<ModelReport> {
        let (model, report) = self.counted(path)?;
        // Nobody takes the graph apart piece by piece when the process is about to end.
        std::mem::forget(model);
        Ok(report)
    }

    /// The same with the model, in the types that it was counted in.
    pub(super) fn counted(&self, path: &Path) -> Result<(Model, ModelReport)> {
        self.count(path, self.open.load(path)?)
    }

    /// The same where a symbol, an input or the batch may be missing from this model, and what it has.
    pub(super) fn shared_report(&self, path: &Path) -> Result<(ModelReport, Names)> {
        let ((model, report), names) = self.shared(path)?;
        std::mem::forget(model);
        Ok((report, names))
    }

    /// The same with the model.
    pub(super) fn shared(&self, path: &Path) -> Result<((Model, ModelReport), Names)> {
        let open = &self.open;
        let model = open.load(path)?;
        let inputs = model.graph.inputs.iter().map(|id| model.graph.value(*id).name.clone());
        let names = Names {
            inputs: inputs.collect(),
            symbols: every_symbol(&model, &open.dim).iter().map(ToString::to_string).collect(),
            batch: open.batch.is_some() && batch_symbol(&model).is_some(),
        };
        let of_input = |text: &&String| {
            text.rsplit_once('=').is_none_or(|(name, _)| names.inputs.contains(name))
        };
        let of_symbol = |text: &&String| {
            text.split_once('=').is_none_or(|(name, _)| names.symbols.contains(name.trim()))
        };
        let own = Self {
            open: Open {
                dim: open.dim.iter().filter(of_symbol).cloned().collect(),
                batch: open.batch.filter(|_| names.batch),
                shape: open.shape.iter().filter(of_input).cloned().collect(),
                value: open.value.iter().filter(of_input).cloned().collect(),
                ..Open::default()
            },
            dtype: self.dtype,
        };
        Ok((own.count(path, model)?, names))
    }

    fn count(&self, path: &Path, mut model: Model) -> Result<(Model, ModelReport)> {
        let bindings = self.open.set(&mut model)?;
        let by_convention = self.open.by_convention(&model);
        if let Some(precision) = self.dtype {
            model = crate::analysis::recast(&model, precision);
        }
        let mut report = ModelReport::new(&model, &path.display().to_string(), &bindings)
            .map_err(|e| hinted(e.to_string(), "use smaller sizes with --dim or --shape"))?;
        report.model.precision = self.dtype.map(|p| p.to_string());
        report.diagnostics.extend(by_convention);
        Ok((model, report))
    }
}

impl Sizes {
    /// Whether at least one of the models has what was given a value; `none` is what is said of all of them.
    pub(super) fn used(&self, known: Names, none: &str) -> Result<()> {
        let missing = |texts: &[String], names: &BTreeSet<String>, last: bool| {
            let name = |text: &String| {
                let split = if last { text.rsplit_once('=') } else { text.split_once('=') };
                split.map(|(name, _)| name.trim().to_owned())
            };
            texts.iter().filter_map(name).find(|name| !names.contains(name))
        };
        let Names { symbols, inputs, batch } = known;
        let refuse = |(one, many): (&str, &str), name: &str, all: &BTreeSet<String>| {
            let hint = match (nearest(name, all.iter().map(String::as_str)), all.is_empty()) {
                (_, true) => "all sizes of these models are fixed".to_owned(),
                (Some(close), _) => format!("did you mean `{close}`?"),
                (None, _) => {
                    let all: Vec<&str> = all.iter().map(String::as_str).collect();
                    format!("their {many} are: {}", all.join(", "))
                }
            };
            hinted(format!("{none} has {one} `{name}`"), hint)
        };
        if let Some(name) = missing(&self.open.dim, &symbols, false) {
            return Err(refuse(("a symbol", "symbols"), &name, &symbols));
        }
        for texts in [&self.open.shape, &self.open.value] {
            if let Some(name) = missing(texts, &inputs, true) {
                return Err(refuse(("an input", "inputs"), &name, &inputs));
            }
        }
        if self.open.batch.is_some() && !batch {
            let message = format!("--batch: {none} has a dimension that is known to be the batch");
            let hint = if symbols.is_empty() {
                "omit --batch: all sizes of these models are fixed"
            } else {
                "set sizes by their names with --dim"
            };
            return Err(hinted(message, hint));
        }
        Ok(())
    }
}
