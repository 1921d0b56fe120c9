//! The house is as ARCHITECTURE.md says: floors use only floors below, every module says what it is
//! for, and no file grows beyond what can be read.

use crate::run::ROOT;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Lines beyond which a file is to be split.
const MOST_LINES: usize = 800;

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

fn files(folders: &[&str]) -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for folder in folders {
        sources(&Path::new(ROOT).join(folder), &mut paths);
    }
    paths.sort();
    let read = |p: PathBuf| {
        let text = std::fs::read_to_string(&p).unwrap();
        (p.strip_prefix(ROOT).unwrap().to_str().unwrap().to_owned(), text)
    };
    paths.into_iter().map(read).collect()
}

/// For every module of the table, the modules it may use; `*` is all.
fn floors() -> BTreeMap<String, Vec<String>> {
    let text = std::fs::read_to_string(format!("{ROOT}/ARCHITECTURE.md")).unwrap();
    let names = |cell: &str| -> Vec<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let mut floors = BTreeMap::new();
    for line in text.lines().skip_while(|l| !l.starts_with("| floor")).skip(2) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, _, modules, _, uses, _] = cells[..] else { break };
        for module in names(modules) {
            floors.insert(module, (uses.to_owned(), names(uses)));
        }
    }
    let all: Vec<String> = floors.keys().cloned().collect();
    let expand = |(module, (text, named)): (String, (String, Vec<String>))| {
        let uses = match text.as_str() {
            "everything" => all.clone(),
            text if text.starts_with("all below") => {
                all.iter().filter(|m| !named.contains(m) && *m != "cli").cloned().collect()
            }
            _ => named,
        };
        (module, uses)
    };
    floors.clone().into_iter().map(expand).collect()
}

#[test]
fn floors_use_only_floors_below() {
    let floors = floors();
    assert!(floors.len() >= 12, "{floors:?}");
    let mut wrong = Vec::new();
    for (path, text) in files(&["src"]) {
        let inner = path.trim_start_matches("src/").trim_end_matches(".rs");
        let module = inner.split('/').next().unwrap();
        if ["lib", "main"].contains(&module) {
            continue;
        }
        let Some(uses) = floors.get(module) else {
            wrong.push(format!("{path}: `{module}` is in no row of ARCHITECTURE.md"));
            continue;
        };
        // Tests at the end of a file may look at anything.
        let code = text.split("#[cfg(test)]").next().unwrap();
        for (at, part) in code.split("crate::").enumerate().skip(1) {
            let name: String =
                part.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            if floors.contains_key(&name) && name != module && !uses.contains(&name) {
                wrong.push(format!("{path}: use {at} is of `{name}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_module_says_what_it_is_for() {
    let bare: Vec<String> = files(&["src", "tests/it", "benches"])
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(path, _)| path)
        .collect();
    assert!(bare.is_empty(), "{bare:?}");
}

#[test]
fn no_file_is_too_long() {
    let long: Vec<String> = files(&["src", "tests/it", "benches"])
        .into_iter()
        .filter(|(_, text)| text.lines().count() > MOST_LINES)
        .map(|(path, text)| format!("{path}: {}", text.lines().count()))
        .collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn the_version_of_tract_is_that_of_the_manifest() {
    let read = |path: &str| std::fs::read_to_string(format!("{ROOT}/{path}")).unwrap();
    let manifest = read("Cargo.toml");
    let asked = manifest.lines().find(|l| l.starts_with("tract-onnx = ")).unwrap();
    let version = asked.split('"').nth(1).unwrap();
    assert!(read("src/probe/runtime.rs").contains(&format!("\"tract {version}\"")), "{version}");
}
