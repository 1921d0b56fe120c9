//! What binds each node, by the memory level that holds its data.

use super::{ModelReport, OpReport};
use crate::roofline::{Hierarchy, LevelPlacement};
use rooflens_ground::units::{Bytes, Flops};
use serde::{Deserialize, Serialize};

/// The nodes that one ceiling binds when a node's data lie in the innermost level that holds all of
/// them, as after a run that left them there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LevelReport {
    /// `compute`, or a memory level such as `L2` or `DRAM`.
    pub ceiling: String,
    /// Positions in `ops`.
    pub nodes: Vec<usize>,
    /// Σ max(F/π, Q/β) of these nodes, β the bandwidth of the level that holds the node's data.
    pub seconds: f64,
}

/// A node under the ceiling of the level that holds what it reads and writes; `None` for one that
/// does nothing.
pub fn op_level(hierarchy: &Hierarchy, op: &OpReport) -> Option<LevelPlacement> {
    let work = Flops(op.operations().unwrap_or(0) as f64);
    let bytes = Bytes(op.bytes().unwrap_or(0) as f64);
    let placed = || hierarchy.place(work, bytes, bytes);
    (work.get() > 0.0 || bytes.get() > 0.0).then(placed)
}

/// All nodes by what binds them: compute first, then memory from the fastest level outwards.
pub(super) fn levels(hierarchy: &Hierarchy, report: &ModelReport) -> Vec<LevelReport> {
    let names = hierarchy.levels.iter().map(|l| l.name.name());
    let empty = |name: &str| LevelReport { ceiling: name.into(), nodes: Vec::new(), seconds: 0.0 };
    let mut all: Vec<LevelReport> = ["compute"].into_iter().chain(names).map(empty).collect();
    for (i, op) in report.ops.iter().enumerate().filter(|(_, op)| op.depth == 0) {
        let Some(placed) = op_level(hierarchy, op) else { continue };
        if let Some(level) = all.iter_mut().find(|l| l.ceiling == placed.bound()) {
            level.nodes.push(i);
            level.seconds += placed.placement.time.get();
        }
    }
    all.retain(|l| !l.nodes.is_empty());
    all
}
