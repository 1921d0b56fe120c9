//! `rooflens probe --spawn`: a server that is started here, several times, and timed.

use super::super::{emit, hinted};
use crate::os::page_cache;
use crate::probe::startup::Spec;
use crate::probe::study::Starts;
use crate::probe::target::{Options, Url};
use crate::schema::{PageCache, START_UP, StartUpFile, StartUpPart, TOOL};
use crate::units::si;
use anyhow::{Context, Result};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// States of the page cache that a start is timed in.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Before {
    Cold,
    Warm,
    Both,
}

/// What was said of the start.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Flags {
    /// Start the server with this command and time it: port, live, ready, model ready, first good
    /// answer, warm. It runs in a process group of its own, which is ended whatever happens; what it
    /// prints is in the output folder.
    #[arg(long, value_name = "COMMAND", help_heading = "Start-up")]
    pub(in crate::cli) spawn: Option<String>,
    /// Starts for each state of the page cache, after a first one that does not count.
    #[arg(long, value_name = "N", default_value_t = 5, help_heading = "Start-up", value_parser = clap::value_parser!(u16).range(1..=1000))]
    repeats: u16,
    /// State of the page cache before a start: cold drops the files of --model and --evict, and those
    /// that the server had open or mapped in its first start.
    #[arg(long, value_name = "STATE", default_value = "both", help_heading = "Start-up")]
    page_cache: Before,
    /// A file or folder that a cold start reads from storage. Repeatable.
    #[arg(long, value_name = "PATH", help_heading = "Start-up", requires = "spawn")]
    evict: Vec<PathBuf>,
    /// Path that answers with 2xx once the server is ready (plain HTTP); the first good answer counts
    /// where left out.
    #[arg(long, value_name = "PATH", help_heading = "Start-up", requires = "spawn")]
    ready_path: Option<String>,
    /// Seconds of requests after the first answer, at most, to find when the server is warm.
    #[arg(long, value_name = "S", default_value_t = 5.0, help_heading = "Start-up")]
    warm_seconds: f64,
    /// Measure the start, and send no load.
    #[arg(long, help_heading = "Start-up", requires = "spawn")]
    pub(in crate::cli) start_up_only: bool,
}

impl Flags {
    /// The starts that are asked for.
    pub(super) fn starts(
        &self,
        command: &str,
        target: &str,
        options: Options,
        model: Option<&Path>,
        folder: &Path,
    ) -> Result<Starts> {
        let url = Url::parse(target).map_err(super::failed)?;
        if self.ready_path.is_some() && url.protocol.names_model() {
            return Err(hinted(
                "--ready-path is for plain HTTP; this protocol has its own questions",
                "leave it out",
            ));
        }
        if self.ready_path.as_ref().is_some_and(|p| !p.starts_with('/')) {
            return Err(hinted(
                "--ready-path begins with a `/`",
                "for example --ready-path /health",
            ));
        }
        let warm = super::time("--warm-seconds", self.warm_seconds)?;
        let ready_path = self.ready_path.clone();
        let spec = Spec { command: command.into(), url, options, ready_path, warm };
        let mut known = Vec::new();
        for path in model.into_iter().chain(self.evict.iter().map(PathBuf::as_path)) {
            known.extend(page_cache::files(path).map_err(|e| {
                hinted(format!("`{}` cannot be read: {e}", path.display()), "check the path")
            })?);
        }
        let states = match self.page_cache {
            Before::Cold => vec![PageCache::Cold],
            Before::Warm => vec![PageCache::Warm],
            Before::Both => vec![PageCache::Cold, PageCache::Warm],
        };
        Ok(Starts { spec, states, repeats: self.repeats, known, logs: folder.to_owned() })
    }
}

/// Writes `start_up.json` and says what is in it.
pub(super) fn save(target: &str, part: StartUpPart, folder: &Path) -> Result<()> {
    let mut text = format!("{target}\n");
    describe(&part, &mut text);
    let file = StartUpFile {
        schema: START_UP.into(),
        tool: TOOL.into(),
        target: target.into(),
        start_up: part,
    };
    let json = serde_json::to_string_pretty(&file).context("starts cannot be written")?;
    emit(&(json + "\n"), Some(&folder.join("start_up.json")))?;
    let _ = writeln!(text, "\nstarts in {}/", folder.display());
    emit(&text, None)
}

/// What a person reads of the starts.
pub(super) fn describe(part: &StartUpPart, out: &mut String) {
    for state in [PageCache::Cold, PageCache::Warm] {
        let own = || part.starts.iter().filter(|s| s.counted && s.page_cache == state);
        let n = own().count();
        if n == 0 {
            continue;
        }
        let sure = own().filter(|s| s.unverified.is_none()).count();
        let how = if sure == n {
            "page cache verified".into()
        } else {
            let why = own().find_map(|s| s.unverified.as_deref()).unwrap_or_default();
            format!("page cache NOT VERIFIED in {} of them: {why}", n - sure)
        };
        let _ = writeln!(out, "\n{n} {state} starts; {how}");
        let _ = writeln!(out, "  {:<26}{:>10}{:>10}{:>10}", "", "min", "median", "max");
        for s in part.summary.iter().filter(|s| s.page_cache == state) {
            let show = |v: f64| si(v, s.unit.name());
            let _ = writeln!(
                out,
                "  {:<26}{:>10}{:>10}{:>10}{}",
                s.name,
                show(s.min),
                show(s.median),
                show(s.max),
                if s.count < n as u64 { format!("  of {}", s.count) } else { String::new() }
            );
        }
        if let Some(why) = own().find_map(|s| s.warm_unknown.as_deref()) {
            let _ = writeln!(out, "  time to warm UNMEASURED in a start: {why}");
        }
    }
    if !part.definitions.is_empty() && part.starts.iter().any(|s| s.counted) {
        out.push('\n');
        for d in &part.definitions {
            let _ = writeln!(out, "  {:<26}{}", d.name, d.meaning);
        }
    }
    for note in &part.notes {
        let _ = writeln!(out, "  note: {note}");
    }
    if part.interrupted {
        let _ = writeln!(out, "  interrupted");
    }
}
