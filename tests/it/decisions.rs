//! Nothing is decided by comparing words: what files and arguments say becomes an enum where it is read.

use crate::source::production;
use std::collections::BTreeMap;

/// Where text from outside is read, and may be compared with the words it can be: operators and their attributes by
/// ONNX's names, formats of files, arguments of the command line.
const READERS: [&str; 4] = [
    "crates/model/src/formats/",
    "crates/model/src/ops/",
    "crates/model/src/ops.rs",
    "src/cli/dynamic/load",
];

/// Files with as many lines that compare words. Each may only have fewer; strike out what is gone, and never add.
const LEFT: &[(&str, usize)] = &[];

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
