//! Batch sizes and settings of the server's own batching, against loads.

use super::same;
use crate::schema::{
    Against, BatchingFile, CellPart, Column, LossKind, LossPart, MeasurementFile, Verdict,
};

mod words;

/// A difference that two short runs may have by chance.
const MARGIN: f64 = 0.05;

impl CellPart {
    /// Of a run that should do `wanted` inferences a second, where the column can do `most`. A run
    /// whose client was late too is overloaded where that is more than can be done.
    pub fn new(file: &MeasurementFile, column: Column, load: f64, wanted: f64, most: f64) -> Self {
        let found = &file.verdict;
        let grows = found.findings.iter().any(|f| f.verdict == Verdict::Overloaded);
        // Failures come first whatever their reason.
        let mut others = found.findings.iter().filter(|f| f.verdict != Verdict::Failing);
        let first = others.next().is_some_and(|f| f.verdict == Verdict::Overloaded);
        Self {
            overloaded: first || grows && wanted > most,
            gather_seconds: (column.batch - 1) as f64 / wanted,
            column,
            load,
            wanted_inferences_per_second: wanted,
            inferences_per_second: file.window.inferences_per_second,
            percentiles: file.response.percentiles.clone(),
            executed_batch_mean: None,
            verdict: found.verdict,
            findings: found.findings.clone(),
            against: Against::Undecided,
            due: file.window.due,
            lost: file.window.lost,
        }
    }

    /// Whether its percentiles are at least those of the server: a client that is late makes times
    /// longer, never shorter.
    pub fn bounds(&self) -> bool {
        let steady = |v: Verdict| !matches!(v, Verdict::NotStationary | Verdict::Throttled);
        let late = self.verdict == Verdict::ClientLimited && !self.overloaded;
        self.sound() || late && self.findings.iter().all(|f| steady(f.verdict))
    }

    /// How it fares against `reference` at the percentile `q`. What a request waits for its batch
    /// counts: of a batch that fills evenly, the share `q` of its requests waits at most `q` times
    /// what the first one does.
    fn against(&self, reference: &Self, q: f64) -> Against {
        match (self.overloaded, reference.overloaded) {
            (true, true) => return Against::Overloaded,
            (true, false) if reference.sound() => return Against::Worse,
            (false, true) if self.sound() => return Against::Better,
            _ => {}
        }
        let (Some(own), Some(other)) = (self.at(q), reference.at(q)) else {
            return Against::Undecided;
        };
        let gather = q * (self.gather_seconds - reference.gather_seconds);
        // No time is that of requests without an answer.
        let time = |t: Option<f64>| t.unwrap_or(f64::INFINITY);
        let (a, b) = (time(own.seconds) + gather, time(other.seconds));
        let (low, high) =
            (own.low_seconds.unwrap_or(0.0) + gather, time(own.high_seconds) + gather);
        let (least, most) = (other.low_seconds.unwrap_or(0.0), time(other.high_seconds));
        let (slower, faster) = (self.sound(), reference.sound());
        if a > b * (1.0 + MARGIN) && low > most && slower && reference.bounds() {
            Against::Worse
        } else if a < b * (1.0 - MARGIN) && high < least && faster && self.bounds() {
            Against::Better
        } else if (a / b - 1.0).abs() <= MARGIN && slower && faster {
            Against::Same
        } else {
            Against::Undecided
        }
    }
}

impl BatchingFile {
    /// Chooses the percentile that all sound cells support, compares, and says where batching does
    /// harm.
    pub fn judge(&mut self) {
        let sound = || self.cells.iter().filter(|c| c.sound());
        let all = |q: &f64| sound().next().is_some() && sound().all(|c| c.at(*q).is_some());
        self.quantile = [0.99, 0.95, 0.9, 0.5].into_iter().find(all);
        // Without a percentile what is overloaded is still known.
        let q = self.quantile.unwrap_or(0.99);
        let references: Vec<CellPart> =
            self.cells.iter().filter(|c| c.column == self.reference).cloned().collect();
        for cell in &mut self.cells {
            cell.against = match references.iter().find(|r| same(r.load, cell.load)) {
                Some(_) if cell.column == self.reference => Against::Reference,
                Some(reference) => cell.against(reference, q),
                None => Against::Undecided,
            };
        }
        self.findings = self.losses();
        self.summary = self.words();
    }

    fn losses(&self) -> Vec<LossPart> {
        let (columns, mut findings) = (self.columns(), Vec::new());
        let mut add = |kind: LossKind, column: &Column, load, evidence| {
            findings.push(LossPart { kind, column: column.clone(), load, evidence });
        };
        for pair in self.plateaus.windows(2) {
            let [before, after] = pair else { continue };
            let (a, b) = (before.inferences_per_second, after.inferences_per_second);
            if b < a * (1.0 - MARGIN) && before.column.server == after.column.server {
                let (before, after) = (before.column.name(&columns), after.column.name(&columns));
                let evidence = format!("{b:.1} inferences/s with {after}, {a:.1} with {before}");
                add(LossKind::ThroughputFalls, &pair[1].column, None, evidence);
            }
        }
        let name = self.reference.name(&columns);
        let one = self.plateaus.iter().find(|p| p.column == self.reference);
        for (p, one) in self.plateaus.iter().filter_map(|p| Some((p, one?))) {
            let (a, b) = (one.inferences_per_second, p.inferences_per_second);
            if b < a * (1.0 - MARGIN) {
                let evidence = format!("{b:.1} inferences/s at most, {a:.1} with {name}");
                add(LossKind::ThroughputBelowReference, &p.column, None, evidence);
            }
        }
        for cell in self.cells.iter().filter(|c| c.against == Against::Worse) {
            let Some(one) = self.cell(&self.reference, cell.load) else { continue };
            let first = cell.overloaded;
            let kind = if first { LossKind::OverloadedFirst } else { LossKind::Slower };
            let evidence = format!("{}, {} with {name}", self.seen(cell), self.seen(one));
            add(kind, &cell.column, Some(cell.load), evidence);
        }
        for pair in self.cells.windows(2) {
            let ([low, high], Some(q)) = (pair, self.quantile) else { continue };
            let (true, Some(a), true, Some(b)) = (low.sound(), low.at(q), high.sound(), high.at(q))
            else {
                continue;
            };
            let (Some(least), Some(most)) = (a.low_seconds, b.high_seconds) else { continue };
            if low.column == high.column && high.load > low.load && most < 0.9 * least {
                let evidence = format!(
                    "{} falls to {} at more load: requests are held back to fill batches, or the machine was disturbed",
                    self.seen(low),
                    self.seen(high)
                );
                add(LossKind::HeldAtLowLoad, &low.column, Some(low.load), evidence);
            }
        }
        findings
    }
}

#[cfg(test)]
mod tests;
