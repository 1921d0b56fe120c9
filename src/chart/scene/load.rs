//! Response times and goodput by the rate that was offered.

use super::axis::Axis;
use super::{Align, Ink, Scene, Shape};
use crate::units::si;

/// What the picture shows.
#[derive(Clone, Debug, Default)]
pub struct LoadPicture {
    /// What was measured.
    pub title: String,
    /// The conditions.
    pub subtitle: String,
    /// Runs, in ascending order of their rates.
    pub points: Vec<LoadPoint>,
}

/// A run.
#[derive(Clone, Debug)]
pub struct LoadPoint {
    /// Requests scheduled per second.
    pub offered: f64,
    /// Successful requests per second.
    pub goodput: f64,
    /// Median of the response time in seconds, where known.
    pub p50: Option<f64>,
    /// 99th percentile, where known.
    pub p99: Option<f64>,
    /// Its verdict, where that is not VALID.
    pub verdict: Option<String>,
}

impl LoadPicture {
    /// Lays it out: response times above, goodput below.
    pub fn scene(&self) -> Scene {
        let said = format!("{}. {}", self.title, self.subtitle);
        let mut scene = Scene::new((1000.0, 720.0), &self.title, said);
        scene.heading(&self.title, &self.subtitle);
        let offered = || self.points.iter().map(|p| p.offered);
        let x = Axis::decades(offered(), 110.0, 964.0);
        let times = self.points.iter().flat_map(|p| p.p50.into_iter().chain(p.p99));
        let times = Axis::decades(times, 380.0, 92.0);
        let rates =
            Axis::decades(self.points.iter().map(|p| p.goodput).chain(offered()), 640.0, 420.0);
        x.across(&mut scene, (92.0, 640.0), &|v| si(v, "").trim_end().replace(".00", ""));
        times.upwards(&mut scene, (x.from, x.to), &|v| {
            si(v, "s").replace(".00", "").replace(".0", "")
        });
        rates.upwards(&mut scene, (x.from, x.to), &|v| si(v, "").trim_end().replace(".00", ""));
        self.verdicts(&mut scene, &x);
        let even = rates.low.max(x.low);
        let end = rates.high.min(x.high);
        scene.dashes(&[(x.at(even), rates.at(even)), (x.at(end), rates.at(end))], Ink::Grey, 1.2);
        #[allow(clippy::type_complexity)]
        let series: [(&str, &dyn Fn(&LoadPoint) -> Option<f64>, &Axis, usize); 3] = [
            ("p50", &|p| p.p50, &times, 0),
            ("p99", &|p| p.p99, &times, 4),
            ("goodput", &|p| Some(p.goodput), &rates, 2),
        ];
        for (at, (name, of, axis, ink)) in series.into_iter().enumerate() {
            let known = || self.points.iter().filter_map(|p| Some((p, of(p)?)));
            let place = |(p, v): &(&LoadPoint, f64)| (x.at(p.offered), axis.at(*v));
            let path: Vec<(f64, f64)> = known().map(|k| place(&k)).collect();
            scene.line(&path, Ink::Series(ink), 2.2);
            for known in known() {
                let said = format!(
                    "{name} at {:.1}/s: {}",
                    known.0.offered,
                    si(known.1, if at < 2 { "s" } else { "/s" })
                );
                scene.mark(
                    place(&known),
                    (Shape::of(at), Ink::Series(ink), known.0.verdict.is_none()),
                    &said,
                );
            }
            let left = 110.0 + 150.0 * at as f64;
            scene.mark((left + 8.0, 700.0), (Shape::of(at), Ink::Series(ink), true), name);
            scene.text((left + 24.0, 705.0), name, 14.0, Ink::Text, Align::Start);
        }
        scene.text(
            (964.0, 680.0),
            "requests offered per second; open marks: not VALID",
            14.0,
            Ink::Text,
            Align::End,
        );
        let turned = (15.0, -90.0, false);
        scene.said((30.0, 236.0), "response time", turned, Ink::Text, Align::Middle);
        scene.said((30.0, 530.0), "goodput, requests/s", turned, Ink::Text, Align::Middle);
        scene
    }

    /// What runs are not VALID for, at their rates.
    fn verdicts(&self, scene: &mut Scene, x: &Axis) {
        for point in &self.points {
            if let Some(verdict) = &point.verdict {
                let at = x.at(point.offered);
                scene.dashes(&[(at, 92.0), (at, 640.0)], Ink::Measured, 1.0);
                let places = [
                    (at - 6.0, 108.0, Align::End),
                    (at - 6.0, 128.0, Align::End),
                    (at - 6.0, 148.0, Align::End),
                ];
                scene.place(verdict, 12.0, Ink::Measured, &places);
            }
        }
    }
}
