//! Sensors of power on boards and in supplies under load.

use super::log::{Column, Role, Show};
use super::{Found, Meter, Row, Setup, covers};
use crate::schema::{MeterUnit, SourcePart};
use rooflens_ground::os::hwmon;
use rooflens_ground::os::power::{Quantity, Sensor};
use rooflens_ground::os::tree::Tree;

/// What the readings are called where there are none.
pub(super) const POWER_SENSORS: &str = "power sensors";

const NONE: &str = "this machine shows no sensor of its power (hwmon): a board without one, such as a Raspberry Pi, is \
     measured at its plug";

/// All sensors that the kernel shows.
struct Sensors {
    tree: Tree,
    all: Vec<(String, Sensor)>,
}

/// The sensors of this machine.
pub(super) fn open(setup: &Setup) -> Found {
    let mut all: Vec<(String, Sensor)> = Vec::new();
    for sensor in hwmon::sensors(&setup.sys) {
        let what = match sensor.quantity {
            Quantity::Watts => "power",
            Quantity::Joules => "energy",
        };
        let called = format!("{} {what}", sensor.name);
        let same = |name: &str| all.iter().any(|(n, _)| n == name);
        // Two supplies of a server have the same driver and label.
        let free = (2..=all.len() + 2).map(|n| format!("{called} {n}")).find(|name| !same(name));
        let name = if same(&called) { free.unwrap_or_default() } else { called };
        all.push((name, sensor));
    }
    if all.is_empty() {
        return Found::absent(POWER_SENSORS, MeterUnit::None, NONE.into());
    }
    Found::meter(Sensors { tree: setup.sys.clone(), all })
}

/// The column of a sensor.
pub(super) fn column(name: &str, sensor: &Sensor, note: String) -> Column {
    let (unit, show) = match sensor.quantity {
        Quantity::Watts => (MeterUnit::Watts, Show::Mean),
        Quantity::Joules => (MeterUnit::Joules, Show::Total),
    };
    let covers = covers(sensor.covers);
    let source = SourcePart {
        path: sensor.path(),
        covers,
        resolution: sensor.resolution,
        refreshed_seconds: sensor.refreshed,
    };
    let role = Role::Energy(covers);
    Column { show, note, role, source: Some(source), ..Column::new(name, unit) }
}

impl Meter for Sensors {
    fn columns(&self) -> Vec<Column> {
        let note = |s: &Sensor| format!("{}, {}", covers(s.covers), s.path());
        self.all.iter().map(|(name, sensor)| column(name, sensor, note(sensor))).collect()
    }

    fn read(&mut self, row: &mut Row<'_>) {
        for (_, sensor) in &mut self.all {
            row.take(sensor.read(&self.tree));
        }
    }
}
