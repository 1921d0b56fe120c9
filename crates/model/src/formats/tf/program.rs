//! Graphs and functions of a file as one kind of thing: nodes that read other nodes and arguments by number, in
//! order of what they read.

use super::messages::{AttrEntry, AttrValue, NodeDef, Shape, Tensor};
use super::tensor::decoded;
use crate::formats::LoadError;
use crate::formats::error::invalid;
use crate::ir::DType;
use std::sync::Arc;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// An output of a node of the same body.
    Node(u32, u32),
    /// An argument of the body.
    Arg(u32),
    /// A node that is not in the file.
    Missing,
}

/// What the blocks around a convolution stand for, by its spatial axes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Dilation {
    pub(super) dilations: Vec<i64>,
    /// Before each axis, then after each.
    pub(super) pads: Vec<i64>,
}

/// What a node does.
pub(super) struct Def {
    pub(super) name: String,
    pub(super) op: String,
    attrs: Vec<AttrEntry>,
    /// Of loops and branches that are made of nodes without functions.
    pub(super) inner: Vec<Arc<Body>>,
    /// Of a convolution that is spelt as one on blocks of a batch.
    pub(super) dilation: Option<Dilation>,
}

impl Def {
    /// A node of the file.
    pub(super) fn of(node: NodeDef) -> Self {
        let NodeDef { name, op, attrs, .. } = node;
        Self { name, op, attrs, inner: Vec::new(), dilation: None }
    }

    /// A node of the reader's making.
    pub(super) fn made(name: &str, op: &str, inner: Vec<Arc<Body>>) -> Self {
        let (name, op) = (name.to_owned(), op.to_owned());
        Self { name, op, attrs: Vec::new(), inner, dilation: None }
    }

    /// The same node with another operator or a dilation.
    pub(super) fn changed(&self, op: &str, dilation: Option<Dilation>) -> Self {
        let (name, op) = (self.name.clone(), op.to_owned());
        Self { name, op, attrs: self.attrs.clone(), inner: self.inner.clone(), dilation }
    }

    /// The attribute `name`; none where it is absent or broken.
    fn attr(&self, name: &str) -> Option<AttrValue> {
        let entry = self.attrs.iter().rfind(|a| a.key == name)?;
        decoded(&entry.value).ok()
    }

    pub(super) fn int(&self, name: &str) -> Option<i64> {
        self.attr(name)?.i
    }

    pub(super) fn float(&self, name: &str, default: f32) -> f32 {
        self.attr(name).and_then(|a| a.f).unwrap_or(default)
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.attr(name).and_then(|a| a.b).unwrap_or(false)
    }

    pub(super) fn flag_or(&self, name: &str, default: bool) -> bool {
        self.attr(name).and_then(|a| a.b).unwrap_or(default)
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        Some(String::from_utf8_lossy(&self.attr(name)?.s?).into_owned())
    }

    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let list = self.attr(name).and_then(|a| a.list).map(|l| l.s).unwrap_or_default();
        list.iter().map(|s| String::from_utf8_lossy(s).into_owned()).collect()
    }

    pub(super) fn ints(&self, name: &str) -> Option<Vec<i64>> {
        Some(self.attr(name)?.list?.i)
    }

    pub(super) fn type_number(&self, name: &str) -> Option<i32> {
        self.attr(name)?.kind
    }

    pub(super) fn dtype(&self, name: &str) -> Option<DType> {
        super::tensor::dtype(self.type_number(name)?)
    }

    pub(super) fn types(&self, name: &str) -> Option<Vec<i32>> {
        Some(self.attr(name)?.list?.kinds)
    }

    pub(super) fn shape(&self, name: &str) -> Option<Shape> {
        self.attr(name)?.shape
    }

    pub(super) fn shapes(&self, name: &str) -> Vec<Shape> {
        self.attr(name).and_then(|a| a.list).map(|l| l.shapes).unwrap_or_default()
    }

    pub(super) fn tensor(&self, name: &str) -> Option<Tensor> {
        self.attr(name)?.tensor
    }

    pub(super) fn function(&self, name: &str) -> Option<String> {
        Some(self.attr(name)?.func?.name)
    }

    pub(super) fn functions(&self, name: &str) -> Vec<String> {
        let list = self.attr(name).and_then(|a| a.list).map(|l| l.funcs).unwrap_or_default();
        list.into_iter().map(|f| f.name).collect()
    }
}

/// A node of a body.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) def: Arc<Def>,
    pub(super) inputs: Vec<Source>,
    /// Nodes that must have run before.
    pub(super) controls: Vec<u32>,
}

/// A graph or a function.
#[derive(Default)]
pub(super) struct Body {
    pub(super) name: String,
    pub(super) nodes: Vec<Node>,
    /// The names of its arguments.
    pub(super) args: Vec<String>,
    pub(super) returns: Vec<Source>,
}

impl Body {
    pub(super) fn node(&self, id: u32) -> &Node {
        &self.nodes[index(id)]
    }
}

pub(super) fn index(id: u32) -> usize {
    usize::try_from(id).unwrap_or(usize::MAX)
}

pub(super) fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Steps that looking through bodies may take in all; a few bytes can ask for many.
const MAX_STEPS: usize = 20_000_000;

/// Work that a few bytes of a file can ask for, counted.
#[derive(Default)]
pub(super) struct Steps(usize);

impl Steps {
    /// Counts so much more of it.
    pub(super) fn add(&mut self, count: usize) -> Result<(), LoadError> {
        self.0 = self.0.saturating_add(count);
        if self.0 > MAX_STEPS {
            return Err(invalid("graph", "its functions and branches are too entangled to follow"));
        }
        Ok(())
    }
}

/// All nodes that these values depend on, each after what it reads.
pub(super) fn ordered(
    body: &Body,
    ends: &[Source],
    steps: &mut Steps,
) -> Result<Vec<u32>, LoadError> {
    /// Not seen, being looked at, done.
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        No,
        Open,
        Done,
    }
    steps.add(body.nodes.len() / 16)?;
    let mut marks = vec![Mark::No; body.nodes.len()];
    let (mut order, mut stack) = (Vec::new(), Vec::new());
    for end in ends {
        if let Source::Node(id, _) = end {
            stack.push((*id, 0));
        }
        while let Some((id, next)) = stack.pop() {
            let Some(node) = body.nodes.get(index(id)) else { continue };
            if next == 0 {
                match marks[index(id)] {
                    Mark::Done => continue,
                    Mark::Open => {
                        let place = format!("node `{}`", node.def.name);
                        return Err(invalid(place, "waits for itself"));
                    }
                    Mark::No => marks[index(id)] = Mark::Open,
                }
            }
            steps.add(1)?;
            let Some(input) = node.inputs.get(next) else {
                marks[index(id)] = Mark::Done;
                order.push(id);
                continue;
            };
            stack.push((id, next + 1));
            if let Source::Node(other, _) = input {
                if marks[index(*other)] != Mark::Done {
                    stack.push((*other, 0));
                }
            }
        }
    }
    Ok(order)
}
