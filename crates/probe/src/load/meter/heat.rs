//! Whether processors are slowed by heat or a poor supply under load.

use super::log::{Column, Role, Show};
use super::{Found, Meter, Row, Setup};
use crate::schema::MeterUnit;
use rooflens_ground::os::heat::Heat;

/// What the readings are called, where there are none too.
const SLOWED: &str = "CPU slowed";

const NONE: &str =
    "nothing here says whether processors are slowed by heat: virtual machines do not";

/// A source with the instant of its last reading.
struct Slowed {
    heat: Heat,
    last: Option<f64>,
}

/// The source of this machine.
pub(super) fn open(setup: &Setup) -> Found {
    match Heat::open(&setup.sys) {
        Some(heat) => Found::meter(Slowed { heat, last: None }),
        None => Found::absent(SLOWED, MeterUnit::Share, NONE.into()),
    }
}

impl Meter for Slowed {
    fn columns(&self) -> Vec<Column> {
        let share = |name: &str, note: String| Column {
            show: Show::Mean,
            of: Some(1.0),
            note,
            ..Column::new(name, MeterUnit::Share)
        };
        let note = format!("time with clocks lowered by heat or supply, {}", self.heat.path());
        let mut all =
            vec![Column { role: Role::Slowed("the processor".into()), ..share(SLOWED, note) }];
        if self.heat.knows_voltage() {
            all.push(share("supply voltage low", "time below what the board needs".into()));
        }
        all
    }

    fn read(&mut self, row: &mut Row<'_>) {
        let since = self.last.replace(row.now).map_or(0.0, |last| row.now - last);
        match self.heat.read(since) {
            Ok(slowed) => {
                row.push(slowed.share);
                let low = slowed.low_voltage.map(|low| f64::from(u8::from(low)));
                if self.heat.knows_voltage() {
                    row.push(low);
                }
            }
            Err(why) => {
                row.miss(why.to_string());
                if self.heat.knows_voltage() {
                    row.miss(why.to_string());
                }
            }
        }
    }
}
