//! Several models under the roofs of one device, with a table that is the legend.

use super::axis::{Axis, plain, scale};
use super::{Align, Ink, Scene, Shape, cut};
use crate::units::si;

/// What the picture shows.
#[derive(Clone, Debug, Default)]
pub struct ModelsPicture {
    /// The models and the device.
    pub title: String,
    /// The conditions.
    pub subtitle: String,
    /// Bandwidth of main memory in bytes per second.
    pub bandwidth: f64,
    /// Roofs by type, the one of full marks first.
    pub roofs: Vec<RoofOf>,
    /// Heads of the table's columns after the model's name.
    pub columns: Vec<String>,
    /// Models in the order of their marks.
    pub rows: Vec<ModelRow>,
    /// Lines below the table.
    pub notes: Vec<String>,
}

/// A compute ceiling.
#[derive(Clone, Debug)]
pub struct RoofOf {
    /// Its type and unit.
    pub label: String,
    /// Operations per second.
    pub peak: f64,
}

/// A model.
#[derive(Clone, Debug)]
pub struct ModelRow {
    /// Its name.
    pub name: String,
    /// Operations per byte of the fused kernels, and per second of their time, in the type of each roof; none where it was
    /// not counted.
    pub marks: Vec<Option<(f64, f64)>>,
    /// What was measured on this device: operations per byte and per second.
    pub measured: Option<(f64, f64)>,
    /// Its cells of the table.
    pub cells: Vec<String>,
}

impl ModelsPicture {
    /// Lays it out.
    pub fn scene(&self) -> Scene {
        let said = format!("{}. {}", self.title, self.subtitle);
        let height = (250.0 + 38.0 * self.rows.len() as f64).max(760.0);
        let mut scene = Scene::new((1400.0, height), &self.title, said);
        scene.heading(&self.title, &self.subtitle);
        let bottom = height - 100.0;
        let highest = self.roofs.iter().map(|r| r.peak).fold(1.0, f64::max);
        let lowest = self.roofs.iter().map(|r| r.peak).fold(highest, f64::min);
        let marks = || {
            let all =
                self.rows.iter().flat_map(|row| row.marks.iter().flatten().chain(&row.measured));
            all.copied()
        };
        let ridges = self.roofs.iter().map(|r| r.peak / self.bandwidth * 1.8);
        let x = Axis::decades(marks().map(|m| m.0).chain(ridges), 96.0, 800.0);
        let y = Axis::decades(marks().map(|m| m.1).chain([highest * 1.3, lowest]), bottom, 92.0);
        self.roofs_of(&mut scene, &x, &y, highest);
        self.marks(&mut scene, &x, &y);
        self.table(&mut scene);
        scene
    }

    fn roofs_of(&self, scene: &mut Scene, x: &Axis, y: &Axis, highest: f64) {
        let ridge = highest / self.bandwidth;
        scene.rectangle((x.from, y.to), (x.at(ridge), y.from), Ink::Memory, "");
        let (divisor, prefix) = scale(highest);
        x.across(scene, (y.to, y.from), &plain);
        y.upwards(scene, (x.from, x.to), &|v| plain(v / divisor));
        let start = (y.low / self.bandwidth).max(x.low);
        let slope = (x.at(start), y.at(start * self.bandwidth));
        let knee = (x.at(ridge), y.at(highest));
        scene.line(&[slope, knee], Ink::Text, 3.0);
        for roof in &self.roofs {
            let at = (x.at(roof.peak / self.bandwidth), y.at(roof.peak));
            scene.line(&[at, (x.to, at.1)], Ink::Text, 3.0);
            let text = format!("{} {}", roof.label, si(roof.peak, "FLOP/s"));
            scene.text((x.to - 6.0, at.1 - 9.0), &text, 14.0, Ink::Text, Align::End);
        }
        let angle = (knee.1 - slope.1).atan2(knee.0 - slope.0).to_degrees();
        let along =
            (slope.0 + 0.05 * (knee.0 - slope.0), slope.1 + 0.05 * (knee.1 - slope.1) - 9.0);
        let text = format!("memory {}", si(self.bandwidth, "B/s"));
        scene.said(along, &text, (14.0, angle, false), Ink::Grey, Align::Start);
        let below = "fused intensity: operations per byte that the kernels move, FLOP/B";
        scene.text(
            (f64::midpoint(x.from, x.to), y.from + 50.0),
            below,
            15.0,
            Ink::Text,
            Align::Middle,
        );
        let beside = format!("attainable, {prefix}FLOP/s");
        let middle = f64::midpoint(y.from, y.to);
        scene.said((30.0, middle), &beside, (15.0, -90.0, false), Ink::Text, Align::Middle);
    }

    fn marks(&self, scene: &mut Scene, x: &Axis, y: &Axis) {
        let place = |(intensity, rate): (f64, f64)| (x.at(intensity), y.at(rate));
        for (at, row) in self.rows.iter().enumerate() {
            let points: Vec<(f64, f64)> = row.marks.iter().flatten().map(|m| place(*m)).collect();
            if points.len() > 1 {
                scene.line(&points, Ink::Series(at), 1.2);
            }
        }
        for (at, row) in self.rows.iter().enumerate() {
            for (type_at, mark) in row.marks.iter().enumerate() {
                let Some(mark) = mark else { continue };
                let said =
                    format!("{}: {} at {:.1} FLOP/B", row.name, si(mark.1, "FLOP/s"), mark.0);
                scene.mark(place(*mark), (Shape::of(at), Ink::Series(at), type_at == 0), &said);
            }
            if let Some(measured) = row.measured {
                let at = place(measured);
                let said = format!("{}, measured: {}", row.name, si(measured.1, "FLOP/s"));
                scene.mark(at, (Shape::Diamond, Ink::Measured, true), &said);
            }
        }
        if self.rows.len() <= 3 {
            for (at, row) in self.rows.iter().enumerate() {
                if let Some(mark) = row.marks.iter().flatten().next() {
                    let (px, py) = place(*mark);
                    scene.place(&row.name, 14.0, Ink::Series(at), &super::kernels::around(px, py));
                }
            }
        }
    }

    /// Mark, name and figures: the legend.
    fn table(&self, scene: &mut Scene) {
        let columns = self.columns.len().max(1) as f64;
        let (left, right) = (836.0, 1376.0);
        let first = right - 80.0 * columns;
        let at = |column: usize| first + 80.0 * (column as f64 + 1.0);
        for (column, head) in self.columns.iter().enumerate() {
            for (line, text) in head.split('\n').enumerate() {
                scene.text(
                    (at(column), 92.0 + 17.0 * line as f64),
                    text,
                    13.0,
                    Ink::Grey,
                    Align::End,
                );
            }
        }
        for (row_at, row) in self.rows.iter().enumerate() {
            let y = 146.0 + 38.0 * row_at as f64;
            scene.mark(
                (left + 8.0, y - 5.0),
                (Shape::of(row_at), Ink::Series(row_at), true),
                &row.name,
            );
            let name = cut(&row.name, 15.0, first + 14.0 - left - 26.0);
            scene.text((left + 26.0, y), &name, 15.0, Ink::Text, Align::Start);
            for (column, cell) in row.cells.iter().enumerate() {
                scene.text((at(column), y), cell, 15.0, Ink::Text, Align::End);
            }
        }
        let below = 146.0 + 38.0 * self.rows.len() as f64 + 14.0;
        for (line, note) in self.notes.iter().enumerate() {
            let note = cut(note, 13.0, right - left);
            scene.text((left, below + 20.0 * line as f64), &note, 13.0, Ink::Grey, Align::Start);
        }
    }
}
