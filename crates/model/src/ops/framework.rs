//! `rooflens`: operators of other frameworks that ONNX has none for, beside those of images.

use super::Class::{Elementwise, Movement, View};
use super::context::{OpCx, OpError, invalid};
use super::sequence::sequence;
use super::shape::{axis, broadcast};
use super::{Effect, Op};
use crate::dim::Dim;
use crate::ir::{DType, OWN_DOMAIN, Sequence, Shape, TensorInfo};

#[rustfmt::skip]
pub(super) const OPS: &[Op] = &[
    own("CropAndResize", Movement, crop_and_resize).inputs(4, 4).formula("10·|y|; 0 nearest"),
    own("Data", Movement, data).formula("0: texts, tables and files; sizes are data"),
    own("Elementwise", Elementwise, elementwise).inputs(1, usize::MAX).formula("as its attributes say, for each element of |y|"),
    own("Fourier", super::Class::MatrixProduct, fourier).inputs(1, 2).formula("5·|y|·⌈log2 n⌉ per axis, half for real signals").weights("-c"),
    own("Patches", Movement, patches).inputs(1, 1),
    own("SequenceReserve", View, reserve).inputs(1, 1).weights("c"),
    own("SequenceSet", View, set).inputs(3, 3).weights(">c>"),
    own("Shaped", Movement, shaped).formula("as its attributes say, for each element of x").weights(">c"),
    own("Spectrogram", super::Class::MatrixProduct, spectrogram).inputs(1, 1).formula("frames × (window + DFT)"),
];

const fn own(name: &'static str, class: super::Class, effect: super::EffectFn) -> Op {
    Op::new(name, class, effect).domain(OWN_DOMAIN)
}

/// The type that the attribute names.
fn named(cx: &OpCx<'_>) -> Result<Option<DType>, OpError> {
    Ok(cx.attrs().int("dtype")?.and_then(|n| DType::from_onnx(i32::try_from(n).ok()?)))
}

/// So many operations, transcendental functions and comparisons an element of what the inputs broadcast to.
fn elementwise(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shapes: Vec<&Shape> =
        (0..cx.inputs.len()).map(|p| cx.shape(p)).collect::<Result<_, _>>()?;
    let shape = broadcast(cx, shapes.iter().map(|s| s.as_slice()))?;
    let output = TensorInfo::new(named(cx)?.or(cx.dtype(0)), shape);
    let n = output.elements().unwrap_or_default();
    let each = |name: &str| cx.attrs().int_or(name, 0).map(|k| n.clone() * Dim::from(k.max(0)));
    Ok(Effect::one(output)
        .other(each("other")?)
        .transcendentals(each("transcendental")?)
        .comparisons(each("comparison")?))
}

/// A sequence of so many elements that nobody has set yet: until then they hold nothing.
fn reserve(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let length = match cx.ints(0)?.first() {
        Some(length) => length.maximum(&Dim::ZERO),
        None => return invalid!("no length"),
    };
    let element = TensorInfo::new(named(cx)?, vec![Dim::ZERO]);
    Ok(Effect::one(Sequence { elements: None, element, length }.into()).free(1))
}

/// A sequence with another element at a place: written over, not copied.
fn set(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (s, new) = (sequence(cx, 0)?, cx.input(2)?);
    let new = TensorInfo { value: None, constant: false, ..new.clone() };
    let at = cx.input(1)?.const_ints().and_then(|at| usize::try_from(*at.first()?).ok());
    if let (Some(elements), Some(at)) = (&s.elements, at) {
        let mut elements = elements.clone();
        if let Some(slot) = elements.get_mut(at) {
            *slot = new;
            return Ok(Effect::one(TensorInfo::sequence_of(elements)).free(3));
        }
    }
    let fresh = s.element.elements().is_none_or(|n| n.is_zero());
    let element = if fresh { new } else { s.element.join(&new) };
    let sequence = Sequence { elements: None, element, length: s.length.clone() };
    Ok(Effect::one(sequence.into()).free(3))
}

/// Texts, tables and files: outputs of the types `dtypes`. An output has the shape of the input that `like` names for
/// it, or as many axes as `ranks` says, their sizes in turn in `sizes`: −1 is a data-dependent size, −2−a that of
/// axis a of input 0.
fn data(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let list = |name: &str| cx.attrs().ints(name).map(|l| l.unwrap_or(&[]).to_vec());
    let (types, like) = (list("dtypes")?, list("like")?);
    let (ranks, sizes) = (list("ranks")?, list("sizes")?);
    let mut rest = sizes.iter();
    let mut outputs = Vec::new();
    for at in 0..cx.output_count() {
        let dtype = types.get(at).and_then(|n| DType::from_onnx(i32::try_from(*n).ok()?));
        let source = like.get(at).and_then(|port| usize::try_from(*port).ok());
        let shape = match source {
            Some(port) => cx.shape(port)?.clone(),
            None => {
                let rank = ranks.get(at).and_then(|r| usize::try_from(*r).ok()).unwrap_or(0);
                let mut shape = Shape::new();
                for n in rest.by_ref().take(rank) {
                    shape.push(match n {
                        0.. => Dim::from(*n),
                        -1 => (cx.fresh)("size", None),
                        _ => {
                            let x = cx.shape(0)?;
                            x[axis(-2 - n.max(&-64), x.len())?].clone()
                        }
                    });
                }
                shape
            }
        };
        outputs.push(TensorInfo::new(dtype, shape));
    }
    Ok(Effect::of(outputs))
}

/// A tensor of another shape, entries of `sizes`: n ≥ 0 is a size, −1−a is that of axis a of input 0. `other` and
/// `transcendental` operations an element of input 0.
fn shaped(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let x = cx.shape(0)?;
    let sizes = cx.attrs().ints("sizes")?.unwrap_or(&[]);
    let mut shape = Shape::with_capacity(sizes.len());
    for size in sizes {
        shape.push(match size {
            0.. => Dim::from(*size),
            _ => x[axis(-1 - size.max(&-64), x.len())?].clone(),
        });
    }
    let output = TensorInfo::new(named(cx)?.or(cx.dtype(0)), shape);
    let n = cx.elements(0)?;
    let each = |name: &str| cx.attrs().int_or(name, 0).map(|k| n.clone() * Dim::from(k.max(0)));
    Ok(Effect::one(output).other(each("other")?).transcendentals(each("transcendental")?))
}

/// `image: [N, H, W, C]`, `boxes: [R, 4]` → `[R, h, w, C]`; input 3 is `[h, w]`.
fn crop_and_resize(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (image, boxes, size) = (cx.shape(0)?, cx.shape(1)?, cx.ints(3)?);
    let ([_, _, _, channels], [count, _], [h, w]) = (&image[..], &boxes[..], &size[..]) else {
        return invalid!("an image of rank {} and {} sizes", image.len(), size.len());
    };
    let output = cx.like(vec![count.clone(), h.clone(), w.clone(), channels.clone()]);
    let n = output.elements().unwrap_or_default();
    let each = if cx.attrs().str("mode")? == Some("nearest") { 0 } else { 10 };
    Ok(Effect::one(output).other(n * Dim::from(each)).reads(3, Dim::ZERO))
}

/// `[N, H, W, C]` → the windows over it, `[N, h, w, kh·kw·C]`.
fn patches(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let kernel = cx.attrs().dims("kernel_shape")?.unwrap_or_default();
    let rank = shape.len();
    if rank < 3 || kernel.len() + 2 != rank {
        return invalid!("windows of {} axes over rank {rank}", kernel.len());
    }
    let window = super::shape::Window::read(cx, kernel.clone())?;
    let places = window.output(&shape[1..rank - 1])?;
    let depth = shape[rank - 1].clone() * kernel.iter().product();
    let output: Shape = std::iter::once(shape[0].clone()).chain(places).chain([depth]).collect();
    Ok(Effect::one(cx.like(output)))
}

/// ⌈log2 n⌉, of a size that is a number.
fn log2(n: &Dim) -> Option<u32> {
    let n = u64::try_from(n.as_const()?).ok().filter(|n| *n > 0)?;
    Some(n.next_power_of_two().trailing_zeros())
}

/// Fourier transforms over the last `axes` axes. Of `real` signals half the spectrum is kept along the last one;
/// input 1 has the lengths of the signals.
fn fourier(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut shape = cx.shape(0)?.clone();
    let axes = usize::try_from(cx.attrs().int_or("axes", 1)?).unwrap_or(1);
    let (real, inverse) = (cx.attrs().flag("real")?, cx.attrs().flag("inverse")?);
    let Some(first) = shape.len().checked_sub(axes).filter(|_| axes > 0) else {
        return invalid!("{axes} axes of a tensor of rank {}", shape.len());
    };
    let lengths = if cx.optional(1).is_some() { cx.ints(1)? } else { shape[first..].to_vec() };
    if lengths.len() != axes {
        return invalid!("{} lengths for {axes} axes", lengths.len());
    }
    shape[first..].clone_from_slice(&lengths);
    let whole: Dim = shape.iter().product();
    if let (true, false, Some(last)) = (real, inverse, shape.last_mut()) {
        *last = last.floor_div(&Dim::from(2)) + Dim::ONE;
    }
    let steps = lengths.iter().map(log2).sum::<Option<u32>>();
    let steps = steps.ok_or_else(|| OpError::Unsupported("a transform of open length".into()))?;
    let each = whole * Dim::from(5 * steps);
    let cost = if real { each.ceil_div(&Dim::from(2)) } else { each };
    Ok(Effect::one(TensorInfo::new(named(cx)?, shape)).other(cost))
}

/// `[samples, channels]` → `[channels, frames, bins]`: windows of `window` samples every `stride`, their spectra.
fn spectrogram(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (window, stride) = (cx.attrs().int_or("window", 1)?, cx.attrs().int_or("stride", 1)?);
    let [samples, channels] = &cx.shape(0)?[..] else {
        return invalid!("samples without channels");
    };
    let Some(length) = u64::try_from(window).ok().filter(|w| *w > 0 && *w < 1 << 40 && stride > 0)
    else {
        return invalid!("windows of {window} every {stride}");
    };
    let points = length.next_power_of_two();
    let free = samples.clone() - Dim::from(window);
    let frames = (free.floor_div(&Dim::from(stride)) + Dim::ONE).maximum(&Dim::ZERO);
    let bins = Dim::from(points / 2 + 1);
    let each = length + points * u64::from(points.trailing_zeros()) * 5 / 2;
    let count = channels.clone() * frames.clone();
    let output = cx.like(vec![channels.clone(), frames, bins]);
    Ok(Effect::one(output).other(count * Dim::from(each)))
}
