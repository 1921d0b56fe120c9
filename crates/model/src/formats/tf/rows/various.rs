//! Boxes, windows, signals, random numbers and cells of recurrent networks.

use super::{Call, Lowered, Row, by};
use crate::formats::LoadError;
use crate::formats::draft::Op;
use crate::formats::tf::control::cast;
use crate::formats::tf::value::Val;
use crate::ir::{DType, ValueId};

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    by("AdjustContrastv2", "rooflens.Elementwise", |c| c.first_of(3, 0)),
    by("AdjustHue", "rooflens.Elementwise", |c| c.first_of(14, 6)),
    by("AdjustSaturation", "rooflens.Elementwise", |c| c.first_of(14, 6)),
    by("AudioSpectrogram", "rooflens.Spectrogram", spectrogram),
    by("BatchToSpaceND", "rooflens.BatchToSpace", |c| blocks(c, "BatchToSpace")),
    by("BroadcastArgs", "Max", |c| c.one_of("Max", 2)),
    by("CropAndResize", "rooflens.CropAndResize", crop),
    by("ExtractImagePatches", "rooflens.Patches", patches),
    by("FFT", "rooflens.Fourier", |c| fourier(c, 1, false, false)),
    by("FFT2D", "rooflens.Fourier", |c| fourier(c, 2, false, false)),
    by("FFT3D", "rooflens.Fourier", |c| fourier(c, 3, false, false)),
    by("GRUBlockCell", "MatMul, gates", gru_cell),
    by("HSVToRGB", "rooflens.Elementwise", |c| c.first_of(7, 2)),
    by("IFFT", "rooflens.Fourier", |c| fourier(c, 1, false, true)),
    by("IFFT2D", "rooflens.Fourier", |c| fourier(c, 2, false, true)),
    by("IFFT3D", "rooflens.Fourier", |c| fourier(c, 3, false, true)),
    by("IRFFT", "rooflens.Fourier", |c| fourier(c, 1, true, true)),
    by("IRFFT2D", "rooflens.Fourier", |c| fourier(c, 2, true, true)),
    by("LSTMBlockCell", "MatMul, gates", lstm_cell),
    by("LinSpace", "Range, Mul, Add", evenly),
    by("MatrixBandPart", "rooflens.Elementwise", |c| c.first_of(0, 0)),
    by("Mfcc", "rooflens.Shaped", cepstrum),
    by("NonMaxSuppression", "NonMaxSuppression", suppress),
    by("NonMaxSuppressionV2", "NonMaxSuppression", suppress),
    by("NonMaxSuppressionV3", "NonMaxSuppression", suppress),
    by("NonMaxSuppressionV4", "NonMaxSuppression", suppress),
    by("NonMaxSuppressionV5", "NonMaxSuppression", suppress),
    by("RFFT", "rooflens.Fourier", |c| fourier(c, 1, true, false)),
    by("RFFT2D", "rooflens.Fourier", |c| fourier(c, 2, true, false)),
    by("RGBToHSV", "rooflens.Elementwise", |c| c.first_of(5, 4)),
    by("RandomStandardNormal", "RandomNormalLike", |c| draw(c, "RandomNormalLike", 0)),
    by("RandomUniform", "RandomUniformLike", |c| draw(c, "RandomUniformLike", 0)),
    by("RandomUniformInt", "RandomUniformLike", |c| draw(c, "RandomUniformLike", 0)),
    by("Roll", "rooflens.Elementwise", |c| c.first_of(0, 0)),
    by("SpaceToBatchND", "rooflens.SpaceToBatch", |c| blocks(c, "SpaceToBatch")),
    by("StatelessRandomNormal", "RandomNormalLike", |c| draw(c, "RandomNormalLike", 0)),
    by("StatelessRandomNormalV2", "RandomNormalLike", |c| draw(c, "RandomNormalLike", 0)),
    by("StatelessRandomUniform", "RandomUniformLike", |c| draw(c, "RandomUniformLike", 0)),
    by("StatelessRandomUniformV2", "RandomUniformLike", |c| draw(c, "RandomUniformLike", 0)),
    by("TruncatedNormal", "RandomNormalLike", |c| draw(c, "RandomNormalLike", 0)),
    by("Unique", "Unique", unique),
    by("UniqueV2", "Unique", unique),
    by("UniqueWithCounts", "Unique", unique),
];

impl Call<'_, '_, '_> {
    /// So many operations and comparisons an element of the first input.
    fn first_of(&mut self, other: i64, comparison: i64) -> Lowered {
        self.inputs.truncate(1);
        self.each(other, 0, comparison)
    }
}

fn spectrogram(call: &mut Call<'_, '_, '_>) -> Lowered {
    let x = call.x(0)?;
    let size = |name: &str| call.def.int(name).unwrap_or(1);
    let op = Op::own("Spectrogram").with("window", size("window_size"));
    let op = op.with("stride", size("stride"));
    Ok(vec![Val::here(call.end(op, &[x])?).ranked(3)])
}

/// Bins are added up in some forty bands, whose logarithms a cosine transform turns to a few numbers.
fn cepstrum(call: &mut Call<'_, '_, '_>) -> Lowered {
    let x = call.x(0)?;
    let count = call.def.int("dct_coefficient_count").unwrap_or(13);
    let op = Op::own("Shaped").with("sizes", vec![-1, -2, count.max(0)]).with("other", 6_i64);
    Ok(vec![Val::here(call.end(op, &[x])?).ranked(3)])
}

fn blocks(call: &mut Call<'_, '_, '_>, name: &str) -> Lowered {
    let rank = call.val(0).rank;
    let inputs = [call.x(0)?, call.list(1)?, call.whole(2)?];
    Ok(vec![Val::here(call.end(Op::own(name), &inputs)?).ranked(rank)])
}

fn crop(call: &mut Call<'_, '_, '_>) -> Lowered {
    let inputs = [call.x(0)?, call.x(1)?, call.x(2)?, call.list(3)?];
    let nearest = call.def.text("method").as_deref() == Some("nearest");
    let op = Op::own("CropAndResize").with("mode", if nearest { "nearest" } else { "linear" });
    Ok(vec![Val::here(call.end(op, &inputs)?).ranked(4).typed(Some(DType::F32))])
}

fn patches(call: &mut Call<'_, '_, '_>) -> Lowered {
    let x = call.x(0)?;
    let spatial = |name: &str| {
        let all = call.def.ints(name).unwrap_or_default();
        [1, 2].map(|at| all.get(at).copied().unwrap_or(1)).to_vec()
    };
    let op = Op::own("Patches").with("kernel_shape", spatial("ksizes"));
    let op = op.with("strides", spatial("strides")).with("dilations", spatial("rates"));
    let same = call.def.text("padding").as_deref() == Some("SAME");
    let op = if same { op.with("auto_pad", "SAME_UPPER") } else { op };
    Ok(vec![Val::here(call.end(op, &[x])?).ranked(4)])
}

fn fourier(call: &mut Call<'_, '_, '_>, axes: i64, real: bool, inverse: bool) -> Lowered {
    let rank = call.val(0).rank;
    let mut inputs = vec![call.x(0)?];
    if real {
        inputs.push(call.list(1)?);
    }
    let double = matches!(call.val(0).dtype, Some(DType::F64 | DType::C128));
    let dtype = match (real && inverse, double) {
        (true, false) => DType::F32,
        (true, true) => DType::F64,
        (false, false) => DType::C64,
        (false, true) => DType::C128,
    };
    let op = Op::own("Fourier").with("axes", axes).with("real", real).with("inverse", inverse);
    let op = op.with("dtype", i64::from(dtype.onnx()));
    Ok(vec![Val::here(call.end(op, &inputs)?).ranked(rank).typed(Some(dtype))])
}

/// Boxes and scores of one image and one class; the positions of the boxes that are kept.
fn suppress(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (boxes, scores, most) = (call.x(0)?, call.x(1)?, call.whole(2)?);
    let image = call.cx.draft.ints(&[0])?;
    let class = call.cx.draft.ints(&[0, 1])?;
    let boxes = call.put("boxes", Op::onnx("Unsqueeze"), &[boxes, image])?;
    let lists = call.put("scores", Op::onnx("Unsqueeze"), &[scores, class])?;
    let mut inputs = vec![boxes, lists, most];
    for port in 3..call.inputs.len().min(5) {
        inputs.push(call.x(port)?);
    }
    let kept = call.put("kept", Op::onnx("NonMaxSuppression"), &inputs)?;
    let column = call.cx.draft.int(2)?;
    let at = call.put("places", Op::onnx("Gather").with("axis", 1_i64), &[kept, column])?;
    let places = call.end(cast(DType::I32), &[at])?;
    let mut found = vec![Val::here(places).ranked(1).typed(Some(DType::I32))];
    if call.def.op == "NonMaxSuppressionV5" {
        let kept =
            call.put("kept_scores", Op::onnx("Gather").with("axis", 0_i64), &[scores, at])?;
        found.push(Val::here(kept).ranked(1).typed(call.val(1).dtype));
    }
    if call.outputs > found.len() {
        let count = call.put("count", Op::onnx("Size"), &[at])?;
        let count = call.put("valid", cast(DType::I32), &[count])?;
        found.push(Val::here(count).ranked(0).typed(Some(DType::I32)));
    }
    Ok(found)
}

fn draw(call: &mut Call<'_, '_, '_>, name: &str, shape: usize) -> Lowered {
    let rank = call.val(shape).length;
    let dtype = call.def.dtype("dtype").or_else(|| call.def.dtype("Tout")).unwrap_or(DType::F32);
    let shape = call.list(shape)?;
    let zeros = Op::onnx("ConstantOfShape").with("value", super::shapes::fill(dtype, 0));
    let zeros = call.put("zeros", zeros, &[shape])?;
    Ok(vec![Val::here(call.end(Op::onnx(name), &[zeros])?).ranked(rank).typed(Some(dtype))])
}

fn evenly(call: &mut Call<'_, '_, '_>) -> Lowered {
    let Some(count) = call.val(2).int().filter(|n| *n > 0) else { return call.foreign() };
    let (start, stop) = (call.x(0)?, call.x(1)?);
    let dtype = call.val(0).dtype.unwrap_or(DType::F32);
    let (zero, most, one) =
        (call.cx.draft.int(0)?, call.cx.draft.int(count)?, call.cx.draft.int(1)?);
    let steps = call.put("steps", Op::onnx("Range"), &[zero, most, one])?;
    let steps = call.put("numbers", cast(dtype), &[steps])?;
    let last = call.cx.draft.int((count - 1).max(1))?;
    let last = call.put("last", cast(dtype), &[last])?;
    let way = call.put("way", Op::onnx("Sub"), &[stop, start])?;
    let step = call.put("step", Op::onnx("Div"), &[way, last])?;
    let along = call.put("along", Op::onnx("Mul"), &[steps, step])?;
    Ok(vec![Val::here(call.end(Op::onnx("Add"), &[along, start])?).ranked(1)])
}

fn unique(call: &mut Call<'_, '_, '_>) -> Lowered {
    let x = call.x(0)?;
    let mut op = Op::onnx("Unique").with("sorted", 0_i64);
    let mut rank = Some(1);
    if call.inputs.len() > 1 {
        let axes = call.val(1).ints().map(<[i64]>::to_vec);
        match axes.as_deref() {
            Some([]) => {}
            Some([axis]) => {
                op = op.with("axis", *axis);
                rank = call.val(0).rank;
            }
            _ => return call.foreign(),
        }
    }
    let made = call.cx.draft.many(&call.def.name, op, &[Some(x)], 4)?;
    let kind = call.def.dtype("out_idx").unwrap_or(DType::I32);
    let mut found = vec![Val::here(made[0]).ranked(rank).typed(call.val(0).dtype)];
    for id in made.into_iter().skip(2) {
        let id = if kind == DType::I64 { id } else { call.put("index", cast(kind), &[id])? };
        found.push(Val::here(id).ranked(1).typed(Some(kind)));
    }
    Ok(found)
}

/// A product of an input beside a state, with a bias.
fn gates(
    call: &mut Call<'_, '_, '_>,
    pair: [ValueId; 2],
    w: ValueId,
    b: ValueId,
) -> Result<ValueId, LoadError> {
    let both = call.put("both", Op::onnx("Concat").with("axis", 1_i64), &pair)?;
    let product = call.put("product", Op::onnx("MatMul"), &[both, w])?;
    call.put("gates", Op::onnx("Add"), &[product, b])
}

fn parts(call: &mut Call<'_, '_, '_>, x: ValueId, count: usize) -> Result<Vec<ValueId>, LoadError> {
    let op = Op::onnx("Split").with("axis", 1_i64);
    let op = op.with("num_outputs", i64::try_from(count).unwrap_or(1));
    let name = format!("{}/parts", call.def.name);
    call.cx.draft.many(&name, op, &[Some(x)], count)
}

/// Inputs: x, cell and hidden state, w, three peepholes, b. Outputs: i, cell, f, o, input, activated cell, h.
fn lstm_cell(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (x, cell, state) = (call.x(0)?, call.x(1)?, call.x(2)?);
    let (w, b) = (call.x(3)?, call.x(7)?);
    let all = gates(call, [x, state], w, b)?;
    let split = parts(call, all, 4)?;
    let sigmoid = |call: &mut Call<'_, '_, '_>, id| call.put("gate", Op::onnx("Sigmoid"), &[id]);
    let i = sigmoid(call, split[0])?;
    let new = call.put("new", Op::onnx("Tanh"), &[split[1]])?;
    let f = sigmoid(call, split[2])?;
    let o = sigmoid(call, split[3])?;
    let kept = call.put("kept", Op::onnx("Mul"), &[f, cell])?;
    let added = call.put("added", Op::onnx("Mul"), &[i, new])?;
    let next = call.put("cell", Op::onnx("Add"), &[kept, added])?;
    let curved = call.put("curved", Op::onnx("Tanh"), &[next])?;
    let h = call.end(Op::onnx("Mul"), &[o, curved])?;
    let outputs = [i, next, f, o, new, curved, h];
    Ok(outputs.into_iter().map(|id| Val::here(id).ranked(2)).collect())
}

/// Inputs: x, state, weights and biases of both gates, and of the candidate. Outputs: r, u, c, h.
fn gru_cell(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (x, state) = (call.x(0)?, call.x(1)?);
    let (w, candidate) = (call.x(2)?, call.x(3)?);
    let (b, c) = (call.x(4)?, call.x(5)?);
    let both = gates(call, [x, state], w, b)?;
    let both = call.put("gate", Op::onnx("Sigmoid"), &[both])?;
    let split = parts(call, both, 2)?;
    let (r, u) = (split[0], split[1]);
    let reset = call.put("reset", Op::onnx("Mul"), &[r, state])?;
    let new = gates(call, [x, reset], candidate, c)?;
    let new = call.put("new", Op::onnx("Tanh"), &[new])?;
    let difference = call.put("difference", Op::onnx("Sub"), &[state, new])?;
    let kept = call.put("kept", Op::onnx("Mul"), &[u, difference])?;
    let h = call.end(Op::onnx("Add"), &[kept, new])?;
    Ok([r, u, new, h].into_iter().map(|id| Val::here(id).ranked(2)).collect())
}
