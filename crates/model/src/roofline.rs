//! The roofline: what a device allows work of some intensity, and what binds it.
//!
//! Williams, Waterman & Patterson, *Roofline: an insightful visual performance model for multicore
//! architectures*, CACM 52(4), 2009: attainable = min(π, β·I). Knows devices and quantities, never
//! graphs.

mod levels;

pub use levels::{Hierarchy, Level, LevelPlacement};

use crate::hwdb::{Basis, CeilingError, CeilingType, Choice, Device};
use rooflens_ground::units::{Bytes, BytesPerSecond, Flops, FlopsPerSecond, Intensity, Seconds};

/// The ceilings of a device that hold for one data type.
#[derive(Clone, Debug, PartialEq)]
pub struct Roof {
    /// The device.
    pub device: String,
    /// The data type.
    pub dtype: CeilingType,
    /// Type that sums are kept in, where the device names it.
    pub accumulate: Option<CeilingType>,
    /// The unit that computes, several joined by ` + `; empty where not known.
    pub unit: String,
    /// The clock of the compute ceiling in MHz, where it is above that of the listed figure.
    pub boost_mhz: Option<f64>,
    /// The compute ceiling, at the highest clock of the device.
    pub peak: FlopsPerSecond,
    /// The memory ceiling.
    pub bandwidth: BytesPerSecond,
    /// Whether both were measured.
    pub measured: bool,
    /// What caches keep from one run to the next; zero where not known.
    pub cached: Bytes,
}

rooflens_ground::words! {
    /// What holds work back.
    pub enum Bound {
        /// The arithmetic units.
        Compute = "compute",
        /// The memory.
        Memory = "memory",
    }
}

/// Work placed under a roof.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    /// Operations a byte.
    pub intensity: Intensity,
    /// The most the roof allows.
    pub attainable: FlopsPerSecond,
    /// The least time it takes.
    pub time: Seconds,
    /// Which ceiling that is.
    pub bound: Bound,
}

impl Roof {
    /// The roof of `device` for a data type.
    pub fn of<'a>(device: &Device, choice: impl Into<Choice<'a>>) -> Result<Self, CeilingError> {
        Self::with_attainable(device, choice.into()).map(|(roof, _)| roof)
    }

    /// The same, and what a real matrix product reaches under it.
    fn with_attainable(
        device: &Device,
        choice: Choice<'_>,
    ) -> Result<(Self, Option<FlopsPerSecond>), CeilingError> {
        let ceiling = device.ceiling(choice)?;
        let dram = device.dram().and_then(|m| Some((m, m.rate()?)));
        let (dram, bandwidth) =
            dram.ok_or_else(|| CeilingError::Bandwidth { device: device.name.clone() })?;
        let roof = Self {
            device: device.name.clone(),
            dtype: ceiling.dtype,
            accumulate: ceiling.accumulate,
            unit: ceiling.unit,
            boost_mhz: device.boost_mhz,
            peak: ceiling.rate,
            bandwidth,
            measured: ceiling.measured && dram.kind == Basis::Measured,
            cached: Bytes(device.cache_bytes().unwrap_or(0) as f64),
        };
        Ok((roof, ceiling.attainable))
    }

    /// Where the ceilings cross.
    pub fn ridge(&self) -> Intensity {
        self.peak / self.bandwidth
    }

    /// The most that work of this intensity reaches.
    pub fn attainable(&self, intensity: Intensity) -> FlopsPerSecond {
        self.peak.min(self.bandwidth * intensity)
    }

    /// No run takes less, one after another: max(F/π, (Q − C)/β), C what the caches keep.
    pub fn least(&self, flops: Flops, bytes: Bytes) -> Seconds {
        let moved = Bytes((bytes.get() - self.cached.get()).max(0.0));
        (flops / self.peak).max(moved / self.bandwidth)
    }

    /// Places work under the roof: time = max(F/π, Q/β).
    pub fn place(&self, flops: Flops, bytes: Bytes) -> Placement {
        let (compute, memory) = (flops / self.peak, bytes / self.bandwidth);
        let time = compute.max(memory);
        let intensity = if bytes.get() > 0.0 { flops / bytes } else { Intensity(f64::INFINITY) };
        Placement {
            intensity,
            attainable: self.attainable(intensity),
            time,
            bound: if compute >= memory { Bound::Compute } else { Bound::Memory },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v100() -> Roof {
        let catalogue = crate::hwdb::Catalogue::builtin().unwrap();
        Roof::of(catalogue.find("v100").unwrap(), "f32").unwrap()
    }

    #[test]
    fn the_ridge_parts_the_bounds() {
        let roof = v100();
        assert!((roof.ridge().get() - 15.7e12 / 900e9).abs() < 1e-9);
        let below = roof.place(Flops(1e9), Bytes(1e9));
        assert_eq!((below.bound, below.attainable), (Bound::Memory, FlopsPerSecond(900e9)));
        let above = roof.place(Flops(1e12), Bytes(1e9));
        assert_eq!((above.bound, above.attainable), (Bound::Compute, FlopsPerSecond(15.7e12)));
        assert!((above.time.get() - 1e12 / 15.7e12).abs() < 1e-12);
    }

    #[test]
    fn what_a_cache_keeps_moves_once() {
        let roof = Roof { cached: Bytes(6e6), ..v100() };
        assert_eq!(roof.least(Flops(0.0), Bytes(6e6)), Seconds(0.0));
        assert!((roof.least(Flops(1.0), Bytes(906e6)).get() - 1e-3).abs() < 1e-9);
        assert!((roof.least(Flops(15.7e9), Bytes(906e6)).get() - 1e-3).abs() < 1e-9);
    }

    #[test]
    fn work_without_traffic_is_bound_by_compute() {
        let placed = v100().place(Flops(1e9), Bytes(0.0));
        assert_eq!((placed.bound, placed.attainable), (Bound::Compute, FlopsPerSecond(15.7e12)));
    }
}
