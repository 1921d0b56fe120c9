//! Layers into nodes: blobs by their names, which a layer may write again, and weights that are shared by name.

use super::decode::Layer;
use crate::dim::Dim;
use crate::formats::checked::{checked_dim, checked_rank};
use crate::formats::draft::{Draft, Op};
use crate::formats::error::invalid;
use crate::formats::limits::Limits;
use crate::formats::{LoadError, LoadErrorKind, Wanted};
use crate::ir::{Attr, DType, Diagnostic, Severity, TensorInfo, ValueId};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Writes the nodes of a layer.
pub(super) type Write = fn(&mut Net<'_, '_>, &Layer) -> Result<(), LoadError>;

/// A type of layer.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// In ONNX's vocabulary, for people.
    pub(super) becomes: &'static str,
    pub(super) write: Write,
}

pub(super) const fn row(name: &'static str, becomes: &'static str, write: Write) -> Row {
    Row { name, becomes, write }
}

/// A blob: its value and, where that is known, how many axes it has.
#[derive(Clone, Copy)]
pub(super) struct Blob {
    pub(super) id: ValueId,
    pub(super) rank: Option<usize>,
}

/// A network that is being written.
pub(super) struct Net<'a, 'l> {
    pub(super) draft: Draft<'l>,
    blobs: HashMap<String, Blob>,
    /// Weights by the name that layers share.
    shared: HashMap<String, ValueId>,
    /// Labels and what else a source gives besides images: made inputs where something reads them.
    waiting: HashMap<String, Vec<i64>>,
    wanted: &'a Wanted<'a>,
    /// Sizes of the batch that the file states.
    batches: Vec<i64>,
    inputs: usize,
    /// The number of steps and of sequences, where a recurrent layer reads an input.
    steps: Option<(i64, i64)>,
}

impl<'a, 'l> Net<'a, 'l> {
    /// An empty network; `steps` are those of its recurrent layers' inputs.
    pub(super) fn new(
        name: &str,
        steps: Option<(i64, i64)>,
        limits: &'l mut Limits,
        wanted: &'a Wanted<'a>,
    ) -> Self {
        Self {
            draft: Draft::new(name, limits),
            blobs: HashMap::new(),
            shared: HashMap::new(),
            waiting: HashMap::new(),
            wanted,
            batches: Vec::new(),
            inputs: 0,
            steps,
        }
    }

    /// What layers made last under this name.
    pub(super) fn blob(&self, name: &str) -> Option<Blob> {
        self.blobs.get(name).copied()
    }

    /// Keeps a label, or what else a source gives besides images, until something reads it.
    pub(super) fn wait(&mut self, name: &str, sizes: Vec<i64>) {
        self.waiting.insert(name.to_owned(), sizes);
    }

    /// The batch, where all inputs state the same one.
    pub(super) fn stated(&mut self) -> BTreeMap<Arc<str>, u64> {
        let first = self.batches.first().and_then(|n| u64::try_from(*n).ok());
        let Some(batch) = first.filter(|n| *n > 0) else { return BTreeMap::new() };
        if batch > 1 {
            self.draft.limits().diagnostics.push(Diagnostic {
                severity: Severity::Assumption,
                place: "batch".into(),
                message: format!("is {batch}, as the file states"),
                hint: Some("set it with --batch N".into()),
            });
        }
        [("batch".into(), batch)].into_iter().collect()
    }

    /// An input of these sizes. Its batch stays open, and the file's is what holds where none is given.
    pub(super) fn input(&mut self, name: &str, sizes: &[i64]) -> Result<(), LoadError> {
        let given = self.wanted.given.holds(name, self.inputs);
        self.inputs += 1;
        if sizes.is_empty() && !given {
            return Err(LoadErrorKind::Shapeless { place: format!("input `{name}`") }.into());
        }
        checked_rank(name, sizes.len())?;
        let sequences = self.steps.is_some_and(|(t, n)| sizes.get(..2) == Some(&[t, n]));
        let at = usize::from(sequences);
        let same = self.batches.first().is_none_or(|known| Some(known) == sizes.get(at));
        let mut shape = Vec::new();
        for (axis, size) in sizes.iter().enumerate() {
            let size = checked_dim(name, axis, *size)?;
            let open = axis == at && same && !given;
            shape.push(if open { Dim::symbol("batch") } else { size });
        }
        if let Some(batch) = sizes.get(at).filter(|_| same && !given) {
            self.batches.push(*batch);
        }
        let info = TensorInfo {
            dtype: Some(DType::F32),
            shape: (!sizes.is_empty()).then_some(shape),
            ..TensorInfo::default()
        };
        let id = self.draft.input(name, info)?;
        let rank = if sizes.is_empty() { None } else { Some(sizes.len()) };
        self.blobs.insert(name.to_owned(), Blob { id, rank: rank.or(Some(4)) });
        Ok(())
    }

    /// A layer of which nothing is known but its name.
    pub(super) fn unknown(&mut self, layer: &Layer) -> Result<(), LoadError> {
        let mut inputs = Vec::new();
        for at in 0..layer.bottoms.len() {
            inputs.push(Some(self.bottom(layer, at)?.id));
        }
        let op = Op::foreign("caffe", &layer.kind);
        let made = self.draft.many(&layer.name, op, &inputs, layer.tops.len())?;
        for (top, id) in layer.tops.iter().zip(made) {
            self.blobs.insert(top.clone(), Blob { id, rank: None });
        }
        Ok(())
    }

    /// What a layer reads at this place.
    pub(super) fn bottom(&mut self, layer: &Layer, at: usize) -> Result<Blob, LoadError> {
        let place = || format!("layer `{}`", layer.name);
        let Some(name) = layer.bottoms.get(at) else {
            return Err(invalid(place(), format!("has no bottom {at}")));
        };
        if let Some(blob) = self.blobs.get(name) {
            return Ok(*blob);
        }
        let Some(sizes) = self.waiting.remove(name) else {
            return Err(invalid(
                place(),
                format!("reads `{name}`, which no layer before it makes"),
            ));
        };
        self.input(name, &sizes)?;
        self.blobs.get(name).copied().ok_or_else(|| invalid(place(), "reads nothing"))
    }

    /// Names what a layer makes.
    pub(super) fn top(&mut self, layer: &Layer, at: usize, id: ValueId, rank: Option<usize>) {
        if let Some(top) = layer.tops.get(at) {
            self.blobs.insert(top.clone(), Blob { id, rank });
        }
    }

    /// A node with one output that is one of a layer's steps.
    pub(super) fn step(
        &mut self,
        layer: &Layer,
        step: &str,
        op: Op,
        inputs: &[Option<ValueId>],
    ) -> Result<ValueId, LoadError> {
        let name =
            if step.is_empty() { layer.name.clone() } else { format!("{}/{step}", layer.name) };
        self.draft.one(&name, op, inputs)
    }

    /// A weight that is applied to `x`: sizes of zero are those of `x` at the axis that `axes` has for them. `more`
    /// are further attributes of `Parameter`.
    pub(super) fn weight(
        &mut self,
        layer: &Layer,
        at: usize,
        x: Blob,
        (sizes, axes): (&[i64], &[i64]),
        more: &[(&str, i64)],
    ) -> Result<ValueId, LoadError> {
        let key = layer.shared.get(at).filter(|name| !name.is_empty());
        if let Some(known) = key.and_then(|key| self.shared.get(key)) {
            return Ok(*known);
        }
        self.compare(layer, at, sizes);
        let name = key.cloned().unwrap_or_else(|| format!("{}.{at}", layer.name));
        let mut op = Op::own("Parameter").with("sizes", sizes.to_vec()).with("axes", axes.to_vec());
        for (name, value) in more {
            op = op.with(name, Attr::Int(*value));
        }
        let made = self.draft.one(&name, op, &[Some(x.id)])?;
        if let Some(key) = key {
            self.shared.insert(key.clone(), made);
        }
        Ok(made)
    }

    /// Holds a stored weight against what follows from the layer, as far as that is known here.
    fn compare(&mut self, layer: &Layer, at: usize, sizes: &[i64]) {
        let Some(stored) = layer.blobs.get(at).filter(|_| !sizes.contains(&0)) else { return };
        let elements = |sizes: &[i64]| sizes.iter().fold(1_i64, |n, s| n.saturating_mul(*s));
        if elements(stored) != elements(sizes) {
            self.draft.limits().diagnostics.push(Diagnostic {
                severity: Severity::Conflict,
                place: format!("layer `{}`", layer.name),
                message: format!("stores {stored:?} where {sizes:?} follow from its parameters"),
                hint: None,
            });
        }
    }

    /// A small constant: one number without axes.
    pub(super) fn number(&mut self, x: f32) -> Result<ValueId, LoadError> {
        self.draft.float(x)
    }
}
