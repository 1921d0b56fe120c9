//! Recorded arrivals, from the files in which public traces come: CSV, and JSON Lines.
//!
//! | first line has | trace | an arrival is |
//! | --- | --- | --- |
//! | `t_ns` | rooflens | the nanosecond |
//! | `HashFunction` and minutes `1` … `1440` | Azure Functions 2019 | a place in its minute, at random |
//! | `end_timestamp`, `duration` | Azure Functions 2021 | end − duration, in seconds |
//! | `TIMESTAMP`, `ContextTokens` | Azure LLM 2023 and 2024 | date and time of day |
//! | `Timestamp`, `Session ID` or `Model` | `BurstGPT` | a place in its second, at random |
//! | `timestamp`, `time` or `t`, or numbers alone | plain | the second |
//! | the same with `_s`, `_ms`, `_us` or `_ns` behind | plain | that unit |
//! | JSON with `timestamp` and `input_length` | Mooncake | the millisecond |
//! | JSON with one of the names above | plain | its unit, or date and time |
//!
//! Traces of language models give the tokens of requests and answers too: `ContextTokens` and `GeneratedTokens`,
//! `Request tokens` and `Response tokens`, `input_tokens` and `output_tokens`, `input_length` and `output_length`.

mod lines;

use super::random::Random;
use csv::{ReaderBuilder, StringRecord, Trim};
use std::io::{BufRead, BufReader, Read};

/// Arrivals that a trace may have: about 2 GB while it is read.
const MOST_ARRIVALS: usize = if cfg!(fuzzing) { 1 << 16 } else { 1 << 27 };

/// Arrivals in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The file's name.
    pub name: String,
    /// The format that was recognised.
    pub format: &'static str,
    /// Nanoseconds from the first arrival, in order.
    pub instants: Vec<u64>,
    /// What each arrival asks for, in the same order; empty where the file does not say it of all.
    pub sizes: Vec<Size>,
}

/// Tokens of a request to a language model and of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Of the prompt, with what the server's template adds.
    pub input: u64,
    /// Of the answer.
    pub output: u64,
}

/// How to change a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Time runs this many times faster, which changes the shape of bursts.
    pub speed: f64,
    /// Share of arrivals that are kept, at random, which keeps the shape.
    pub keep: f64,
    /// Seconds in a unit of the file's times; by the file's names and numbers where omitted.
    pub unit: Option<f64>,
}

impl Default for Scale {
    fn default() -> Self {
        Self { speed: 1.0, keep: 1.0, unit: None }
    }
}

/// Why a trace could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The file.
    #[error("the trace cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// A line.
    #[error("line {line} of the trace has no time: `{text}`")]
    Line {
        /// From one.
        line: u64,
        /// As it stands.
        text: String,
    },
    /// A line of a trace whose other lines have tokens.
    #[error("line {line} of the trace has no numbers of tokens: `{text}`")]
    Tokens {
        /// From one.
        line: u64,
        /// As it stands.
        text: String,
    },
    /// The first line.
    #[error("the columns of the trace are not known: `{0}`")]
    Columns(String),
    /// No arrival.
    #[error("the trace has no arrivals")]
    Empty,
    /// More arrivals than are kept.
    #[error("the trace has more than {MOST_ARRIVALS} arrivals")]
    Large,
}

#[derive(Clone, Copy)]
enum Column {
    /// Numbers, with the seconds in their unit where that is known.
    Number(usize, Option<f64>),
    WholeSeconds(usize),
    DateTime(usize),
    EndAndDuration(usize, usize),
    Minutes(usize),
}

impl Trace {
    /// Reads a trace; `seed` places arrivals that the file gives only to the second or minute.
    pub fn read(name: &str, file: impl Read, scale: Scale, seed: u64) -> Result<Self, TraceError> {
        let mut file = BufReader::new(file);
        let mut random = Random::new(seed ^ 0x7472_6163_6500_0001);
        let begin = file.fill_buf()?;
        let begin = begin.strip_prefix(b"\xef\xbb\xbf").unwrap_or(begin);
        let times = if begin.trim_ascii_start().starts_with(b"{") {
            lines::read(file)?
        } else {
            rows(file, &mut random)?
        };
        let Times { format, mut seconds, mut sizes, unit: own } = times;
        if let Some(unit) = own.map(|own| scale.unit.or(own).unwrap_or_else(|| usual(&seconds))) {
            for s in &mut seconds {
                *s *= unit;
            }
        }
        if sizes.len() == seconds.len() {
            let mut both: Vec<(f64, Size)> = seconds.into_iter().zip(sizes).collect();
            both.retain(|_| scale.keep >= 1.0 || random.unit() <= scale.keep);
            both.sort_by(|a, b| a.0.total_cmp(&b.0));
            (seconds, sizes) = both.into_iter().unzip();
        } else {
            sizes.clear();
            seconds.retain(|_| scale.keep >= 1.0 || random.unit() <= scale.keep);
            seconds.sort_by(f64::total_cmp);
        }
        let origin = *seconds.first().ok_or(TraceError::Empty)?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let instant = |s: &f64| ((s - origin) / scale.speed * 1e9).round() as u64;
        let instants = seconds.iter().map(instant).collect();
        Ok(Self { name: name.into(), format, instants, sizes })
    }

    /// What the arrival of a number asks for, where the file says it.
    pub fn size(&self, number: u64) -> Option<Size> {
        self.sizes.get(usize::try_from(number).ok()?).copied()
    }

    /// Variance over mean of the arrivals in a second: one for Poisson, more for bursts.
    pub fn dispersion(&self) -> f64 {
        let second = |at: &u64| at / 1_000_000_000;
        let seconds = self.instants.last().map_or(0, second) as f64 + 1.0;
        let mean = self.instants.len() as f64 / seconds;
        let (mut squares, mut busy) = (0.0, 0.0);
        for together in self.instants.chunk_by(|a, b| second(a) == second(b)) {
            squares += (together.len() as f64 - mean).powi(2);
            busy += 1.0;
        }
        (squares + (seconds - busy) * mean.powi(2)) / seconds / mean
    }
}

/// What a file holds.
struct Times {
    format: &'static str,
    /// Seconds, or numbers of another unit.
    seconds: Vec<f64>,
    /// As many, or not all of them.
    sizes: Vec<Size>,
    /// Where they are numbers, seconds in their unit, as far as the file names it.
    #[allow(clippy::option_option)]
    unit: Option<Option<f64>>,
}

/// The rows of a CSV file.
fn rows(file: impl Read, random: &mut Random) -> Result<Times, TraceError> {
    let mut rows =
        ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(file);
    let mut row = StringRecord::new();
    rows.read_record(&mut row).map_err(unreadable)?;
    let (format, column) = recognise(&row)?;
    let (mut seconds, mut sizes, tokens) = (Vec::new(), Vec::new(), tokens(&row));
    let mut more = row.get(0).is_some_and(|f| f.parse::<f64>().is_ok())
        || rows.read_record(&mut row).map_err(unreadable)?;
    while more {
        read_row(&row, column, random, &mut seconds)?;
        if let Some([input, output]) = tokens {
            let number = |at: usize| {
                let tokens = row.get(at).and_then(|f| f.parse::<u64>().ok());
                tokens.ok_or_else(|| TraceError::Tokens {
                    line: row.position().map_or(0, csv::Position::line),
                    text: excerpt(&row),
                })
            };
            sizes.push(Size { input: number(input)?, output: number(output)? });
        }
        more = rows.read_record(&mut row).map_err(unreadable)?;
    }
    let unit = match column {
        Column::Number(_, unit) => Some(unit),
        Column::WholeSeconds(_) => Some(None),
        _ => None,
    };
    Ok(Times { format, seconds, sizes, unit })
}

/// The columns of the tokens of requests and of answers.
fn tokens(first: &StringRecord) -> Option<[usize; 2]> {
    const NAMES: [[&str; 2]; 4] = [
        ["ContextTokens", "GeneratedTokens"],
        ["Request tokens", "Response tokens"],
        ["input_tokens", "output_tokens"],
        ["input_length", "output_length"],
    ];
    let at = |name: &str| first.iter().position(|n| n == name);
    NAMES.iter().find_map(|[input, output]| Some([at(input)?, at(output)?]))
}

/// Names of a time, and the endings that say its unit.
const NAMES: [&str; 4] = ["timestamp", "Timestamp", "time", "t"];
const UNITS: [(&str, Option<f64>); 5] =
    [("", None), ("_s", Some(1.0)), ("_ms", Some(1e-3)), ("_us", Some(1e-6)), ("_ns", Some(1e-9))];

/// Every name of a time, with the seconds in its unit where it says that.
fn names() -> impl Iterator<Item = (String, Option<f64>)> {
    NAMES.iter().flat_map(|name| UNITS.map(|(ending, unit)| (format!("{name}{ending}"), unit)))
}

/// The unit of times as large as these, in seconds: since 1970 there are some 10^9 of them, and a thousand times as
/// many milliseconds.
fn usual(times: &[f64]) -> f64 {
    match times.iter().copied().fold(0.0, f64::max) {
        ..1e11 => 1.0,
        ..1e14 => 1e-3,
        ..1e17 => 1e-6,
        _ => 1e-9,
    }
}

/// A file that ends early or is no text; rows of any length are read.
fn unreadable(error: csv::Error) -> TraceError {
    let text = error.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(error) => TraceError::Io(error),
        _ => TraceError::Io(std::io::Error::new(std::io::ErrorKind::InvalidData, text)),
    }
}

/// A row as it may stand in a message.
fn excerpt(row: &StringRecord) -> String {
    row.iter().collect::<Vec<_>>().join(",").chars().take(80).collect()
}

fn recognise(first: &StringRecord) -> Result<(&'static str, Column), TraceError> {
    let at = |name: &str| first.iter().position(|n| n == name);
    if let Some(t) = at("t_ns") {
        return Ok(("rooflens", Column::Number(t, Some(1e-9))));
    }
    if let (Some(end), Some(duration)) = (at("end_timestamp"), at("duration")) {
        return Ok(("Azure Functions 2021", Column::EndAndDuration(end, duration)));
    }
    if let (Some(_), Some(minute)) = (at("HashFunction"), at("1")) {
        return Ok(("Azure Functions 2019", Column::Minutes(minute)));
    }
    if let (Some(t), Some(_)) = (at("TIMESTAMP"), at("ContextTokens")) {
        return Ok(("Azure LLM", Column::DateTime(t)));
    }
    if let (Some(t), true) = (at("Timestamp"), at("Session ID").or(at("Model")).is_some()) {
        return Ok(("BurstGPT", Column::WholeSeconds(t)));
    }
    if let Some((t, unit)) = names().find_map(|(name, unit)| Some((at(&name)?, unit))) {
        return Ok(("plain", Column::Number(t, unit)));
    }
    if first.get(0).is_some_and(|n| n.parse::<f64>().is_ok()) {
        return Ok(("plain", Column::Number(0, None)));
    }
    Err(TraceError::Columns(excerpt(first)))
}

fn read_row(
    fields: &StringRecord,
    column: Column,
    random: &mut Random,
    seconds: &mut Vec<f64>,
) -> Result<(), TraceError> {
    let wrong = || TraceError::Line {
        line: fields.position().map_or(0, csv::Position::line),
        text: excerpt(fields),
    };
    let float = |i: usize| {
        let value = fields.get(i).and_then(|f| f.parse::<f64>().ok());
        value.filter(|v| v.is_finite()).ok_or_else(wrong)
    };
    match column {
        Column::Number(i, _) => seconds.push(float(i)?),
        Column::WholeSeconds(i) => {
            let t = float(i)?;
            seconds.push(if t.fract() == 0.0 { t + random.unit() } else { t });
        }
        Column::DateTime(i) => {
            seconds.push(fields.get(i).and_then(date_time).ok_or_else(wrong)?);
        }
        Column::EndAndDuration(end, duration) => seconds.push(float(end)? - float(duration)?),
        Column::Minutes(from) => {
            for (minute, field) in fields.iter().skip(from).enumerate() {
                let count: usize = field.parse().map_err(|_| wrong())?;
                if count > MOST_ARRIVALS - seconds.len() {
                    return Err(TraceError::Large);
                }
                let place = |random: &mut Random| 60.0 * (minute as f64 + random.unit());
                seconds.extend((0..count).map(|_| place(random)));
            }
        }
    }
    if seconds.len() > MOST_ARRIVALS { Err(TraceError::Large) } else { Ok(()) }
}

/// Seconds since an epoch of its own, of `2023-11-16 18:15:46.6805900`; a zone is ignored.
fn date_time(text: &str) -> Option<f64> {
    let (date, time) = text.split_once([' ', 'T'])?;
    let mut date = date.split('-').map(|n| n.parse::<u16>().ok().map(i64::from));
    let (mut year, month, day) = (date.next()??, date.next()??, date.next()??);
    let time = time.split(['+', 'Z']).next()?;
    let mut parts = time.split(':').map(|n| n.parse::<f64>().ok().filter(|n| n.is_finite()));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days from civil: the year starts in March, so that the leap day is its last.
    let month = if month > 2 {
        month - 3
    } else {
        year -= 1;
        month + 9
    };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (153 * month + 2) / 5
        + day;
    Some(days as f64 * 86_400.0 + hour * 3600.0 + minute * 60.0 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Trace, TraceError> {
        Trace::read("x.csv", text.as_bytes(), Scale::default(), 1)
    }

    #[test]
    fn every_format_is_recognised() {
        let cases = [
            ("t_ns\n5\n1000000005\n", "rooflens", vec![0, 1_000_000_000]),
            (
                "app,func,end_timestamp,duration\na,f,10.5,0.5\na,f,10.0,1.5\n",
                "Azure Functions 2021",
                vec![0, 1_500_000_000],
            ),
            (
                "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-30 23:59:59.5,1,2\n2023-12-01 00:00:01.0,1,2\n",
                "Azure LLM",
                vec![0, 1_500_000_000],
            ),
            ("0.5\n0.25\n1\n", "plain", vec![0, 250_000_000, 750_000_000]),
            ("timestamp\n3\n4\n", "plain", vec![0, 1_000_000_000]),
        ];
        for (text, format, instants) in cases {
            let trace = read(text).unwrap();
            assert_eq!((trace.format, trace.instants), (format, instants));
        }
    }

    #[test]
    fn sizes_stay_with_their_arrivals() {
        let azure = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-30 23:59:59.5,374,44\n\
                     2023-11-30 23:59:58.5,396,109\n";
        let burst = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n\
                     5,ChatGPT,472,18,490,x\n45,ChatGPT,1087,230,1317,x\n";
        let mooncake = "{\"timestamp\": 3000, \"input_length\": 6758, \"output_length\": 500, \"hash_ids\": [0, 1]}\n\
                        {\"timestamp\": 0, \"input_length\": 7322, \"output_length\": 490, \"hash_ids\": []}\n";
        let plain = "t,input_tokens,output_tokens\n1,2,3\n0.5,4,5\n";
        let size = |input, output| Size { input, output };
        for (text, format, sizes) in [
            (azure, "Azure LLM", [size(396, 109), size(374, 44)]),
            (burst, "BurstGPT", [size(472, 18), size(1087, 230)]),
            (mooncake, "Mooncake", [size(7322, 490), size(6758, 500)]),
            (plain, "plain", [size(4, 5), size(2, 3)]),
        ] {
            let trace = read(text).unwrap();
            assert_eq!((trace.format, &trace.sizes[..]), (format, &sizes[..]));
            assert_eq!((trace.size(1), trace.size(2)), (Some(sizes[1]), None));
        }
        assert_eq!(read(mooncake).unwrap().instants, [0, 3_000_000_000]);
        assert!(read("timestamp\n3\n").unwrap().sizes.is_empty());
        let broken = "t,input_tokens,output_tokens\n1,2,x\n";
        assert!(matches!(read(broken), Err(TraceError::Tokens { line: 2, .. })));
        let half = "{\"t\":1,\"input_length\":1,\"output_length\":1}\n{\"t\":2}\n";
        assert!(read(half).unwrap().sizes.is_empty());
    }

    #[test]
    fn coarse_times_are_spread_and_repeatable() {
        let text = "Timestamp,Session ID,Model\n5,1,x\n5,2,x\n7,3,y\n";
        let trace = read(text).unwrap();
        assert_eq!(trace.format, "BurstGPT");
        assert!(trace.instants[1] < 1_000_000_000 && trace.instants[2] > 1_000_000_000);
        assert_eq!(trace, read(text).unwrap());
        let minutes =
            read("HashOwner,HashApp,HashFunction,Trigger,1,2\no,a,f,http,3,0\no,a,g,http,0,2\n");
        let minutes = minutes.unwrap();
        assert_eq!((minutes.format, minutes.instants.len()), ("Azure Functions 2019", 5));
    }

    #[test]
    fn commas_in_quotes_and_lines_of_windows() {
        let text =
            "\u{feff}\"app, or not\",\"time\"\r\n\"a,b\",\"1\"\r\n\r\n\"say \"\"c\"\"\", 3\r\n";
        assert_eq!(read(text).unwrap().instants, [0, 2_000_000_000]);
    }

    #[test]
    fn hostile_counts_and_dates() {
        let minutes = "HashFunction,1,2\nf,1,18446744073709551615\n";
        assert!(matches!(read(minutes), Err(TraceError::Large)));
        let dates = "TIMESTAMP,ContextTokens\n9223372036854775807-01-01 00:00:00,1\n";
        assert!(matches!(read(dates), Err(TraceError::Line { line: 2, .. })));
        let far = read("0\n1e18\n").unwrap();
        assert!(far.dispersion().is_finite());
    }

    #[test]
    fn speed_and_keep() {
        let text = (0..1000).map(|i| i.to_string()).collect::<Vec<_>>().join("\n");
        let scaled = |scale| Trace::read("x", text.as_bytes(), scale, 1).unwrap().instants;
        assert_eq!(scaled(Scale { speed: 2.0, ..Scale::default() })[1], 500_000_000);
        let kept = scaled(Scale { keep: 0.25, ..Scale::default() }).len();
        assert!((180..320).contains(&kept), "{kept}");
    }

    #[test]
    fn times_since_1970_are_in_the_unit_that_fits() {
        for unit in ["", "000", "000000", "000000000"] {
            let text = format!("timestamp\n1700000000{unit}\n1700000002{unit}\n");
            let trace = Trace::read("t", text.as_bytes(), Scale::default(), 1).unwrap();
            let seconds = trace.instants[1] as f64 * 1e-9;
            assert!((1.0..=3.0).contains(&seconds), "{unit}: {seconds}");
        }
        let text = "timestamp\n0\n1700000000000\n";
        let trace = Trace::read("t", text.as_bytes(), Scale::default(), 1).unwrap();
        assert_eq!(trace.instants.len(), 2);
        assert!(trace.dispersion().is_finite());
    }

    #[test]
    fn units_are_named_or_given() {
        let read = |text: &str, unit| {
            let scale = Scale { unit, ..Scale::default() };
            Trace::read("t", text.as_bytes(), scale, 1).unwrap().instants[1]
        };
        for (text, unit, instant) in [
            ("timestamp_ms\n0\n1500\n", None, 1_500_000_000),
            ("t_us\n0\n1500\n", None, 1_500_000),
            ("time_s,x\n0,1\n1500,1\n", None, 1_500_000_000_000),
            ("time\n0\n1500\n", Some(1e-3), 1_500_000_000),
            ("0\n1500\n", Some(1e-3), 1_500_000_000),
        ] {
            assert_eq!(read(text, unit), instant, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(read("").unwrap_err().to_string().contains("not known"));
        assert!(read("a,b\n1,2\n").unwrap_err().to_string().contains("`a,b`"));
        assert!(read("timestamp\nsoon\n").unwrap_err().to_string().contains("line 2"));
        assert!(matches!(read("timestamp\n"), Err(TraceError::Empty)));
    }
}
