//! What an answer says: pieces of text as they arrive, tokens as the server counts them, and whether it ended well.

use crate::connector::excerpt;
use crate::record::Fault;
use crate::stream::Failure;
use crate::target::events::{Event, Events};
use crate::target::protocol::{Heard, Reader};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

/// An event of a stream, or the whole of an answer that is none.
#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    timings: Option<Timings>,
    #[serde(default)]
    error: Option<Value>,
    /// Embeddings.
    #[serde(default)]
    data: Option<Vec<IgnoredAny>>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Option<Delta>,
    /// Of completions.
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    finish_reason: Option<Finish>,
}

/// What a chat adds: text, text of its reasoning under two names, or calls of tools.
#[derive(Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    reasoning_content: Option<String>,
    #[serde(default)]
    reasoning: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<IgnoredAny>>,
}

/// Why an answer ended.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Finish {
    /// The server gave it up.
    Abort,
    /// The server failed.
    Error,
    /// The model ended it, or its length.
    #[serde(other)]
    Ended,
}

#[derive(Clone, Copy, Default, Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens_details: Option<Details>,
}

#[derive(Clone, Copy, Default, Deserialize)]
struct Details {
    #[serde(default)]
    cached_tokens: Option<u64>,
}

/// What llama.cpp adds to an answer: tokens and milliseconds of its two phases.
#[derive(Clone, Copy, Default, Deserialize)]
struct Timings {
    #[serde(default)]
    cache_n: Option<u64>,
    #[serde(default)]
    prompt_n: Option<u64>,
    #[serde(default)]
    prompt_ms: Option<f64>,
    #[serde(default)]
    predicted_n: Option<u64>,
    #[serde(default)]
    predicted_ms: Option<f64>,
}

impl Choice {
    /// Whether it adds text.
    fn has_text(&self) -> bool {
        let some = |text: &Option<String>| text.as_ref().is_some_and(|t| !t.is_empty());
        let delta = self.delta.as_ref().is_some_and(|d| {
            let calls = d.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty());
            some(&d.content) || some(&d.reasoning_content) || some(&d.reasoning) || calls
        });
        delta || some(&self.text)
    }
}

/// Tokens and stages, as far as an answer reports them; a later report replaces an earlier one.
#[derive(Default)]
struct Counted {
    usage: Usage,
    timings: Timings,
}

impl Counted {
    fn take(&mut self, message: &Message) {
        self.usage = message.usage.unwrap_or(self.usage);
        self.timings = message.timings.unwrap_or(self.timings);
    }

    fn fill(&self, heard: &mut Heard) {
        let (usage, timings) = (&self.usage, &self.timings);
        let cached = usage.prompt_tokens_details.and_then(|d| d.cached_tokens);
        heard.pieces.cached = cached.or(timings.cache_n);
        let both = timings.prompt_n.map(|n| n.saturating_add(timings.cache_n.unwrap_or(0)));
        heard.pieces.input = usage.prompt_tokens.or(both);
        heard.pieces.output = usage.completion_tokens.or(timings.predicted_n);
        let stages = [("prefill", timings.prompt_ms), ("generation", timings.predicted_ms)];
        for (name, milliseconds) in stages {
            let known = milliseconds.filter(|ms| ms.is_finite() && *ms >= 0.0);
            // Durations beyond five centuries end there.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            heard.stages.extend(known.map(|ms| (name, (ms * 1e6).round() as u64)));
        }
    }
}

/// An answer that is streamed as events.
#[derive(Default)]
pub(super) struct Stream {
    events: Events,
    state: State,
    /// How it begins, for a message where it holds no event.
    beginning: Vec<u8>,
    /// When the last piece arrived.
    last: u64,
}

#[derive(Default)]
struct State {
    heard: Heard,
    counted: Counted,
    /// Events with a choice or a count in them.
    events: u64,
    /// The model's answer is whole.
    finished: bool,
    /// The stream says that it is.
    ended: bool,
}

/// Bytes of a beginning that are kept.
const BEGINNING: usize = 400;

impl State {
    fn event(&mut self, event: &Event<'_>, now: u64) {
        if self.heard.fault.is_some() {
            return;
        }
        if event.data.trim_ascii() == b"[DONE]" {
            self.ended = true;
            return;
        }
        if event.error {
            self.heard.fault = Some((Fault::ErrorEvent, excerpt(event.data)));
            return;
        }
        let message: Message = match serde_json::from_slice(event.data) {
            Ok(message) => message,
            Err(error) => {
                let text =
                    format!("an event is not what was expected: {error}: {}", excerpt(event.data));
                self.heard.fault = Some((Fault::Malformed, text));
                return;
            }
        };
        self.events += 1;
        if let Some(error) = &message.error {
            self.heard.fault = Some((Fault::ErrorEvent, excerpt(error.to_string().as_bytes())));
            return;
        }
        self.counted.take(&message);
        if message.choices.iter().any(Choice::has_text) {
            self.heard.pieces.instants.push(now);
        }
        for choice in &message.choices {
            match choice.finish_reason {
                Some(Finish::Ended) => self.finished = true,
                Some(Finish::Abort | Finish::Error) => {
                    let text = format!("the server gave the answer up: {}", excerpt(event.data));
                    self.heard.fault = Some((Fault::ErrorEvent, text));
                }
                None => {}
            }
        }
    }

    /// What is wrong with a stream that is over.
    fn missing(&self, beginning: &[u8]) -> Option<Failure> {
        let pieces = self.heard.pieces.instants.len();
        if self.events == 0 && !self.ended {
            let text = format!("the answer holds no event: {}", excerpt(beginning));
            return Some((Fault::Malformed, text));
        }
        let text = match (self.finished, self.ended) {
            (false, _) => {
                format!("the stream ended without a finish_reason, after {pieces} pieces")
            }
            (true, false) => format!("the stream ended without [DONE], after {pieces} pieces"),
            (true, true) if pieces == 0 => {
                return Some((Fault::WrongAnswer, "the answer has no text".into()));
            }
            (true, true) => return None,
        };
        Some((Fault::Unfinished, text))
    }
}

impl Reader for Stream {
    fn hear(&mut self, piece: &[u8], now: u64) {
        let room = BEGINNING.saturating_sub(self.beginning.len()).min(piece.len());
        self.beginning.extend_from_slice(&piece[..room]);
        self.last = now;
        let state = &mut self.state;
        if let Err(error) = self.events.feed(piece, &mut |event| state.event(event, now)) {
            state.heard.fault.get_or_insert((Fault::TooLarge, error.to_string()));
        }
    }

    fn end(mut self: Box<Self>) -> Heard {
        let state = &mut self.state;
        // The last event may lack its empty line.
        let last = self.last;
        let _ = self.events.end(&mut |event| state.event(event, last));
        let missing = state.missing(&self.beginning);
        let mut heard = std::mem::take(&mut state.heard);
        heard.fault = heard.fault.take().or(missing);
        state.counted.fill(&mut heard);
        heard
    }

    fn failure(&self) -> Option<Failure> {
        self.state.heard.fault.clone()
    }
}

/// An answer that is one message.
#[derive(Default)]
pub(super) struct Whole(Vec<u8>);

impl Reader for Whole {
    fn hear(&mut self, piece: &[u8], _: u64) {
        self.0.extend_from_slice(piece);
    }

    fn end(self: Box<Self>) -> Heard {
        let mut heard = Heard::default();
        match serde_json::from_slice::<Message>(&self.0) {
            Err(error) => {
                let text =
                    format!("not the answer that was expected: {error}: {}", excerpt(&self.0));
                heard.fault = Some((Fault::Malformed, text));
            }
            Ok(message) => {
                if let Some(error) = message.error {
                    heard.fault = Some((Fault::WrongAnswer, excerpt(error.to_string().as_bytes())));
                } else if message.choices.is_empty() && message.data.is_none_or(|d| d.is_empty()) {
                    let text = format!("the answer holds nothing: {}", excerpt(&self.0));
                    heard.fault = Some((Fault::WrongAnswer, text));
                }
                let (usage, timings) = (message.usage, message.timings);
                let counted = Counted {
                    usage: usage.unwrap_or_default(),
                    timings: timings.unwrap_or_default(),
                };
                counted.fill(&mut heard);
            }
        }
        heard
    }

    fn failure(&self) -> Option<Failure> {
        None
    }
}

/// The tokens that a whole answer says the request had.
pub(super) fn prompt_tokens(body: &[u8]) -> Option<u64> {
    let message: Message = serde_json::from_slice(body).ok()?;
    let mut heard = Heard::default();
    let mut counted = Counted::default();
    counted.take(&message);
    counted.fill(&mut heard);
    heard.pieces.input
}

/// Any bytes as a streamed answer: cut in two by the first byte, and whole, they say the same.
#[cfg(any(test, fuzzing))]
pub(in crate::load) fn fuzz(data: &[u8]) {
    let [cut, text @ ..] = data else { return };
    let cut = usize::from(*cut).min(text.len());
    let read = |pieces: &[&[u8]]| {
        let mut stream = Box::new(Stream::default());
        for (piece, now) in pieces.iter().zip(1..) {
            stream.hear(piece, now);
        }
        stream.end()
    };
    let (whole, parts) = (read(&[text]), read(&[&text[..cut], &text[cut..]]));
    assert_eq!(whole.fault, parts.fault);
    assert_eq!(whole.pieces.instants.len(), parts.pieces.instants.len());
    assert_eq!(
        (whole.pieces.input, whole.pieces.output),
        (parts.pieces.input, parts.pieces.output)
    );
    let mut one = Box::new(Whole::default());
    one.hear(text, 1);
    let _ = (one.end(), prompt_tokens(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":null},"finish_reason":null}]}"#;
    const HI: &str = r#"{"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}"#;
    const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#;
    const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":4}}}"#;

    fn read(events: &[&str]) -> Heard {
        let mut stream = Box::new(Stream::default());
        for (event, now) in events.iter().zip(1..) {
            stream.hear(format!("data: {event}\n\n").as_bytes(), 10 * now);
        }
        stream.end()
    }

    #[test]
    fn pieces_and_tokens_are_told_apart() {
        let heard = read(&[TEXT, HI, HI, STOP, USAGE, "[DONE]"]);
        assert_eq!(heard.fault, None);
        assert_eq!(heard.pieces.instants, [20, 30]);
        let pieces = &heard.pieces;
        assert_eq!((pieces.input, pieces.cached, pieces.output), (Some(9), Some(4), Some(3)));
    }

    #[test]
    fn timings_of_llama_cpp_are_stages_and_counts() {
        let last = r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"timings":{"cache_n":2,"prompt_n":5,"prompt_ms":1.5,"predicted_n":8,"predicted_ms":20.25}}"#;
        let heard = read(&[HI, last, "[DONE]"]);
        assert_eq!(heard.stages, [("prefill", 1_500_000), ("generation", 20_250_000)]);
        let pieces = &heard.pieces;
        assert_eq!((pieces.input, pieces.cached, pieces.output), (Some(7), Some(2), Some(8)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let kind = |events: &[&str]| read(events).fault.map(|(fault, _)| fault);
        assert_eq!(kind(&[HI, STOP]), Some(Fault::Unfinished));
        assert_eq!(kind(&[HI, "[DONE]"]), Some(Fault::Unfinished));
        assert_eq!(kind(&[HI]), Some(Fault::Unfinished));
        assert_eq!(kind(&[TEXT, STOP, "[DONE]"]), Some(Fault::WrongAnswer));
        let error = r#"{"error":{"message":"out of memory","code":500}}"#;
        assert_eq!(kind(&[HI, error, STOP, "[DONE]"]), Some(Fault::ErrorEvent));
        let abort = r#"{"choices":[{"delta":{},"finish_reason":"abort"}]}"#;
        assert_eq!(kind(&[HI, abort, "[DONE]"]), Some(Fault::ErrorEvent));
        assert_eq!(kind(&[HI, "{broken", STOP, "[DONE]"]), Some(Fault::Malformed));
        let mut plain = Box::new(Stream::default());
        plain.hear(br#"{"detail":"no such model"}"#, 1);
        let (fault, text) = plain.end().fault.unwrap();
        assert!(fault == Fault::Malformed && text.contains("no such model"), "{text}");
    }

    #[test]
    fn completions_reasoning_and_tools_are_text() {
        for text in [
            r#"{"choices":[{"text":"x"}]}"#,
            r#"{"choices":[{"delta":{"reasoning_content":"x"}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#,
        ] {
            assert_eq!(read(&[text, STOP, "[DONE]"]).pieces.instants.len(), 1, "{text}");
        }
    }

    #[test]
    fn embeddings_count_what_they_were_asked() {
        let read = |text: &str| {
            let mut whole = Box::new(Whole::default());
            whole.hear(text.as_bytes(), 1);
            whole.end()
        };
        let good =
            read(r#"{"data":[{"embedding":[0.5]}],"usage":{"prompt_tokens":6,"total_tokens":6}}"#);
        assert_eq!((good.fault, good.pieces.input), (None, Some(6)));
        for wrong in ["{}", r#"{"data":[]}"#, r#"{"error":"x"}"#, "x"] {
            assert!(read(wrong).fault.is_some(), "{wrong}");
        }
    }
}
