//! Which archive it is, and the files in it.

use super::super::error::malformed;
use super::super::zip::{Archive, Entry};
use super::super::{LoadError, LoadErrorKind};
use bytes::Bytes;
use std::collections::HashMap;

/// What is unpacked of one packed entry at most.
const MAX_UNPACKED: usize = 256 << 20;

/// The files of an archive, by their path below its top folder.
pub(super) struct Files {
    archive: Archive,
    by_path: HashMap<String, usize>,
    /// The top folder, with a slash; empty where there is none.
    root: String,
}

/// What an archive holds.
pub(super) enum Holds {
    /// Source and modules.
    Script,
    /// A graph as JSON, at this path.
    Program(String),
    /// Something else.
    Other {
        /// What, with its article.
        what: String,
        /// How to get to a file that is read.
        instead: &'static str,
    },
}

/// How to get from weights to a program.
pub(super) const EXPORT: &str = "save the program with its weights where the model's class is at hand: \
     `torch.jit.trace(model, example).save(FILE)`, `torch.jit.script(model).save(FILE)` or \
     `torch.export.save(torch.export.export(model, (example,)), FILE)`; or export it to ONNX";

impl Files {
    /// Reads the directory of an archive.
    pub(super) fn open(file: &Bytes) -> Result<Self, LoadError> {
        let archive = Archive::open(file, super::NAME)?;
        let root = root(&archive.entries);
        let mut by_path = HashMap::new();
        for (at, entry) in archive.entries.iter().enumerate() {
            let path = entry.name.strip_prefix(&root).unwrap_or(&entry.name);
            by_path.entry(path.to_owned()).or_insert(at);
        }
        Ok(Self { archive, by_path, root })
    }

    /// The contents of a file, where there is one.
    pub(super) fn contents(&self, path: &str) -> Result<Option<Bytes>, LoadError> {
        let Some(at) = self.by_path.get(path) else { return Ok(None) };
        let Some(entry) = self.archive.entries.get(*at) else { return Ok(None) };
        self.archive.contents(entry, MAX_UNPACKED).map(Some)
    }

    /// The contents of a file that must be there.
    pub(super) fn needed(&self, path: &str) -> Result<Bytes, LoadError> {
        self.contents(path)?
            .ok_or_else(|| malformed(super::NAME, format!("it has no file `{path}`")))
    }

    fn has(&self, path: &str) -> bool {
        self.by_path.contains_key(path)
    }

    fn any(&self, holds: impl Fn(&str) -> bool) -> bool {
        self.by_path.keys().any(|path| holds(path))
    }

    /// Whether this is an archive of `PyTorch`, whatever of it.
    pub(super) fn is_torch(&self) -> bool {
        self.has("data.pkl")
            || self.has("serialized_exported_program.json")
            || self.has("archive_format")
            || self.any(|path| path.starts_with("models/") || path.contains("aotinductor/"))
            || self.has("model.json") && self.any(|path| path.starts_with("tensors/"))
    }

    /// What the archive holds; of several programs, the one that is wanted.
    pub(super) fn holds(&self, wanted: Option<&str>) -> Result<Holds, LoadError> {
        let other = |what: &str, instead| Holds::Other { what: what.to_owned(), instead };
        if self.has("serialized_exported_program.json") {
            return Ok(Holds::Program("serialized_exported_program.json".to_owned()));
        }
        let mut programs: Vec<&str> = self
            .by_path
            .keys()
            .filter_map(|path| path.strip_prefix("models/")?.strip_suffix(".json"))
            .filter(|name| !name.contains('/'))
            .collect();
        programs.sort_unstable();
        if !programs.is_empty() {
            return choose(&programs, wanted)
                .map(|name| Holds::Program(format!("models/{name}.json")));
        }
        if self.any(|path| path.starts_with("code/")) && self.has("data.pkl") {
            return Ok(Holds::Script);
        }
        if self.any(|path| path.contains("aotinductor/")) {
            return Ok(other(
                "a package of AOTInductor: compiled code without a graph",
                "save the exported program itself: `torch.export.save(program, FILE)`",
            ));
        }
        if self.has("model.json") && self.any(|path| path.starts_with("tensors/")) {
            return Ok(other(
                "a TorchScript archive as torch wrote them before 1.4",
                "load it with `torch.jit.load` and save it again",
            ));
        }
        if self.has("data.pkl") {
            return Ok(Holds::Other { what: self.weights()?, instead: EXPORT });
        }
        let what = "a ZIP archive without a model of PyTorch or Keras";
        Ok(other(what, "export the model to ONNX in the framework that made it"))
    }

    /// What an archive of weights alone holds.
    fn weights(&self) -> Result<String, LoadError> {
        let pickle = super::pickle::read(&self.needed("data.pkl")?)?;
        Ok(super::weights::what(&pickle))
    }
}

/// The folder that all entries are in.
fn root(entries: &[Entry]) -> String {
    let top = |entry: &Entry| entry.name.split_once('/').map(|(top, _)| format!("{top}/"));
    let Some(first) = entries.first().and_then(top) else { return String::new() };
    if entries.iter().all(|entry| entry.name.starts_with(&first)) { first } else { String::new() }
}

fn choose<'p>(programs: &[&'p str], wanted: Option<&str>) -> Result<&'p str, LoadError> {
    let known = || format!("the file holds {}; choose with --signature", programs.join(", "));
    if let Some(wanted) = wanted {
        let found = programs.iter().copied().find(|name| *name == wanted);
        return found.ok_or_else(|| {
            let message = format!("has no program `{wanted}`");
            LoadErrorKind::Choice { message, known: known() }.into()
        });
    }
    match programs {
        [only] => Ok(only),
        _ => programs.iter().copied().find(|name| *name == "model").ok_or_else(|| {
            let message = "holds several programs".to_owned();
            LoadErrorKind::Choice { message, known: known() }.into()
        }),
    }
}

impl Files {
    /// Paths of files, for those who look for one by its ending.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.by_path.keys().map(String::as_str)
    }

    /// The name of the top folder.
    pub(super) fn name(&self) -> &str {
        self.root.trim_end_matches('/')
    }
}
