//! The roofline chart, as SVG.
//!
//! Log–log; the slope is memory, the plateau arithmetic. Points of operators have areas by their
//! share of the time bound; the whole model stands on the roof; what was measured hangs below it,
//! with an arrow to what is attainable and the factor between. Knows quantities and labels, never
//! graphs or devices.

mod labels;

use labels::{Box2, Placer};
use plotters::prelude::{
    Cartesian2d, ChartBuilder, ChartContext, Circle, Color, IntoDrawingArea, IntoLogRange,
    LineSeries, LogCoord, PathElement, RGBColor, SVGBackend, Text, TextStyle,
};
use plotters::style::IntoFont;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// What a chart shows.
#[derive(Clone, Debug, Default)]
pub struct Chart {
    /// The model.
    pub title: String,
    /// The conditions.
    pub subtitle: String,
    /// Roofs, the first one bold.
    pub roofs: Vec<RoofLine>,
    /// Operators.
    pub points: Vec<Point>,
    /// The whole model under the first roof: label, FLOP/B, FLOP/s.
    pub model: Option<(String, f64, f64)>,
    /// What was measured.
    pub measured: Vec<MeasuredPoint>,
}

/// One roof.
#[derive(Clone, Debug)]
pub struct RoofLine {
    /// Name in the legend and on the plateau.
    pub label: String,
    /// FLOP/s.
    pub peak: f64,
    /// B/s.
    pub bandwidth: f64,
    /// Measured ceilings are dashed, theoretical ones solid.
    pub measured: bool,
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
}

const SIZE: (u32, u32) = (1200, 800);
const INK: RGBColor = RGBColor(40, 44, 52);
const MEASURED: RGBColor = RGBColor(200, 60, 50);
const ROOFS: [RGBColor; 4] =
    [RGBColor(31, 58, 95), RGBColor(120, 94, 160), RGBColor(20, 120, 120), RGBColor(150, 110, 40)];
const CLASSES: [RGBColor; 7] = [
    RGBColor(66, 133, 200),
    RGBColor(230, 150, 40),
    RGBColor(80, 165, 90),
    RGBColor(170, 110, 190),
    RGBColor(120, 120, 120),
    RGBColor(60, 180, 190),
    RGBColor(200, 120, 140),
];

type Plot<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<LogCoord<f64>, LogCoord<f64>>>;

/// Draws the chart.
pub fn render_svg(chart: &Chart) -> Result<String, ChartError> {
    let sound =
        |r: &RoofLine| r.peak > 0.0 && r.bandwidth > 0.0 && (r.peak * r.bandwidth).is_finite();
    if chart.roofs.is_empty() || !chart.roofs.iter().all(sound) {
        return Err(ChartError::NoRoof);
    }
    let mut svg = String::new();
    draw(chart, &mut svg).map_err(|e| ChartError::Draw(e.to_string()))?;
    Ok(svg)
}

/// Range that holds all values, with room to both sides, in whole decades' thirds.
fn range(values: impl Iterator<Item = f64>, low: f64, high: f64) -> (f64, f64) {
    let usable = values.filter(|v| v.is_finite() && *v > 0.0);
    let (least, most) =
        usable.fold((f64::MAX, f64::MIN_POSITIVE), |(a, b), v| (a.min(v), b.max(v)));
    (least * low, most * high)
}

fn text(size: i32, color: RGBColor) -> TextStyle<'static> {
    ("DejaVu Sans, Helvetica, Arial, sans-serif", size).into_font().color(&color)
}

fn draw(chart: &Chart, svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let intensities = chart.points.iter().map(|p| p.intensity);
    let ridges = chart.roofs.iter().map(|r| r.peak / r.bandwidth);
    let others = chart.model.iter().map(|m| m.1).chain(chart.measured.iter().map(|m| m.intensity));
    let (x0, x1) = range(intensities.chain(ridges).chain(others), 0.3, 5.0);
    let heights = chart.points.iter().map(|p| p.performance);
    let marks = chart.measured.iter().flat_map(|m| [m.achieved, m.attainable]);
    let (y0, y1) = range(heights.chain(chart.roofs.iter().map(|r| r.peak)).chain(marks), 0.4, 3.0);

    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&RGBColor(255, 255, 255))?;
    root.draw(&Text::new(chart.title.clone(), (80, 18), text(26, INK)))?;
    root.draw(&Text::new(chart.subtitle.clone(), (80, 52), text(15, RGBColor(100, 105, 115))))?;
    let mut plot: Plot<'_> = ChartBuilder::on(&root)
        .margin_top(84)
        .margin_right(30)
        .margin_bottom(70)
        .x_label_area_size(56)
        .y_label_area_size(84)
        .build_cartesian_2d((x0..x1).log_scale(), (y0 / 1e9..y1 / 1e9).log_scale())?;
    plot.configure_mesh()
        .x_desc("arithmetic intensity, FLOP/byte")
        .y_desc("performance, GFLOP/s")
        .label_style(text(15, INK))
        .axis_desc_style(text(17, INK))
        .light_line_style(RGBColor(242, 243, 245))
        .bold_line_style(RGBColor(222, 224, 228))
        .x_label_formatter(&|v| format!("{v}"))
        .y_label_formatter(&|v| format!("{v}"))
        .draw()?;
    let frame = {
        let (x, y) = plot.plotting_area().get_pixel_range();
        Box2 {
            x0: f64::from(x.start),
            y0: f64::from(y.start),
            x1: f64::from(x.end),
            y1: f64::from(y.end),
        }
    };
    let mut placer = Placer::new(frame);
    let classes = draw_marks(chart, &mut plot, (x0, x1), &mut placer)?;
    draw_labels(chart, &plot, &mut placer, &root)?;
    legend(&root, &classes, chart)?;
    root.present()?;
    Ok(())
}

/// Lines and points; returns the classes in the order of their colours.
fn draw_marks(
    chart: &Chart,
    plot: &mut Plot<'_>,
    (x0, x1): (f64, f64),
    placer: &mut Placer,
) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    for (i, roof) in chart.roofs.iter().enumerate() {
        let color = ROOFS[i % ROOFS.len()];
        let ridge = roof.peak / roof.bandwidth;
        let at = |x: f64| (x, (roof.bandwidth * x).min(roof.peak) / 1e9);
        let style = color.stroke_width(if i == 0 { 4 } else { 2 });
        plot.draw_series(LineSeries::new([at(x0), at(ridge), at(x1)], style))?;
        for step in 0..=200 {
            let x = x0 * (x1 / x0).powf(f64::from(step) / 200.0);
            let (px, py) = plot.backend_coord(&at(x));
            placer.block_point(px, py, 3.0);
        }
    }
    let mut classes: Vec<String> = Vec::new();
    let mut sorted: Vec<&Point> = chart.points.iter().collect();
    sorted.sort_by(|a, b| b.share.total_cmp(&a.share));
    for point in sorted {
        let index = classes.iter().position(|c| *c == point.class).unwrap_or_else(|| {
            classes.push(point.class.clone());
            classes.len() - 1
        });
        let color = CLASSES[index % CLASSES.len()];
        #[allow(clippy::cast_possible_truncation)]
        let radius = (3.0 + 34.0 * point.share.clamp(0.0, 1.0).sqrt()) as i32;
        let place = (point.intensity, point.performance / 1e9);
        plot.draw_series([Circle::new(place, radius, color.mix(0.45).filled())])?;
        let (px, py) = plot.backend_coord(&place);
        placer.block_point(px, py, f64::from(radius.min(8)));
    }
    if let Some((_, x, y)) = &chart.model {
        plot.draw_series([Circle::new((*x, y / 1e9), 9, INK.filled())])?;
        let (px, py) = plot.backend_coord(&(*x, y / 1e9));
        placer.block_point(px, py, 10.0);
    }
    for m in &chart.measured {
        let (from, to) = ((m.intensity, m.achieved / 1e9), (m.intensity, m.attainable / 1e9));
        plot.draw_series([PathElement::new(vec![from, to], MEASURED.stroke_width(2))])?;
        plot.draw_series([Circle::new(from, 7, MEASURED.filled())])?;
        let (px, py) = plot.backend_coord(&from);
        placer.block_point(px, py, 8.0);
        let (_, top) = plot.backend_coord(&to);
        for y in top.min(py)..top.max(py) {
            placer.block_point(px, y, 2.0);
        }
    }
    Ok(classes)
}

fn draw_labels<DB: plotters::prelude::DrawingBackend>(
    chart: &Chart,
    plot: &Plot<'_>,
    placer: &mut Placer,
    root: &plotters::prelude::DrawingArea<DB, plotters::coord::Shift>,
) -> Result<(), Box<dyn std::error::Error>>
where
    DB::ErrorType: 'static,
{
    let mut put = |label: &str,
                   at: (i32, i32),
                   size: i32,
                   color: RGBColor|
     -> Result<(), Box<dyn std::error::Error>> {
        if let Some(spot) = placer.place(label, at, f64::from(size)) {
            #[allow(clippy::cast_possible_truncation)]
            let corner = (spot.x0 as i32, spot.y0 as i32);
            root.draw(&Text::new(label.to_owned(), corner, text(size, color)))?;
        }
        Ok(())
    };
    for m in &chart.measured {
        let at = plot.backend_coord(&(m.intensity, m.achieved / 1e9));
        let speed = crate::units::si(m.achieved, "FLOP/s");
        let factor = m.attainable / m.achieved;
        let gap = if factor >= 1.0 {
            format!("×{factor:.1} to the roof")
        } else {
            "above the roof".into()
        };
        put(&format!("{}: {speed}, {gap}", m.label), at, 15, MEASURED)?;
    }
    if let Some((label, x, y)) = &chart.model {
        put(label, plot.backend_coord(&(*x, y / 1e9)), 16, INK)?;
    }
    for (i, roof) in chart.roofs.iter().enumerate() {
        let color = ROOFS[i % ROOFS.len()];
        let ridge = roof.peak / roof.bandwidth;
        let corner = plot.backend_coord(&(ridge, roof.peak / 1e9));
        let peak = crate::units::si(roof.peak, "FLOP/s");
        put(&format!("{} {peak}", roof.label), (corner.0 + 90, corner.1), 15, color)?;
        put(&format!("ridge {ridge:.1} FLOP/B"), corner, 14, color)?;
        let slope = plot.backend_coord(&(ridge * 0.25, roof.bandwidth * ridge * 0.25 / 1e9));
        put(&crate::units::si(roof.bandwidth, "B/s"), slope, 14, color)?;
    }
    Ok(())
}

/// Names of colours, below the plot.
fn legend<DB: plotters::prelude::DrawingBackend>(
    root: &plotters::prelude::DrawingArea<DB, plotters::coord::Shift>,
    classes: &[String],
    chart: &Chart,
) -> Result<(), Box<dyn std::error::Error>>
where
    DB::ErrorType: 'static,
{
    let mut entries: Vec<(String, RGBColor)> = classes
        .iter()
        .enumerate()
        .map(|(i, class)| (class.clone(), CLASSES[i % CLASSES.len()]))
        .collect();
    if chart.model.is_some() {
        entries.push(("whole model".into(), INK));
    }
    if !chart.measured.is_empty() {
        entries.push(("measured".into(), MEASURED));
    }
    let (mut x, mut y) = (90, 752);
    for (label, color) in entries {
        #[allow(clippy::cast_possible_truncation)]
        let width = labels::width(&label, 15.0) as i32 + 46;
        if x + width > 1180 {
            x = 90;
            y += 24;
        }
        root.draw(&Circle::new((x, y), 7, color.filled()))?;
        let style = text(15, INK).pos(Pos::new(HPos::Left, VPos::Center));
        root.draw(&Text::new(label, (x + 13, y), style))?;
        x += width;
    }
    Ok(())
}

/// Makes a PNG of the SVG, with the fonts of this machine.
#[cfg(feature = "png")]
pub fn render_png(svg: &str) -> Result<Vec<u8>, ChartError> {
    use resvg::{tiny_skia, usvg};
    let fail = |e: &dyn std::fmt::Display| ChartError::Picture(e.to_string());
    let mut options = usvg::Options::default();
    options.fontdb_mut().load_system_fonts();
    if options.fontdb.is_empty() {
        return Err(ChartError::Picture("no font is installed; `roofline.svg` is complete".into()));
    }
    let tree = usvg::Tree::from_str(svg, &options).map_err(|e| fail(&e))?;
    let size = tree.size().to_int_size();
    let mut picture = tiny_skia::Pixmap::new(size.width(), size.height())
        .ok_or_else(|| ChartError::Picture("the size is zero".into()))?;
    resvg::render(&tree, tiny_skia::Transform::default(), &mut picture.as_mut());
    picture.encode_png().map_err(|e| fail(&e))
}
