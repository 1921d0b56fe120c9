//! Charts of results: operators and models under a roof, measured points, and batching studies as heat maps.

pub mod batching;

use crate::assess::Assessment;
use crate::chart::{Ceiling, Chart, MeasuredPoint, ModelPoint, Point, RoofLine, Standing};
use crate::hwdb::{Confidence, Device, LevelName};
use crate::report::{BoundReport, ModelReport, op_time};
use crate::roofline::Roof;
use crate::schema::HostPart;
use std::path::Path;

/// The chart of an assessment.
pub fn assessment(a: &Assessment, roof: &Roof) -> Chart {
    let m = &a.machine;
    Chart {
        title: format!("{} on {}", file_name(&a.analysis), m.cpu),
        subtitle: format!(
            "{} threads, {}; ceilings measured{}; a point is an operator, its area the share of the time bound",
            m.threads,
            m.simd,
            if a.measured.is_empty() { ", the model was not" } else { "" }
        ),
        roofs: machine_roofs(a),
        points: op_points(&a.analysis, roof),
        models: vec![model_point("whole model, at best", &a.analysis, roof)],
        measured: measured(a, &Under::assessed(a)),
    }
}

/// The operators of a report under a roof.
pub fn op_points(report: &ModelReport, roof: &Roof) -> Vec<Point> {
    let total: f64 = report.nodes().map(|op| op_time(roof, op).get()).sum();
    let counted = report.nodes().filter(|op| op.intensity.is_some_and(|i| i > 0.0));
    let point = |op: &crate::report::OpReport| {
        let intensity = op.intensity.unwrap_or_default();
        Point {
            class: op.class.to_string(),
            intensity,
            performance: roof.attainable(crate::units::Intensity(intensity)).get(),
            share: op_time(roof, op).get() / total,
        }
    };
    counted.map(point).collect()
}

/// The file of a model, without its folder.
pub fn file_name(report: &ModelReport) -> String {
    let file = Path::new(&report.model.file).file_name();
    file.map_or(report.model.file.clone(), |f| f.to_string_lossy().into_owned())
}

/// The whole model on a roof, and its segment.
pub fn model_point(label: &str, report: &ModelReport, roof: &Roof) -> ModelPoint {
    let bound = BoundReport::new(roof, report);
    let t = &report.totals;
    let work = t.operations().unwrap_or(0) as f64;
    let at = |bytes: Option<u64>| {
        let bytes = bytes.unwrap_or(0);
        let intensity = crate::units::Intensity(work / bytes as f64);
        (bytes > 0 && work > 0.0).then(|| (intensity.get(), roof.attainable(intensity).get()))
    };
    ModelPoint {
        label: label.to_owned(),
        intensity: bound.intensity_flop_per_byte,
        performance: bound.attainable_flops,
        node_by_node: at(t.bytes()),
        fused: at(t.fused_bytes),
    }
}

/// The roofs of all threads and of one, and what was measured under them.
pub fn machine_roofs(a: &Assessment) -> Vec<RoofLine> {
    let m = &a.machine;
    let roof = |label: &str, peak: f64, slope: f64| RoofLine {
        label: label.to_owned(),
        peaks: vec![Ceiling { label: "f32".into(), value: peak }],
        slopes: vec![Ceiling { label: "DRAM".into(), value: slope }],
        measured: true,
    };
    let (one, all) = (m.triad_bytes_per_second_one_thread, m.triad_bytes_per_second_all_threads);
    let mut roofs = vec![roof("all threads", m.peak_flops_all_threads, all)];
    if m.threads > 1 {
        roofs.push(roof("one thread", m.peak_flops_one_thread, one));
    }
    roofs
}

/// A roof that measured points are drawn under: whose it is.
pub struct Under {
    /// Name of the device.
    name: String,
    /// The machine that its ceilings were measured on, where they were.
    machine: Option<String>,
    /// Whether they varied.
    restless: bool,
}

impl Under {
    /// The roof of a device.
    pub fn device(device: &Device) -> Self {
        let (name, machine) = (device.name.clone(), device.machine.clone());
        Self { name, machine, restless: device.restless }
    }

    /// The roof of the machine of an assessment.
    pub fn assessed(a: &Assessment) -> Self {
        let m = &a.machine;
        let machine = m.host.as_ref().map(|host| host.id.clone());
        Self { name: m.cpu.clone(), machine, restless: !m.doubts.is_empty() }
    }

    /// How what was measured in a process on one of `hosts` stands to it.
    pub fn standing(&self, hosts: &[HostPart]) -> Standing {
        let same = |host: &HostPart| match (&self.machine, &host.cpu) {
            (Some(id), _) => *id == host.id,
            (None, Some(cpu)) => cpu.contains(&self.name) || self.name.contains(cpu),
            (None, None) => true,
        };
        match hosts.iter().find(|host| !same(host)) {
            Some(other) => {
                Standing::Elsewhere(other.cpu.clone().unwrap_or("another machine".into()))
            }
            None if self.restless => Standing::Rough,
            None => Standing::Own,
        }
    }
}

/// The runs of an assessment under a roof.
pub fn measured(a: &Assessment, under: &Under) -> Vec<MeasuredPoint> {
    let standing = under.standing(a.machine.host.as_slice());
    let point = |s: &crate::schema::LoopPart| {
        Some(MeasuredPoint {
            label: format!("{}: {:.1}/s,", s.name, s.throughput_per_second),
            intensity: a.bound.intensity_flop_per_byte,
            achieved: s.achieved_flops.filter(|a| *a > 0.0)?,
            attainable: s.attainable_flops,
            standing: standing.clone(),
        })
    };
    a.measured.iter().filter_map(point).collect()
}

/// The ceilings of a device for these data types, those of one value together; `None` without a
/// slope or a peak.
pub fn device_roof(device: &Device, dtypes: &[String], label: &str) -> Option<RoofLine> {
    let mut peaks: Vec<Ceiling> = Vec::new();
    for dtype in dtypes {
        let Some(peak) = device.peak(dtype) else { continue };
        let value = device.rate(peak).get();
        match peaks.iter_mut().find(|c| (c.value / value - 1.0).abs() < 1e-6) {
            Some(same) => same.label = format!("{}, {dtype}", same.label),
            None => peaks.push(Ceiling { label: dtype.clone(), value }),
        }
    }
    let dram = device.memory.iter().filter(|m| m.level == LevelName::Dram);
    let caches = device.memory.iter().filter(|m| m.level != LevelName::Dram);
    let slope = |m: &crate::hwdb::MemoryLevel| {
        Some(Ceiling { label: m.level.to_string(), value: m.rate()?.get() })
    };
    let slopes: Vec<Ceiling> = dram.chain(caches).filter_map(slope).collect();
    let dram_known = device.dram().is_some_and(|d| d.rate().is_some());
    (dram_known && !peaks.is_empty()).then(|| RoofLine {
        label: label.to_owned(),
        peaks,
        slopes,
        measured: device.confidence == Confidence::Measured,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_elsewhere_is_not_held_against_a_roof() {
        let host = |id: &str, cpu: &str| HostPart {
            id: id.into(),
            cpu: Some(cpu.into()),
            threads: 2,
            gpus: Vec::new(),
            kernel: None,
            virtual_machine: None,
        };
        let of = |machine: Option<&str>, restless| Under {
            name: "AMD EPYC 7763".into(),
            machine: machine.map(str::to_owned),
            restless,
        };
        let one = [host("1", "AMD EPYC 7763 64-Core Processor")];
        assert_eq!(of(Some("1"), false).standing(&one), Standing::Own);
        assert_eq!(of(Some("1"), true).standing(&one), Standing::Rough);
        // By its name, where the ceilings are from a data sheet; nothing is known of older files.
        assert_eq!(of(None, false).standing(&one), Standing::Own);
        assert_eq!(of(None, false).standing(&[]), Standing::Own);
        let other = Standing::Elsewhere("AMD EPYC 7763 64-Core Processor".into());
        assert_eq!(of(Some("2"), false).standing(&one), other);
        let laptop = [host("3", "A laptop")];
        assert_eq!(of(None, true).standing(&laptop), Standing::Elsewhere("A laptop".into()));
    }
}
