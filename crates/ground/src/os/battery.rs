//! Batteries that the machine runs on, as `/sys/class/power_supply` shows them.
//!
//! <https://docs.kernel.org/power/power_supply_class.html>, and the kernel's
//! `Documentation/ABI/testing/sysfs-class-power` for units: µV, µA, µW, µWh and µAh.

use super::power::MOST_WATTS;
use super::tree::{ReadError, Tree};
use std::path::{Path, PathBuf};

/// Seconds of an hour.
const HOUR: f64 = 3600.0;

/// The batteries of a machine, taken together.
#[derive(Clone, Debug)]
pub struct Batteries {
    tree: Tree,
    all: Vec<Battery>,
}

#[derive(Clone, Debug)]
struct Battery {
    folder: PathBuf,
    name: String,
    /// What was left in it at the last reading: J, or coulombs where it counts charge.
    last: Option<f64>,
    /// Drawn since the first reading, J.
    joules: f64,
}

/// What is drawn from the batteries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawn {
    /// Power now, W; `None` where no driver gives it.
    pub watts: Option<f64>,
    /// Energy since the first reading, J; `None` where no driver gives it.
    pub joules: Option<f64>,
}

/// Why batteries say nothing of what the machine draws.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatteryError {
    /// None that the machine runs on.
    #[error("this machine has no battery")]
    Absent,
    /// The machine does not run on it.
    #[error(
        "{0} is {1}: what the machine draws comes from the mains; unplug it to measure at the battery"
    )]
    OnMains(String, String),
    /// A file.
    #[error("{0}")]
    File(#[from] ReadError),
    /// A battery that says neither power nor energy.
    #[error("{0} gives neither power_now, current_now nor energy_now")]
    Silent(String),
}

impl Batteries {
    /// The batteries that feed the machine: those of mice and of supplies beside it do not count.
    pub fn open(tree: &Tree) -> Result<Self, BatteryError> {
        let mut all = Vec::new();
        for folder in Tree::entries(&tree.path("class/power_supply"), "") {
            let has = |file: &str, value: &str| {
                tree.text(&folder.join(file)).is_ok_and(|text| text == value)
            };
            if has("type", "Battery") && !has("scope", "Device") && !has("present", "0") {
                let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
                all.push(Battery { folder, name, last: None, joules: 0.0 });
            }
        }
        if all.is_empty() {
            return Err(BatteryError::Absent);
        }
        Ok(Self { tree: tree.clone(), all })
    }

    /// Their folders.
    pub fn path(&self) -> String {
        let all: Vec<String> = self.all.iter().map(|b| b.folder.display().to_string()).collect();
        all.join(" + ")
    }

    /// Their names.
    pub fn names(&self) -> String {
        let all: Vec<&str> = self.all.iter().map(|b| b.name.as_str()).collect();
        all.join(" + ")
    }

    /// What the machine draws from all of them.
    pub fn read(&mut self) -> Result<Drawn, BatteryError> {
        self.discharging()?;
        let mut sum = Drawn { watts: Some(0.0), joules: Some(0.0) };
        for battery in &mut self.all {
            let watts = battery.watts(&self.tree)?;
            let joules = battery.drawn(&self.tree)?;
            sum = Drawn {
                watts: sum.watts.zip(watts).map(|(a, b)| a + b),
                joules: sum.joules.zip(joules).map(|(a, b)| a + b),
            };
        }
        if sum == (Drawn { watts: None, joules: None }) {
            return Err(BatteryError::Silent(self.names()));
        }
        Ok(sum)
    }

    /// Refuses while a battery is charged, or none is drawn from.
    fn discharging(&self) -> Result<(), BatteryError> {
        let status = |b: &Battery| self.tree.text(&b.folder.join("status"));
        let mut drawn_from = false;
        for battery in &self.all {
            match status(battery)?.as_str() {
                "Discharging" => drawn_from = true,
                "Charging" => {
                    return Err(BatteryError::OnMains(battery.name.clone(), "charging".into()));
                }
                _ => {}
            }
        }
        let name = || self.all[0].name.clone();
        if drawn_from { Ok(()) } else { Err(BatteryError::OnMains(name(), "not in use".into())) }
    }
}

impl Battery {
    /// Power drawn, by `power_now`, or by current and voltage. Some drivers give what leaves a battery as negative.
    fn watts(&self, tree: &Tree) -> Result<Option<f64>, BatteryError> {
        let file = |name: &str| self.folder.join(name);
        let micro = |name: &str| micro(tree, &file(name));
        let watts = match (micro("power_now")?, micro("current_now")?, micro("voltage_now")?) {
            (Some(watts), _, _) => watts,
            (None, Some(amperes), Some(volts)) => amperes * volts,
            _ => return Ok(None),
        };
        let watts = watts.abs();
        if watts > MOST_WATTS {
            let path = file("power_now").display().to_string();
            return Err(ReadError::Absurd(path, format!("{watts:.0} W")).into());
        }
        Ok(Some(watts))
    }

    /// Energy drawn since the first reading, J: by the energy that is left, or by the charge that is left, at the voltage
    /// at which it flowed.
    fn drawn(&mut self, tree: &Tree) -> Result<Option<f64>, BatteryError> {
        let file = |name: &str| self.folder.join(name);
        let micro = |name: &str| micro(tree, &file(name));
        let (path, left, volts) = match (micro("energy_now")?, micro("charge_now")?) {
            (Some(left), _) => (file("energy_now"), left * HOUR, 1.0),
            (None, Some(left)) => {
                let Some(volts) = micro("voltage_now")? else { return Ok(None) };
                (file("charge_now"), left * HOUR, volts)
            }
            (None, None) => return Ok(None),
        };
        let drawn = self.last.replace(left).map_or(0.0, |last| (last - left) * volts);
        if drawn < 0.0 {
            let what = format!("{:.0} J more than before while discharging", -drawn);
            return Err(ReadError::Absurd(path.display().to_string(), what).into());
        }
        self.joules += drawn;
        Ok(Some(self.joules))
    }
}

/// A number in millionths; `None` where there is no such file, or the driver has no value now.
fn micro(tree: &Tree, path: &Path) -> Result<Option<f64>, ReadError> {
    match tree.integer(path) {
        Ok(raw) => Ok(Some(raw as f64 / 1e6)),
        Err(ReadError::Gone(_) | ReadError::Failed(..)) => Ok(None),
        Err(other) => Err(other),
    }
}
