//! A survey as device files: one of all threads, one of a single thread.

use super::Pattern;
use super::cpu::Cache;
use super::figure::Figure;
use super::survey::{Reading, Subject, Survey, cache_name};
use crate::hwdb::{Basis, Confidence, Device, DeviceKind, Engine, LevelName, MemoryLevel, Peak};

/// Id of the machine at hand.
pub const HOST: &str = "host";
/// Id of one thread of it.
pub const HOST_ONE_THREAD: &str = "host-one-thread";

impl Survey {
    /// The machine, all threads together.
    pub fn device(&self) -> Device {
        let mut device = self.bare(HOST, self.cpu.threads);
        device.aliases = vec!["this".into(), "localhost".into()];
        device
    }

    /// One thread of the machine.
    pub fn device_of_one_thread(&self) -> Device {
        let mut device = self.bare(HOST_ONE_THREAD, 1);
        device.name.push_str(", one thread");
        device.aliases = vec!["this-one-thread".into()];
        device.variant_of = Some(HOST.into());
        device
    }

    fn bare(&self, id: &str, threads: usize) -> Device {
        let readings: Vec<&Reading> =
            self.readings.iter().filter(|r| r.threads == threads).collect();
        let mut notes = vec![format!("{threads} of {} threads", self.cpu.threads)];
        notes.extend(self.doubts.iter().cloned());
        Device {
            id: id.into(),
            name: self.cpu.name.clone(),
            vendor: self.cpu.name.split_whitespace().next().unwrap_or("unknown").into(),
            kind: DeviceKind::Cpu,
            arch: Some(self.cpu.arch.into()),
            confidence: Confidence::Measured,
            sources: vec!["HOST".into()],
            notes: Some(notes.join("; ")),
            compute_units: u32::try_from(threads).ok(),
            peaks: peaks(&readings),
            memory: self.levels(&readings, threads),
            ..Device::default()
        }
    }

    fn levels(&self, readings: &[&Reading], threads: usize) -> Vec<MemoryLevel> {
        let mut names: Vec<&LevelName> = Vec::new();
        for r in readings {
            if let Subject::Stream { level, .. } = &r.subject {
                if !names.contains(&level) {
                    names.push(level);
                }
            }
        }
        let capacity = |name: &LevelName| {
            let all = |c: &Cache| {
                let used = if threads == 1 { 1 } else { self.cpu.instances(c) };
                c.bytes * used as u64
            };
            let cache = self.cpu.caches.iter().find(|c| cache_name(c) == *name);
            if *name == LevelName::Dram { self.cpu.memory_bytes } else { cache.map(all) }
        };
        // Main memory first, as in every device file.
        names.sort_by_key(|n| **n != LevelName::Dram);
        names.into_iter().map(|name| level(name, capacity(name), readings)).collect()
    }
}

fn peaks(readings: &[&Reading]) -> Vec<Peak> {
    let attained = |wanted: &str| {
        readings.iter().find_map(|r| match &r.subject {
            Subject::Product { dtype, size, .. } if *dtype == wanted => Some((r.per_second, *size)),
            _ => None,
        })
    };
    let peak = |r: &&Reading| {
        let Subject::Arithmetic { dtype, accumulate, simd } = &r.subject else { return None };
        let product = attained(dtype);
        Some(Peak {
            dtype: (*dtype).into(),
            unit: Engine::Vector,
            dense_tflops: tera(r.per_second.median),
            accumulate: (accumulate != dtype).then(|| (*accumulate).into()),
            attainable_tflops: product.map(|(f, _)| tera(f.median)),
            attainable_note: product.map(|(f, size)| format!("GEMM of {size}, {}", repeats(&f))),
            kind: Basis::Measured,
            note: Some(format!("{simd}; {}", repeats(&r.per_second))),
            ..Peak::default()
        })
    };
    readings.iter().filter_map(peak).collect()
}

/// The ceiling is the fastest of the loops: no work moves bytes faster.
fn level(name: &LevelName, capacity: Option<u64>, readings: &[&Reading]) -> MemoryLevel {
    let of = |wanted: Pattern| {
        readings.iter().find_map(|r| match &r.subject {
            Subject::Stream { level, pattern, .. } if level == name && *pattern == wanted => {
                Some(r.per_second)
            }
            _ => None,
        })
    };
    let figures = Pattern::ALL.map(|p| (p, of(p)));
    let known = figures.iter().filter_map(|(p, f)| f.map(|f| (*p, f)));
    let fastest = known.max_by(|a, b| a.1.median.total_cmp(&b.1.median));
    let [(_, read), (_, copy), (_, triad)] = figures;
    MemoryLevel {
        level: name.clone(),
        capacity_bytes: capacity,
        bandwidth_gb_s: fastest.map(|(_, f)| giga(f.median)),
        read_gb_s: read.map(|f| giga(f.median)),
        copy_gb_s: copy.map(|f| giga(f.median)),
        triad_gb_s: triad.map(|f| giga(f.median)),
        kind: Basis::Measured,
        note: fastest.map(|(p, f)| format!("{}; {}", p.name(), repeats(&f))),
        ..MemoryLevel::default()
    }
}

pub(super) fn repeats(figure: &Figure) -> String {
    format!("median; spread {:.1} %", 100.0 * figure.spread())
}

/// Four digits: more would be noise.
fn digits(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

pub(super) fn tera(value: f64) -> f64 {
    digits(value * 1e-12)
}

pub(super) fn giga(value: f64) -> f64 {
    digits(value * 1e-9)
}

#[cfg(test)]
mod tests {
    use super::super::survey::{survey, tests::short};
    use super::*;

    #[test]
    fn a_survey_makes_sound_device_files() {
        let survey = survey(&short(), &mut |_| ());
        for device in [survey.device(), survey.device_of_one_thread()] {
            assert_eq!(device.problems(), Vec::<String>::new());
            let text = toml::to_string(&device).unwrap();
            assert_eq!(toml::from_str::<Device>(&text).unwrap(), device);
            let dram = device.dram().unwrap();
            let fastest = dram.bandwidth_gb_s.unwrap();
            assert!(
                [dram.read_gb_s, dram.copy_gb_s, dram.triad_gb_s]
                    .iter()
                    .all(|b| b.is_some_and(|b| b <= fastest))
            );
            assert!(device.peak("f32").unwrap().attainable_tflops.is_some());
        }
    }
}
