//! One model on several devices: a row each, on a logarithmic axis of time.

use super::axis::Axis;
use super::{Align, Ink, Scene, Shape, cut};
use crate::units::si;

/// What the picture shows.
#[derive(Clone, Debug, Default)]
pub struct DevicesPicture {
    /// The model.
    pub title: String,
    /// The conditions.
    pub subtitle: String,
    /// Devices.
    pub rows: Vec<DeviceRow>,
    /// The longest time allowed, where there is one.
    pub demand: Option<f64>,
}

/// A model on a device; times in seconds.
#[derive(Clone, Debug)]
pub struct DeviceRow {
    /// The device.
    pub name: String,
    /// No run takes less.
    pub at_best: f64,
    /// Of fused kernels.
    pub fused: f64,
    /// Of unfused.
    pub unfused: f64,
    /// Likely, in a calibrated runtime: low, middle and high.
    pub estimate: Option<(f64, f64, f64)>,
    /// Measured on it.
    pub measured: Option<f64>,
    /// What binds it.
    pub binds: String,
}

impl DevicesPicture {
    /// Lays it out, the fastest device first.
    pub fn scene(&self) -> Scene {
        let said = format!("{}. {}", self.title, self.subtitle);
        let height = 210.0 + 52.0 * self.rows.len() as f64;
        let mut scene = Scene::new((1100.0, height), &self.title, said);
        scene.heading(&self.title, &self.subtitle);
        let bottom = height - 108.0;
        let times = self.rows.iter().flat_map(|r| {
            let estimate = r.estimate.into_iter().flat_map(|(low, _, high)| [low, high]);
            [r.at_best, r.fused, r.unfused].into_iter().chain(estimate).chain(r.measured)
        });
        let x = Axis::decades(times.chain(self.demand), 250.0, 1068.0);
        x.across(&mut scene, (92.0, bottom), &|v| short(v));
        let middle = f64::midpoint(x.from, x.to);
        scene.text((middle, bottom + 46.0), "time of a run", 15.0, Ink::Text, Align::Middle);
        if let Some(demand) = self.demand {
            let at = x.at(demand);
            scene.dashes(&[(at, 92.0), (at, bottom)], Ink::Measured, 1.5);
            let text = format!("demand {}", si(demand, "s"));
            let places = [(at + 6.0, 104.0, Align::Start), (at - 6.0, 104.0, Align::End)];
            scene.place(&text, 13.0, Ink::Measured, &places);
        }
        let mut rows: Vec<&DeviceRow> = self.rows.iter().collect();
        rows.sort_by(|a, b| a.fused.total_cmp(&b.fused));
        for (at, row) in rows.into_iter().enumerate() {
            row.draw(&mut scene, &x, 124.0 + 52.0 * at as f64);
        }
        self.legend(&mut scene, height - 26.0);
        scene
    }
}

/// A time without digits after the point.
fn short(seconds: f64) -> String {
    si(seconds, "s").replace(".00", "").replace(".0", "")
}

impl DeviceRow {
    fn draw(&self, scene: &mut Scene, x: &Axis, y: f64) {
        scene.text((240.0, y + 1.0), &cut(&self.name, 15.0, 225.0), 15.0, Ink::Text, Align::End);
        scene.text((240.0, y + 18.0), &cut(&self.binds, 12.0, 225.0), 12.0, Ink::Grey, Align::End);
        let bar = [(x.at(self.at_best), y), (x.at(self.unfused), y)];
        scene.line(&bar, Ink::Grey, 1.5);
        if let Some((low, middle, high)) = self.estimate {
            scene.line(&[(x.at(low), y), (x.at(high), y)], Ink::Series(4), 6.0);
            let said = format!("likely {}", si(middle, "s"));
            scene.mark((x.at(middle), y), (Shape::Triangle, Ink::Series(4), true), &said);
        }
        let marks = [
            (self.at_best, Shape::Circle, true, "no run takes less"),
            (self.fused, Shape::Square, true, "fused kernels"),
            (self.unfused, Shape::Square, false, "unfused"),
        ];
        for (time, shape, full, what) in marks {
            let said = format!("{}, {what}: {}", self.name, si(time, "s"));
            scene.mark((x.at(time), y), (shape, Ink::Series(0), full), &said);
        }
        if let Some(time) = self.measured {
            let said = format!("{}, measured: {}", self.name, si(time, "s"));
            scene.mark((x.at(time), y), (Shape::Diamond, Ink::Measured, true), &said);
        }
        let text = si(self.fused, "s");
        let at = x.at(self.fused);
        let places = [(at, y - 13.0, Align::Middle), (at, y + 24.0, Align::Middle)];
        scene.place(&text, 13.0, Ink::Text, &places);
    }
}

impl DevicesPicture {
    /// Names of the marks that are there.
    fn legend(&self, scene: &mut Scene, y: f64) {
        let likely = self.rows.iter().any(|row| row.estimate.is_some());
        let measured = self.rows.iter().any(|row| row.measured.is_some());
        let all = [
            (true, Shape::Circle, Ink::Series(0), true, "no run takes less"),
            (true, Shape::Square, Ink::Series(0), true, "fused kernels"),
            (true, Shape::Square, Ink::Series(0), false, "unfused"),
            (likely, Shape::Triangle, Ink::Series(4), true, "likely, calibrated"),
            (measured, Shape::Diamond, Ink::Measured, true, "measured"),
        ];
        let mut x = 250.0;
        for (_, shape, ink, full, text) in all.into_iter().filter(|mark| mark.0) {
            scene.mark((x, y - 5.0), (shape, ink, full), text);
            scene.text((x + 14.0, y), text, 14.0, Ink::Text, Align::Start);
            x += super::width(text, 14.0) + 36.0;
        }
    }
}
