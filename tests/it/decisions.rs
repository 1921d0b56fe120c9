//! Nothing is decided by comparing words: what files and arguments say becomes an enum where it is read.

use crate::source::production;
use std::collections::BTreeMap;

/// Where text from outside is read, and may be compared with the words it can be.
const READERS: &[&str] = &[
    // The kernel's files, names of others, prefixes of units, and formulas.
    "crates/ground/src/os/",
    "crates/ground/src/text.rs",
    "crates/ground/src/units/format.rs",
    "crates/model/src/dim/parse.rs",
    // Files of models; operators and their attributes by ONNX's names; endings of device files.
    "crates/model/src/formats/",
    "crates/model/src/ops/",
    "crates/model/src/ops.rs",
    "crates/model/src/hwdb/catalogue.rs",
    // What servers answer, and addresses.
    "crates/probe/src/load/coding.rs",
    "crates/probe/src/load/http.rs",
    "crates/probe/src/load/meter/prometheus.rs",
    "crates/probe/src/load/target/",
    // Arguments, endings of files, and libraries by their names.
    "src/cli/charts.rs",
    "src/cli/dynamic/load.rs",
    "src/cli/dynamic/probe.rs",
    "src/cli/dynamic/probe/batching.rs",
    "src/cli/given.rs",
    "src/cli/hw/measure.rs",
    "src/cli/plot.rs",
    "src/host/cpu.rs",
    "src/runtime/ort.rs",
];

/// Files with as many lines that compare words, nearly all of them names of ONNX's operators that belong into the
/// operators' rows. Each may only have fewer; strike out what is gone, and never add.
const LEFT: &[(&str, usize)] = &[
    ("crates/model/src/analysis/bodies.rs", 9),
    ("crates/model/src/analysis/cache.rs", 3),
    ("crates/model/src/analysis/charge.rs", 1),
    ("crates/model/src/analysis/live.rs", 1),
    ("crates/model/src/analysis/parameters.rs", 8),
    ("crates/model/src/analysis/precision.rs", 9),
    ("crates/model/src/analysis/propagate.rs", 1),
    ("crates/model/src/analysis/traffic.rs", 1),
    ("crates/model/src/report/batch.rs", 2),
    ("crates/model/src/report/kernels.rs", 2),
    ("crates/model/src/report/model.rs", 5),
];

#[test]
fn nothing_is_decided_by_comparing_words() {
    let mut lines: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for source in production() {
        if !READERS.iter().any(|reader| source.path.starts_with(reader)) {
            lines.entry(source.path).or_default().extend(source.decisions);
        }
    }
    let left: BTreeMap<&str, usize> = LEFT.iter().copied().collect();
    let wrong: Vec<String> = lines
        .into_iter()
        .filter(|(path, lines)| lines.len() != left.get(&**path).copied().unwrap_or(0))
        .map(|(path, lines)| format!("(\"{path}\", {}), // {lines:?}", lines.len()))
        .collect();
    assert!(
        wrong.is_empty(),
        "make enums of them, or lower the numbers in LEFT:\n{}",
        wrong.join("\n")
    );
    let unknown =
        LEFT.iter().filter(|(path, _)| !std::path::Path::new(crate::run::ROOT).join(path).exists());
    assert_eq!(unknown.count(), 0, "LEFT names files that are gone");
}
