//! One model on one device: the roof, and below it, on the same axis, where the time goes.

use super::axis::{Axis, plain, scale};
use super::{Align, Ink, Scene, Shape, class_ink, percent};
use crate::units::si;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What the picture shows.
#[derive(Clone, Debug, Default)]
pub struct KernelsPicture {
    /// The model and the device.
    pub title: String,
    /// What binds, and the conditions.
    pub subtitle: String,
    /// Compute ceiling in operations per second, and its name.
    pub peak: (f64, String),
    /// Bandwidth of main memory in bytes per second.
    pub bandwidth: f64,
    /// Ways to run the model, from the most traffic to the least.
    pub places: Vec<Place>,
    /// Kernels.
    pub bars: Vec<Bar>,
    /// Shares of the time that memory, arithmetic and launches bind, from 0 to 1.
    pub shares: [f64; 3],
    /// What was measured: its name, operations per byte and per second, and whether on this device.
    pub measured: Vec<(String, f64, f64, bool)>,
}

/// A way to run a model.
#[derive(Clone, Debug)]
pub struct Place {
    /// What it is called.
    pub label: String,
    /// Operations per byte.
    pub intensity: f64,
    /// Operations per second.
    pub rate: f64,
    /// Whether it is a bound, and not a sum of kernels.
    pub bound: bool,
}

/// Kernels of one kind.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Class of work.
    pub class: String,
    /// Operations per byte; 0 where nothing is computed.
    pub intensity: f64,
    /// Share of the time, from 0 to 1.
    pub share: f64,
}

/// Bins in a decade.
const BINS: f64 = 8.0;

impl KernelsPicture {
    /// Lays it out.
    pub fn scene(&self) -> Scene {
        let said = format!("{}. {}", self.title, self.subtitle);
        let mut scene = Scene::new((1200.0, 760.0), &self.title, said);
        scene.heading(&self.title, &self.subtitle);
        let ridge = self.peak.0 / self.bandwidth;
        let marks =
            self.places.iter().map(|p| p.intensity).chain(self.measured.iter().map(|m| m.1));
        let ends = [ridge / 300.0, ridge * 30.0];
        let x = Axis::decades(ends.into_iter().chain(marks), 96.0, 1164.0);
        let rates = self.places.iter().map(|p| p.rate).chain(self.measured.iter().map(|m| m.2));
        let low = self.peak.0.min(self.bandwidth * x.low);
        let y = Axis::decades([low, self.peak.0 * 1.4].into_iter().chain(rates), 440.0, 92.0);
        self.roof(&mut scene, &x, &y, ridge);
        self.histogram(&mut scene, &x, ridge);
        self.legend(&mut scene);
        scene
    }

    fn roof(&self, scene: &mut Scene, x: &Axis, y: &Axis, ridge: f64) {
        let middle = x.at(ridge);
        scene.rectangle((x.from, 92.0), (middle, 668.0), Ink::Memory, "");
        let (divisor, prefix) = scale(self.peak.0);
        x.across(scene, (92.0, 668.0), &plain);
        y.upwards(scene, (x.from, x.to), &|v| plain(v / divisor));
        let unit = format!("{prefix}FLOP/s");
        scene.said((30.0, 266.0), &unit, (15.0, -90.0, false), Ink::Text, Align::Middle);
        let start = (y.low / self.bandwidth).max(x.low);
        let slope = (x.at(start), y.at(start * self.bandwidth));
        let knee = (middle, y.at(self.peak.0));
        scene.line(&[slope, knee, (x.to, knee.1)], Ink::Text, 3.0);
        let peak = format!("{}: {}", self.peak.1, si(self.peak.0, "FLOP/s"));
        scene.text((x.to - 6.0, knee.1 - 10.0), &peak, 14.0, Ink::Text, Align::End);
        let angle = (knee.1 - slope.1).atan2(knee.0 - slope.0).to_degrees();
        let along =
            (slope.0 + 0.12 * (knee.0 - slope.0), slope.1 + 0.12 * (knee.1 - slope.1) - 9.0);
        let rate = format!("memory {}", si(self.bandwidth, "B/s"));
        scene.said(along, &rate, (14.0, angle, false), Ink::Grey, Align::Start);
        let path: Vec<(f64, f64)> =
            self.places.iter().map(|p| (x.at(p.intensity), y.at(p.rate))).collect();
        if path.len() > 1 {
            scene.line(&path, Ink::Grey, 1.5);
        }
        for (place, at) in self.places.iter().zip(&path) {
            let said = format!(
                "{}: {} at {:.1} FLOP/B",
                place.label,
                si(place.rate, "FLOP/s"),
                place.intensity
            );
            scene.mark(*at, (Shape::Circle, Ink::Text, place.bound), &said);
        }
        for (label, intensity, rate, here) in &self.measured {
            let at = (x.at(*intensity), y.at(*rate));
            scene.mark(
                at,
                (Shape::Diamond, Ink::Measured, *here),
                &format!("{label}: {}", si(*rate, "FLOP/s")),
            );
        }
        for (place, (px, py)) in self.places.iter().zip(&path) {
            let text = format!("{}, {}", place.label, si(place.rate, "FLOP/s"));
            scene.place(&text, 14.0, Ink::Text, &around(*px, *py));
        }
        for (label, intensity, rate, _) in &self.measured {
            let text = format!("{label}, {}", si(*rate, "FLOP/s"));
            scene.place(&text, 14.0, Ink::Measured, &around(x.at(*intensity), y.at(*rate)));
        }
        scene.text(
            (middle + 8.0, 460.0),
            &format!("ridge {ridge:.0} FLOP/B"),
            13.0,
            Ink::Grey,
            Align::Start,
        );
    }

    /// Shares of the time by intensity, stacked by class.
    fn histogram(&self, scene: &mut Scene, x: &Axis, ridge: f64) {
        let (top, bottom) = (524.0, 668.0);
        let mut bins: BTreeMap<i64, BTreeMap<String, f64>> = BTreeMap::new();
        for bar in self.bars.iter().filter(|b| b.share > 0.0) {
            let inside = bar.intensity.clamp(x.low, x.high * 0.999);
            #[allow(clippy::cast_possible_truncation, reason = "some hundred bins at most")]
            let bin = (inside.log10() * BINS + 1e-9).floor() as i64;
            *bins.entry(bin).or_default().entry(bar.class.clone()).or_insert(0.0) += bar.share;
        }
        let sums = || bins.values().map(|parts| parts.values().sum::<f64>());
        let most = sums().fold(0.05, f64::max);
        let edge = |bin: i64| x.at(10f64.powf(bin as f64 / BINS));
        for (bin, parts) in &bins {
            let (left, right) = (edge(*bin) + 1.0, edge(bin + 1) - 1.0);
            let mut base = bottom;
            let mut order: Vec<(&String, &f64)> = parts.iter().collect();
            order.sort_by(|a, b| b.1.total_cmp(a.1).then(a.0.cmp(b.0)));
            for (class, share) in order {
                let height = share / most * (bottom - top);
                let said = format!("{class}: {:.1} % of the time", 100.0 * share);
                scene.rectangle((left, base - height), (right, base), class_ink(class), &said);
                base -= height;
            }
            let all: f64 = parts.values().sum();
            if all >= 0.03 {
                let text = format!("{:.0}", 100.0 * all);
                scene.text(
                    (f64::midpoint(left, right), base - 5.0),
                    &text,
                    12.0,
                    Ink::Text,
                    Align::Middle,
                );
            }
        }
        scene.line(&[(x.from, bottom), (x.to, bottom)], Ink::Text, 1.5);
        let [memory, arithmetic, launches] = self.shares;
        let (left, right) = (x.at(ridge) - 10.0, x.at(ridge) + 10.0);
        scene.said(
            (left, 484.0),
            &format!("memory {}", percent(memory)),
            (16.0, 0.0, true),
            Ink::Text,
            Align::End,
        );
        let mut text = format!("arithmetic {}", percent(arithmetic));
        if launches >= 0.005 {
            let _ = write!(text, " · launches {}", percent(launches));
        }
        scene.said((right, 484.0), &text, (16.0, 0.0, true), Ink::Text, Align::Start);
        scene.said((30.0, 590.0), "% of the time", (15.0, -90.0, false), Ink::Text, Align::Middle);
        let below = "operations per byte moved by each fused kernel, FLOP/B";
        scene.text((f64::midpoint(x.from, x.to), 712.0), below, 15.0, Ink::Text, Align::Middle);
    }

    fn legend(&self, scene: &mut Scene) {
        let mut classes: BTreeMap<&str, f64> = BTreeMap::new();
        for bar in &self.bars {
            *classes.entry(&bar.class).or_insert(0.0) += bar.share;
        }
        let mut order: Vec<(&str, f64)> =
            classes.into_iter().filter(|(_, share)| *share > 0.0).collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
        let mut x = 96.0;
        for (class, share) in order {
            let text = format!("{class} {:.0} %", 100.0 * share);
            let wide = super::width(&text, 14.0) + 44.0;
            if x + wide > 1180.0 {
                break;
            }
            scene.rectangle((x, 733.0), (x + 14.0, 747.0), class_ink(class), "");
            scene.text((x + 20.0, 745.0), &text, 14.0, Ink::Text, Align::Start);
            x += wide;
        }
    }
}

/// Places for a label around a mark.
pub(super) fn around(x: f64, y: f64) -> Vec<(f64, f64, Align)> {
    let mut places = Vec::new();
    for far in [0.0, 16.0, 34.0, 54.0] {
        places.extend([
            (x - 13.0 - far * 0.4, y - 10.0 - far, Align::End),
            (x + 13.0 + far * 0.4, y + 20.0 + far, Align::Start),
            (x + 13.0 + far * 0.4, y - 10.0 - far, Align::Start),
            (x - 13.0 - far * 0.4, y + 22.0 + far, Align::End),
            (x, y + 24.0 + far, Align::Middle),
        ]);
    }
    places
}
