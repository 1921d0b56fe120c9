//! A table whose cells are coloured by their value.

use super::labels::{Area, Labels};
use super::{ChartError, Drawn, GREY, INK};
use plotters::prelude::{IntoDrawingArea, PathElement, RGBColor, Rectangle, SVGBackend};
use plotters::style::Color;

/// What the picture shows.
#[derive(Clone, Debug, Default)]
pub struct HeatMap {
    /// What was measured.
    pub title: String,
    /// The conditions.
    pub subtitle: String,
    /// Under the columns.
    pub x_title: String,
    /// Beside the rows.
    pub y_title: String,
    /// Names of the columns, from the left.
    pub columns: Vec<String>,
    /// Names of the rows, from the bottom.
    pub rows: Vec<String>,
    /// Cells of each row.
    pub cells: Vec<Vec<Cell>>,
    /// Lines under the picture.
    pub notes: Vec<String>,
}

/// A cell.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    /// For the colour, on a logarithmic scale; `None` stays white.
    pub value: Option<f64>,
    /// In the middle of the cell.
    pub text: String,
    /// Under the text.
    pub small: String,
    /// Hatched: the value is of a run that had no steady state.
    pub hatched: bool,
    /// Framed: worse than it need be.
    pub framed: bool,
}

const BAD: RGBColor = RGBColor(200, 30, 45);
/// From the least value to the greatest.
const SCALE: [(f64, f64, f64); 4] =
    [(237.0, 248.0, 233.0), (161.0, 217.0, 155.0), (49.0, 145.0, 120.0), (8.0, 58.0, 92.0)];

/// Draws the table as SVG.
pub fn render_heatmap(map: &HeatMap) -> Result<String, ChartError> {
    let full = map.cells.len() == map.rows.len()
        && map.cells.iter().all(|row| row.len() == map.columns.len());
    if !full || map.rows.is_empty() || map.columns.is_empty() {
        return Err(ChartError::Draw("a table needs a cell for each row and column".into()));
    }
    let mut svg = String::new();
    let labels = draw(map, &mut svg).map_err(|e| ChartError::Draw(e.to_string()))?;
    svg.truncate(svg.rfind("</svg>").unwrap_or(svg.len()));
    svg.push_str(&labels.into_svg());
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// A position on the scale, 0 to 1, as a colour.
fn color(share: f64) -> RGBColor {
    let place = share.clamp(0.0, 1.0) * (SCALE.len() - 1) as f64;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let at = (place as usize).min(SCALE.len() - 2);
    let (a, b, t) = (SCALE[at], SCALE[at + 1], place - at as f64);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let mix = |x: f64, y: f64| (x + (y - x) * t).round() as u8;
    RGBColor(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}

#[allow(clippy::cast_possible_truncation)]
fn draw(map: &HeatMap, svg: &mut String) -> Drawn<Labels> {
    let (left, top, width, height) = (150.0, 92.0, 1010.0, 76.0);
    let bottom = top + height * map.rows.len() as f64;
    let end = bottom + 86.0 + 22.0 * map.notes.len() as f64;
    let root = SVGBackend::with_string(svg, (1200, end.max(320.0) as u32)).into_drawing_area();
    root.fill(&RGBColor(255, 255, 255))?;
    let mut labels = Labels::new(Area { x0: left, y0: top, x1: left + width, y1: bottom });
    labels.fixed(&map.title, (40.0, 40.0), 24.0, INK, "start", 0.0);
    labels.fixed(&map.subtitle, (40.0, 68.0), 15.0, GREY, "start", 0.0);
    let values = map.cells.iter().flatten().filter_map(|c| c.value).filter(|v| *v > 0.0);
    let (least, most) = values.fold((f64::MAX, 0.0f64), |(a, b), v| (a.min(v), b.max(v)));
    let each = width / map.columns.len() as f64;
    for (r, (name, row)) in map.rows.iter().zip(&map.cells).enumerate() {
        let y = bottom - height * (r + 1) as f64;
        labels.fixed(name, (left - 12.0, y + height / 2.0 + 5.0), 15.0, INK, "end", 0.0);
        for (c, cell) in row.iter().enumerate() {
            let x = left + each * c as f64;
            let (from, to) = ((x as i32, y as i32), ((x + each) as i32, (y + height) as i32));
            let share = cell
                .value
                .filter(|v| *v > 0.0)
                .map(|v| if most > least { (v / least).ln() / (most / least).ln() } else { 0.0 });
            let fill = share.map_or(RGBColor(255, 255, 255), color);
            root.draw(&Rectangle::new([from, to], fill.filled()))?;
            let white = RGBColor(255, 255, 255).stroke_width(2);
            root.draw(&Rectangle::new([from, to], white))?;
            if cell.hatched {
                let mut step = 14.0;
                while step < each + height {
                    let line = vec![
                        ((x + (step - height).max(0.0)) as i32, (y + step.min(height)) as i32),
                        ((x + step.min(each)) as i32, (y + (step - each).max(0.0)) as i32),
                    ];
                    root.draw(&PathElement::new(line, BAD.mix(0.35).stroke_width(1)))?;
                    step += 14.0;
                }
            }
            if cell.framed {
                let inner = [(from.0 + 4, from.1 + 4), (to.0 - 4, to.1 - 4)];
                root.draw(&Rectangle::new(inner, BAD.stroke_width(3)))?;
            }
            let ink = if share.is_some_and(|s| s > 0.55) { RGBColor(255, 255, 255) } else { INK };
            let middle = x + each / 2.0;
            labels.fixed(&cell.text, (middle, y + 36.0), 18.0, ink, "middle", 0.0);
            labels.fixed(&cell.small, (middle, y + 58.0), 13.0, ink, "middle", 0.0);
        }
    }
    for (c, name) in map.columns.iter().enumerate() {
        let x = left + each * (c as f64 + 0.5);
        labels.fixed(name, (x, bottom + 24.0), 15.0, INK, "middle", 0.0);
    }
    labels.fixed(&map.x_title, (left + width / 2.0, bottom + 50.0), 16.0, INK, "middle", 0.0);
    let middle = f64::midpoint(top, bottom);
    labels.fixed(&map.y_title, (26.0, middle), 16.0, INK, "middle", -90.0);
    for (i, note) in map.notes.iter().enumerate() {
        labels.fixed(note, (40.0, bottom + 82.0 + 22.0 * i as f64), 14.0, GREY, "start", 0.0);
    }
    root.present()?;
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_is_there_and_dark_ones_are_slow() {
        let cell = |v: f64| Cell { value: Some(v), text: format!("{v} ms"), ..Cell::default() };
        let map = HeatMap {
            title: "a <server>".into(),
            columns: vec!["1".into(), "2".into()],
            rows: vec!["50 %".into(), "90 %".into()],
            cells: vec![vec![cell(1.0), cell(10.0)], vec![cell(30.0), cell(100.0)]],
            ..HeatMap::default()
        };
        let svg = render_heatmap(&map).unwrap();
        for text in ["1 ms", "10 ms", "30 ms", "100 ms", "50 %", "a &lt;server&gt;"] {
            assert!(svg.contains(text), "{text}");
        }
        assert!(svg.contains("#EDF8E9") && svg.contains("#083A5C"), "both ends of the scale");
        assert!(render_heatmap(&HeatMap::default()).is_err());
    }
}
