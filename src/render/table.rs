//! Columns of text that stand below each other.

use std::fmt::Write as _;

/// The side on which the cells of a column are aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table with a head. A column is as wide as its widest cell, and two spaces apart from the next.
pub(super) struct Table {
    sides: Vec<Side>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table of these columns.
    pub(super) fn new<'a>(head: impl IntoIterator<Item = (&'a str, Side)>) -> Self {
        let (names, sides) = head.into_iter().map(|(name, side)| (cell(name), side)).unzip();
        Self { sides, rows: vec![names] }
    }

    /// Adds a row; cells that are missing at its end stay empty.
    pub(super) fn row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(|c| cell(c.as_ref())).collect());
    }

    /// Appends the table to a text, each line behind an `indent`.
    pub(super) fn write(&self, indent: &str, out: &mut String) {
        let wide = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|c| c.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.sides.len()).map(wide).collect();
        for row in &self.rows {
            let mut line = String::from(indent);
            for ((text, side), width) in row.iter().zip(&self.sides).zip(&widths) {
                let _ = match side {
                    Side::Left => write!(line, "{text:<width$}  "),
                    Side::Right => write!(line, "{text:>width$}  "),
                };
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
}

/// What a cell shows: one line, without characters that would move a terminal's cursor.
fn cell(text: &str) -> String {
    crate::text::shown(text).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new([("name", Side::Left), ("size", Side::Right), ("", Side::Left)]);
        table.row(["größer", "1", "x"]);
        table.row(["a\nb", "12345"]);
        let mut out = String::new();
        table.write("  ", &mut out);
        assert_eq!(out, "  name     size\n  größer      1  x\n  a\\nb    12345\n");
    }
}
