//! Layers that take several tensors to one.

use super::super::super::LoadError;
use super::super::super::draft::Op;
use super::super::inputs::Inputs;
use super::super::json::Layer;
use super::super::site::{Site, T};
use super::{Context, Row, Written, at, row};

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("Add", "Add", add),
    row("Average", "Mean", average),
    row("Concatenate", "Concat", concatenate),
    row("Dot", "Einsum", dot),
    row("Maximum", "Max", maximum),
    row("Minimum", "Min", minimum),
    row("Multiply", "Mul", multiply),
    row("Subtract", "Sub", subtract),
];

/// The tensors, brought to one rank: axes of size 1 are put in after the batch, as Keras does.
fn tensors(
    site: &mut Site<'_, '_, '_>,
    layer: &Layer<'_>,
    inputs: &Inputs<'_>,
) -> Result<Vec<T>, LoadError> {
    let mut list = inputs.list();
    if list.is_empty() {
        return Err(layer.error("is called with no tensor"));
    }
    let most = list.iter().filter_map(|t| t.rank).max().unwrap_or(0);
    for t in &mut list {
        if let Some(rank) = t.rank.filter(|rank| *rank > 0 && *rank < most) {
            let axes: Vec<i64> = (1..=at(most - rank)).collect();
            *t = site.axes("spread", "Unsqueeze", *t, &axes)?;
        }
    }
    Ok(list)
}

fn merge(site: &mut Site<'_, '_, '_>, layer: &Layer<'_>, inputs: &Inputs<'_>, op: &str) -> Written {
    let list = tensors(site, layer, inputs)?;
    let mut y = list[0];
    for (i, t) in list.iter().enumerate().skip(1) {
        let name = if i + 1 == list.len() { "" } else { "part" };
        y = site.binary(name, op, y, *t)?;
    }
    Ok(vec![y])
}

fn add<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    merge(site, layer, inputs, "Add")
}

fn multiply<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    merge(site, layer, inputs, "Mul")
}

fn subtract<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    merge(site, layer, inputs, "Sub")
}

fn maximum<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    merge(site, layer, inputs, "Max")
}

fn minimum<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    merge(site, layer, inputs, "Min")
}

fn average<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let list = tensors(site, layer, inputs)?;
    let all: Vec<_> = list.iter().map(|t| Some(t.id)).collect();
    let rank = list.iter().filter_map(|t| t.rank).max();
    Ok(vec![list[0].ranked(rank).like(site.one("", Op::onnx("Mean"), &all)?)])
}

fn concatenate<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let list = inputs.list();
    if list.is_empty() {
        return Err(layer.error("is called with no tensor"));
    }
    Ok(vec![site.concat("", &list, layer.int_or("axis", -1)?)?])
}

/// A product over one axis of each, for every sample.
fn dot<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let list = inputs.list();
    let [mut a, mut b] = list[..] else {
        return Err(layer.error("is called with other than two tensors"));
    };
    let axes = layer.ints("axes")?;
    let (left, right) = match axes[..] {
        [one] => (one, one),
        [left, right] => (left, right),
        _ => return Err(layer.error("has other than two axes")),
    };
    let unknown =
        || layer.error("is called with a tensor of unknown rank, or has an axis that it has not");
    let (Some(m), Some(n)) = (a.rank, b.rank) else { return Err(unknown()) };
    let (left, right) = (a.axis(left).ok_or_else(unknown)?, b.axis(right).ok_or_else(unknown)?);
    if layer.flag("normalize", false) {
        for (t, axis) in [(&mut a, left), (&mut b, right)] {
            let op = Op::onnx("LpNormalization").with("axis", at(axis)).with("p", 2_i64);
            *t = t.like(site.one("unit", op, &[Some(t.id)])?);
        }
    }
    let equation = product(m, n, left, right).ok_or_else(unknown)?;
    let y = super::dense::einsum(site, "", &equation, &[a, b])?;
    if y.rank == Some(1) {
        return Ok(vec![site.axes("spread", "Unsqueeze", y, &[1])?]);
    }
    Ok(vec![y])
}

/// The equation of a product over these axes, the first axis of both being the batch.
fn product(m: usize, n: usize, left: usize, right: usize) -> Option<String> {
    let mut letters = 'a'..='z';
    let first: Vec<char> = letters.by_ref().take(m).collect();
    let mut second: Vec<char> = letters.by_ref().take(n).collect();
    if first.len() < m || second.len() < n || left == 0 || right == 0 {
        return None;
    }
    second[0] = first[0];
    second[right] = first[left];
    let kept = first.iter().enumerate().filter(|(i, _)| *i != left).map(|(_, c)| c);
    let others = second.iter().enumerate().filter(|(i, _)| *i != 0 && *i != right).map(|(_, c)| c);
    let output: String = kept.chain(others).collect();
    let term = |list: &[char]| list.iter().collect::<String>();
    Some(format!("{},{}->{output}", term(&first), term(&second)))
}
