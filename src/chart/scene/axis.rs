//! Logarithmic axes in whole decades or octaves, with their grid.

use super::{Align, Ink, Scene};

/// A logarithmic axis: values, and the pixels of its ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) from: f64,
    pub(super) to: f64,
}

impl Axis {
    /// Whole decades around all of the values.
    pub(super) fn decades(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let usable = values.filter(|v| v.is_finite() && *v > 0.0);
        let (low, high) =
            usable.fold((f64::MAX, f64::MIN_POSITIVE), |(a, b), v| (a.min(v), b.max(v)));
        let (low, high) = if low > high { (1.0, 10.0) } else { (low, high) };
        let floor = 10f64.powf((low.log10() + 1e-9).floor());
        let mut ceiling = 10f64.powf((high.log10() - 1e-9).ceil());
        if ceiling <= floor * 1.001 {
            ceiling = floor * 10.0;
        }
        Self { low: floor, high: ceiling, from, to }
    }

    /// The pixel of a value; values outside are at the ends.
    pub(super) fn at(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        let share = (value / self.low).ln() / (self.high / self.low).ln();
        self.from + (self.to - self.from) * share
    }

    /// Values with a label: decades, and between them where there are few.
    fn ticks(&self) -> Vec<(f64, bool)> {
        let mut ticks = Vec::new();
        let decades = (self.high / self.low).log10();
        let mut decade = self.low;
        while decade <= self.high * 1.001 && ticks.len() < 400 {
            for step in 1..10u32 {
                let value = decade * f64::from(step);
                if value <= self.high * 1.001 {
                    let labelled = step == 1 || decades < 2.5 && (step == 2 || step == 5);
                    ticks.push((value, labelled));
                }
            }
            decade *= 10.0;
        }
        ticks
    }

    /// The grid of a horizontal axis between two heights, with numbers below.
    pub(super) fn across(
        &self,
        scene: &mut Scene,
        (top, bottom): (f64, f64),
        label: &dyn Fn(f64) -> String,
    ) {
        for (value, labelled) in self.ticks() {
            let x = self.at(value);
            scene.line(&[(x, top), (x, bottom)], Ink::Grid, if labelled { 1.2 } else { 0.5 });
            if labelled {
                scene.text((x, bottom + 20.0), &label(value), 13.0, Ink::Grey, Align::Middle);
            }
        }
    }

    /// The grid of a vertical axis between two columns, with numbers at its left.
    pub(super) fn upwards(
        &self,
        scene: &mut Scene,
        (left, right): (f64, f64),
        label: &dyn Fn(f64) -> String,
    ) {
        for (value, labelled) in self.ticks() {
            let y = self.at(value);
            scene.line(&[(left, y), (right, y)], Ink::Grid, if labelled { 1.2 } else { 0.5 });
            if labelled {
                scene.text((left - 9.0, y + 4.5), &label(value), 13.0, Ink::Grey, Align::End);
            }
        }
    }
}

/// A number as an axis has it.
pub(super) fn plain(value: f64) -> String {
    if value >= 0.999 {
        format!("{value:.0}")
    } else {
        format!("{value:.6}").trim_end_matches('0').to_owned()
    }
}

/// A unit's scale for a value: what to divide by, and its prefix.
pub(super) fn scale(value: f64) -> (f64, &'static str) {
    let all = [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    all.into_iter().find(|(scale, _)| value >= *scale).unwrap_or((1.0, ""))
}
