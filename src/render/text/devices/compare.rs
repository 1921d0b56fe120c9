//! Devices side by side.

use super::{Side, Table};
use crate::hwdb::{CeilingType, Choice, Device, MemoryLevel, Peak};
use crate::units::{BytesPerSecond, FlopsPerSecond, si};

/// Devices side by side, each figure also as a multiple of the first device's.
pub fn compare(devices: &[&Device], dtypes: &[CeilingType]) -> String {
    let names = devices.iter().map(|d| (d.name.as_str(), Side::Right));
    let mut table = Table::new([("", Side::Left)].into_iter().chain(names));
    for row in rows(devices, dtypes) {
        let first = row.figures.first().copied().flatten();
        let cell = |(i, figure): (usize, &Option<f64>)| {
            let Some(figure) = *figure else { return "–".to_owned() };
            let value = match row.shown {
                Shown::Watts => format!("{figure:.0} W"),
                Shown::Prefixed(unit) => si(figure, unit),
            };
            match first.filter(|_| i > 0) {
                Some(first) => format!("{value} ×{:.2}", figure / first),
                None => value,
            }
        };
        let cells = row.figures.iter().enumerate().map(cell);
        table.row([row.label.clone()].into_iter().chain(cells));
    }
    let mut text = String::new();
    table.write("", &mut text);
    text
}

/// How a figure is written.
#[derive(Clone, Copy)]
enum Shown {
    /// With a prefix before this unit.
    Prefixed(&'static str),
    /// In whole watts.
    Watts,
}

/// A row: a label, and per device a figure.
struct Row {
    label: String,
    shown: Shown,
    figures: Vec<Option<f64>>,
}

fn rows(devices: &[&Device], dtypes: &[CeilingType]) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |label: String, shown: Shown, figure: &dyn Fn(&Device) -> Option<f64>| {
        let figures: Vec<Option<f64>> = devices.iter().map(|d| figure(d)).collect();
        if figures.iter().any(Option::is_some) {
            rows.push(Row { label, shown, figures });
        }
    };
    for dtype in dtypes {
        let unit = Shown::Prefixed(dtype.unit_of_rate());
        row(format!("{dtype} peak"), unit, &|d| Some(d.peak(dtype.name())?.rate().get()));
        row(format!("{dtype}, f16 sums"), unit, &|d| {
            let narrow = Choice { accumulate: Some("f16"), ..Choice::from(dtype.name()) };
            d.peaks_of(narrow).first().map(|p| p.rate().get())
        });
        row(format!("{dtype}, DLAs"), unit, &|d| {
            let dla = Choice { unit: Some("dla"), ..Choice::from(dtype.name()) };
            d.peaks_of(dla).first().map(|p| p.rate().get())
        });
        row(format!("{dtype} GEMM"), unit, &|d| {
            Some(d.peak(dtype.name())?.attainable_tflops? * 1e12)
        });
    }
    row("bandwidth".into(), Shown::Prefixed("B/s"), &|d| {
        d.dram().and_then(MemoryLevel::rate).map(BytesPerSecond::get)
    });
    row("memory".into(), Shown::Prefixed("B"), &|d| d.dram()?.capacity_bytes.map(|b| b as f64));
    for dtype in dtypes {
        row(format!("{dtype} ridge"), Shown::Prefixed("/B"), &|d| {
            Some((d.peak(dtype.name())?.rate() / d.dram()?.rate()?).get())
        });
    }
    row("power".into(), Shown::Watts, &|d| d.tdp_w);
    for dtype in dtypes {
        let rate = |d: &Device| d.peak(dtype.name()).map(Peak::rate).map(FlopsPerSecond::get);
        row(format!("{dtype} per watt"), Shown::Prefixed("/J"), &|d| Some(rate(d)? / d.tdp_w?));
    }
    rows
}
