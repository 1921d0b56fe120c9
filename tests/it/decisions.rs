//! Nothing is decided by comparing words: what files and arguments say becomes an enum where it is read.

use crate::run::ROOT;
use crate::source::production;
use std::path::Path;

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
    // What servers and other stripes answer, how servers name their stages, addresses, and endings of files.
    "crates/probe/src/load/coding.rs",
    "crates/probe/src/load/data.rs",
    "crates/probe/src/load/http.rs",
    "crates/probe/src/load/meeting.rs",
    "crates/probe/src/load/meter/prometheus.rs",
    "crates/probe/src/load/pipeline.rs",
    "crates/probe/src/load/target/",
    // What runtimes say.
    "src/runtime/refusal.rs",
    // Arguments, names and endings of files, and libraries by their names.
    "src/cli/charts.rs",
    "src/cli/dynamic/load.rs",
    "src/cli/dynamic/probe/batching.rs",
    "src/cli/dynamic/probe/requests.rs",
    "src/cli/dynamic/probe/stripes.rs",
    "src/cli/gather.rs",
    "src/cli/given.rs",
    "src/cli/hw/measure.rs",
    "src/cli/plot.rs",
    "src/host/cpu.rs",
    "src/runtime/ort.rs",
];

#[test]
fn nothing_is_decided_by_comparing_words() {
    let mut wrong = Vec::new();
    for source in production() {
        if !READERS.iter().any(|reader| source.path.starts_with(reader)) {
            wrong.extend(source.decisions.iter().map(|line| format!("{}:{line}", source.path)));
        }
    }
    assert!(wrong.is_empty(), "make enums of them:\n{}", wrong.join("\n"));
}

#[test]
fn readers_are_there() {
    let gone: Vec<_> = READERS.iter().filter(|path| !Path::new(ROOT).join(path).exists()).collect();
    assert!(gone.is_empty(), "{gone:?}");
}
