//! The model's file beside a probe: run in this process, or counted for what a server achieves.

use super::super::{feeds, given, hinted, load, progress_bar, translated};
use super::client::ClientFlags;
use super::read;
use super::requests::{RequestFlags, Sizes};
use crate::formats::Wanted;
use crate::ir::{Model, ValueId};
use crate::probe::target::Prepared;
use crate::probe::target::tensor::Given;
use crate::report::{ModelReport, batch_symbol};
use crate::runtime::{Feed, Runtime};
use crate::schema::ModelPart;
use anyhow::Result;
use std::collections::BTreeSet;
use std::path::Path;

/// The runtime in this process; `inline` where the senders run it themselves, and behind a queue otherwise.
pub(super) fn in_process(
    url: &str,
    (runtime, path): (Runtime, &Path),
    requests: &RequestFlags,
    client: &ClientFlags,
    batch: i64,
    inline: bool,
) -> Result<Prepared> {
    use crate::runtime::{Loaded, RuntimeOptions};
    if runtime == Runtime::Tract && client.threads > 1 {
        return Err(hinted("tract runs each inference on one thread", "omit --threads"));
    }
    requests.fit_in_process()?;
    for text in &requests.input {
        if let (name, Given::Contents(..) | Given::Text(_)) = load::input(text)? {
            return Err(hinted(
                format!("inputs of in-process runtimes are generated, but `{name}` has contents"),
                "give its sizes only, as in --input x=1x3x224x224",
            ));
        }
    }
    let Analysed { report, feeds, batch, translated } =
        analysed(path, batch, &requests.sizes(), true)?;
    let bytes = translated.map_or_else(|| read(path), Ok)?;
    let options = RuntimeOptions {
        runtime,
        library: client.ort_library.clone(),
        threads: client.threads.into(),
        instances: client.instances.into(),
        seed: 1,
    };
    let bar = progress_bar("loading the model");
    let loaded = Loaded::new(&bytes, &feeds, &options).map_err(|e| {
        let open: Vec<&str> = report.given().map(|(symbol, _)| symbol).collect();
        let advice = match open[..] {
            [] => "`rooflens analyze` works without running the model".to_owned(),
            _ => {
                format!("{} were set to their smallest values; --input sets sizes", open.join(", "))
            }
        };
        hinted(e.to_string(), e.hint().map_or(advice, ToOwned::to_owned))
    })?;
    bar.finish_and_clear();
    let threads = if client.threads > 1 {
        format!(", {} threads per inference", client.threads)
    } else {
        String::new()
    };
    let platform = format!("{}, in this process{threads}", loaded.name);
    let instances = usize::from(client.instances);
    Ok(if inline {
        Prepared::inline(url, &platform, &loaded.target, batch)
    } else {
        Prepared::local(url, &platform, &loaded.target, instances, batch)
    })
}

/// The cost of a request by the model's file, and what was assumed for it: at the sizes that are sent, where
/// the platform reports the inputs' names.
pub(super) fn cost(
    path: Option<&Path>,
    prepared: &Prepared,
    sizes: &Sizes,
) -> Result<(Option<ModelPart>, Vec<String>)> {
    let Some(path) = path else { return Ok((None, Vec::new())) };
    let mut sent = sizes.clone();
    sent.extend(prepared.inputs.iter().map(|s| (s.name.clone(), s.shape.clone())));
    let report = analysed(path, prepared.batch, &sent, false)?.report;
    let t = &report.totals;
    let (Some(flops), Some(bytes)) = (t.operations(), t.compulsory_bytes) else {
        let note = format!("no achieved FLOP/s: the cost of `{}` is unknown", path.display());
        return Ok((None, vec![note]));
    };
    let (flops, bytes) = (flops as f64, bytes as f64);
    let mut notes = Vec::new();
    if report.coverage.known < report.coverage.nodes {
        notes.push(format!(
            "the cost of {:.1} % of the model's nodes is known: achieved FLOP/s are a lower bound",
            report.coverage.percent
        ));
    }
    let part = ModelPart {
        file: path.display().to_string(),
        flops_per_request: flops,
        compulsory_bytes_per_request: bytes,
        intensity_flop_per_byte: if bytes > 0.0 { flops / bytes } else { 0.0 },
        achieved_flops: 0.0,
        phases: Vec::new(),
    };
    let ones = report.assumptions.iter().filter(|a| !a.data_dependent);
    let ones: Vec<String> = ones.map(|a| format!("{} = {}", a.symbol, a.value)).collect();
    if !ones.is_empty() {
        notes.push(format!(
            "the model is counted at {}; --input sets other sizes, as in --input x=1x3x224x224",
            ones.join(", ")
        ));
    }
    Ok((Some(part), notes))
}

/// A model's file at a batch and at sizes of its inputs.
pub(super) struct Analysed {
    pub(super) report: ModelReport,
    /// What all inputs are fed.
    feeds: Vec<Feed>,
    /// The batch that the sizes make of a batch of one.
    batch: i64,
    /// The ONNX file of a model of another format.
    translated: Option<Vec<u8>>,
}

/// Analyses a model's file. Sizes of what is no input are an error where it is `strict`.
pub(super) fn analysed(path: &Path, batch: i64, sizes: &Sizes, strict: bool) -> Result<Analysed> {
    let names: Vec<&str> = sizes.iter().map(|(name, _)| name.as_str()).collect();
    let ranks: Vec<usize> = sizes.iter().map(|(_, sizes)| sizes.len()).collect();
    let wanted = crate::formats::Given { names: &names, first: 0, ranks: &ranks };
    let mut model = given::loaded(path, &Wanted { given: wanted, ..Wanted::default() })?;
    let symbol = batch_symbol(&model).map(|batch| batch.symbol);
    let rows = batch.unsigned_abs();
    let Sized { given, held } = sized(&model, symbol.as_deref(), rows, sizes, strict)?;
    given::set_sizes(&mut model, &given, "--input")?;
    if strict && rows > 1 && held.iter().any(|n| *n != rows) {
        return Err(hinted(
            format!("--batch is {batch}, but --input has another batch"),
            "give one row, as in --input x=1x3x224x224; --batch replaces it",
        ));
    }
    // A batch that the sizes hold already is no size to look for.
    let wanted = (rows > 1 && held.is_empty()).then_some(rows);
    if wanted.is_some() && symbol.is_none() {
        return Err(hinted(
            format!("--batch {batch}: no input of the model has a dynamic first axis"),
            "omit --batch, or export the model with a dynamic batch axis",
        ));
    }
    let bindings = given::bindings(&model, &[], wanted)?;
    let report = ModelReport::new(&model, &path.display().to_string(), &bindings)
        .map_err(|e| hinted(e.to_string(), "use a smaller --batch"))?;
    let feeds = feeds(&model, &report);
    let translated = if strict { translated(&model, &bindings)? } else { None };
    let same = held.first().filter(|_| held.len() == 1).and_then(|n| i64::try_from(*n).ok());
    Ok(Analysed { report, feeds, batch: same.unwrap_or(batch), translated })
}

/// What sizes of inputs mean for a model.
struct Sized {
    given: Vec<(ValueId, Vec<u64>)>,
    /// Batches that the sizes hold.
    held: BTreeSet<u64>,
}

/// The model's inputs of these names with their sizes, `rows` of them where a size of one is the batch.
fn sized(
    model: &Model,
    symbol: Option<&str>,
    rows: u64,
    sizes: &Sizes,
    strict: bool,
) -> Result<Sized> {
    let (mut given, mut held) = (Vec::new(), BTreeSet::new());
    for (name, shape) in sizes {
        let id = match given::input(model, name) {
            Ok(id) => id,
            Err(error) if strict => return Err(error),
            Err(_) => continue,
        };
        let declared = model.graph.value(id).info.shape.as_ref();
        if !strict && declared.is_some_and(|s| s.len() != shape.len()) {
            continue;
        }
        // Sizes that are sent are not negative.
        let mut sizes: Vec<u64> = shape.iter().map(|d| d.unsigned_abs()).collect();
        for (axis, size) in sizes.iter_mut().enumerate() {
            let called = match declared.and_then(|s| s.get(axis)) {
                Some(dim) if symbol.is_some() => dim.as_symbol() == symbol,
                Some(_) => axis == 0 && *size == rows,
                // Nothing is said of any axis: the first is a batch.
                None => axis == 0,
            };
            if called {
                // One row that is given stands for as many as the batch has.
                *size = if *size == 1 { rows } else { *size };
                held.insert(*size);
            }
        }
        given.push((id, sizes));
    }
    Ok(Sized { given, held })
}
