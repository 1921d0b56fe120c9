//! The roofline chart, as SVG.
//!
//! Log–log; slopes are memory levels, plateaus arithmetic. Points of operators have areas by their
//! share of the time bound; the whole model stands on the roof, on a segment that starts where
//! every node would read and write memory; what was measured hangs below, with an arrow to what is
//! attainable and the factor on it. Knows quantities and labels, never graphs or devices.

mod heatmap;
mod labels;
mod marks;
#[cfg_attr(not(feature = "png"), path = "chart/picture/absent.rs")]
mod picture;

pub mod scene;

pub use heatmap::{Cell, HeatMap, render_heatmap};
pub use picture::{MAKES_PNG, render_png};

use labels::{Anchor, Area, Labels};
use marks::Scene;
use plotters::prelude::{
    ChartBuilder, IntoDrawingArea, IntoLogRange, RGBColor, SVGBackend, TextStyle,
};
use plotters::style::{Color, IntoFont};

/// What a chart shows.
#[derive(Clone, Debug, Default)]
pub struct Chart {
    /// The model and the machine.
    pub title: String,
    /// The conditions.
    pub subtitle: String,
    /// Roofs, the first one bold; points stand under its first peak and first slope.
    pub roofs: Vec<RoofLine>,
    /// Operators.
    pub points: Vec<Point>,
    /// Whole models.
    pub models: Vec<ModelPoint>,
    /// What was measured.
    pub measured: Vec<MeasuredPoint>,
}

/// The ceilings of one device.
#[derive(Clone, Debug)]
pub struct RoofLine {
    /// Put before the ceilings' names; empty where there is only one roof.
    pub label: String,
    /// Plateaus in FLOP/s; the first is the one that counts.
    pub peaks: Vec<Ceiling>,
    /// Slopes in B/s; the first is main memory.
    pub slopes: Vec<Ceiling>,
    /// Measured ceilings are dashed, theoretical ones solid.
    pub measured: bool,
}

/// One ceiling.
#[derive(Clone, Debug)]
pub struct Ceiling {
    /// Data type or memory level.
    pub label: String,
    /// FLOP/s or B/s.
    pub value: f64,
}

/// One operator.
#[derive(Clone, Debug)]
pub struct Point {
    /// What kind of work.
    pub class: String,
    /// FLOP/B.
    pub intensity: f64,
    /// FLOP/s.
    pub performance: f64,
    /// Share of the time bound, 0 to 1.
    pub share: f64,
}

/// A whole model on a roof.
#[derive(Clone, Debug)]
pub struct ModelPoint {
    /// Its name.
    pub label: String,
    /// FLOP/B when inputs, weights and outputs move once.
    pub intensity: f64,
    /// FLOP/s that the roof allows there.
    pub performance: f64,
    /// FLOP/B and FLOP/s when every node reads and writes memory.
    pub node_by_node: Option<(f64, f64)>,
    /// FLOP/B and FLOP/s when kernels take epilogues, chains and norms along.
    pub fused: Option<(f64, f64)>,
}

/// A measured run.
#[derive(Clone, Debug)]
pub struct MeasuredPoint {
    /// Scenario.
    pub label: String,
    /// FLOP/B.
    pub intensity: f64,
    /// FLOP/s reached.
    pub achieved: f64,
    /// FLOP/s the roof allows.
    pub attainable: f64,
    /// How it stands to the roof that it is drawn under.
    pub standing: Standing,
}

/// How a measured point stands to a roof.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// Both are of one machine, as far as is known.
    #[default]
    Own,
    /// Both are of one machine, whose ceilings varied while they were measured.
    Rough,
    /// It was measured on this other machine, so that its distance to the roof says nothing.
    Elsewhere(String),
}

/// Why a chart cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChartError {
    /// No roof, or a ceiling that is not a positive number.
    #[error("a roofline needs at least one roof with positive ceilings")]
    NoRoof,
    /// The drawing library refused.
    #[error("the chart cannot be drawn: {0}")]
    Draw(String),
    /// No picture could be made of the SVG.
    #[error("the picture cannot be made: {0}")]
    Picture(String),
    /// The program was built without pictures.
    #[error("this build makes no PNG")]
    NoPictures,
}

type Drawn<T> = Result<T, Box<dyn std::error::Error>>;

const SIZE: (u32, u32) = (1200, 800);
const INK: RGBColor = RGBColor(40, 44, 52);
const GREY: RGBColor = RGBColor(100, 105, 115);
const FONT: &str = "DejaVu Sans, Ubuntu, Helvetica, Arial, sans-serif";

/// Draws the chart.
pub fn render_svg(chart: &Chart) -> Result<String, ChartError> {
    let sound = |c: &Ceiling| c.value > 0.0 && c.value.is_finite();
    let usable = |r: &RoofLine| {
        !r.peaks.is_empty() && !r.slopes.is_empty() && r.peaks.iter().chain(&r.slopes).all(sound)
    };
    if chart.roofs.is_empty() || !chart.roofs.iter().all(usable) {
        return Err(ChartError::NoRoof);
    }
    let mut svg = String::new();
    let labels = draw(chart, &mut svg).map_err(|e| ChartError::Draw(e.to_string()))?;
    let end = svg.rfind("</svg>").unwrap_or(svg.len());
    svg.truncate(end);
    svg.push_str(&labels.into_svg());
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// Least and greatest of the values, with room to both sides.
fn range(values: impl Iterator<Item = f64>, low: f64, high: f64) -> (f64, f64) {
    let usable = values.filter(|v| v.is_finite() && *v > 0.0);
    let (least, most) =
        usable.fold((f64::MAX, f64::MIN_POSITIVE), |(a, b), v| (a.min(v), b.max(v)));
    let (least, most) = (least * low, most * high);
    // A narrower range would make the slope a wall.
    (least.min(most / 300.0), most)
}

fn draw(chart: &Chart, svg: &mut String) -> Drawn<Labels> {
    let ridges = chart
        .roofs
        .iter()
        .flat_map(|r| r.peaks.iter().filter_map(|p| r.slopes.first().map(|s| p.value / s.value)));
    let x = chart.points.iter().map(|p| p.intensity).chain(ridges);
    let x = x.chain(chart.models.iter().map(|m| m.intensity));
    let steps = || chart.models.iter().flat_map(|m| [m.node_by_node, m.fused]).flatten();
    let x = x.chain(steps().map(|s| s.0));
    let x = x.chain(chart.measured.iter().map(|m| m.intensity));
    let (x0, x1) = range(x, 0.4, 12.0);
    let y = chart.points.iter().map(|p| p.performance);
    let y = y.chain(chart.roofs.iter().flat_map(|r| r.peaks.iter().map(|p| p.value)));
    let y = y.chain(chart.measured.iter().flat_map(|m| [m.achieved, m.attainable]));
    let y = y.chain(chart.models.iter().map(|m| m.performance)).chain(steps().map(|s| s.1));
    let (y0, y1) = range(y, 0.4, 4.0);

    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&RGBColor(255, 255, 255))?;
    let mut plot = ChartBuilder::on(&root)
        .margin_top(88)
        .margin_right(36)
        .margin_bottom(66)
        .x_label_area_size(62)
        .y_label_area_size(96)
        .build_cartesian_2d((x0..x1).log_scale(), (y0 / 1e9..y1 / 1e9).log_scale())?;
    plot.configure_mesh()
        .label_style(style(15))
        .light_line_style(RGBColor(243, 244, 246))
        .bold_line_style(RGBColor(222, 224, 228))
        .x_label_formatter(&|v| grouped(*v))
        .y_label_formatter(&|v| grouped(*v))
        .draw()?;
    let (px, py) = plot.plotting_area().get_pixel_range();
    let frame = Area {
        x0: f64::from(px.start),
        y0: f64::from(py.start),
        x1: f64::from(px.end),
        y1: f64::from(py.end),
    };
    let mut labels = Labels::new(frame);
    let (middle_x, middle_y) =
        (f64::midpoint(frame.x0, frame.x1), f64::midpoint(frame.y0, frame.y1));
    labels.fixed(&chart.title, (96.0, 40.0), 24.0, INK, Anchor::Start, 0.0);
    labels.fixed(&chart.subtitle, (96.0, 66.0), 15.0, GREY, Anchor::Start, 0.0);
    let x_title = "arithmetic intensity, FLOP/byte";
    labels.fixed(x_title, (middle_x, frame.y1 + 50.0), 16.0, INK, Anchor::Middle, 0.0);
    labels.fixed("performance, GFLOP/s", (24.0, middle_y), 16.0, INK, Anchor::Middle, -90.0);

    let at = |intensity: f64, performance: f64| {
        let (x, y) = plot.backend_coord(&(intensity, performance / 1e9));
        (f64::from(x), f64::from(y))
    };
    let scene = Scene { chart, root: &root, at: &at, x: (x0, x1), y: (y0, y1) };
    scene.draw(&mut labels)?;
    root.present()?;
    Ok(labels)
}

/// A number with commas between thousands.
fn grouped(value: f64) -> String {
    let text = format!("{value}");
    let digits = text.split('.').next().unwrap_or_default().len();
    if digits < 4 || text.len() != digits {
        return text;
    }
    let mut out = String::new();
    for (i, c) in text.chars().enumerate() {
        if i > 0 && (digits - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

fn style(size: i32) -> TextStyle<'static> {
    (FONT, size).into_font().color(&INK.to_rgba())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Chart {
        let ceiling = |label: &str, value: f64| Ceiling { label: label.into(), value };
        let roof = |label: &str, peak: f64, slope: f64| RoofLine {
            label: label.into(),
            peaks: vec![ceiling("f32", peak), ceiling("f16", 2.0 * peak)],
            slopes: vec![ceiling("DRAM", slope), ceiling("L2", 6.0 * slope)],
            measured: true,
        };
        let run = |label: &str, achieved: f64| MeasuredPoint {
            label: label.into(),
            intensity: 9.0,
            achieved,
            attainable: 2e11,
            standing: Standing::Own,
        };
        Chart {
            title: "a <model> & a machine".into(),
            subtitle: "made up".into(),
            roofs: vec![roof("all threads", 2.3e11, 2.6e10), roof("one thread", 1.2e11, 1.0e10)],
            points: (1..60)
                .map(|i| Point {
                    class: format!("class {}", i % 5),
                    intensity: f64::from(i) * 0.3,
                    performance: (f64::from(i) * 0.3 * 2.6e10).min(2.3e11),
                    share: 1.0 / 60.0,
                })
                .collect(),
            models: vec![ModelPoint {
                label: "whole model".into(),
                intensity: 9.0,
                performance: 2e11,
                node_by_node: Some((3.0, 7.8e10)),
                fused: Some((5.0, 1.3e11)),
            }],
            measured: vec![run("single stream", 1.5e10), run("all cores", 3e10)],
        }
    }

    #[test]
    fn every_label_is_there_inside_and_apart() {
        let chart = example();
        let mut svg = String::new();
        let labels = draw(&chart, &mut svg).unwrap();
        for text in
            ["whole model", "fused", "single stream", "all cores", "×13.3", "×6.7", "ridge 8.8"]
        {
            assert!(labels.texts().any(|t| t.contains(text)), "{text}");
        }
        assert!(labels.faults().is_empty(), "{:?}", labels.faults());
        let svg = render_svg(&chart).unwrap();
        assert!(svg.contains("a &lt;model&gt; &amp; a machine"), "escaped");
        assert!(svg.trim_end().ends_with("</svg>"));
    }

    /// A decoder far below a network, and a model whose label is too long for any place.
    #[test]
    fn models_are_inside_and_named() {
        let mut chart = example();
        let model = |label: &str, intensity: f64, performance: f64| ModelPoint {
            label: label.into(),
            intensity,
            performance,
            node_by_node: Some((intensity / 2.0, performance / 2.0)),
            fused: Some((intensity / 1.5, performance / 1.5)),
        };
        let long = format!("network (n = {})", "9".repeat(300));
        chart.models = vec![model("decoder", 0.02, 5.2e8), model(&long, 300.0, 2.3e11)];
        let mut svg = String::new();
        let labels = draw(&chart, &mut svg).unwrap();
        assert_eq!(labels.texts().filter(|t| *t == "decoder").count(), 2, "beside it, and below");
        assert_eq!(labels.texts().filter(|t| *t == "network").count(), 2, "without its sizes");
        let number = |circle: &str, name: &str| -> f64 {
            let (_, rest) = circle.split_once(&format!("{name}=\"")).unwrap();
            rest.split('"').next().unwrap().parse().unwrap()
        };
        let circles: Vec<(f64, f64)> =
            svg.split("<circle").skip(1).map(|c| (number(c, " cx"), number(c, " cy"))).collect();
        let frame = labels.frame();
        let inside = |(x, y): &(f64, f64)| {
            (frame.x0..=frame.x1).contains(x) && (frame.y0..=frame.y1).contains(y)
        };
        let below = circles.iter().filter(|c| !inside(c)).count();
        // Five classes, two models, what was measured: the legend, and nothing else.
        assert_eq!(below, 8, "{circles:?}");
    }

    #[test]
    fn the_same_chart_twice_is_the_same_text() {
        assert_eq!(render_svg(&example()).unwrap(), render_svg(&example()).unwrap());
    }

    #[test]
    fn no_roof_is_an_error() {
        assert!(matches!(render_svg(&Chart::default()), Err(ChartError::NoRoof)));
        let mut chart = example();
        chart.roofs[0].peaks[0].value = f64::NAN;
        assert!(matches!(render_svg(&chart), Err(ChartError::NoRoof)));
    }
}
