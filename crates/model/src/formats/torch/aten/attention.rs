//! Attention, and the layers of transformers that run as one.

use super::super::super::draft::Op;
use super::super::site::Site;
use super::super::value::{Lowered, Tensor, Value, unable};
use super::contraction::project;
use super::operands::with;
use super::{Args, Row, own, single};

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    own("scaled_dot_product_attention", "Attention", attention), own("_scaled_dot_product_attention", "Attention", with_weights), own("_scaled_dot_product_attention_math", "Attention", with_weights), own("_scaled_dot_product_attention_math_for_mps", "Attention", with_weights),
    own("_scaled_dot_product_flash_attention", "Attention", flash), own("_scaled_dot_product_flash_attention_for_cpu", "Attention", flash_cpu), own("_scaled_dot_product_efficient_attention", "Attention", efficient), own("_scaled_dot_product_cudnn_attention", "Attention", efficient), own("_scaled_dot_product_fused_attention_overrideable", "Attention", overrideable),
    own("_native_multi_head_attention", "Gemm, Attention, Gemm", multi_head), own("_transformer_encoder_layer_fwd", "MatMul, Attention, LayerNormalization, Relu, Gelu", encoder_layer),
];

/// `mask` and `causal` are places of these arguments.
fn attend(
    site: &mut Site<'_, '_>,
    arguments: &Args,
    mask: Option<(usize, &str)>,
    causal: usize,
    scale: usize,
) -> Lowered<Tensor> {
    let q = arguments.tensor(0, "query")?;
    let (k, v) = (arguments.tensor(1, "key")?, arguments.tensor(2, "value")?);
    let mask = match mask {
        Some((at, name)) => arguments.maybe(at, name)?,
        None => None,
    };
    let mut op = Op::onnx("Attention");
    if arguments.flag(causal, "is_causal") {
        op = op.with("is_causal", 1_i64);
    }
    if let Some(scale) = arguments.get(scale, "scale").and_then(Value::as_float) {
        op = op.with("scale", single(scale));
    }
    match q.rank() {
        Some(4) | None => {
            let made = site.emit(op, &[Some(&q), Some(&k), Some(&v), mask.as_ref()])?;
            Ok(made.ranked(Some(4)))
        }
        Some(3) => {
            let (q, k, v) =
                (site.unsqueeze(&q, &[1])?, site.unsqueeze(&k, &[1])?, site.unsqueeze(&v, &[1])?);
            let made = site.emit(op, &[Some(&q), Some(&k), Some(&v), mask.as_ref()])?;
            site.squeeze(&made, &[1])
        }
        Some(2) => {
            let axes = [0, 1];
            let (q, k, v) = (
                site.unsqueeze(&q, &axes)?,
                site.unsqueeze(&k, &axes)?,
                site.unsqueeze(&v, &axes)?,
            );
            let made = site.emit(op, &[Some(&q), Some(&k), Some(&v), mask.as_ref()])?;
            site.squeeze(&made, &axes)
        }
        Some(rank) => folded(site, op, [&q, &k, &v], mask.as_ref(), rank),
    }
}

/// Attention of more than four axes: all before the last three are one batch.
fn folded(
    site: &mut Site<'_, '_>,
    op: Op,
    [q, k, v]: [&Tensor; 3],
    mask: Option<&Tensor>,
    rank: usize,
) -> Lowered<Tensor> {
    let fold = |site: &mut Site<'_, '_>, x: &Tensor| -> Lowered<Tensor> {
        let mut sizes = vec![Value::Int(-1)];
        for axis in [-3, -2, -1] {
            sizes.push(site.size(x, axis)?);
        }
        let shape = site.list(&sizes)?;
        Ok(site.reshape(x, &shape)?.ranked(Some(4)))
    };
    let mut sizes = Vec::new();
    for axis in 0..super::signed(rank) - 1 {
        sizes.push(site.size(q, axis)?);
    }
    sizes.push(site.size(v, -1)?);
    let (q, k, v) = (fold(site, q)?, fold(site, k)?, fold(site, v)?);
    let made = site.emit(op, &[Some(&q), Some(&k), Some(&v), mask])?;
    let shape = site.list(&sizes)?;
    Ok(site.reshape(&made, &shape)?.ranked(Some(rank)))
}

const UNREAD: &str = "what attention returns beside its result is read";

fn beside(made: Tensor, more: usize) -> Value {
    let mut all = vec![Value::Tensor(made)];
    all.extend(std::iter::repeat_n(Value::Absent(UNREAD), more));
    Value::tuple(all)
}

fn attention(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    Ok(Value::Tensor(attend(site, arguments, Some((3, "attn_mask")), 5, 6)?))
}

fn with_weights(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    Ok(beside(attend(site, arguments, Some((3, "attn_mask")), 5, 7)?, 1))
}

fn flash(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    Ok(beside(attend(site, arguments, None, 4, 99)?, 8))
}

fn flash_cpu(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    Ok(beside(attend(site, arguments, Some((99, "attn_mask")), 4, 99)?, 1))
}

fn efficient(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    Ok(beside(attend(site, arguments, Some((3, "attn_bias")), 6, 99)?, 8))
}

fn overrideable(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    Ok(beside(attend(site, arguments, Some((3, "attn_bias")), 5, 99)?, 8))
}

/// The weights of attention as one layer.
struct Heads<'a> {
    count: i64,
    projection: (&'a Tensor, Option<&'a Tensor>),
    output: (&'a Tensor, Option<&'a Tensor>),
    mask: Option<&'a Tensor>,
}

/// Attention of a sequence to itself, or to another.
fn heads(
    site: &mut Site<'_, '_>,
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    heads: &Heads<'_>,
) -> Lowered<Tensor> {
    let (weight, bias) = heads.projection;
    let split = |site: &mut Site<'_, '_>, x: &Tensor, axis: i64| {
        let op = Op::onnx("Split").with("axis", axis).with("num_outputs", 3_i64);
        site.several(op, &[Some(x)], 3)
    };
    let parts = if query.same(key) && query.same(value) {
        let all = project(site, query, weight, bias)?;
        split(site, &all, -1)?
    } else {
        let weights = split(site, weight, 0)?;
        let biases = match bias {
            Some(bias) => split(site, bias, 0)?.into_iter().map(Some).collect(),
            None => vec![None, None, None],
        };
        let mut parts = Vec::new();
        for ((x, weight), bias) in [query, key, value].into_iter().zip(&weights).zip(&biases) {
            parts.push(project(site, x, weight, bias.as_ref())?);
        }
        parts
    };
    let [q, k, v] = &parts[..] else { return unable("the projection has no three parts") };
    let op =
        Op::onnx("Attention").with("q_num_heads", heads.count).with("kv_num_heads", heads.count);
    let made = site.emit(op, &[Some(q), Some(k), Some(v), heads.mask])?;
    project(site, &made, heads.output.0, heads.output.1)
}

fn multi_head(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (q, k, v) =
        (arguments.tensor(0, "query")?, arguments.tensor(1, "key")?, arguments.tensor(2, "value")?);
    let (weight, bias) = (arguments.tensor(5, "qkv_weight")?, arguments.maybe(6, "qkv_bias")?);
    let (output, last) = (arguments.tensor(7, "proj_weight")?, arguments.maybe(8, "proj_bias")?);
    let mask = arguments.maybe(9, "mask")?;
    let layer = Heads {
        count: arguments.int(4, "num_head", 1)?,
        projection: (&weight, bias.as_ref()),
        output: (&output, last.as_ref()),
        mask: mask.as_ref(),
    };
    Ok(beside(heads(site, &q, &k, &v, &layer)?, 1))
}

fn encoder_layer(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.tensor(0, "src")?;
    let (weight, bias) = (arguments.tensor(3, "qkv_weight")?, arguments.maybe(4, "qkv_bias")?);
    let (output, last) = (arguments.tensor(5, "proj_weight")?, arguments.maybe(6, "proj_bias")?);
    let mask = arguments.maybe(18, "mask")?;
    let layer = Heads {
        count: arguments.int(2, "num_heads", 1)?,
        projection: (&weight, bias.as_ref()),
        output: (&output, last.as_ref()),
        mask: mask.as_ref(),
    };
    let norm = |site: &mut Site<'_, '_>, x: &Tensor, at: usize, names: [&str; 2]| {
        let scale = arguments.tensor(at, names[0])?;
        let shift = arguments.maybe(at + 1, names[1])?;
        let op = Op::onnx("LayerNormalization").with("axis", -1_i64);
        site.emit(op, &[Some(x), Some(&scale), shift.as_ref()])
    };
    let first = ["norm_weight_1", "norm_bias_1"];
    let second = ["norm_weight_2", "norm_bias_2"];
    let activation = if arguments.flag(7, "use_gelu") { "Gelu" } else { "Relu" };
    let forward = |site: &mut Site<'_, '_>, x: &Tensor| {
        let (w1, b1) = (arguments.tensor(14, "ffn_weight_1")?, arguments.maybe(15, "ffn_bias_1")?);
        let (w2, b2) = (arguments.tensor(16, "ffn_weight_2")?, arguments.maybe(17, "ffn_bias_2")?);
        let hidden = project(site, x, &w1, b1.as_ref())?;
        let hidden = site.unary(Op::onnx(activation), &hidden)?;
        project(site, &hidden, &w2, b2.as_ref())
    };
    if arguments.flag(8, "norm_first") {
        let normed = norm(site, &x, 10, first)?;
        let attended = heads(site, &normed, &normed, &normed, &layer)?;
        let x = with(site, "Add", &x, &attended)?;
        let normed = norm(site, &x, 12, second)?;
        let fed = forward(site, &normed)?;
        return Ok(Value::Tensor(with(site, "Add", &x, &fed)?));
    }
    let attended = heads(site, &x, &x, &x, &layer)?;
    let x = with(site, "Add", &x, &attended)?;
    let x = norm(site, &x, 10, first)?;
    let fed = forward(site, &x)?;
    let x = with(site, "Add", &x, &fed)?;
    Ok(Value::Tensor(norm(site, &x, 12, second)?))
}
