//! Flags of prompts to a language model.

use super::super::hinted;
use super::read;
use crate::probe::target::openai::{Language, Line};
use crate::probe::trace::{Size, Trace};
use anyhow::Result;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is asked of a language model.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Language models (openai+http)")]
#[group(skip)]
pub(super) struct LanguageFlags {
    /// The model to ask for; the one that the server lists where it lists one.
    #[arg(long, value_name = "NAME")]
    served_model: Option<String>,
    /// Tokens of each prompt, the server's template included, by the server's own count. A trace with numbers of tokens
    /// gives its own.
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..))]
    prompt_tokens: u64,
    /// Tokens at the beginning that all prompts share, so that a server that caches prefixes finds them; what follows is
    /// new in every request.
    #[arg(long, value_name = "N", default_value_t = 0)]
    shared_tokens: u64,
    /// Tokens of each answer; servers that are known to allow it are asked to ignore an earlier end.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..))]
    output_tokens: u64,
    /// Prompts to send in turn, in place of generated ones: a file with a JSON object on each line, with `prompt`,
    /// `messages` or `input`, and further members of the request, as `max_tokens`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prompt_tokens", "shared_tokens"])]
    prompts: Option<PathBuf>,
}

impl LanguageFlags {
    /// What they ask for; `members` is JSON that every request has, and `trace` gives the size of each.
    pub(super) fn language(
        &self,
        members: Option<&str>,
        trace: Option<Arc<Trace>>,
    ) -> Result<Language> {
        let members = members.map(object).transpose()?.unwrap_or_default();
        Ok(Language {
            model: self.served_model.clone(),
            size: Size { input: self.prompt_tokens, output: self.output_tokens },
            shared: self.shared_tokens,
            lines: self.prompts.as_deref().map_or(Ok(Vec::new()), lines)?,
            members,
            trace,
        })
    }
}

fn object(text: &str) -> Result<Map<String, Value>> {
    serde_json::from_str(text).map_err(|e| {
        hinted(
            format!("`--json` is not a JSON object: {e}"),
            "for example --json '{\"temperature\":0}'",
        )
    })
}

fn lines(path: &Path) -> Result<Vec<Line>> {
    let text = read(path)?;
    let rows =
        text.split(|b| *b == b'\n').zip(1u64..).filter(|(row, _)| !row.trim_ascii().is_empty());
    let line = |(row, number): (&[u8], u64)| -> Result<Line> {
        let wrong = |what: String| {
            hinted(
                format!("`{}`, line {number}: {what}", path.display()),
                "for example {\"prompt\":\"Once upon a time\"} on each line",
            )
        };
        let members: Map<String, Value> =
            serde_json::from_slice(row).map_err(|e| wrong(format!("not a JSON object: {e}")))?;
        if !["prompt", "messages", "input"].iter().any(|name| members.contains_key(*name)) {
            return Err(wrong("it has neither `prompt` nor `messages` nor `input`".into()));
        }
        Ok(Line { members })
    };
    let all = rows.map(line).collect::<Result<Vec<Line>>>()?;
    if all.is_empty() {
        return Err(hinted(
            format!("`{}` has no prompt", path.display()),
            "for example {\"prompt\":\"Once upon a time\"} on each line",
        ));
    }
    Ok(all)
}
