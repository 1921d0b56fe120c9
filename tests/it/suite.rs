//! Output shapes against the backend test suite of the `onnx` wheel, which `tests/onnx_suite.py`
//! writes out. Every case is right, or listed with its reason in `tests/suite_open.txt`; the list
//! may only shrink.

use rooflens::analysis::{Analysis, analyze};
use rooflens::dim::{Bindings, Dim};
use rooflens::formats::load;
use rooflens::ir::{Elem, Model, TensorInfo};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
pub(crate) struct Case {
    kind: String,
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) inputs: Vec<Tensor>,
    pub(crate) outputs: Vec<Tensor>,
}

#[derive(Deserialize)]
pub(crate) struct Tensor {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    dtype: Option<String>,
    pub(crate) shape: Option<Vec<u64>>,
    values: Option<Vec<serde_json::Number>>,
    #[serde(default)]
    elements: Vec<Tensor>,
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Right,
    Open(String),
    Wrong(String),
}

pub(crate) fn cases() -> (PathBuf, Vec<Case>) {
    let folder = std::env::var_os("ONNX_SUITE").expect("ONNX_SUITE names the folder of the cases");
    let folder = PathBuf::from(folder);
    let folder =
        if folder.is_relative() { Path::new(crate::run::ROOT).join(folder) } else { folder };
    let index = std::fs::read_to_string(folder.join("index.json")).unwrap();
    (folder, serde_json::from_str(&index).unwrap())
}

/// Takes from the model what it says of its results, and gives it what is known of its inputs:
/// contents of small ones, as if they were constants.
pub(crate) fn give(model: &mut Model, inputs: &[Tensor]) {
    let stated: Vec<_> = model.graph.value_ids().collect();
    for id in stated {
        let value = model.graph.value_mut(id);
        if value.producer.is_some() {
            value.info = TensorInfo::default();
        }
    }
    for input in inputs {
        let Some(id) = model.graph.find_value(&input.name) else { continue };
        if input.kind == "sequence" {
            let element = |t: &Tensor| {
                let shape: Vec<Dim> = t.shape.iter().flatten().map(|n| Dim::from(*n)).collect();
                let dtype = model.graph.value(id).info.dtype;
                TensorInfo::new(dtype, shape)
            };
            let elements = input.elements.iter().map(element).collect();
            model.graph.value_mut(id).info = TensorInfo::sequence_of(elements);
        }
        let Some(values) = &input.values else { continue };
        let float = input.dtype.as_deref().is_some_and(|d| d.contains("float"));
        let elem = |n: &serde_json::Number| match n.as_i64() {
            Some(i) if !float => Elem::Int(Dim::from(i)),
            _ => n.as_f64().map_or(Elem::Unknown, Elem::Float),
        };
        let shape: Vec<Dim> = input.shape.iter().flatten().map(|n| Dim::from(*n)).collect();
        let info = &mut model.graph.value_mut(id).info;
        if info.shape.is_some() {
            let known = TensorInfo::new(info.dtype, shape);
            *info = known.with_value(values.iter().map(elem).collect());
        }
    }
}

fn compare(found: &TensorInfo, wanted: &Tensor, why: &str) -> Verdict {
    if wanted.kind == "sequence" {
        return sequence(found, wanted, why);
    }
    let Some(shape) = &wanted.shape else { return Verdict::Right };
    let Some(ours) = &found.shape else { return Verdict::Open(why.to_owned()) };
    let numbers: Option<Vec<u64>> =
        ours.iter().map(|d| d.as_const().and_then(|c| u64::try_from(c).ok())).collect();
    match numbers {
        Some(numbers) if numbers == *shape => Verdict::Right,
        Some(numbers) => Verdict::Wrong(format!("{} is {numbers:?}, not {shape:?}", wanted.name)),
        None if ours.len() != shape.len() => {
            Verdict::Wrong(format!("{} is {found}, not {shape:?}", wanted.name))
        }
        None => Verdict::Open(format!("depends on data: {found}")),
    }
}

/// The elements of a sequence, each with its shape.
fn sequence(found: &TensorInfo, wanted: &Tensor, why: &str) -> Verdict {
    let Some(ours) = &found.sequence else { return Verdict::Open(why.to_owned()) };
    let Some(elements) = &ours.elements else {
        return Verdict::Open(format!("depends on data: {found}"));
    };
    if elements.len() != wanted.elements.len() {
        let (found, wanted) = (elements.len(), wanted.elements.len());
        return Verdict::Wrong(format!("{found} elements, not {wanted}"));
    }
    let pairs = elements.iter().zip(&wanted.elements);
    let verdicts = pairs.map(|(found, wanted)| compare(found, wanted, why));
    verdicts.into_iter().find(|v| *v != Verdict::Right).unwrap_or(Verdict::Right)
}

/// An operator and the body of its definition multiply the same.
#[test]
#[ignore = "needs the cases of the onnx wheel: tests/onnx_suite.py"]
fn operators_cost_what_their_definitions_cost() {
    let (folder, cases) = cases();
    let macs = |name: &str| {
        let case = cases.iter().find(|c| c.name == name)?;
        let mut model = load(&folder.join(&case.file)).unwrap();
        give(&mut model, &case.inputs);
        analyze(&model, &Bindings::new()).totals.macs.as_const()
    };
    let mut compared = 0;
    for case in cases.iter().filter(|c| c.name.contains("attention") && !c.name.contains("linear"))
    {
        let expanded = macs(&format!("{}_expanded", case.name));
        let (Some(expanded), Some(whole)) = (expanded, macs(&case.name)) else { continue };
        assert_eq!(whole, expanded, "{}", case.name);
        compared += 1;
    }
    assert!(compared > 40, "{compared}");
}

fn judge(folder: &Path, case: &Case) -> Verdict {
    let mut model = match load(&folder.join(&case.file)) {
        Ok(model) => model,
        Err(error) => return Verdict::Open(error.to_string()),
    };
    give(&mut model, &case.inputs);
    let analysis: Analysis = analyze(&model, &Bindings::new());
    if case.kind == "light" && !analysis.coverage.is_full() {
        return Verdict::Wrong("the cost of a node is not known".into());
    }
    let why = analysis.diagnostics.iter().find(|d| d.severity.name() != "assumption");
    let why = why.map_or("nothing said".to_owned(), |d| d.message.clone());
    let outputs = model.graph.outputs.iter().zip(&case.outputs);
    let verdicts = outputs.map(|(id, wanted)| compare(&analysis.values[id.index()], wanted, &why));
    let mut worst = Verdict::Right;
    for verdict in verdicts {
        match (&worst, &verdict) {
            (_, Verdict::Wrong(_)) => return verdict,
            (Verdict::Right, Verdict::Open(_)) => worst = verdict,
            _ => {}
        }
    }
    worst
}

#[test]
#[ignore = "needs the cases of the onnx wheel: tests/onnx_suite.py"]
fn output_shapes_of_the_backend_suite() {
    let (folder, cases) = cases();
    let list =
        std::fs::read_to_string(format!("{}/tests/suite_open.txt", crate::run::ROOT)).unwrap();
    let mut open: BTreeMap<&str, &str> =
        list.lines().filter_map(|line| line.split_once(": ")).collect();
    let (mut right, mut faults) = (BTreeMap::<&str, (usize, usize)>::new(), Vec::new());
    for case in &cases {
        let verdict = judge(&folder, case);
        let count = right.entry(case.kind.as_str()).or_default();
        count.1 += 1;
        match (verdict, open.remove(case.name.as_str())) {
            (Verdict::Right, None) => count.0 += 1,
            (Verdict::Right, Some(_)) => {
                count.0 += 1;
                faults.push(format!("{}: right now; take it off the list", case.name));
            }
            (Verdict::Open(_), Some(_)) => {}
            (Verdict::Open(why), None) => faults.push(format!("{}: {why}", case.name)),
            (Verdict::Wrong(what), _) => faults.push(format!("{}: WRONG: {what}", case.name)),
        }
    }
    faults.extend(open.keys().map(|name| format!("{name}: is listed, and no case")));
    #[allow(clippy::print_stdout)] // The score, for the log.
    {
        println!("right of all, by kind: {right:?}");
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
