//! What is drawn from the battery under load.

use super::log::{Column, Role, Show};
use super::{Found, Meter, Row, Setup};
use crate::schema::{MeterCovers, MeterUnit, SourcePart};
use rooflens_ground::os::battery::{Batteries, BatteryError, Drawn};

/// What the readings are called where there are none.
const BATTERY: &str = "battery power";

/// The batteries; given up for good once they no longer feed the machine alone.
struct Battery {
    batteries: Option<Batteries>,
    path: String,
    names: String,
    /// What the first reading had.
    first: Drawn,
}

/// The batteries of this machine; a machine without any is not told so.
pub(super) fn open(setup: &Setup) -> Found {
    let opened = Batteries::open(&setup.sys).and_then(|mut batteries| {
        let first = batteries.read()?;
        Ok((batteries, first))
    });
    match opened {
        Ok((batteries, first)) => {
            let (path, names) = (batteries.path(), batteries.names());
            Found::meter(Battery { batteries: Some(batteries), path, names, first })
        }
        Err(BatteryError::Absent) => Found::default(),
        Err(why) => Found::absent(BATTERY, MeterUnit::Watts, why.to_string()),
    }
}

impl Battery {
    fn column(&self, name: &str, unit: MeterUnit, show: Show, note: &str) -> Column {
        let covers = MeterCovers::Machine;
        let path = self.path.clone();
        let source = SourcePart { path, covers, resolution: None, refreshed_seconds: None };
        Column {
            show,
            note: format!("{}: all that the machine draws; {note}", self.names),
            role: Role::Energy(covers),
            source: Some(source),
            coarse: true,
            missing: "the battery's driver gave no value",
            ..Column::new(name, unit)
        }
    }
}

impl Meter for Battery {
    fn columns(&self) -> Vec<Column> {
        let power =
            self.column(BATTERY, MeterUnit::Watts, Show::Mean, "a new value every few seconds");
        let energy =
            self.column("battery energy", MeterUnit::Joules, Show::Total, "by what is left in it");
        let all = [(self.first.watts, power), (self.first.joules, energy)];
        all.into_iter().filter_map(|(there, column)| there.map(|_| column)).collect()
    }

    fn read(&mut self, row: &mut Row<'_>) {
        let Drawn { watts, joules } = self.first;
        let there = usize::from(watts.is_some()) + usize::from(joules.is_some());
        let read = match &mut self.batteries {
            Some(batteries) => batteries.read(),
            None => return,
        };
        match read {
            Ok(now) => {
                let all = [(watts, now.watts), (joules, now.joules)];
                all.into_iter().filter(|(first, _)| first.is_some()).for_each(|(_, v)| row.push(v));
            }
            Err(why) => {
                (0..there).for_each(|_| row.miss(why.to_string()));
                // On the mains nothing more is learnt; what cannot be read now may be later.
                if !matches!(why, BatteryError::File(_)) {
                    self.batteries = None;
                }
            }
        }
    }
}
