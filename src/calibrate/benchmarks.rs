//! The micro-benchmark models: chains of one layer, at shapes that networks have.
//!
//! None is a part of a known network as a whole.

use crate::formats::Sketch;
use crate::probe::ProbeError;
use crate::runtime::{Loaded, RuntimeOptions};

/// A micro-benchmark: a chain of layers, which load and run as any model does.
pub(super) struct Benchmark {
    /// What is run at which shape.
    pub(super) name: String,
    pub(super) file: Vec<u8>,
    pub(super) input: Vec<i64>,
}

impl Benchmark {
    /// Loads it into a runtime.
    pub(super) fn load(&self, options: &RuntimeOptions) -> Result<Loaded, ProbeError> {
        let shape: Vec<usize> =
            self.input.iter().map(|n| usize::try_from(*n).unwrap_or(1)).collect();
        Loaded::new(&self.file, &[shape.into()], options)
    }
}

/// Layers in a chain: enough that what a run costs beyond its kernels counts little.
const DEPTH: usize = 4;

/// `layers` times `layer`, which gets the sketch, its input and its number.
pub(super) fn chain(
    name: &str,
    input: &[i64],
    layers: usize,
    layer: impl Fn(&mut Sketch, &str, usize) -> String,
) -> Benchmark {
    let mut sketch = Sketch::new(input);
    let mut at = "x".to_owned();
    for i in 0..layers {
        at = layer(&mut sketch, &at, i);
    }
    let shape: Vec<String> = input.iter().map(ToString::to_string).collect();
    let name = format!("{name} of {}", shape.join("×"));
    Benchmark { name, file: sketch.finish(&at), input: input.to_vec() }
}

/// Layers of a chain whose layers do `work` multiply–adds: fewer of large ones.
fn depth(work: i64) -> usize {
    if work > 1 << 29 { 2 } else { DEPTH }
}

/// `a` and `b` in turn.
fn turn(a: i64, b: i64, i: usize) -> (i64, i64) {
    if i.is_multiple_of(2) { (a, b) } else { (b, a) }
}

/// A convolution of square windows with the epilogue that most have.
pub(super) fn convolution(
    s: &mut Sketch,
    x: &str,
    weight: [i64; 4],
    group: i64,
    stride: i64,
) -> String {
    let (w, bias) = (s.weight(&weight), s.weight(&weight[..1]));
    let ints: [(&str, &[i64]); 3] =
        [("pads", &[weight[2] / 2; 4]), ("group", &[group]), ("strides", &[stride; 2])];
    let y = s.node("Conv", &[x, &w, &bias], &ints);
    s.node("Relu", &[&y], &[])
}

/// Convolutions between `a` and `b` channels and back.
fn convolutions(a: i64, b: i64, size: i64, window: i64) -> Benchmark {
    let layers = depth(a * b * size * size * window * window);
    let name = format!("Conv {window}×{window} to {b}");
    chain(&name, &[1, a, size, size], layers, |s, x, i| {
        let (from, to) = turn(a, b, i);
        convolution(s, x, [to, from, window, window], 1, 1)
    })
}

/// One convolution over every other pixel.
fn strided(a: i64, b: i64, size: i64, window: i64) -> Benchmark {
    let name = format!("Conv {window}×{window}/2 to {b}");
    chain(&name, &[1, a, size, size], 1, |s, x, _| convolution(s, x, [b, a, window, window], 1, 2))
}

fn depthwise(channels: i64, size: i64, window: i64, stride: i64) -> Benchmark {
    let name = format!("Conv {window}×{window}/{stride} of each channel");
    let layers = if stride == 1 { DEPTH } else { 1 };
    chain(&name, &[1, channels, size, size], layers, |s, x, _| {
        convolution(s, x, [channels, 1, window, window], channels, stride)
    })
}

fn products(rows: i64, a: i64, b: i64) -> Benchmark {
    let layer = |s: &mut Sketch, x: &str, i: usize| {
        let (from, to) = turn(a, b, i);
        let (weight, bias) = (s.weight(&[from, to]), s.weight(&[to]));
        let y = s.node("MatMul", &[x, &weight], &[]);
        s.node("Add", &[&y, &bias], &[])
    };
    chain(&format!("MatMul to {b}"), &[1, rows, a], depth(rows * a * b), layer)
}

/// Products with square weights and nothing else.
pub(super) fn bare_products(rows: i64, size: i64, layers: usize) -> Benchmark {
    chain("MatMul", &[rows, size], layers, |s, x, _| {
        let weight = s.weight(&[size, size]);
        s.node("MatMul", &[x, &weight], &[])
    })
}

/// Products of a batch of matrices, as in attention: `[h, s, d]·[h, d, s]` and back.
fn batched(heads: i64, rows: i64, inner: i64) -> Benchmark {
    let layer = |s: &mut Sketch, x: &str, i: usize| {
        let (from, to) = turn(inner, rows, i);
        let weight = s.weight(&[heads, from, to]);
        s.node("MatMul", &[x, &weight], &[])
    };
    chain("MatMul in a batch", &[heads, rows, inner], DEPTH, layer)
}

/// A convolution or a product, and what it reads added to what it makes.
pub(super) fn with_residual(residual: bool, convolution: bool) -> Benchmark {
    let layer = |s: &mut Sketch, x: &str, _: usize| {
        let y = if convolution {
            let (weight, bias) = (s.weight(&[128, 128, 1, 1]), s.weight(&[128]));
            s.node("Conv", &[x, &weight, &bias], &[])
        } else {
            let (weight, bias) = (s.weight(&[128, 128]), s.weight(&[128]));
            let y = s.node("MatMul", &[x, &weight], &[]);
            s.node("Add", &[&y, &bias], &[])
        };
        let y = if residual { s.node("Add", &[&y, x], &[]) } else { y };
        s.node("Relu", &[&y], &[])
    };
    let input: &[i64] = if convolution { &[1, 128, 28, 28] } else { &[1, 784, 128] };
    chain("product and sum", input, 2 * DEPTH, layer)
}

/// A product whose weights are also those of a look-up, as in language models, or other ones of that size.
pub(super) fn with_look_up(shared: bool, [rows, columns]: [i64; 2]) -> Benchmark {
    let layer = |s: &mut Sketch, x: &str, _: usize| {
        let table = s.weight(&[rows, columns]);
        let weights = if shared { table.clone() } else { s.weight(&[rows, columns]) };
        let weights = s.node("Transpose", &[&weights], &[("perm", &[1, 0])]);
        let product = s.node("MatMul", &[x, &weights], &[]);
        let [start, end, axis] = [[0], [1], [1]].map(|v| s.integers(&v));
        let first = s.node("Slice", &[x, &start, &end, &axis], &[]);
        let index = s.node("Cast", &[&first], &[("to", &[7])]);
        let looked_up = s.node("GatherND", &[&table, &index], &[]);
        s.node("Concat", &[&product, &looked_up], &[("axis", &[1])])
    };
    chain("product and look-up", &[1, columns], 1, layer)
}

/// The norm over the last axis, written out.
fn norm(s: &mut Sketch, x: &str, width: i64) -> String {
    let (scale, shift) = (s.weight(&[width]), s.weight(&[width]));
    let (two, least) = (s.scalar(2.0), s.scalar(1e-5));
    let mean = s.node("ReduceMean", &[x], &[("axes", &[-1])]);
    let centred = s.node("Sub", &[x, &mean], &[]);
    let square = s.node("Pow", &[&centred, &two], &[]);
    let variance = s.node("ReduceMean", &[&square], &[("axes", &[-1])]);
    let variance = s.node("Add", &[&variance, &least], &[]);
    let root = s.node("Sqrt", &[&variance], &[]);
    let unit = s.node("Div", &[&centred, &root], &[]);
    let scaled = s.node("Mul", &[&unit, &scale], &[]);
    s.node("Add", &[&scaled, &shift], &[])
}

/// GELU by the error function, written out.
pub(super) fn gelu(s: &mut Sketch, x: &str) -> String {
    let (root, one, half) = (s.scalar(std::f32::consts::SQRT_2), s.scalar(1.0), s.scalar(0.5));
    let y = s.node("Div", &[x, &root], &[]);
    let y = s.node("Erf", &[&y], &[]);
    let y = s.node("Add", &[&y, &one], &[]);
    let y = s.node("Mul", &[x, &y], &[]);
    s.node("Mul", &[&y, &half], &[])
}

/// GELU by the hyperbolic tangent, written out.
fn gelu_tanh(s: &mut Sketch, x: &str) -> String {
    let (three, factor, root) = (s.scalar(3.0), s.scalar(0.044_715), s.scalar(0.797_884_6));
    let (one, half) = (s.scalar(1.0), s.scalar(0.5));
    let y = s.node("Pow", &[x, &three], &[]);
    let y = s.node("Mul", &[&y, &factor], &[]);
    let y = s.node("Add", &[x, &y], &[]);
    let y = s.node("Mul", &[&y, &root], &[]);
    let y = s.node("Tanh", &[&y], &[]);
    let y = s.node("Add", &[&y, &one], &[]);
    let y = s.node("Mul", &[x, &y], &[]);
    s.node("Mul", &[&y, &half], &[])
}

/// One layer: several in a row would be merged into one, or cancel.
fn once(name: &str, input: &[i64], layer: impl Fn(&mut Sketch, &str) -> String) -> Benchmark {
    chain(name, input, 1, |s, x, _| layer(s, x))
}

/// Everything that is not a product, at a size in elements.
fn plain(elements: i64) -> Vec<Benchmark> {
    let rows = [1, elements / 64 + 1, 8, 8];
    let wide = [1, elements / 64 + 1, 64];
    let square = ((elements / 32).isqrt() / 2 * 2).max(2);
    let image = [1, 32, square, square];
    let mut all = element_wise(&rows, &image);
    all.extend(moves(&rows));
    all.extend(rows_at_a_time(&rows, &wide));
    all.extend(pools(&image, &wide));
    all
}

/// Functions of each element, alone or with a factor of its channel.
fn element_wise(rows: &[i64], image: &[i64]) -> Vec<Benchmark> {
    let each = |op: &'static str| {
        chain(op, rows, DEPTH, move |s: &mut Sketch, x: &str, _| s.node(op, &[x], &[]))
    };
    let mut all: Vec<Benchmark> = ["Sigmoid", "Tanh", "Erf", "Exp"].map(each).into();
    all.extend([
        chain("Add", rows, DEPTH, |s, x, _| s.node("Add", &[x, "x"], &[])),
        // A function of its own result would be folded.
        once("Relu", rows, |s, x| s.node("Relu", &[x], &[])),
        once("BatchNormalization", image, |s, x| {
            let all: Vec<String> = (0..4).map(|_| s.weight(&[32])).collect();
            s.node("BatchNormalization", &[x, &all[0], &all[1], &all[2], &all[3]], &[])
        }),
        chain("Mul by channel", image, DEPTH, |s, x, _| {
            let factor = s.weight(&[1, 32, 1, 1]);
            s.node("Mul", &[x, &factor], &[])
        }),
    ]);
    all
}

/// What moves elements and computes nothing.
fn moves(rows: &[i64]) -> [Benchmark; 4] {
    let transpose = |name: &str, perm: &[i64]| {
        once(name, rows, |s, x| s.node("Transpose", &[x], &[("perm", perm)]))
    };
    [
        transpose("Transpose", &[0, 2, 1, 3]),
        transpose("Transpose to the end", &[0, 2, 3, 1]),
        once("Concat", rows, |s, x| s.node("Concat", &[x, x], &[("axis", &[1])])),
        once("Slice", rows, |s, x| {
            let [start, end, axis] = [[0], [4], [3]].map(|v| s.integers(&v));
            s.node("Slice", &[x, &start, &end, &axis], &[])
        }),
    ]
}

/// Softmax, norms and the activations of transformers.
fn rows_at_a_time(rows: &[i64], wide: &[i64]) -> [Benchmark; 8] {
    let softmax = |name: &str, input: &[i64]| {
        chain(name, input, DEPTH, |s, x, _| s.node("Softmax", &[x], &[("axis", &[-1])]))
    };
    [
        softmax("Softmax", rows),
        softmax("Softmax of wide rows", wide),
        chain("LayerNormalization", wide, DEPTH, |s, x, _| {
            let (scale, shift) = (s.weight(&[64]), s.weight(&[64]));
            s.node("LayerNormalization", &[x, &scale, &shift], &[("axis", &[-1])])
        }),
        chain("norm written out", wide, DEPTH, |s, x, _| norm(s, x, 64)),
        chain("GELU written out", wide, DEPTH, |s, x, _| gelu(s, x)),
        chain("GELU by Tanh written out", wide, DEPTH, |s, x, _| gelu_tanh(s, x)),
        chain("SiLU written out", wide, DEPTH, |s, x, _| {
            let y = s.node("Sigmoid", &[x], &[]);
            s.node("Mul", &[x, &y], &[])
        }),
        chain("HardSwish", rows, DEPTH, |s, x, _| s.node("HardSwish", &[x], &[])),
    ]
}

/// What makes one number of several.
fn pools(image: &[i64], wide: &[i64]) -> [Benchmark; 4] {
    let pool = |name: &str, op: &str| {
        chain(name, image, DEPTH, |s, x, _| {
            let ints: [(&str, &[i64]); 2] = [("kernel_shape", &[3, 3]), ("pads", &[1, 1, 1, 1])];
            s.node(op, &[x], &ints)
        })
    };
    [
        pool("MaxPool 3×3", "MaxPool"),
        pool("AveragePool 3×3", "AveragePool"),
        once("GlobalAveragePool", image, |s, x| s.node("GlobalAveragePool", &[x], &[])),
        once("ReduceMean", wide, |s, x| s.node("ReduceMean", &[x], &[("axes", &[-1])])),
    ]
}

/// Channels in and out, and pixels a side, of pointwise convolutions.
const POINTWISE: &[(i64, i64, i64)] = &[
    (16, 96, 112),
    (32, 16, 112),
    (24, 144, 56),
    (64, 64, 56),
    (64, 256, 56),
    (128, 64, 56),
    (32, 192, 28),
    (58, 58, 28),
    (128, 128, 28),
    (128, 512, 28),
    (320, 96, 28),
    (96, 576, 14),
    (116, 116, 14),
    (40, 240, 14),
    (256, 256, 14),
    (256, 1024, 14),
    (768, 160, 17),
    (512, 128, 14),
    (160, 960, 7),
    (320, 1280, 7),
    (512, 512, 7),
    (512, 2048, 7),
    (960, 256, 7),
    (1280, 1280, 1),
    (240, 60, 1),
    (48, 12, 1),
];

/// Channels in and out, pixels a side, and the window.
const WINDOWED: &[(i64, i64, i64, i64)] = &[
    (16, 16, 56, 3),
    (32, 32, 112, 3),
    (64, 64, 56, 3),
    (128, 128, 28, 3),
    (256, 256, 14, 3),
    (512, 512, 7, 3),
    (32, 64, 73, 3),
    (128, 32, 56, 3),
    (128, 32, 28, 3),
    (128, 32, 14, 3),
    (128, 32, 7, 3),
    (256, 256, 56, 3),
    (256, 256, 28, 3),
    (512, 512, 14, 3),
    (64, 64, 224, 3),
    (128, 128, 112, 3),
    (96, 96, 35, 3),
    (192, 192, 17, 3),
    (384, 384, 8, 3),
    (64, 64, 35, 5),
    (128, 128, 17, 5),
];

/// The same, over every other pixel.
const STRIDED: &[(i64, i64, i64, i64)] = &[
    (3, 32, 224, 3),
    (3, 64, 224, 7),
    (64, 128, 56, 3),
    (128, 256, 28, 3),
    (256, 512, 14, 3),
    (64, 128, 56, 1),
    (256, 512, 28, 1),
    (512, 1024, 14, 1),
];

/// Channels, pixels a side, and the window.
const DEPTHWISE: &[(i64, i64, i64)] = &[
    (32, 112, 3),
    (96, 112, 3),
    (64, 56, 3),
    (144, 56, 3),
    (58, 28, 3),
    (192, 28, 3),
    (116, 14, 3),
    (384, 14, 3),
    (576, 14, 3),
    (960, 7, 3),
    (144, 56, 5),
    (240, 28, 5),
    (672, 14, 5),
    (1152, 7, 5),
    (96, 56, 7),
    (192, 28, 7),
    (384, 14, 7),
    (768, 7, 7),
];

/// The same, over every other pixel.
const STRIDED_DEPTHWISE: &[(i64, i64, i64)] = &[
    (32, 112, 3),
    (96, 112, 3),
    (128, 56, 3),
    (240, 28, 3),
    (512, 14, 3),
    (160, 56, 5),
    (720, 14, 5),
    (128, 28, 7),
];

/// Rows, and columns in and out.
const PRODUCTS: &[(i64, i64, i64)] = &[
    (1, 64, 64),
    (1, 256, 64),
    (1, 768, 768),
    (1, 768, 3072),
    (1, 2048, 1000),
    (1, 512, 8192),
    (1, 4096, 4096),
    (4, 256, 1024),
    (8, 64, 256),
    (8, 768, 768),
    (16, 512, 2048),
    (32, 256, 256),
    (49, 768, 768),
    (49, 768, 3072),
    (64, 64, 64),
    (64, 1024, 1024),
    (128, 768, 768),
    (128, 1024, 4096),
    (196, 384, 384),
    (196, 384, 1536),
    (208, 768, 768),
    (208, 768, 3072),
    (256, 512, 512),
    (400, 768, 3072),
    (512, 768, 768),
    (784, 192, 192),
    (784, 192, 768),
    (3136, 96, 96),
    (3136, 96, 384),
    (3136, 64, 256),
];

/// Heads, rows, and the inner size.
const BATCHED: &[(i64, i64, i64)] = &[
    (12, 1, 64),
    (4, 8, 16),
    (12, 16, 64),
    (8, 64, 64),
    (12, 128, 64),
    (12, 256, 64),
    (16, 384, 64),
    (6, 49, 32),
    (64, 49, 32),
    (192, 49, 32),
    (1, 512, 512),
];

/// Elements of the tensors of everything that is not a product.
const ELEMENTS: [i64; 6] = [1 << 7, 1 << 11, 1 << 15, 1 << 18, 1 << 20, 3 << 20];

/// All micro-benchmarks of which each gives a point.
pub(super) fn all() -> Vec<Benchmark> {
    let mut all = Vec::new();
    all.extend(POINTWISE.iter().map(|&(a, b, size)| convolutions(a, b, size, 1)));
    all.extend(WINDOWED.iter().map(|&(a, b, size, window)| convolutions(a, b, size, window)));
    all.extend(STRIDED.iter().map(|&(a, b, size, window)| strided(a, b, size, window)));
    all.extend(
        DEPTHWISE.iter().map(|&(channels, size, window)| depthwise(channels, size, window, 1)),
    );
    all.extend(
        STRIDED_DEPTHWISE
            .iter()
            .map(|&(channels, size, window)| depthwise(channels, size, window, 2)),
    );
    all.extend(PRODUCTS.iter().map(|&(rows, a, b)| products(rows, a, b)));
    all.extend(BATCHED.iter().map(|&(heads, rows, inner)| batched(heads, rows, inner)));
    all.extend(ELEMENTS.into_iter().flat_map(plain));
    all
}
