//! Percentiles of response times of several runs, with their intervals.

use super::axis::Axis;
use super::{Align, Ink, Scene, Shape, cut};
use crate::units::si;

/// What the picture shows.
#[derive(Clone, Debug, Default)]
pub struct LatencyPicture {
    /// What was measured.
    pub title: String,
    /// The conditions.
    pub subtitle: String,
    /// Runs.
    pub rows: Vec<LatencyRow>,
    /// The objective: quantile and seconds, where there was one.
    pub objective: Option<(f64, f64)>,
}

/// A run.
#[derive(Clone, Debug)]
pub struct LatencyRow {
    /// What it is called, with its verdict where that is not VALID.
    pub name: String,
    /// Quantile, seconds, and the ends of its interval, in ascending order.
    #[allow(clippy::type_complexity)]
    pub points: Vec<(f64, f64, Option<(f64, f64)>)>,
}

impl LatencyPicture {
    /// Lays it out: quantiles by the logarithm of what lies beyond.
    pub fn scene(&self) -> Scene {
        let said = format!("{}. {}", self.title, self.subtitle);
        let height = 640.0 + 24.0 * self.rows.len() as f64;
        let mut scene = Scene::new((1000.0, height), &self.title, said);
        scene.heading(&self.title, &self.subtitle);
        let beyond = |q: f64| (1.0 - q).max(1e-6);
        let all = || self.rows.iter().flat_map(|r| r.points.iter());
        let least = all().map(|p| beyond(p.0)).fold(0.5, f64::min);
        let x = Axis { low: 1.0, high: 1.0 / least, from: 110.0, to: 964.0 };
        let ends = all().flat_map(|p| {
            let ends = p.2.into_iter().flat_map(|(low, high)| [low, high]);
            [p.1].into_iter().chain(ends)
        });
        let times = ends.chain(self.objective.map(|o| o.1));
        let y = Axis::decades(times, 560.0, 92.0);
        y.upwards(&mut scene, (x.from, x.to), &|v| si(v, "s").replace(".00", "").replace(".0", ""));
        for (q, name) in [
            (0.0, "p0"),
            (0.5, "p50"),
            (0.9, "p90"),
            (0.99, "p99"),
            (0.999, "p99.9"),
            (0.9999, "p99.99"),
        ] {
            if beyond(q) >= least * 0.999 {
                let at = x.at(1.0 / beyond(q));
                scene.line(&[(at, 92.0), (at, 560.0)], Ink::Grid, 1.2);
                scene.text((at, 580.0), name, 13.0, Ink::Grey, Align::Middle);
            }
        }
        if let Some((q, seconds)) = self.objective {
            let at = (x.at(1.0 / beyond(q)), y.at(seconds));
            scene.dashes(&[(x.from, at.1), at, (at.0, 560.0)], Ink::Measured, 1.5);
            let text = format!("objective {}", si(seconds, "s"));
            scene.text((x.from + 6.0, at.1 - 6.0), &text, 13.0, Ink::Measured, Align::Start);
        }
        for (at, row) in self.rows.iter().enumerate() {
            row.draw(&mut scene, &x, &y, at);
            let below = 622.0 + 24.0 * at as f64;
            scene.mark((118.0, below - 5.0), (Shape::of(at), Ink::Series(at), true), &row.name);
            scene.text((134.0, below), &cut(&row.name, 14.0, 820.0), 14.0, Ink::Text, Align::Start);
        }
        scene.said((30.0, 326.0), "response time", (15.0, -90.0, false), Ink::Text, Align::Middle);
        scene
    }
}

impl LatencyRow {
    fn draw(&self, scene: &mut Scene, x: &Axis, y: &Axis, at: usize) {
        let column = |q: f64| x.at(1.0 / (1.0 - q).max(1e-6));
        let banded = || self.points.iter().filter_map(|p| Some((column(p.0), p.2?)));
        let mut band: Vec<(f64, f64)> = banded().map(|(px, (low, _))| (px, y.at(low))).collect();
        let mut upper: Vec<(f64, f64)> = banded().map(|(px, (_, high))| (px, y.at(high))).collect();
        upper.reverse();
        band.extend(upper);
        if band.len() > 3 {
            scene.area(&band, Ink::Series(at), 0.22, "interval of 95 %");
        }
        let path: Vec<(f64, f64)> = self.points.iter().map(|p| (column(p.0), y.at(p.1))).collect();
        scene.line(&path, Ink::Series(at), 2.2);
        for (point, place) in self.points.iter().zip(path) {
            let ends = point.2.map_or_else(String::new, |(low, high)| {
                format!(" ({} to {})", si(low, "s"), si(high, "s"))
            });
            let said = format!("{}, quantile {}: {}{ends}", self.name, point.0, si(point.1, "s"));
            scene.mark(place, (Shape::of(at), Ink::Series(at), true), &said);
        }
    }
}
