//! Interval logs in the `HdrHistogram` V2 format, which other tools open and plot.
//!
//! One line an interval and metric, tagged with the metric's name; values are nanoseconds. Requests
//! that were never answered well have no duration and are not in these files.

use super::counts::Counts;
use super::metric::Metric;
use super::record::{Interval, Record};
use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use hdrhistogram::serialization::interval_log::{
    IntervalLogIterator, IntervalLogWriterBuilder, LogEntry, Tag,
};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};
use std::time::{Duration, SystemTime};

/// Why a log could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the interval log cannot be read: {0}")]
pub struct LogError(String);

/// A record's durations as a log that starts at `started`.
pub fn write(record: &Record, started: SystemTime) -> Result<Bytes, LogError> {
    let fail = |e: &dyn std::fmt::Debug| LogError(format!("{e:?}"));
    let mut out = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut builder = IntervalLogWriterBuilder::new();
    builder
        .add_comment("nanoseconds; see the tags")
        .with_start_time(started)
        .with_base_time(started);
    let mut writer = builder.begin_log_with(&mut out, &mut serializer).map_err(|e| fail(&e))?;
    let step = Duration::from_nanos(record.step);
    for (index, interval) in (0u32..).zip(&record.intervals) {
        for metric in Metric::all() {
            let counts = &interval.durations[metric];
            if !counts.is_empty() {
                writer
                    .write_histogram(&counts.to_hdr(), step * index, step, Tag::new(metric.name()))
                    .map_err(|e| fail(&e))?;
            }
        }
    }
    Ok(out.into())
}

/// Puts the durations of a log into `intervals` of `step` nanoseconds.
pub fn read(log: &[u8], step: u64, intervals: &mut [Interval]) -> Result<(), LogError> {
    let mut deserializer = Deserializer::new();
    for entry in IntervalLogIterator::new(log) {
        let entry = entry.map_err(|e| LogError(format!("{e:?}")))?;
        let LogEntry::Interval(line) = entry else { continue };
        let wrong = |what: &str| LogError(format!("{what} at {:?}", line.start_timestamp()));
        let tag = line.tag().map(|t| t.as_str().to_owned()).unwrap_or_default();
        let metric = Metric::named(&tag).ok_or_else(|| wrong("unknown tag"))?;
        let packed =
            BASE64_STANDARD.decode(line.encoded_histogram()).map_err(|_| wrong("not base64"))?;
        let histogram: hdrhistogram::Histogram<u64> = deserializer
            .deserialize(&mut packed.as_slice())
            .map_err(|e| LogError(format!("{e:?}")))?;
        let start = u64::try_from(line.start_timestamp().as_nanos()).unwrap_or(u64::MAX);
        let index = start.saturating_add(step / 2).checked_div(step);
        let index = index.and_then(|i| usize::try_from(i).ok()).unwrap_or(usize::MAX);
        let interval = intervals.get_mut(index).ok_or_else(|| wrong("no such interval"))?;
        interval.durations[metric] = Counts::from_hdr(&histogram);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Sample;

    #[test]
    fn written_and_read_is_the_same() {
        let mut record = Record::with_step(50_000_000);
        for i in 0..3000u64 {
            let (due, late) = (i * 1_000_000, i * 37 % 1000);
            let began = due + late;
            record.began(began);
            let ended = began + 200_000 + i * i % 1_000_003;
            record.ended(ended, Sample { due, began, sent: began + 900, ended }, None);
        }
        let log =
            write(&record, SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();
        assert!(log.starts_with(b"#nanoseconds"), "{}", String::from_utf8_lossy(&log[..80]));
        let mut back = vec![Interval::default(); record.intervals.len()];
        read(&log, record.step, &mut back).unwrap();
        for (a, b) in record.intervals.iter().zip(&back) {
            for metric in Metric::all() {
                assert_eq!(a.durations[metric].to_hdr(), b.durations[metric].to_hdr());
            }
        }
        assert!(read(b"garbage", 1, &mut back).is_err());
    }
}
