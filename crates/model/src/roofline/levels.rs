//! The hierarchical roofline: a ceiling for every memory level, and the level that binds.
//!
//! Yang et al., *Hierarchical Roofline analysis for GPUs*, Concurrency and Computation 32(20), 2020.

use super::{Bound, Placement, Roof};
use crate::hwdb::{CeilingError, Choice, Device, LevelName};
use rooflens_ground::units::{Bytes, BytesPerSecond, Flops, FlopsPerSecond, Intensity};

/// The ceiling of a memory level.
#[derive(Clone, Debug, PartialEq)]
pub struct Level {
    /// `L1`, `L2`, `DRAM` …
    pub name: LevelName,
    /// What it holds; main memory holds everything.
    pub capacity: Option<Bytes>,
    /// Bandwidth.
    pub bandwidth: BytesPerSecond,
}

/// The ceilings of a device for one data type, all memory levels of known bandwidth included.
#[derive(Clone, Debug, PartialEq)]
pub struct Hierarchy {
    /// The roof of main memory.
    pub roof: Roof,
    /// What a real matrix product reaches, where measured.
    pub attainable: Option<FlopsPerSecond>,
    /// Fastest first; main memory last.
    pub levels: Vec<Level>,
}

/// Work placed under the ceiling of the level that holds its data.
#[derive(Clone, Debug, PartialEq)]
pub struct LevelPlacement {
    /// Intensity, attainable rate, time and bound.
    pub placement: Placement,
    /// The level whose bandwidth counted.
    pub level: LevelName,
}

impl LevelPlacement {
    /// What binds: `compute`, or the name of a level.
    pub fn bound(&self) -> &str {
        match self.placement.bound {
            Bound::Compute => Bound::Compute.name(),
            Bound::Memory => self.level.name(),
        }
    }
}

impl Hierarchy {
    /// The ceilings of `device` for a data type.
    pub fn of<'a>(device: &Device, choice: impl Into<Choice<'a>>) -> Result<Self, CeilingError> {
        let (roof, attainable) = Roof::with_attainable(device, choice.into())?;
        let level = |m: &crate::hwdb::MemoryLevel| {
            let capacity = m.capacity_bytes.map(|b| Bytes(b as f64));
            Some(Level { name: m.level.clone(), capacity, bandwidth: m.rate()? })
        };
        let mut levels: Vec<Level> = device.memory.iter().filter_map(level).collect();
        // A cache that is slower than what lies behind it is no ceiling.
        levels.retain(|l| l.name == LevelName::Dram || l.bandwidth > roof.bandwidth);
        levels.sort_by(|a, b| b.bandwidth.get().total_cmp(&a.bandwidth.get()));
        Ok(Self { roof, attainable, levels })
    }

    /// The innermost level that holds a working set of this size; main memory when none does.
    ///
    /// A level whose bandwidth or size is not known is passed over, towards main memory.
    pub fn home(&self, working_set: Bytes) -> &LevelName {
        self.holder(working_set).map_or(&LevelName::Dram, |l| &l.name)
    }

    fn holder(&self, working_set: Bytes) -> Option<&Level> {
        let holds = |l: &&Level| l.capacity.is_some_and(|c| working_set <= c);
        self.levels.iter().filter(|l| l.name != LevelName::Dram).find(holds)
    }

    /// Where each level's slope meets the peak, fastest level first.
    pub fn ridges(&self) -> impl Iterator<Item = (&str, Intensity)> {
        self.levels.iter().map(|l| (l.name.name(), self.roof.peak / l.bandwidth))
    }

    /// Places work that moves `bytes` again and again over `working_set`: time = max(F/π, Q/β) with
    /// the bandwidth of the level that holds the working set.
    pub fn place(&self, flops: Flops, bytes: Bytes, working_set: Bytes) -> LevelPlacement {
        let holder = self.holder(working_set);
        let bandwidth = holder.map_or(self.roof.bandwidth, |l| l.bandwidth);
        let placement = Roof { bandwidth, ..self.roof.clone() }.place(flops, bytes);
        LevelPlacement { placement, level: self.home(working_set).clone() }
    }

    /// Places work whose traffic is known level by level: the slowest of all ceilings binds.
    pub fn place_by_level(&self, flops: Flops, traffic: &[(&str, Bytes)]) -> LevelPlacement {
        let place = |(name, bytes): &(&str, Bytes)| {
            let level = self.levels.iter().find(|l| l.name.name() == *name)?;
            let roof = Roof { bandwidth: level.bandwidth, ..self.roof.clone() };
            Some(LevelPlacement { placement: roof.place(flops, *bytes), level: level.name.clone() })
        };
        let placed = traffic.iter().filter_map(place);
        let slowest =
            placed.max_by(|a, b| a.placement.time.get().total_cmp(&b.placement.time.get()));
        slowest.unwrap_or_else(|| self.place(flops, Bytes(0.0), Bytes(f64::INFINITY)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hwdb::{MemoryLevel, Peak};

    fn device() -> Device {
        let level = |name: &str, capacity: u64, rate: Option<f64>| MemoryLevel {
            level: name.into(),
            capacity_bytes: Some(capacity),
            bandwidth_gb_s: rate,
            kind: "measured".into(),
            ..MemoryLevel::default()
        };
        let peak = Peak {
            dtype: "f32".into(),
            dense_tflops: 0.1,
            attainable_tflops: Some(0.09),
            kind: "measured".into(),
            ..Peak::default()
        };
        Device {
            name: "d".into(),
            peaks: vec![peak],
            memory: vec![
                level("DRAM", 1 << 34, Some(20.0)),
                level("L1", 1 << 15, Some(200.0)),
                level("L2", 1 << 20, Some(100.0)),
                level("L3", 1 << 25, None),
            ],
            ..Device::default()
        }
    }

    #[test]
    fn the_working_set_names_the_level() {
        let h = Hierarchy::of(&device(), "f32").unwrap();
        let homes = [1e4, 5e5, 1e7, 1e12].map(|b| h.home(Bytes(b)).to_string());
        // L3, whose bandwidth is not known, is passed over.
        assert_eq!(homes, ["L1", "L2", "DRAM", "DRAM"]);
        assert_eq!(h.attainable, Some(FlopsPerSecond(0.09 * 1e12)));
        let ridges: Vec<(&str, f64)> = h.ridges().map(|(n, i)| (n, i.get())).collect();
        assert_eq!(ridges, [("L1", 0.5), ("L2", 1.0), ("DRAM", 5.0)]);
    }

    #[test]
    fn work_is_bound_by_the_level_that_holds_it() {
        let h = Hierarchy::of(&device(), "f32").unwrap();
        let place = |set: f64| h.place(Flops(2e6), Bytes(1e6), Bytes(set));
        assert_eq!(place(1e4).bound(), "compute");
        assert_eq!(place(1e12).bound(), "DRAM");
        assert!((place(1e12).placement.time.get() - 1e6 / 20e9).abs() < 1e-12);
    }

    #[test]
    fn of_traffic_by_level_the_slowest_binds() {
        let h = Hierarchy::of(&device(), "f32").unwrap();
        let placed = h.place_by_level(
            Flops(1e6),
            &[("L1", Bytes(1e7)), ("L2", Bytes(8e6)), ("DRAM", Bytes(1e5))],
        );
        assert_eq!(placed.bound(), "L2");
        assert_eq!(h.place_by_level(Flops(1.0), &[]).bound(), "compute");
    }
}
