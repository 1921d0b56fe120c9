//! `rooflens`: what tensors of `PyTorch` can be asked and ONNX cannot: views whose axes depend on sizes, writes into
//! tensors, indexing by several tensors, and pools of a given output.

use super::Class::{Movement, Pooling, View};
use super::context::{OpCx, OpError, invalid};
use super::shape::{axes, axis};
use super::{Effect, Op};
use crate::dim::Dim;
use crate::ir::{DType, OWN_DOMAIN, Shape};

#[rustfmt::skip]
pub(super) const OPS: &[Op] = &[
    Op::new("AdaptiveAveragePool", Pooling, adaptive_average).domain(OWN_DOMAIN).inputs(2, 2).formula("|y|·∏⌈in/out⌉").weights("-c"),
    Op::new("AdaptiveMaxPool", Pooling, adaptive_max).domain(OWN_DOMAIN).inputs(2, 2).formula("|y|·(∏⌈in/out⌉ − 1) comparisons").weights("-c"),
    Op::new("Columns", Movement, columns).domain(OWN_DOMAIN).inputs(1, 1).formula("0"),
    Op::new("Index", Movement, index).domain(OWN_DOMAIN).inputs(2, usize::MAX).formula("0; reads only what it takes"),
    Op::new("Overwrite", Movement, overwrite).domain(OWN_DOMAIN).inputs(2, 2).formula("0; reads and writes only the update"),
    Op::new("Squeeze", View, squeeze).domain(OWN_DOMAIN).inputs(1, 1),
    Op::new("Transpose", Movement, transpose).domain(OWN_DOMAIN).inputs(1, 1),
    Op::new("Unfold", Movement, unfold).domain(OWN_DOMAIN).inputs(1, 1).formula("0"),
    Op::new("View", View, view).domain(OWN_DOMAIN).inputs(2, 2).weights("-c"),
];

/// The output of a pool over `x: [N, C, …]` to the sizes in input 1, and the elements of its largest window.
fn adapted(cx: &OpCx<'_>) -> Result<(Shape, Dim), OpError> {
    let (shape, sizes) = (cx.shape(0)?, cx.ints(1)?);
    if shape.len() != sizes.len() + 2 {
        return invalid!("{} sizes for an input of rank {}", sizes.len(), shape.len());
    }
    if sizes.iter().any(Dim::is_zero) {
        return invalid!("an output of size 0");
    }
    let windows = shape[2..].iter().zip(&sizes).map(|(input, output)| input.ceil_div(output));
    let taps: Dim = windows.collect::<Vec<Dim>>().iter().product();
    Ok((shape[..2].iter().cloned().chain(sizes).collect(), taps))
}

fn adaptive_average(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (shape, taps) = adapted(cx)?;
    let elements: Dim = shape.iter().product();
    Ok(Effect::one(cx.like(shape)).other(elements * taps).reads(1, Dim::ZERO))
}

fn adaptive_max(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (shape, taps) = adapted(cx)?;
    let elements: Dim = shape.iter().product();
    let effect = Effect::one(cx.like(shape)).comparisons(elements * (taps - Dim::ONE));
    Ok(effect.reads(1, Dim::ZERO))
}

/// Windows of an image `[N, C, h, w]` as columns `[N, C·∏kernel, windows]`.
fn columns(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let [n, c, spatial @ ..] = &cx.shape(0)?[..] else {
        return invalid!("windows of rank {}", cx.rank(0)?);
    };
    let list = |name: &str, default: i64| -> Result<Vec<i64>, OpError> {
        Ok(cx.attrs().ints(name)?.map_or_else(|| vec![default; spatial.len()], <[i64]>::to_vec))
    };
    let (kernel, pads) = (list("kernel_shape", 1)?, list("pads", 0)?);
    let (strides, dilations) = (list("strides", 1)?, list("dilations", 1)?);
    let mut windows = Dim::ONE;
    let mut taps = Dim::ONE;
    for (at, size) in spatial.iter().enumerate() {
        let get = |list: &[i64], default: i64| list.get(at).copied().unwrap_or(default);
        let (k, p, s, d) = (get(&kernel, 1), get(&pads, 0), get(&strides, 1), get(&dilations, 1));
        if k < 1 || s < 1 || d < 1 || p < 0 {
            return invalid!("a window of {k} with stride {s}, dilation {d} and padding {p}");
        }
        let reach = Dim::from(d) * Dim::from(k - 1) + Dim::ONE;
        let free = size.clone() + Dim::from(p) * Dim::from(2) - reach;
        windows = windows * (free.floor_div(&Dim::from(s)) + Dim::ONE);
        taps = taps * Dim::from(k);
    }
    Ok(Effect::one(cx.like(vec![n.clone(), c.clone() * taps, windows])))
}

/// `x` at the places that the other inputs name, whole numbers or truths, one after the other for `axes`. Where
/// the axes lie side by side, the result has what is taken in their place, and else in front.
fn index(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let x = cx.shape(0)?.clone();
    let starts = axes(cx.attrs().ints("axes")?.unwrap_or(&[]), x.len())?;
    if starts.len() + 1 != cx.inputs.len() {
        return invalid!("{} places for {} axes", cx.inputs.len() - 1, starts.len());
    }
    let mut taken = vec![false; x.len()];
    let mut wide: Vec<Shape> = Vec::new();
    for (at, start) in starts.iter().enumerate() {
        let place = cx.shape(at + 1)?;
        let truths = cx.dtype(at + 1) == Some(DType::Bool);
        let covered = if truths { place.len() } else { 1 };
        let Some(range) = taken.get_mut(*start..start + covered) else {
            return invalid!("a mask of rank {} at axis {start} of {}", place.len(), x.len());
        };
        range.fill(true);
        if truths {
            let most: Dim = place.iter().product();
            wide.push(vec![(cx.fresh)("chosen", Some(most))]);
        } else {
            wide.push(place.clone());
        }
    }
    let rank = wide.iter().map(Vec::len).max().unwrap_or(0);
    let mut broadcast: Shape = vec![Dim::ONE; rank];
    for shape in &wide {
        for (size, own) in broadcast[rank - shape.len()..].iter_mut().zip(shape) {
            if size.is_one() {
                *size = own.clone();
            } else if !own.is_one() {
                cx.require_broadcast(size, own);
            }
        }
    }
    let first = starts.first().copied().unwrap_or(0);
    let last = taken.iter().rposition(|taken| *taken).unwrap_or(first);
    let together = taken.get(first..=last).is_some_and(|all| all.iter().all(|taken| *taken));
    let at = if together { first } else { 0 };
    let mut output: Shape =
        x.iter().zip(&taken).filter(|(_, taken)| !**taken).map(|(size, _)| size.clone()).collect();
    let at = at.min(output.len());
    output.splice(at..at, broadcast);
    let made = cx.like(output);
    let bytes = made.bytes().unwrap_or_default();
    Ok(Effect::one(made).reads(0, bytes))
}

/// `x` in which the second input stands somewhere.
fn overwrite(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let update = cx.input(1)?.bytes();
    let effect = Effect::one(cx.like(cx.shape(0)?.clone())).reads(0, Dim::ZERO);
    Ok(match update {
        Some(bytes) => effect.writes(bytes),
        None => effect,
    })
}

/// Without those of `axes` that have one element.
fn squeeze(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let gone = axes(cx.attrs().ints("axes")?.unwrap_or(&[]), shape.len())?;
    let stays = |at: usize| !gone.contains(&at) || !shape[at].is_one();
    cx.view((0..shape.len()).filter(|at| stays(*at)).map(|at| shape[at].clone()).collect::<Shape>())
}

/// With two axes exchanged.
fn transpose(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut shape = cx.shape(0)?.clone();
    let at = axes(cx.attrs().ints("axes")?.unwrap_or(&[]), shape.len())?;
    let [a, b] = at[..] else { return invalid!("{} axes are exchanged", at.len()) };
    shape.swap(a, b);
    Ok(Effect::one(cx.like(shape)))
}

/// Windows of `size` along `axis`, each `step` further, as a last axis.
fn unfold(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut shape = cx.shape(0)?.clone();
    let at = axis(cx.attrs().int_or("axis", 0)?, shape.len())?;
    let (size, step) = (cx.attrs().int_or("size", 1)?, cx.attrs().int_or("step", 1)?);
    if size < 1 || step < 1 {
        return invalid!("windows of {size}, each {step} further");
    }
    let free = shape[at].clone() - Dim::from(size);
    shape[at] = free.floor_div(&Dim::from(step)) + Dim::ONE;
    shape.push(Dim::from(size));
    Ok(Effect::one(cx.like(shape)))
}

/// Elements of `x` under the shape in input 1.
fn view(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    Ok(Effect::one(cx.like(cx.ints(1)?)).free(2))
}
