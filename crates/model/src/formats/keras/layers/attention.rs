//! Attention.

use super::super::super::LoadError;
use super::super::super::draft::Op;
use super::super::inputs::Inputs;
use super::super::json::Layer;
use super::super::site::{Site, Size, T};
use super::activation::masked;
use super::dense::einsum;
use super::{Context, Row, Written, at, row};
use crate::ir::DType;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("AdditiveAttention", "Add, Tanh, ReduceSum, Softmax, MatMul", additive),
    row("Attention", "MatMul, Softmax, MatMul", attention),
    row("GroupQueryAttention", "Einsum, Softmax, Einsum", grouped),
    row("GroupedQueryAttention", "Einsum, Softmax, Einsum", grouped),
    row("MultiHeadAttention", "Einsum, Softmax, Einsum", multi_head),
];

/// Query, value and key, which is the value where it is not given.
fn operands(layer: &Layer<'_>, inputs: &Inputs<'_>) -> Result<[T; 3], LoadError> {
    let missing = || layer.error("is called without a query and a value");
    let query = inputs.tensor(0, &["query"]).ok_or_else(missing)?;
    let value = inputs.tensor(1, &["value"]).ok_or_else(missing)?;
    let key = inputs.tensor(2, &["key"]).unwrap_or(value);
    Ok([query, value, key])
}

/// A part of the layer that has variables of its own.
fn part<'j>(site: &mut Site<'_, '_, 'j>, layer: &Layer<'j>, part: &str, name: &str) -> Layer<'j> {
    let inner = layer.part(part, name);
    site.state.part(layer, &inner, part);
    inner
}

/// A product with a kernel whose first axes are the last of `x`, and a bias.
fn project<'j>(
    site: &mut Site<'_, '_, 'j>,
    (layer, inner): (&Layer<'j>, &Layer<'j>),
    x: T,
    equation: &str,
    sizes: &[Size],
    bias: &[Size],
) -> Result<T, LoadError> {
    let name = site.part(&inner.name);
    let outer = std::mem::replace(&mut site.name, name);
    let kernel = site.variable(inner, "kernel", x, sizes)?;
    let biased = layer.flag("use_bias", true);
    let mut y = einsum(site, if biased { "product" } else { "" }, equation, &[x, kernel])?;
    if biased {
        let bias = site.variable(inner, "bias", x, bias)?;
        y = site.binary("", "Add", y, bias)?;
    }
    site.name = outer;
    Ok(y)
}

fn letters(from: usize, count: usize) -> String {
    ('a'..='z').chain('A'..='Z').skip(from).take(count).collect()
}

/// Scores of which the later steps are hidden, and those that masks hide.
fn hide(
    site: &mut Site<'_, '_, '_>,
    scores: T,
    inputs: &Inputs<'_>,
    axes: usize,
) -> Result<T, LoadError> {
    let mut scores = scores;
    if inputs.flag("use_causal_mask") {
        let shape = site.sizes_of(scores, -2, None)?;
        let one = site.number(1.0, scores)?;
        let ones = site.one("ones", Op::onnx("Expand"), &[Some(one.id), Some(shape)])?;
        let op = Op::onnx("Trilu").with("upper", 0_i64);
        let lower = site.one("lower", op, &[Some(ones)])?;
        let mask = site.cast(one.ranked(Some(2)).like(lower), DType::Bool)?;
        scores = masked(site, scores, mask)?;
    }
    if let Some(mut mask) = inputs.tensor(3, &["attention_mask"]) {
        if let (Some(rank), Some(own)) = (scores.rank, mask.rank) {
            // The mask has no heads: they are an axis before those that are attended to.
            let place = -at(2 * axes) - 1;
            for _ in own..rank {
                mask = site.axes("heads", "Unsqueeze", mask, &[place])?;
            }
        }
        scores = masked(site, scores, mask)?;
    }
    Ok(scores)
}

/// A softmax over the last axes, as one.
fn softmax(site: &mut Site<'_, '_, '_>, scores: T, axes: usize) -> Result<T, LoadError> {
    if axes == 1 {
        let op = Op::onnx("Softmax").with("axis", -1_i64);
        return Ok(scores.like(site.one("softmax", op, &[Some(scores.id)])?));
    }
    let list: Vec<i64> = (1..=at(axes)).map(|axis| -axis).collect();
    let most = site.reduce("max", "ReduceMax", scores, &list, true)?;
    let shifted = site.binary("shift", "Sub", scores, most)?;
    let exp = site.map("exp", "Exp", shifted)?;
    let sum = site.reduce("sum", "ReduceSum", exp, &list, true)?;
    site.binary("softmax", "Div", exp, sum)
}

/// Scales the query, as is done before the scores are made.
fn scaled(site: &mut Site<'_, '_, '_>, query: T, width: i64) -> Result<T, LoadError> {
    #[allow(clippy::cast_precision_loss)]
    let scale = site.number(1.0 / (width as f64).sqrt(), query)?;
    site.binary("scale", "Mul", query, scale)
}

/// What a layer with scores returns.
fn results(inputs: &Inputs<'_>, y: T, scores: T) -> Vec<T> {
    if inputs.flag("return_attention_scores") { vec![y, scores] } else { vec![y] }
}

fn multi_head<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    context: &Context,
) -> Written {
    let [query, value, key] = operands(layer, inputs)?;
    let (heads, width) = (layer.size("num_heads")?, layer.size("key_dim")?);
    let value_width = layer.int("value_dim")?.filter(|n| *n > 0).unwrap_or(width);
    let rank = query.rank.or(value.rank).or(key.rank);
    let rank = rank.or_else(|| context.sizes.as_ref().map(Vec::len));
    let rank = rank.filter(|rank| (2..=12).contains(rank));
    let rank = rank.ok_or_else(|| layer.error("is applied to a tensor of unknown rank"))?;
    // [batch, …, features] → [batch, …, heads, width]
    let free = letters(0, rank - 1);
    let into = letters(rank - 1, 3);
    let equation = format!("{free}{},{into}->{free}{}", &into[..1], &into[1..]);
    let mut made = Vec::new();
    let gate = layer.flag("use_gate", false).then_some(("gate_dense", "gate", query, value_width));
    let all = [
        Some(("query_dense", "query", query, width)),
        Some(("key_dense", "key", key, width)),
        gate,
        Some(("value_dense", "value", value, value_width)),
    ];
    for (name, short, x, width) in all.into_iter().flatten() {
        let inner = part(site, layer, name, short);
        let sizes = [Size::Axis(-1), Size::Is(heads), Size::Is(width)];
        made.push((short, project(site, (layer, &inner), x, &equation, &sizes, &sizes[1..])?));
    }
    let get = |name: &str| made.iter().find(|(short, _)| *short == name).map(|(_, t)| *t);
    let (Some(q), Some(k), Some(v)) = (get("query"), get("key"), get("value")) else {
        return Ok(Vec::new());
    };
    let axes = axes(layer, rank + 1)?;
    let (scores, combine) = equations(rank + 1, &axes);
    let q = scaled(site, q, width)?;
    let products = einsum(site, "scores", &scores, &[k, q])?;
    let products = hide(site, products, inputs, axes.len())?;
    let products = softmax(site, products, axes.len())?;
    let mut y = einsum(site, "context", &combine, &[products, v])?;
    if let Some(gate) = get("gate") {
        let gate = site.map("sigmoid", "Sigmoid", gate)?;
        y = site.binary("gated", "Mul", y, gate)?;
    }
    let y = output(site, layer, (y, query), (heads, value_width), rank)?;
    Ok(results(inputs, y, products))
}

/// The axes that are attended to: all but the batch, the heads and the features, unless they are given.
fn axes(layer: &Layer<'_>, rank: usize) -> Result<Vec<usize>, LoadError> {
    if layer.get("attention_axes").is_none() {
        return Ok((1..rank.saturating_sub(2)).collect());
    }
    let signed = at(rank) - 1;
    let one = |axis: i64| usize::try_from(if axis < 0 { axis + signed } else { axis }).ok();
    let list: Option<Vec<usize>> = layer.ints("attention_axes")?.into_iter().map(one).collect();
    let list = list
        .filter(|list| list.iter().all(|axis| *axis > 0 && *axis + 2 < rank) && !list.is_empty());
    list.ok_or_else(|| layer.error("attends to axes that its query has not"))
}

/// Equations of the scores and of what is made of them, as Keras writes them.
fn equations(rank: usize, axes: &[usize]) -> (String, String) {
    let target: Vec<char> = letters(0, rank).chars().collect();
    let mut fresh = letters(rank, axes.len()).chars().collect::<Vec<_>>().into_iter();
    let batch = |i: &usize| !axes.contains(i) && *i + 1 != rank;
    let source: Vec<char> = (0..rank)
        .map(|i| if axes.contains(&i) { fresh.next().unwrap_or('a') } else { target[i] })
        .collect();
    let mut product: String = (0..rank).filter(batch).map(|i| target[i]).collect();
    product.extend(axes.iter().map(|i| target[*i]));
    product.extend(axes.iter().map(|i| source[*i]));
    let (target, source): (String, String) = (target.iter().collect(), source.iter().collect());
    (format!("{source},{target}->{product}"), format!("{product},{source}->{target}"))
}

/// The projection back to features: as many as the query has, or the shape that is given.
fn output<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    (y, query): (T, T),
    (heads, width): (i64, i64),
    rank: usize,
) -> Result<T, LoadError> {
    let inner = part(site, layer, "output_dense", "attention_output");
    let shape = match layer.get("output_shape") {
        Some(_) => layer.ints("output_shape")?,
        None => vec![0],
    };
    let free = letters(0, rank - 1);
    let (bound, made) = (letters(rank - 1, 2), letters(rank + 1, shape.len()));
    let equation = format!("{free}{bound},{bound}{made}->{free}{made}");
    let size = |n: &i64| if *n > 0 { Size::Is(*n) } else { Size::Axis(-1) };
    let features: Vec<Size> = shape.iter().map(size).collect();
    let sizes: Vec<Size> =
        [Size::Is(heads), Size::Is(width)].into_iter().chain(features.clone()).collect();
    // The number of features is the query's; the product is of `y`.
    let name = site.part(&inner.name);
    let outer = std::mem::replace(&mut site.name, name);
    let kernel = site.variable(&inner, "kernel", query, &sizes)?;
    let biased = layer.flag("use_bias", true);
    let mut z = einsum(site, if biased { "product" } else { "" }, &equation, &[y, kernel])?;
    if biased {
        let bias = site.variable(&inner, "bias", query, &features)?;
        z = site.binary("", "Add", z, bias)?;
    }
    site.name = outer;
    Ok(z)
}

/// Heads of keys and values that several heads of queries share.
fn grouped<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let [query, value, key] = operands(layer, inputs)?;
    let width = layer.size("head_dim")?;
    let (heads, shared) = (layer.size("num_query_heads")?, layer.size("num_key_value_heads")?);
    if heads % shared != 0 {
        return Err(layer.error(format!("has {heads} heads of queries for {shared} of keys")));
    }
    let mut made = Vec::new();
    let gate = layer.flag("use_gate", false).then_some(("gate_dense", "gate", query, heads));
    let all = [
        Some(("query_dense", "query", query, heads)),
        Some(("key_dense", "key", key, shared)),
        gate,
        Some(("value_dense", "value", value, shared)),
    ];
    for (name, short, x, heads) in all.into_iter().flatten() {
        let inner = part(site, layer, name, short);
        let sizes = [Size::Axis(-1), Size::Is(heads), Size::Is(width)];
        made.push((
            short,
            project(site, (layer, &inner), x, "abc,cde->abde", &sizes, &sizes[1..])?,
        ));
    }
    let get = |name: &str| made.iter().find(|(short, _)| *short == name).map(|(_, t)| *t);
    let (Some(q), Some(mut k), Some(mut v)) = (get("query"), get("key"), get("value")) else {
        return Ok(Vec::new());
    };
    if heads != shared {
        k = repeated(site, k, heads / shared, shared)?;
        v = repeated(site, v, heads / shared, shared)?;
    }
    let q = scaled(site, q, width)?;
    let scores = einsum(site, "scores", "bquh,bkuh->buqk", &[q, k])?;
    let scores = hide(site, scores, inputs, 1)?;
    let scores = softmax(site, scores, 1)?;
    let mut y = einsum(site, "context", "buqk,bkuh->bquh", &[scores, v])?;
    if let Some(gate) = get("gate") {
        let gate = site.map("sigmoid", "Sigmoid", gate)?;
        y = site.binary("gated", "Mul", y, gate)?;
    }
    let y = output(site, layer, (y, query), (heads, width), 3)?;
    Ok(results(inputs, y, scores))
}

/// Heads, each as often as it is shared: `[batch, steps, heads, width]`.
fn repeated(site: &mut Site<'_, '_, '_>, x: T, times: i64, heads: i64) -> Result<T, LoadError> {
    let each = site.axes("each", "Unsqueeze", x, &[3])?;
    let shape = site.draft.ints(&[1, 1, 1, times, 1])?;
    let spread = site.one("repeat", Op::onnx("Expand"), &[Some(each.id), Some(shape)])?;
    let shape = site.draft.ints(&[0, 0, heads.saturating_mul(times), -1])?;
    let id = site.one("heads", Op::onnx("Reshape"), &[Some(spread), Some(shape)])?;
    Ok(x.like(id))
}

/// The tensors of a layer that takes `[query, value, key]` as a list.
fn listed(layer: &Layer<'_>, inputs: &Inputs<'_>) -> Result<[T; 3], LoadError> {
    let mut list = Vec::new();
    if let Some(arg) = inputs.args.first() {
        arg.tensors(&mut list);
    }
    match list[..] {
        [query, value] => Ok([*query, *value, *value]),
        [query, value, key, ..] => Ok([*query, *value, *key]),
        _ => Err(layer.error("is called without a query and a value")),
    }
}

/// A single learned number.
fn single<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    name: &str,
    x: T,
) -> Result<T, LoadError> {
    site.variable(layer, name, x, &[Size::Is(1)])
}

fn attention<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let [query, value, key] = listed(layer, inputs)?;
    let scale = if layer.flag("use_scale", false) {
        Some(single(site, layer, "scale", query)?)
    } else {
        None
    };
    if layer.text("score_mode", "dot") == "concat" {
        let weight = single(site, layer, "concat_score_weight", query)?;
        let mut sum = pairs(site, query, key)?;
        if let Some(scale) = scale {
            sum = site.binary("scale", "Mul", sum, scale)?;
        }
        let tanh = site.map("tanh", "Tanh", sum)?;
        let scores = site.reduce("sum", "ReduceSum", tanh, &[-1], false)?;
        let scores = site.binary("weight", "Mul", scores, weight)?;
        return combined(site, inputs, scores, value);
    }
    let rank = key.rank.unwrap_or(3).max(2);
    let mut order: Vec<i64> = (0..at(rank)).collect();
    order.swap(rank - 2, rank - 1);
    let turned = site.transpose("key_t", key, &order)?;
    let mut scores =
        query.like(site.one("scores", Op::onnx("MatMul"), &[Some(query.id), Some(turned.id)])?);
    if let Some(scale) = scale {
        scores = site.binary("scale", "Mul", scores, scale)?;
    }
    combined(site, inputs, scores, value)
}

fn additive<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let [query, value, key] = listed(layer, inputs)?;
    let sum = pairs(site, query, key)?;
    let mut tanh = site.map("tanh", "Tanh", sum)?;
    if layer.flag("use_scale", true) {
        let scale = site.variable(layer, "scale", query, &[Size::Axis(-1)])?;
        tanh = site.binary("scale", "Mul", tanh, scale)?;
    }
    let scores = site.reduce("sum", "ReduceSum", tanh, &[-1], false)?;
    combined(site, inputs, scores, value)
}

/// Each step of the query with each of the key.
fn pairs(site: &mut Site<'_, '_, '_>, query: T, key: T) -> Result<T, LoadError> {
    let rows = site.axes("rows", "Unsqueeze", query, &[-2])?;
    let columns = site.axes("columns", "Unsqueeze", key, &[-3])?;
    site.binary("pairs", "Add", rows, columns)
}

fn combined(site: &mut Site<'_, '_, '_>, inputs: &Inputs<'_>, scores: T, value: T) -> Written {
    let mut scores = scores;
    if inputs.flag("use_causal_mask") {
        scores = hide(site, scores, inputs, 1)?;
    }
    let scores = softmax(site, scores, 1)?;
    let y = scores.like(site.one("", Op::onnx("MatMul"), &[Some(scores.id), Some(value.id)])?);
    Ok(results(inputs, y, scores))
}
