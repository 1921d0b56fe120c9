//! What the study found, in sentences.

use super::{Against, BatchingFile, CellPart, MARGIN};
use crate::judge::name;
use crate::schema::PlateauPart;
use rooflens_ground::units::si;

impl BatchingFile {
    /// A cell's percentile with what its requests wait for a batch, or why there is none.
    pub(super) fn told(&self, cell: &CellPart) -> String {
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
            format!("{time} and {} to gather", si(q * cell.gather_seconds, "s"))
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
        let mut out = Vec::new();
        let columns = self.columns();
        let reference = self.reference.name(&columns);
        out.extend(self.throughput(&reference));
        let label = self.quantile.map_or("it".into(), name);
        for load in self.loads() {
            let row = |wanted: Against| -> Vec<&CellPart> {
                let cells = columns.iter().filter_map(|c| self.cell(c, load));
                cells.filter(|c| c.against == wanted).collect()
            };
            let Some(one) = self.cell(&self.reference, load) else { continue };
            let others = self.cells.iter().filter(|c| super::same(c.load, load)).count() > 1;
            if !others {
                continue;
            }
            let each = |cells: &[&CellPart]| {
                let told =
                    |c: &&CellPart| format!("{} with {}", self.told(c), c.column.name(&columns));
                cells.iter().map(told).collect::<Vec<_>>().join("; ")
            };
            let against = if one.overloaded {
                format!("where {reference} is overloaded")
            } else if self.quantile.is_none() {
                format!("as it is not with {reference}")
            } else {
                format!("against {} with {reference}", self.told(one))
            };
            let mut parts = Vec::new();
            let (worse, better) = (row(Against::Worse), row(Against::Better));
            if !worse.is_empty() {
                parts.push(format!(
                    "batching loses {}: {label} is {}, {against}",
                    self.listed(&worse),
                    each(&worse)
                ));
            }
            if !better.is_empty() {
                parts.push(format!(
                    "batching pays {}: {label} is {}, {against}",
                    self.listed(&better),
                    each(&better)
                ));
            }
            for (against, words) in [
                (Against::Same, "no difference"),
                (Against::Overloaded, "overloaded like the rest"),
                (Against::Undecided, "not decided"),
            ] {
                let cells = row(against);
                if !cells.is_empty() {
                    parts.push(format!("{words} {}", self.listed(&cells)));
                }
            }
            let rate = one.wanted_inferences_per_second;
            out.push(format!(
                "at {rate:.0} inferences/s ({:.0} % load) {}",
                100.0 * load,
                parts.join("; ")
            ));
        }
        out
    }

    /// What the most throughput is, and what it gains.
    fn throughput(&self, reference: &str) -> Option<String> {
        let columns = self.columns();
        let one = self.plateaus.iter().find(|p| p.column == self.reference)?;
        let rate = |p: &PlateauPart| p.inferences_per_second;
        let best = self.plateaus.iter().max_by(|a, b| rate(a).total_cmp(&rate(b)))?;
        let gain = rate(best) / rate(one);
        Some(if self.plateaus.len() < 2 || rate(one) <= 0.0 {
            format!("at most {:.0} inferences/s with {}", rate(best), best.column.name(&columns))
        } else if gain < 1.0 + MARGIN {
            format!("throughput gains nothing: {:.0} inferences/s with {reference}", rate(one))
        } else {
            format!(
                "most throughput with {}: {:.0} inferences/s, {gain:.2} times {reference}",
                best.column.name(&columns),
                rate(best)
            )
        })
    }
}
