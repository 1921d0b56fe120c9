//! Starts of a server, several times for each state of the page cache.

use super::{Observer, StudyError, Switch};
use crate::schema::{PageCache, StartUpPart};
use crate::startup::{POLLS, Spec, StartError, Started, start};
use crate::target::TargetError;
use std::path::PathBuf;

/// Which starts are made.
#[derive(Clone, Debug)]
pub struct Starts {
    /// What is started, and how it is spoken to.
    pub spec: Spec,
    /// States of the page cache, one after another.
    pub states: Vec<PageCache>,
    /// Starts for each state, after a first one that does not count.
    pub repeats: u16,
    /// Files that the server is known to read.
    pub known: Vec<PathBuf>,
    /// The folder for what the server prints.
    pub logs: PathBuf,
}

/// Starts, and the server of the last one.
pub struct StartUps {
    /// What the starts were.
    pub part: StartUpPart,
    /// Goes on running until it is dropped; `None` after an interruption.
    pub last: Option<Started>,
}

impl Starts {
    /// Starts the server as often as wanted; the last one goes on running.
    pub fn measure(
        mut self,
        stop: &Switch,
        observer: &mut dyn Observer,
    ) -> Result<StartUps, StudyError> {
        let plan = self.plan();
        observer.begin("starting the server");
        let (mut starts, mut last): (Vec<_>, Option<Started>) = (Vec::new(), None);
        let (mut prepared, mut interrupted) = (None, false);
        for (i, (cache, log)) in plan.iter().enumerate() {
            observer.progress(i as f64 / plan.len() as f64);
            // The one before ends first: both listen on the same port.
            drop(last.take());
            let log = self.logs.join(log);
            match start(&self.spec, &log, *cache, &self.known, prepared.as_ref(), stop) {
                Ok(started) => {
                    if *cache == PageCache::Unknown {
                        self.known.extend(started.group.files());
                        self.known = distinct(std::mem::take(&mut self.known));
                        prepared = Some(started.prepared.clone());
                    }
                    starts.push(started.start.clone());
                    last = Some(started);
                }
                Err(StartError::Interrupted) => {
                    interrupted = true;
                    break;
                }
                Err(StartError::Target(TargetError { message, hint })) => {
                    let hint = format!("{hint}; all it printed is in {}", log.display());
                    return Err(TargetError { message, hint }.into());
                }
            }
        }
        observer.end();
        let (command, notes) = (&self.spec.command, self.notes());
        Ok(StartUps { part: StartUpPart::new(command, POLLS, starts, interrupted, notes), last })
    }

    /// The state of the page cache before each start, and the file for what the server prints.
    fn plan(&self) -> Vec<(PageCache, String)> {
        let mut plan = vec![(PageCache::Unknown, "start-0.log".to_owned())];
        for cache in &self.states {
            plan.extend((1..=self.repeats).map(|n| (*cache, format!("start-{cache}-{n}.log"))));
        }
        plan
    }

    fn notes(&self) -> Vec<String> {
        let silent = self.spec.url.protocol.is_plain() && self.spec.ready_path.is_none();
        let note = "plain HTTP has no readiness request: the first successful answer counts as model ready; \
             --ready-path names one";
        silent.then(|| note.to_owned()).into_iter().collect()
    }
}

fn distinct(mut files: Vec<PathBuf>) -> Vec<PathBuf> {
    for file in &mut files {
        if let Ok(whole) = file.canonicalize() {
            *file = whole;
        }
    }
    files.sort();
    files.dedup();
    files
}
