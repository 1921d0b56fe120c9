//! Traces in JSON Lines: an object to a line, of which one member is the time.

use super::{MOST_ARRIVALS, Size, Times, TraceError, date_time, names};
use serde_json::Value;
use std::io::BufRead;

/// Bytes of a line, at most: requests with the hashes of all their blocks have some kilobytes.
const LONGEST: u64 = if cfg!(fuzzing) { 1 << 12 } else { 16 << 20 };

/// Where the time stands.
struct Member {
    name: String,
    unit: Option<f64>,
    /// Date and time of day.
    written: bool,
}

pub(super) fn read(mut file: impl BufRead) -> Result<Times, TraceError> {
    let (mut seconds, mut member, mut format) = (Vec::new(), None, "plain");
    let (mut line, mut number, mut sizes) = (Vec::new(), 0u64, Vec::new());
    loop {
        line.clear();
        number += 1;
        let read = std::io::Read::take(&mut file, LONGEST).read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        let text = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line).trim_ascii();
        if text.is_empty() {
            continue;
        }
        let wrong = || TraceError::Line { line: number, text: excerpt(text) };
        if read as u64 >= LONGEST {
            return Err(wrong());
        }
        let value: Value = serde_json::from_slice(text).map_err(|_| wrong())?;
        if member.is_none() {
            let (found, own) =
                recognise(&value).ok_or_else(|| TraceError::Columns(excerpt(text)))?;
            (member, format) = (Some(found), own);
        }
        let time = member.as_ref().and_then(|member| time(&value, member));
        seconds.push(time.ok_or_else(wrong)?);
        sizes.extend(size(&value));
        if seconds.len() > MOST_ARRIVALS {
            return Err(TraceError::Large);
        }
    }
    let unit = member.filter(|member| !member.written).map(|member| member.unit);
    Ok(Times { format, seconds, sizes, unit })
}

/// The member that is the time, by the first object, and the name of the trace.
fn recognise(first: &Value) -> Option<(Member, &'static str)> {
    let (name, mut unit) = names().find(|(name, _)| first.get(name).is_some())?;
    let written = first[&name].is_string();
    let mooncake = first.get("input_length").is_some() && unit.is_none() && !written;
    if mooncake {
        unit = Some(1e-3);
    }
    Some((Member { name, unit, written }, if mooncake { "Mooncake" } else { "plain" }))
}

/// Tokens of the request and of its answer.
fn size(value: &Value) -> Option<Size> {
    let pairs = [("input_length", "output_length"), ("input_tokens", "output_tokens")];
    pairs.into_iter().find_map(|(input, output)| {
        Some(Size { input: value.get(input)?.as_u64()?, output: value.get(output)?.as_u64()? })
    })
}

fn time(value: &Value, member: &Member) -> Option<f64> {
    let value = value.get(&member.name)?;
    let time = if member.written { date_time(value.as_str()?) } else { value.as_f64() };
    time.filter(|time| time.is_finite())
}

/// A line as it may stand in a message.
fn excerpt(line: &[u8]) -> String {
    let short = &line[..line.len().min(400)];
    String::from_utf8_lossy(short).chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use crate::trace::{Scale, Trace, TraceError};

    fn read(text: &str) -> Result<Trace, TraceError> {
        Trace::read("x.jsonl", text.as_bytes(), Scale::default(), 1)
    }

    #[test]
    fn objects_with_a_time() {
        let mooncake = "{\"timestamp\": 0, \"input_length\": 6955, \"output_length\": 52, \"hash_ids\": [46, 47]}\n\n{\"timestamp\": 3000, \"input_length\": 1}\n";
        for (text, format, last) in [
            (mooncake, "Mooncake", 3_000_000_000),
            ("{\"t\":1}\n{\"t\":1.5}", "plain", 500_000_000),
            (
                "{\"timestamp_ms\":1700000000000}\r\n{\"timestamp_ms\":1700000000250}\r\n",
                "plain",
                250_000_000,
            ),
            (
                "\u{feff}{\"time\":\"2026-02-28T23:59:59Z\"}\n{\"time\":\"2026-03-01T00:00:00.5Z\"}\n",
                "plain",
                1_500_000_000,
            ),
        ] {
            let trace = read(text).unwrap();
            assert_eq!((trace.format, trace.instants[1]), (format, last), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(matches!(read("{\"x\":1}"), Err(TraceError::Columns(_))));
        for text in [
            "{\"t\":1}\n{\"t\":NaN}",
            "{\"t\":1}\n{\"u\":1}",
            "{\"t\":1}\n{\"t\"",
            "{\"t\":1}\n{\"t\":\"1\"}",
            "{\"t\":1}\n\u{0}",
        ] {
            assert!(matches!(read(text), Err(TraceError::Line { line: 2, .. })), "{text}");
        }
        let long = format!("{{\"t\":1}}\n{{\"t\":1,\"x\":\"{}\"}}", "x".repeat(17 << 20));
        assert!(matches!(read(&long), Err(TraceError::Line { line: 2, .. })));
    }
}
