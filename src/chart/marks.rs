//! Lines, points, arrows and the legend, and where each one's label would like to stand.

use super::labels::{self, Anchor, Labels, Spot};
use super::{Ceiling, Chart, Drawn, INK, MeasuredPoint, ModelPoint, Point, RoofLine, Standing};
use crate::units::si;
use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::{Circle, Color, DrawingArea, PathElement, Polygon, RGBColor, SVGBackend};
use plotters::style::ShapeStyle;

const MEASURED: RGBColor = RGBColor(200, 60, 50);
const ROOFS: [RGBColor; 4] =
    [RGBColor(31, 58, 95), RGBColor(120, 94, 160), RGBColor(20, 120, 120), RGBColor(150, 110, 40)];
const MODELS: [RGBColor; 4] =
    [INK, RGBColor(0, 110, 90), RGBColor(140, 60, 130), RGBColor(150, 90, 0)];
const CLASSES: [RGBColor; 7] = [
    RGBColor(66, 133, 200),
    RGBColor(230, 150, 40),
    RGBColor(80, 165, 90),
    RGBColor(170, 110, 190),
    RGBColor(120, 120, 120),
    RGBColor(60, 180, 190),
    RGBColor(200, 120, 140),
];

/// A chart being drawn: where quantities are in pixels, and the ranges that are visible.
pub(super) struct Scene<'a, 'b> {
    pub(super) chart: &'a Chart,
    pub(super) root: &'a DrawingArea<SVGBackend<'b>, Shift>,
    /// (FLOP/B, FLOP/s) to pixels.
    pub(super) at: &'a dyn Fn(f64, f64) -> (f64, f64),
    pub(super) x: (f64, f64),
    pub(super) y: (f64, f64),
}

#[allow(clippy::cast_possible_truncation)]
fn pixel((x, y): (f64, f64)) -> (i32, i32) {
    (x.round() as i32, y.round() as i32)
}

impl Scene<'_, '_> {
    /// Draws everything inside the axes; labels come last, most telling first.
    pub(super) fn draw(&self, labels: &mut Labels) -> Drawn<()> {
        for (i, roof) in self.chart.roofs.iter().enumerate() {
            self.roof(i, roof, labels)?;
        }
        let classes = self.points(labels)?;
        let models: Vec<_> = self.models(labels)?;
        let arrows = self.arrows(labels)?;
        for (m, spots, factor) in &arrows {
            let achieved = si(m.achieved, "FLOP/s");
            let (about, on) = match &m.standing {
                Standing::Own => (Some(""), String::new()),
                Standing::Rough => (Some("≈ "), String::new()),
                Standing::Elsewhere(machine) => (None, format!(", measured on {machine}")),
            };
            let text = format!("{} {achieved}{on}", m.label);
            labels.place(&text, 15.0, MEASURED, spots);
            let Some(about) = about else { continue };
            let gap = m.attainable / m.achieved;
            let text = match gap {
                100.0.. => format!("{about}×{gap:.0}"),
                1.0.. => format!("{about}×{gap:.1}"),
                _ => "above the roof".to_owned(),
            };
            labels.place(&text, 16.0, MEASURED, factor);
        }
        for (i, roof) in self.chart.roofs.iter().enumerate() {
            self.plateau_labels(i, roof, labels);
        }
        for (text, color, spots) in &models {
            // Where the sizes find no room beside it, a model's name may.
            if !labels.place(text, 15.0, *color, spots) {
                labels.place(name(text), 15.0, *color, spots);
            }
        }
        for (i, roof) in self.chart.roofs.iter().enumerate() {
            self.slope_labels(i, roof, labels);
        }
        self.legend(&classes, labels)
    }

    fn line(&self, a: (f64, f64), b: (f64, f64), style: ShapeStyle, dashed: bool) -> Drawn<()> {
        let ends = vec![pixel(a), pixel(b)];
        if dashed {
            self.root.draw(&DashedPathElement::new(ends, 9, 5, style))?;
        } else {
            self.root.draw(&PathElement::new(ends, style))?;
        }
        Ok(())
    }

    fn roof(&self, index: usize, roof: &RoofLine, labels: &mut Labels) -> Drawn<()> {
        let color = ROOFS[index % ROOFS.len()];
        let style = |bold: bool| match (index, bold) {
            (0, true) => color.stroke_width(4),
            (_, true) => color.stroke_width(2),
            _ => color.mix(0.55).stroke_width(2),
        };
        for (i, slope) in roof.slopes.iter().enumerate() {
            let Some((a, b)) = self.slope(roof, slope) else { continue };
            self.line(a, b, style(i == 0), roof.measured)?;
            labels.block_line(a, b, 3.0);
        }
        for (i, peak) in roof.peaks.iter().enumerate() {
            let (a, b) = self.plateau(roof, peak);
            self.line(a, b, style(i == 0), roof.measured)?;
            labels.block_line(a, b, 3.0);
        }
        if let (Some(peak), Some(slope)) = (roof.peaks.first(), roof.slopes.first()) {
            let ridge = pixel((self.at)(peak.value / slope.value, peak.value));
            self.root.draw(&Circle::new(ridge, 5, color.filled()))?;
        }
        Ok(())
    }

    /// The visible part of a slope, up to the highest plateau.
    fn slope(&self, roof: &RoofLine, slope: &Ceiling) -> Option<((f64, f64), (f64, f64))> {
        let top = roof.peaks.iter().map(|p| p.value).fold(0.0, f64::max);
        let from = self.x.0.max(self.y.0 / slope.value);
        let to = (top / slope.value).min(self.x.1);
        (from < to).then(|| ((self.at)(from, slope.value * from), (self.at)(to, slope.value * to)))
    }

    /// The visible part of a plateau, from the fastest slope on.
    fn plateau(&self, roof: &RoofLine, peak: &Ceiling) -> ((f64, f64), (f64, f64)) {
        let fastest = roof.slopes.iter().map(|s| s.value).fold(0.0, f64::max);
        let from = (peak.value / fastest).clamp(self.x.0, self.x.1);
        ((self.at)(from, peak.value), (self.at)(self.x.1, peak.value))
    }

    fn plateau_labels(&self, index: usize, roof: &RoofLine, labels: &mut Labels) {
        let color = ROOFS[index % ROOFS.len()];
        for peak in &roof.peaks {
            let ((x0, y), (x1, _)) = self.plateau(roof, peak);
            let unit = if peak.label.starts_with('i') { "OP/s" } else { "FLOP/s" };
            let text = format!("{}: {}", full(roof, &peak.label), si(peak.value, unit));
            let mut spots = Vec::new();
            for step in 0..12 {
                let x = x1 - 10.0 - (x1 - x0) * f64::from(step) / 12.0;
                for dy in [-9.0, -26.0, 19.0] {
                    spots.push(Spot { x, y: y + dy, anchor: Anchor::End, angle: 0.0 });
                }
            }
            labels.place(&text, 15.0, color, &spots);
        }
    }

    /// Bandwidths along their slopes, and the ridge.
    fn slope_labels(&self, index: usize, roof: &RoofLine, labels: &mut Labels) {
        let color = ROOFS[index % ROOFS.len()];
        for slope in &roof.slopes {
            let Some((a, b)) = self.slope(roof, slope) else { continue };
            let text = format!("{}: {}", full(roof, &slope.label), si(slope.value, "B/s"));
            // A label ends before its line does, unless the line is shorter.
            let room = 1.0 - labels::width(&text, 14.0) / (b.0 - a.0).hypot(b.1 - a.1);
            let angle = (b.1 - a.1).atan2(b.0 - a.0).to_degrees();
            let normal = (angle - 90.0).to_radians();
            let mut spots = Vec::new();
            for step in 0..14 {
                let t = 0.04 + (room - 0.06).max(0.0) * f64::from(step) / 14.0;
                for (distance, anchor) in [(8.0, Anchor::Start), (-18.0, Anchor::Start)] {
                    let x = a.0 + (b.0 - a.0) * t + distance * normal.cos();
                    let y = a.1 + (b.1 - a.1) * t + distance * normal.sin();
                    spots.push(Spot { x, y, anchor, angle });
                }
            }
            labels.place(&text, 14.0, color, &spots);
        }
        if let (Some(peak), Some(slope)) = (roof.peaks.first(), roof.slopes.first()) {
            let ridge = peak.value / slope.value;
            let spots = around((self.at)(ridge, peak.value), 10.0, 14.0);
            labels.place(&format!("ridge {ridge:.1} FLOP/B"), 14.0, color, &spots);
        }
    }

    /// Operators; returns their classes in the order of their colours.
    fn points(&self, labels: &mut Labels) -> Drawn<Vec<String>> {
        let mut classes: Vec<String> = Vec::new();
        let mut sorted: Vec<&Point> = self.chart.points.iter().collect();
        sorted.sort_by(|a, b| b.share.total_cmp(&a.share));
        for point in sorted {
            let index = classes.iter().position(|c| *c == point.class).unwrap_or_else(|| {
                classes.push(point.class.clone());
                classes.len() - 1
            });
            let color = CLASSES[index % CLASSES.len()];
            let radius = 3.0 + 34.0 * point.share.clamp(0.0, 1.0).sqrt();
            let place = (self.at)(point.intensity, point.performance);
            #[allow(clippy::cast_possible_truncation)]
            self.root.draw(&Circle::new(pixel(place), radius as i32, color.mix(0.45).filled()))?;
            labels.block(place, radius.min(8.0));
        }
        Ok(classes)
    }

    /// Whole models, each with its segment on the roof.
    fn models(&self, labels: &mut Labels) -> Drawn<Vec<(String, RGBColor, Vec<Spot>)>> {
        let mut wanted = Vec::new();
        for (i, m) in self.chart.models.iter().enumerate() {
            let color = MODELS[i % MODELS.len()];
            let place = (self.at)(m.intensity, m.performance);
            let named = [("each node alone", m.node_by_node, 7), ("fused", m.fused, 6)];
            let named = named.into_iter().filter_map(|(name, at, size)| Some((name, at?, size)));
            let steps: Vec<_> = named.collect();
            // The segment of the roof between the most and the least traffic.
            let mut bend: Vec<(f64, f64)> = steps.iter().map(|(_, (i, p), _)| (*i, *p)).collect();
            bend.push((m.intensity, m.performance));
            let roof =
                self.chart.roofs.first().and_then(|r| Some((r.peaks.first()?, r.slopes.first()?)));
            bend.extend(roof.map(|(peak, slope)| (peak.value / slope.value, peak.value)));
            let (least, most) = (bend[0].0, m.intensity);
            bend.retain(|(i, _)| (least..=most).contains(i));
            bend.sort_by(|a, b| a.0.total_cmp(&b.0));
            let bend: Vec<(i32, i32)> =
                bend.iter().map(|(i, p)| pixel((self.at)(*i, *p))).collect();
            self.root.draw(&PathElement::new(bend, color.mix(0.25).stroke_width(12)))?;
            for (name, (intensity, performance), size) in steps {
                let low = (self.at)(intensity, performance);
                let ring = color.stroke_width(2);
                self.root.draw(&Circle::new(pixel(low), size, RGBColor(255, 255, 255).filled()))?;
                self.root.draw(&Circle::new(pixel(low), size, ring))?;
                labels.block(low, 8.0);
                if self.chart.models.len() == 1 {
                    wanted.push((name.to_owned(), color, around(low, 14.0, 15.0)));
                }
            }
            self.root.draw(&Circle::new(pixel(place), 9, color.filled()))?;
            labels.block(place, 10.0);
            wanted.push((m.label.clone(), color, around(place, 14.0, 15.0)));
        }
        Ok(wanted)
    }

    /// Measured runs, side by side where they share an intensity.
    #[allow(clippy::type_complexity)]
    fn arrows(&self, labels: &mut Labels) -> Drawn<Vec<(&MeasuredPoint, Vec<Spot>, Vec<Spot>)>> {
        let mut result = Vec::new();
        for (i, m) in self.chart.measured.iter().enumerate() {
            let same = |o: &&MeasuredPoint| (o.intensity / m.intensity - 1.0).abs() < 0.02;
            let earlier = self.chart.measured.iter().take(i).filter(same).count();
            let all = self.chart.measured.iter().filter(same).count();
            let shift = 18.0 * (earlier as f64 - (all as f64 - 1.0) / 2.0);
            let (x, low) = (self.at)(m.intensity, m.achieved);
            let (_, high) = (self.at)(m.intensity, m.attainable);
            let x = x + shift;
            let style = MEASURED.stroke_width(2);
            let own = !matches!(m.standing, Standing::Elsewhere(_));
            let high = if own { high } else { low };
            self.root.draw(&PathElement::new(vec![pixel((x, low)), pixel((x, high))], style))?;
            if low - high > 16.0 {
                let head = [(x, high), (x - 6.0, high + 13.0), (x + 6.0, high + 13.0)];
                self.root.draw(&Polygon::new(head.map(pixel).to_vec(), MEASURED.filled()))?;
            }
            let style = if own { MEASURED.filled() } else { style };
            self.root.draw(&Circle::new(pixel((x, low)), 7, style))?;
            labels.block((x, low), 8.0);
            labels.block_line((x, low), (x, high), 3.0);
            let first_left = all > 1 && earlier == 0;
            let mut beside = Vec::new();
            for distance in 0..5 {
                let gap = 14.0 + 10.0 * f64::from(distance);
                let left = Spot { x: x - gap, y: low + 5.0, anchor: Anchor::End, angle: 0.0 };
                let right = Spot { x: x + gap, y: low + 5.0, anchor: Anchor::Start, angle: 0.0 };
                beside.extend(if first_left { [left, right] } else { [right, left] });
            }
            // Below the point, ending before what is beside it.
            for step in 1..8 {
                let x = x + 28.0 * f64::from(step);
                beside.push(Spot { x, y: low + 25.0, anchor: Anchor::End, angle: 0.0 });
            }
            beside.extend(around((x, low), 14.0, 15.0));
            let mut factor = Vec::new();
            for step in 0..9 {
                let y = low + (high - low) * (0.5 + 0.04 * f64::from(step)) + 5.0;
                let left = Spot { x: x - 9.0, y, anchor: Anchor::End, angle: 0.0 };
                let right = Spot { x: x + 9.0, y, anchor: Anchor::Start, angle: 0.0 };
                factor.extend(if first_left { [left, right] } else { [right, left] });
            }
            factor.extend(around((x, low), 14.0, 16.0));
            result.push((m, beside, factor));
        }
        Ok(result)
    }

    /// Names of colours, below the plot.
    fn legend(&self, classes: &[String], labels: &mut Labels) -> Drawn<()> {
        let colored = |(i, class): (usize, &String)| (class.clone(), CLASSES[i % CLASSES.len()]);
        let mut entries: Vec<(String, RGBColor)> =
            classes.iter().enumerate().map(colored).collect();
        match &self.chart.models[..] {
            [] => {}
            [_] => entries.push(("whole model".into(), INK)),
            models => {
                let colored = |(i, m): (usize, &ModelPoint)| {
                    (name(&m.label).to_owned(), MODELS[i % MODELS.len()])
                };
                entries.extend(models.iter().enumerate().map(colored));
            }
        }
        if !self.chart.measured.is_empty() {
            entries.push(("measured; × is how far the roof is above".into(), MEASURED));
        }
        let (mut x, mut y) = (96.0, 756.0);
        for (label, color) in entries {
            let width = labels::width(&label, 15.0) + 46.0;
            if x + width > 1180.0 {
                (x, y) = (96.0, y + 24.0);
            }
            self.root.draw(&Circle::new(pixel((x + 7.0, y)), 7, color.filled()))?;
            labels.fixed(&label, (x + 20.0, y + 5.0), 15.0, INK, Anchor::Start, 0.0);
            x += width;
        }
        Ok(())
    }
}

/// A model's label without its sizes.
fn name(label: &str) -> &str {
    label.split(" (").next().unwrap_or(label)
}

/// A ceiling's name after its roof's.
fn full(roof: &RoofLine, what: &str) -> String {
    format!("{} {what}", roof.label).trim().to_owned()
}

/// Spots around a point, near ones first.
fn around((x, y): (f64, f64), first: f64, size: f64) -> Vec<Spot> {
    let mut spots = Vec::new();
    for ring in 0..10 {
        let gap = first + 12.0 * f64::from(ring);
        let (above, below, level) = (y - gap, y + gap + 0.8 * size, y + 0.35 * size);
        for (x, y, anchor) in [
            (x - gap, above + first, Anchor::End),
            (x + gap, below - first, Anchor::Start),
            (x + gap, level, Anchor::Start),
            (x - gap, level, Anchor::End),
            (x, above, Anchor::Middle),
            (x, below, Anchor::Middle),
            (x + gap, above + first, Anchor::Start),
            (x - gap, below - first, Anchor::End),
        ] {
            spots.push(Spot { x, y, anchor, angle: 0.0 });
        }
    }
    spots
}
