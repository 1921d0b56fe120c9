//! What the study found, in sentences.

use super::{Against, BatchingFile, CellPart, MARGIN};
use crate::schema::{PlateauPart, percentile};
use rooflens_ground::units::si;

impl BatchingFile {
    /// A cell's percentile with what its requests wait for a batch, or why there is none.
    pub(super) fn seen(&self, cell: &CellPart) -> String {
        if cell.overloaded {
            return "overloaded".into();
        }
        let Some(q) = self.quantile else { return "not overloaded".into() };
        let time = match cell.at(q).map(|p| p.seconds) {
            Some(Some(seconds)) if cell.sound() => si(seconds, "s"),
            Some(Some(seconds)) => format!("at most {}", si(seconds, "s")),
            Some(None) => "never".into(),
            None => return "too few samples".into(),
        };
        if cell.column.batch > 1 {
            format!("{time} and {} to collect", si(q * cell.gather_seconds, "s"))
        } else {
            time
        }
    }

    /// Columns in words; "from … on" where they are all from one on.
    fn listed(&self, cells: &[&CellPart]) -> String {
        let columns = self.columns();
        let names: Vec<String> = cells.iter().map(|c| c.column.name(&columns)).collect();
        let tail = columns.len().saturating_sub(names.len());
        let settings = columns.iter().any(|c| c.server.is_some());
        let is_tail = columns[tail..].iter().zip(cells).all(|(a, c)| *a == c.column);
        match names.as_slice() {
            [first, _, ..] if is_tail && !settings => format!("from {first} on"),
            [first] => format!("with {first}"),
            [first @ .., last] => format!("with {} and {last}", first.join(", ")),
            [] => String::new(),
        }
    }

    /// Sentences: the throughput, then each load from the lowest.
    pub(super) fn words(&self) -> Vec<String> {
        let reference = self.reference.name(&self.columns());
        let throughput = self.throughput(&reference);
        let loads = self.loads();
        let loads = loads.iter().filter_map(|load| self.at_load(*load, &reference));
        throughput.into_iter().chain(loads).collect()
    }

    /// What batching does at a load; none where nothing was measured beside the reference.
    fn at_load(&self, load: f64, reference: &str) -> Option<String> {
        let one = self.cell(&self.reference, load)?;
        if self.cells.iter().filter(|c| super::same(c.load, load)).count() < 2 {
            return None;
        }
        let columns = self.columns();
        let row = |wanted: Against| -> Vec<&CellPart> {
            let cells = columns.iter().filter_map(|c| self.cell(c, load));
            cells.filter(|c| c.against == wanted).collect()
        };
        let mut parts = Vec::new();
        for (verb, against) in [("hurts", Against::Worse), ("helps", Against::Better)] {
            let cells = row(against);
            if !cells.is_empty() {
                parts.push(self.compared(verb, &cells, one, reference));
            }
        }
        for (against, words) in [
            (Against::Same, "no difference"),
            (Against::Overloaded, "overloaded like the rest"),
            (Against::Undecided, "undecided"),
        ] {
            let cells = row(against);
            if !cells.is_empty() {
                parts.push(format!("{words} {}", self.listed(&cells)));
            }
        }
        Some(format!(
            "at {:.0} inferences/s ({:.0} % load) {}",
            one.wanted_inferences_per_second,
            100.0 * load,
            parts.join("; ")
        ))
    }

    /// Cells where batching hurts or helps against the reference's cell `one`.
    fn compared(&self, verb: &str, cells: &[&CellPart], one: &CellPart, reference: &str) -> String {
        let columns = self.columns();
        let each = |c: &&CellPart| format!("{} with {}", self.seen(c), c.column.name(&columns));
        let each = cells.iter().map(each).collect::<Vec<_>>().join("; ");
        let against = if one.overloaded {
            format!("where {reference} is overloaded")
        } else if self.quantile.is_none() {
            format!("unlike {reference}")
        } else {
            format!("against {} with {reference}", self.seen(one))
        };
        let label = self.quantile.map_or("it".into(), percentile);
        format!("batching {verb} {}: {label} is {each}, {against}", self.listed(cells))
    }

    /// The highest throughput, and its gain.
    fn throughput(&self, reference: &str) -> Option<String> {
        let columns = self.columns();
        let one = self.plateaus.iter().find(|p| p.column == self.reference)?;
        let rate = |p: &PlateauPart| p.inferences_per_second;
        let best = self.plateaus.iter().max_by(|a, b| rate(a).total_cmp(&rate(b)))?;
        let gain = rate(best) / rate(one);
        Some(if self.plateaus.len() < 2 || rate(one) <= 0.0 {
            format!(
                "maximum throughput: {:.0} inferences/s with {}",
                rate(best),
                best.column.name(&columns)
            )
        } else if gain < 1.0 + MARGIN {
            format!("no gain in throughput: {:.0} inferences/s with {reference}", rate(one))
        } else {
            format!(
                "highest throughput with {}: {:.0} inferences/s, {gain:.2} times {reference}",
                best.column.name(&columns),
                rate(best)
            )
        })
    }
}
