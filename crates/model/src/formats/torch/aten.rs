//! The operators of `PyTorch`: one table for `TorchScript` and for exported programs, a row each.

mod attention;
mod contraction;
mod elementwise;
mod image;
mod index;
mod making;
mod movement;
mod normalization;
mod operands;
mod pooling;
mod quantized;
mod recurrent;
mod reduction;
mod shape;
mod spectral;

use super::super::draft::Op;
use super::site::Site;
use super::source::Name;
use super::types;
use super::value::{Fault, Lowered, Tensor, Value, unable};
use crate::ir::{DType, Severity};
use std::collections::HashMap;
use std::sync::LazyLock;

pub(super) use movement::{piece, pieces};

/// Arguments of a call.
pub(super) struct Args {
    /// In their order.
    pub(super) positional: Vec<Value>,
    /// By name.
    pub(super) named: Vec<(Name, Value)>,
}

impl Args {
    /// Arguments in their order.
    pub(super) fn of(positional: Vec<Value>) -> Self {
        Self { positional, named: Vec::new() }
    }

    /// The argument at a place, or of a name; none where it is not given or has no value.
    fn get(&self, at: usize, name: &str) -> Option<&Value> {
        let named = self.named.iter().find(|(known, _)| &**known == name).map(|(_, value)| value);
        named.or_else(|| self.positional.get(at)).filter(|value| !matches!(value, Value::None))
    }

    fn tensor(&self, at: usize, name: &str) -> Lowered<Tensor> {
        match self.maybe(at, name)? {
            Some(tensor) => Ok(tensor),
            None => unable(format!("the tensor `{name}` is not given")),
        }
    }

    /// The first tensor.
    fn x(&self) -> Lowered<Tensor> {
        match self.get(0, "self").or_else(|| self.get(0, "input")).or_else(|| self.get(0, "x")) {
            Some(Value::Tensor(tensor) | Value::Number(tensor, _)) => Ok(tensor.clone()),
            Some(other) => unable(format!("{} stands where a tensor is needed", other.what())),
            None => unable("the first tensor is not given"),
        }
    }

    fn maybe(&self, at: usize, name: &str) -> Lowered<Option<Tensor>> {
        match self.get(at, name) {
            Some(Value::Tensor(tensor) | Value::Number(tensor, _)) => Ok(Some(tensor.clone())),
            Some(Value::Absent(why)) => unable(*why),
            Some(other) => unable(format!("`{name}` is {}, not a tensor", other.what())),
            None => Ok(None),
        }
    }

    fn int(&self, at: usize, name: &str, default: i64) -> Lowered<i64> {
        match self.get(at, name) {
            None => Ok(default),
            Some(value) => match value.as_int() {
                Some(number) => Ok(number),
                None => unable(format!("`{name}` is known only while the model runs")),
            },
        }
    }

    fn float(&self, at: usize, name: &str, default: f64) -> f64 {
        self.get(at, name).and_then(Value::as_float).unwrap_or(default)
    }

    fn flag(&self, at: usize, name: &str) -> bool {
        self.get(at, name).and_then(Value::as_int).is_some_and(|truth| truth != 0)
    }

    fn text(&self, at: usize, name: &str) -> Option<&str> {
        match self.get(at, name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Whole numbers that are static; a single one counts as a list.
    fn ints(&self, at: usize, name: &str) -> Lowered<Option<Vec<i64>>> {
        let Some(value) = self.get(at, name) else { return Ok(None) };
        let list = match value.members() {
            Some(members) => members.iter().map(Value::as_int).collect(),
            None => value.as_int().map(|number| vec![number]),
        };
        match list {
            Some(list) => Ok(Some(list)),
            None => unable(format!("`{name}` is known only while the model runs")),
        }
    }

    /// Sizes along so many axes, where one may stand for all.
    fn sizes(&self, at: usize, name: &str, count: usize, default: i64) -> Lowered<Vec<i64>> {
        let list = self.ints(at, name)?.unwrap_or_default();
        Ok(match &list[..] {
            [] => vec![default; count],
            [one] => vec![*one; count],
            _ => list,
        })
    }

    /// The members of a list.
    fn list(&self, at: usize, name: &str) -> Option<Vec<Value>> {
        self.get(at, name).and_then(Value::members)
    }

    /// Sizes as members, where they may also be single arguments from here on.
    fn shape(&self, at: usize, name: &str) -> Option<Vec<Value>> {
        match self.get(at, name) {
            Some(Value::Numbers(_)) | None => None,
            Some(value) => value.members().or_else(|| self.positional.get(at..).map(<[_]>::to_vec)),
        }
    }

    fn tensors(&self, at: usize, name: &str) -> Lowered<Vec<Tensor>> {
        let Some(list) = self.list(at, name) else {
            return unable(format!("`{name}` is no list of tensors"));
        };
        let tensor = |value: &Value| match value {
            Value::Tensor(tensor) | Value::Number(tensor, _) => Ok(tensor.clone()),
            other => unable(format!("`{name}` holds {}", other.what())),
        };
        list.iter().map(tensor).collect()
    }

    /// The element type by its number in torch.
    fn dtype(&self, at: usize, name: &str) -> Option<DType> {
        self.get(at, name).and_then(Value::as_int).and_then(types::dtype)
    }
}

/// How an operator is lowered.
#[derive(Clone, Copy)]
enum How {
    /// One operator of ONNX on every element.
    Each(&'static str),
    /// The same; whole numbers become `f32` first.
    Float(&'static str),
    /// One operator of ONNX on two tensors that broadcast.
    Two(&'static str),
    /// The same, whose result is a truth.
    Compare(&'static str),
    /// The first argument, as it is.
    Same,
    /// In its own way.
    Own(fn(&mut Site<'_, '_>, &Args) -> Lowered<Value>),
}

/// An operator.
struct Row {
    /// Its name; of others than aten with their domain: `quantized::linear`.
    name: &'static str,
    /// What it becomes.
    becomes: &'static str,
    how: How,
    /// Whether that is other work than its own, about as much of it.
    near: bool,
}

/// The row of an operator that is counted as others that are about as much work.
#[allow(clippy::needless_pass_by_value)]
const fn near(row: Row) -> Row {
    Row { near: true, ..row }
}

const fn own(
    name: &'static str,
    becomes: &'static str,
    how: fn(&mut Site<'_, '_>, &Args) -> Lowered<Value>,
) -> Row {
    Row { name, becomes, how: How::Own(how), near: false }
}

const fn each(name: &'static str, becomes: &'static str) -> Row {
    Row { name, becomes, how: How::Each(becomes), near: false }
}

const fn float(name: &'static str, becomes: &'static str) -> Row {
    Row { name, becomes, how: How::Float(becomes), near: false }
}

const fn two(name: &'static str, becomes: &'static str) -> Row {
    Row { name, becomes, how: How::Two(becomes), near: false }
}

const fn compare(name: &'static str, becomes: &'static str) -> Row {
    Row { name, becomes, how: How::Compare(becomes), near: false }
}

const fn same(name: &'static str) -> Row {
    Row { name, becomes: "its input", how: How::Same, near: false }
}

static ROWS: &[&[Row]] = &[
    attention::ROWS,
    contraction::ROWS,
    elementwise::ROWS,
    image::ROWS,
    index::ROWS,
    making::ROWS,
    movement::ROWS,
    normalization::ROWS,
    pooling::ROWS,
    quantized::ROWS,
    recurrent::ROWS,
    reduction::ROWS,
    shape::ROWS,
    spectral::ROWS,
];

static BY_NAME: LazyLock<HashMap<&'static str, &'static Row>> =
    LazyLock::new(|| ROWS.iter().copied().flatten().map(|row| (row.name, row)).collect());

/// The operators that are understood, with what they become.
pub(super) fn operators() -> Vec<(&'static str, &'static str)> {
    let mut all: Vec<(&str, &str)> =
        ROWS.iter().copied().flatten().map(|row| (row.name, row.becomes)).collect();
    all.sort_unstable();
    all
}

/// The row of an operator, and whether it writes to its first argument.
fn row(name: &str) -> Option<(&'static Row, bool)> {
    if let Some(row) = BY_NAME.get(name) {
        return Some((row, false));
    }
    let base = name.strip_suffix('_').filter(|base| !base.ends_with('_'))?;
    BY_NAME.get(base).map(|row| (*row, true))
}

/// Lowers a call. An operator that is not understood becomes an unknown node with one output.
pub(super) fn call(site: &mut Site<'_, '_>, name: &str, arguments: &Args) -> Lowered<Value> {
    match known(site, name, arguments) {
        Ok(Some(value)) => Ok(value),
        Err(Fault::Unable(why)) => unknown(site, name, arguments, Some(&why), 1),
        Ok(None) => unknown(site, name, arguments, None, 1),
        Err(error) => Err(error),
    }
}

/// Lowers a call of an operator that has a row.
pub(super) fn known(
    site: &mut Site<'_, '_>,
    name: &str,
    arguments: &Args,
) -> Lowered<Option<Value>> {
    let Some((row, in_place)) = row(name) else { return Ok(None) };
    let apart = movement::apart(site, arguments)?;
    let arguments = apart.as_ref().unwrap_or(arguments);
    let outer = std::mem::replace(&mut site.state.label, name.trim_matches('_').into());
    let made = lower(site, row, arguments);
    site.state.label = outer;
    let made = made?;
    if row.near {
        let message = format!("is counted as {}, which is about as much work", row.becomes);
        site.note(Severity::Assumption, &format!("`{}`", row.name), &message);
    }
    if in_place
        && let (Value::Tensor(made), Some(Value::Tensor(target))) =
            (&made, arguments.get(0, "self"))
    {
        site.write(target, made)?;
        return Ok(Some(Value::Tensor(target.clone())));
    }
    if let (Some(Value::Tensor(target)), Value::Tensor(made)) =
        (arguments.get(usize::MAX, "out"), &made)
    {
        site.write(target, made)?;
    }
    Ok(Some(made))
}

fn lower(site: &mut Site<'_, '_>, row: &Row, arguments: &Args) -> Lowered<Value> {
    Ok(Value::Tensor(match row.how {
        How::Own(own) => return own(site, arguments),
        How::Same => arguments.x()?,
        How::Each(op) => {
            let x = arguments.x()?;
            site.unary(Op::onnx(op), &x)?
        }
        How::Float(op) => {
            let x = operands::floating(site, &arguments.x()?)?;
            site.unary(Op::onnx(op), &x)?
        }
        How::Two(op) => operands::pair(site, op, arguments)?,
        How::Compare(op) => operands::pair_of(site, op, arguments, true)?.typed(Some(DType::Bool)),
    }))
}

/// An unknown node.
pub(super) fn unknown(
    site: &mut Site<'_, '_>,
    name: &str,
    arguments: &Args,
    why: Option<&str>,
    outputs: usize,
) -> Lowered<Value> {
    let mut inputs = Vec::new();
    for value in arguments.positional.iter().chain(arguments.named.iter().map(|(_, value)| value)) {
        match value {
            Value::Tensor(tensor) | Value::Number(tensor, _) => inputs.push(tensor.clone()),
            other => {
                for member in other.members().unwrap_or_default() {
                    if let Value::Tensor(tensor) | Value::Number(tensor, _) = member {
                        inputs.push(tensor);
                    }
                }
            }
        }
    }
    inputs.truncate(256);
    let (domain, plain) = name.split_once("::").unwrap_or(("aten", name));
    let shown = |text: &str| rooflens_ground::text::shown(text).into_owned();
    if let Some(why) = why {
        let message = format!("is not understood as it is called: {}", shown(why));
        site.note(Severity::Incomplete, &shown(&format!("{domain}::{plain}")), &message);
    }
    let made = site.foreign(domain, plain, &inputs, outputs)?;
    if made.len() == 1 {
        let mut made = made.into_iter();
        return Ok(made.next().map_or(Value::None, Value::Tensor));
    }
    Ok(Value::tensors(made))
}

/// An axis counted from the front, where the number of axes is known.
fn axis(axis: i64, rank: Option<usize>) -> Lowered<usize> {
    let Some(rank) = rank else { return unable("the number of axes is not known") };
    let signed = i64::try_from(rank).unwrap_or(i64::MAX);
    match usize::try_from(if axis < 0 { axis + signed } else { axis }) {
        Ok(at) if at < rank.max(1) => Ok(at),
        _ => unable(format!("axis {axis} of {rank}")),
    }
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[allow(clippy::cast_possible_truncation)]
fn single(number: f64) -> f32 {
    number as f32
}
