//! Batch sizes against loads.

use super::{File, PercentilePart, same};
use serde::{Deserialize, Serialize};

/// The schema's name and version.
pub const BATCHING: &str = "rooflens.batching/1";

/// `batching.json`.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct BatchingFile {
    pub schema: String,
    pub tool: String,
    pub target: String,
    pub platform: String,
    pub seconds: f64,
    pub seed: u64,
    pub quantile: Option<f64>,
    pub plateaus: Vec<PlateauPart>,
    pub cells: Vec<CellPart>,
    pub findings: Vec<LossPart>,
    pub stopped: bool,
    pub notes: Vec<String>,
}

/// Inferences a second with so many requests always in flight.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct PlateauPart {
    pub batch: i64,
    pub in_flight: u64,
    pub inferences_per_second: f64,
    pub verdict: String,
}

/// A run at a batch and a load; `load` is a share of the highest plateau.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct CellPart {
    pub batch: i64,
    pub load: f64,
    pub wanted_inferences_per_second: f64,
    pub inferences_per_second: f64,
    pub gather_seconds: f64,
    pub percentiles: Vec<PercentilePart>,
    pub verdict: String,
    pub overloaded: bool,
    pub loses: bool,
    pub due: u64,
    pub lost: u64,
}

/// A place where batching does harm.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct LossPart {
    pub kind: String,
    pub batch: i64,
    pub load: Option<f64>,
    pub evidence: String,
}

/// A difference that two short runs may have by chance.
const MARGIN: f64 = 0.05;

impl CellPart {
    /// Of a run that should do `wanted` inferences a second.
    pub fn new(file: &File, load: f64, wanted: f64) -> Self {
        let batch = file.target.batch;
        let overloaded = file.verdict.findings.iter().any(|f| f.verdict == "OVERLOADED");
        Self {
            batch,
            load,
            wanted_inferences_per_second: wanted,
            inferences_per_second: file.window.inferences_per_second,
            gather_seconds: (batch - 1) as f64 / wanted,
            percentiles: file.response.percentiles.clone(),
            verdict: file.verdict.verdict.clone(),
            overloaded,
            loses: false,
            due: file.window.due,
            lost: file.window.lost,
        }
    }

    /// A percentile of the response time, where enough requests lie beyond it.
    pub fn at(&self, q: f64) -> Option<f64> {
        let all = self.percentiles.iter().filter(|p| p.supported);
        all.into_iter().find(|p| same(p.quantile, q)).and_then(|p| p.seconds)
    }
}

impl BatchingFile {
    /// Chooses the percentile that all sound cells support, and says where batching does harm.
    pub fn judge(&mut self) {
        let sound = || self.cells.iter().filter(|c| !c.overloaded);
        let all = |q: &f64| sound().next().is_some() && sound().all(|c| c.at(*q).is_some());
        self.quantile = [0.99, 0.95, 0.9, 0.5].into_iter().find(all);
        let mut findings = Vec::new();
        let single = self.plateaus.iter().find(|p| p.batch == 1).cloned();
        for pair in self.plateaus.windows(2) {
            let [before, after] = pair else { continue };
            let (a, b) = (before.inferences_per_second, after.inferences_per_second);
            if b < a * (1.0 - MARGIN) {
                findings.push(LossPart {
                    kind: "throughput-falls".into(),
                    batch: after.batch,
                    load: None,
                    evidence: format!(
                        "{b:.1} inferences/s at batch {}, {a:.1} at batch {}",
                        after.batch, before.batch
                    ),
                });
            }
        }
        for p in self.plateaus.iter().filter(|p| p.batch > 1) {
            let Some(one) = single.as_ref() else { break };
            if p.inferences_per_second < one.inferences_per_second * (1.0 - MARGIN) {
                findings.push(LossPart {
                    kind: "throughput-below-no-batching".into(),
                    batch: p.batch,
                    load: None,
                    evidence: format!(
                        "{:.1} inferences/s at most, {:.1} without batching",
                        p.inferences_per_second, one.inferences_per_second
                    ),
                });
            }
        }
        if let Some(q) = self.quantile {
            let cells = self.cells.clone();
            for cell in &mut self.cells {
                let one = cells.iter().find(|c| c.batch == 1 && super::same(c.load, cell.load));
                let Some(one) = one.filter(|_| cell.batch > 1) else { continue };
                let Some(single) = one.at(q).filter(|_| !one.overloaded) else { continue };
                let name = super::judge::name(q);
                let evidence = match cell.at(q).filter(|_| !cell.overloaded) {
                    None => format!("overloaded where no batching has {name} {}", si(single)),
                    Some(own) if own > single * (1.0 + MARGIN) => {
                        format!("{name} {}, {} without batching", si(own), si(single))
                    }
                    Some(own) if own + cell.gather_seconds > single * (1.0 + MARGIN) => format!(
                        "{name} {} and {} to gather a batch, {} without batching",
                        si(own),
                        si(cell.gather_seconds),
                        si(single)
                    ),
                    Some(_) => continue,
                };
                cell.loses = true;
                findings.push(LossPart {
                    kind: "latency-above-no-batching".into(),
                    batch: cell.batch,
                    load: Some(cell.load),
                    evidence,
                });
            }
            for pair in cells.windows(2) {
                let [low, high] = pair else { continue };
                let (Some(a), Some(b)) = (low.at(q), high.at(q)) else { continue };
                if low.batch == high.batch && high.load > low.load && b < 0.8 * a {
                    findings.push(LossPart {
                        kind: "held-at-low-load".into(),
                        batch: low.batch,
                        load: Some(low.load),
                        evidence: format!(
                            "{} {} falls to {} at more load: requests are held back to fill batches, or the machine was disturbed",
                            super::judge::name(q),
                            si(a),
                            si(b)
                        ),
                    });
                }
            }
        }
        self.findings = findings;
    }
}

fn si(seconds: f64) -> String {
    crate::units::si(seconds, "s")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(batch: i64, load: f64, p99: f64, overloaded: bool) -> CellPart {
        let part = |quantile: f64| PercentilePart {
            quantile,
            seconds: Some(p99),
            low_seconds: None,
            high_seconds: None,
            supported: true,
            effective_samples: 100.0,
        };
        CellPart {
            batch,
            load,
            wanted_inferences_per_second: 1000.0,
            inferences_per_second: 1000.0,
            gather_seconds: (batch - 1) as f64 / 1000.0,
            percentiles: vec![part(0.5), part(0.99)],
            verdict: "VALID".into(),
            overloaded,
            loses: false,
            due: 1000,
            lost: 0,
        }
    }

    #[test]
    fn losses_are_named() {
        let plateau = |batch: i64, rate: f64| PlateauPart {
            batch,
            in_flight: 16,
            inferences_per_second: rate,
            verdict: "VALID".into(),
        };
        let mut file = BatchingFile {
            schema: BATCHING.into(),
            tool: String::new(),
            target: String::new(),
            platform: String::new(),
            seconds: 1.0,
            seed: 1,
            quantile: None,
            plateaus: vec![plateau(1, 100.0), plateau(2, 150.0), plateau(4, 90.0)],
            cells: vec![
                cell(1, 0.5, 0.010, false),
                cell(1, 0.9, 0.5, true),
                cell(2, 0.5, 0.009, false),
                cell(2, 0.9, 0.020, false),
                cell(4, 0.5, 0.030, false),
                cell(4, 0.9, 0.020, false),
            ],
            findings: Vec::new(),
            stopped: false,
            notes: Vec::new(),
        };
        file.judge();
        let kinds: Vec<(&str, i64)> =
            file.findings.iter().map(|f| (f.kind.as_str(), f.batch)).collect();
        assert_eq!(
            kinds,
            [
                ("throughput-falls", 4),
                ("throughput-below-no-batching", 4),
                ("latency-above-no-batching", 4),
                ("held-at-low-load", 4),
            ],
            "batch 2 wins where one alone is overloaded, and is as fast elsewhere"
        );
        assert_eq!(file.quantile, Some(0.99));
    }
}
