//! What flags give of a model: its file, values of its symbols, shapes and contents of its inputs.

use super::{hinted, nearest};
use crate::dim::{Bindings, Dim};
use crate::formats::{Given, LoadError, Wanted};
use crate::ir::{DType, Elem, Model, ValueId};
use crate::report::batch_symbol;
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// No tensor has a size beyond this.
const MOST: u64 = 1 << 40;

/// A size that a flag gives; none where the text is no whole number.
fn size(text: &str) -> Option<Result<u64>> {
    let text = text.trim();
    let whole = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    whole.then(|| limited(text.parse().unwrap_or(u64::MAX)).map_err(|_| too_large(text)))
}

/// A size, where a tensor can have it.
fn limited(size: u64) -> Result<u64> {
    if size <= MOST { Ok(size) } else { Err(too_large(&size.to_string())) }
}

fn too_large(size: &str) -> anyhow::Error {
    hinted(format!("the size {size} is beyond any real tensor"), "sizes go up to 2^40")
}

/// What of a file is loaded.
#[derive(Default)]
pub(super) struct Choice<'a> {
    /// `NAME=DIMS`, or `DIMS` for the next input: these inputs need not state a shape.
    pub(super) shapes: &'a [String],
    /// Which of several models in the file.
    pub(super) signature: Option<&'a str>,
    /// Which values are outputs.
    pub(super) outputs: &'a [String],
}

/// The model at `path`, some inputs of which will get another shape.
pub(super) fn load(path: &Path, choice: &Choice<'_>) -> Result<Model> {
    let split = |text: &'_ String| text.rsplit_once('=').map(|(name, _)| name.to_owned());
    let named: Vec<String> = choice.shapes.iter().filter_map(split).collect();
    let names: Vec<&str> = named.iter().map(String::as_str).collect();
    let ranks = |named: bool| {
        let texts = choice.shapes.iter().filter(move |text| text.contains('=') == named);
        texts.map(|text| text.rsplit('=').next().unwrap_or(text).split(['x', ',']).count())
    };
    let ranks: Vec<usize> = ranks(true).chain(ranks(false)).collect();
    let first = choice.shapes.len() - names.len();
    let given = Given { names: &names, first, ranks: &ranks };
    loaded(path, &Wanted { given, signature: choice.signature, outputs: choice.outputs })
}

/// The model at `path`, of which this is wanted.
pub(super) fn loaded(path: &Path, wanted: &Wanted<'_>) -> Result<Model> {
    let mut model = crate::formats::load_for(path, wanted).map_err(|e| refused(&e))?;
    crate::analysis::settle(&mut model);
    Ok(model)
}

/// Why a file is not read, for the command line.
pub(super) fn refused(error: &LoadError) -> anyhow::Error {
    hinted(error.to_string(), error.hint().unwrap_or("check the file").to_owned())
}

/// Values of symbols from `--dim` and `--batch`.
pub(super) fn bindings(model: &Model, dims: &[String], batch: Option<u64>) -> Result<Bindings> {
    let symbols = every_symbol(model, dims);
    let mut bindings = Bindings::new();
    for text in dims {
        let usage =
            || hinted(format!("`--dim {text}` is not SYMBOL=N"), "for example --dim batch=8");
        let (name, value) = text.split_once('=').ok_or_else(usage)?;
        let value = size(value).ok_or_else(usage)??;
        let name = name.trim();
        if !symbols.contains(name) {
            let known: Vec<&str> = symbols.iter().map(AsRef::as_ref).collect();
            let hint = match (nearest(name, known.iter().copied()), known.is_empty()) {
                (_, true) => "all sizes of this model are fixed; change them with --shape".into(),
                (Some(close), _) => format!("did you mean `{close}`?"),
                (None, _) => format!("its symbols are: {}", known.join(", ")),
            };
            return Err(hinted(format!("the model has no symbol `{name}`"), hint));
        }
        bindings.insert(name.into(), value.into());
    }
    if let Some(batch) = batch {
        let Some(found) = batch_symbol(model) else {
            return Err(no_batch(&symbols));
        };
        bindings.insert(found.symbol, limited(batch)?.into());
    }
    for (symbol, size) in model.stated.iter().filter(|(symbol, _)| symbols.contains(*symbol)) {
        bindings.entry(symbol.clone()).or_insert((*size).into());
    }
    Ok(bindings)
}

/// The error of a batch that is none of these sizes, for all that can be said.
fn no_batch(symbols: &BTreeSet<Arc<str>>) -> anyhow::Error {
    let Some(first) = symbols.first() else {
        let hint = "fix the whole shape with --shape NAME=DIMS";
        return hinted("--batch has no size to set: the model leaves none open", hint);
    };
    let all: Vec<&str> = symbols.iter().map(AsRef::as_ref).collect();
    hinted(
        "--batch: neither a name nor an operator says which size of the model is the batch",
        format!("set sizes by their names, as in --dim {first}=8; they are: {}", all.join(", ")),
    )
}

/// The symbols in the shapes of the model's inputs.
fn symbols(model: &Model) -> BTreeSet<Arc<str>> {
    let mut names = BTreeSet::new();
    for id in &model.graph.inputs {
        for dim in model.graph.value(*id).info.shape.iter().flatten() {
            dim.symbols(&mut names);
        }
    }
    names
}

/// These, and where `dims` name others, the data-dependent sizes, which an analysis finds.
pub(super) fn every_symbol(model: &Model, dims: &[String]) -> BTreeSet<Arc<str>> {
    let mut symbols = symbols(model);
    if dims.iter().any(|d| d.split_once('=').is_some_and(|(n, _)| !symbols.contains(n.trim()))) {
        symbols.extend(crate::analysis::analyze(model, &Bindings::new()).limits.into_keys());
    }
    symbols
}

/// The input of this name.
pub(super) fn input(model: &Model, name: &str) -> Result<ValueId> {
    let inputs = &model.graph.inputs;
    inputs.iter().copied().find(|id| model.graph.value(*id).name == name).ok_or_else(|| {
        let names: Vec<&str> =
            inputs.iter().map(|id| model.graph.value(*id).name.as_str()).collect();
        let hint = match nearest(name, names.iter().copied()) {
            Some(close) => format!("did you mean `{close}`?"),
            None => format!("its inputs are: {}", names.join(", ")),
        };
        hinted(format!("the model has no input `{name}`"), hint)
    })
}

/// Applies `NAME=16000` or `NAME=true`: an input of as many numbers as are given.
pub(super) fn set_value(model: &mut Model, text: &str) -> Result<()> {
    let usage = |why: &str| {
        hinted(
            format!("`--value {text}` is not NAME=V[,V…]: {why}"),
            "for example --value sample_rate=16000 or --value use_cache=true",
        )
    };
    let (name, list) = text.rsplit_once('=').ok_or_else(|| usage("there is no `=`"))?;
    let id = input(model, name)?;
    let info = &mut model.graph.value_mut(id).info;
    let float = info.dtype.is_some_and(DType::is_float);
    let element = |word: &str| match word.trim() {
        "true" => Some(Elem::Int(Dim::ONE)),
        "false" => Some(Elem::Int(Dim::ZERO)),
        number if float => number.parse().ok().map(Elem::Float),
        number => number.parse::<i64>().ok().map(|n| Elem::Int(Dim::from(n))),
    };
    let value: Option<Vec<Elem>> = list.split(',').map(element).collect();
    let value = value.ok_or_else(|| usage("a value is no number, true or false"))?;
    // An open length is that of the list.
    let count = Dim::from(value.len());
    if info.shape.as_deref().is_some_and(|s| matches!(s, [size] if size.as_const().is_none())) {
        info.shape = Some(vec![count.clone()]);
    }
    if info.elements() != Some(count) {
        let message = format!("input `{name}` is {info}, `--value` gives {} values", value.len());
        return Err(hinted(message, "give as many as it holds, or fix its --shape first"));
    }
    let given = std::mem::take(info).with_value(value);
    if given.value.is_none() {
        return Err(usage("too many values to follow"));
    }
    *info = given;
    Ok(())
}

/// The inputs and their sizes, of `NAME=1x3x224x224` each; without a name, of the next input in the order of the
/// file that has none.
pub(super) fn shapes(model: &Model, texts: &[String]) -> Result<Vec<(ValueId, Vec<u64>)>> {
    let mut given = Vec::new();
    for text in texts {
        if let Some((name, dims)) = text.rsplit_once('=') {
            given.push((input(model, name)?, dims_of(text, dims)?));
        }
    }
    let named: BTreeSet<ValueId> = given.iter().map(|(id, _)| *id).collect();
    let mut next = model.graph.inputs.iter().copied().filter(|id| !named.contains(id));
    for text in texts.iter().filter(|text| !text.contains('=')) {
        let sizes = dims_of(text, text)?;
        let Some(id) = next.next() else {
            let message = format!("`--shape {text}` is for no input: all have one already");
            let count = model.graph.inputs.len();
            return Err(hinted(message, format!("the model has {count} inputs")));
        };
        agrees(model, id, &sizes, text)?;
        given.push((id, sizes));
    }
    Ok(given)
}

/// The sizes in a `--shape`.
fn dims_of(text: &str, dims: &str) -> Result<Vec<u64>> {
    let usage = || {
        hinted(
            format!("`--shape {text}` is not NAME=DIMS, nor DIMS"),
            "for example --shape input=1x3x224x224",
        )
    };
    dims.split(['x', ',']).map(|d| size(d).ok_or_else(usage)?).collect()
}

/// Refuses sizes that were meant for another input: those that the file states are others.
fn agrees(model: &Model, id: ValueId, sizes: &[u64], text: &str) -> Result<()> {
    let value = model.graph.value(id);
    let stated = value.info.shape.as_deref().unwrap_or(&[]);
    let other = stated
        .iter()
        .zip(sizes)
        .any(|(dim, size)| dim.as_const().is_some_and(|stated| stated != i128::from(*size)));
    if !other {
        return Ok(());
    }
    let message = format!("`--shape {text}` contradicts input `{}`, {}", value.name, value.info);
    Err(hinted(
        message,
        format!("to change it all the same, name it: --shape {}={text}", value.name),
    ))
}

/// Gives inputs these sizes, as `flag` says. A symbol among what they declared has the same size in
/// the inputs that are not given, as ONNX has it, unless two of those given disagree on it.
pub(super) fn set_sizes(
    model: &mut Model,
    given: &[(ValueId, Vec<u64>)],
    flag: &str,
) -> Result<()> {
    let mut sized: BTreeMap<Arc<str>, Option<u64>> = BTreeMap::new();
    for (id, sizes) in given {
        sizes.iter().try_for_each(|s| limited(*s).map(drop))?;
        let value = model.graph.value_mut(*id);
        let (name, info) = (&value.name, &mut value.info);
        if let Some(rank) = info.rank().filter(|r| *r != sizes.len()) {
            let message = format!("input `{name}` has {rank} axes, `{flag}` gives {}", sizes.len());
            return Err(hinted(message, format!("it is declared as {info}")));
        }
        for (dim, size) in info.shape.iter().flatten().zip(sizes) {
            if let Some(symbol) = dim.as_symbol() {
                let known = sized.entry(symbol.into()).or_insert(Some(*size));
                *known = known.filter(|k| k == size);
            }
        }
        info.shape = Some(sizes.iter().map(|s| Dim::from(*s)).collect());
    }
    let at: Bindings =
        sized.into_iter().filter_map(|(name, size)| Some((name, size?.into()))).collect();
    // What is given holds no symbol any more.
    for id in model.graph.inputs.clone() {
        for dim in model.graph.value_mut(id).info.shape.iter_mut().flatten() {
            *dim = dim.bind(&at);
        }
    }
    crate::analysis::settle(model);
    Ok(())
}
