//! `ai.onnx.ml`: trees, linear models, support vectors and encoders.

use super::Class::{Elementwise, MatrixProduct, Movement, Reduction};
use super::context::{OpCx, OpError, invalid};
use super::{Effect, Op};
use crate::dim::Dim;
use crate::ir::{Attr, Attrs, DType, Shape, TensorInfo};

const ML: &str = "ai.onnx.ml";

#[rustfmt::skip]
pub(super) const OPS: &[Op] = &[
    Op::new("ArrayFeatureExtractor", Movement, extract).domain(ML).inputs(2, 2).formula("0; reads only what it picks"),
    Op::new("Binarizer", Elementwise, each::<0, 1>).domain(ML).inputs(1, 1).formula("|x| comparisons"),
    Op::new("CastMap", Movement, cast_map).domain(ML).inputs(1, 1),
    Op::new("CategoryMapper", Movement, category).domain(ML).inputs(1, 1).formula("a look-up an element"),
    Op::new("DictVectorizer", Movement, dictionary).domain(ML).inputs(1, 1).formula("a look-up an entry"),
    Op::new("FeatureVectorizer", Movement, features).domain(ML).inputs(1, usize::MAX),
    Op::new("Imputer", Elementwise, each::<0, 1>).domain(ML).inputs(1, 1).formula("|x| comparisons"),
    Op::new("LabelEncoder", Movement, label).domain(ML).inputs(1, 1).formula("a look-up an element"),
    Op::new("LinearClassifier", MatrixProduct, linear_classifier).domain(ML).inputs(1, 1).formula("2·N·features·classes").held(linear_numbers),
    Op::new("LinearRegressor", MatrixProduct, linear_regressor).domain(ML).inputs(1, 1).formula("2·N·features·targets").held(linear_numbers),
    Op::new("Normalizer", Elementwise, normalizer).domain(ML).inputs(1, 1).formula("3·|x|"),
    Op::new("OneHotEncoder", Movement, one_hot).domain(ML).inputs(1, 1).formula("a look-up an element"),
    Op::new("SVMClassifier", MatrixProduct, svm_classifier).domain(ML).inputs(1, 1).formula("2·N·vectors·features + N·vectors per pair of classes").held(vector_numbers),
    Op::new("SVMRegressor", MatrixProduct, svm_regressor).domain(ML).inputs(1, 1).formula("2·N·vectors·features + 2·N·vectors").held(vector_numbers),
    Op::new("Scaler", Elementwise, each::<2, 0>).domain(ML).inputs(1, 1).formula("2·|x|"),
    Op::new("TreeEnsemble", Reduction, tree_ensemble).domain(ML).inputs(1, 1).formula("≤ N·nodes comparisons").held(tree_numbers),
    Op::new("TreeEnsembleClassifier", Reduction, tree_classifier).domain(ML).inputs(1, 1).formula("≤ N·nodes comparisons").held(tree_numbers),
    Op::new("TreeEnsembleRegressor", Reduction, tree_regressor).domain(ML).inputs(1, 1).formula("≤ N·nodes comparisons").held(tree_numbers),
    Op::new("ZipMap", Movement, zip_map).domain(ML).inputs(1, 1),
];

/// Entries of a list attribute of any kind; zero where it is absent.
fn entries(cx: &OpCx<'_>, name: &str) -> usize {
    list(cx.attrs(), name).0
}

/// Entries of a list attribute of any kind, and the bytes of them all; zero where it is absent.
fn list(attrs: &Attrs, name: &str) -> (usize, usize) {
    match attrs.get(name) {
        Some(Attr::Ints(v)) => (v.len(), 8 * v.len()),
        Some(Attr::Floats(v)) => (v.len(), 4 * v.len()),
        Some(Attr::Strs(v)) => (v.len(), v.iter().map(String::len).sum()),
        Some(Attr::Tensor(t)) => {
            let size = |n: Option<Dim>| n.and_then(|n| n.as_usize()).unwrap_or(0);
            (size(t.elements()), size(t.bytes()))
        }
        _ => (0, 0),
    }
}

/// Entries and bytes of all these attributes.
fn lists(attrs: &Attrs, names: &[&str]) -> (usize, usize) {
    let each = names.iter().map(|name| list(attrs, name));
    each.fold((0, 0), |(n, bytes), (m, more)| (n.saturating_add(m), bytes.saturating_add(more)))
}

fn linear_numbers(attrs: &Attrs) -> (usize, usize) {
    lists(attrs, &["coefficients", "intercepts"])
}

fn vector_numbers(attrs: &Attrs) -> (usize, usize) {
    lists(attrs, &["support_vectors", "coefficients", "rho", "prob_a", "prob_b"])
}

/// The thresholds of branches and the numbers of leaves are learned; the bytes are those of the whole trees.
fn tree_numbers(attrs: &Attrs) -> (usize, usize) {
    let bytes = attrs.iter().map(|(name, _)| name).filter(|name| {
        ["nodes_", "leaf_", "class_", "target_", "base_", "tree_", "membership_"]
            .iter()
            .any(|part| name.starts_with(part))
    });
    let bytes = bytes.fold(0usize, |sum, name| sum.saturating_add(list(attrs, name).1));
    let leaves = match attrs.get("nodes_modes") {
        Some(Attr::Strs(modes)) => modes.iter().filter(|mode| *mode == "LEAF").count(),
        _ => 0,
    };
    // The first two list every node, leaves too; the third has branches alone.
    let thresholds = ["nodes_values", "nodes_values_as_tensor", "nodes_splits"];
    let branches = lists(attrs, &thresholds).0.saturating_sub(leaves);
    let numbers = [
        "class_weights",
        "class_weights_as_tensor",
        "target_weights",
        "target_weights_as_tensor",
        "leaf_weights",
        "base_values",
        "base_values_as_tensor",
    ];
    (branches.saturating_add(lists(attrs, &numbers).0), bytes)
}

/// Samples and features of `[N, F]`, or of one sample `[F]`.
fn samples(cx: &OpCx<'_>) -> Result<(Dim, Dim), OpError> {
    match &cx.shape(0)?[..] {
        [f] => Ok((Dim::ONE, f.clone())),
        [n, f] => Ok((n.clone(), f.clone())),
        other => invalid!("rank {} where samples of features are needed", other.len()),
    }
}

fn float(shape: impl Into<Shape>) -> TensorInfo {
    TensorInfo::new(Some(DType::F32), shape)
}

fn each<const OTHER: u32, const C: u32>(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = cx.elements(0)?;
    let dtype = if &*cx.node.op_type == "Scaler" { Some(DType::F32) } else { cx.dtype(0) };
    let output = TensorInfo::new(dtype, cx.shape(0)?.clone());
    Ok(Effect::one(output).other(n.clone() * Dim::from(OTHER)).comparisons(n * Dim::from(C)))
}

fn normalizer(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = cx.elements(0)?;
    Ok(Effect::one(float(cx.shape(0)?.clone())).other(n * Dim::from(3)).integer(false))
}

fn extract(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut shape = cx.shape(0)?.clone();
    let picked = cx.elements(1)?;
    if shape.len() == 1 {
        shape.insert(0, Dim::ONE);
    }
    let Some(last) = shape.last_mut() else { return invalid!("a single number") };
    *last = picked;
    let output = cx.like(shape);
    let read = output.bytes().unwrap_or_default();
    Ok(Effect::one(output).reads(0, read))
}

fn lookup(cx: &OpCx<'_>, dtype: DType) -> Result<Effect, OpError> {
    Ok(Effect::one(TensorInfo::new(Some(dtype), cx.shape(0)?.clone())))
}

fn category(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let texts = cx.dtype(0) == Some(DType::String);
    lookup(cx, if texts { DType::I64 } else { DType::String })
}

fn label(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let has = |name: &str| cx.attrs().has(name);
    if let Some(Attr::Tensor(values)) = cx.attrs().get("values_tensor") {
        return lookup(cx, values.dtype.unwrap_or(DType::F32));
    }
    lookup(
        cx,
        match () {
            () if has("values_int64s") => DType::I64,
            () if has("values_floats") => DType::F32,
            () if has("values_strings") => DType::String,
            () if cx.dtype(0) == Some(DType::String) => DType::I64,
            () => DType::String,
        },
    )
}

fn cast_map(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let sparse = cx.attrs().str("map_form")? == Some("SPARSE");
    let width = if sparse {
        Dim::from(cx.attrs().int_or("max_map", 1)?)
    } else {
        (cx.fresh)("entries", None)
    };
    Ok(Effect::one(float(vec![Dim::ONE, width])).free(1).bound())
}

#[allow(clippy::unnecessary_wraps)] // The table's signature.
fn dictionary(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let count = entries(cx, "int64_vocabulary") + entries(cx, "string_vocabulary");
    Ok(Effect::one(float(vec![Dim::ONE, Dim::from(count)])).reads(0, Dim::ZERO).bound())
}

fn features(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (n, _) = samples(cx)?;
    let widths = cx.attrs().ints("inputdimensions")?.unwrap_or(&[]);
    let width: Dim = widths.iter().map(|w| Dim::from(*w)).sum();
    Ok(Effect::one(float(vec![n, width])))
}

fn one_hot(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut shape = cx.shape(0)?.clone();
    shape.push(Dim::from(entries(cx, "cats_int64s") + entries(cx, "cats_strings")));
    Ok(Effect::one(float(shape)))
}

fn zip_map(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (n, _) = samples(cx)?;
    let map = crate::ir::Sequence { elements: None, element: float(Vec::new()), length: n };
    Ok(Effect::one(map.into()).writes(Dim::ZERO))
}

/// The class of each sample and the scores of all.
fn classified(cx: &OpCx<'_>, texts: &str, n: &Dim, classes: usize) -> Vec<TensorInfo> {
    let dtype = if entries(cx, texts) > 0 { DType::String } else { DType::I64 };
    vec![TensorInfo::new(Some(dtype), vec![n.clone()]), float(vec![n.clone(), Dim::from(classes)])]
}

fn linear_classifier(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (n, f) = samples(cx)?;
    let classes = entries(cx, "classlabels_ints") + entries(cx, "classlabels_strings");
    let rows = entries(cx, "intercepts").max(classes).max(1);
    let outputs = classified(cx, "classlabels_strings", &n, classes.max(rows));
    Ok(Effect::of(outputs).macs(n * f * Dim::from(rows)).integer(false))
}

fn linear_regressor(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (n, f) = samples(cx)?;
    let targets = Dim::from(cx.attrs().int_or("targets", 1)?);
    let output = float(vec![n.clone(), targets.clone()]);
    Ok(Effect::one(output).macs(n * f * targets).integer(false))
}

fn svm_classifier(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (n, f) = samples(cx)?;
    let classes = entries(cx, "classlabels_ints") + entries(cx, "classlabels_strings");
    let vectors: i64 = cx.attrs().ints("vectors_per_class")?.unwrap_or(&[]).iter().sum();
    let votes = n.clone() * Dim::from(vectors) * Dim::from(classes.saturating_sub(1).max(1));
    let outputs = classified(cx, "classlabels_strings", &n, classes);
    Ok(Effect::of(outputs).macs(n * Dim::from(vectors) * f + votes).integer(false))
}

fn svm_regressor(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (n, f) = samples(cx)?;
    let vectors = Dim::from(cx.attrs().int_or("n_supports", 0)?);
    let output = float(vec![n.clone(), Dim::ONE]);
    Ok(Effect::one(output).macs(n * vectors * (f + Dim::ONE)).integer(false))
}

/// A path down every tree is at most all of its nodes.
fn walked(n: &Dim, nodes: usize, outputs: Vec<TensorInfo>) -> Effect {
    Effect::of(outputs).comparisons(n.clone() * Dim::from(nodes)).bound().integer(false)
}

fn tree_ensemble(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (n, _) = samples(cx)?;
    let targets = Dim::from(cx.attrs().int_or("n_targets", 1)?);
    let output = cx.like(vec![n.clone(), targets]);
    Ok(walked(&n, entries(cx, "nodes_featureids"), vec![output]))
}

fn tree_classifier(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (n, _) = samples(cx)?;
    let classes = entries(cx, "classlabels_int64s") + entries(cx, "classlabels_strings");
    let outputs = classified(cx, "classlabels_strings", &n, classes);
    Ok(walked(&n, entries(cx, "nodes_featureids"), outputs))
}

fn tree_regressor(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (n, _) = samples(cx)?;
    let targets = Dim::from(cx.attrs().int_or("n_targets", 1)?);
    let output = float(vec![n.clone(), targets]);
    Ok(walked(&n, entries(cx, "nodes_featureids"), vec![output]))
}
