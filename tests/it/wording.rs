//! Texts that a person reads use the terms of docs/STYLE.md: the worst of the old words are rejected.

use crate::source::{Source, production};

/// Phrases that STYLE.md replaces, and phrases around them that are right.
const OLD: [(&str, &[&str]); 31] = [
    ("told", &[]),
    ("tells", &[]),
    ("untold", &[]),
    ("not tell", &[]),
    ("leave out", &[]),
    ("tell apart", &[]),
    ("so many", &[]),
    ("a second", &["a second time", "a second run", "a second ctrl-c", "gets a second"]),
    ("an inference", &["an inference failed"]),
    ("left out", &[]),
    ("made up", &[]),
    ("made-up", &[]),
    ("at the most", &[]),
    ("anew", &[]),
    ("taken up", &[]),
    ("answered well", &[]),
    ("every node alone", &[]),
    ("in doubt", &[]),
    ("doubts", &[]),
    ("is there twice", &[]),
    ("the data decide", &[]),
    ("left open", &[]),
    ("held out", &[]),
    ("held-out", &[]),
    ("ended well", &[]),
    ("good answer", &[]),
    ("without load", &[]),
    ("batching pays", &[]),
    ("batching loses", &[]),
    ("independent requests", &[]),
    ("taken for granted", &[]),
];

/// Keys of files that earlier versions wrote, which are still read.
const OLD_KEYS: [&str; 1] = ["untold"];

/// What a format string says, without the names of what it prints.
fn said(text: &str) -> String {
    let mut depth = 0;
    let kept = text.to_lowercase();
    kept.chars()
        .filter(|c| {
            depth += i32::from(*c == '{');
            let keep = depth == 0;
            depth -= i32::from(*c == '}');
            keep
        })
        .collect()
}

/// Whether a text has a phrase as whole words.
fn has(text: &str, phrase: &str) -> bool {
    text.match_indices(phrase).any(|(at, _)| {
        let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-');
        !word(text[..at].chars().next_back()) && !word(text[at + phrase.len()..].chars().next())
    })
}

fn old_words(text: &str) -> Vec<&'static str> {
    let text = said(text);
    let found = |(phrase, fine): &(&'static str, &[&str])| {
        let rest = fine.iter().fold(text.clone(), |text, fine| text.replace(fine, ""));
        has(&rest, phrase).then_some(*phrase)
    };
    OLD.iter().filter_map(found).collect()
}

#[test]
fn texts_use_the_terms_of_the_style_page() {
    let mut wrong = Vec::new();
    for Source { path, strings, docs, .. } in production() {
        // Comments of arguments are the help.
        let help = path.starts_with("src/cli");
        let texts = strings.iter().chain(docs.iter().filter(|_| help));
        let lines: Vec<String> = texts
            .filter(|(_, text)| !OLD_KEYS.contains(&text.as_str()))
            .filter(|(_, text)| !old_words(text).is_empty())
            .map(|(line, text)| format!("  {path}:{line}: {:?} in {text:?}", old_words(text)))
            .collect();
        wrong.extend(lines);
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn old_words_are_found_as_whole_words() {
    assert_eq!(old_words("200 requests a second came"), ["a second"]);
    assert_eq!(old_words("{told} stages, a second time, renewal"), Vec::<&str>::new());
}
