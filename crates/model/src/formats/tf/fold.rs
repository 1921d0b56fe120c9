//! Arithmetic on integers that follow from constants alone: axes, permutations and sizes are often worked out in
//! the graph, and ONNX has some of them as attributes.

use super::program::Def;
use super::value::{Ints, Val};
use crate::ir::MAX_TRACKED;

/// What an operator makes of integers that are known; none where it is not one of these.
pub(super) fn fold(def: &Def, inputs: &[Val]) -> Option<Ints> {
    match def.op.as_str() {
        "Rank" => return Some(Ints::scalar(i64::try_from(inputs.first()?.rank?).ok()?)),
        "Shape" => return shape(inputs.first()?),
        "Size" => return Some(Ints::scalar(product(&shape(inputs.first()?)?.list)?)),
        _ => {}
    }
    let known: Vec<&Ints> = inputs.iter().map(|v| v.known.as_deref()).collect::<Option<_>>()?;
    let found = operate(def, &known)?;
    (found.list.len() <= MAX_TRACKED).then_some(found)
}

/// The sizes of a stored tensor.
fn shape(val: &Val) -> Option<Ints> {
    let super::value::Place::Stored(stored) = &val.place else { return None };
    let sizes = stored.info.shape.as_ref()?.iter().map(|d| i64::try_from(d.as_const()?).ok());
    Some(Ints::vector(sizes.collect::<Option<_>>()?))
}

fn product(list: &[i64]) -> Option<i64> {
    list.iter().try_fold(1_i64, |all, n| all.checked_mul(*n))
}

fn operate(def: &Def, known: &[&Ints]) -> Option<Ints> {
    let first = known.first().copied();
    match def.op.as_str() {
        "Pack" => pack(def, known),
        "ConcatV2" => join(known.split_last()?.1),
        "Concat" => join(known.split_first()?.1),
        "Range" => range(known),
        "Cast" => cast(def, first?),
        "Reshape" => reshape(first?, known.get(1)?),
        "ExpandDims" if first?.dims.is_empty() => Some(Ints::vector(first?.list.clone())),
        "Squeeze" if first?.list.len() == 1 => Some(Ints::scalar(first?.list[0])),
        "Gather" | "GatherV2" if first?.dims.len() == 1 => {
            let indices = known.get(1)?;
            let pick = |i: &i64| first?.list.get(usize::try_from(*i).ok()?).copied();
            let list = indices.list.iter().map(pick).collect::<Option<_>>()?;
            Some(Ints { dims: indices.dims.clone(), list })
        }
        "StridedSlice" => slice(def, known),
        "ReverseV2" if first?.dims.len() == 1 => {
            Some(Ints::vector(first?.list.iter().rev().copied().collect()))
        }
        "Fill" => fill(first?, known.get(1)?),
        "Prod" | "Sum" | "Max" | "Min" | "All" | "Any" => reduce(def, known),
        "InvertPermutation" => inverse(first?),
        "Neg" => each(first?, i64::checked_neg),
        "Abs" => each(first?, i64::checked_abs),
        "LogicalNot" => each(first?, |n| Some(i64::from(n == 0))),
        "Select" | "SelectV2" => {
            let [cond, yes, no] = known else { return None };
            (cond.list.len() == 1)
                .then(|| if cond.list[0] != 0 { (*yes).clone() } else { (*no).clone() })
        }
        op => match known {
            [a, b] => both(op, a, b),
            _ => None,
        },
    }
}

fn cast(def: &Def, input: &Ints) -> Option<Ints> {
    let to = def.dtype("DstT")?;
    let truth = to == crate::ir::DType::Bool;
    let list = input.list.iter().map(|n| if truth { i64::from(*n != 0) } else { *n });
    let list = list.collect();
    (truth || to.is_integer()).then(|| Ints { dims: input.dims.clone(), list })
}

fn reshape(input: &Ints, target: &Ints) -> Option<Ints> {
    let target = &target.list;
    let given = product(&target.iter().copied().filter(|n| *n >= 0).collect::<Vec<_>>())?;
    let all = i64::try_from(input.list.len()).ok()?;
    let dims = target.iter().map(|n| match n {
        -1 => usize::try_from(all.checked_div(given)?).ok(),
        n => usize::try_from(*n).ok(),
    });
    let dims: Vec<usize> = dims.collect::<Option<_>>()?;
    let count = dims.iter().try_fold(1_usize, |all, n| all.checked_mul(*n))?;
    (count == input.list.len()).then(|| Ints { dims, list: input.list.clone() })
}

fn fill(sizes: &Ints, value: &Ints) -> Option<Ints> {
    let count = usize::try_from(product(&sizes.list)?).ok().filter(|n| *n <= MAX_TRACKED)?;
    let dims = sizes.list.iter().map(|n| usize::try_from(*n).ok()).collect::<Option<_>>()?;
    Some(Ints { dims, list: vec![*value.list.first()?; count] })
}

/// The permutation that undoes another.
fn inverse(permutation: &Ints) -> Option<Ints> {
    let order = &permutation.list;
    let place = |n: i64| i64::try_from(order.iter().position(|at| *at == n)?).ok();
    let count = i64::try_from(order.len()).ok()?;
    Some(Ints::vector((0..count).map(place).collect::<Option<_>>()?))
}

fn each(a: &Ints, f: impl Fn(i64) -> Option<i64>) -> Option<Ints> {
    let list = a.list.iter().map(|n| f(*n)).collect::<Option<_>>()?;
    Some(Ints { dims: a.dims.clone(), list })
}

fn both(op: &str, a: &Ints, b: &Ints) -> Option<Ints> {
    let f = |x: i64, y: i64| -> Option<i64> {
        Some(match op {
            "Add" | "AddV2" => x.checked_add(y)?,
            "Sub" => x.checked_sub(y)?,
            "Mul" => x.checked_mul(y)?,
            "FloorDiv" => {
                let quotient = x.checked_div(y)?;
                quotient - i64::from(x.checked_rem(y)? != 0 && (x < 0) != (y < 0))
            }
            "FloorMod" => {
                let rest = x.checked_rem(y)?;
                if rest != 0 && (rest < 0) != (y < 0) { rest.checked_add(y)? } else { rest }
            }
            "Div" | "TruncateDiv" => x.checked_div(y)?,
            "Maximum" => x.max(y),
            "Minimum" => x.min(y),
            "Equal" => i64::from(x == y),
            "NotEqual" => i64::from(x != y),
            "Less" => i64::from(x < y),
            "LessEqual" => i64::from(x <= y),
            "Greater" => i64::from(x > y),
            "GreaterEqual" => i64::from(x >= y),
            "LogicalAnd" => i64::from(x != 0 && y != 0),
            "LogicalOr" => i64::from(x != 0 || y != 0),
            _ => return None,
        })
    };
    let dims = match (&a.dims[..], &b.dims[..]) {
        (x, y) if x == y => a.dims.clone(),
        ([], _) => b.dims.clone(),
        (_, []) => a.dims.clone(),
        _ => return None,
    };
    let count = a.list.len().max(b.list.len());
    let at = |list: &[i64], i: usize| list.get(if list.len() == 1 { 0 } else { i }).copied();
    let list = (0..count).map(|i| f(at(&a.list, i)?, at(&b.list, i)?)).collect::<Option<_>>()?;
    Some(Ints { dims, list })
}

/// Scalars side by side, or vectors as rows.
fn pack(def: &Def, known: &[&Ints]) -> Option<Ints> {
    if def.int("axis").unwrap_or(0) != 0 {
        return None;
    }
    let inner = &known.first()?.dims;
    if known.iter().any(|k| &k.dims != inner) {
        return None;
    }
    let dims = std::iter::once(known.len()).chain(inner.iter().copied()).collect();
    Some(Ints { dims, list: known.iter().flat_map(|k| k.list.iter().copied()).collect() })
}

fn join(parts: &[&Ints]) -> Option<Ints> {
    let vectors = parts.iter().all(|p| p.dims.len() == 1);
    vectors.then(|| Ints::vector(parts.iter().flat_map(|p| p.list.iter().copied()).collect()))
}

fn range(known: &[&Ints]) -> Option<Ints> {
    let [start, limit, delta] = known else { return None };
    let (start, limit, delta) = (*start.list.first()?, *limit.list.first()?, *delta.list.first()?);
    let mut list = Vec::new();
    let mut at = start;
    while (delta > 0 && at < limit) || (delta < 0 && at > limit) {
        if list.len() >= MAX_TRACKED {
            return None;
        }
        list.push(at);
        at = at.checked_add(delta)?;
    }
    (delta != 0).then(|| Ints::vector(list))
}

/// Of a vector: one element, or some of them.
fn slice(def: &Def, known: &[&Ints]) -> Option<Ints> {
    let [input, begin, end, step] = known else { return None };
    let bits = |name: &str| def.int(name).unwrap_or(0);
    let (1, 1) = (input.dims.len(), begin.list.len()) else { return None };
    if bits("new_axis_mask") != 0 || bits("ellipsis_mask") != 0 {
        return None;
    }
    let size = i64::try_from(input.list.len()).ok()?;
    let (begin, end, step) = (*begin.list.first()?, *end.list.first()?, *step.list.first()?);
    let front = |n: i64| if n < 0 { n.saturating_add(size) } else { n };
    if bits("shrink_axis_mask") != 0 {
        let at = usize::try_from(front(begin)).ok()?;
        return input.list.get(at).copied().map(Ints::scalar);
    }
    if step < 1 {
        return None;
    }
    let begin = if bits("begin_mask") != 0 { 0 } else { front(begin).clamp(0, size) };
    let end = if bits("end_mask") != 0 { size } else { front(end).clamp(0, size) };
    let part =
        input.list.get(usize::try_from(begin).ok()?..usize::try_from(end.max(begin)).ok()?)?;
    Some(Ints::vector(part.iter().step_by(usize::try_from(step).ok()?).copied().collect()))
}

/// Of a vector or a scalar.
fn reduce(def: &Def, known: &[&Ints]) -> Option<Ints> {
    let [input, axes] = known else { return None };
    if axes.list.is_empty() {
        return Some((*input).clone());
    }
    if input.dims.len() > 1 {
        return None;
    }
    let list = || input.list.iter().copied();
    let found = match def.op.as_str() {
        "Prod" => product(&input.list)?,
        "Sum" => list().try_fold(0_i64, i64::checked_add)?,
        "Max" => list().max()?,
        "Min" => list().min()?,
        "All" => i64::from(list().all(|n| n != 0)),
        _ => i64::from(list().any(|n| n != 0)),
    };
    let keep = def.flag("keep_dims");
    Some(if keep && input.dims.len() == 1 {
        Ints::vector(vec![found])
    } else {
        Ints::scalar(found)
    })
}
