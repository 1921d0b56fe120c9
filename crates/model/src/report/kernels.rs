//! A model as the kernels that a CPU runtime runs: products with what rides along, patterns that
//! runtimes know, and all else node by node.
//!
//! Knows operators by the figures of a report and by their rows in the operator table; knows no device and no runtime.

use super::{ModelReport, OpReport, TensorReport};
use crate::analysis::Rule;
use crate::ops::{self, Class, Efficiency, KernelClass, Op, Part, Role, Status};
use std::collections::{BTreeMap, BTreeSet};

/// What a kernel does, as far as its time depends on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Kernel {
    /// Its kind; none where no micro-benchmark is like it.
    pub class: Option<KernelClass>,
    /// Operator type of its first node.
    pub op_type: String,
    /// Operations.
    pub work: f64,
    /// Bytes read and written.
    pub bytes: f64,
    /// Weights among them.
    pub weight_bytes: f64,
    /// Whether other nodes read these weights too, as of an embedding that is also the last product.
    pub shared: bool,
    /// log2 of what its efficiency depends on.
    pub shape: Vec<f64>,
    /// For a sum: what made one of its terms, where many runtimes add on the way.
    pub follows: Option<Follows>,
}

/// What a sum adds to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// What a convolution makes.
    Convolution,
    /// What a matrix product makes.
    Product,
}

/// A place in a pattern: the roles that a node may have there.
type Step = &'static [Role];

const SUM: Step = &[Role::Sum];
const PRODUCT: Step = &[Role::Product];
const SCALED: Step = &[Role::Quotient, Role::Product];
const SQUARED: Step = &[Role::Power, Role::Product];
const POWER: Step = &[Role::Power];
const MEAN: Step = &[Role::Mean];
const ERF: Step = &[Role::Erf];
const TANH: Step = &[Role::Tanh];

/// Sequences of nodes that runtimes know as one function, by class.
const PATTERNS: &[(KernelClass, &[Step])] = &[
    (
        KernelClass::Norm,
        &[
            MEAN,
            &[Role::Difference],
            SQUARED,
            MEAN,
            SUM,
            &[Role::Root],
            &[Role::Quotient],
            PRODUCT,
            SUM,
        ],
    ),
    (KernelClass::Gelu, &[SCALED, ERF, SUM, PRODUCT, PRODUCT]),
    (KernelClass::Gelu, &[PRODUCT, SCALED, ERF, SUM, PRODUCT]),
    (KernelClass::GeluTanh, &[POWER, PRODUCT, SUM, PRODUCT, TANH, SUM, PRODUCT, PRODUCT]),
    (KernelClass::GeluTanh, &[PRODUCT, POWER, PRODUCT, SUM, PRODUCT, TANH, SUM, PRODUCT]),
    (KernelClass::Silu, &[&[Role::Sigmoid], PRODUCT]),
    (KernelClass::HardSwish, &[&[Role::HardSigmoid], PRODUCT]),
];

/// The kernels of a model, as a CPU runtime runs them.
pub fn kernels(report: &ModelReport) -> Vec<Kernel> {
    let mut all = Vec::new();
    let readers = Readers::new(report);
    for group in &report.groups {
        let ops: Vec<&OpReport> = group.nodes.iter().filter_map(|n| report.ops.get(*n)).collect();
        let mut rest = Vec::new();
        let mut after = None;
        for op in ops {
            if let Some((class, shape)) = product(op) {
                let convolves = op.class == Class::Convolution;
                let kind = if convolves { Follows::Convolution } else { Follows::Product };
                after = (group.rule != Rule::Attention).then_some(kind);
                let shared = readers.share(op);
                all.push(Kernel { class: Some(class), shape, shared, ..unclassed(op) });
            } else if after.is_none() || !rides_along(op) {
                rest.push((op, after));
            }
        }
        while let Some((first, after)) = rest.first().copied() {
            let found = PATTERNS.iter().find(|(_, sequence)| matches(sequence, &rest));
            if let Some((class, sequence)) = found {
                let last = rest[sequence.len() - 1].0;
                let bytes = 2.0 * last.bytes_written.unwrap_or(0) as f64;
                all.push(classed(*class, Kernel { bytes, ..unclassed(first) }, last));
                rest.drain(..sequence.len());
            } else {
                let kernel = match single(first) {
                    Some(class) => classed(class, unclassed(first), first),
                    None => unclassed(first),
                };
                let follows = after.filter(|_| role(first) == Role::Sum);
                all.push(Kernel { follows, ..kernel });
                rest.remove(0);
            }
        }
    }
    all
}

/// How many nodes read each weight, what is made of weights alone counting as the weights.
struct Readers<'r> {
    /// What a folded node makes, and the first that it makes it of.
    made_of: BTreeMap<&'r str, &'r str>,
    count: BTreeMap<&'r str, usize>,
}

impl<'r> Readers<'r> {
    fn new(report: &'r ModelReport) -> Self {
        let mut readers = Self { made_of: BTreeMap::new(), count: BTreeMap::new() };
        // What is put in, and what nodes make of it.
        let inputs = report.model.inputs.iter();
        let mut varying: BTreeSet<&str> = inputs.map(|t| t.name.as_str()).collect();
        for op in report.nodes() {
            match (op.status, &op.inputs[..], &op.outputs[..]) {
                (Status::Folded, [from, ..], [to]) => {
                    let root = readers.root(&from.name);
                    readers.made_of.insert(&to.name, root);
                }
                _ => {
                    for tensor in &op.inputs {
                        let root = readers.root(&tensor.name);
                        if !varying.contains(root) {
                            *readers.count.entry(root).or_default() += 1;
                        }
                    }
                    varying.extend(op.outputs.iter().map(|t| t.name.as_str()));
                }
            }
        }
        readers
    }

    fn root(&self, name: &'r str) -> &'r str {
        self.made_of.get(name).copied().unwrap_or(name)
    }

    /// Whether another node reads the weights of a product, which are one of its first two inputs.
    fn share(&self, op: &'r OpReport) -> bool {
        let roots = op.inputs.iter().take(2).map(|t| self.root(&t.name));
        roots.filter_map(|root| self.count.get(root)).any(|n| *n > 1)
    }
}

fn matches(sequence: &[Step], rest: &[(&OpReport, Option<Follows>)]) -> bool {
    let same = |(step, (op, _)): (&Step, &(&OpReport, Option<Follows>))| step.contains(&role(op));
    sequence.len() <= rest.len() && sequence.iter().zip(rest).all(same)
}

fn rides_along(op: &OpReport) -> bool {
    let weighs = op.weight_bytes_read.is_some_and(|n| n > 0);
    let bias = weighs && matches!(role(op), Role::Sum | Role::Difference);
    bias || role(op) == Role::Clamp
}

fn unclassed(op: &OpReport) -> Kernel {
    Kernel {
        class: None,
        op_type: op.op_type.clone(),
        work: op.operations().unwrap_or(0) as f64,
        bytes: op.bytes().unwrap_or(0) as f64,
        weight_bytes: op.weight_bytes_read.unwrap_or(0) as f64,
        shared: false,
        shape: Vec::new(),
        follows: None,
    }
}

/// `kernel` with its class, and the shape that its efficiency depends on; rows are those of the
/// inputs of `op`.
fn classed(class: KernelClass, kernel: Kernel, op: &OpReport) -> Kernel {
    let bytes = kernel.bytes.max(1.0).log2();
    let row =
        op.inputs.first().and_then(|t| sizes(t)).and_then(|s| s.last().copied()).unwrap_or(1.0);
    let shape = if class.efficiency() == Efficiency::OfBandwidthByRows {
        vec![bytes, row.log2()]
    } else {
        vec![bytes]
    };
    Kernel { class: Some(class), shape, ..kernel }
}

fn single(op: &OpReport) -> Option<KernelClass> {
    if let Some(class) = row(op).and_then(|row| row.kernel) {
        return Some(class);
    }
    let elements = |t: &TensorReport| sizes(t).map(|s| s.iter().product::<f64>());
    match op.class {
        Class::Elementwise if op.transcendentals.is_some_and(|n| n > 0) => Some(KernelClass::Exp),
        Class::Elementwise | Class::Quantization => {
            let sizes: Vec<f64> = op.inputs.iter().filter_map(|t| elements(t)).collect();
            let largest = sizes.iter().copied().fold(1.0, f64::max);
            let spread = sizes.iter().any(|n| *n > 1.0 && *n < largest);
            let large = sizes.iter().filter(|n| **n > 1.0).count();
            Some(if spread {
                KernelClass::Broadcast
            } else if large < 2 {
                KernelClass::Unary
            } else {
                KernelClass::Elementwise
            })
        }
        Class::Normalization => Some(KernelClass::LayerNorm),
        Class::Movement if copies(op) => Some(KernelClass::Copy),
        _ => None,
    }
}

/// The row of an operator in the operator table.
fn row(op: &OpReport) -> Option<&'static Op> {
    let (domain, name) = op.op_type.rsplit_once('.').unwrap_or(("", &op.op_type));
    ops::find(domain, name)
}

fn role(op: &OpReport) -> Role {
    row(op).map_or(Role::None, |op| op.role)
}

/// Whether an operator only copies elements, each from a place that is known before it runs.
fn copies(op: &OpReport) -> bool {
    matches!(row(op).map(Op::part), Some(Part::Map | Part::Source | Part::Spread | Part::Arrange))
}

/// The sizes of a tensor; none where one is not known.
fn sizes(tensor: &TensorReport) -> Option<Vec<f64>> {
    tensor.shape.as_ref()?.iter().map(|d| d.map(|d| d.max(1) as f64)).collect()
}

/// How much more the stride of a convolution counts than the logarithm of a size.
const STRIDE: f64 = 3.0;

/// Class and log2 of rows, columns and depth of a convolution or matrix product; of a convolution
/// also, three times, of how many pixels it reads for one that it makes.
fn product(op: &OpReport) -> Option<(KernelClass, Vec<f64>)> {
    let macs = op.macs.filter(|n| *n > 0)?;
    let output = sizes(op.outputs.first()?)?;
    let weight = sizes(op.inputs.get(1)?)?;
    let elements: f64 = output.iter().product();
    let logs = |m: f64, n: f64, k: f64| vec![m.log2(), n.log2(), k.max(1.0).log2()];
    let depth = macs as f64 / elements;
    match op.class {
        Class::Convolution => {
            let channels = *output.get(1)?;
            let pixels = elements / channels;
            let window: f64 = weight.iter().skip(2).product();
            let class = match (weight.get(1).copied(), window) {
                (Some(1.0), _) if channels > 1.0 && depth > 1.0 && depth <= window => {
                    KernelClass::Depthwise
                }
                (_, 1.0) => KernelClass::Pointwise,
                _ => KernelClass::Convolution,
            };
            let read: f64 = sizes(op.inputs.first()?)?.iter().skip(2).product();
            let made: f64 = output.iter().skip(2).product();
            let mut shape = logs(channels, pixels, depth);
            // A kernel of every other pixel is like others of its stride before those of its size.
            shape.push(STRIDE * (read / made).log2());
            Some((class, shape))
        }
        Class::MatrixProduct => {
            let columns = *output.last()?;
            if weight.len() > 2 {
                let rows = output.iter().rev().nth(1).copied().unwrap_or(1.0);
                return Some((KernelClass::Batched, logs(rows, columns, depth)));
            }
            Some((KernelClass::Product, logs(elements / columns, columns, depth)))
        }
        _ => None,
    }
}
