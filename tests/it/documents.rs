//! Pages for those who work on rooflens name files that exist, and the fuzz targets are those that are run.

use crate::run::ROOT;
use std::collections::BTreeSet;
use std::path::Path;

fn page(name: &str) -> String {
    std::fs::read_to_string(format!("{ROOT}/{name}")).unwrap()
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn exists(path: &str) -> bool {
    Path::new(ROOT).join(path).exists()
}

#[test]
fn limits_name_files_that_exist() {
    let page = page("docs/security.md");
    let sources: Vec<&str> =
        quoted(&page).filter(|q| Path::new(q).extension().is_some_and(|e| e == "rs")).collect();
    assert!(sources.len() > 40, "{sources:?}");
    let at = |path: &str| match path.strip_prefix("probe/") {
        Some(path) => format!("crates/probe/src/load/{path}"),
        None => format!("crates/model/src/{path}"),
    };
    let wrong: Vec<&str> = sources.into_iter().filter(|path| !exists(&at(path))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn recipes_name_files_that_exist() {
    let page = page("CONTRIBUTING.md");
    let roots = ["crates/", "src/", "tests/", "fuzz/", "docs/", "hwdb/", "benches/"];
    let path = |q: &&str| {
        roots.iter().any(|root| q.starts_with(root))
            && !q.contains(['*', ' '])
            && !q.contains("NAME")
    };
    let paths: Vec<&str> = quoted(&page).filter(path).filter(|q| *q != "hwdb/ID.toml").collect();
    assert!(paths.len() > 15, "{paths:?}");
    let wrong: Vec<&str> = paths.into_iter().filter(|path| !exists(path)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Rooms of the tables below `## Rooms`, in the first column.
fn rooms(table: &str) -> Vec<String> {
    let page = page("ARCHITECTURE.md");
    let lines = page.lines().skip_while(|line| !line.starts_with(table)).skip(2);
    let cells = lines.map_while(|line| line.strip_prefix("| ")?.split('|').next());
    cells.flat_map(|cell| quoted(cell).map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn rooms_of_the_map_exist() {
    let tables = [
        ("| room of the probe", "crates/probe/src/load"),
        ("| room of formats", "crates/model/src/formats"),
    ];
    for (table, folder) in tables {
        let rooms = rooms(table);
        assert!(rooms.len() > 12, "{table}: {rooms:?}");
        let wrong: Vec<&String> =
            rooms.iter().filter(|room| !exists(&format!("{folder}/{room}.rs"))).collect();
        assert!(wrong.is_empty(), "{table}: {wrong:?}");
    }
}

#[test]
fn every_fuzz_target_is_run_on_seeds() {
    let manifest = page("fuzz/Cargo.toml");
    let names = manifest.split("[[bin]]").skip(1).filter_map(|bin| bin.split('"').nth(1));
    let declared: BTreeSet<&str> = names.collect();
    let script = page(".ci/run");
    let list = script.split_once("targets=(").and_then(|(_, rest)| rest.split_once(')')).unwrap().0;
    let run: BTreeSet<&str> = list.split_whitespace().collect();
    assert!(declared.len() > 20, "{declared:?}");
    assert_eq!(declared, run);
    for name in declared {
        let seeds = Path::new(ROOT).join("fuzz/seeds").join(name);
        assert!(seeds.read_dir().unwrap().next().is_some(), "{name}");
    }
}
