//! A device as a study has it.

use super::schema::{DevicePart, LevelPart, PeakPart, PricePart};
use rooflens_model::hwdb::CeilingType;
use rooflens_model::hwdb::{Confidence, Device, LevelName, MemoryLevel};
use rooflens_model::roofline::Roof;
use rooflens_probe::schema::MachinePart;

/// A device with its ceilings; none where it has no roof at all.
pub fn device(device: &Device) -> Option<DevicePart> {
    let bandwidth = device.dram()?.rate()?;
    let peaks: Vec<PeakPart> = device
        .types()
        .iter()
        .filter_map(|dtype| {
            let ceiling = device.ceiling(dtype.name()).ok()?;
            Some(PeakPart {
                dtype: dtype.to_string(),
                rate: ceiling.rate.get(),
                attainable: ceiling.attainable.map(rooflens_ground::units::FlopsPerSecond::get),
                unit: ceiling.unit,
            })
        })
        .collect();
    let level = |m: &MemoryLevel| {
        Some(LevelPart {
            name: m.level.to_string(),
            bandwidth: m.rate()?.get(),
            bytes: m.capacity_bytes,
        })
    };
    let mut levels: Vec<LevelPart> = device.memory.iter().filter_map(level).collect();
    let dram = LevelName::Dram;
    levels.sort_by_key(|l| l.name != dram.name());
    let measured = |p: &PeakPart| Roof::of(device, p.dtype.as_str()).is_ok_and(|r| r.measured);
    (!peaks.is_empty()).then(|| DevicePart {
        id: device.id.clone(),
        name: device.name.clone(),
        kind: device.kind.to_string(),
        measured: peaks.iter().all(measured),
        peaks,
        bandwidth: bandwidth.get(),
        levels,
        cached_bytes: device.cache_bytes().unwrap_or(0),
        memory_bytes: device.dram().and_then(|d| d.capacity_bytes),
        launch_seconds: device.launch_us.map(|us| us * 1e-6),
        watts: device.tdp_w,
        price: device.price().map(|p| PricePart {
            usd_per_hour: p.usd_per_hour,
            provider: p.provider.clone(),
            date: p.date.clone(),
            source: p.source.clone(),
        }),
        confidence: device.confidence.to_string(),
        sources: device.sources.clone(),
    })
}

/// The machine of an assessment, with the ceilings of all its threads.
pub fn machine(machine: &MachinePart) -> DevicePart {
    let bandwidth = machine.triad_bytes_per_second_all_threads;
    DevicePart {
        id: "assessed-machine".to_owned(),
        name: machine.cpu.clone(),
        kind: rooflens_model::hwdb::DeviceKind::Cpu.to_string(),
        peaks: vec![PeakPart {
            dtype: CeilingType::F32.to_string(),
            rate: machine.peak_flops_all_threads,
            attainable: None,
            unit: machine.simd.clone(),
        }],
        bandwidth,
        levels: vec![LevelPart { name: LevelName::Dram.to_string(), bandwidth, bytes: None }],
        measured: true,
        confidence: Confidence::Measured.to_string(),
        ..DevicePart::default()
    }
}

impl DevicePart {
    /// The ceiling of a type, as devices name it.
    pub fn peak(&self, dtype: &str) -> Option<&PeakPart> {
        let same = |p: &&PeakPart| p.dtype.as_str() == dtype;
        self.peaks.iter().find(same)
    }
}
