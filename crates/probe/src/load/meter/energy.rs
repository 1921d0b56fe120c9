//! Energy and carbon of an inference, from the counters of a log.

use super::carbon::Grid;
use super::{Log, unmeasured};
use crate::schema::{ENERGY, MeterPart, MeterRole, MeterUnit};
use std::ops::Range;

/// What energy is asked about.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Good inferences in the window.
    pub inferences: f64,
    /// W before the load, with the server ready and nothing to do.
    pub idle: Option<f64>,
    /// For carbon.
    pub grid: Option<Grid>,
    /// Whether other machines sent requests to the same server meanwhile.
    pub shared: bool,
}

/// Error of a counter's edges: it moves in steps of about this many seconds.
const STEP: f64 = 0.1;

const NAMES: [&str; 3] = [ENERGY, "active energy", "carbon per inference"];
const UNITS: [MeterUnit; 3] = [MeterUnit::Joules, MeterUnit::Joules, MeterUnit::Carbon];

/// Meters of energy and carbon an inference.
pub fn energy(log: &Log, window: &Range<f64>, asked: &Asked) -> Vec<MeterPart> {
    let sources = log.joules(window);
    let none = |why: &str| -> Vec<MeterPart> {
        let count = if asked.grid.is_some() { 3 } else { 1 };
        (0..count).map(|i| unmeasured(NAMES[i], UNITS[i], why)).collect()
    };
    if sources.is_empty() {
        return none("no energy counter could be read; see CPU energy and GPU");
    }
    if asked.shared {
        return none("this is one of several stripes: the server's energy is that of all of them");
    }
    if asked.inferences < 1.0 {
        return none("no inference was successful");
    }
    counted(&sources, window.end - window.start, asked)
}

/// The meters, of counters that can be read.
fn counted(sources: &[(&str, f64)], seconds: f64, asked: &Asked) -> Vec<MeterPart> {
    let joules: f64 = sources.iter().map(|s| s.1).sum();
    let listed: Vec<&str> = sources.iter().map(|s| s.0).collect();
    let each = joules / asked.inferences;
    let scope = format!(
        "{}, including this client; ±{:.0} %",
        listed.join(" + "),
        (100.0 * 2.0 * STEP / seconds).ceil()
    );
    let part = |i: usize, value, note| MeterPart {
        name: NAMES[i].into(),
        unit: UNITS[i],
        value: Some(value),
        of: None,
        unmeasured: None,
        note: Some(note),
        role: MeterRole::Plain,
    };
    let mut all = vec![part(0, each, scope.clone())];
    all.push(match asked.idle {
        Some(idle) => {
            let active = (joules - idle * seconds) / asked.inferences;
            part(1, active, format!("above {idle:.1} W idle power"))
        }
        None => unmeasured(NAMES[1], UNITS[1], "idle power was not measured: --idle-seconds 5"),
    });
    all.push(match &asked.grid {
        Some(grid) => part(
            2,
            grid.milligrams(each),
            format!(
                "{} g/kWh ({}), PUE {}; average mix; {scope}",
                grid.g_per_kwh, grid.origin, grid.pue
            ),
        ),
        None => unmeasured(
            NAMES[2],
            UNITS[2],
            "unknown electricity grid: pass --region, as in --region FRA, or --carbon-intensity",
        ),
    });
    all
}

#[cfg(test)]
mod tests {
    use super::super::log::{Column, Role, Show};
    use super::*;
    use std::collections::BTreeMap;
    use std::time::SystemTime;

    /// 100 W for ten seconds, 40 W of them without load.
    fn log(joules: bool) -> Log {
        let (show, role) = (Show::Total, Role::Energy);
        let counter = Column { show, role, ..Column::new("CPU energy", MeterUnit::Joules) };
        Log {
            began: SystemTime::UNIX_EPOCH,
            columns: if joules { vec![counter] } else { Vec::new() },
            absent: Vec::new(),
            rows: (0..=20)
                .map(|i| {
                    (f64::from(i), if joules { vec![100.0 * f64::from(i)] } else { Vec::new() })
                })
                .collect(),
            failures: BTreeMap::new(),
            answers: Vec::new(),
            cpu: 0.0,
            every: 1.0,
        }
    }

    #[test]
    fn total_active_and_carbon() {
        let grid = Grid { g_per_kwh: 475.0, pue: 1.2, origin: "world".into() };
        let asked = Asked { inferences: 500.0, idle: Some(40.0), grid: Some(grid), shared: false };
        let all = energy(&log(true), &(5.0..15.0), &asked);
        let values: Vec<f64> = all.iter().map(|m| m.value.unwrap()).collect();
        for (value, truth) in values.iter().zip([2.0, 1.2, 2.0 * 475.0 * 1.2 / 3600.0]) {
            assert!((value - truth).abs() < 1e-9, "{values:?}");
        }
        assert!(all[0].note.as_ref().unwrap().contains("±2 %"), "{all:?}");
    }

    #[test]
    fn what_is_not_known_says_so() {
        let asked = Asked { inferences: 500.0, ..Asked::default() };
        let all = energy(&log(true), &(5.0..15.0), &asked);
        assert!(all[0].value.is_some() && all[1].value.is_none() && all[2].value.is_none());
        assert!(all[2].unmeasured.as_ref().unwrap().contains("--region"));
        let shared = Asked { shared: true, ..asked.clone() };
        assert!(energy(&log(true), &(5.0..15.0), &shared).iter().all(|m| m.value.is_none()));
        assert!(energy(&log(false), &(5.0..15.0), &asked)[0].unmeasured.is_some());
    }
}
