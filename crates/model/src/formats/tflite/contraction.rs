//! Convolutions, products, pools: images have channels last, filters are turned to the order of ONNX.

use super::site::{Made, Site};
use crate::dim::Dim;
use crate::formats::LoadError;
use crate::formats::draft::Op;
use crate::ir::ValueId;

/// `Padding`: all that a stride needs, or none.
fn auto_pad(valid: bool) -> &'static str {
    if valid { "VALID" } else { "SAME_UPPER" }
}

impl Site<'_, '_, '_> {
    /// An operator with padding in option 0 and strides in these options, outermost first.
    fn windowed(&self, op: &str, strides: &[usize]) -> Result<Op, LoadError> {
        let padding = auto_pad(self.option(0, 0_i8)? == 1);
        let op = Op::own(op).with("auto_pad", padding);
        Ok(op.with("strides", self.steps(strides)?))
    }

    /// Sizes in these options, of which zero, as of tables that are absent, is one.
    fn steps(&self, fields: &[usize]) -> Result<Vec<i64>, LoadError> {
        let one = |field: &usize| Ok(self.option(*field, 1_i32)?.max(1).into());
        fields.iter().map(one).collect()
    }

    /// The attribute of products of integers between floats.
    fn marked(&self, op: Op, x: usize, w: usize) -> Op {
        if self.is_hybrid(x, w) { op.with("hybrid", true) } else { op }
    }

    fn convolution(&mut self, op: Op, filter: &[i64], activation: usize) -> Made {
        let (x, w, bias) = (self.input(0)?, self.input(1)?, self.optional(2)?);
        let w = self.turned(w, filter)?;
        let op = self.marked(op, 0, 1);
        let y = self.node(op.with("group", 0_i64), &[Some(x), Some(w), bias])?;
        Ok(Some(vec![self.activated(y, activation)?]))
    }

    /// The shape of the output, a filter, x, a bias.
    fn transposed_convolution(&mut self, op: Op, filter: &[i64], activation: usize) -> Made {
        let (shape, w) = (self.input(0)?, self.input(1)?);
        let (x, bias) = (self.input(2)?, self.optional(3)?);
        let w = self.turned(w, filter)?;
        let op = self.marked(op, 2, 1);
        let y = self.node(op, &[Some(x), Some(w), bias, Some(shape)])?;
        Ok(Some(vec![self.activated(y, activation)?]))
    }
}

pub(super) fn conv_2d(site: &mut Site<'_, '_, '_>) -> Made {
    let op = site.windowed("Conv", &[2, 1])?.with("dilations", site.steps(&[5, 4])?);
    site.convolution(op, &[0, 3, 1, 2], 3)
}

pub(super) fn depthwise(site: &mut Site<'_, '_, '_>) -> Made {
    let op = site.windowed("Conv", &[2, 1])?.with("dilations", site.steps(&[6, 5])?);
    site.convolution(op, &[3, 0, 1, 2], 4)
}

pub(super) fn conv_3d(site: &mut Site<'_, '_, '_>) -> Made {
    let op = site.windowed("Conv", &[1, 3, 2])?.with("dilations", site.steps(&[5, 7, 6])?);
    site.convolution(op, &[4, 3, 0, 1, 2], 4)
}

pub(super) fn transpose_conv(site: &mut Site<'_, '_, '_>) -> Made {
    let op = site.windowed("ConvTranspose", &[2, 1])?;
    site.transposed_convolution(op, &[3, 0, 1, 2], 3)
}

pub(super) fn conv_3d_transpose(site: &mut Site<'_, '_, '_>) -> Made {
    let op = site.windowed("ConvTranspose", &[1, 3, 2])?;
    let op = op.with("dilations", site.steps(&[5, 7, 6])?);
    site.transposed_convolution(op, &[4, 3, 0, 1, 2], 4)
}

/// `MediaPipe`'s: x, filter OHWI, bias; padding and strides as three numbers.
pub(super) fn transpose_conv_with_bias(site: &mut Site<'_, '_, '_>) -> Made {
    let Some(&[padding, width, height]) = numbers(site.op.custom_options).first_chunk() else {
        return Ok(None);
    };
    let (x, w, bias) = (site.input(0)?, site.input(1)?, site.optional(2)?);
    let w = site.turned(w, &[3, 0, 1, 2])?;
    let op = Op::own("ConvTranspose").with("auto_pad", auto_pad(padding == 2));
    let op = op.with("strides", vec![height.max(1), width.max(1)]);
    Ok(Some(vec![site.node(op, &[Some(x), Some(w), bias])?]))
}

/// The first numbers of options that are a structure of 32-bit integers.
pub(super) fn numbers(bytes: &[u8]) -> Vec<i64> {
    let words = bytes.chunks_exact(4).take(8).filter_map(|word| word.first_chunk());
    words.map(|word| i32::from_le_bytes(*word).into()).collect()
}

fn pool(site: &mut Site<'_, '_, '_>, op: &str) -> Made {
    let x = site.input(0)?;
    let op = site.windowed(op, &[2, 1])?.with("kernel_shape", site.steps(&[4, 3])?);
    let op = if site.op.name.starts_with("L2") { op.with("p", 2_i64) } else { op };
    let y = site.node(op, &[Some(x)])?;
    Ok(Some(vec![site.activated(y, 5)?]))
}

pub(super) fn average_pool(site: &mut Site<'_, '_, '_>) -> Made {
    pool(site, "AveragePool")
}

pub(super) fn max_pool(site: &mut Site<'_, '_, '_>) -> Made {
    pool(site, "MaxPool")
}

pub(super) fn l2_pool(site: &mut Site<'_, '_, '_>) -> Made {
    pool(site, "LpPool")
}

/// `MediaPipe`'s: padding, strides and window as five numbers; values and where they lay.
pub(super) fn max_pool_with_places(site: &mut Site<'_, '_, '_>) -> Made {
    let options = numbers(site.op.custom_options);
    let Some(&[padding, width, height, across, down]) = options.first_chunk() else {
        return Ok(None);
    };
    let x = site.input(0)?;
    let op = Op::own("MaxPool").with("auto_pad", auto_pad(padding == 2));
    let op = op.with("strides", vec![height.max(1), width.max(1)]);
    let op = op.with("kernel_shape", vec![down.max(1), across.max(1)]);
    site.nodes(op, &[Some(x)], 2).map(Some)
}

/// x is taken as rows of as many numbers as a row of the weights has, unless it keeps its axes.
pub(super) fn fully_connected(site: &mut Site<'_, '_, '_>) -> Made {
    let (x, w, bias) = (site.input(0)?, site.input(1)?, site.optional(2)?);
    let Some(&[units, width]) = site.tensor(1).and_then(|w| w.shape.first_chunk()) else {
        return Ok(None);
    };
    let rank = site.rank(0);
    let rows = if rank == 2 { x } else { site.reshaped(x, &[-1, width.into()])? };
    let op = site.marked(Op::onnx("Gemm").with("transB", true), 0, 1);
    let mut y = site.node(op, &[Some(rows), Some(w), bias])?;
    if rank != 2 && site.flag(2)? {
        y = ended(site, x, y, units.into())?;
    }
    Ok(Some(vec![site.activated(y, 0)?]))
}

/// Rows `y` with the axes of `x` before the last.
fn ended(
    site: &mut Site<'_, '_, '_>,
    x: ValueId,
    y: ValueId,
    units: i64,
) -> Result<ValueId, LoadError> {
    let op = Op::onnx("Shape").with("start", 0_i64).with("end", -1_i64);
    let around = site.step("around", op, &[Some(x)])?;
    let units = site.draft.ints(&[units])?;
    let join = Op::onnx("Concat").with("axis", 0_i64);
    let shape = site.step("sizes", join, &[Some(around), Some(units)])?;
    site.step("shape", Op::onnx("Reshape"), &[Some(y), Some(shape)])
}

pub(super) fn batch_matmul(site: &mut Site<'_, '_, '_>) -> Made {
    let (x, y) = (site.input(0)?, site.input(1)?);
    let turned = [site.flag(0)?, site.flag(1)?];
    let op = match turned {
        [false, false] => Op::onnx("MatMul"),
        [a, b] => Op::microsoft("FusedMatMul").with("transA", a).with("transB", b),
    };
    let op = site.marked(op, 0, 1);
    Ok(Some(vec![site.node(op, &[Some(x), Some(y)])?]))
}

pub(super) fn embedding(site: &mut Site<'_, '_, '_>) -> Made {
    let (ids, table) = (site.input(0)?, site.input(1)?);
    let op = Op::onnx("Gather").with("axis", 0_i64);
    let rows = site.node(op, &[Some(table), Some(ids)])?;
    let stored = site.dtype(1);
    if site.made(0).and_then(|t| t.dtype) == stored {
        return Ok(Some(vec![rows]));
    }
    let scale = site.tensor(1).map_or(1.0, |t| t.quantization.scale);
    let scale = site.draft.float(scale)?;
    let op = Op::onnx("DequantizeLinear");
    Ok(Some(vec![site.step("floats", op, &[Some(rows), Some(scale)])?]))
}

pub(super) fn embedding_sum(site: &mut Site<'_, '_, '_>) -> Made {
    let inputs = site.inputs()?;
    Ok(Some(vec![site.node(Op::own("EmbeddingSum"), &inputs)?]))
}

/// Keys that are looked up, keys of rows, and the rows.
pub(super) fn rows_by_key(site: &mut Site<'_, '_, '_>) -> Made {
    let inputs = site.inputs()?;
    site.nodes(Op::own("HashtableLookup"), &inputs, 2).map(Some)
}

/// A product whose axes are given by number, as an equation.
pub(super) fn dot_general(site: &mut Site<'_, '_, '_>) -> Made {
    let lists = [site.longs(0)?, site.longs(1)?, site.longs(2)?, site.longs(3)?];
    let ranks = [site.rank(0), site.rank(1)];
    let Some(equation) = equation(&lists, ranks) else { return Ok(None) };
    let inputs = site.inputs()?;
    let op = site.marked(Op::onnx("Einsum").with("equation", equation), 0, 1);
    Ok(Some(vec![site.node(op, &inputs)?]))
}

/// The batch axes of both, then those that are contracted; the output has the batch axes and the rest of both.
fn equation([batch_a, batch_b, sum_a, sum_b]: &[Vec<i64>; 4], ranks: [usize; 2]) -> Option<String> {
    let mut names = ('a'..='z').chain('A'..='Z');
    let mut letters = [vec![None; ranks[0]], vec![None; ranks[1]]];
    let mut output = String::new();
    let pairs = batch_a.iter().zip(batch_b).map(|pair| (pair, true));
    for ((a, b), kept) in pairs.chain(sum_a.iter().zip(sum_b).map(|pair| (pair, false))) {
        let letter = names.next()?;
        *letters[0].get_mut(usize::try_from(*a).ok()?)? = Some(letter);
        *letters[1].get_mut(usize::try_from(*b).ok()?)? = Some(letter);
        output.extend(kept.then_some(letter));
    }
    for letter in letters.iter_mut().flatten().filter(|letter| letter.is_none()) {
        let name = names.next()?;
        *letter = Some(name);
        output.push(name);
    }
    let [a, b] = letters.map(|list| list.into_iter().flatten().collect::<String>());
    Some(format!("{a},{b}->{output}"))
}

/// A convolution whose layouts are given by number: channels last or second, filters in any order.
pub(super) fn general_convolution(site: &mut Site<'_, '_, '_>) -> Made {
    let Some(layout) = Layout::of(site)? else { return Ok(None) };
    let rank = site.rank(0);
    let strides = site.longs(0)?;
    let pads = site.longs(1)?;
    let dilations = site.longs(3)?;
    let spread = site.longs(2)?.iter().any(|d| *d > 1);
    if spread || site.option(15, 1_i64)? > 1 || rank < 3 {
        return Ok(None);
    }
    let (x, w) = (site.input(0)?, site.input(1)?);
    let w = site.turned(w, &layout.filter)?;
    let op = if layout.last { Op::own("Conv") } else { Op::onnx("Conv") };
    let mut op = op.with("group", site.option(14, 1_i64)?);
    let spatial = rank - 2;
    for (name, list) in [("strides", strides), ("dilations", dilations)] {
        if list.len() == spatial {
            op = op.with(name, list);
        }
    }
    if pads.len() == 2 * spatial {
        let sides = [0, 1].map(|side| pads.chunks(2).map(move |pair| pair[side]));
        op = op.with("pads", sides.into_iter().flatten().collect::<Vec<_>>());
    }
    let op = site.marked(op, 0, 1);
    Ok(Some(vec![site.node(op, &[Some(x), Some(w)])?]))
}

/// The order of axes of a general convolution.
struct Layout {
    /// Channels last, else second.
    last: bool,
    /// The axes of the filter in the order that ONNX has them.
    filter: Vec<i64>,
}

impl Layout {
    fn of(site: &Site<'_, '_, '_>) -> Result<Option<Self>, LoadError> {
        let (x, y) = ((5, 6, 7), (11, 12, 13));
        let order = |(batch, feature, spatial): (usize, usize, usize)| -> Result<_, LoadError> {
            let ends = [site.option(batch, 0_i64)?, site.option(feature, 0_i64)?];
            Ok((ends, site.longs(spatial)?))
        };
        let (ends, spatial) = order(x)?;
        let end = i64::try_from(spatial.len()).unwrap_or(i64::MAX).saturating_add(1);
        let run = |from: i64| spatial.iter().copied().eq((from..).take(spatial.len()));
        let last = ends == [0, end] && run(1);
        if order(y)? != (ends, spatial.clone()) || !(last || ends == [0, 1] && run(2)) {
            return Ok(None);
        }
        let filter = [site.option(9, 0_i64)?, site.option(8, 0_i64)?];
        let filter: Vec<i64> = filter.into_iter().chain(site.longs(10)?).collect();
        Ok((filter.len() == spatial.len() + 2).then_some(Self { last, filter }))
    }
}

/// Windows over all axes, whose sizes are in the options.
pub(super) fn general_window(site: &mut Site<'_, '_, '_>) -> Made {
    let x = site.input(0)?;
    let rank = site.rank(0);
    let pads = site.longs(4)?;
    let spread = site.longs(2)?.iter().any(|d| *d > 1);
    let mut x = x;
    if spread || !(pads.is_empty() || pads.len() == 2 * rank) {
        return Ok(None);
    }
    if pads.iter().any(|p| *p != 0) {
        let sides = [0, 1].map(|side| pads.chunks(2).map(move |pair| pair[side]));
        let pads = site.draft.ints(&sides.into_iter().flatten().collect::<Vec<_>>())?;
        x = site.step("padded", Op::onnx("Pad"), &[Some(x), Some(pads)])?;
    }
    let mut inputs = vec![Some(x), None];
    for field in [0, 1, 3] {
        let list = site.longs(field)?;
        let list = if list.is_empty() { vec![1; rank] } else { list };
        inputs.push(Some(site.draft.ints(&list)?));
    }
    Ok(Some(vec![site.node(Op::own("ReduceWindow"), &inputs)?]))
}

/// x, what a window begins with, and lists for its sizes, strides and dilations.
pub(super) fn reduce_window(site: &mut Site<'_, '_, '_>) -> Made {
    let mut inputs = site.inputs()?;
    if inputs.len() != 5 {
        return Ok(None);
    }
    inputs[1] = None;
    Ok(Some(vec![site.node(Op::own("ReduceWindow"), &inputs)?]))
}

/// Sizes of a value that no option states, as the file gives them.
pub(super) fn stated(site: &Site<'_, '_, '_>, port: usize) -> Option<Vec<i64>> {
    let made = site.made(port)?;
    let fixed = made.signature.is_none() && made.shape.iter().all(|n| *n >= 0);
    let sizes = made.shape.iter().map(|n| Dim::from(*n).as_const());
    let sizes: Option<Vec<i64>> = sizes.map(|n| i64::try_from(n?).ok()).collect();
    sizes.filter(|_| fixed)
}
