//! What ONNX says in several steps or not at all: blocks of an image as a batch, diagonals, segments, tables, parts
//! of complex numbers, boxes that are found.

use crate::dim::Dim;
use crate::ir::OWN_DOMAIN;
use crate::ir::{DType, Shape, TensorInfo};
use crate::ops::Class::{Elementwise, MatrixProduct, Movement, Pooling, Reduction};
use crate::ops::context::{OpCx, OpError, invalid};
use crate::ops::shape::broadcast;
use crate::ops::{Effect, Op, Part};

#[rustfmt::skip]
pub(in crate::ops) const OPS: &[Op] = &[
    Op::new("Atan2", Elementwise, atan2).domain(OWN_DOMAIN).inputs(2, 2).formula("|y| + |y| transcendental"),
    Op::new("BatchToSpace", Movement, batch_to_space).domain(OWN_DOMAIN).inputs(3, 3).playing(Part::Map),
    Op::new("Bucketize", Elementwise, bucketize).domain(OWN_DOMAIN).inputs(1, 1).formula("|x|·⌈log2 (boundaries + 1)⌉ comparisons"),
    Op::new("ComplexAbs", Elementwise, complex_abs).domain(OWN_DOMAIN).inputs(1, 1).formula("3·|x| + |x| sqrt"),
    Op::new("DetectionPostProcess", Reduction, detections).domain(OWN_DOMAIN).inputs(3, 3).formula("≤ 14·boxes + boxes·classes·⌈log2 kept⌉ comparisons + 16·boxes·kept for overlaps").weights("--c").playing(Part::Alone),
    Op::new("Dilate", Movement, dilate).domain(OWN_DOMAIN).inputs(2, 3).weights(">c").playing(Part::Map),
    Op::new("EmbeddingSum", MatrixProduct, embedding_sum).domain(OWN_DOMAIN).inputs(5, 5).formula("2·ids·width; reads only the rows it looks up").weights("cccww"),
    Op::new("HashtableLookup", Movement, hashtable_lookup).domain(OWN_DOMAIN).inputs(3, 3).formula("a look-up a key").weights("ccw"),
    Op::new("MatrixDiag", Movement, matrix_diag).domain(OWN_DOMAIN).inputs(1, 1).playing(Part::Map),
    Op::new("MatrixSetDiag", Movement, matrix_set_diag).domain(OWN_DOMAIN).inputs(2, 2).playing(Part::Map),
    Op::new("PaddedSuppression", Reduction, suppression).domain(OWN_DOMAIN).inputs(3, 6).formula("≤ 16·boxes·kept for overlaps").weights("c").playing(Part::Alone),
    Op::new("RFFT2D", MatrixProduct, rfft2d).domain(OWN_DOMAIN).inputs(2, 2).formula("2.5·|x|·⌈log2 (h·w)⌉").weights("-c"),
    Op::new("RealPart", Movement, part).domain(OWN_DOMAIN).inputs(1, 1).playing(Part::Map),
    Op::new("ReduceWindow", Pooling, reduce_window).domain(OWN_DOMAIN).inputs(5, 5).formula("|y|·(∏k − 1)").weights("-c"),
    Op::new("SegmentReduce", Reduction, segments).domain(OWN_DOMAIN).inputs(2, 3).formula("|x|").weights("-c").playing(Part::Alone),
    Op::new("SpaceToBatch", Movement, space_to_batch).domain(OWN_DOMAIN).inputs(3, 3).playing(Part::Map),
    Op::new("TableFind", Movement, find).domain(OWN_DOMAIN).inputs(2, 2).formula("a look-up a key").weights("c"),
];

fn atan2(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let output = cx.like(broadcast(cx, [cx.shape(0)?.as_slice(), cx.shape(1)?.as_slice()])?);
    let n = output.elements().unwrap_or_default();
    Ok(Effect::one(output).other(n.clone()).transcendentals(n))
}

/// Blocks and padding at inputs 1 and 2: a size for each spatial axis, and a pair.
fn blocks(cx: &OpCx<'_>) -> Result<Vec<(Dim, Dim)>, OpError> {
    let (blocks, pads) = (cx.ints(1)?, cx.ints(2)?);
    if pads.len() != 2 * blocks.len() || cx.rank(0)? <= blocks.len() {
        return invalid!("{} blocks of rank {}", blocks.len(), cx.rank(0)?);
    }
    if let Some(block) = blocks.iter().find(|b| b.as_const().is_none_or(|b| b < 1)) {
        return invalid!("blocks of {block}");
    }
    let pads = pads.chunks(2).map(|pair| pair.iter().sum());
    Ok(blocks.into_iter().zip(pads).collect())
}

fn space_to_batch(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut shape = cx.shape(0)?.clone();
    for (i, (block, pad)) in blocks(cx)?.into_iter().enumerate() {
        let padded = shape[i + 1].clone() + pad;
        if let Some((size, block)) = padded.as_const().zip(block.as_const()) {
            if size % block != 0 {
                return invalid!("blocks of {block} do not divide {size}");
            }
        }
        shape[i + 1] = padded.floor_div(&block);
        shape[0] = shape[0].clone() * block;
    }
    Ok(Effect::one(cx.like(shape)).reads(1, Dim::ZERO).reads(2, Dim::ZERO))
}

fn batch_to_space(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut shape = cx.shape(0)?.clone();
    for (i, (block, crop)) in blocks(cx)?.into_iter().enumerate() {
        shape[0] = shape[0].floor_div(&block);
        shape[i + 1] = shape[i + 1].clone() * block - crop;
    }
    Ok(Effect::one(cx.like(shape)).reads(1, Dim::ZERO).reads(2, Dim::ZERO))
}

fn bucketize(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let steps = (Dim::from(cx.attrs().int_or("boundaries", 1)?.max(0)) + Dim::ONE).ceil_log2();
    let output = TensorInfo::new(Some(DType::I32), cx.shape(0)?.clone());
    Ok(Effect::one(output).comparisons(cx.elements(0)? * steps))
}

/// The type of the parts of complex numbers.
fn real(dtype: Option<DType>) -> Option<DType> {
    match dtype {
        Some(DType::C64) => Some(DType::F32),
        Some(DType::C128) => Some(DType::F64),
        other => other,
    }
}

fn complex_abs(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = cx.elements(0)?;
    let output = TensorInfo::new(real(cx.dtype(0)), cx.shape(0)?.clone());
    Ok(Effect::one(output).other(n.clone() * Dim::from(3)).transcendentals(n))
}

/// One of the parts of complex numbers.
fn part(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    Ok(Effect::one(TensorInfo::new(real(cx.dtype(0)), cx.shape(0)?.clone())))
}

/// Real images `[…, H, W]`, cut or padded to the lengths at input 1.
fn rfft2d(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (mut shape, lengths) = (cx.shape(0)?.clone(), cx.ints(1)?);
    let (Some(at), [height, width]) = (shape.len().checked_sub(2), &lengths[..]) else {
        return invalid!("a transform of rank {}", shape.len());
    };
    shape[at] = height.clone();
    let points: Dim = shape[..at].iter().product::<Dim>() * height.clone() * width.clone();
    shape[at + 1] = width.floor_div(&Dim::from(2)) + Dim::ONE;
    let work = points * (height.clone() * width.clone()).ceil_log2() * Dim::from(5);
    let output = TensorInfo::new(Some(DType::C64), shape);
    Ok(Effect::one(output).other(work.floor_div(&Dim::from(2))).integer(false))
}

/// Zeros between the elements of each axis: so many steps from one to the next.
fn dilate(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (shape, steps) = (cx.shape(0)?, cx.ints(1)?);
    if steps.len() != shape.len() {
        return invalid!("{} steps of rank {}", steps.len(), shape.len());
    }
    let spread = |(size, step): (&Dim, Dim)| (size.clone() - Dim::ONE) * step + Dim::ONE;
    let shape: Shape = shape.iter().zip(steps).map(spread).collect();
    Ok(Effect::one(cx.like(shape)))
}

fn matrix_diag(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut shape = cx.shape(0)?.clone();
    let Some(last) = shape.last().cloned() else { return invalid!("a single number") };
    shape.push(last);
    Ok(Effect::one(cx.like(shape)))
}

fn matrix_set_diag(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    Ok(Effect::one(cx.like(cx.shape(0)?.clone())))
}

/// Rows of x put together by their number at input 1; how many there are is input 2, or what the data say.
fn segments(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (shape, ids) = (cx.shape(0)?, cx.rank(1)?);
    let count = match cx.optional(2) {
        Some(count) => {
            let known = count.ints().and_then(|n| n.first().cloned());
            known.unwrap_or_else(|| (cx.fresh)("segments", None))
        }
        None => {
            let ids = cx.optional(1).and_then(TensorInfo::const_ints);
            match ids.and_then(|ids| ids.into_iter().max()) {
                Some(last) => Dim::from(last.max(-1)) + Dim::ONE,
                None => (cx.fresh)("segments", None),
            }
        }
    };
    let Some(rest) = shape.get(ids..) else {
        return invalid!("numbers of rank {ids} for rows of rank {}", shape.len());
    };
    let output = cx.like(std::iter::once(count).chain(rest.iter().cloned()).collect::<Shape>());
    Ok(Effect::one(output).other(cx.elements(0)?))
}

/// Keys, and what is found where there is none.
fn find(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    Ok(Effect::one(TensorInfo::new(cx.dtype(1), cx.shape(0)?.clone())))
}

/// Keys that are looked up, keys of the rows, and the rows; outputs: rows, and which were found.
fn hashtable_lookup(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (Some(keys), Some(row)) = (cx.shape(0)?.first(), cx.shape(2)?.get(1..)) else {
        return invalid!("a table without rows");
    };
    let shape: Shape = std::iter::once(keys.clone()).chain(row.iter().cloned()).collect();
    let rows = TensorInfo::new(cx.dtype(2), shape);
    let read = rows.bytes().unwrap_or_default();
    let hits = TensorInfo::new(Some(DType::U8), vec![keys.clone()]);
    Ok(Effect::of(vec![rows, hits]).reads(2, read))
}

/// 0 ids, 1 where each belongs, 2 the dense shape of these places, 3 weights, 4 the table.
fn embedding_sum(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (ids, mut shape) = (cx.elements(0)?, cx.ints(2)?);
    let Some(row) = cx.shape(4)?.get(1..) else { return invalid!("a table without rows") };
    shape.pop();
    shape.extend(row.iter().cloned());
    let output = TensorInfo::new(cx.dtype(4), shape);
    let macs = ids * row.iter().product();
    let read = cx.dtype(4).map_or(Dim::ZERO, |dtype| dtype.bytes(&macs));
    Ok(Effect::one(output).macs(macs).reads(4, read).integer(false))
}

/// A window over all axes: 2 its sizes, 3 strides, 4 dilations.
fn reduce_window(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let (window, strides, steps) = (cx.ints(2)?, cx.const_ints(3)?, cx.ints(4)?);
    let ranks = [window.len(), strides.len(), steps.len()];
    if ranks != [shape.len(); 3] || strides.iter().any(|s| *s < 1) {
        return invalid!("a window of rank {} over rank {}", window.len(), shape.len());
    }
    let place = |i: usize| {
        let extent = (window[i].clone() - Dim::ONE) * steps[i].clone() + Dim::ONE;
        (shape[i].clone() - extent).floor_div(&Dim::from(strides[i])) + Dim::ONE
    };
    let output = cx.like((0..shape.len()).map(place).collect::<Shape>());
    let n = output.elements().unwrap_or_default();
    let taps: Dim = window.iter().product();
    Ok(Effect::one(output).other(n * (taps - Dim::ONE)))
}

/// Boxes `[N, 4]`, scores `[N]`, how many are kept at most: outputs of that length, whatever is found. `soft` adds
/// the scores after suppression.
fn suppression(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let Some(boxes) = cx.shape(0)?.first() else { return invalid!("boxes without an axis") };
    let kept = cx.ints(2)?.first().cloned().ok_or(OpError::MissingInput(2))?;
    let chosen = TensorInfo::new(Some(DType::I32), vec![kept.clone()]);
    let count = TensorInfo::new(Some(DType::I32), Shape::new());
    let mut outputs = vec![chosen, count];
    if cx.attrs().flag("soft")? {
        outputs.insert(1, TensorInfo::new(cx.dtype(1), vec![kept.clone()]));
    }
    let overlaps = boxes.clone() * kept.minimum(boxes) * Dim::from(16);
    Ok(Effect::of(outputs).other(overlaps).bound())
}

/// Places `[1, N, 4]`, scores `[1, N, classes]` and anchors `[N, 4]`: at most `kept` boxes, their classes, their scores
/// and their number.
fn detections(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (places, scores) = (cx.shape(0)?, cx.shape(1)?);
    let ([batch, boxes, ..], Some(classes)) = (&places[..], scores.last()) else {
        return invalid!("places of rank {}", places.len());
    };
    let kept = Dim::from(cx.attrs().int_or("kept", 0)?.max(0));
    let list = |sizes: &[&Dim]| {
        TensorInfo::new(Some(DType::F32), sizes.iter().map(|d| (*d).clone()).collect::<Shape>())
    };
    let row = list(&[batch, &kept]);
    let four = Dim::from(4);
    let outputs = vec![list(&[batch, &kept, &four]), row.clone(), row, list(&[batch])];
    let each = batch.clone() * boxes.clone();
    let decoded = each.clone() * Dim::from(12);
    let overlaps = each.clone() * kept.clone() * Dim::from(16);
    let compared = each.clone() * classes.clone() * kept.ceil_log2().maximum(&Dim::ONE);
    Ok(Effect::of(outputs)
        .other(decoded + overlaps)
        .transcendentals(each * Dim::from(2))
        .comparisons(compared)
        .integer(false)
        .bound())
}
