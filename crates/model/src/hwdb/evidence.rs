//! Published times of networks beside what this tool counts for them, and the ranges that follow.
//!
//! On GPUs the runtime and its launches explain more of the spread than the device does, so that a range there is that of
//! measured / (fused + nodes × c), with c seconds for each node that costs something.

use super::{Device, DeviceKind};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The shipped rows.
const SHIPPED: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../hwdb/evidence.toml"));

/// Rows below which a range says nothing.
const FEWEST: usize = 8;

rooflens_ground::words! {
    /// How a runtime runs a graph.
    pub enum RuntimeClass {
        /// An inference engine, such as `TensorRT` and onnxruntime.
        Engine = "engine",
        /// A framework that compiles, such as XLA and dynamo.
        Compiled = "compiled",
        /// A framework that calls one operator after another.
        Eager = "eager",
    }
}

impl RuntimeClass {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Engine, Self::Compiled, Self::Eager];

    /// Seconds on a GPU for each node that costs something: those that make the rows of this class most alike.
    pub fn seconds_per_node(self) -> f64 {
        match self {
            Self::Engine => 2e-6,
            Self::Compiled => 8e-6,
            Self::Eager => 10e-6,
        }
    }
}

/// A network that was timed on a device.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceRow {
    /// Id of the device.
    pub on: String,
    /// The network.
    pub net: String,
    /// The type it ran in.
    pub dtype: String,
    /// Inferences together.
    pub batch: u64,
    /// How it was run.
    pub runtime: RuntimeClass,
    /// Seconds of a run, as published.
    pub measured: f64,
    /// The fused time, in seconds, that this tool gives.
    pub fused: f64,
    /// Nodes that cost something.
    pub nodes: u64,
}

/// Rows of one source.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceSource {
    /// Where it is.
    pub url: String,
    /// When it was published, as far as it says.
    pub date: String,
    /// What it measured.
    pub rows: Vec<EvidenceRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    source: Vec<EvidenceSource>,
}

/// Likely seconds of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likely {
    /// By the 10th percentile of the rows.
    pub low: f64,
    /// By the 90th percentile.
    pub high: f64,
    /// How many rows it rests on.
    pub rows: usize,
}

/// Published times, each row with the kind and the vendor of its device: what one vendor's devices reach says nothing of
/// another's.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// By source.
    pub sources: Vec<EvidenceSource>,
    devices: BTreeMap<String, (DeviceKind, String)>,
}

impl Evidence {
    /// The shipped rows, of which those count that ran on one of these devices.
    pub fn shipped<'d>(
        devices: impl IntoIterator<Item = &'d Device>,
    ) -> Result<Self, toml::de::Error> {
        let like = |d: &Device| (d.id.clone(), (d.kind.clone(), d.vendor.clone()));
        let file: File = toml::from_str(SHIPPED)?;
        Ok(Self { sources: file.source, devices: devices.into_iter().map(like).collect() })
    }

    /// Rows of devices of the same kind and vendor.
    fn like(&self, device: &Device) -> impl Iterator<Item = &EvidenceRow> {
        let rows = self.sources.iter().flat_map(|source| &source.rows);
        rows.filter(move |row| {
            let ran = self.devices.get(&row.on);
            ran.is_some_and(|(kind, vendor)| *kind == device.kind && *vendor == device.vendor)
        })
    }

    /// Likely seconds of a run on a device, between the 10th and the 90th percentile of what was published of its kind and vendor; none
    /// where there are fewer than eight rows. Without a runtime, it is the union of all classes on GPUs.
    pub fn likely(
        &self,
        device: &Device,
        dtype: &str,
        runtime: Option<RuntimeClass>,
        fused: f64,
        nodes: u64,
    ) -> Option<Likely> {
        if device.kind != DeviceKind::Gpu {
            // Elsewhere only engines were published.
            if runtime.is_some_and(|class| class != RuntimeClass::Engine) {
                return None;
            }
            let ratio = |row: &EvidenceRow| row.measured / row.fused;
            let typed: Vec<f64> =
                self.like(device).filter(|row| row.dtype == dtype).map(ratio).collect();
            let ratios =
                if typed.len() < FEWEST { self.like(device).map(ratio).collect() } else { typed };
            return spread(ratios, fused);
        }
        let classes = runtime.map_or_else(|| RuntimeClass::ALL.to_vec(), |class| vec![class]);
        let of = |class: RuntimeClass| {
            let each = class.seconds_per_node();
            let base = |fused: f64, nodes: u64| fused + nodes as f64 * each;
            let rows = self.like(device).filter(|row| row.runtime == class);
            let ratios = rows.map(|row| row.measured / base(row.fused, row.nodes)).collect();
            spread(ratios, base(fused, nodes))
        };
        let ranges = classes.into_iter().map(of).collect::<Option<Vec<Likely>>>()?;
        ranges.into_iter().reduce(|a, b| Likely {
            low: a.low.min(b.low),
            high: a.high.max(b.high),
            rows: a.rows + b.rows,
        })
    }
}

/// `base` times the 10th and the 90th percentile of ratios.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and the number of rows"
)]
fn spread(mut ratios: Vec<f64>, base: f64) -> Option<Likely> {
    if ratios.len() < FEWEST {
        return None;
    }
    ratios.sort_by(f64::total_cmp);
    let at = |q: f64| {
        let place = q * (ratios.len() - 1) as f64;
        let (below, part) = (place as usize, place.fract());
        let above = (below + 1).min(ratios.len() - 1);
        base * (ratios[below] + (ratios[above] - ratios[below]) * part)
    };
    Some(Likely { low: at(0.1), high: at(0.9), rows: ratios.len() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hwdb::Catalogue;

    fn shipped() -> Evidence {
        let catalogue = Catalogue::builtin().unwrap();
        Evidence::shipped(catalogue.iter()).unwrap()
    }

    #[test]
    fn rows_have_devices_sources_and_dates() {
        let evidence = shipped();
        for source in &evidence.sources {
            assert!(source.url.starts_with("https://") && !source.date.is_empty(), "{source:?}");
            for row in &source.rows {
                assert!(evidence.devices.contains_key(&row.on), "{row:?}");
                assert!(row.measured > 0.0 && row.fused > 0.0 && row.nodes > 0, "{row:?}");
            }
        }
    }

    #[test]
    fn few_rows_take_all_types_and_none_no_range() {
        let (evidence, catalogue) = (shipped(), Catalogue::builtin().unwrap());
        let likely = |name: &str, dtype: &str, runtime| {
            evidence.likely(catalogue.find(name).unwrap(), dtype, runtime, 1e-3, 50)
        };
        let jetson = "nvidia-jetson-orin-nx-16gb";
        assert!(likely(jetson, "i8", None).is_some());
        assert_eq!(likely(jetson, "i8", None), likely(jetson, "f32", None), "few rows of both");
        assert_eq!(likely("intel-xeon-8380", "f32", Some(RuntimeClass::Eager)), None);
        // Of these vendors nothing was published that could be counted.
        for name in ["google-tpu-v4", "amd-mi210", "amd-epyc-7763", "aws-graviton3"] {
            assert_eq!(likely(name, "f32", None), None, "{name}");
        }
        let one = likely("t4", "f16", Some(RuntimeClass::Engine)).unwrap();
        let all = likely("t4", "f16", None).unwrap();
        assert!(all.high > one.high && all.low <= one.low);
    }

    /// Each device's rows against the range of all other devices.
    #[test]
    fn a_device_that_was_left_out_lies_in_the_range_of_the_others() {
        let evidence = shipped();
        let (mut inside, mut asked, mut all, mut widths) = (0, 0, 0, Vec::new());
        for device in Catalogue::builtin().unwrap().iter() {
            let mut others = evidence.clone();
            for source in &mut others.sources {
                source.rows.retain(|row| row.on != device.id);
            }
            let rows = evidence.sources.iter().flat_map(|s| &s.rows).filter(|r| r.on == device.id);
            for row in rows {
                all += 1;
                let found =
                    others.likely(device, &row.dtype, Some(row.runtime), row.fused, row.nodes);
                let Some(range) = found else { continue };
                asked += 1;
                inside += u32::from((range.low..=range.high).contains(&row.measured));
                widths.push(range.high / range.low);
            }
        }
        widths.sort_by(f64::total_cmp);
        let (share, width) = (f64::from(inside) / f64::from(asked), widths[widths.len() / 2]);
        assert!(share > 0.6 && width < 6.0, "{inside} of {asked} of {all} rows: {share} {width}");
    }
}
