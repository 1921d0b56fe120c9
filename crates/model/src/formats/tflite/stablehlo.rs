//! What is particular to operators of `StableHLO` that a file may hold.

use super::site::{Made, Site};
use crate::formats::draft::Op;

/// x, places, and what is written there.
pub(super) fn scatter(site: &mut Site<'_, '_, '_>) -> Made {
    let (x, places, updates) = (site.input(0)?, site.input(1)?, site.input(2)?);
    let op = Op::own("UpdateSlice");
    Ok(Some(vec![site.node(op, &[Some(x), Some(updates), Some(places)])?]))
}

/// A state, which comes out as it went in, and random bits.
pub(super) fn random_bits(site: &mut Site<'_, '_, '_>) -> Made {
    let (state, Some(sizes)) = (site.input(0)?, super::contraction::stated(site, 1)) else {
        return Ok(None);
    };
    let sizes = site.draft.ints(&sizes)?;
    let empty = site.step("shape", Op::onnx("ConstantOfShape"), &[Some(sizes)])?;
    let bits = site.node(Op::onnx("RandomUniformLike"), &[Some(empty)])?;
    let next = site.step("state", Op::onnx("Identity"), &[Some(state)])?;
    Ok(Some(vec![next, bits]))
}
