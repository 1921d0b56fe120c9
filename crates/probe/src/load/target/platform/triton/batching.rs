//! Triton's own batching, changed through its model repository API and put back.

use super::super::{Control, Platform};
use super::configuration;
use crate::connector::{Encoded, Transport};
use crate::http::Request;
use crate::record::Fault;
use crate::target::asker::Asker;
use crate::target::{Options, Prepared, TargetError, Url, explain};
use serde_json::{Value, json};
use std::cell::Cell;
use std::fmt;
use std::time::Duration;

/// A setting of the server's own batching.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// As the server has it.
    AsFound,
    /// Each request is an execution of its own.
    Off,
    /// Requests wait at most so long for others, up to the first of these batch sizes that is reached.
    On(Duration, Vec<u32>),
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsFound => f.write_str("as-found"),
            Self::Off => f.write_str("off"),
            Self::On(delay, preferred) => {
                let micros = delay.as_micros();
                if micros.is_multiple_of(1000) {
                    write!(f, "delay={}ms", micros / 1000)?;
                } else {
                    write!(f, "delay={micros}us")?;
                }
                let sizes: Vec<String> = preferred.iter().map(ToString::to_string).collect();
                if sizes.is_empty() { Ok(()) } else { write!(f, ",preferred={}", sizes.join("+")) }
            }
        }
    }
}

/// The batching of one model of a Triton server in explicit model control mode. What was changed is
/// put back when it is dropped.
pub struct Batching<'a> {
    asker: Asker<'a>,
    model: String,
    found: Value,
    changed: Cell<bool>,
}

impl<'a> Batching<'a> {
    /// Asks for the model's configuration.
    pub fn new(
        url: &'a Url,
        prepared: &'a Prepared,
        options: &'a Options,
    ) -> Result<Self, TargetError> {
        let grpc = url.protocol.transport() == Transport::Grpc;
        if let Some(refusal) = refused(prepared.serving, grpc) {
            return Err(refusal);
        }
        let (model, _) = url.model()?;
        let asker = Asker::new(url, options)?;
        let mut all = Self { asker, model, found: Value::Null, changed: false.into() };
        all.found = all.config()?;
        if all.found["max_batch_size"].as_u64().unwrap_or(0) < 2 {
            return Err(TargetError::new(
                format!(
                    "Triton forms no batches of `{}`: its max_batch_size is below 2",
                    all.model
                ),
                "raise max_batch_size in the model's config.pbtxt",
            ));
        }
        Ok(all)
    }

    /// The dynamic batching that was found, in words.
    pub fn found(&self) -> String {
        described(&self.found["dynamic_batching"])
    }

    /// Loads the model with a setting, and checks that it has it.
    pub fn set(&self, setting: &Setting) -> Result<(), TargetError> {
        let most = self.found["max_batch_size"].as_u64().unwrap_or(0);
        let mut config = self.found.clone();
        match setting {
            Setting::AsFound if !self.changed.get() => return Ok(()),
            Setting::AsFound => {}
            Setting::Off => {
                config.as_object_mut().and_then(|c| c.remove("dynamic_batching"));
            }
            Setting::On(delay, preferred) => {
                if let Some(size) = preferred.iter().find(|p| u64::from(**p) > most) {
                    return Err(TargetError::new(
                        format!("a preferred batch of {size} is more than the model's {most}"),
                        format!("sizes up to max_batch_size: preferred={most}"),
                    ));
                }
                config["dynamic_batching"] = json!({
                    "preferred_batch_size": preferred,
                    "max_queue_delay_microseconds": u64::try_from(delay.as_micros()).unwrap_or(u64::MAX),
                });
            }
        }
        self.load(&config)?;
        let (now, wanted) = (self.config()?, &config["dynamic_batching"]);
        if !has(&now["dynamic_batching"], wanted) {
            return Err(TargetError::new(
                format!("Triton took `{setting}` but has {}", described(&now["dynamic_batching"])),
                "see Triton's log",
            ));
        }
        Ok(())
    }

    /// Puts back what was found.
    pub fn restore(&self) -> Result<(), TargetError> {
        if self.changed.get() {
            self.load(&self.found)?;
            self.changed.set(false);
        }
        Ok(())
    }

    fn config(&self) -> Result<Value, TargetError> {
        let body = self.asker.get(&configuration(&self.model))?;
        body.and_then(|b| serde_json::from_slice(&b).ok()).ok_or_else(|| {
            TargetError::new(
                format!("Triton does not report the configuration of `{}`", self.model),
                "omit --server-batching",
            )
        })
    }

    fn load(&self, config: &Value) -> Result<(), TargetError> {
        let (asker, options) = (&self.asker, self.asker.options);
        let path = format!("/v2/repository/models/{}/load", self.model);
        let body = json!({"parameters": {"config": config.to_string()}}).to_string();
        let mut headers = options.headers.clone();
        headers.push(("Content-Type".into(), "application/json".into()));
        let authority = asker.connector.authority();
        let request = Request::new("POST", &path, authority, &headers, body.as_bytes());
        match asker.connector.ask(&Encoded::Http(request), options.patience) {
            Ok(_) => {
                self.changed.set(true);
                Ok(())
            }
            Err((Fault::Http(status), text)) => Err(TargetError::new(
                format!("Triton does not reload `{}`: status {status}, {text}", self.model),
                "start it with --model-control-mode=explicit --load-model=MODEL; without, its batching is as its config.pbtxt says, and a study of each needs a restart",
            )),
            Err(failure) => Err(explain(asker.url, &failure)),
        }
    }
}

impl Drop for Batching<'_> {
    fn drop(&mut self) {
        let _ = self.restore();
    }
}

/// Why a platform's batching stays as it is, and what to do.
fn refused(platform: Platform, grpc: bool) -> Option<TargetError> {
    let (message, hint) = match platform.batching().control {
        Control::Reload if grpc => (
            "the server's batching is changed over HTTP",
            "probe it over kserve+http://, at Triton's HTTP port",
        ),
        Control::Reload => return None,
        Control::Fixed { message, hint } => (message, hint),
    };
    Some(TargetError::new(message, hint))
}

/// Preferred sizes and the longest delay in microseconds of `dynamic_batching`.
fn parts(batching: &Value) -> Option<(Vec<u64>, u64)> {
    // Numbers of 64 bits are texts in some answers.
    let number = |v: &Value| v.as_u64().or_else(|| v.as_str()?.parse().ok());
    let sizes = batching["preferred_batch_size"].as_array().into_iter().flatten();
    let delay = number(&batching["max_queue_delay_microseconds"]).unwrap_or(0);
    (!batching.is_null()).then(|| (sizes.filter_map(number).collect(), delay))
}

/// Whether a model has the batching that was wanted; Triton prefers the largest batch where no size
/// is named.
fn has(now: &Value, wanted: &Value) -> bool {
    match (parts(now), parts(wanted)) {
        (Some(now), Some(wanted)) => {
            now.1 == wanted.1 && (wanted.0.is_empty() || now.0 == wanted.0)
        }
        (now, wanted) => now.is_none() && wanted.is_none(),
    }
}

/// `dynamic_batching` of a configuration, in words.
fn described(batching: &Value) -> String {
    let Some((sizes, delay)) = parts(batching) else { return "no dynamic batching".into() };
    let sizes: Vec<String> = sizes.iter().map(ToString::to_string).collect();
    let sizes = if sizes.is_empty() { "any size".into() } else { sizes.join(" or ") };
    format!("dynamic batching of {sizes} within {delay} µs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_configurations_in_words() {
        let on = Setting::On(Duration::from_micros(500), vec![4, 8]);
        assert_eq!(on.to_string(), "delay=500us,preferred=4+8");
        assert_eq!(Setting::On(Duration::from_millis(5), vec![]).to_string(), "delay=5ms");
        let text_of = |text: &str| described(&serde_json::from_str(text).unwrap());
        let own = r#"{"preferred_batch_size":[4,8],"max_queue_delay_microseconds":"500"}"#;
        assert_eq!(text_of(own), "dynamic batching of 4 or 8 within 500 µs");
        assert_eq!(text_of("{}"), "dynamic batching of any size within 0 µs");
        let value = |text: &str| serde_json::from_str(text).unwrap();
        let empty = value(r#"{"preferred_batch_size":[],"max_queue_delay_microseconds":500}"#);
        assert!(has(&value(own), &empty) && has(&Value::Null, &Value::Null));
        assert!(!has(&empty, &value(own)) && !has(&Value::Null, &empty));
        for hostile in ["null", "{\"preferred_batch_size\":7}", "[]", "\"x\""] {
            let _ = text_of(hostile);
        }
    }
}
