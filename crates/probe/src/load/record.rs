//! What a run leaves behind: requests counted in the interval in which they were due.
//!
//! Memory does not grow with the number of requests: intervals are fixed by the duration alone, so
//! that the records of several workers or machines add up to that of one, and those that are over
//! are packed. Knows no clock and no server; a simulation fills it as well as a socket does.

use super::arrival::{Fingerprint, nanoseconds};
use super::counts::Counts;
use super::metric::{Metric, PerMetric, Pieces, Sample};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Why a request got no good answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Fault {
    /// Never sent: too many were in flight.
    Dropped,
    /// Never sent: the client took it up only after its time-out.
    Late,
    /// No answer in time.
    Timeout,
    /// The name is not known.
    Resolve,
    /// Nobody listens.
    Refused,
    /// No connection for another reason.
    Connect,
    /// The certificate or the handshake.
    Tls,
    /// The connection ended in the middle.
    Closed,
    /// A streamed answer says in the middle that it failed.
    ErrorEvent,
    /// A streamed answer ended in order, and not as a whole one does.
    Unfinished,
    /// The answer breaks its protocol.
    Malformed,
    /// The answer is longer than allowed.
    TooLarge,
    /// The answer is whole but not what the model's signature promises.
    WrongAnswer,
    /// An HTTP status.
    Http(u16),
    /// A gRPC status.
    Grpc(u32),
    /// The runtime in this process failed.
    Runtime,
    /// Never sent: its record could not be read or does not fit.
    Input,
}

impl Fault {
    /// Whether a server that cannot keep up causes it.
    pub fn is_overload(&self) -> bool {
        matches!(
            self,
            Self::Dropped | Self::Timeout | Self::Http(429 | 503 | 504) | Self::Grpc(4 | 8 | 14)
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(status) => write!(f, "http-{status}"),
            Self::Grpc(status) => write!(f, "grpc-{status}"),
            Self::Dropped => f.write_str("dropped"),
            Self::Late => f.write_str("late"),
            Self::Timeout => f.write_str("timeout"),
            Self::Resolve => f.write_str("resolve"),
            Self::Refused => f.write_str("refused"),
            Self::Connect => f.write_str("connect"),
            Self::Tls => f.write_str("tls"),
            Self::Closed => f.write_str("closed"),
            Self::ErrorEvent => f.write_str("error-event"),
            Self::Unfinished => f.write_str("unfinished"),
            Self::Malformed => f.write_str("malformed"),
            Self::TooLarge => f.write_str("too-large"),
            Self::WrongAnswer => f.write_str("wrong-answer"),
            Self::Runtime => f.write_str("runtime"),
            Self::Input => f.write_str("input"),
        }
    }
}

impl std::str::FromStr for Fault {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if let Some(status) = text.strip_prefix("http-") {
            return status.parse().map(Self::Http).map_err(|_| ());
        }
        if let Some(status) = text.strip_prefix("grpc-") {
            return status.parse().map(Self::Grpc).map_err(|_| ());
        }
        let plain = [
            Self::Dropped,
            Self::Late,
            Self::Timeout,
            Self::Resolve,
            Self::Refused,
            Self::Connect,
            Self::Tls,
            Self::Closed,
            Self::ErrorEvent,
            Self::Unfinished,
            Self::Malformed,
            Self::TooLarge,
            Self::WrongAnswer,
            Self::Runtime,
            Self::Input,
        ];
        plain.into_iter().find(|fault| fault.to_string() == text).ok_or(())
    }
}

/// One kind of fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultRow {
    /// How often.
    pub count: u64,
    /// When the first such request was due.
    pub first: u64,
    /// What was said of it.
    pub message: String,
}

/// Requests that were due in one interval.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interval {
    /// Requests due.
    pub due: u64,
    /// Due and answered well.
    pub good: u64,
    /// Due and never answered well: they count as infinitely slow.
    pub lost: u64,
    /// Lost in a way that a server which cannot keep up causes.
    pub lost_to_load: u64,
    /// Good answers that ended in this interval, whenever they were due.
    pub completed: u64,
    /// Requests in flight, summed over the interval's nanoseconds: kept by a counter, so that it
    /// checks the durations below.
    pub area: u64,
    /// From taken up to ended, summed over the requests due here.
    pub stay: u64,
    /// Tokens that the requests due here had, of those that were answered well, as the server counts them.
    pub input_tokens: u64,
    /// Those of them that a cache held.
    pub cached_tokens: u64,
    /// Tokens of their answers.
    pub output_tokens: u64,
    /// Good answers whose tokens the server reported.
    pub reported: u64,
    /// Pieces of text that the good answers came in.
    pub pieces: u64,
    /// Good answers that were within every limit of time.
    pub within: u64,
    /// Durations of the requests due here.
    pub durations: PerMetric<Counts>,
    /// Stages of the requests due here, by name, as the server reported them.
    pub stages: BTreeMap<Arc<str>, Stage>,
}

/// A number of requests, or of nanoseconds, in an interval.
struct Counter {
    /// Its column in measurement files.
    name: &'static str,
    /// Whether only streamed answers have it: files about others are without it.
    streamed: bool,
    get: fn(&Interval) -> u64,
    slot: fn(&mut Interval) -> &mut u64,
}

/// A counter of a name.
macro_rules! counter {
    ($name:literal, $field:ident, $streamed:literal) => {
        Counter { name: $name, streamed: $streamed, get: |i| i.$field, slot: |i| &mut i.$field }
    };
}

/// Every counter, in the order of its columns.
static COUNTERS: [Counter; 13] = [
    counter!("due", due, false),
    counter!("good", good, false),
    counter!("lost", lost, false),
    counter!("lost_to_load", lost_to_load, false),
    counter!("completed", completed, false),
    counter!("in_flight_ns", area, false),
    counter!("stay_ns", stay, false),
    counter!("input_tokens", input_tokens, true),
    counter!("cached_tokens", cached_tokens, true),
    counter!("output_tokens", output_tokens, true),
    counter!("reported", reported, true),
    counter!("pieces", pieces, true),
    counter!("within", within, true),
];

/// What a column of a measurement file holds.
#[derive(Clone, Copy)]
enum Column {
    Counter(&'static Counter),
    Sum(Metric),
    Max(Metric),
}

impl Column {
    /// All of them in order, without those of streamed answers where `streamed` is false.
    fn all(streamed: bool) -> impl Iterator<Item = Self> {
        let counters = COUNTERS.iter().filter(move |c| streamed || !c.streamed);
        let metrics = Metric::all().filter(move |m| streamed || !m.streamed());
        counters.map(Self::Counter).chain(metrics.flat_map(|m| [Self::Sum(m), Self::Max(m)]))
    }

    fn name(self) -> String {
        match self {
            Self::Counter(counter) => counter.name.to_owned(),
            Self::Sum(metric) => format!("{}_sum_ns", metric.name()),
            Self::Max(metric) => format!("{}_max_ns", metric.name()),
        }
    }
}

impl Interval {
    fn add(&mut self, other: &Self) {
        for counter in &COUNTERS {
            *(counter.slot)(self) += (counter.get)(other);
        }
        for (metric, counts) in self.durations.iter_mut() {
            counts.add(&other.durations[metric]);
        }
        for (name, stage) in &other.stages {
            let own = self.stages.entry(name.clone()).or_default();
            own.count += stage.count;
            own.nanoseconds = own.nanoseconds.saturating_add(stage.nanoseconds);
        }
    }

    fn pack(&mut self) {
        self.durations.iter_mut().for_each(|(_, counts)| counts.pack());
    }

    /// Columns of [`Interval::row`] in measurement files: counters, then the sum and the maximum of
    /// each metric; those of streamed answers only where there are some.
    pub fn columns(streamed: bool) -> Vec<String> {
        Column::all(streamed).map(Column::name).collect()
    }

    /// What histograms of durations do not hold, column by column.
    pub fn row(&self, streamed: bool) -> Vec<u64> {
        let value = |column| match column {
            Column::Counter(counter) => (counter.get)(self),
            Column::Sum(metric) => self.durations[metric].sum,
            Column::Max(metric) => self.durations[metric].max,
        };
        Column::all(streamed).map(value).collect()
    }

    /// Puts such a row back, beside durations that are there already; `None` where it has another
    /// length.
    pub fn restore(&mut self, row: &[u64], streamed: bool) -> Option<()> {
        if row.len() != Column::all(streamed).count() {
            return None;
        }
        for (column, value) in Column::all(streamed).zip(row) {
            *match column {
                Column::Counter(counter) => (counter.slot)(self),
                Column::Sum(metric) => &mut self.durations[metric].sum,
                Column::Max(metric) => &mut self.durations[metric].max,
            } = *value;
        }
        Some(())
    }

    /// Whether answers were streamed, or their tokens counted.
    pub fn is_streamed(&self) -> bool {
        self.pieces > 0 || self.reported > 0
    }
}

/// Durations of a stage that the server reported of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stage {
    /// Answers that reported it.
    pub count: u64,
    /// Nanoseconds in all.
    pub nanoseconds: u64,
}

/// Connections that were opened, and what that took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// How many.
    pub count: u64,
    /// Until a TCP connection stood, added up.
    pub connect: Duration,
    /// The TLS handshakes on them, added up.
    pub handshake: Duration,
    /// Requests that were sent again, as the server had closed the connection before it read them.
    pub resent: u64,
}

impl Opened {
    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.count += other.count;
        self.connect += other.connect;
        self.handshake += other.handshake;
        self.resent += other.resent;
    }
}

/// Everything that was counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Length of an interval in nanoseconds.
    pub step: u64,
    /// From the start of the run.
    pub intervals: Vec<Interval>,
    /// Faults by kind.
    pub faults: BTreeMap<Fault, FaultRow>,
    /// Of the requests that were due.
    pub fingerprint: Fingerprint,
    /// Connections opened.
    pub connections: Opened,
    /// Bytes handed to the system.
    pub bytes_sent: u64,
    /// Bytes of answers.
    pub bytes_received: u64,
    /// Answers decoded in full and held against the signature.
    pub checked: u64,
    /// Answers of the same bytes as one that was.
    pub same: u64,
    /// Answers that were not looked into.
    pub unchecked: u64,
    /// Nanoseconds spent on that.
    pub check_time: u64,
    /// Messages of answers: more than answers where a model answers a request with several.
    pub responses: u64,
    /// Requests of a data set that were read and encoded only when they were due.
    pub read_late: u64,
    /// Names of all stages.
    names: BTreeSet<Arc<str>>,
    in_flight: u64,
    changed: u64,
    unpacked: Unpacked,
}

/// Intervals that were counted into since they were packed, but for the newest. No part of what was counted.
#[derive(Clone, Debug, Default)]
struct Unpacked(Vec<usize>);

/// Intervals that may wait to be packed.
const WAITING: usize = 256;

impl PartialEq for Unpacked {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Unpacked {
    fn add(&mut self, index: usize, all: &mut [Interval]) {
        if self.0.first() == Some(&index) || self.0.last() == Some(&index) {
            return;
        }
        if self.0.len() >= WAITING {
            self.pack(all);
        }
        self.0.push(index);
    }

    fn pack(&mut self, all: &mut [Interval]) {
        for index in self.0.drain(..) {
            all[index].pack();
        }
    }
}

/// Intervals that a run is divided into, at least.
const INTERVALS: u64 = 400;
/// Names of stages that a sender counts.
const STAGES: usize = 64;
/// Tokens of a request or an answer, at most.
const MOST_TOKENS: u64 = 1 << 32;

impl Record {
    /// Empty, for a run of `duration`: between 400 and 1000 intervals of a round length.
    pub fn new(duration: Duration) -> Self {
        let wanted = (nanoseconds(duration) / INTERVALS).max(1);
        let decades = (6..19).map(|power| 10u64.pow(power));
        let round = decades.flat_map(|decade| [decade, 2 * decade, 5 * decade]);
        let step = round.take_while(|step| *step <= wanted).last().unwrap_or(1_000_000);
        Self::with_step(step)
    }

    /// Empty, with intervals of `step` nanoseconds.
    pub fn with_step(step: u64) -> Self {
        Self {
            step: step.max(1),
            intervals: Vec::new(),
            faults: BTreeMap::new(),
            fingerprint: Fingerprint::default(),
            connections: Opened::default(),
            bytes_sent: 0,
            bytes_received: 0,
            checked: 0,
            same: 0,
            unchecked: 0,
            check_time: 0,
            responses: 0,
            read_late: 0,
            names: BTreeSet::new(),
            in_flight: 0,
            changed: 0,
            unpacked: Unpacked::default(),
        }
    }

    /// A request was taken up at `now`.
    pub fn began(&mut self, now: u64) {
        self.flow(now);
        self.in_flight += 1;
    }

    /// A request ended now; `now` is not before that of the call before.
    pub fn ended(&mut self, now: u64, sample: Sample, fault: Option<(Fault, String)>) {
        self.streamed(now, sample, &Pieces::default(), &[], fault);
    }

    /// The same of a request whose answer was streamed, or counts tokens; `limits` are those of the durations that it
    /// should be within.
    pub fn streamed(
        &mut self,
        now: u64,
        sample: Sample,
        pieces: &Pieces,
        limits: &[(Metric, u64)],
        fault: Option<(Fault, String)>,
    ) {
        self.flow(now);
        self.in_flight = self.in_flight.saturating_sub(1);
        self.not_in_flight(sample.ended, now);
        let reported = pieces.output.or(pieces.input).is_some();
        let streamed = fault.is_none() && (reported || !pieces.instants.is_empty());
        self.count(sample, pieces, fault);
        if streamed {
            let within = !limits.is_empty()
                && limits.iter().all(|(metric, limit)| {
                    let mut longest = 0;
                    metric.durations(&sample, pieces, &mut |n| longest = longest.max(n));
                    longest <= *limit
                });
            let interval = self.interval(sample.due);
            interval.within += u64::from(within);
            interval.pieces += pieces.instants.len() as u64;
            interval.reported += u64::from(reported);
            // Counts of a server: what is beyond any answer ends there.
            let tokens = |n: Option<u64>| n.unwrap_or(0).min(MOST_TOKENS);
            interval.input_tokens += tokens(pieces.input);
            interval.cached_tokens += tokens(pieces.cached).min(tokens(pieces.input));
            interval.output_tokens += tokens(pieces.output);
        }
    }

    /// A request that was never sent, and why: [`Fault::Dropped`] or [`Fault::Late`].
    pub fn unsent(&mut self, due: u64, now: u64, fault: Fault) {
        let sample = Sample { due, began: now, sent: now, ended: now };
        let message = match &fault {
            // Only the first message of a kind is kept.
            known if self.faults.contains_key(known) => String::new(),
            Fault::Late => "the client was further behind than the time-out".into(),
            _ => "too many requests were in flight".into(),
        };
        self.count(sample, &Pieces::default(), Some((fault, message)));
    }

    #[cfg(test)]
    pub(crate) fn count_for_test(&mut self, sample: Sample) {
        self.count(sample, &Pieces::default(), None);
    }

    fn count(&mut self, sample: Sample, pieces: &Pieces, fault: Option<(Fault, String)>) {
        let interval = self.interval(sample.due);
        interval.due += 1;
        interval.stay += sample.ended.saturating_sub(sample.began);
        for (metric, counts) in interval.durations.iter_mut() {
            if fault.is_none() || metric.of_failed() {
                metric.durations(&sample, pieces, &mut |nanoseconds| counts.record(nanoseconds));
            }
        }
        match fault {
            None => {
                interval.good += 1;
                self.interval(sample.ended).completed += 1;
            }
            Some((fault, message)) => {
                interval.lost += 1;
                interval.lost_to_load += u64::from(fault.is_overload());
                let row = FaultRow { count: 0, first: sample.due, message };
                self.faults.entry(fault).or_insert(row).count += 1;
            }
        }
    }

    /// Adds what was in flight since the last change.
    fn flow(&mut self, now: u64) {
        let mut from = self.changed;
        self.changed = self.changed.max(now);
        if self.in_flight == 0 {
            return;
        }
        while from < now {
            let to = now.min((from / self.step + 1) * self.step);
            let in_flight = self.in_flight;
            self.interval(from).area += in_flight * (to - from);
            from = to;
        }
    }

    /// Takes one request back that ended at `from` and whose end was seen only at `to`, as that of a runtime in this
    /// process is.
    fn not_in_flight(&mut self, mut from: u64, to: u64) {
        while from < to {
            let end = to.min((from / self.step + 1) * self.step);
            let area = &mut self.interval(from).area;
            *area = area.saturating_sub(end - from);
            from = end;
        }
    }

    /// Extends the intervals to `end` nanoseconds: time without a request is part of a run too.
    pub fn reach(&mut self, end: u64) {
        if end >= self.step {
            self.interval(end - self.step);
        }
    }

    fn interval(&mut self, at: u64) -> &mut Interval {
        let index = usize::try_from(at / self.step).unwrap_or(usize::MAX);
        let newest = self.intervals.len().checked_sub(1);
        if newest.is_none_or(|newest| newest < index) {
            // Most answers come soon; what comes later waits for the next interval to be packed. The others are
            // not looked at again: a server that stalls for long leaves very many.
            self.unpacked.pack(&mut self.intervals);
            self.intervals.resize_with(index + 1, Interval::default);
            self.unpacked.0.extend(newest);
        } else if newest != Some(index) {
            self.unpacked.add(index, &mut self.intervals);
        }
        &mut self.intervals[index]
    }

    /// Adds a stage that the server reported of a request that was due at `due`.
    pub fn stage(&mut self, due: u64, name: &str, nanoseconds: u64) {
        if !self.names.contains(name) {
            // A server that invents names must not fill the memory.
            if self.names.len() >= STAGES {
                return;
            }
            self.names.insert(name.into());
        }
        let Some(name) = self.names.get(name).cloned() else { return };
        let stage = self.interval(due).stages.entry(name).or_default();
        stage.count += 1;
        stage.nanoseconds = stage.nanoseconds.saturating_add(nanoseconds);
    }

    /// Adds what another worker or machine counted in the same intervals.
    pub fn merge(&mut self, other: &Self) {
        if self.intervals.len() < other.intervals.len() {
            self.intervals.resize_with(other.intervals.len(), Interval::default);
        }
        for (own, theirs) in self.intervals.iter_mut().zip(&other.intervals) {
            own.add(theirs);
            own.pack();
        }
        for (fault, row) in &other.faults {
            let own =
                self.faults.entry(fault.clone()).or_insert(FaultRow { count: 0, ..row.clone() });
            own.count += row.count;
            if row.first < own.first {
                own.first = row.first;
                own.message.clone_from(&row.message);
            }
        }
        self.names.extend(other.names.iter().cloned());
        self.fingerprint.merge(other.fingerprint);
        self.connections.add(other.connections);
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
        self.checked += other.checked;
        self.same += other.same;
        self.unchecked += other.unchecked;
        self.check_time += other.check_time;
        self.responses += other.responses;
        self.read_late += other.read_late;
    }

    /// The sum of some intervals.
    pub fn sum(&self, range: std::ops::Range<usize>) -> Interval {
        let mut sum = Interval::default();
        for interval in self.intervals.get(range).into_iter().flatten() {
            sum.add(interval);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn sample(due: u64, ended: u64) -> Sample {
        Sample { due, began: due, sent: due, ended }
    }

    #[test]
    fn intervals_are_round_and_enough() {
        for (seconds, step) in [(1, 2), (10, 20), (60, 100), (1800, 2000)] {
            let record = Record::new(Duration::from_secs(seconds));
            assert_eq!(record.step, step * 1_000_000);
        }
    }

    #[test]
    fn requests_count_where_they_were_due() {
        let mut record = Record::with_step(10);
        record.began(5);
        record.began(12);
        record.ended(31, sample(5, 31), None);
        record.ended(33, sample(12, 33), Some((Fault::Timeout, "late".into())));
        let due: Vec<u64> = record.intervals.iter().map(|i| i.due).collect();
        assert_eq!(due, [1, 1, 0, 0]);
        assert_eq!((record.intervals[0].good, record.intervals[1].lost), (1, 1));
        assert_eq!(record.intervals[3].completed, 1);
        let area: Vec<u64> = record.intervals.iter().map(|i| i.area).collect();
        assert_eq!(area, [5, 18, 20, 4]);
        let stay: u64 = record.intervals.iter().map(|i| i.stay).sum();
        assert_eq!(stay, area.iter().sum::<u64>());
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        let (mut whole, mut parts) =
            (Record::with_step(10), [Record::with_step(10), Record::with_step(10)]);
        for i in 0..100u64 {
            let s = sample(i * 3, i * 3 + 7 + i % 5);
            let fault = (i % 9 == 0).then(|| (Fault::Http(500), format!("at {i}")));
            for record in [&mut whole, &mut parts[usize::try_from(i % 2).unwrap()]] {
                record.count(s, &Pieces::default(), fault.clone());
            }
        }
        let [mut first, second] = parts;
        first.merge(&second);
        assert_eq!(first, whole);
    }

    #[test]
    fn a_row_holds_what_histograms_do_not() {
        let mut record = Record::with_step(10);
        record.began(5);
        record.ended(31, Sample { due: 3, began: 5, sent: 6, ended: 31 }, None);
        let interval = &record.intervals[0];
        let row = interval.row(false);
        let columns = Interval::columns(false).len();
        assert_eq!((row.len(), &row[..2], row[7]), (columns, &[1, 1][..], 28));
        let mut back = Interval::default();
        assert_eq!(back.restore(&row[1..], false), None);
        back.durations = interval.durations.clone();
        back.restore(&row, false).unwrap();
        assert_eq!(back, *interval);
    }

    #[test]
    fn tokens_and_pieces_of_good_answers_are_counted() {
        let mut record = Record::with_step(10);
        let pieces =
            Pieces { instants: vec![20, 30], input: Some(7), cached: Some(9), output: Some(3) };
        let one = |due| Sample { due, began: 5, sent: 6, ended: 31 };
        // From 3 and from 4 to the first piece at 20.
        for due in [3, 4] {
            record.began(5);
            record.streamed(31, one(due), &pieces, &[(Metric::FirstToken, 16)], None);
        }
        record.began(5);
        record.streamed(31, one(5), &pieces, &[], Some((Fault::Unfinished, String::new())));
        let sum = record.sum(0..4);
        // No more can be cached than there are.
        assert_eq!((sum.input_tokens, sum.cached_tokens, sum.output_tokens), (14, 14, 6));
        assert_eq!((sum.reported, sum.pieces, sum.within, sum.lost), (2, 4, 1, 1));
        assert_eq!(sum.durations[Metric::InterToken].len(), 2);
        let interval = &record.intervals[0];
        let row = interval.row(true);
        assert_eq!(row.len(), Interval::columns(true).len());
        assert!(row.len() > interval.row(false).len());
        let mut back = Interval { durations: interval.durations.clone(), ..Interval::default() };
        back.restore(&row, true).unwrap();
        assert_eq!(back, *interval);
    }

    #[test]
    fn a_stall_takes_time_in_proportion_to_its_length() {
        let mut record = Record::with_step(10);
        record.began(5);
        let begin = std::time::Instant::now();
        for late in 0..10u64 {
            record.ended(200_000 * (late + 1), sample(5 + late, 200_000 * (late + 1)), None);
            record.began(200_000 * (late + 1));
        }
        // In proportion to the square of their number it takes an hour.
        assert_eq!(record.intervals.len(), 200_001);
        assert!(begin.elapsed().as_secs() < 60, "{:?}", begin.elapsed());
    }

    /// Half an hour at 5000/s, as a server of one millisecond and some answers it.
    #[test]
    fn intervals_that_are_over_take_little_memory() {
        let (mut record, mut random) = (Record::new(Duration::from_mins(30)), Random::new(5));
        let (mut half, each) = (0, 200_000);
        let heap = |record: &Record| -> usize {
            let all = record.intervals.iter();
            all.flat_map(|i| Metric::all().map(|m| i.durations[m].heap())).sum()
        };
        for i in 0..=200_000u64 {
            let due = i * each;
            let began = due + 2_000 + random.next() % 60_000;
            let took = 300_000.0 + 700_000.0 * random.exponential();
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let ended = began + took as u64;
            record.count_for_test(Sample { due, began, sent: began + 3_000, ended });
            if i == 100_000 {
                half = heap(&record);
            }
        }
        // Twenty intervals of 10,000 requests, and one that begins; as when it was half.
        assert_eq!(record.intervals.len(), 21);
        let over = (heap(&record) - half) / 10;
        assert!(over < 20_000, "{over} bytes an interval");
        // Late answers do not leave it unpacked.
        for i in 0..50_000u64 {
            let due = i * each;
            let ended = due + 10_000_000_000;
            record.count_for_test(Sample { due, began: due, sent: due, ended });
        }
        record.count_for_test(sample(43_000_000_000, 43_000_000_001));
        assert!(heap(&record) < 25 * 20_000, "{}", heap(&record));
        assert_eq!(record.sum(0..22).durations[Metric::Response].len(), 250_002);
    }

    #[test]
    fn stages_count_where_their_requests_were_due() {
        let mut record = Record::with_step(10);
        for (due, name) in [(3, "pre"), (4, "pre"), (25, "pre"), (26, "infer")] {
            record.stage(due, name, 100);
        }
        assert_eq!(record.sum(0..2).stages.len(), 1);
        assert_eq!(record.sum(0..3).stages["pre"], Stage { count: 3, nanoseconds: 300 });
        (0..200).for_each(|i| record.stage(5, &format!("s{i}"), 1));
        assert_eq!(record.sum(0..3).stages.len(), 64);
        record.stage(5, "pre", u64::MAX);
        assert_eq!(record.sum(0..1).stages["pre"].nanoseconds, u64::MAX);
    }

    #[test]
    fn faults_print_and_read() {
        for fault in [Fault::Http(503), Fault::Grpc(14), Fault::Timeout, Fault::WrongAnswer] {
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
        assert!("http-x".parse::<Fault>().is_err());
    }
}
