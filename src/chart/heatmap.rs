//! A table whose cells are coloured by their value.

use super::labels::{Anchor, Area, Labels};
use super::{ChartError, Drawn, GREY, INK};
use plotters::coord::Shift;
use plotters::prelude::{
    DrawingArea, IntoDrawingArea, PathElement, RGBColor, Rectangle, SVGBackend,
};
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
    /// Names of the columns, from the left, with what is said of them.
    pub columns: Vec<(String, String)>,
    /// Names of the rows, from the bottom, with what is said of them.
    pub rows: Vec<(String, String)>,
    /// Cells of each row.
    pub cells: Vec<Vec<Cell>>,
    /// What the ends of the scale of colours mean.
    pub ends: (String, String),
    /// Lines under the picture.
    pub notes: Vec<String>,
}

/// A cell.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    /// For the colour, on a logarithmic scale; `None` stays pale.
    pub value: Option<f64>,
    /// In the middle of the cell.
    pub text: String,
    /// Lines under the text.
    pub small: Vec<String>,
    /// Hatched: the value is of a run that had no steady state.
    pub hatched: bool,
    /// Framed: worse than it need be.
    pub framed: bool,
}

impl Cell {
    /// An empty one, with a frame where it is worse than it need be.
    pub fn framed(framed: bool) -> Self {
        Self { framed, ..Self::default() }
    }
}

const BAD: RGBColor = RGBColor(190, 20, 40);
const WHITE: RGBColor = RGBColor(255, 255, 255);
/// Of cells without a value.
const PALE: RGBColor = RGBColor(244, 244, 244);
/// From the least value to the greatest.
const SCALE: [(f64, f64, f64); 3] =
    [(255.0, 250.0, 225.0), (250.0, 205.0, 130.0), (226.0, 138.0, 82.0)];

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

/// Height of a cell with so many lines under its text.
fn tall(lines: usize) -> f64 {
    58.0 + 18.0 * lines as f64
}

/// Where the cells lie.
struct Grid {
    left: f64,
    top: f64,
    width: f64,
    bottom: f64,
    /// Sides of a cell.
    cell: (f64, f64),
}

impl Grid {
    fn of(map: &HeatMap) -> Self {
        let lines = map.cells.iter().flatten().map(|c| c.small.len()).max().unwrap_or(0);
        let (left, top, width, height) = (160.0, 96.0, 1000.0, tall(lines));
        let bottom = top + height * map.rows.len() as f64;
        Self { left, top, width, bottom, cell: (width / map.columns.len() as f64, height) }
    }

    /// The upper left corner of a cell; rows count from the bottom.
    fn corner(&self, row: usize, column: usize) -> (f64, f64) {
        (self.left + self.cell.0 * column as f64, self.bottom - self.cell.1 * (row + 1) as f64)
    }
}

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn draw(map: &HeatMap, svg: &mut String) -> Drawn<Labels> {
    let grid = Grid::of(map);
    let end = grid.bottom + 106.0 + 22.0 * map.notes.len() as f64;
    let root = SVGBackend::with_string(svg, (1200, end.max(320.0) as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    let (x1, y1) = (grid.left + grid.width, grid.bottom);
    let mut labels = Labels::new(Area { x0: grid.left, y0: grid.top, x1, y1 });
    labels.fixed(&map.title, (40.0, 40.0), 24.0, INK, Anchor::Start, 0.0);
    labels.fixed(&map.subtitle, (40.0, 68.0), 15.0, GREY, Anchor::Start, 0.0);
    let values = map.cells.iter().flatten().filter_map(|c| c.value).filter(|v| *v > 0.0);
    let (least, most) = values.fold((f64::MAX, 0.0f64), |(a, b), v| (a.min(v), b.max(v)));
    let share = |value: Option<f64>| {
        let value = value.filter(|v| *v > 0.0)?;
        Some(if most > least { (value / least).ln() / (most / least).ln() } else { 0.0 })
    };
    for (r, ((name, said), row)) in map.rows.iter().zip(&map.cells).enumerate() {
        let (x, y) = (grid.left - 12.0, grid.corner(r, 0).1 + grid.cell.1 / 2.0);
        labels.fixed(name, (x, y), 16.0, INK, Anchor::End, 0.0);
        labels.fixed(said, (x, y + 19.0), 13.0, GREY, Anchor::End, 0.0);
        for (c, cell) in row.iter().enumerate() {
            let fill = share(cell.value).map_or(PALE, color);
            draw_cell(cell, fill, grid.corner(r, c), grid.cell, &root)?;
            label_cell(cell, grid.corner(r, c), grid.cell, &mut labels);
        }
    }
    columns(map, &grid, &mut labels);
    legend(map, &grid, &root, &mut labels)?;
    for (i, note) in map.notes.iter().enumerate() {
        let at = (40.0, grid.bottom + 102.0 + 22.0 * i as f64);
        labels.fixed(note, at, 14.0, GREY, Anchor::Start, 0.0);
    }
    root.present()?;
    Ok(labels)
}

/// The area of a cell, with its hatching and frame.
#[allow(clippy::cast_possible_truncation)]
fn draw_cell(
    cell: &Cell,
    fill: RGBColor,
    (x, y): (f64, f64),
    (wide, high): (f64, f64),
    root: &Canvas,
) -> Drawn<()> {
    let (from, to) = ((x as i32, y as i32), ((x + wide) as i32, (y + high) as i32));
    root.draw(&Rectangle::new([from, to], fill.filled()))?;
    root.draw(&Rectangle::new([from, to], WHITE.stroke_width(2)))?;
    if cell.hatched {
        let mut step = 14.0;
        while step < wide + high {
            let line = vec![
                ((x + (step - high).max(0.0)) as i32, (y + step.min(high)) as i32),
                ((x + step.min(wide)) as i32, (y + (step - wide).max(0.0)) as i32),
            ];
            root.draw(&PathElement::new(line, GREY.mix(0.35).stroke_width(1)))?;
            step += 14.0;
        }
    }
    if cell.framed {
        let (a, b) = ((from.0 + 5, from.1 + 5), (to.0 - 5, to.1 - 5));
        let around = vec![a, (b.0, a.1), b, (a.0, b.1), a, (b.0, a.1)];
        root.draw(&PathElement::new(around, BAD.stroke_width(4)))?;
    }
    Ok(())
}

/// The texts of a cell. A rim of white keeps them apart from any colour.
fn label_cell(cell: &Cell, (x, y): (f64, f64), (wide, high): (f64, f64), labels: &mut Labels) {
    let middle = x + wide / 2.0;
    let first = y + (high - 18.0 * cell.small.len() as f64) / 2.0 + 6.0;
    labels.fixed(&cell.text, (middle, first), 19.0, INK, Anchor::Middle, 0.0);
    for (i, line) in cell.small.iter().enumerate() {
        let at = (middle, first + 19.0 + 18.0 * i as f64);
        labels.fixed(line, at, 13.0, INK, Anchor::Middle, 0.0);
    }
}

/// Names of the columns, and of both axes.
fn columns(map: &HeatMap, grid: &Grid, labels: &mut Labels) {
    let bottom = grid.bottom;
    for (c, (name, said)) in map.columns.iter().enumerate() {
        let x = grid.left + grid.cell.0 * (c as f64 + 0.5);
        labels.fixed(name, (x, bottom + 22.0), 16.0, INK, Anchor::Middle, 0.0);
        labels.fixed(said, (x, bottom + 41.0), 13.0, GREY, Anchor::Middle, 0.0);
    }
    let middle = grid.left + grid.width / 2.0;
    labels.fixed(&map.x_title, (middle, bottom + 66.0), 16.0, INK, Anchor::Middle, 0.0);
    let middle = f64::midpoint(grid.top, bottom);
    labels.fixed(&map.y_title, (26.0, middle), 16.0, INK, Anchor::Middle, -90.0);
}

/// The scale of colours.
#[allow(clippy::cast_possible_truncation)]
fn legend(map: &HeatMap, grid: &Grid, root: &Canvas, labels: &mut Labels) -> Drawn<()> {
    let (left, top) = (grid.left + grid.width - 230.0, grid.bottom + 92.0);
    for i in 0..30 {
        let x = (left + 5.0 * f64::from(i)) as i32;
        let area = [(x, top as i32), (x + 5, top as i32 + 12)];
        root.draw(&Rectangle::new(area, color(f64::from(i) / 29.0).filled()))?;
    }
    labels.fixed(&map.ends.0, (left - 8.0, top + 11.0), 13.0, INK, Anchor::End, 0.0);
    labels.fixed(&map.ends.1, (left + 158.0, top + 11.0), 13.0, INK, Anchor::Start, 0.0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_is_there_and_dark_ones_are_slow() {
        let cell = |v: f64| Cell { value: Some(v), text: format!("{v} ms"), ..Cell::default() };
        let map = HeatMap {
            title: "a <server>".into(),
            columns: ["1", "2"].map(|n| (n.into(), "at most".into())).into(),
            rows: ["50/s", "90/s"].map(|n| (n.into(), "load".into())).into(),
            cells: vec![vec![cell(1.0), cell(10.0)], vec![cell(30.0), cell(100.0)]],
            ..HeatMap::default()
        };
        let svg = render_heatmap(&map).unwrap();
        for text in
            ["1 ms", "10 ms", "30 ms", "100 ms", "50/s", "load", "at most", "a &lt;server&gt;"]
        {
            assert!(svg.contains(text), "{text}");
        }
        assert!(svg.contains("#FFFAE1") && svg.contains("#E28A52"), "both ends of the scale");
        assert!(render_heatmap(&HeatMap::default()).is_err());
    }
}
