//! Sensors of power and counters of energy that the kernel shows, each with what it includes and how finely it measures.

use super::tree::{ReadError, Tree};
use std::path::PathBuf;

/// More than this no single machine draws, W: a reading beyond it is a fault of the sensor.
pub const MOST_WATTS: f64 = 50_000.0;

/// What a source of power or energy includes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Covers {
    /// All that the machine draws from its battery or its supply.
    Machine,
    /// What the processor's maker calls the platform: processor, memory and devices that the board's own regulators
    /// feed. A graphics card with a supply of its own may not be in it.
    Platform,
    /// A board or computer module at its input; what its carrier feeds besides is not in it.
    Board,
    /// Processor packages, and memory where it has a counter of its own.
    Processor,
    /// A package with processor and GPU in it.
    Package,
    /// A graphics card or its chip.
    Gpu,
    /// A part of a board.
    Rail,
}

/// What a sensor gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Power now, or its mean over a short time, W.
    Watts,
    /// Energy from some beginning on, J.
    Joules,
}

/// A sensor or counter that is read again and again.
#[derive(Clone, Debug)]
pub struct Sensor {
    /// What the board or driver calls it.
    pub name: String,
    /// What it includes.
    pub covers: Covers,
    /// What it gives.
    pub quantity: Quantity,
    /// Smallest difference between two values, in W or J; `None` where the kernel does not say.
    pub resolution: Option<f64>,
    /// Seconds over which the sensor averages, or after which it has a new value; `None` where the kernel does not say.
    pub refreshed: Option<f64>,
    pub(super) how: How,
    /// The last value of a counter.
    pub(super) last: Option<f64>,
}

/// Which files give a reading.
#[derive(Clone, Debug)]
pub(super) enum How {
    /// A number of so many to the unit.
    One(PathBuf, f64),
    /// Millivolts and milliamperes.
    Product(PathBuf, PathBuf),
}

impl Sensor {
    /// The file or files that are read.
    pub fn path(&self) -> String {
        match &self.how {
            How::One(path, _) => path.display().to_string(),
            How::Product(volts, amperes) => {
                let amperes = amperes.file_name().unwrap_or_default().to_string_lossy();
                format!("{} × {amperes}", volts.display())
            }
        }
    }

    /// The reading in W or J.
    pub fn read(&mut self, tree: &Tree) -> Result<f64, ReadError> {
        let value = match &self.how {
            How::One(path, per) => tree.scaled(path, *per)?,
            How::Product(volts, amperes) => {
                // A rail that feeds back is no load.
                tree.scaled(volts, 1e3)? * tree.scaled(amperes, 1e3)?
            }
        };
        if self.quantity == Quantity::Watts && value > MOST_WATTS {
            return Err(ReadError::Absurd(self.path(), format!("{value:.0} W")));
        }
        if self.quantity == Quantity::Joules {
            if let Some(last) = self.last.filter(|last| value < *last) {
                let back = format!("{value:.1} J after {last:.1} J");
                return Err(ReadError::Absurd(self.path(), back));
            }
            self.last = Some(value);
        }
        Ok(value)
    }
}
