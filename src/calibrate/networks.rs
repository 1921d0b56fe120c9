//! Small networks that are held out of a calibration: blocks of real layers, at shapes that no micro-benchmark has. Their
//! times show how well sums of kernels estimate networks on this machine.

use super::benchmarks::{Benchmark, convolution, gelu};
use crate::formats::Sketch;

/// All of them.
pub(super) fn all() -> Vec<Benchmark> {
    vec![
        network("residual bottlenecks", &[1, 192, 42, 42], bottlenecks),
        network("inverted residuals", &[1, 40, 44, 44], inverted),
        network("plain convolutions", &[1, 48, 96, 96], plain),
        network("dense blocks", &[1, 80, 24, 24], dense),
        network("depthwise 7×7 and products", &[1, 112, 26, 26], wide_depthwise),
        network("attention layers of 96 rows", &[1, 96, 320], attention),
        network("attention layers of 9 rows", &[1, 9, 448], attention),
        network("a perceptron of one row", &[1, 640], perceptron),
    ]
}

fn network(name: &str, input: &[i64], build: fn(&mut Sketch, &[i64]) -> String) -> Benchmark {
    let mut sketch = Sketch::new(input);
    let output = build(&mut sketch, input);
    Benchmark { name: name.to_owned(), file: sketch.finish(&output), input: input.to_vec() }
}

/// A convolution with a bias and nothing behind it.
fn bare(s: &mut Sketch, x: &str, weight: [i64; 4]) -> String {
    let (w, bias) = (s.weight(&weight), s.weight(&weight[..1]));
    s.node("Conv", &[x, &w, &bias], &[("pads", &[weight[2] / 2; 4])])
}

fn bottlenecks(s: &mut Sketch, input: &[i64]) -> String {
    let (wide, narrow) = (input[1], input[1] / 4);
    let mut x = "x".to_owned();
    for _ in 0..3 {
        let y = convolution(s, &x, [narrow, wide, 1, 1], 1, 1);
        let y = convolution(s, &y, [narrow, narrow, 3, 3], 1, 1);
        let y = bare(s, &y, [wide, narrow, 1, 1]);
        let sum = s.node("Add", &[&y, &x], &[]);
        x = s.node("Relu", &[&sum], &[]);
    }
    x
}

fn inverted(s: &mut Sketch, input: &[i64]) -> String {
    let (narrow, wide) = (input[1], 6 * input[1]);
    let mut x = "x".to_owned();
    for _ in 0..3 {
        let y = convolution(s, &x, [wide, narrow, 1, 1], 1, 1);
        let y = convolution(s, &y, [wide, 1, 3, 3], wide, 1);
        let y = bare(s, &y, [narrow, wide, 1, 1]);
        x = s.node("Add", &[&y, &x], &[]);
    }
    x
}

fn plain(s: &mut Sketch, input: &[i64]) -> String {
    let mut channels = input[1];
    let mut x = "x".to_owned();
    for _ in 0..2 {
        x = convolution(s, &x, [2 * channels, channels, 3, 3], 1, 1);
        channels *= 2;
        x = convolution(s, &x, [channels, channels, 3, 3], 1, 1);
        x = s.node("MaxPool", &[&x], &[("kernel_shape", &[2, 2]), ("strides", &[2, 2])]);
    }
    x
}

fn dense(s: &mut Sketch, input: &[i64]) -> String {
    let (mut channels, growth) = (input[1], 24);
    let mut x = "x".to_owned();
    for _ in 0..6 {
        let y = convolution(s, &x, [4 * growth, channels, 1, 1], 1, 1);
        let y = bare(s, &y, [growth, 4 * growth, 3, 3]);
        let y = s.node("Relu", &[&y], &[]);
        x = s.node("Concat", &[&x, &y], &[("axis", &[1])]);
        channels += growth;
    }
    x
}

/// Blocks of `ConvNeXt`'s kind: the channels of each pixel go through products.
fn wide_depthwise(s: &mut Sketch, input: &[i64]) -> String {
    let channels = input[1];
    let mut x = "x".to_owned();
    for _ in 0..2 {
        let (w, bias) = (s.weight(&[channels, 1, 7, 7]), s.weight(&[channels]));
        let y = s.node("Conv", &[&x, &w, &bias], &[("pads", &[3; 4]), ("group", &[channels])]);
        let y = s.node("Transpose", &[&y], &[("perm", &[0, 2, 3, 1])]);
        let y = layer_norm(s, &y, channels);
        let y = product(s, &y, channels, 4 * channels);
        let y = gelu(s, &y);
        let y = product(s, &y, 4 * channels, channels);
        let y = s.node("Transpose", &[&y], &[("perm", &[0, 3, 1, 2])]);
        x = s.node("Add", &[&y, &x], &[]);
    }
    x
}

fn layer_norm(s: &mut Sketch, x: &str, width: i64) -> String {
    let (scale, shift) = (s.weight(&[width]), s.weight(&[width]));
    s.node("LayerNormalization", &[x, &scale, &shift], &[("axis", &[-1])])
}

fn product(s: &mut Sketch, x: &str, from: i64, to: i64) -> String {
    let (weight, bias) = (s.weight(&[from, to]), s.weight(&[to]));
    let y = s.node("MatMul", &[x, &weight], &[]);
    s.node("Add", &[&y, &bias], &[])
}

/// Two layers of a transformer with four heads.
fn attention(s: &mut Sketch, input: &[i64]) -> String {
    const HEADS: i64 = 4;
    let (rows, width) = (input[1], input[2]);
    let apart = s.integers(&[1, rows, HEADS, width / HEADS]);
    let together = s.integers(&[1, rows, width]);
    let root = s.scalar(1.0 / ((width / HEADS) as f32).sqrt());
    let mut x = "x".to_owned();
    for _ in 0..2 {
        let normed = layer_norm(s, &x, width);
        let mut head = |perm: &[i64]| {
            let y = product(s, &normed, width, width);
            let y = s.node("Reshape", &[&y, &apart], &[]);
            s.node("Transpose", &[&y], &[("perm", perm)])
        };
        let (q, k, v) = (head(&[0, 2, 1, 3]), head(&[0, 2, 3, 1]), head(&[0, 2, 1, 3]));
        let scores = s.node("MatMul", &[&q, &k], &[]);
        let scores = s.node("Mul", &[&scores, &root], &[]);
        let shares = s.node("Softmax", &[&scores], &[("axis", &[-1])]);
        let mixed = s.node("MatMul", &[&shares, &v], &[]);
        let mixed = s.node("Transpose", &[&mixed], &[("perm", &[0, 2, 1, 3])]);
        let mixed = s.node("Reshape", &[&mixed, &together], &[]);
        let mixed = product(s, &mixed, width, width);
        x = s.node("Add", &[&mixed, &x], &[]);
        let normed = layer_norm(s, &x, width);
        let inner = product(s, &normed, width, 4 * width);
        let inner = gelu(s, &inner);
        let inner = product(s, &inner, 4 * width, width);
        x = s.node("Add", &[&inner, &x], &[]);
    }
    x
}

fn perceptron(s: &mut Sketch, input: &[i64]) -> String {
    let mut from = input[1];
    let mut x = "x".to_owned();
    for to in [1600, 1600, 320, 10] {
        x = product(s, &x, from, to);
        x = s.node("Relu", &[&x], &[]);
        from = to;
    }
    x
}
