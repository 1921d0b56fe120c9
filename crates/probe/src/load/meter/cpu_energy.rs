//! Energy of processor packages and memory under load, by the kernel's counters.

use super::log::{Column, Role, Show};
use super::{Meter, Row};
use crate::schema::MeterUnit;
use rooflens_ground::os::rapl::Rapl;

/// What the readings are called, where there are none too.
pub(super) const CPU_ENERGY: &str = "CPU energy";

/// The counters; given up for good once one cannot be believed.
pub(super) struct CpuEnergy {
    rapl: Option<Rapl>,
    zones: String,
}

impl CpuEnergy {
    pub(super) fn new(rapl: Rapl) -> Self {
        let zones = rapl.names().join(", ");
        Self { rapl: Some(rapl), zones }
    }
}

impl Meter for CpuEnergy {
    fn columns(&self) -> Vec<Column> {
        let note = format!("RAPL: {}", self.zones);
        let (show, role) = (Show::Total, Role::Energy);
        vec![Column { show, note, role, ..Column::new(CPU_ENERGY, MeterUnit::Joules) }]
    }

    fn read(&mut self, row: &mut Row<'_>) {
        let Some(rapl) = &mut self.rapl else { return row.push(None) };
        match rapl.advance(row.now) {
            Ok(joules) => row.push(Some(joules)),
            Err(why) => {
                row.fail(why.to_string());
                self.rapl = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::log::Log;
    use super::*;
    use std::path::Path;

    /// A counter that goes backwards in the third of five readings.
    #[test]
    fn a_counter_that_fails_leaves_a_gap_and_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let zone = folder.path().join("intel-rapl:0");
        std::fs::create_dir(&zone).unwrap();
        std::fs::write(zone.join("name"), "package-0").unwrap();
        let count = |joules: u64| {
            std::fs::write(zone.join("energy_uj"), (joules * 1_000_000).to_string()).unwrap();
        };
        count(10);
        let read = |path: &Path| std::fs::read_to_string(path);
        let meter = CpuEnergy::new(Rapl::open(folder.path(), read).unwrap());
        let mut sampler = super::super::Sampler::of(vec![Box::new(meter)]);
        for (second, joules) in [(0.0, 10), (1.0, 14), (2.0, 5), (3.0, 9), (4.0, 12)] {
            count(joules);
            sampler.read(second);
        }
        let log: Log = sampler.log;
        let before = &log.readings(&(0.0..1.0))[0];
        assert_eq!(before.value, Some(4.0));
        assert!(before.note.as_ref().unwrap().contains("went backwards"), "{before:?}");
        let across = &log.readings(&(0.0..4.0))[0];
        assert_eq!(across.value, None);
        assert!(across.unmeasured.as_ref().unwrap().contains("went backwards"), "{across:?}");
        assert!(!log.has_energy());
    }
}
