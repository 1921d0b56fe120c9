//! Devices and their ceilings.

mod check;
mod compare;
mod show;

pub use check::device_checks;
pub use compare::compare;
pub use show::device;

use super::{Side, Table};
use crate::hwdb::{CeilingType, Device, MemoryLevel};
use crate::units::si;

/// A line for each device, with the peak of `dtype` in place of the 16-bit types where it is given.
pub fn device_list(devices: &[&Device], dtype: Option<&str>) -> String {
    let extra = dtype.filter(|t| CeilingType::from(*t) != CeilingType::F32);
    let (narrow, types) = extra.map_or(("f16/bf16", vec!["f16", "bf16"]), |t| (t, vec![t]));
    let left = ["id", "name", "kind"].map(|name| (name, Side::Left)).into_iter();
    let right = ["f32", narrow, "memory", "bandwidth", "power"].map(|name| (name, Side::Right));
    let mut table = Table::new(left.chain(right));
    for d in devices {
        let rate = |dtypes: &[&str]| {
            let peaks = dtypes.iter().filter_map(|t| d.peak(t));
            let best = peaks.max_by(|a, b| a.dense_tflops.total_cmp(&b.dense_tflops));
            best.map_or("–".to_owned(), |p| si(p.rate().get(), p.dtype.unit_of_rate()))
        };
        let dram = d.dram();
        let memory = dram.and_then(|m| m.capacity_bytes);
        let bandwidth = dram.and_then(MemoryLevel::rate);
        table.row([
            d.id.clone(),
            d.name.clone(),
            d.kind.to_string(),
            rate(&["f32"]),
            rate(&types),
            memory.map_or("–".to_owned(), |b| si(b as f64, "B")),
            bandwidth.map_or("–".to_owned(), |b| b.to_string()),
            d.tdp_w.map_or("–".to_owned(), |w| format!("{w:.0} W")),
        ]);
    }
    let mut text = String::new();
    table.write("", &mut text);
    text
}
