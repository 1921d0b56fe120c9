//! Colours by role, light and dark, and the forms of marks.

use super::Theme;
use std::fmt::Write;

/// A colour by what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Texts and roofs.
    Text,
    /// Texts that matter less.
    Grey,
    /// Lines of a grid.
    Grid,
    /// Where memory binds.
    Memory,
    /// The ground.
    Paper,
    /// What was measured.
    Measured,
    /// The number of a model, a run or a class of work, from fixed tables.
    Series(usize),
}

/// Light and dark; hues of Okabe and Ito, and three more that simulated colour blindness keeps apart from their
/// neighbours, or that have another form.
const SERIES: [(&str, &str); 10] = [
    ("#0072b2", "#4aa8e0"),
    ("#e69f00", "#f0b429"),
    ("#009e73", "#2fc79a"),
    ("#cc79a7", "#e29ac1"),
    ("#d55e00", "#ff8a3d"),
    ("#56b4e9", "#9ad4f5"),
    ("#7a5195", "#b08fd0"),
    ("#8c8c2a", "#c9c957"),
    ("#8b2252", "#e8508f"),
    ("#4d4d4d", "#b3b3b3"),
];

/// Classes of work in the order of their colours.
const CLASSES: [&str; 10] = [
    "convolution",
    "matrix product",
    "attention",
    "recurrent",
    "pooling",
    "element-wise",
    "normalization",
    "reduction",
    "quantization",
    "data movement",
];

/// The colour of a class of work, always the same.
pub fn class_ink(class: &str) -> Ink {
    let at = CLASSES.iter().position(|name| *name == class);
    at.map_or(Ink::Grey, Ink::Series)
}

impl Ink {
    fn pair(self) -> (&'static str, &'static str) {
        match self {
            Self::Text => ("#1f2328", "#e6edf3"),
            Self::Grey => ("#59636e", "#9aa4af"),
            Self::Grid => ("#e3e6ea", "#2a313a"),
            Self::Memory => ("#eaf3f9", "#14212c"),
            Self::Paper => ("#ffffff", "#0d1117"),
            Self::Measured => ("#b3123a", "#ff6b81"),
            Self::Series(at) => SERIES[at % SERIES.len()],
        }
    }

    /// Its class in style sheets.
    fn class(self) -> String {
        match self {
            Self::Text => "ink".to_owned(),
            Self::Grey => "grey".to_owned(),
            Self::Grid => "grid".to_owned(),
            Self::Memory => "shade".to_owned(),
            Self::Paper => "paper".to_owned(),
            Self::Measured => "measured".to_owned(),
            Self::Series(at) => format!("s{}", at % SERIES.len()),
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        let roles = [Self::Text, Self::Grey, Self::Grid, Self::Memory, Self::Paper, Self::Measured];
        roles.into_iter().chain((0..SERIES.len()).map(Self::Series))
    }

    /// As an attribute of SVG: `fill` or `stroke`.
    pub(super) fn attribute(self, what: &str, theme: Theme) -> String {
        let (light, dark) = self.pair();
        let initial = what.get(..1).unwrap_or_default();
        match theme {
            Theme::Light => format!("{what}=\"{light}\""),
            Theme::Dark => format!("{what}=\"{dark}\""),
            Theme::Both | Theme::Page => {
                // One element may have both a fill and a stroke.
                format!("{what}=\"{light}\" data-{initial}=\"{}\"", self.class())
            }
        }
    }
}

/// The style sheet of dark colours.
pub(super) fn dark_rules() -> String {
    let mut rules = String::new();
    for ink in Ink::all() {
        let ((_, dark), class) = (ink.pair(), ink.class());
        let _ = write!(rules, "[data-f={class}]{{fill:{dark}}}[data-s={class}]{{stroke:{dark}}}");
    }
    rules
}

/// Forms of marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A circle.
    Circle,
    /// A square.
    Square,
    /// A triangle.
    Triangle,
    /// A square on its corner.
    Diamond,
}

impl Shape {
    /// The form of a model or a run by its number: ten colours times four forms are distinct.
    pub fn of(at: usize) -> Self {
        [Self::Circle, Self::Square, Self::Triangle, Self::Diamond][at % 4]
    }

    /// Its outline around a place.
    pub(super) fn path(self, (x, y): (f64, f64), r: f64) -> String {
        let around = |corners: &[(f64, f64)]| {
            let points: Vec<(f64, f64)> =
                corners.iter().map(|(a, b)| (x + a * r, y + b * r)).collect();
            super::path(&points, true)
        };
        match self {
            Self::Circle => format!(
                "M{:.1} {y:.1}a{r:.1} {r:.1} 0 1 0 {:.1} 0a{r:.1} {r:.1} 0 1 0 {:.1} 0Z",
                x - r,
                2.0 * r,
                -2.0 * r
            ),
            Self::Square => around(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]),
            Self::Triangle => around(&[(0.0, -1.15), (1.08, 0.85), (-1.08, 0.85)]),
            Self::Diamond => around(&[(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Color = [f64; 3];

    fn linear(hex: &str) -> Color {
        let part = |at: usize| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
        [1, 3, 5]
            .map(part)
            .map(|v| if v <= 0.040_45 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) })
    }

    fn times(m: [Color; 3], c: Color) -> Color {
        m.map(|row| (row[0] * c[0] + row[1] * c[1] + row[2] * c[2]).clamp(0.0, 1.0))
    }

    fn lab(c: Color) -> Color {
        let xyz = times(
            [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]],
            c,
        );
        let f = |t: f64| if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
        let [x, y, z] = [f(xyz[0] / 0.9505), f(xyz[1]), f(xyz[2] / 1.089)];
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    }

    /// Machado, Oliveira and Fernandes, 2009, severity 1: deuteranopia, protanopia, tritanopia; and none.
    const VISIONS: [[Color; 3]; 4] = [
        [
            [0.367_322, 0.860_646, -0.227_968],
            [0.280_085, 0.672_501, 0.047_413],
            [-0.011_82, 0.042_94, 0.968_881],
        ],
        [
            [0.152_286, 1.052_583, -0.204_868],
            [0.114_503, 0.786_281, 0.099_216],
            [-0.003_882, -0.048_116, 1.051_998],
        ],
        [
            [1.255_528, -0.076_749, -0.178_779],
            [-0.078_411, 0.930_809, 0.147_602],
            [0.004_733, 0.691_367, 0.303_9],
        ],
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    ];

    /// Any two colours differ by ΔE 12 for everybody, or their marks have other forms.
    #[test]
    fn series_are_told_apart_by_colour_or_form() {
        for dark in [false, true] {
            let color = |at: usize| linear(if dark { SERIES[at].1 } else { SERIES[at].0 });
            for a in 0..SERIES.len() {
                for b in a + 1..SERIES.len() {
                    let near = VISIONS.iter().any(|vision| {
                        let (x, y) = (lab(times(*vision, color(a))), lab(times(*vision, color(b))));
                        let squares: f64 = (0..3).map(|i| (x[i] - y[i]).powi(2)).sum();
                        squares.sqrt() < 12.0
                    });
                    assert!(!near || Shape::of(a) != Shape::of(b), "{a} and {b}, dark {dark}");
                }
            }
        }
    }

    /// Texts have a contrast of 4.5 to their ground, marks and lines of 3 or a rim (WCAG 2.2).
    #[test]
    fn texts_can_be_read() {
        let luminance = |hex: &str| {
            let [r, g, b] = linear(hex);
            0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05
        };
        for ink in [Ink::Text, Ink::Grey, Ink::Measured] {
            for ground in [Ink::Paper, Ink::Memory] {
                let (fore, back) = (ink.pair(), ground.pair());
                for (a, b) in [(fore.0, back.0), (fore.1, back.1)] {
                    let (a, b) = (luminance(a), luminance(b));
                    let contrast = a.max(b) / a.min(b);
                    assert!(contrast >= 4.5, "{ink:?} on {ground:?}: {contrast:.2}");
                }
            }
        }
    }
}
