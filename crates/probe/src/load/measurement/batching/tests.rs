//! Studies made by hand, of known outcome.

use super::*;
use crate::schema::{BATCHING, FindingPart, PercentilePart, PlateauPart};

fn column(batch: i64) -> Column {
    Column { batch, server: None }
}

fn cell(batch: i64, load: f64, p99: f64, verdict: Verdict) -> CellPart {
    let part = |quantile: f64| PercentilePart {
        quantile,
        seconds: Some(p99),
        low_seconds: Some(0.95 * p99),
        high_seconds: Some(1.05 * p99),
        supported: true,
        effective_samples: 100.0,
    };
    CellPart {
        column: column(batch),
        load,
        wanted_inferences_per_second: 1000.0 * load,
        inferences_per_second: 1000.0 * load,
        gather_seconds: (batch - 1) as f64 / (1000.0 * load),
        percentiles: vec![part(0.5), part(0.99)],
        executed_batch_mean: None,
        verdict,
        findings: Vec::new(),
        overloaded: verdict == Verdict::Overloaded,
        against: Against::Undecided,
        due: 1000,
        lost: 0,
    }
}

fn study(cells: Vec<CellPart>) -> BatchingFile {
    let plateau = |batch: i64, rate: f64| PlateauPart {
        column: column(batch),
        in_flight: 16,
        inferences_per_second: rate,
        executed_batch_mean: None,
        verdict: Verdict::Valid,
    };
    let mut file = BatchingFile {
        schema: BATCHING.into(),
        reference: column(1),
        plateaus: vec![plateau(1, 500.0), plateau(2, 1000.0), plateau(4, 450.0)],
        cells,
        ..BatchingFile::default()
    };
    file.judge();
    file
}

#[test]
fn losses_are_named() {
    let file = study(vec![
        cell(1, 0.5, 0.010, Verdict::Valid),
        cell(1, 0.9, 0.5, Verdict::Overloaded),
        cell(2, 0.5, 0.008, Verdict::Valid),
        cell(2, 0.9, 0.020, Verdict::Valid),
        cell(4, 0.5, 0.030, Verdict::Valid),
        cell(4, 0.9, 0.020, Verdict::Valid),
    ]);
    assert_eq!(file.quantile, Some(0.99));
    let kinds: Vec<(LossKind, i64)> =
        file.findings.iter().map(|f| (f.kind, f.column.batch)).collect();
    assert_eq!(
        kinds,
        [
            (LossKind::ThroughputFalls, 4),
            (LossKind::ThroughputBelowReference, 4),
            (LossKind::Slower, 4),
            (LossKind::HeldAtLowLoad, 4),
        ],
        "batch 2 wins where one alone is overloaded, and is as fast elsewhere"
    );
    assert_eq!(
        file.summary,
        [
            "highest throughput with batch 2: 1000 inferences/s, 2.00 times batch 1",
            "at 500 inferences/s (50 % load) batching hurts with batch 4: p99 is 30.0 ms and 5.94 ms to collect with batch 4, against 10.0 ms with batch 1; no difference with batch 2",
            "at 900 inferences/s (90 % load) batching helps from batch 2 on: p99 is 20.0 ms and 1.10 ms to collect with batch 2; 20.0 ms and 3.30 ms to collect with batch 4, where batch 1 is overloaded",
        ]
    );
}

/// What is late, drifting, or within the other's interval decides nothing.
#[test]
fn doubt_is_not_a_loss() {
    let file = study(vec![
        cell(1, 0.5, 0.010, Verdict::Valid),
        cell(2, 0.5, 0.030, Verdict::NotStationary),
        cell(4, 0.5, 0.0043, Verdict::Valid),
    ]);
    let against: Vec<Against> = file.cells.iter().map(|c| c.against).collect();
    // 4.3 ms and 5.94 ms to gather are 10.2 ms.
    assert_eq!(against, [Against::Reference, Against::Undecided, Against::Same]);
    assert!(file.findings.iter().all(|f| f.load.is_none()), "{:?}", file.findings);

    let mut wide = cell(2, 0.5, 0.020, Verdict::Valid);
    wide.percentiles[1].low_seconds = Some(0.005);
    wide.percentiles[1].high_seconds = None;
    let file = study(vec![cell(1, 0.5, 0.010, Verdict::Valid), wide.clone()]);
    assert_eq!(file.cells[1].against, Against::Undecided);

    // A late client makes times longer: the batch is slower still.
    let mut late = cell(1, 0.5, 0.010, Verdict::ClientLimited);
    let slow = cell(2, 0.5, 0.030, Verdict::Valid);
    let file = study(vec![late.clone(), slow.clone()]);
    assert_eq!(file.cells[1].against, Against::Worse);
    assert!(file.summary[1].ends_with("against at most 10.0 ms with batch 1"), "{file:?}");
    let file = study(vec![slow, CellPart { column: column(2), ..late.clone() }]);
    assert_eq!(file.cells[1].against, Against::Undecided, "what is slow may be the client");
    late.findings
        .push(FindingPart { verdict: Verdict::NotStationary, evidence: "it drifts".into() });
    let file = study(vec![late, cell(2, 0.5, 0.030, Verdict::Valid)]);
    assert_eq!(file.cells[1].against, Against::Undecided);

    // A percentile that falls on requests without an answer is worse than any time.
    wide.percentiles[1] =
        PercentilePart { seconds: None, low_seconds: Some(0.5), ..wide.percentiles[1].clone() };
    let file = study(vec![cell(1, 0.5, 0.010, Verdict::Valid), wide]);
    assert_eq!(file.cells[1].against, Against::Worse);
    assert!(file.findings.last().unwrap().evidence.starts_with("never and"), "{file:?}");
}
