//! `rooflens probe --spawn`: a server that is started here, several times, and timed.

use super::super::{emit, hinted};
use crate::os::page_cache;
use crate::probe::startup::Spec;
use crate::probe::study::Starts;
use crate::probe::target::{Options, Url};
use crate::render;
use crate::schema::{PageCache, START_UP, StartUpFile, StartUpPart, TOOL};
use anyhow::Result;
use std::path::{Path, PathBuf};

/// States of the page cache that a start is timed in.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Before {
    Cold,
    Warm,
    Both,
}

/// Flags of the server's start.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Start-up")]
#[group(skip)]
pub(super) struct StartUpFlags {
    /// Start the server with this command and time its start.
    ///
    /// Timed events: port open, live, ready, model ready, first successful answer, and warm. The server runs in a process
    /// group of its own, which is always terminated in the end; its output is kept in the output folder.
    #[arg(long, value_name = "COMMAND")]
    pub(super) spawn: Option<String>,
    /// Timed starts per state of the page cache, after one that is not counted.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    repeats: u16,
    /// State of the page cache before a start.
    ///
    /// cold evicts the files of --model and --evict, and those that the server had open or mapped in its first start.
    #[arg(long, value_name = "STATE", default_value = "both")]
    page_cache: Before,
    /// File or folder that a cold start reads from storage. Repeatable.
    #[arg(long, value_name = "PATH", requires = "spawn")]
    evict: Vec<PathBuf>,
    /// Path that answers with 2xx once the server is ready (plain HTTP) [default: the first successful answer counts].
    #[arg(long, value_name = "PATH", requires = "spawn")]
    ready_path: Option<String>,
    /// Maximum time after the first answer to look for a warm server, in seconds.
    #[arg(long, value_name = "S", default_value_t = 5.0)]
    warm_seconds: f64,
    /// Measure only the start, and send no load.
    #[arg(long, requires = "spawn")]
    pub(super) start_up_only: bool,
}

impl StartUpFlags {
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
                "--ready-path is for plain HTTP; this protocol has health requests of its own",
                "omit --ready-path",
            ));
        }
        if self.ready_path.as_ref().is_some_and(|p| !p.starts_with('/')) {
            return Err(hinted(
                "--ready-path must begin with `/`",
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

/// Writes `start_up.json` and prints it.
pub(super) fn save(target: &str, part: StartUpPart, folder: &Path) -> Result<()> {
    let file = StartUpFile {
        schema: START_UP.into(),
        tool: TOOL.into(),
        target: target.into(),
        start_up: part,
    };
    emit(&render::json::pretty(&file)?, Some(&folder.join("start_up.json")))?;
    emit(&render::text::start_up(&file, folder), None)
}
