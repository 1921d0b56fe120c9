//! Sound: spectra of steps, as Keras takes them by convolutions.

use super::super::super::LoadError;
use super::super::super::draft::Op;
use super::super::inputs::Inputs;
use super::super::json::Layer;
use super::super::site::{Site, Size, T};
use super::conv::{Window, convolve};
use super::{Context, Row, Written, input, row};

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("STFTSpectrogram", "Conv, Conv and arithmetic", spectrogram),
];

/// Each channel is a sound of its own: two convolutions with stored kernels, the real and the imaginary part.
fn spectrogram<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?.ranked(Some(3));
    let length = layer.size("frame_length")?;
    let step = layer.int("frame_step")?.filter(|step| *step > 0).unwrap_or((length / 2).max(1));
    let wide = u64::try_from(length).unwrap_or(1).next_power_of_two();
    let wide = layer.int("fft_length")?.unwrap_or(i64::try_from(wide).unwrap_or(length));
    let bins = wide / 2 + 1;
    let mode = layer.text("mode", "log");
    let window = Window {
        kernel: vec![length],
        strides: vec![step],
        dilations: vec![1],
        padding: layer.text("padding", "valid").to_lowercase(),
        first: false,
    };
    let alone = alone(site, layer, x)?;
    let mut parts = Vec::new();
    for (name, away) in [("real_kernel", "imag"), ("imag_kernel", "real")] {
        if mode != away {
            let sizes = [Size::Is(length), Size::Is(1), Size::Is(bins)];
            let kernel = site.variable(layer, name, x, &sizes)?;
            parts.push(convolve(site, name, (alone, kernel, None), &window, 1)?);
        }
    }
    let y = match parts[..] {
        [real, imaginary] => combined(site, mode, real, imaginary)?,
        [one] => one,
        _ => return Err(layer.error(format!("has the mode `{mode}`"))),
    };
    together(site, layer, x, y)
}

/// `[batch · channels, steps, 1]`.
fn alone(site: &mut Site<'_, '_, '_>, layer: &Layer<'_>, x: T) -> Result<T, LoadError> {
    let first = layer.channels_first();
    let turned = if first { x } else { site.transpose("channels", x, &[0, 2, 1])? };
    let (all, one) = (site.draft.ints(&[-1])?, site.draft.ints(&[1])?);
    let steps = site.sizes_of(turned, 2, None)?;
    let shape = site.joined(&[all, steps, one])?;
    let id = site.one("sounds", Op::onnx("Reshape"), &[Some(turned.id), Some(shape)])?;
    Ok(x.like(id))
}

fn combined(
    site: &mut Site<'_, '_, '_>,
    mode: &str,
    real: T,
    imaginary: T,
) -> Result<T, LoadError> {
    match mode {
        "stft" => return site.concat("parts", &[real, imaginary], -1),
        "angle" => {
            let ratio = site.binary("ratio", "Div", imaginary, real)?;
            return site.map("angle", "Atan", ratio);
        }
        _ => {}
    }
    let (a, b) = (
        site.binary("square", "Mul", real, real)?,
        site.binary("square", "Mul", imaginary, imaginary)?,
    );
    let power = site.binary("power", "Add", a, b)?;
    match mode {
        "log" => site.map("log", "Log", power),
        "magnitude" => site.map("magnitude", "Sqrt", power),
        _ => Ok(power),
    }
}

/// The sounds as channels again: `[batch, steps, channels · bins]`, or with the channels apart.
fn together(site: &mut Site<'_, '_, '_>, layer: &Layer<'_>, x: T, y: T) -> Written {
    let first = layer.channels_first();
    let all = site.draft.ints(&[-1])?;
    let channels = if first { site.sizes_of(x, 1, Some(2))? } else { site.sizes_of(x, 2, None)? };
    let rest = site.sizes_of(y, 1, None)?;
    let shape = site.joined(&[all, channels, rest])?;
    let id = site.one("together", Op::onnx("Reshape"), &[Some(y.id), Some(shape)])?;
    // [batch, channels, steps, bins]
    let y = y.ranked(Some(4)).like(id);
    if layer.flag("expand_dims", false) {
        return Ok(vec![if first { y } else { site.transpose("", y, &[0, 2, 3, 1])? }]);
    }
    let order = if first { [0, 1, 3, 2] } else { [0, 2, 1, 3] };
    let y = site.transpose("order", y, &order)?;
    if first {
        let steps = site.sizes_of(y, 3, None)?;
        let (batch, all) = (site.sizes_of(y, 0, Some(1))?, site.draft.ints(&[-1])?);
        let shape = site.joined(&[batch, all, steps])?;
        let id = site.one("", Op::onnx("Reshape"), &[Some(y.id), Some(shape)])?;
        return Ok(vec![y.ranked(Some(3)).like(id)]);
    }
    Ok(vec![site.reshape("", y, &[0, 0, -1])?])
}
