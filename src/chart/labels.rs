//! Where labels go: beside their point, on nothing else, inside the picture.

use crate::text::xml;
use plotters::style::RGBColor;
use std::fmt::Write;

/// A rectangle in pixels, y downwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub(super) x0: f64,
    pub(super) y0: f64,
    pub(super) x1: f64,
    pub(super) y1: f64,
}

impl Area {
    fn overlaps(&self, other: &Self) -> bool {
        self.x0 < other.x1 && other.x0 < self.x1 && self.y0 < other.y1 && other.y0 < self.y1
    }

    fn contains(&self, other: &Self) -> bool {
        self.x0 <= other.x0 && other.x1 <= self.x1 && self.y0 <= other.y0 && other.y1 <= self.y1
    }
}

/// The part of a text that stands at its spot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    /// The word of SVG.
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// Where a label may stand: a point of its baseline, and which part of the text is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) anchor: Anchor,
    /// Degrees, counter-clockwise negative as in SVG.
    pub(super) angle: f64,
}

/// The labels of a chart, and what they must keep clear of.
pub(super) struct Labels {
    frame: Area,
    marks: Vec<Area>,
    placed: Vec<Placed>,
}

struct Placed {
    text: String,
    spot: Spot,
    size: f64,
    color: RGBColor,
    areas: Vec<Area>,
}

/// Width of `text` in a sans-serif face of this size; an upper estimate, so that what does not
/// overlap here does not overlap in any common font.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(em).sum::<f64>() * size
}

/// Width of a character, as a part of the type size.
fn em(c: char) -> f64 {
    match c {
        'i' | 'l' | 'j' | 't' | 'f' | 'I' | '.' | ',' | ':' | ' ' | '/' | '(' | ')' => 0.39,
        'm' | 'w' | 'M' | 'W' | '…' => 0.98,
        c if c.is_uppercase() => 0.72,
        _ => 0.64,
    }
}

/// The longest start of `text` that is no wider than `room`, found in one pass.
pub(super) fn start_within(text: &str, size: f64, room: f64) -> &str {
    let mut wide = 0.0;
    let beyond = text.char_indices().find(|(_, c)| {
        wide += em(*c);
        wide * size > room
    });
    beyond.map_or(text, |(at, _)| &text[..at])
}

/// The rectangles a text covers; a slanted one is a chain of squares.
fn cover(text: &str, spot: Spot, size: f64) -> Vec<Area> {
    let w = width(text, size);
    let start = match spot.anchor {
        Anchor::End => -w,
        Anchor::Middle => -w / 2.0,
        Anchor::Start => 0.0,
    };
    let (up, down) = (0.95 * size, 0.3 * size);
    if spot.angle == 0.0 {
        let x0 = spot.x + start;
        return vec![Area { x0, y0: spot.y - up, x1: x0 + w, y1: spot.y + down }];
    }
    let (sin, cos) = spot.angle.to_radians().sin_cos();
    let step = size * 0.6;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let count = (w / step).ceil() as usize;
    let square = |i: usize| {
        let (along, across) = (start + step * (i as f64 + 0.5), -0.32 * size);
        let (x, y) = (spot.x + along * cos - across * sin, spot.y + along * sin + across * cos);
        let r = 0.62 * size;
        Area { x0: x - r, y0: y - r, x1: x + r, y1: y + r }
    };
    (0..count).map(square).collect()
}

impl Labels {
    pub(super) fn new(frame: Area) -> Self {
        Self { frame, marks: Vec::new(), placed: Vec::new() }
    }

    /// Marks a drawn thing that labels should leave visible.
    pub(super) fn block(&mut self, (x, y): (f64, f64), radius: f64) {
        self.marks.push(Area { x0: x - radius, y0: y - radius, x1: x + radius, y1: y + radius });
    }

    /// Marks a line.
    pub(super) fn block_line(&mut self, a: (f64, f64), b: (f64, f64), radius: f64) {
        let length = (b.0 - a.0).hypot(b.1 - a.1);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let steps = (length / 4.0).ceil().max(1.0) as usize;
        for i in 0..=steps {
            let t = i as f64 / steps as f64;
            self.block((a.0 + (b.0 - a.0) * t, a.1 + (b.1 - a.1) * t), radius);
        }
    }

    /// Puts a text outside the plot at a place of its own.
    pub(super) fn fixed(
        &mut self,
        text: &str,
        (x, y): (f64, f64),
        size: f64,
        color: RGBColor,
        anchor: Anchor,
        angle: f64,
    ) {
        let spot = Spot { x, y, anchor, angle };
        let room = f64::from(super::SIZE.0) - x - 8.0;
        let mut text = text.to_owned();
        if anchor == Anchor::Start && width(&text, size) > room {
            text = format!("{}…", start_within(&text, size, room - size));
        }
        self.placed.push(Placed { areas: Vec::new(), text, spot, size, color });
    }

    /// Puts a label at the best of its spots: never on another label or outside the plot, and on as
    /// few marks as can be; an early spot is better than a late one.
    pub(super) fn place(&mut self, text: &str, size: f64, color: RGBColor, spots: &[Spot]) -> bool {
        let mut best: Option<(f64, Spot, Vec<Area>)> = None;
        for (rank, spot) in spots.iter().enumerate() {
            let areas = cover(text, *spot, size);
            let taken = self.placed.iter().flat_map(|p| &p.areas);
            let outside = areas.iter().any(|a| !self.frame.contains(a));
            if outside || taken.into_iter().any(|t| areas.iter().any(|a| a.overlaps(t))) {
                continue;
            }
            let hits = self.marks.iter().filter(|m| areas.iter().any(|a| a.overlaps(m))).count();
            let cost = rank as f64 + 12.0 * (hits as f64).sqrt();
            if best.as_ref().is_none_or(|(c, ..)| cost < *c) {
                best = Some((cost, *spot, areas));
            }
        }
        let Some((_, spot, areas)) = best else { return false };
        self.placed.push(Placed { text: text.to_owned(), spot, size, color, areas });
        true
    }

    /// The labels as SVG elements, each with a white rim.
    pub(super) fn into_svg(self) -> String {
        let mut out = String::new();
        for p in &self.placed {
            let RGBColor(r, g, b) = p.color;
            let (x, y) = (p.spot.x, p.spot.y);
            let turn = match p.spot.angle {
                0.0 => String::new(),
                angle => format!(" transform=\"rotate({angle:.2} {x:.1} {y:.1})\""),
            };
            let text = xml(&p.text);
            let _ = writeln!(
                out,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" font-family=\"{}\" font-size=\"{}\" \
                 text-anchor=\"{}\" fill=\"#{r:02X}{g:02X}{b:02X}\" stroke=\"#FFFFFF\" \
                 stroke-width=\"3\" stroke-linejoin=\"round\" paint-order=\"stroke\"{turn}>{text}</text>",
                super::FONT,
                p.size,
                p.spot.anchor.name(),
            );
        }
        out
    }
}

#[cfg(test)]
impl Labels {
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.placed.iter().map(|p| p.text.as_str())
    }

    pub(super) fn frame(&self) -> Area {
        self.frame
    }

    /// Labels that leave the plot or touch another.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (i, a) in self.placed.iter().enumerate() {
            if a.areas.iter().any(|x| !self.frame.contains(x)) {
                found.push(format!("`{}` leaves the plot", a.text));
            }
            for b in self.placed.iter().skip(i + 1) {
                if a.areas.iter().any(|x| b.areas.iter().any(|y| x.overlaps(y))) {
                    found.push(format!("`{}` is on `{}`", a.text, b.text));
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A million characters took hours while they were dropped one by one, each time with all measured.
    #[test]
    fn a_text_without_end_is_cut_in_one_pass() {
        assert_eq!(start_within("aaaa", 10.0, 13.0), "aa", "6.4 each");
        assert_eq!(start_within("aaaa", 10.0, 100.0), "aaaa");
        assert_eq!(start_within("é", 10.0, 0.0), "");
        let mut labels = Labels::new(Area { x0: 0.0, y0: 0.0, x1: 600.0, y1: 400.0 });
        labels.fixed(
            &"A".repeat(1_000_000),
            (96.0, 66.0),
            15.0,
            RGBColor(0, 0, 0),
            Anchor::Start,
            0.0,
        );
        let cut = labels.texts().next().map(str::len);
        assert!(cut.is_some_and(|cut| cut < 1_000), "{cut:?}");
    }

    #[test]
    fn labels_stay_inside_and_apart() {
        let mut labels = Labels::new(Area { x0: 0.0, y0: 0.0, x1: 600.0, y1: 400.0 });
        for i in 0..10 {
            labels.block((300.0 + f64::from(i), 200.0), 5.0);
        }
        for i in 0..30 {
            let spots: Vec<Spot> = (0..40usize)
                .map(|k| Spot {
                    x: 295.0 + f64::from(i),
                    y: 20.0 * k as f64,
                    anchor: [Anchor::Start, Anchor::End, Anchor::Middle][k % 3],
                    angle: [0.0, -35.0][k % 2],
                })
                .collect();
            labels.place("a label of some length", 15.0, RGBColor(0, 0, 0), &spots);
        }
        assert!(labels.placed.len() >= 5, "{}", labels.placed.len());
        assert_eq!(labels.faults(), Vec::<String>::new());
    }
}
