//! What binds each node, by the memory level that holds its data.

use super::{LevelCeiling, LevelReport, ModelReport, OpReport};
use crate::roofline::{Hierarchy, LevelPlacement};
use rooflens_ground::units::{Bytes, Flops};

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
    let levels = hierarchy.levels.iter().map(|l| LevelCeiling::from(l.name.name()));
    let empty = |ceiling| LevelReport { ceiling, nodes: Vec::new(), seconds: 0.0 };
    let ceilings = std::iter::once(LevelCeiling::Compute).chain(levels);
    let mut all: Vec<LevelReport> = ceilings.map(empty).collect();
    for (i, op) in report.ops.iter().enumerate().filter(|(_, op)| op.depth == 0) {
        let Some(placed) = op_level(hierarchy, op) else { continue };
        if let Some(level) = all.iter_mut().find(|l| l.ceiling.name() == placed.bound()) {
            level.nodes.push(i);
            level.seconds += placed.placement.time.get();
        }
    }
    all.retain(|l| !l.nodes.is_empty());
    all
}
