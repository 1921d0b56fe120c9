//! Energy of processor packages and memory, and of the platform, under load, by the kernel's counters (RAPL).

use super::log::{Column, Role, Show};
use super::{Found, Meter, Row, Setup};
use crate::schema::{MeterCovers, MeterUnit, SourcePart};
use rooflens_ground::os::rapl::{Rapl, Zones};

/// What the readings are called, where there are none too.
pub(super) const CPU_ENERGY: &str = "CPU energy";

/// The counters move about every millisecond (Intel, Software Developer's Manual, volume 3, RAPL interfaces).
const REFRESHED: f64 = 1e-3;

/// Counters of one kind; given up for good once one cannot be believed.
struct Counters {
    rapl: Option<Rapl>,
    name: &'static str,
    covers: MeterCovers,
    zones: String,
    path: String,
}

/// Packages and memory.
pub(super) fn open(setup: &Setup) -> Found {
    match Rapl::open(&setup.sys, Zones::Processors) {
        Ok(rapl) => Found::meter(Counters::new(rapl, CPU_ENERGY, MeterCovers::Processor)),
        Err(why) => Found::absent(CPU_ENERGY, MeterUnit::Joules, why.to_string()),
    }
}

/// The platform, where the maker counts it; that of few machines does.
pub(super) fn open_platform(setup: &Setup) -> Found {
    match Rapl::open(&setup.sys, Zones::Platform) {
        Ok(rapl) => Found::meter(Counters::new(rapl, "platform energy", MeterCovers::Platform)),
        Err(_) => Found::default(),
    }
}

impl Counters {
    fn new(rapl: Rapl, name: &'static str, covers: MeterCovers) -> Self {
        let (zones, path) = (rapl.names().join(", "), rapl.path());
        Self { rapl: Some(rapl), name, covers, zones, path }
    }
}

impl Meter for Counters {
    fn columns(&self) -> Vec<Column> {
        let source = SourcePart {
            path: self.path.clone(),
            covers: self.covers,
            resolution: None,
            refreshed_seconds: Some(REFRESHED),
        };
        vec![Column {
            show: Show::Total,
            note: format!("RAPL: {}", self.zones),
            role: Role::Energy(self.covers),
            source: Some(source),
            ..Column::new(self.name, MeterUnit::Joules)
        }]
    }

    fn read(&mut self, row: &mut Row<'_>) {
        let Some(rapl) = &mut self.rapl else { return row.push(None) };
        match rapl.advance(row.now) {
            Ok(joules) => row.push(Some(joules)),
            Err(why) => {
                row.miss(why.to_string());
                self.rapl = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Sampler;
    use super::super::log::Log;
    use super::*;
    use rooflens_ground::os::tree::Tree;

    /// A counter that goes backwards in the third of five readings.
    #[test]
    fn a_counter_that_fails_leaves_a_gap_and_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let zone = folder.path().join("class/powercap/intel-rapl:0");
        std::fs::create_dir_all(&zone).unwrap();
        std::fs::write(zone.join("name"), "package-0").unwrap();
        let count = |joules: u64| {
            std::fs::write(zone.join("energy_uj"), (joules * 1_000_000).to_string()).unwrap();
        };
        count(10);
        let setup = Setup { sys: Tree::at(folder.path()), ..Setup::default() };
        let mut sampler = Sampler::of(open(&setup).meters);
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
