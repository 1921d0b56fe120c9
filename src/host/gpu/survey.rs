//! Ceilings of a GPU, and the device file they make.

use super::{Gpu, GpuState};
use crate::host::device::{giga, repeats, tera};
use crate::host::figure::Figure;
use crate::host::survey::NOISY;
use crate::hwdb::{
    Basis, CeilingType, Confidence, Device, DeviceKind, Direction, Engine, LevelName, Link,
    MemoryLevel, Peak,
};
#[cfg(test)]
use crate::schemas::elsewhere;
use serde::Serialize;

/// A matrix product that was timed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GpuProduct {
    /// Type of the factors.
    pub dtype: &'static str,
    /// Type of the sums.
    pub accumulate: &'static str,
    /// Rows, columns and depth.
    pub size: usize,
    /// Operations a second.
    pub per_second: Figure,
}

/// Measured ceilings of a GPU.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GpuSurvey {
    /// What it is.
    #[cfg_attr(test, schemars(with = "elsewhere::Gpu"))]
    pub gpu: Gpu,
    /// Multiprocessors.
    pub multiprocessors: Option<u32>,
    /// Products by data type, each checked against sums of the host.
    pub products: Vec<GpuProduct>,
    /// A copy within its memory: bytes read and written a second.
    pub copy: Option<Figure>,
    /// From locked pages of the host to it, bytes a second.
    pub to_device: Option<Figure>,
    /// From it to locked pages of the host, bytes a second.
    pub from_device: Option<Figure>,
    /// Small operations a second that one queue takes, one after another.
    pub launches: Option<Figure>,
    /// Before the first measurement.
    pub before: GpuState,
    /// While the longest product ran.
    pub loaded: GpuState,
    /// What could not be measured, and why.
    pub absent: Vec<String>,
    /// What makes figures doubtful.
    pub doubts: Vec<String>,
}

impl GpuSurvey {
    /// What the states and the repeats say against the figures.
    pub(super) fn doubt(&mut self) {
        let mut doubts = Vec::new();
        let streams = [
            ("copy", self.copy),
            ("host to device", self.to_device),
            ("device to host", self.from_device),
            ("launches", self.launches),
        ];
        let streams = streams.into_iter().filter_map(|(name, f)| Some((name.to_owned(), f?)));
        let products = self.products.iter().map(|p| (format!("{} GEMM", p.dtype), p.per_second));
        for (name, figure) in products.chain(streams).filter(|(_, f)| f.spread() > NOISY) {
            let spread = 100.0 * figure.spread();
            doubts.push(format!("{name} varied by {spread:.0} % between repeats"));
        }
        if let Some(busy) = self.before.busy_percent.filter(|b| *b > 5) {
            doubts.push(format!("the GPU was {busy} % busy before anything was measured"));
        }
        if !self.loaded.slowed_by.is_empty() {
            let at = self.loaded.clock_mhz.zip(self.gpu.max_clock_mhz);
            let at = at.map_or(String::new(), |(now, most)| format!(" at {now} of {most} MHz"));
            doubts.push(format!("held{at} by {} under load", self.loaded.slowed_by.join(", ")));
        }
        self.doubts.extend(doubts);
    }

    /// The device file: measured products are its peaks, because nothing shows more.
    pub fn device(&self, id: &str) -> Device {
        let peak = |p: &GpuProduct| Peak {
            dtype: p.dtype.into(),
            unit: if CeilingType::from(p.dtype) == CeilingType::F32 {
                Engine::Vector
            } else {
                Engine::Tensor
            },
            dense_tflops: tera(p.per_second.median),
            accumulate: (p.accumulate != p.dtype).then(|| p.accumulate.into()),
            kind: Basis::Measured,
            note: Some(format!("cuBLASLt GEMM of {}; {}", p.size, repeats(&p.per_second))),
            ..Peak::default()
        };
        let link = |name: &str, figure: Option<Figure>| {
            Some(Link {
                name: name.into(),
                bandwidth_gb_s: giga(figure?.median),
                direction: Direction::OneWay,
                kind: Basis::Measured,
                source: None,
            })
        };
        let memory = MemoryLevel {
            level: LevelName::Dram,
            capacity_bytes: self.gpu.memory_bytes,
            bandwidth_gb_s: self.copy.map(|f| giga(f.median)),
            copy_gb_s: self.copy.map(|f| giga(f.median)),
            kind: Basis::Measured,
            note: self.copy.map(|f| format!("copy, bytes read and written; {}", repeats(&f))),
            ..MemoryLevel::default()
        };
        let known = memory.capacity_bytes.is_some() || memory.bandwidth_gb_s.is_some();
        let links =
            [link("host to device", self.to_device), link("device to host", self.from_device)];
        Device {
            id: id.into(),
            name: self.gpu.name.clone(),
            vendor: "NVIDIA".into(),
            kind: DeviceKind::Gpu,
            arch: self.gpu.compute_capability.as_ref().map(|c| format!("compute {c}")),
            confidence: Confidence::Measured,
            sources: vec!["HOST".into()],
            notes: (!self.doubts.is_empty()).then(|| self.doubts.join("; ")),
            compute_units: self.multiprocessors,
            tdp_w: self.gpu.power_limit_w.filter(|w| *w > 0.0),
            peaks: self.products.iter().map(peak).collect(),
            memory: if known { vec![memory] } else { Vec::new() },
            links: links.into_iter().flatten().collect(),
            launch_us: self.launches.map(|f| (1e8 / f.median).round() / 100.0),
            ..Device::default()
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn example() -> GpuSurvey {
        let gpu = Gpu {
            index: 0,
            uuid: Some("GPU-0".into()),
            name: "NVIDIA Example".into(),
            compute_capability: Some("9.0".into()),
            memory_bytes: Some(80 << 30),
            max_clock_mhz: Some(1980),
            clock_mhz: Some(345),
            max_memory_clock_mhz: None,
            power_limit_w: Some(700.0),
            power_w: Some(70.0),
            pcie_generation: Some(5),
            pcie_lanes: Some(16),
        };
        let figure = |median: f64| Some(Figure { median, least: 0.99 * median, most: median });
        let product = |dtype, accumulate, per_second| GpuProduct {
            dtype,
            accumulate,
            size: 8192,
            per_second: Figure { median: per_second, least: 0.7 * per_second, most: per_second },
        };
        GpuSurvey {
            gpu,
            multiprocessors: Some(132),
            products: vec![product("f32", "f32", 5e13), product("f16", "f32", 7e14)],
            copy: figure(2.9e12),
            to_device: figure(5.5e10),
            from_device: None,
            launches: figure(4e5),
            before: GpuState { busy_percent: Some(0), ..GpuState::default() },
            loaded: GpuState {
                clock_mhz: Some(1410),
                slowed_by: vec!["the power limit"],
                ..GpuState::default()
            },
            absent: Vec::new(),
            doubts: Vec::new(),
        }
    }

    #[test]
    fn a_survey_makes_a_sound_device_file() {
        let mut survey = example();
        survey.doubt();
        assert_eq!(
            survey.doubts,
            [
                "f32 GEMM varied by 30 % between repeats",
                "f16 GEMM varied by 30 % between repeats",
                "held at 1410 of 1980 MHz by the power limit under load"
            ]
        );
        let device = survey.device("host-gpu0");
        assert_eq!(device.problems(), Vec::<String>::new());
        let text = toml::to_string(&device).unwrap();
        assert_eq!(toml::from_str::<Device>(&text).unwrap(), device);
        assert_eq!((device.launch_us, device.links.len()), (Some(2.5), 1));
        assert_eq!(device.peak("f16").unwrap().accumulate, Some(CeilingType::F32));
        let roof = crate::roofline::Roof::of(&device, "f16").unwrap();
        assert!(roof.measured && (roof.ridge().get() - 7e14 / 2.9e12).abs() < 0.1);
    }

    #[test]
    fn what_was_not_measured_is_absent_from_the_file() {
        let mut survey = example();
        (survey.copy, survey.launches, survey.to_device) = (None, None, None);
        survey.products.clear();
        let device = survey.device("host-gpu0");
        assert!(device.peaks.is_empty() && device.links.is_empty() && device.launch_us.is_none());
        assert_eq!(device.dram().and_then(MemoryLevel::rate), None);
    }
}
