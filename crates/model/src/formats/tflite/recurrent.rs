//! Recurrences: their weights are inputs by position, of which many may be absent.

use super::site::{Made, Site};
use crate::formats::draft::Op;
use crate::ir::ValueId;

impl Site<'_, '_, '_> {
    /// The inputs at these ports, where they are there.
    fn ports(
        &mut self,
        ports: &[usize],
    ) -> Result<Vec<Option<ValueId>>, crate::formats::LoadError> {
        ports.iter().map(|port| self.optional(*port)).collect()
    }

    fn recurrence(&self, op: &str, weights: usize) -> Op {
        let op = Op::own(op);
        if self.is_hybrid(0, weights) { op.with("hybrid", true) } else { op }
    }

    /// Forward and backward results, side by side where the option says so.
    fn directions(&mut self, forward: ValueId, backward: ValueId, merged: bool) -> Made {
        if !merged {
            return Ok(Some(vec![forward, backward]));
        }
        let join = Op::onnx("Concat").with("axis", -1_i64);
        Ok(Some(vec![self.step("merged", join, &[Some(forward), Some(backward)])?]))
    }
}

/// The states at ports 18 and 19 are kept between calls, and begin as zeros: their contents decide nothing.
pub(super) fn lstm_sequence(site: &mut Site<'_, '_, '_>) -> Made {
    let mut inputs = site.ports(&(0..18).collect::<Vec<_>>())?;
    inputs.extend([None, None]);
    inputs.extend(site.ports(&[20, 21, 22, 23])?);
    Ok(Some(vec![site.node(site.recurrence("SequenceLSTM", 2), &inputs)?]))
}

/// One step: all gates in one matrix, or as in a sequence.
pub(super) fn lstm(site: &mut Site<'_, '_, '_>) -> Made {
    const BASIC: i8 = 1;
    if site.option(3, 0_i8)? != BASIC && site.op.inputs.len() > 5 {
        return lstm_sequence(site);
    }
    let inputs = site.ports(&[0, 1, 2, 3, 4])?;
    let outputs = site.op.outputs.len().clamp(1, 4);
    site.nodes(site.recurrence("LSTMStep", 2), &inputs, outputs).map(Some)
}

/// Weights forward at ports 1 to 17, backward at 18 to 34, states at 35 to 38, and a second input with weights of its
/// own, which is not read.
pub(super) fn lstm_both_ways(site: &mut Site<'_, '_, '_>) -> Made {
    if site.op.inputs.len() > 39 && site.op.inputs[39..].iter().any(Option::is_some) {
        return Ok(None);
    }
    let mut made = Vec::new();
    for first in [1, 18] {
        let ports: Vec<usize> = std::iter::once(0).chain(first..first + 17).collect();
        let inputs = site.ports(&ports)?;
        made.push(site.node(site.recurrence("SequenceLSTM", 2), &inputs)?);
    }
    let merged = site.flag(3)?;
    site.directions(made[0], made[1], merged)
}

pub(super) fn rnn(site: &mut Site<'_, '_, '_>) -> Made {
    let inputs = site.ports(&[0, 1, 2, 3])?;
    Ok(Some(vec![site.node(site.recurrence("SequenceRNN", 1), &inputs)?]))
}

/// Weights, biases and state forward at ports 1 to 4, backward at 5 to 8; a second input is not read.
pub(super) fn rnn_both_ways(site: &mut Site<'_, '_, '_>) -> Made {
    if site.op.inputs.len() > 9 && site.op.inputs[9..].iter().any(Option::is_some) {
        return Ok(None);
    }
    let mut made = Vec::new();
    for first in [1, 5] {
        let inputs = site.ports(&[0, first, first + 1, first + 2])?;
        made.push(site.node(site.recurrence("SequenceRNN", 1), &inputs)?);
    }
    let merged = site.flag(2)?;
    site.directions(made[0], made[1], merged)
}

pub(super) fn gru_sequence(site: &mut Site<'_, '_, '_>) -> Made {
    let inputs = site.ports(&[0, 1, 2, 3, 4, 5])?;
    site.nodes(site.recurrence("SequenceGRU", 2), &inputs, 2).map(Some)
}

pub(super) fn svdf(site: &mut Site<'_, '_, '_>) -> Made {
    let inputs = site.ports(&[0, 1, 2, 3])?;
    let op = site.recurrence("SVDF", 1).with("rank", i64::from(site.option(0, 1_i32)?));
    let y = site.node(op, &inputs)?;
    Ok(Some(vec![site.activated(y, 1)?]))
}
