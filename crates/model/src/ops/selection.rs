//! Operators that pick elements by their values or positions, and those that write some.

use super::Class::{Movement, Reduction};
use super::context::{OpCx, OpError, invalid};
use super::shape::axis;
use super::{Effect, Holds, Op, Part, values};
use crate::dim::Dim;
use crate::ir::{DType, Elem, TensorInfo};

#[rustfmt::skip]
pub(super) const OPS: &[Op] = &[
    Op::new("BitCast", Movement, bit_cast).inputs(1, 1).formula("0; a view").playing(Part::Map),
    Op::new("Compress", Movement, compress).inputs(2, 2).formula("0; reads only what it keeps"),
    Op::new("EyeLike", Movement, eye_like).inputs(1, 1).weights("c").playing(Part::Map),
    Op::new("Hardmax", Reduction, hardmax).inputs(1, 1).formula("|x| comparisons"),
    Op::new("NonZero", Movement, non_zero).inputs(1, 1).formula("|x| comparisons"),
    Op::new("ReverseSequence", Movement, same).inputs(2, 2),
    Op::new("Scatter", Movement, scatter).holds(Holds::Updated(2)).inputs(3, 3).formula("0").weights(">c>"),
    Op::new("ScatterElements", Movement, scatter).holds(Holds::Updated(2)).inputs(3, 3).formula("0; 1 an update where it reduces").weights(">c>"),
    Op::new("TensorScatter", Movement, tensor_scatter).holds(Holds::Updated(1)).inputs(2, 3).formula("0; reads and writes only the update").weights(">>c"),
    Op::new("TopK", Reduction, top_k).inputs(1, 2).formula("≤ |x|·⌈log2 k⌉ comparisons").playing(Part::Alone),
    Op::new("Unique", Reduction, unique).inputs(1, 1).formula("≤ |x|·⌈log2 |x|⌉ comparisons").playing(Part::Alone),
];

fn same(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    Ok(Effect::one(cx.like(cx.shape(0)?.clone())))
}

/// Elements of another width share the bytes of the last axis.
fn bit_cast(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let to = cx.attrs().int("to")?.and_then(|n| i32::try_from(n).ok()).and_then(DType::from_onnx);
    let to = to.ok_or_else(|| OpError::Unsupported("a cast to this type".into()))?;
    let output = TensorInfo::new(Some(to), cx.shape(0)?.clone());
    Ok(Effect::one(output).free(1))
}

/// Flattened first where no axis is given.
fn compress(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let at = cx.attrs().int("axis")?.map(|a| axis(a, shape.len())).transpose()?;
    let whole = at.map_or_else(|| shape.iter().product(), |a| shape[a].clone());
    let kept = match cx.const_ints(1) {
        Ok(flags) => Dim::from(flags.iter().filter(|f| **f != 0).count()),
        Err(_) => (cx.fresh)("kept", Some(whole)),
    };
    let mut output = shape.clone();
    match at {
        Some(a) => output[a] = kept,
        None => output = vec![kept],
    }
    let value = kept_elements(cx, at, &output);
    let output = values::filled(cx.like(output), value);
    let read = output.bytes().unwrap_or_default();
    Ok(Effect::one(output).reads(0, read))
}

/// The contents that known flags keep.
fn kept_elements(cx: &OpCx<'_>, at: Option<usize>, output: &[Dim]) -> Option<Vec<Elem>> {
    let (input, flags) = (cx.optional(0)?, cx.const_ints(1).ok()?);
    let kept: Vec<usize> = (0..flags.len()).filter(|i| flags[*i] != 0).collect();
    match at {
        Some(a) => values::moved(input, output, |index| {
            let mut source = index.to_vec();
            *source.get_mut(a)? = *kept.get(index[a])?;
            Some(source)
        }),
        None => {
            let value = input.value.as_ref()?;
            kept.into_iter().map(|i| value.get(i).cloned()).collect()
        }
    }
}

fn eye_like(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let named = cx.attrs().int("dtype")?.and_then(|n| i32::try_from(n).ok());
    let dtype = named.and_then(DType::from_onnx).or(cx.dtype(0));
    Ok(Effect::one(TensorInfo::new(dtype, cx.shape(0)?.clone())).reads(0, Dim::ZERO))
}

fn hardmax(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    Ok(same(cx)?.comparisons(cx.elements(0)?))
}

/// `[rank, n]`, n the elements that are not zero.
fn non_zero(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (rank, all) = (cx.rank(0)?, cx.elements(0)?);
    let places = nonzero_places(cx.input(0)?);
    let count = match &places {
        Some(places) => Dim::from(places.len()),
        None => (cx.fresh)("nonzero", Some(all.clone())),
    };
    let output = TensorInfo::new(Some(DType::I64), vec![Dim::from(rank.max(1)), count]);
    let rows = places.map(|places| {
        let entries = (0..rank.max(1)).flat_map(|axis| {
            places.iter().map(move |at| Dim::from(at.get(axis).copied().unwrap_or(0)))
        });
        entries.map(Elem::Int).collect()
    });
    Ok(Effect::one(values::filled(output, rows)).comparisons(all))
}

/// The indices of elements that are not zero, where that is known of each.
fn nonzero_places(input: &TensorInfo) -> Option<Vec<Vec<usize>>> {
    let value = input.value.as_ref()?;
    let sizes = values::sizes(input.shape.as_ref()?)?;
    let nonzero = |e: &Elem| match e {
        Elem::Int(d) if d.lower_bound().is_some_and(|low| low >= 1) => Some(true),
        _ => e.as_f64().map(|x| x != 0.0),
    };
    let mut places = Vec::new();
    for (flat, e) in value.iter().enumerate() {
        if nonzero(e)? {
            places.push(values::index(flat, &sizes));
        }
    }
    Some(places)
}

/// Copies the data, then writes the updates.
fn scatter(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let reduces = cx.attrs().str("reduction")?.is_some_and(|r| r != "none");
    let updates = if reduces { cx.elements(2)? } else { Dim::ZERO };
    let output = cx.like(cx.shape(0)?.clone());
    let written = if reduces { None } else { written(cx) };
    Ok(Effect::one(values::filled(output, written)).other(updates))
}

/// The contents after single elements are written along one axis, where all of them are followed.
fn written(cx: &OpCx<'_>) -> Option<Vec<Elem>> {
    let (data, indices) = (cx.optional(0)?, cx.optional(1)?);
    let sizes = values::sizes(data.shape.as_ref()?)?;
    let grid = values::sizes(indices.shape.as_ref()?)?;
    let at = axis(cx.attrs().int_or("axis", 0).ok()?, sizes.len()).ok()?;
    let (picks, updates) = (indices.value.as_ref()?, cx.optional(2)?.value.as_ref()?);
    let mut value = data.value.as_ref()?.to_vec();
    for (flat, (pick, update)) in picks.iter().zip(updates.iter()).enumerate() {
        let mut index = values::index(flat, &grid);
        *index.get_mut(at)? = values::from_front(pick.as_const()?, sizes[at])?;
        *value.get_mut(values::flat(&index, &sizes))? = update.clone();
    }
    Some(value)
}

/// Opset 24. A cache that is written in place.
fn tensor_scatter(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let update = cx.input(1)?.bytes().unwrap_or_default();
    Ok(same(cx)?.reads(0, Dim::ZERO).writes(update))
}

/// Before opset 10, `k` is an attribute.
fn top_k(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let at = axis(cx.attrs().int_or("axis", -1)?, shape.len())?;
    let k = match cx.attrs().int("k")? {
        Some(k) => Dim::from(k),
        None => match cx.ints(1)?.first() {
            Some(k) => k.clone(),
            None => return invalid!("k is empty"),
        },
    };
    if let Some((k, size)) = k.as_const().zip(shape[at].as_const()).filter(|(k, size)| k > size) {
        return invalid!("the {k} best of {size}");
    }
    let mut output = shape.clone();
    output[at] = k.clone();
    let largest = cx.attrs().int_or("largest", 1)? != 0;
    let (best, places) = best(cx.input(0)?, at, &k, largest).unzip();
    let indices = TensorInfo::new(Some(DType::I64), output.clone());
    let outputs = vec![values::filled(cx.like(output), best), values::filled(indices, places)];
    // The most that a k can be keeps formulas short: "as many as there are, but 300".
    let compared = cx.elements(0)? * k.upper_bound().map_or(k.clone(), Dim::from).ceil_log2();
    Ok(Effect::of(outputs).comparisons(compared).reads(1, Dim::ZERO).bound())
}

/// The k best of known numbers along an axis, best first and the first of equals first, and where each
/// lay.
fn best(input: &TensorInfo, at: usize, k: &Dim, largest: bool) -> Option<(Vec<Elem>, Vec<Elem>)> {
    let (value, k) = (input.value.as_ref()?, k.as_usize()?);
    let mut sizes = values::sizes(input.shape.as_ref()?)?;
    let numbers: Vec<f64> = value.iter().map(Elem::as_f64).collect::<Option<_>>()?;
    let from = values::lines(&sizes, &[at]);
    *sizes.get_mut(at).filter(|n| k <= **n)? = k;
    let to = values::lines(&sizes, &[at]);
    let mut best = vec![(Elem::Unknown, Elem::Unknown); sizes.iter().product()];
    for (from, to) in from.into_iter().zip(to) {
        let mut order: Vec<usize> = (0..from.len()).collect();
        let number = |i: &usize| numbers[from[*i]];
        order.sort_by(|a, b| {
            let order = number(a).total_cmp(&number(b));
            if largest { order.reverse() } else { order }
        });
        for (place, i) in to.into_iter().zip(order) {
            best[place] = (value[from[i]].clone(), Elem::Int(Dim::from(i)));
        }
    }
    Some(best.into_iter().unzip())
}

/// Values, first positions, where each went, and counts.
fn unique(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let at = cx.attrs().int("axis")?.map(|a| axis(a, shape.len())).transpose()?;
    let whole = at.map_or_else(|| shape.iter().product(), |a| shape[a].clone());
    let value = cx.input(0)?.value.as_ref();
    let count = match value.and_then(|v| distinct(v, shape, at)) {
        Some(n) => Dim::from(n),
        None => (cx.fresh)("unique", Some(whole.clone())),
    };
    let mut output = shape.clone();
    match at {
        Some(a) => output[a] = count.clone(),
        None => output = vec![count.clone()],
    }
    let list = |n: &Dim| TensorInfo::new(Some(DType::I64), vec![n.clone()]);
    let mut outputs = vec![cx.like(output), list(&count), list(&whole), list(&count)];
    outputs.truncate(cx.output_count().max(1));
    let all = cx.elements(0)?;
    let compared = all.clone() * whole.ceil_log2();
    Ok(Effect::of(outputs).comparisons(compared).bound())
}

/// How many slices along the axis differ, where every element is known.
fn distinct(value: &[Elem], shape: &[Dim], at: Option<usize>) -> Option<usize> {
    let bits: Vec<u64> =
        value.iter().map(|e| Some(e.as_f64()?.to_bits())).collect::<Option<_>>()?;
    let Some(at) = at else {
        return Some(bits.into_iter().collect::<std::collections::BTreeSet<_>>().len());
    };
    let sizes: Vec<usize> = shape.iter().map(Dim::as_usize).collect::<Option<_>>()?;
    let inner: usize = sizes[at + 1..].iter().product();
    let mut slices = vec![Vec::new(); sizes[at]];
    for (i, b) in bits.into_iter().enumerate() {
        slices[i / inner.max(1) % sizes[at]].push(b);
    }
    Some(slices.into_iter().collect::<std::collections::BTreeSet<_>>().len())
}
