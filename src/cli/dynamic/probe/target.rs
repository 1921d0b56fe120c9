//! What requests go to, and how: the flags that `probe` and `batching` share.

use super::client::ClientFlags;
use super::language::LanguageFlags;
use super::model;
use super::requests::RequestFlags;
use super::{failed, hinted, time};
use crate::probe::target::{Options, Prepared, Url};
use crate::probe::trace::Trace;
use crate::runtime::Runtime;
use anyhow::Result;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A target, its requests and their client.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct TargetFlags {
    /// URL of a server, or a model to run in this process.
    #[arg(value_name = "TARGET", help_heading = None::<&str>)]
    pub(super) url: String,
    #[command(flatten)]
    pub(super) requests: RequestFlags,
    #[command(flatten)]
    language: LanguageFlags,
    #[command(flatten)]
    pub(super) client: ClientFlags,
}

impl TargetFlags {
    /// The runtime and the model's file of a target in this process.
    pub(super) fn in_process_model(&self) -> Option<(Runtime, &Path)> {
        let (runtime, path) = self.url.split_once(':')?;
        Some((Runtime::named(runtime)?, Path::new(path)))
    }

    /// Whether the target's protocol is that of language models.
    pub(super) fn is_language_model(&self) -> bool {
        Url::parse(&self.url).is_ok_and(|url| url.protocol.counts_tokens())
    }

    /// From when a request is scheduled until it counts as failed.
    pub(super) fn timeout(&self) -> Result<Duration> {
        self.client.timeout(if self.is_language_model() { 120.0 } else { 10.0 })
    }

    /// The target with its requests encoded. The `batch` is that of --batch where it was `asked` for; a `trace`
    /// may give the size of each request.
    pub(super) fn prepare(
        &self,
        batch: i64,
        asked: bool,
        inline: bool,
        trace: Option<&Arc<Trace>>,
    ) -> Result<Prepared> {
        let prepared = if let Some(model) = self.in_process_model() {
            model::in_process(&self.url, model, &self.requests, &self.client, batch, inline)?
        } else {
            let url = Url::parse(&self.url).map_err(failed)?;
            if let Some(patience) = self.client.patience {
                url.wait(time("--patience", patience)?);
            }
            Prepared::remote(&url, &self.options(batch, trace)?).map_err(failed)?
        };
        // Rows that are given are a batch where none is asked for.
        if asked && prepared.batch != batch {
            return Err(hinted(
                format!("--batch is {batch}, but --input has {} rows", prepared.batch),
                "omit one of the two",
            ));
        }
        Ok(prepared)
    }

    /// How requests to a server are made.
    pub(super) fn options(&self, batch: i64, trace: Option<&Arc<Trace>>) -> Result<Options> {
        let members = self.requests.json.as_deref().filter(|_| self.is_language_model());
        Ok(Options {
            language: self.language.language(members, trace.cloned())?,
            address: self.client.address,
            patience: self.client.patience()?,
            ..self.requests.options(batch)?
        })
    }
}
