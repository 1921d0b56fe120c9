//! Pictures as scenes: lines, areas, marks and texts with their places and roles, written as SVG.
//!
//! Colours are roles with a light and a dark value, so that one file serves both: attributes are light, and a style
//! sheet for `prefers-color-scheme: dark` says what is dark. A page that has this style sheet itself takes scenes
//! without it.

mod axis;
mod batch;
mod devices;
mod ink;
mod kernels;
mod latency;
mod load;
mod models;

pub use batch::{BatchPicture, BatchPoint};
pub use devices::{DeviceRow, DevicesPicture};
pub use ink::{Ink, Shape, class_ink};
pub use kernels::{Bar, KernelsPicture, Place};
pub use latency::{LatencyPicture, LatencyRow};
pub use load::{LoadPicture, LoadPoint};
pub use models::{ModelRow, ModelsPicture, RoofOf};

use super::labels::width;
use crate::text::xml;
use std::fmt::Write;

/// A picture: everything at its place, in pixels from the top left.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// Size in pixels.
    pub size: (f64, f64),
    /// What it shows, in a line.
    pub title: String,
    /// The same for those who cannot see it.
    pub description: String,
    /// What is drawn, in order.
    pub items: Vec<Item>,
}

/// The part of a text that stands at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Its beginning.
    Start,
    /// Its middle.
    Middle,
    /// Its end.
    End,
}

/// What is drawn.
#[derive(Clone, Debug)]
pub enum Item {
    /// A line through points.
    Line {
        /// In order.
        points: Vec<(f64, f64)>,
        /// Its colour.
        ink: Ink,
        /// Its width.
        width: f64,
        /// Whether it is dashed.
        dashed: bool,
    },
    /// A filled polygon.
    Area {
        /// Its corners.
        points: Vec<(f64, f64)>,
        /// Its colour.
        ink: Ink,
        /// How opaque it is, from 0 to 1.
        opacity: f64,
        /// What it says when pointed at; empty where nothing.
        title: String,
    },
    /// A mark at a place.
    Mark {
        /// Its middle.
        at: (f64, f64),
        /// Its form.
        shape: Shape,
        /// Its colour.
        ink: Ink,
        /// Filled, or a rim alone.
        full: bool,
        /// What it says when pointed at.
        title: String,
    },
    /// A text.
    Text {
        /// Its place on the base line.
        at: (f64, f64),
        /// What it says.
        text: String,
        /// Height of the face in pixels.
        size: f64,
        /// Its colour.
        ink: Ink,
        /// Which part of it is at its place.
        align: Align,
        /// Degrees, clockwise.
        angle: f64,
        /// Whether it is bold.
        bold: bool,
    },
}

/// Which colours a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// Light, and dark where the reader prefers that.
    Both,
    /// Light alone.
    Light,
    /// Dark alone.
    Dark,
    /// Light with the classes of a page's own style sheet.
    Page,
}

impl Scene {
    /// An empty picture.
    pub(super) fn new(size: (f64, f64), title: &str, description: String) -> Self {
        Self { size, title: title.to_owned(), description, items: Vec::new() }
    }

    pub(super) fn line(&mut self, points: &[(f64, f64)], ink: Ink, width: f64) {
        self.items.push(Item::Line { points: points.to_vec(), ink, width, dashed: false });
    }

    pub(super) fn dashes(&mut self, points: &[(f64, f64)], ink: Ink, width: f64) {
        self.items.push(Item::Line { points: points.to_vec(), ink, width, dashed: true });
    }

    pub(super) fn area(&mut self, points: &[(f64, f64)], ink: Ink, opacity: f64, title: &str) {
        let (points, title) = (points.to_vec(), title.to_owned());
        self.items.push(Item::Area { points, ink, opacity, title });
    }

    pub(super) fn rectangle(&mut self, from: (f64, f64), to: (f64, f64), ink: Ink, title: &str) {
        let corners = [from, (to.0, from.1), to, (from.0, to.1)];
        self.area(&corners, ink, 1.0, title);
    }

    pub(super) fn mark(&mut self, at: (f64, f64), look: (Shape, Ink, bool), title: &str) {
        let (shape, ink, full) = look;
        self.items.push(Item::Mark { at, shape, ink, full, title: title.to_owned() });
    }

    pub(super) fn text(&mut self, at: (f64, f64), text: &str, size: f64, ink: Ink, align: Align) {
        self.said(at, text, (size, 0.0, false), ink, align);
    }

    pub(super) fn bold(&mut self, at: (f64, f64), text: &str, size: f64) {
        let room = self.size.0 - at.0 - 12.0;
        self.said(at, &cut(text, size, room), (size, 0.0, true), Ink::Text, Align::Start);
    }

    /// A text turned by an angle.
    pub(super) fn said(
        &mut self,
        at: (f64, f64),
        text: &str,
        (size, angle, bold): (f64, f64, bool),
        ink: Ink,
        align: Align,
    ) {
        let text = text.to_owned();
        self.items.push(Item::Text { at, text, size, ink, align, angle, bold });
    }

    /// Title, and a line below it.
    pub(super) fn heading(&mut self, title: &str, subtitle: &str) {
        self.bold((26.0, 38.0), title, 22.0);
        let room = self.size.0 - 38.0;
        self.text((26.0, 64.0), &cut(subtitle, 15.0, room), 15.0, Ink::Grey, Align::Start);
    }

    /// Puts a text at the first of the places where it stands on no other text and no mark, and inside; at none where
    /// there is no such.
    pub(super) fn place(
        &mut self,
        text: &str,
        size: f64,
        ink: Ink,
        places: &[(f64, f64, Align)],
    ) -> bool {
        let free = |(x, y, align): &&(f64, f64, Align)| {
            let own = covers((*x, *y), text, size, *align);
            let inside = own.0 >= 2.0
                && own.2 <= self.size.0 - 2.0
                && own.1 >= 2.0
                && own.3 <= self.size.1 - 2.0;
            inside
                && self.items.iter().all(|item| match item {
                    Item::Text { at, text, size, align, angle, .. } if *angle == 0.0 => {
                        apart(own, covers(*at, text, *size, *align))
                    }
                    Item::Mark { at: (x, y), .. } => {
                        apart(own, (x - 7.0, y - 7.0, x + 7.0, y + 7.0))
                    }
                    _ => true,
                })
        };
        let Some((x, y, align)) = places.iter().find(free) else { return false };
        self.text((*x, *y), text, size, ink, *align);
        true
    }

    /// The picture as SVG.
    pub fn svg(&self, theme: Theme) -> String {
        let (w, h) = self.size;
        let (title, description) = (xml(&self.title), xml(&self.description));
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" role=\"img\">\n\
             <title>{title}</title>\n<desc>{description}</desc>\n"
        );
        if theme == Theme::Both {
            let _ = writeln!(
                out,
                "<style>@media (prefers-color-scheme: dark) {{{}}}</style>",
                ink::dark_rules()
            );
        }
        if theme != Theme::Page {
            let paper = Ink::Paper.attribute("fill", theme);
            let _ = writeln!(out, "<rect width=\"{w}\" height=\"{h}\" {paper}/>");
        }
        for item in &self.items {
            item.write(theme, &mut out);
        }
        out.push_str("</svg>\n");
        out
    }
}

impl Item {
    fn write(&self, theme: Theme, out: &mut String) {
        match self {
            Self::Line { points, ink, width, dashed } => {
                let dash = if *dashed { " stroke-dasharray=\"7 5\"" } else { "" };
                let _ = writeln!(
                    out,
                    "<path d=\"{}\" fill=\"none\" {} stroke-width=\"{width}\" stroke-linejoin=\"round\"{dash}/>",
                    path(points, false),
                    ink.attribute("stroke", theme)
                );
            }
            Self::Area { points, ink, opacity, title } => {
                let said = titled(title);
                let _ = writeln!(
                    out,
                    "<path d=\"{}\" {} fill-opacity=\"{opacity}\">{said}</path>",
                    path(points, true),
                    ink.attribute("fill", theme)
                );
            }
            Self::Mark { at, shape, ink, full, title } => {
                let (fill, rim) = if *full { (*ink, Ink::Paper) } else { (Ink::Paper, *ink) };
                let _ = writeln!(
                    out,
                    "<path d=\"{}\" {} {} stroke-width=\"{}\">{}</path>",
                    shape.path(*at, 7.5),
                    fill.attribute("fill", theme),
                    rim.attribute("stroke", theme),
                    if *full { 1.0 } else { 2.2 },
                    titled(title)
                );
            }
            Self::Text { at: (x, y), text, size, ink, align, angle, bold } => {
                let turn = if *angle == 0.0 {
                    String::new()
                } else {
                    format!(" transform=\"rotate({angle:.2} {x:.1} {y:.1})\"")
                };
                let align = match align {
                    Align::Start => "start",
                    Align::Middle => "middle",
                    Align::End => "end",
                };
                let weight = if *bold { " font-weight=\"bold\"" } else { "" };
                let _ = writeln!(
                    out,
                    "<text x=\"{x:.1}\" y=\"{y:.1}\" font-family=\"{}\" font-size=\"{size}\" text-anchor=\"{align}\"{weight} {}{turn}>{}</text>",
                    super::FONT,
                    ink.attribute("fill", theme),
                    xml(text)
                );
            }
        }
    }
}

fn titled(title: &str) -> String {
    if title.is_empty() { String::new() } else { format!("<title>{}</title>", xml(title)) }
}

fn path(points: &[(f64, f64)], closed: bool) -> String {
    let mut path = String::new();
    for (at, (x, y)) in points.iter().enumerate() {
        let _ = write!(path, "{}{x:.1} {y:.1}", if at == 0 { "M" } else { "L" });
    }
    if closed {
        path.push('Z');
    }
    path
}

/// The box of a text: left, top, right, bottom.
fn covers((x, y): (f64, f64), text: &str, size: f64, align: Align) -> (f64, f64, f64, f64) {
    let wide = width(text, size);
    let left = match align {
        Align::Start => x,
        Align::Middle => x - wide / 2.0,
        Align::End => x - wide,
    };
    (left, y - 0.95 * size, left + wide, y + 0.3 * size)
}

fn apart(a: (f64, f64, f64, f64), b: (f64, f64, f64, f64)) -> bool {
    a.2 <= b.0 || b.2 <= a.0 || a.3 <= b.1 || b.3 <= a.1
}

/// A text that fits, its end replaced by … where it does not.
pub(super) fn cut(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut kept = super::labels::start_within(text, size, room - size).to_owned();
    kept.push('…');
    kept
}

/// A share in percent, without digits that nobody needs.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

#[cfg(test)]
mod tests;
