//! The house is as ARCHITECTURE.md says: floors use only floors below, modules of one floor do not import
//! each other in circles, every module says what it is for, and nothing grows beyond what can be read.

use crate::run::ROOT;
use crate::source::{Names, Source, Tree, files, production};
use std::collections::{BTreeMap, BTreeSet};

/// Lines beyond which a file is to be split.
const MOST_LINES: usize = 800;
/// Lines beyond which a function is to be split.
const MOST_OF_A_FUNCTION: usize = 60;

/// Modules of the probe that look at what was counted: they know no clock, no input and no output.
const CLOCKLESS: [&str; 7] = ["record", "counts", "metric", "stats", "judge", "enough", "pipeline"];
/// What they may import of the crate besides each other.
const BELOW_CLOCKLESS: [&str; 4] = ["schema", "units", "probe::arrival", "probe::random"];

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
    let mut wrong = BTreeSet::new();
    for Source { path, module, uses, .. } in production() {
        let Some(module) = module.first() else { continue };
        let Some(allowed) = floors.get(module) else {
            wrong.insert(format!("{path}: `{module}` is in no row of ARCHITECTURE.md"));
            continue;
        };
        for (_, used) in uses {
            let Some(name) = used.first() else { continue };
            if floors.contains_key(name) && name != module && !allowed.contains(name) {
                wrong.insert(format!("{path}: uses `{}`", used.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// For each module that has children, which of its children import which.
fn neighbours(sources: &[Source]) -> BTreeMap<Names, BTreeSet<(String, String)>> {
    let tree = Tree::of(sources);
    let mut edges: BTreeMap<Names, BTreeSet<(String, String)>> = BTreeMap::new();
    for (module, used) in sources.iter().flat_map(|s| &s.uses) {
        let target = tree.definer(used);
        let common = module.iter().zip(&target).take_while(|(a, b)| a == b).count();
        if let (Some(from), Some(to)) = (module.get(common), target.get(common)) {
            let parent = module[..common].to_vec();
            edges.entry(parent).or_default().insert((from.clone(), to.clone()));
        }
    }
    edges
}

/// Whether one child reaches another through imports.
fn reaches(edges: &BTreeSet<(String, String)>, from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        for (_, next) in edges.iter().filter(|(a, _)| a == at) {
            if next == to {
                return true;
            }
            if seen.insert(next) {
                open.push(next);
            }
        }
    }
    false
}

#[test]
fn modules_do_not_import_each_other_in_circles() {
    let mut circles = Vec::new();
    for (parent, edges) in neighbours(&production()) {
        for (from, to) in &edges {
            if reaches(&edges, to, from) {
                circles.push(format!("{}::{{{from}, {to}}}", parent.join("::")));
            }
        }
    }
    assert!(circles.is_empty(), "{}", circles.join(",\n"));
}

#[test]
fn what_is_counted_is_judged_without_a_clock() {
    let outside = ["fs", "io", "net", "env", "process", "thread", "os"];
    let sources = production();
    let mut wrong = BTreeSet::new();
    let inner = |source: &&Source| match &source.module[..] {
        [probe, module, ..] => probe == "probe" && CLOCKLESS.contains(&module.as_str()),
        _ => false,
    };
    for Source { path, uses, written, .. } in sources.iter().filter(inner) {
        for names in written {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let world = match names[..] {
                ["std", module, ..] if outside.contains(&module) => true,
                ["tokio" | "rustix" | "libc", ..] => true,
                _ => names.iter().any(|n| ["Instant", "SystemTime"].contains(n)),
            };
            if world {
                wrong.insert(format!("{path}: {}", names.join("::")));
            }
        }
        for (_, used) in uses {
            let allowed = match &used[..] {
                [probe, module, ..] if probe == "probe" => {
                    let inner = format!("probe::{module}");
                    CLOCKLESS.contains(&module.as_str())
                        || BELOW_CLOCKLESS.contains(&inner.as_str())
                }
                [module, ..] => BELOW_CLOCKLESS.contains(&module.as_str()) || module == "probe",
                [] => true,
            };
            if !allowed {
                wrong.insert(format!("{path}: uses {}", used.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_function_is_too_long() {
    let mut long = Vec::new();
    for Source { path, functions, .. } in production() {
        for (name, lines) in functions {
            if lines > MOST_OF_A_FUNCTION {
                long.push(format!("(\"{path}\", \"{name}\"), // {lines}"));
            }
        }
    }
    assert!(long.is_empty(), "\n{}", long.join("\n"));
}

#[test]
fn every_module_says_what_it_is_for() {
    let bare: Vec<String> = files(&["src", "crates", "tests/it", "benches"])
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(path, _)| path)
        .collect();
    assert!(bare.is_empty(), "{bare:?}");
}

#[test]
fn no_file_is_too_long() {
    let long: Vec<String> = files(&["src", "crates", "tests/it", "benches"])
        .into_iter()
        .filter(|(_, text)| text.lines().count() > MOST_LINES)
        .map(|(path, text)| format!("{path}: {}", text.lines().count()))
        .collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn features_gate_whole_modules() {
    let gates: Vec<String> = files(&["src", "crates"])
        .into_iter()
        .flat_map(|(path, text)| {
            let lines = text.lines().filter(|l| l.contains("cfg") && l.contains("feature = "));
            lines.map(|line| format!("{path}: {}", line.trim())).collect::<Vec<_>>()
        })
        .collect();
    assert!(gates.len() < 15, "{gates:#?}");
}

#[test]
fn the_version_of_tract_is_that_of_the_manifest() {
    let read = |path: &str| std::fs::read_to_string(format!("{ROOT}/{path}")).unwrap();
    let manifest = read("Cargo.toml");
    let asked = manifest.lines().find(|l| l.starts_with("tract-onnx = ")).unwrap();
    let version = asked.split('"').nth(1).unwrap();
    assert!(read("src/runtime/tract.rs").contains(&format!("\"tract {version}\"")), "{version}");
}
