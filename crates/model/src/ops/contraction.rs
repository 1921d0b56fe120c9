//! Operators that sum products: convolutions, matrix products, recurrences.

use super::Class::{Convolution, MatrixProduct, Recurrent};
use super::context::{OpCx, OpError, invalid};
use super::shape::{Window, broadcast};
use super::{Effect, Op, fast};
use crate::dim::Dim;
use crate::ir::{DType, Shape, TensorInfo};
use std::collections::{BTreeMap, BTreeSet};

const CONV: &str = "2·|y|·(Cin/g)·∏k (+ |y| bias)";

#[rustfmt::skip]
pub(super) const OPS: &[Op] = &[
    Op::new("CausalConvWithState", Convolution, causal_conv).inputs(2, 4).formula("2·|y|·k (+ |y| bias, 4·|y| SiLU)").weights("-wwc"),
    Op::new("Conv", Convolution, conv).inputs(2, 3).formula(CONV).weights("-ww"),
    Op::new("ConvInteger", Convolution, conv_integer).inputs(2, 4).formula("2·|y|·(Cin/g)·∏k integer").weights("-wss"),
    Op::new("ConvTranspose", Convolution, conv_transpose).inputs(2, 3).formula("2·|x|·(Cout/g)·∏k (+ |y| bias)").weights("-ww"),
    Op::new("Det", MatrixProduct, determinant).inputs(1, 1).formula("≈ ⅔·n³ per matrix"),
    Op::new("Einsum", MatrixProduct, einsum).inputs(1, usize::MAX).formula("2·∏ of all index extents per pair, where an index is summed").weights("w"),
    Op::new("GRU", Recurrent, gru).inputs(3, 6).formula("2·d·T·B·3H·(I+H) + pointwise").weights("-wwwcc"),
    Op::new("Gemm", MatrixProduct, gemm).inputs(2, 3).formula("2·M·N·K (+ M·N each for bias, α≠1, β≠1)").weights("-ww"),
    Op::new("LSTM", Recurrent, lstm).inputs(3, 8).formula("2·d·T·B·4H·(I+H) + pointwise").weights("-wwwcccw"),
    Op::new("MatMul", MatrixProduct, matmul).inputs(2, 2).formula("2·M·N·K per matrix").weights("-w"),
    Op::new("MatMulInteger", MatrixProduct, matmul_integer).inputs(2, 4).formula("2·M·N·K per matrix, integer").weights("-wss"),
    Op::new("QLinearConv", Convolution, qlinear_conv).inputs(8, 9).formula("2·|y|·(Cin/g)·∏k integer (+ |y| bias)").weights("-sswssssw"),
    Op::new("QLinearMatMul", MatrixProduct, qlinear_matmul).inputs(8, 8).formula("2·M·N·K per matrix, integer").weights("wsswssss"),
    Op::new("RNN", Recurrent, rnn).inputs(3, 6).formula("2·d·T·B·H·(I+H) + pointwise").weights("-wwwcc"),
];

/// `x: [N, Cin, …]`, `w: [Cout, Cin/g, …]` → `[N, Cout, …]`; taps on padding count.
fn conv(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    conv_at(cx, 0, 1, 2, cx.dtype(0))
}

fn conv_integer(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    Ok(conv_at(cx, 0, 1, usize::MAX, Some(DType::I32))?.integer(true))
}

fn qlinear_conv(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    Ok(conv_at(cx, 0, 3, 8, cx.dtype(7))?.integer(true))
}

/// A convolution of ports `x` and `w`, with a bias at `bias` where there is one.
pub(super) fn conv_at(
    cx: &OpCx<'_>,
    x: usize,
    w: usize,
    bias: usize,
    dtype: Option<DType>,
) -> Result<Effect, OpError> {
    convolve(cx, cx.shape(x)?, w, bias, dtype)
}

/// The same with channels last: `[N, …, C]`.
pub(super) fn conv_last_at(
    cx: &OpCx<'_>,
    x: usize,
    w: usize,
    bias: usize,
    dtype: Option<DType>,
) -> Result<Effect, OpError> {
    let mut input = cx.shape(x)?.clone();
    if input.len() < 3 {
        return invalid!("convolution of rank {}", input.len());
    }
    input[1..].rotate_right(1);
    let mut effect = convolve(cx, &input, w, bias, dtype)?;
    for shape in effect.outputs.iter_mut().filter_map(|o| o.shape.as_mut()) {
        shape[1..].rotate_left(1);
    }
    Ok(effect)
}

fn convolve(
    cx: &OpCx<'_>,
    input: &Shape,
    w: usize,
    bias: usize,
    dtype: Option<DType>,
) -> Result<Effect, OpError> {
    let weight = cx.shape(w)?;
    let ([n, channels, spatial @ ..], [out_channels, per_group, kernel @ ..]) =
        (&input[..], &weight[..])
    else {
        return invalid!("convolution of rank {} by rank {}", input.len(), weight.len());
    };
    // Some formats state no number of groups: it is as many as the channels have of those of a filter.
    let expected = match cx.attrs().int_or("group", 1)? {
        0 => channels.floor_div(per_group) * per_group.clone(),
        group => per_group.clone() * Dim::from(group),
    };
    if expected.as_const().zip(channels.as_const()).is_some_and(|(a, b)| a != b) {
        return invalid!("input has {channels} channels, weights expect {expected}");
    }
    let window = Window::read(cx, kernel.to_vec())?;
    let mut shape = vec![n.clone(), out_channels.clone()];
    let places = window.output(spatial)?;
    let met = window.valid_taps(spatial, &places);
    let met = met.map(|m| m * n.clone() * out_channels.clone() * per_group.clone());
    shape.extend(places);
    let output = TensorInfo::new(dtype, shape);
    let elements = output.elements().unwrap_or_default();
    let taps: Dim = per_group.clone() * kernel.iter().product();
    let biased = cx.optional(bias).is_some();
    let added = if biased { elements.clone() } else { Dim::ZERO };
    let effect = Effect::one(output).macs(elements * taps).effective(met).other(added);
    Ok(effect.fast(fast_shares(&window)))
}

/// What fast algorithms leave of a convolution's products, on floats and on integers.
fn fast_shares(window: &Window) -> [fast::Share; 2] {
    [false, true].map(|integer| fast::convolution(&window.kernel, &window.strides, integer))
}

/// `x: [N, Cin, …]`, `w: [Cin, Cout/g, …]` → `[N, Cout, …]`, as a scatter: what `pads` crops
/// has been computed.
fn conv_transpose(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    conv_transpose_at(cx, 2, None)
}

/// Padding is an input, `[begins…, ends…]`, and the bias follows it.
pub(super) fn conv_transpose_padded(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let pads = if cx.optional(2).is_some() { cx.ints(2)? } else { Vec::new() };
    Ok(conv_transpose_at(cx, 3, Some(&pads))?.reads(2, Dim::ZERO))
}

fn conv_transpose_at(cx: &OpCx<'_>, bias: usize, pads: Option<&[Dim]>) -> Result<Effect, OpError> {
    let (input, weight) = (cx.shape(0)?, cx.shape(1)?);
    let ([n, _, spatial @ ..], [_, per_group, kernel @ ..]) = (&input[..], &weight[..]) else {
        return invalid!("convolution of rank {} by rank {}", input.len(), weight.len());
    };
    let group = Dim::from(cx.attrs().int_or("group", 1)?);
    let window = Window::read(cx, kernel.to_vec())?;
    if spatial.len() != kernel.len() {
        return invalid!("{} spatial axes, kernel has {}", spatial.len(), kernel.len());
    }
    let extra = cx.attrs().ints("output_padding")?.unwrap_or(&[]);
    let mut shape = vec![n.clone(), per_group.clone() * group];
    match cx.attrs().dims("output_shape")? {
        Some(given) if given.len() >= spatial.len() => {
            shape.extend_from_slice(&given[given.len() - spatial.len()..]);
        }
        Some(_) => return invalid!("`output_shape` has too few entries"),
        None => {
            for (i, size) in spatial.iter().enumerate() {
                let stride = Dim::from(window.strides[i]);
                if window.auto_pad().starts_with("SAME") {
                    shape.push(size.clone() * stride);
                    continue;
                }
                let extent = (kernel[i].clone() - Dim::ONE) * Dim::from(window.dilations[i]);
                let grown = (size.clone() - Dim::ONE) * stride + extent + Dim::ONE;
                let pad = match pads {
                    Some(pads) => {
                        [i, i + spatial.len()].iter().filter_map(|at| pads.get(*at)).sum()
                    }
                    None if window.auto_pad() == "VALID" => Dim::ZERO,
                    None => Dim::from(window.padding(i)),
                };
                shape.push(grown + Dim::from(extra.get(i).copied().unwrap_or(0)) - pad);
            }
        }
    }
    let output = cx.like(shape);
    let elements = output.elements().unwrap_or_default();
    let taps: Dim = per_group.clone() * kernel.iter().product();
    let biased = cx.optional(bias).is_some();
    let added = if biased { elements } else { Dim::ZERO };
    let effect = Effect::one(output).macs(cx.elements(0)? * taps).other(added);
    // Each phase of the stride is a convolution without one.
    Ok(effect.fast(fast_shares(&window)))
}

/// Opset 27. `x: [B, C, L]`, `w: [C, 1, k]`; the state holds the last k − 1 positions.
fn causal_conv(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (shape, weight) = (cx.shape(0)?, cx.shape(1)?);
    let ([batch, channels, _], Some(taps)) = (&shape[..], weight.last()) else {
        return invalid!("a causal convolution of rank {}", shape.len());
    };
    let n = cx.elements(0)?;
    let state = vec![batch.clone(), channels.clone(), taps.clone() - Dim::ONE];
    let silu = cx.attrs().str("activation")?.is_some_and(|a| a != "none");
    let (each, t) = if silu { (3, n.clone()) } else { (0, Dim::ZERO) };
    let biased = u32::from(cx.optional(2).is_some());
    Ok(Effect::of(vec![cx.like(shape.clone()), cx.like(state)])
        .macs(n.clone() * taps.clone())
        .other(n * Dim::from(each + biased))
        .transcendentals(t))
}

/// LU decomposition.
fn determinant(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let [batch @ .., n, _] = &shape[..] else {
        return invalid!("a determinant of rank {}", shape.len());
    };
    let cubes: Dim = batch.iter().product::<Dim>() * n.pow(3) * Dim::from(2);
    Ok(Effect::one(cx.like(batch.to_vec())).other(cubes.floor_div(&Dim::from(3))))
}

/// `[.., M, K] × [.., K, N] → [.., M, N]`; a vector is a matrix whose extra axis is dropped.
fn matmul(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    matmul_at(cx, 0, 1, cx.dtype(0))
}

fn matmul_integer(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    Ok(matmul_at(cx, 0, 1, Some(DType::I32))?.integer(true))
}

fn qlinear_matmul(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    Ok(matmul_at(cx, 0, 3, cx.dtype(7))?.integer(true))
}

/// The product of the matrices at ports `a` and `b`.
pub(super) fn matmul_at(
    cx: &OpCx<'_>,
    a: usize,
    b: usize,
    dtype: Option<DType>,
) -> Result<Effect, OpError> {
    product(cx, cx.shape(a)?.clone(), cx.shape(b)?.clone(), dtype)
}

/// The product of matrices of these shapes.
pub(super) fn product(
    cx: &OpCx<'_>,
    mut left: Shape,
    mut right: Shape,
    dtype: Option<DType>,
) -> Result<Effect, OpError> {
    if left.is_empty() || right.is_empty() {
        return invalid!("a matrix product needs at least vectors");
    }
    let (left_vector, right_vector) = (left.len() == 1, right.len() == 1);
    if left_vector {
        left.insert(0, Dim::ONE);
    }
    if right_vector {
        right.push(Dim::ONE);
    }
    let (m, k) = (left[left.len() - 2].clone(), left[left.len() - 1].clone());
    let (k2, n) = (right[right.len() - 2].clone(), right[right.len() - 1].clone());
    if k.as_const().zip(k2.as_const()).is_some_and(|(a, b)| a != b) {
        return invalid!("inner sizes {k} and {k2} differ");
    }
    cx.require_equal(&k, &k2);
    // A number says more than a symbol that must equal it.
    let k = if k.as_const().is_some() { k } else { k2 };
    let batch = broadcast(cx, [&left[..left.len() - 2], &right[..right.len() - 2]])?;
    let count: Dim = batch.iter().product();
    let mut shape = batch;
    if !left_vector {
        shape.push(m.clone());
    }
    if !right_vector {
        shape.push(n.clone());
    }
    Ok(Effect::one(TensorInfo::new(dtype, shape)).macs(count * m * n * k))
}

/// `α·A'·B' + β·C`.
pub(super) fn gemm(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (a, b) = (cx.shape(0)?, cx.shape(1)?);
    let ([a0, a1], [b0, b1]) = (&a[..], &b[..]) else {
        return invalid!("Gemm takes matrices, got ranks {} and {}", a.len(), b.len());
    };
    let (m, k) = if cx.attrs().flag("transA")? { (a1, a0) } else { (a0, a1) };
    let (k2, n) = if cx.attrs().flag("transB")? { (b1, b0) } else { (b0, b1) };
    if k.as_const().zip(k2.as_const()).is_some_and(|(a, b)| a != b) {
        return invalid!("inner sizes {k} and {k2} differ");
    }
    cx.require_equal(k, k2);
    let k = if k.as_const().is_some() { k } else { k2 };
    let mn = m.clone() * n.clone();
    let scaled = |name: &str| -> Result<bool, OpError> {
        Ok(cx.attrs().float(name)?.is_some_and(|v| (v - 1.0).abs() > f32::EPSILON))
    };
    let biased = cx.optional(2).is_some();
    let extra = [biased, scaled("alpha")?, biased && scaled("beta")?];
    let extra = extra.iter().filter(|x| **x).count();
    Ok(Effect::one(cx.like(vec![m.clone(), n.clone()]))
        .macs(mn.clone() * k.clone())
        .other(mn * Dim::from(extra)))
}

/// Pairwise from the left: a pair costs the product of all extents it ranges over, as MACs when
/// some index is summed away and as multiplications when none is.
fn einsum(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let equation: String = cx
        .attrs()
        .str("equation")?
        .ok_or_else(|| crate::ir::AttrError::Missing("equation".into()))?
        .chars()
        .filter(|c| !c.is_whitespace())
        .collect();
    let (inputs, output) = match equation.split_once("->") {
        Some((inputs, output)) => (inputs, Some(output.to_owned())),
        None => (equation.as_str(), None),
    };
    let terms: Vec<&str> = inputs.split(',').collect();
    if terms.len() != cx.inputs.len() {
        return invalid!("`{equation}` names {} operands, got {}", terms.len(), cx.inputs.len());
    }
    let (extents, operands) = labelled(cx, &terms)?;
    let output = match output {
        Some(text) => {
            let ellipsis = extents.keys().filter(|l| l.starts_with('.')).count();
            expand_labels(&text, text.replace("...", "").chars().count() + ellipsis)?
        }
        None => implicit_output(&operands),
    };
    if let Some(label) = output.iter().find(|l| !extents.contains_key(*l)) {
        return invalid!("output index `{label}` is in no operand");
    }
    let (macs, other) = pairwise(&extents, &operands, &output);
    let shape: Shape = output.iter().filter_map(|l| extents.get(l).cloned()).collect();
    Ok(Effect::one(cx.like(shape)).macs(macs).other(other))
}

/// Sizes by label.
type Extents = BTreeMap<String, Dim>;

/// The size of each label of an einsum, and the labels of each operand.
fn labelled(cx: &OpCx<'_>, terms: &[&str]) -> Result<(Extents, Vec<Vec<String>>), OpError> {
    let mut extents = Extents::new();
    let mut operands = Vec::new();
    for (port, term) in terms.iter().enumerate() {
        let shape = cx.shape(port)?;
        let labels = expand_labels(term, shape.len())?;
        if labels.len() != shape.len() {
            return invalid!("`{term}` does not fit rank {}", shape.len());
        }
        for (label, dim) in labels.iter().zip(shape) {
            let merged = match extents.get(label) {
                Some(known) => super::shape::broadcast_dim(cx, known, dim)?,
                None => dim.clone(),
            };
            extents.insert(label.clone(), merged);
        }
        operands.push(labels);
    }
    Ok((extents, operands))
}

/// MACs and other operations of an einsum, pair by pair from the left.
fn pairwise(extents: &Extents, operands: &[Vec<String>], output: &[String]) -> (Dim, Dim) {
    let extent = |labels: &BTreeSet<&String>| -> Dim {
        labels.iter().filter_map(|l| extents.get(*l)).product()
    };
    let (mut macs, mut other) = (Dim::ZERO, Dim::ZERO);
    let mut left: BTreeSet<&String> = operands[0].iter().collect();
    if operands.len() == 1 {
        let kept: BTreeSet<&String> = output.iter().collect();
        other = extent(&left) - extent(&kept);
    }
    for i in 1..operands.len() {
        let all: BTreeSet<&String> = left.iter().copied().chain(&operands[i]).collect();
        let needed = |l: &&String| {
            output.contains(l) || operands[i + 1..].iter().any(|later| later.contains(l))
        };
        let kept: BTreeSet<&String> = all.iter().copied().filter(|l| needed(l)).collect();
        if kept.len() < all.len() {
            macs = macs + extent(&all);
        } else {
            other = other + extent(&all);
        }
        left = kept;
    }
    (macs, other)
}

/// Letters of a term as labels; `...` becomes as many numbered labels as the rank leaves.
fn expand_labels(term: &str, rank: usize) -> Result<Vec<String>, OpError> {
    let letters = term.replace("...", "").chars().count();
    let hidden = rank.saturating_sub(letters);
    let mut labels = Vec::new();
    let mut rest = term;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("...") {
            labels.extend((0..hidden).map(|i| format!(".{}", hidden - i)));
            rest = after;
        } else if c.is_alphabetic() {
            labels.push(c.to_string());
            rest = &rest[c.len_utf8()..];
        } else {
            return invalid!("unexpected `{c}` in an einsum equation");
        }
    }
    Ok(labels)
}

fn implicit_output(operands: &[Vec<String>]) -> Vec<String> {
    let mut counts = std::collections::BTreeMap::<&String, usize>::new();
    for label in operands.iter().flatten() {
        *counts.entry(label).or_insert(0) += 1;
    }
    let keep = |(label, n): (&&String, &usize)| {
        (label.starts_with('.') || *n == 1).then(|| (*label).clone())
    };
    counts.iter().filter_map(keep).collect()
}

fn lstm(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    recurrent(cx, 2, 4, 24, 5, 3)
}

/// Weights are transposed, `w: [d, I, 4·H]` and `r: [d, H, 4·H]`, and of 8 bits.
pub(super) fn dynamic_lstm(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    Ok(recurrent(cx, 1, 4, 24, 5, 3)?.integer(true))
}

fn gru(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    recurrent(cx, 2, 3, 16, 3, 2)
}

fn rnn(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    recurrent(cx, 2, 1, 2, 1, 2)
}

/// `x: [T, B, I]`, `w: [d, gates·H, I]`, `r: [d, gates·H, H]`, whose axis `hidden` is H; per step and unit, `pointwise`
/// arithmetic (biases and gating) and `transcendental` evaluations.
fn recurrent(
    cx: &OpCx<'_>,
    hidden: usize,
    gates: u32,
    pointwise: u32,
    transcendental: u32,
    outputs: usize,
) -> Result<Effect, OpError> {
    let (x, r) = (cx.shape(0)?, cx.shape(2)?);
    let ([x0, x1, i], [directions, _, _]) = (&x[..], &r[..]) else {
        return invalid!("recurrence of rank {} by rank {}", x.len(), r.len());
    };
    let h = &r[hidden];
    let batch_first = cx.attrs().flag("layout")?;
    let (t, b) = if batch_first { (x1, x0) } else { (x0, x1) };
    let d = directions.clone();
    let steps = d.clone() * t.clone() * b.clone();
    let gate_width = Dim::from(gates) * h.clone();
    let y = if batch_first {
        vec![b.clone(), t.clone(), d.clone(), h.clone()]
    } else {
        vec![t.clone(), d.clone(), b.clone(), h.clone()]
    };
    let state =
        if batch_first { vec![b.clone(), d, h.clone()] } else { vec![d, b.clone(), h.clone()] };
    let mut infos = vec![cx.like(y)];
    infos.extend((1..outputs).map(|_| cx.like(state.clone())));
    infos.truncate(cx.output_count().max(1));
    Ok(Effect::of(infos)
        .macs(steps.clone() * gate_width * (i.clone() + h.clone()))
        .other(steps.clone() * h.clone() * Dim::from(pointwise))
        .transcendentals(steps * h.clone() * Dim::from(transcendental)))
}
