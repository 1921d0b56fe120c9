//! Prompts of a wanted number of tokens, and requests around them.
//!
//! A prompt is made of short words that most vocabularies hold as one token. What a word takes is measured with the
//! server's own count before the load. No two prompts begin alike behind the part that they share, so that a cache of
//! prefixes finds that part and nothing else.

use super::answer::prompt_tokens;
use super::{Asker, Endpoint, TargetError};
use crate::connector::{Answer, Encoded};
use crate::data::Order;
use crate::http::Request;
use crate::random::{Random, mix, unlike_others};
use crate::target::requests::{Drawn, Source};
use crate::trace::{Size, Trace};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A prompt of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The members of the request that it gives: `prompt`, `messages` or `input`, and others beside them.
    pub members: Map<String, Value>,
}

/// How prompts to a language model are made.
#[derive(Clone, Debug, PartialEq)]
pub struct Language {
    /// The model to ask for; that of the server where it has one.
    pub model: Option<String>,
    /// Tokens of requests and answers; a trace may give others.
    pub size: Size,
    /// Tokens at the beginning that all prompts share.
    pub shared: u64,
    /// Prompts to send in turn in place of generated ones.
    pub lines: Vec<Line>,
    /// Members that every request has, in place of those that would be there.
    pub members: Map<String, Value>,
    /// A trace that gives the size of each request.
    pub trace: Option<Arc<Trace>>,
}

impl Default for Language {
    fn default() -> Self {
        let size = Size { input: 128, output: 64 };
        Self { model: None, size, shared: 0, lines: Vec::new(), members: Map::new(), trace: None }
    }
}

/// Words of four letters, so that prompts of as many words are as long.
const WORDS: [&str; 64] = [
    "time", "year", "work", "life", "part", "hand", "home", "name", "room", "side", "book", "area",
    "word", "head", "idea", "body", "back", "door", "line", "team", "mind", "city", "kind", "face",
    "game", "form", "food", "data", "land", "rest", "case", "week", "road", "role", "plan", "wall",
    "tree", "fire", "girl", "bird", "fish", "wind", "rain", "snow", "gold", "iron", "wood", "rock",
    "sand", "lake", "ship", "boat", "farm", "park", "shop", "bank", "bill", "card", "cost", "deal",
    "test", "text", "type", "view",
];
/// Words that tell one prompt from all others: 64^11 are more than 2^64.
const OWN: usize = 11;
/// Bytes of a word and the blank behind it.
const WIDTH: usize = 5;
/// Tokens of a generated prompt, at most.
const LONGEST: u64 = 1 << 21;

/// Makes requests.
#[derive(Debug)]
pub(crate) struct Prompts {
    template: Template,
    words: Words,
    size: Size,
    /// Words that fill prompts, in one text.
    filler: String,
    lines: Vec<Line>,
    trace: Option<Arc<Trace>>,
    /// Requests so far.
    made: AtomicU64,
    /// Of this process, so that a cache holds no prompt of an earlier run.
    salt: u64,
}

/// A request without its prompt.
#[derive(Debug)]
struct Template {
    endpoint: Endpoint,
    path: String,
    authority: String,
    headers: Vec<(String, String)>,
    members: Map<String, Value>,
    /// Whether the server can be told not to end an answer early.
    to_the_end: bool,
}

/// What words take, by the server's count.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Words {
    /// Tokens of a prompt without words: those of the template.
    fixed: f64,
    /// Tokens of a word.
    each: f64,
    /// Words that all prompts share.
    shared: usize,
}

impl Words {
    fn of(self, tokens: u64) -> usize {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let words = ((tokens as f64 - self.fixed) / self.each).round().max(1.0) as usize;
        words
    }
}

impl Prompts {
    /// Measures what words take, by asking the server with `ask`.
    pub(super) fn new(
        asker: &Asker<'_>,
        endpoint: Endpoint,
        path: &str,
        model: &str,
        platform: &str,
        ask: &dyn Fn(&Encoded) -> Result<Answer, TargetError>,
    ) -> Result<Self, TargetError> {
        let options = &asker.options;
        let language = &options.language;
        let mut headers = options.headers.clone();
        headers.push(("Content-Type".into(), "application/json".into()));
        headers.push(("Accept".into(), "text/event-stream, application/json".into()));
        let mut members = Map::from_iter([("model".to_owned(), json!(model))]);
        members.extend(language.members.clone());
        let platform = platform.to_ascii_lowercase();
        let template = Template {
            endpoint,
            path: path.into(),
            authority: asker.connector.authority().into(),
            headers,
            members,
            to_the_end: ["vllm", "llamacpp", "sglang"].iter().any(|p| platform.contains(p)),
        };
        let mut prompts = Self {
            template,
            words: Words { fixed: 0.0, each: 1.0, shared: 0 },
            size: language.size,
            filler: String::new(),
            lines: language.lines.clone(),
            trace: language.trace.clone(),
            made: AtomicU64::new(0),
            salt: unlike_others(),
        };
        if !prompts.lines.is_empty() {
            return Ok(prompts);
        }
        prompts.generated(language, options.seed, ask)?;
        Ok(prompts)
    }

    /// Measures what words take, and fills in as many as the longest prompt has.
    fn generated(
        &mut self,
        language: &Language,
        seed: u64,
        ask: &dyn Fn(&Encoded) -> Result<Answer, TargetError>,
    ) -> Result<(), TargetError> {
        let sizes = language.trace.iter().flat_map(|trace| &trace.sizes);
        let longest = sizes.map(|size| size.input).fold(language.size.input, u64::max);
        if longest > LONGEST || language.shared > LONGEST {
            return Err(TargetError::new(
                format!(
                    "a prompt of {longest} tokens is longer than {LONGEST}, the most that is generated"
                ),
                "give a smaller --prompt-tokens",
            ));
        }
        self.fill(seed, SMALL[1]);
        self.words = self.measured(ask)?;
        let most = self.words.of(longest).max(self.words.of(language.shared));
        self.fill(seed, most);
        if language.size.input as f64 <= self.words.fixed {
            return Err(TargetError::new(
                format!(
                    "--prompt-tokens {}: the server's template alone has {:.0} tokens",
                    language.size.input, self.words.fixed
                ),
                "give a larger number, or ask for completions: openai+http://HOST/v1/completions",
            ));
        }
        if language.shared > 0 {
            self.words.shared = self.words.of(language.shared);
            if language.shared >= language.size.input {
                return Err(TargetError::new(
                    format!(
                        "--shared-tokens {} of prompts of {}",
                        language.shared, language.size.input
                    ),
                    "a prompt needs some tokens of its own",
                ));
            }
        }
        Ok(())
    }

    /// As many words as the longest prompt has.
    fn fill(&mut self, seed: u64, words: usize) {
        let mut random = Random::new(seed ^ 0x7072_6f6d_7074_0001);
        self.filler = String::with_capacity(words * WIDTH);
        for _ in 0..words {
            self.filler.push_str(word(random.next()));
            self.filler.push(' ');
        }
    }

    /// Two prompts say what a word takes and what the template does.
    fn measured(
        &self,
        ask: &dyn Fn(&Encoded) -> Result<Answer, TargetError>,
    ) -> Result<Words, TargetError> {
        let mut counts = [0.0; 2];
        for (count, words) in counts.iter_mut().zip(SMALL) {
            let text = self.text(words, self.made.fetch_add(1, Ordering::Relaxed));
            let body = self.template.body(&text, 1, false);
            let answer = ask(&Encoded::Http(self.template.request(&body)))?;
            let tokens = prompt_tokens(&answer.body).ok_or_else(|| {
                TargetError::new(
                    "the server does not report the tokens of a prompt",
                    "prompts of a number of tokens cannot be made: give them with --prompts FILE.jsonl",
                )
            })?;
            *count = tokens as f64;
        }
        let each = (counts[1] - counts[0]) / (SMALL[1] - SMALL[0]) as f64;
        if each < 0.1 {
            return Err(TargetError::new(
                format!(
                    "the server counts {} and {} tokens for {} and {} words",
                    counts[0], counts[1], SMALL[0], SMALL[1]
                ),
                "give prompts with --prompts FILE.jsonl",
            ));
        }
        Ok(Words { fixed: (counts[0] - each * SMALL[0] as f64).max(0.0), each, shared: 0 })
    }

    /// A prompt of so many words like no other.
    fn text(&self, words: usize, number: u64) -> String {
        let shared = self.words.shared.min(words.saturating_sub(1));
        let own = OWN.min(words - shared);
        let cut = |from: usize, to: usize| {
            let end = (to * WIDTH).min(self.filler.len());
            self.filler.get(from * WIDTH..end).unwrap_or_default()
        };
        let mut text = String::with_capacity(words * WIDTH);
        text.push_str(cut(0, shared));
        let mut name = mix(self.salt ^ number);
        for _ in 0..own {
            text.push_str(word(name));
            text.push(' ');
            name >>= 6;
        }
        text.push_str(cut(shared + own, words));
        text.truncate(text.trim_end().len());
        text
    }

    /// The next request; number `number` of the load, of the size that a trace gives for it.
    fn next(&self, number: u64) -> Request {
        let traced = self.trace.as_ref().and_then(|trace| trace.size(number));
        self.sized(number, traced.unwrap_or(self.size))
    }

    fn sized(&self, number: u64, size: Size) -> Request {
        let count = self.lines.len() as u64;
        let line = number.checked_rem(count).and_then(|n| usize::try_from(n).ok());
        let body = match line.and_then(|n| self.lines.get(n)) {
            Some(line) => self.template.with(&line.members, size.output, true),
            None => {
                let made = self.made.fetch_add(1, Ordering::Relaxed);
                self.template.body(&self.text(self.words.of(size.input), made), size.output, true)
            }
        };
        self.template.request(&body)
    }
}

impl Source for Prompts {
    fn request(&self, number: u64) -> Result<Encoded, TargetError> {
        Ok(Encoded::Http(self.next(number)))
    }

    fn inputs(&self) -> Drawn {
        let count = if self.lines.is_empty() { PROMPTS } else { self.lines.len() as u64 };
        Drawn { count, each: 1, order: Order::Sequential, data: !self.lines.is_empty() }
    }

    fn is_slow(&self) -> bool {
        false
    }
}

/// Different prompts that are generated: more than any load has.
const PROMPTS: u64 = 1 << 53;
/// Words of the prompts that are measured.
const SMALL: [usize; 2] = [16, 48];

fn word(number: u64) -> &'static str {
    usize::try_from(number % WORDS.len() as u64).ok().and_then(|i| WORDS.get(i)).map_or("", |w| w)
}

impl Template {
    fn request(&self, body: &[u8]) -> Request {
        Request::new("POST", &self.path, &self.authority, &self.headers, body)
    }

    /// A body with a prompt of plain text.
    fn body(&self, text: &str, output: u64, stream: bool) -> Vec<u8> {
        let prompt = match self.endpoint {
            Endpoint::Chat => ("messages", json!([{"role": "user", "content": text}])),
            Endpoint::Completion => ("prompt", json!(text)),
            Endpoint::Embedding => ("input", json!(text)),
        };
        let members = Map::from_iter([(prompt.0.to_owned(), prompt.1)]);
        self.with(&members, output, stream)
    }

    /// A body with the members of a prompt, which replace those of every request.
    fn with(&self, prompt: &Map<String, Value>, output: u64, stream: bool) -> Vec<u8> {
        let mut all = Map::new();
        if self.endpoint != Endpoint::Embedding {
            all.insert("max_tokens".into(), json!(output));
            if self.to_the_end {
                all.insert("ignore_eos".into(), json!(true));
            }
        }
        all.extend(self.members.clone());
        all.extend(prompt.clone());
        if self.endpoint != Endpoint::Embedding {
            all.insert("stream".into(), json!(stream));
            if stream {
                all.insert("stream_options".into(), json!({"include_usage": true}));
            }
        }
        Value::Object(all).to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn prompts() -> Prompts {
        let mut made = Prompts {
            template: Template {
                endpoint: Endpoint::Chat,
                path: "/v1/chat/completions".into(),
                authority: "h".into(),
                headers: Vec::new(),
                members: Map::from_iter([("model".to_owned(), json!("m"))]),
                to_the_end: true,
            },
            words: Words { fixed: 7.0, each: 1.0, shared: 0 },
            size: Size { input: 100, output: 20 },
            filler: String::new(),
            lines: Vec::new(),
            trace: None,
            made: AtomicU64::new(0),
            salt: 5,
        };
        made.fill(1, 200);
        made
    }

    fn body(request: &Request) -> Value {
        let text = String::from_utf8(request.bytes.to_vec()).unwrap();
        serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    #[test]
    fn words_are_alike_and_apart() {
        let all: BTreeSet<&str> = WORDS.into_iter().collect();
        assert!(all.len() == 64 && all.iter().all(|w| w.len() + 1 == WIDTH));
    }

    #[test]
    fn prompts_have_the_wanted_words_and_differ_from_the_start() {
        let mut made = prompts();
        let text = |made: &Prompts, size: Option<Size>| {
            let body = body(&made.sized(0, size.unwrap_or(made.size)));
            body["messages"][0]["content"].as_str().unwrap().to_owned()
        };
        let (a, b) = (text(&made, None), text(&made, None));
        assert_eq!(a.split(' ').count(), 93);
        assert_eq!(a.len(), b.len());
        let alike = a.split(' ').zip(b.split(' ')).take_while(|(a, b)| a == b).count();
        assert!(alike < 6, "{a} {b}");
        let long = text(&made, Some(Size { input: 150, output: 1 }));
        assert_eq!(long.split(' ').count(), 143);
        assert_eq!(text(&made, Some(Size { input: 1, output: 1 })).split(' ').count(), 1);
        made.words.shared = 60;
        let (a, b) = (text(&made, None), text(&made, None));
        let alike = a.split(' ').zip(b.split(' ')).take_while(|(a, b)| a == b).count();
        assert!((60..66).contains(&alike), "{alike}");
    }

    #[test]
    fn a_request_asks_for_a_stream_with_its_usage() {
        let mut made = prompts();
        let own = body(&made.next(0));
        assert_eq!(
            (&own["max_tokens"], &own["stream"], &own["model"]),
            (&json!(20), &json!(true), &json!("m"))
        );
        assert_eq!(own["stream_options"]["include_usage"], true);
        assert_eq!(own["ignore_eos"], true);
        made.template.members.insert("ignore_eos".into(), json!(false));
        let line = |text: &str| Line { members: serde_json::from_str(text).unwrap() };
        made.lines = vec![line(r#"{"messages":[],"max_tokens":3}"#), line(r#"{"messages":[1]}"#)];
        let (a, b) = (body(&made.next(4)), body(&made.next(5)));
        assert_eq!((&a["max_tokens"], &b["max_tokens"]), (&json!(3), &json!(20)));
        assert_eq!((&b["messages"], &b["ignore_eos"]), (&json!([1]), &json!(false)));
    }
}
