//! Time and throughput by batch.

use super::axis::Axis;
use super::{Align, Ink, Scene, Shape};
use crate::units::si;

/// What the picture shows.
#[derive(Clone, Debug, Default)]
pub struct BatchPicture {
    /// The model and the device.
    pub title: String,
    /// The conditions.
    pub subtitle: String,
    /// Batches in ascending order.
    pub points: Vec<BatchPoint>,
    /// The least batch that arithmetic binds at best, where there is one.
    pub critical: Option<f64>,
    /// The least batch that does not fit into memory, where one of these does not.
    pub full: Option<f64>,
}

/// A batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchPoint {
    /// Inferences in a run.
    pub batch: f64,
    /// Seconds of a run of fused kernels.
    pub seconds: f64,
    /// Share of it that memory binds, from 0 to 1.
    pub memory: f64,
}

impl BatchPicture {
    /// Lays it out: inferences per second above, the time of a run below.
    pub fn scene(&self) -> Scene {
        let said = format!("{}. {}", self.title, self.subtitle);
        let mut scene = Scene::new((1000.0, 720.0), &self.title, said);
        scene.heading(&self.title, &self.subtitle);
        let batches = || self.points.iter().map(|p| p.batch);
        let last = batches().fold(2.0, f64::max);
        let x = Axis { low: 1.0, high: last, from: 110.0, to: 964.0 };
        let rate = |p: &BatchPoint| p.batch / p.seconds;
        let rates = Axis::decades(self.points.iter().map(rate), 350.0, 92.0);
        let times = Axis::decades(self.points.iter().map(|p| p.seconds), 646.0, 400.0);
        if let Some(full) = self.full.filter(|f| *f <= last) {
            scene.rectangle(
                (x.at(full), 92.0),
                (x.to, 646.0),
                Ink::Grid,
                "does not fit into memory",
            );
            let at = x.at(full);
            let places = [(at + 6.0, 108.0, Align::Start), (at - 6.0, 108.0, Align::End)];
            scene.place("does not fit into memory", 13.0, Ink::Grey, &places);
        }
        for batch in batches() {
            let at = x.at(batch);
            scene.line(&[(at, 92.0), (at, 350.0)], Ink::Grid, 1.0);
            scene.line(&[(at, 400.0), (at, 646.0)], Ink::Grid, 1.0);
            scene.text((at, 666.0), &format!("{batch:.0}"), 13.0, Ink::Grey, Align::Middle);
        }
        rates.upwards(&mut scene, (x.from, x.to), &|v| si(v, "").trim_end().replace(".00", ""));
        times.upwards(&mut scene, (x.from, x.to), &|v| {
            si(v, "s").replace(".00", "").replace(".0", "")
        });
        self.critical_line(&mut scene, &x, last);
        for (axis, of) in [(&rates, &rate as &dyn Fn(&BatchPoint) -> f64), (&times, &|p| p.seconds)]
        {
            let at = |p: &BatchPoint| (x.at(p.batch), axis.at(of(p)));
            let path: Vec<(f64, f64)> = self.points.iter().map(at).collect();
            scene.line(&path, Ink::Series(0), 2.5);
            for p in &self.points {
                let said = format!(
                    "batch {:.0}: {} per run, {:.0} inferences/s, memory {:.0} %",
                    p.batch,
                    si(p.seconds, "s"),
                    rate(p),
                    100.0 * p.memory
                );
                scene.mark(at(p), (Shape::Circle, Ink::Series(0), p.memory >= 0.5), &said);
            }
        }
        let turned = (15.0, -90.0, false);
        scene.said((30.0, 222.0), "inferences/s", turned, Ink::Text, Align::Middle);
        scene.said((30.0, 524.0), "time of a run", turned, Ink::Text, Align::Middle);
        let below = "batch; full: memory takes most of the time, open: arithmetic";
        scene.text((f64::midpoint(x.from, x.to), 698.0), below, 15.0, Ink::Text, Align::Middle);
        scene
    }

    /// Where arithmetic begins to bind at best.
    fn critical_line(&self, scene: &mut Scene, x: &Axis, last: f64) {
        if let Some(critical) = self.critical.filter(|c| (1.0..=last).contains(c)) {
            let at = x.at(critical);
            scene.dashes(&[(at, 92.0), (at, 646.0)], Ink::Series(4), 1.5);
            let text = format!("from {critical:.0} on the ridge is reached at best");
            let align = if at > 700.0 { Align::End } else { Align::Start };
            let shift = if at > 700.0 { -6.0 } else { 6.0 };
            scene.text((at + shift, 380.0), &text, 13.0, Ink::Grey, align);
        }
    }
}
