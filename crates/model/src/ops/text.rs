//! Operators on strings. Their work depends on the texts and is not arithmetic: zero FLOPs.

use super::Class::Movement;
use super::context::{OpCx, OpError, invalid};
use super::shape::broadcast;
use super::{Effect, Op};
use crate::dim::Dim;
use crate::ir::{Attr, DType, TensorInfo};

#[rustfmt::skip]
pub(super) const OPS: &[Op] = &[
    Op::new("RegexFullMatch", Movement, regex).inputs(1, 1),
    Op::new("StringConcat", Movement, concat).inputs(2, 2),
    Op::new("StringNormalizer", Movement, normalizer).inputs(1, 1),
    Op::new("StringSplit", Movement, split).inputs(1, 1),
    Op::new("TfIdfVectorizer", Movement, tf_idf).inputs(1, 1).formula("|y|"),
];

fn strings(shape: impl Into<crate::ir::Shape>) -> TensorInfo {
    TensorInfo::new(Some(DType::String), shape)
}

fn regex(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    Ok(Effect::one(TensorInfo::new(Some(DType::Bool), cx.shape(0)?.clone())))
}

fn concat(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = broadcast(cx, [cx.shape(0)?.as_slice(), cx.shape(1)?.as_slice()])?;
    Ok(Effect::one(strings(shape)))
}

/// `[C]` or `[1, C]`; stop words drop out.
fn normalizer(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut shape = cx.shape(0)?.clone();
    let Some(last) = shape.last_mut() else { return invalid!("a single string") };
    if let Some(Attr::Strs(stops)) = cx.attrs().get("stopwords") {
        if !stops.is_empty() {
            // Where every word drops out, one empty string stays.
            *last = (cx.fresh)("words", Some(last.clone()));
            return Ok(Effect::one(strings(shape)).bound());
        }
    }
    Ok(Effect::one(strings(shape)))
}

/// The pieces, padded to the most that any string has, and how many each has.
fn split(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let limit = cx.attrs().int("maxsplit")?.map(|n| Dim::from(n) + Dim::ONE);
    let mut pieces = shape.clone();
    pieces.push((cx.fresh)("pieces", limit));
    Ok(Effect::of(vec![strings(pieces), TensorInfo::new(Some(DType::I64), shape.clone())]))
}

/// One count per n-gram of the pool.
fn tf_idf(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut shape = cx.shape(0)?.clone();
    let indexes = cx.attrs().ints("ngram_indexes")?.unwrap_or(&[]);
    let count = indexes.iter().max().map_or(0, |m| m.saturating_add(1));
    shape.pop();
    shape.push(Dim::from(count));
    let output = TensorInfo::new(Some(DType::F32), shape);
    let n = output.elements().unwrap_or_default();
    Ok(Effect::one(output).other(n).bound())
}
