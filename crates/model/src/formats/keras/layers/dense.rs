//! Layers that are matrix products, and tables.

use super::super::super::LoadError;
use super::super::super::draft::Op;
use super::super::inputs::{Arg, Inputs};
use super::super::json::Layer;
use super::super::site::{Site, Size, T};
use super::{Context, Row, Written, activate, at, input, row};
use crate::ir::DType;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("Dense", "MatMul, Add", dense),
    row("EinsumDense", "Einsum, Add", einsum_dense),
    row("Embedding", "Gather", embedding),
    row("ReversibleEmbedding", "Gather or MatMul", reversible),
];

/// On the last axis, however many there are before it.
fn dense<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let units = layer.size("units")?;
    let kernel = site.variable(layer, "kernel", x, &[Size::Axis(-1), Size::Is(units)])?;
    let biased = layer.flag("use_bias", true);
    let name = if biased { "product" } else { "" };
    let mut y = x.like(site.one(name, Op::onnx("MatMul"), &[Some(x.id), Some(kernel.id)])?);
    if biased {
        let bias = site.variable(layer, "bias", x, &[Size::Is(units)])?;
        y = site.binary("", "Add", y, bias)?;
    }
    Ok(vec![activate(site, layer, "activation", y)?])
}

/// An equation of two operands, taken apart.
pub(super) struct Equation {
    pub(super) input: String,
    pub(super) kernel: String,
    pub(super) output: String,
}

impl Equation {
    /// Of the form `ab,bc->ac`; the first operand and the output may have `...`.
    pub(super) fn of(text: &str) -> Option<Self> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let (operands, output) = text.split_once("->")?;
        let (input, kernel) = operands.split_once(',')?;
        let simple = kernel.chars().all(char::is_alphabetic) && !kernel.is_empty();
        simple.then(|| Self { input: input.into(), kernel: kernel.into(), output: output.into() })
    }
}

/// Where a letter stands in a term: from the start, or from the end if `...` is before it.
fn place(term: &str, letter: char) -> Option<i64> {
    let before = term.find(letter)?;
    if term[..before].contains("...") {
        let after = term[before..].chars().count();
        return Some(-at(after));
    }
    Some(at(term[..before].chars().count()))
}

fn einsum_dense<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let text = layer.text("equation", "");
    let equation = Equation::of(text);
    let equation = equation.ok_or_else(|| layer.error(format!("has the equation `{text}`")))?;
    // Axes of the output behind the batch, or its last ones if `...` stands at its start.
    let given = layer.ints("output_shape")?;
    let size = |letter: char| -> Option<Size> {
        if let Some(axis) = place(&equation.input, letter) {
            return Some(Size::Axis(axis));
        }
        let axis = place(&equation.output, letter)?;
        let at = if axis < 0 { axis + at(given.len()) } else { axis - 1 };
        let size = given.get(usize::try_from(at).ok()?)?;
        (*size > 0).then_some(Size::Is(*size))
    };
    let sizes: Option<Vec<Size>> = equation.kernel.chars().map(size).collect();
    let sizes = sizes.ok_or_else(|| layer.error("states no size for an axis of its kernel"))?;
    let kernel = site.variable(layer, "kernel", x, &sizes)?;
    let y = einsum(site, "product", text, &[x, kernel])?;
    let y = match layer.get("bias_axes").and_then(|axes| axes.as_str()) {
        Some(axes) if !axes.is_empty() => {
            let sizes = bias_sizes(&equation.output, axes);
            let sizes = sizes.ok_or_else(|| layer.error(format!("has bias axes `{axes}`")))?;
            let bias = site.variable(layer, "bias", y, &sizes)?;
            site.binary("", "Add", y, bias)?
        }
        _ => y,
    };
    Ok(vec![activate(site, layer, "activation", y)?])
}

/// Sizes of a bias: those of the output from its first axis on, 1 where it has none.
fn bias_sizes(output: &str, axes: &str) -> Option<Vec<Size>> {
    let letters: Vec<char> = output.chars().filter(|c| *c != '.').collect();
    let first = letters.iter().position(|c| axes.contains(*c))?;
    let size = |(i, letter): (usize, &char)| {
        let from_end = at(i) - at(letters.len());
        if axes.contains(*letter) { Size::Axis(from_end) } else { Size::Is(1) }
    };
    let known = axes.chars().all(|c| letters.contains(&c));
    known.then(|| letters.iter().enumerate().skip(first).map(size).collect())
}

/// An einsum, whose rank follows from its equation where it has no `...`.
pub(in super::super) fn einsum(
    site: &mut Site<'_, '_, '_>,
    suffix: &str,
    equation: &str,
    operands: &[T],
) -> Result<T, LoadError> {
    let op = Op::onnx("Einsum").with("equation", equation);
    let inputs: Vec<_> = operands.iter().map(|t| Some(t.id)).collect();
    let id = site.one(suffix, op, &inputs)?;
    let output = equation.split_once("->").map(|(_, output)| output.trim());
    let rank = match output {
        Some(output) if output.contains("...") => operands.first().and_then(|first| {
            let term = equation.split(',').next()?.trim();
            let hidden = first.rank?.checked_sub(term.replace("...", "").len())?;
            Some(output.replace("...", "").len() + hidden)
        }),
        Some(output) => Some(output.chars().filter(|c| c.is_alphabetic()).count()),
        None => None,
    };
    Ok(T { id, rank, dtype: operands.first().and_then(|t| t.dtype) })
}

fn embedding<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let table = table(site, layer, x)?;
    Ok(vec![look_up(site, x, table)?])
}

fn table<'j>(site: &mut Site<'_, '_, 'j>, layer: &Layer<'j>, x: T) -> Result<T, LoadError> {
    let sizes = [Size::Is(layer.size("input_dim")?), Size::Is(layer.size("output_dim")?)];
    site.variable(layer, "embeddings", x, &sizes)
}

fn look_up(site: &mut Site<'_, '_, '_>, x: T, table: T) -> Result<T, LoadError> {
    let indices = match x.dtype {
        Some(DType::I32 | DType::I64) | None => x,
        Some(_) => site.cast(x, DType::I32)?,
    };
    let op = Op::onnx("Gather").with("axis", 0_i64);
    let id = site.one("", op, &[Some(table.id), Some(indices.id)])?;
    Ok(T { id, rank: x.rank.map(|rank| rank + 1), dtype: table.dtype })
}

/// A table that is also the kernel of the last product, when it is called with `reverse`.
fn reversible<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let mut table = table(site, layer, x)?;
    let positional =
        inputs.args.get(1).and_then(Arg::plain).is_some_and(super::super::json::truthy);
    if !inputs.flag("reverse") && !positional {
        return Ok(vec![look_up(site, x, table)?]);
    }
    if layer.flag("tie_weights", true) {
        table = site.transpose("table_t", table, &[1, 0])?;
    } else {
        let sizes = [Size::Axis(-1), Size::Is(layer.size("input_dim")?)];
        table = site.variable(layer, "reverse_embeddings", x, &sizes)?;
    }
    let id = site.one("", Op::onnx("MatMul"), &[Some(x.id), Some(table.id)])?;
    Ok(vec![x.like(id)])
}
