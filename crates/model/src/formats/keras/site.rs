//! Where a layer is written: the graph so far, what is known of values, and the variables of layers.

use super::super::LoadError;
use super::super::draft::{Draft, Op};
use super::json::{Key, Layer};
use super::shared;
use super::stored::{Stored, Tensor};
use crate::dim::Dim;
use crate::ir::{DType, Diagnostic, Elem, Severity, TensorInfo, ValueId, Weight};
use std::collections::HashMap;

/// A tensor in the graph, with what its layers say of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct T {
    pub(super) id: ValueId,
    /// How many axes it has, where that is known.
    pub(super) rank: Option<usize>,
    pub(super) dtype: Option<DType>,
}

impl T {
    /// Another tensor of the same kind.
    pub(super) fn like(self, id: ValueId) -> Self {
        Self { id, ..self }
    }

    /// The same with another number of axes.
    pub(super) fn ranked(self, rank: Option<usize>) -> Self {
        Self { rank, ..self }
    }

    /// The same with another type of elements.
    pub(super) fn typed(self, dtype: DType) -> Self {
        Self { dtype: Some(dtype), ..self }
    }

    /// An axis counted from the first, where that can be said.
    pub(super) fn axis(self, axis: i64) -> Option<usize> {
        let rank = self.rank?;
        let at = if axis < 0 { axis + i64::try_from(rank).ok()? } else { axis };
        usize::try_from(at).ok().filter(|at| *at < rank)
    }

    /// Whether this axis is the last.
    pub(super) fn is_last(self, axis: i64) -> bool {
        axis == -1 || self.rank.is_some_and(|rank| self.axis(axis) == Some(rank - 1))
    }
}

/// A size of a variable.
#[derive(Clone, Copy, Debug)]
pub(super) enum Size {
    /// Stated by the layer.
    Is(i64),
    /// That of an axis of the layer's input.
    Axis(i64),
}

/// What lasts while a model is written.
pub(super) struct State<'j> {
    /// Variables that are there, by the layer and their name.
    variables: HashMap<(Key, String), ValueId>,
    /// Layers that are others again.
    again: HashMap<Key, Key>,
    /// What is stored in the file.
    stored: Option<&'j Stored>,
    /// Where the variables of a layer are stored, by its key.
    places: HashMap<Key, Home>,
    /// The main version of Keras.
    pub(super) major: u32,
    /// Nodes so far that no row tells about.
    pub(super) unknown: usize,
    notes: usize,
}

/// Where the weights of a layer are stored.
#[derive(Clone, Debug, Default)]
pub(super) struct Home {
    /// Path in an archive.
    pub(super) path: String,
    /// The layer at the top of the model, in an HDF5 file.
    pub(super) top: String,
    /// Names of layers from there on.
    pub(super) within: Vec<String>,
}

/// Diagnostics beyond this number are left out.
const MAX_NOTES: usize = 200;

impl<'j> State<'j> {
    pub(super) fn new(
        root: &Layer<'j>,
        stored: Option<&'j Stored>,
        major: u32,
    ) -> Result<Self, LoadError> {
        let (variables, places) = (HashMap::new(), HashMap::from([(root.key, Home::default())]));
        let again = shared::again(root)?;
        Ok(Self { variables, again, stored, places, major, unknown: 0, notes: 0 })
    }

    /// Gives a layer the key of the one that it is, if the file says that it was met before.
    pub(super) fn identify(&mut self, layer: &mut Layer<'_>, home: Home) {
        match self.again.get(&layer.key) {
            Some(key) => layer.key = *key,
            None => {
                self.places.entry(layer.key).or_insert(home);
            }
        }
    }

    /// A layer that is part of another, under the name that the class has for it.
    pub(super) fn inner<'l>(
        &mut self,
        layer: &Layer<'_>,
        value: &'l serde_json::Value,
        part: &str,
    ) -> Result<Layer<'l>, LoadError> {
        let mut inner = Layer::of(value)?;
        match self.again.get(&inner.key) {
            Some(key) => inner.key = *key,
            None => self.part(layer, &inner, part),
        }
        Ok(inner)
    }

    /// Where the weights of a layer are stored.
    pub(super) fn home(&self, key: &Key) -> Option<&Home> {
        self.places.get(key)
    }

    /// Says where the weights of a part of a layer are stored: below it, by the name that the class has for it.
    pub(super) fn part(&mut self, layer: &Layer<'_>, inner: &Layer<'_>, part: &str) {
        let Some(home) = self.places.get(&layer.key) else { return };
        let mut inner_home = home.clone();
        inner_home.path = format!("{}/{part}", home.path);
        inner_home.within.push(inner.name.clone());
        self.places.insert(inner.key, inner_home);
    }

    /// All that is stored of a layer.
    pub(super) fn tensors(&self, key: &Key) -> Vec<Tensor> {
        let (Some(stored), Some(home)) = (self.stored, self.places.get(key)) else {
            return Vec::new();
        };
        match stored {
            Stored::Paths(_) => stored.below(&home.path),
            Stored::Layers(_) => {
                let all = stored.layer(&home.top).iter();
                all.filter(|(name, _)| home.holds(name)).cloned().collect()
            }
        }
    }

    /// The sizes that are stored for a variable, the `at`th of its layer.
    fn sizes(&self, key: &Key, name: &str, at: usize) -> Option<Vec<u64>> {
        let home = self.places.get(key)?;
        match self.stored? {
            stored @ Stored::Paths(_) => stored.at(&format!("{}/vars/{at}", home.path)).cloned(),
            stored @ Stored::Layers(_) => {
                let last = |path: &str| {
                    let end = path.rsplit('/').next().unwrap_or(path);
                    end.split(':').next().unwrap_or(end) == name
                };
                let all = stored.layer(&home.top).iter();
                let mut found = all.filter(|(path, _)| last(path) && home.holds(path));
                let first = found.next()?;
                // Of several by this name none can be told to be the one.
                found.next().is_none().then(|| first.1.clone())
            }
        }
    }
}

impl Home {
    /// Whether a stored tensor of the layer at the top is of this layer.
    fn holds(&self, path: &str) -> bool {
        let part = |name: &String| path.split('/').any(|part| part == name);
        self.within.iter().all(part)
    }
}

/// A graph and what lasts, while layers are written into it.
pub(super) struct Site<'s, 'd, 'j> {
    pub(super) draft: &'s mut Draft<'d>,
    pub(super) state: &'s mut State<'j>,
    /// The name of the layer that is written.
    pub(super) name: String,
    /// How many variables the present layer has so far.
    pub(super) counted: HashMap<Key, usize>,
    /// What the present layer computes in, and what its variables are stored in.
    pub(super) compute: DType,
    pub(super) keep: DType,
}

impl<'d, 'j> Site<'_, 'd, 'j> {
    /// The name of a part of the layer; of the layer itself, if that is empty.
    pub(super) fn part(&self, suffix: &str) -> String {
        if suffix.is_empty() { self.name.clone() } else { format!("{}/{suffix}", self.name) }
    }

    /// A node with one output, named after the layer.
    pub(super) fn one(
        &mut self,
        suffix: &str,
        op: Op,
        inputs: &[Option<ValueId>],
    ) -> Result<ValueId, LoadError> {
        let name = self.part(suffix);
        self.draft.one(&name, op, inputs)
    }

    /// The same with several outputs.
    pub(super) fn many(
        &mut self,
        suffix: &str,
        op: Op,
        inputs: &[Option<ValueId>],
        outputs: usize,
    ) -> Result<Vec<ValueId>, LoadError> {
        let name = self.part(suffix);
        self.draft.many(&name, op, inputs, outputs)
    }

    /// An operator of ONNX that keeps shape and type.
    pub(super) fn map(&mut self, suffix: &str, op: &str, x: T) -> Result<T, LoadError> {
        Ok(x.like(self.one(suffix, Op::onnx(op), &[Some(x.id)])?))
    }

    /// An operator of ONNX on two tensors that are broadcast; the result is of the first's type.
    pub(super) fn binary(&mut self, suffix: &str, op: &str, a: T, b: T) -> Result<T, LoadError> {
        let id = self.one(suffix, Op::onnx(op), &[Some(a.id), Some(b.id)])?;
        let rank = a.rank.zip(b.rank).map(|(a, b)| a.max(b));
        Ok(T { id, rank, dtype: a.dtype.or(b.dtype) })
    }

    /// A number as a tensor without axes, of the type of another.
    pub(super) fn number(&mut self, number: f64, like: T) -> Result<T, LoadError> {
        let dtype = like.dtype.unwrap_or(DType::F32);
        let info = TensorInfo::new(Some(dtype), Vec::new());
        let info = info.with_value(vec![element(number, dtype)]);
        Ok(T { id: self.draft.small(info)?, rank: Some(0), dtype: Some(dtype) })
    }

    /// With another type of elements.
    pub(super) fn cast(&mut self, x: T, to: DType) -> Result<T, LoadError> {
        if x.dtype == Some(to) {
            return Ok(x);
        }
        let op = Op::onnx("Cast").with("to", i64::from(to.onnx()));
        Ok(x.typed(to).like(self.one("cast", op, &[Some(x.id)])?))
    }

    /// In the type that the layer computes in, if it is a floating-point tensor of another.
    pub(super) fn autocast(&mut self, x: T) -> Result<T, LoadError> {
        match x.dtype {
            Some(dtype) if dtype.is_float() && self.compute.is_float() => {
                self.cast(x, self.compute)
            }
            _ => Ok(x),
        }
    }

    /// A variable of a layer, with the shape that follows from what it is applied to. It is one tensor however
    /// often the layer is called.
    pub(super) fn variable(
        &mut self,
        layer: &Layer<'_>,
        name: &str,
        x: T,
        sizes: &[Size],
    ) -> Result<T, LoadError> {
        self.variable_in(layer, name, x, sizes, 1)
    }

    /// The same, a size of the input being divided among so many groups.
    pub(super) fn variable_in(
        &mut self,
        layer: &Layer<'_>,
        name: &str,
        x: T,
        sizes: &[Size],
        groups: i64,
    ) -> Result<T, LoadError> {
        let keep = self.keep;
        let counted = self.counted.entry(layer.key).or_insert(0);
        let at = *counted;
        *counted += 1;
        let key = (layer.key, name.to_owned());
        let rank = Some(sizes.len());
        if let Some(id) = self.state.variables.get(&key) {
            return self.cast(T { id: *id, rank, dtype: Some(keep) }, self.compute);
        }
        let axis = |size: &Size| match size {
            Size::Is(_) => 0,
            Size::Axis(axis) => *axis,
        };
        let number = |size: &Size| match size {
            Size::Is(number) => *number,
            Size::Axis(_) => 0,
        };
        let op = Op::own("Parameter")
            .with("sizes", sizes.iter().map(number).collect::<Vec<i64>>())
            .with("axes", sizes.iter().map(axis).collect::<Vec<i64>>())
            .with("group", groups)
            .with("dtype", i64::from(keep.onnx()));
        let id = self.one(name, op, &[Some(x.id)])?;
        if let Some(stored) = self.state.sizes(&layer.key, name, at) {
            let shape: Vec<Dim> = stored.iter().map(|n| Dim::from(*n)).collect();
            self.draft.hint(id, TensorInfo::new(Some(keep), shape));
        }
        self.state.variables.insert(key, id);
        self.cast(T { id, rank, dtype: Some(keep) }, self.compute)
    }

    /// All that the file stores of a layer, for one that is not understood.
    pub(super) fn stored(&mut self, layer: &Layer<'_>) -> Result<Vec<ValueId>, LoadError> {
        let mut found = Vec::new();
        for (name, sizes) in self.state.tensors(&layer.key) {
            let key = (layer.key, name.clone());
            if let Some(id) = self.state.variables.get(&key) {
                found.push(*id);
                continue;
            }
            let shape: Vec<Dim> = sizes.iter().map(|n| Dim::from(*n)).collect();
            let info = TensorInfo::new(Some(self.keep), shape);
            let weight = Weight::of(&info);
            let name = self.part(&name);
            let id = self.draft.stored(&name, info, weight)?;
            self.state.variables.insert(key, id);
            found.push(id);
        }
        Ok(found)
    }

    /// Says what could not be settled, or what was assumed.
    pub(super) fn note(&mut self, severity: Severity, message: String, hint: Option<String>) {
        self.state.notes += 1;
        if self.state.notes <= MAX_NOTES {
            let place = self.name.clone();
            let diagnostic = Diagnostic { severity, place, message, hint };
            self.draft.limits().diagnostics.push(diagnostic);
        }
    }

    /// Writes into the same graph, the names of all nodes after a label.
    pub(super) fn inside<R>(
        &mut self,
        label: &str,
        write: impl FnOnce(&mut Site<'_, 'd, 'j>) -> Result<R, LoadError>,
    ) -> Result<R, LoadError> {
        let Self { draft, state, compute, keep, .. } = self;
        let (compute, keep) = (*compute, *keep);
        draft.inside(label, |draft| {
            let (name, counted) = (String::new(), HashMap::new());
            write(&mut Site { draft, state, name, counted, compute, keep })
        })
    }

    /// Sizes of a tensor from one axis to another, as a list that can be calculated with.
    pub(super) fn sizes_of(
        &mut self,
        x: T,
        from: i64,
        to: Option<i64>,
    ) -> Result<ValueId, LoadError> {
        let mut op = Op::onnx("Shape").with("start", from);
        if let Some(to) = to {
            op = op.with("end", to);
        }
        self.one("shape", op, &[Some(x.id)])
    }

    /// One list from several.
    pub(super) fn joined(&mut self, lists: &[ValueId]) -> Result<ValueId, LoadError> {
        let lists: Vec<Option<ValueId>> = lists.iter().copied().map(Some).collect();
        self.one("shape", Op::onnx("Concat").with("axis", 0_i64), &lists)
    }

    /// With another shape: 0 keeps a size, −1 takes what is left.
    pub(super) fn reshape(&mut self, suffix: &str, x: T, to: &[i64]) -> Result<T, LoadError> {
        let shape = self.draft.ints(to)?;
        let id = self.one(suffix, Op::onnx("Reshape"), &[Some(x.id), Some(shape)])?;
        Ok(x.ranked(Some(to.len())).like(id))
    }

    /// With its axes in another order.
    pub(super) fn transpose(&mut self, suffix: &str, x: T, order: &[i64]) -> Result<T, LoadError> {
        let op = Op::onnx("Transpose").with("perm", order.to_vec());
        Ok(x.ranked(Some(order.len())).like(self.one(suffix, op, &[Some(x.id)])?))
    }

    /// With axes of size 1 put in, or with such axes taken away.
    pub(super) fn axes(
        &mut self,
        suffix: &str,
        op: &'static str,
        x: T,
        axes: &[i64],
    ) -> Result<T, LoadError> {
        let list = self.draft.ints(axes)?;
        let id = self.one(suffix, Op::onnx(op), &[Some(x.id), Some(list)])?;
        let change = |rank: usize| {
            if op == "Squeeze" { rank.checked_sub(axes.len()) } else { Some(rank + axes.len()) }
        };
        Ok(x.ranked(x.rank.and_then(change)).like(id))
    }

    /// A reduction over axes; over all, if there are none.
    pub(super) fn reduce(
        &mut self,
        suffix: &str,
        op: &str,
        x: T,
        axes: &[i64],
        keep: bool,
    ) -> Result<T, LoadError> {
        let list = if axes.is_empty() { None } else { Some(self.draft.ints(axes)?) };
        let op = Op::onnx(op).with("keepdims", keep);
        let id = self.one(suffix, op, &[Some(x.id), list])?;
        let rank = match (keep, axes.is_empty()) {
            (true, _) => x.rank,
            (false, true) => Some(0),
            (false, false) => x.rank.and_then(|rank| rank.checked_sub(axes.len())),
        };
        Ok(x.ranked(rank).like(id))
    }

    /// Part of an axis: from `start` up to, not including, `end`.
    pub(super) fn slice(
        &mut self,
        suffix: &str,
        x: T,
        bounds: &[(i64, i64, i64, i64)],
    ) -> Result<T, LoadError> {
        let mut lists = Vec::new();
        for pick in [
            |b: &(i64, i64, i64, i64)| b.1,
            |b: &(i64, i64, i64, i64)| b.2,
            |b: &(i64, i64, i64, i64)| b.0,
            |b: &(i64, i64, i64, i64)| b.3,
        ] {
            let list: Vec<i64> = bounds.iter().map(pick).collect();
            lists.push(Some(self.draft.ints(&list)?));
        }
        let inputs = [Some(x.id), lists[0], lists[1], lists[2], lists[3]];
        Ok(x.like(self.one(suffix, Op::onnx("Slice"), &inputs)?))
    }

    /// Tensors put after each other along an axis.
    pub(super) fn concat(&mut self, suffix: &str, list: &[T], axis: i64) -> Result<T, LoadError> {
        let inputs: Vec<Option<ValueId>> = list.iter().map(|t| Some(t.id)).collect();
        let id = self.one(suffix, Op::onnx("Concat").with("axis", axis), &inputs)?;
        let rank = list.iter().find_map(|t| t.rank);
        Ok(T { id, rank, dtype: list.first().and_then(|t| t.dtype) })
    }

    /// A tensor of one number everywhere, of these sizes.
    pub(super) fn filled(&mut self, number: f64, sizes: &[i64], like: T) -> Result<T, LoadError> {
        let shape = self.draft.ints(sizes)?;
        Ok(self.fill(number, shape, like)?.ranked(Some(sizes.len())))
    }

    /// The same, of sizes that are calculated. It is no weight of the file.
    pub(super) fn fill(&mut self, number: f64, sizes: ValueId, like: T) -> Result<T, LoadError> {
        let dtype = like.dtype.unwrap_or(DType::F32);
        let info = TensorInfo::new(Some(dtype), vec![Dim::ONE]);
        let info = info.with_value(vec![element(number, dtype)]);
        let op = Op::onnx("ConstantOfShape").with("value", info);
        let id = self.one("fill", op, &[Some(sizes)])?;
        Ok(T { id, rank: None, dtype: Some(dtype) })
    }

    /// A node of a kind that no row tells about.
    pub(super) fn unknown(
        &mut self,
        class: &str,
        inputs: &[ValueId],
        outputs: usize,
    ) -> Result<Vec<ValueId>, LoadError> {
        self.state.unknown += 1;
        let inputs: Vec<Option<ValueId>> = inputs.iter().copied().map(Some).collect();
        self.many("", Op::foreign("keras", class), &inputs, outputs)
    }
}

/// A number as contents of a tensor of this type.
#[allow(clippy::cast_possible_truncation)]
fn element(number: f64, dtype: DType) -> Elem {
    if dtype.is_float() { Elem::Float(number) } else { Elem::Int(Dim::from(number as i64)) }
}
