//! Rust files as tokens: what production code imports, how long its functions are, and what it says.
//! Code under `#[cfg(test)]` is skipped.

use crate::run::ROOT;
use crate::tokens::{Kind, Token, tokens};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A path of modules and items, from the root of the crate.
pub(crate) type Names = Vec<String>;

/// What is looked at in one file.
pub(crate) struct Source {
    /// The file, relative to the repository.
    pub(crate) path: String,
    /// Its module.
    pub(crate) module: Names,
    /// Paths that begin at the crate, with the module they stand in.
    pub(crate) uses: Vec<(Names, Names)>,
    /// Every path of two or more names, as it is written.
    pub(crate) written: Vec<Names>,
    /// Functions that have a body, with their lines.
    pub(crate) functions: Vec<(String, usize)>,
    /// String literals, with their line.
    pub(crate) strings: Vec<(usize, String)>,
    /// Lines on which something is decided by comparing text with a literal.
    pub(crate) decisions: BTreeSet<usize>,
    /// Lines of documentation, with their line in the file.
    pub(crate) docs: Vec<(usize, String)>,
    /// Names that `use` brings into a module: where they come from.
    imports: BTreeMap<(Names, String), Names>,
    /// Names of its constants that are lists of texts.
    lists: BTreeSet<String>,
    /// Modules within it, and files of modules that are tests.
    modules: BTreeSet<Names>,
    tests: BTreeSet<Names>,
}

/// The production code of all crates, without modules that are tests.
pub(crate) fn production() -> Vec<Source> {
    let mut sources: Vec<Source> = files(&["src", "crates"])
        .into_iter()
        .filter(|(path, _)| !path.ends_with("main.rs"))
        .map(|(path, text)| Source::of(path, &text))
        .collect();
    let tests: BTreeSet<Names> = sources.iter().flat_map(|s| s.tests.clone()).collect();
    sources.retain(|s| !(0..=s.module.len()).any(|n| tests.contains(&s.module[..n])));
    sources
}

/// Rust files below the folders: their paths and contents.
pub(crate) fn files(folders: &[&str]) -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for folder in folders {
        below(&Path::new(ROOT).join(folder), &mut paths);
    }
    paths.sort();
    let read = |p: PathBuf| {
        let text = std::fs::read_to_string(&p).unwrap();
        (p.strip_prefix(ROOT).unwrap().to_str().unwrap().to_owned(), text)
    };
    paths.into_iter().map(read).collect()
}

fn below(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            below(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

impl Source {
    fn of(path: String, text: &str) -> Self {
        let module = module_of(&path);
        let mut source = Self {
            path,
            modules: BTreeSet::from([module.clone()]),
            module: module.clone(),
            uses: Vec::new(),
            written: Vec::new(),
            functions: Vec::new(),
            strings: Vec::new(),
            decisions: BTreeSet::new(),
            docs: Vec::new(),
            imports: BTreeMap::new(),
            lists: BTreeSet::new(),
            tests: BTreeSet::new(),
        };
        let tokens = tokens(text);
        lists_of_text(&tokens, &mut source.lists);
        source.walk(&tokens, &module);
        source
    }

    fn walk(&mut self, tokens: &[Token], module: &Names) {
        let mut at = 0;
        while at < tokens.len() {
            if let Some((end, name)) = tests(&tokens[at..]) {
                self.tests.extend(name.map(|name| joined(module, &[name])));
                at += end;
                continue;
            }
            if decides(tokens, at, &self.lists) {
                self.decisions.insert(tokens[at].line);
            }
            at += self.token(&tokens[at..], module);
        }
    }

    /// Takes the first token, and says how many belong to it.
    fn token(&mut self, tokens: &[Token], module: &Names) -> usize {
        let line = tokens[0].line;
        match &tokens[0].kind {
            Kind::Group(_, inner, _) => self.walk(inner, module),
            Kind::Text(text) => self.strings.push((line, text.clone())),
            Kind::Doc(text) => self.docs.push((line, text.clone())),
            Kind::Sign(_) => {}
            Kind::Word(word) => match word.as_str() {
                "fn" => self.function(tokens),
                "mod" => {
                    if let [_, name, body, ..] = tokens
                        && let (Some(name), Some(body)) = (name.word(), body.group('{'))
                    {
                        let inner = joined(module, &[name.to_owned()]);
                        self.modules.insert(inner.clone());
                        self.walk(body, &inner);
                        return 3;
                    }
                }
                "use" => return self.import(tokens, module),
                _ => return self.written_path(tokens, module),
            },
        }
        1
    }

    fn function(&mut self, tokens: &[Token]) {
        let Some(name) = tokens.get(1).and_then(Token::word) else { return };
        let ends = tokens.iter().take_while(|t| !t.is(";")).find_map(|t| match &t.kind {
            Kind::Group('{', _, end) => Some(*end),
            _ => None,
        });
        if let Some(end) = ends {
            self.functions.push((name.to_owned(), end - tokens[0].line + 1));
        }
    }

    /// A path in an expression or a type.
    fn written_path(&mut self, tokens: &[Token], module: &Names) -> usize {
        let mut path = Vec::new();
        let mut at = 0;
        while let Some(name) = tokens.get(at).and_then(Token::word) {
            path.push(name.to_owned());
            at += 1;
            if tokens[at..].iter().take_while(|t| t.is(":")).count() < 2 {
                break;
            }
            at += 2;
        }
        if path.len() > 1 {
            self.push(&path, module);
            self.written.push(path);
        }
        at.max(1)
    }

    fn push(&mut self, path: &[String], module: &Names) {
        if let Some(path) = absolute(path, module) {
            self.uses.push((module.clone(), path));
        }
    }

    /// A `use`, to its semicolon.
    fn import(&mut self, tokens: &[Token], module: &Names) -> usize {
        let end = tokens.iter().position(|t| t.is(";")).unwrap_or(tokens.len());
        let mut leaves = Vec::new();
        tree(&tokens[1..end], &Vec::new(), &mut leaves);
        for (path, name) in leaves {
            let relative = absolute(&path, module).unwrap_or_else(|| joined(module, &path));
            self.imports.insert((module.clone(), name), relative);
            self.push(&path, module);
            self.written.push(path);
        }
        end
    }
}

/// The module that a file holds, as the root package shows the modules of all crates.
fn module_of(path: &str) -> Names {
    let (package, inner) = path.split_once("src/").unwrap_or(("", path));
    let names = inner.trim_end_matches(".rs").split('/').filter(|name| *name != "lib");
    let names: Names = names.map(str::to_owned).collect();
    if package == "crates/probe/" { of_the_probe(&names) } else { names }
}

/// A path in the probe's crate, which the root package shows as `probe` and `schema`; the folder `load`
/// gates the load generator and is no module of its own to others.
fn of_the_probe(path: &[String]) -> Names {
    match path.first().map(String::as_str) {
        Some("schema") => path.to_vec(),
        Some("load") => joined(&vec!["probe".into()], &path[1..]),
        _ => joined(&vec!["probe".into()], path),
    }
}

/// The leaves of a tree of imports: whole paths, and the names they get.
fn tree(tokens: &[Token], before: &Names, into: &mut Vec<(Names, String)>) {
    let mut path = before.clone();
    let mut name = None;
    for (at, token) in tokens.iter().enumerate() {
        if let Some(inner) = token.group('{') {
            for part in inner.split(|t| t.is(",")).filter(|part| !part.is_empty()) {
                tree(part, &path, into);
            }
            return;
        }
        match token.word() {
            Some("as") => {
                name = tokens.get(at + 1).and_then(Token::word);
                break;
            }
            Some("self") if !path.is_empty() => {}
            Some(word) => path.push(word.to_owned()),
            None => {}
        }
    }
    let last = path.last().cloned().unwrap_or_default();
    into.push((path, name.map_or(last, str::to_owned)));
}

/// A path from the root of the crate, if it is written as one.
fn absolute(path: &[String], module: &Names) -> Option<Names> {
    let mut base = match path.first()?.as_str() {
        "rooflens_probe" => return Some(of_the_probe(&path[1..])),
        "crate" if module.first().is_some_and(|m| m == "probe" || m == "schema") => {
            return Some(of_the_probe(&path[1..]));
        }
        "crate" | "rooflens_ground" | "rooflens_model" | "rooflens_study" => {
            return Some(path[1..].to_vec());
        }
        "super" | "self" => module.clone(),
        _ => return None,
    };
    let mut rest = path;
    while let [first, tail @ ..] = rest {
        match first.as_str() {
            "super" => drop(base.pop()),
            "self" => {}
            _ => break,
        }
        rest = tail;
    }
    Some(joined(&base, rest))
}

fn joined(base: &Names, rest: &[String]) -> Names {
    base.iter().chain(rest).cloned().collect()
}

/// Names of the constants that are lists of texts, in these tokens and within their groups.
fn lists_of_text(tokens: &[Token], into: &mut BTreeSet<String>) {
    for (at, token) in tokens.iter().enumerate() {
        if let Kind::Group(_, inner, _) = &token.kind {
            lists_of_text(inner, into);
        }
        let (true, Some(name)) = (token.word() == Some("const"), tokens.get(at + 1)) else {
            continue;
        };
        let kind = tokens[at + 2..].iter().take_while(|t| !t.is("=") && !t.is(";"));
        let texts = kind
            .filter_map(|t| t.group('['))
            .any(|inner| inner.iter().any(|t| t.word() == Some("str")));
        into.extend(name.word().filter(|_| texts).map(str::to_owned));
    }
}

/// Whether text is compared at this place: a literal beside `==` or `!=`, as a pattern of an arm, alone or in a tuple,
/// in the pattern of `matches!`, or in a list that is asked what it contains.
fn decides(tokens: &[Token], at: usize, lists: &BTreeSet<String>) -> bool {
    let is = |at: usize, sign: &str| tokens.get(at).is_some_and(|t| t.is(sign));
    let equal = |at: usize| (is(at, "=") || is(at, "!")) && is(at + 1, "=");
    let arm = is(at + 1, "=") && is(at + 2, ">") || is(at + 1, "if") || is(at + 1, "|");
    let asked = is(at + 1, ".") && tokens.get(at + 2).and_then(Token::word) == Some("contains");
    match &tokens[at].kind {
        Kind::Group('[', inner, _) => asked && holds_text(inner),
        Kind::Word(word) if lists.contains(word) => asked,
        Kind::Text(_) => arm || equal(at + 1) || at >= 2 && equal(at - 2),
        Kind::Group('(', inner, _) => arm && holds_text(inner),
        Kind::Word(word) if word == "matches" && is(at + 1, "!") => {
            let inner = tokens.get(at + 2).and_then(|t| t.group('(')).unwrap_or_default();
            let pattern = inner.split(|t| t.is(",")).skip(1).flatten();
            let pattern: Vec<Token> = pattern.take_while(|t| !t.is("if")).cloned().collect();
            holds_text(&pattern)
        }
        _ => false,
    }
}

fn holds_text(tokens: &[Token]) -> bool {
    tokens.iter().any(|t| match &t.kind {
        Kind::Text(_) => true,
        Kind::Group(_, inner, _) => holds_text(inner),
        _ => false,
    })
}

/// An item under `#[cfg(test)]` at the start of the tokens: its end, and the name if it is a module in a
/// file of its own.
fn tests(tokens: &[Token]) -> Option<(usize, Option<String>)> {
    let [hash, group, ..] = tokens else { return None };
    let [cfg, test] = group.group('[')? else { return None };
    let [test] = test.group('(')? else { return None };
    if !hash.is("#") || !cfg.is("cfg") || !test.is("test") {
        return None;
    }
    let end = tokens.iter().position(|t| t.is(";") || t.group('{').is_some())?;
    let name = tokens[..end].iter().position(|t| t.is("mod")).filter(|_| tokens[end].is(";"));
    let name = name.and_then(|at| tokens[at + 1].word()).map(str::to_owned);
    Some((end + 1, name))
}

/// Modules of all files, and where imported names lead.
pub(crate) struct Tree {
    modules: BTreeSet<Names>,
    imports: BTreeMap<(Names, String), Names>,
}

impl Tree {
    pub(crate) fn of(sources: &[Source]) -> Self {
        Self {
            modules: sources.iter().flat_map(|s| s.modules.clone()).collect(),
            imports: sources.iter().flat_map(|s| s.imports.clone()).collect(),
        }
    }

    /// The module that defines what a path names, through names that others import.
    pub(crate) fn definer(&self, path: &Names) -> Names {
        let mut path = path.clone();
        for _ in 0..8 {
            let depth = (0..=path.len()).rev().find(|n| self.modules.contains(&path[..*n]));
            let depth = depth.unwrap_or(0);
            let module = path[..depth].to_vec();
            let Some(next) = path.get(depth) else { return module };
            match self.imports.get(&(module.clone(), next.clone())) {
                Some(target) if *target != path => path = joined(target, &path[depth + 1..]),
                _ => return module,
            }
        }
        path
    }
}
