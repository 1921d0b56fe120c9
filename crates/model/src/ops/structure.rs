//! Views and metadata: operators that move nothing.

use super::Class::View;
use super::context::{OpCx, OpError, invalid};
use super::shape::{axes, axis};
use super::{Effect, Op, Role};
use crate::dim::Dim;
use crate::ir::{Attr, DType, Elem, Shape, TensorInfo};

#[rustfmt::skip]
pub(super) const OPS: &[Op] = &[
    Op::new("Constant", View, constant).inputs(0, 0),
    Op::new("Flatten", View, flatten).inputs(1, 1),
    Op::new("Identity", View, identity).inputs(1, 1).role(Role::Identity),
    Op::new("Reshape", View, reshape).inputs(1, 2),
    Op::new("Shape", View, shape_of).inputs(1, 1).weights("c").role(Role::Sizes),
    Op::new("Size", View, size_of).inputs(1, 1).weights("c").role(Role::Sizes),
    Op::new("Squeeze", View, squeeze).inputs(1, 2),
    Op::new("Unsqueeze", View, unsqueeze).inputs(1, 2),
];

/// `value`, or one of the typed short forms of opset 12.
fn constant(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let attrs = cx.attrs();
    let vector =
        |dtype, n: usize, value| TensorInfo::new(Some(dtype), vec![Dim::from(n)]).with_value(value);
    let int = |i: &i64| Elem::Int(Dim::from(*i));
    let info = if let Some(tensor) = attrs.tensor("value")? {
        tensor.clone()
    } else if let Some(i) = attrs.int("value_int")? {
        TensorInfo::new(Some(DType::I64), Vec::new()).with_value(vec![int(&i)])
    } else if let Some(v) = attrs.ints("value_ints")? {
        vector(DType::I64, v.len(), v.iter().map(int).collect())
    } else if let Some(x) = attrs.float("value_float")? {
        TensorInfo::new(Some(DType::F32), Vec::new()).with_value(vec![Elem::Float(x.into())])
    } else if let Some(v) = attrs.floats("value_floats")? {
        vector(DType::F32, v.len(), v.iter().map(|x| Elem::Float((*x).into())).collect())
    } else if attrs.has("value_string") {
        TensorInfo::new(Some(DType::String), Vec::new())
    } else if let Some(Attr::Strs(v)) = attrs.get("value_strings") {
        TensorInfo::new(Some(DType::String), vec![Dim::from(v.len())])
    } else {
        return Err(OpError::Unsupported("a constant of this form".into()));
    };
    Ok(Effect::one(info).free(0))
}

fn identity(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    Ok(Effect::one(cx.input(0)?.clone()).free(1))
}

fn flatten(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let rank = i64::try_from(shape.len()).unwrap_or(i64::MAX);
    let given = cx.attrs().int_or("axis", 1)?;
    let at = if given == rank { shape.len() } else { axis(given, shape.len())? };
    cx.view(vec![shape[..at].iter().product(), shape[at..].iter().product()])
}

/// `0` copies the input's size (unless `allowzero`), one `-1` takes what is left. Before opset 5
/// the shape is an attribute.
fn reshape(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let input = cx.shape(0)?;
    let total: Dim = input.iter().product();
    let target = match cx.attrs().dims("shape")? {
        Some(dims) => dims,
        None => match cx.ints(1) {
            Ok(dims) => dims,
            Err(error) => return reshape_to_rank(cx).ok_or(error),
        },
    };
    let copy_zero = !cx.attrs().flag("allowzero")?;
    let mut shape: Shape = Vec::with_capacity(target.len());
    let mut open = None;
    for (i, dim) in target.iter().enumerate() {
        match dim.as_const() {
            Some(0) if copy_zero => match input.get(i) {
                Some(d) => shape.push(d.clone()),
                None => {
                    return invalid!("entry {i} copies a size of an input of rank {}", input.len());
                }
            },
            Some(-1) if open.is_some() => return invalid!("two entries are -1"),
            Some(-1) => {
                open = Some(i);
                shape.push(Dim::ONE);
            }
            Some(n) if n < 0 => return invalid!("size {n} is negative"),
            _ => shape.push(dim.clone()),
        }
    }
    let given: Dim = shape.iter().product();
    if let Some(i) = open {
        if given.is_zero() {
            return invalid!("-1 beside a size of zero");
        }
        shape[i] = total.floor_div(&given);
        if let (Some(t), Some(g)) = (total.as_const(), given.as_const()) {
            if t % g != 0 {
                return invalid!("{t} elements do not divide into {g}");
            }
        }
    } else if total.as_const().zip(given.as_const()).is_some_and(|(a, b)| a != b) {
        return invalid!("{total} elements do not fit {given}");
    } else {
        cx.require_equal(&total, &given);
    }
    cx.view(shape)
}

/// The file's own word for the output, where the target is only known at run time.
fn reshape_to_rank(cx: &OpCx<'_>) -> Option<Effect> {
    let declared = cx.declared.first().copied().flatten()?;
    cx.view(declared.shape.clone()?).ok()
}

fn squeeze(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let drop = match cx.attr_or_input("axes", 1)? {
        Some(given) => axes(&given, shape.len())?,
        None => ones(cx, shape)?,
    };
    let long = drop.iter().filter_map(|i| shape.get(*i)?.as_const()).find(|size| *size != 1);
    if let Some(size) = long {
        return invalid!("an axis of {size} is not one to remove");
    }
    let kept = shape.iter().enumerate().filter(|(i, _)| !drop.contains(i));
    cx.view(kept.map(|(_, d)| d.clone()).collect::<Shape>())
}

/// The axes of one element, where data do not decide which these are.
fn ones(cx: &OpCx<'_>, shape: &Shape) -> Result<Vec<usize>, OpError> {
    for (i, size) in shape.iter().enumerate() {
        if let Some(symbol) = (cx.made_by_data)(size, 1) {
            return invalid!(
                "axis {i} of {size} goes if data make it 1 (--dim {symbol}=N gives it)"
            );
        }
    }
    Ok((0..shape.len()).filter(|i| shape[*i].is_one()).collect())
}

fn unsqueeze(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let given = cx.attr_or_input("axes", 1)?.ok_or(OpError::MissingInput(1))?;
    let rank = shape.len() + given.len();
    let new = axes(&given, rank)?;
    let mut old = shape.iter();
    let mut output = Vec::with_capacity(rank);
    for i in 0..rank {
        if new.contains(&i) {
            output.push(Dim::ONE);
        } else {
            output.extend(old.next().cloned());
        }
    }
    if old.next().is_some() || output.len() != rank {
        return invalid!("an axis is given twice");
    }
    cx.view(output)
}

/// Opset 15: `start` and `end` pick a part.
fn shape_of(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let rank = i64::try_from(shape.len()).unwrap_or(i64::MAX);
    let clamp =
        |a: i64| usize::try_from(if a < 0 { a.saturating_add(rank) } else { a }.clamp(0, rank));
    let start = clamp(cx.attrs().int_or("start", 0)?).unwrap_or(0);
    let end = clamp(cx.attrs().int_or("end", rank)?).unwrap_or(0);
    let part = shape.get(start..end.max(start)).unwrap_or(&[]);
    let info = TensorInfo::new(Some(DType::I64), vec![Dim::from(part.len())])
        .with_value(part.iter().cloned().map(Elem::Int).collect());
    Ok(Effect::one(info).free(1))
}

fn size_of(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let value = vec![Elem::Int(cx.elements(0)?)];
    Ok(Effect::one(TensorInfo::new(Some(DType::I64), Vec::new()).with_value(value)).free(1))
}
