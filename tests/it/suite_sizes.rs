//! The backend test suite with every size of an input open: given values for these sizes, a report says
//! what it says where the file has the sizes; what it marks as exact is equal, an upper bound not below.

use crate::suite::{Case, cases, give};
use rooflens::analysis::analyze;
use rooflens::dim::{Bindings, Dim};
use rooflens::formats::load;
use rooflens::ir::Model;

use rooflens::report::{ModelReport, Totals};
use std::path::Path;

/// Makes every size of an input a symbol of its own, contents that are given aside; the sizes.
fn open(model: &mut Model) -> Bindings {
    let mut sizes = Bindings::new();
    for (i, id) in model.graph.inputs.clone().into_iter().enumerate() {
        let info = &mut model.graph.value_mut(id).info;
        if info.value.is_some() {
            continue;
        }
        for (axis, size) in info.shape.iter_mut().flatten().enumerate() {
            // Sizes are at least one.
            let Some(number) = size.as_const().filter(|n| *n > 0) else { continue };
            let name = format!("in{i}_{axis}");
            *size = Dim::symbol(&name);
            sizes.insert(name.as_str().into(), number);
        }
    }
    sizes
}

fn counts(t: &Totals) -> [(&'static str, Option<u64>); 11] {
    [
        ("macs", t.macs),
        ("effective macs", t.effective_macs),
        ("flops", t.flops),
        ("int_ops", t.int_ops),
        ("transcendentals", t.transcendentals),
        ("comparisons", t.comparisons),
        ("params", Some(t.params)),
        ("bytes read", t.bytes_read),
        ("bytes written", t.bytes_written),
        ("compulsory bytes", t.compulsory_bytes),
        ("peak", t.peak_activation_bytes),
    ]
}

/// How the open model differs from the fixed one.
fn difference(folder: &Path, case: &Case, contents: bool) -> Option<String> {
    let mut fixed = load(&folder.join(&case.file)).ok()?;
    give(&mut fixed, if contents { &case.inputs } else { &[] });
    let mut opened = fixed.clone();
    let sizes = open(&mut opened);
    let formulas = analyze(&opened, &Bindings::new());
    let fixed = ModelReport::new(&fixed, "fixed", &Bindings::new()).map_err(|e| e.to_string());
    let opened = ModelReport::new(&opened, "open", &sizes).map_err(|e| e.to_string());
    let (fixed, opened) = match (fixed, opened) {
        (Ok(fixed), Ok(opened)) => (fixed, opened),
        (Err(_), Err(_)) => return None,
        (Err(e), _) => return Some(format!("fixed: {e}")),
        (_, Err(e)) => return Some(format!("open: {e}")),
    };
    if fixed.coverage.known != opened.coverage.known {
        let (a, b) = (&fixed.coverage.known, &opened.coverage.known);
        let said = opened.diagnostics.iter().find(|d| d.severity.name() == "incomplete");
        return Some(format!("{b} nodes known, not {a}: {:?}", said.map(|d| &d.message)));
    }
    let bound = opened.ops.iter().any(|op| op.status.name() == "bound");
    let statuses = |r: &ModelReport| r.ops.iter().map(|op| op.status).collect::<Vec<_>>();
    let all = |r: &ModelReport| (serde_json::to_value(&r.totals).unwrap(), statuses(r));
    // Without contents, data-dependent sizes have the same names and the same limits.
    if !contents && all(&fixed) != all(&opened) {
        return Some(format!("{:?}, not {:?}", all(&opened), all(&fixed)));
    }
    for ((what, right), (_, found)) in counts(&fixed.totals).into_iter().zip(counts(&opened.totals))
    {
        if found < right || (found != right && !bound) {
            return Some(format!("{what} {found:?}, not {right:?}"));
        }
    }
    for (right, found) in fixed.outputs.iter().zip(&opened.outputs) {
        let most = |(a, b): (&Option<u64>, &Option<u64>)| a == b || (bound && a < b);
        let same = match (&right.shape, &found.shape) {
            (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b).all(most),
            (a, b) => a == b,
        };
        if !same {
            return Some(format!("{} is {:?}, not {:?}", right.name, found.shape, right.shape));
        }
    }
    // The formulas say the same, but where the report says that they hold for other sizes.
    if formulas.coverage.is_full() && formulas.limits.is_empty() {
        let at: Bindings =
            opened.bindings.iter().map(|(k, v)| (k.as_str().into(), i128::from(*v))).collect();
        let number = |dim: &Dim| dim.eval(&at).ok().and_then(|n| u64::try_from(n.max(0)).ok());
        for (what, formula, found) in [
            ("macs", formulas.totals.macs.clone(), opened.totals.macs),
            ("flops", formulas.totals.flops.clone(), opened.totals.flops),
            ("bytes", formulas.totals.bytes(), opened.totals.bytes()),
        ] {
            let elsewhere = opened.formulas.elsewhere.iter().any(|name| name == what);
            if number(&formula) != found && !elsewhere {
                return Some(format!("{what} by its formula {formula}, not {found:?}"));
            }
        }
    }
    None
}

#[test]
#[ignore = "needs the cases of the onnx wheel: tests/onnx_suite.py"]
fn sizes_given_to_an_open_model_are_those_of_a_fixed_one() {
    let (folder, cases) = cases();
    let (mut compared, mut faults) = (0, Vec::new());
    for case in &cases {
        for contents in [false, true] {
            compared += 1;
            if let Some(fault) = difference(&folder, case, contents) {
                let with = if contents { " (contents given)" } else { "" };
                faults.push(format!("{}{with}: {fault}", case.name));
            }
        }
    }
    assert!(faults.is_empty(), "{} of {compared}:\n{}", faults.len(), faults.join("\n"));
}

/// Without the contents of its inputs, what a report says of results holds for the results that the suite
/// has: data-dependent sizes are not below, all others are equal, or they are not known.
#[test]
#[ignore = "needs the cases of the onnx wheel: tests/onnx_suite.py"]
fn no_size_is_below_what_a_run_gives() {
    let (folder, cases) = cases();
    let (mut compared, mut faults) = (0, Vec::new());
    for case in &cases {
        let Ok(mut model) = load(&folder.join(&case.file)) else { continue };
        give(&mut model, &[]);
        let Ok(report) = ModelReport::new(&model, "blind", &Bindings::new()) else { continue };
        let decided = report.ops.iter().any(|op| op.status.name() == "bound");
        for (found, right) in report.outputs.iter().zip(&case.outputs) {
            let (Some(found), Some(right)) = (&found.shape, &right.shape) else { continue };
            let holds = |(found, right): (&Option<u64>, &u64)| {
                found.is_none_or(|found| found == *right || (decided && found > *right))
            };
            compared += 1;
            if found.len() != right.len() || !found.iter().zip(right).all(holds) {
                faults.push(format!("{}: {found:?}, not {right:?}", case.name));
            }
        }
    }
    assert!(compared > 1500, "{compared}");
    assert!(faults.is_empty(), "{} of {compared}:\n{}", faults.len(), faults.join("\n"));
}
