//! What of a file is the model: its meta graph, its signature, its inputs and outputs.

use super::flow;
use super::library::Library;
use super::messages::{GraphDef, MetaGraph, PortInfo, SavedModel, Shape, Signature};
use super::program::{Body, Source, index, number};
use super::tensor;
use super::value::Val;
use crate::dim::Dim;
use crate::formats::draft::Draft;
use crate::formats::error::malformed;
use crate::formats::{Given, LoadError, LoadErrorKind, Wanted};
use crate::ir::{DType, TensorInfo};
use std::collections::{BTreeMap, HashMap};

/// Signatures that prepare a model and are none.
const NO_SIGNATURES: [&str; 3] =
    ["__saved_model_init_op", "__saved_model_train_op", "saved_model_main_op"];
/// Shapes of placeholders without axes meant unknown ones in graphs up to this version.
const SCALARS_SINCE: i32 = 21;
/// So many names are listed where one must be chosen.
const MOST_LISTED: usize = 12;

/// An input of the model.
pub(super) struct Input {
    pub(super) name: String,
    dtype: Option<DType>,
    /// Sizes, −1 where they are open; none where not even their number is known.
    sizes: Option<Vec<i64>>,
}

/// The graph with what goes in and out.
pub(super) struct Entry {
    pub(super) body: Body,
    pub(super) inputs: Vec<Input>,
    pub(super) outputs: Vec<String>,
    /// Whether the outputs depend on variables.
    pub(super) variable: bool,
}

/// The meta graph for serving, else the only one.
pub(super) fn serving(saved: &SavedModel) -> Result<MetaGraph, LoadError> {
    let all: Vec<MetaGraph> =
        saved.meta_graphs.iter().map(tensor::decoded).collect::<Result<_, _>>()?;
    let tags = |meta: &MetaGraph| meta.info.as_ref().map(|i| i.tags.clone()).unwrap_or_default();
    let serve = all.iter().position(|m| tags(m) == ["serve"]);
    let serve = serve.or_else(|| all.iter().position(|m| tags(m).iter().any(|t| t == "serve")));
    let at = serve.or((all.len() == 1).then_some(0));
    let known = all.iter().map(|m| tags(m).join("+")).collect::<Vec<_>>().join(", ");
    match at {
        Some(at) => all.into_iter().nth(at).ok_or_else(|| malformed(super::NAME, "it is empty")),
        None if all.is_empty() => Err(malformed(super::NAME, "it holds no graph")),
        None => Err(choice(
            format!("holds no graph with the tag `serve`, only: {known}"),
            "save the model again for serving".to_owned(),
        )),
    }
}

fn choice(message: String, known: String) -> LoadError {
    LoadErrorKind::Choice { message, known }.into()
}

/// The signature that is wanted, or the one to take.
fn signature<'m>(
    meta: &'m MetaGraph,
    wanted: Option<&str>,
) -> Result<Option<&'m Signature>, LoadError> {
    let all: BTreeMap<&str, &Signature> = meta
        .signatures
        .iter()
        .filter(|s| !NO_SIGNATURES.contains(&s.key.as_str()))
        .filter_map(|s| Some((s.key.as_str(), s.value.as_ref()?)))
        .collect();
    let names = || {
        let shown = all.keys().take(MOST_LISTED).map(|name| format!("`{name}`"));
        format!("choose with --signature: {}", shown.collect::<Vec<_>>().join(", "))
    };
    if let Some(name) = wanted {
        return match all.get(name) {
            Some(found) => Ok(Some(found)),
            None if all.is_empty() => {
                Err(choice(format!("has no signature `{name}`: it has none"), SAVE.to_owned()))
            }
            None => Err(choice(format!("has no signature `{name}`"), names())),
        };
    }
    if let Some(found) = all.get("serving_default") {
        return Ok(Some(found));
    }
    match all.len() {
        0 => Ok(None),
        1 => Ok(all.values().next().copied()),
        _ => {
            Err(choice("has several signatures, and none is `serving_default`".to_owned(), names()))
        }
    }
}

const SAVE: &str = "save it with signatures: `tf.saved_model.save(model, DIR, signatures=FUNCTION)`, or `model.export(DIR)`";

/// The tensors that a signature's entry is made of: several of a sparse or composite one.
fn tensors(key: &str, info: &PortInfo) -> Vec<(String, String, Option<Shape>)> {
    if let Some(sparse) = &info.sparse {
        let part = |label: &str, name: &String| (format!("{key}/{label}"), name.clone(), None);
        return vec![
            part("values", &sparse.values),
            part("indices", &sparse.indices),
            part("dense_shape", &sparse.dense_shape),
        ];
    }
    if let Some(composite) = &info.composite {
        let parts = composite.components.iter().enumerate();
        return parts
            .map(|(at, c)| (format!("{key}/{at}"), c.name.clone(), c.shape.clone()))
            .collect();
    }
    vec![(key.to_owned(), info.name.clone(), info.shape.clone())]
}

/// Names of the nodes of a graph.
struct Names<'b> {
    body: &'b Body,
    places: HashMap<&'b str, u32>,
}

impl<'b> Names<'b> {
    fn of(body: &'b Body) -> Self {
        let all = body.nodes.iter().enumerate();
        Self { body, places: all.map(|(at, n)| (n.def.name.as_str(), number(at))).collect() }
    }

    /// The value `node:port` or `node`.
    fn value(&self, name: &str) -> Option<Source> {
        if let Some(at) = self.places.get(name) {
            return Some(Source::Node(*at, 0));
        }
        let (node, port) = name.rsplit_once(':')?;
        Some(Source::Node(*self.places.get(node)?, port.parse().ok()?))
    }

    fn op(&self, source: Source) -> &str {
        match source {
            Source::Node(id, _) => &self.body.node(id).def.op,
            _ => "",
        }
    }
}

/// Which graph, from which inputs to which outputs.
pub(super) fn choose(
    meta: &MetaGraph,
    graph: &GraphDef,
    saved: bool,
    wanted: &Wanted<'_>,
    library: &mut Library,
) -> Result<Entry, LoadError> {
    let mut body = library.graph(graph)?;
    let signature = signature(meta, wanted.signature)?;
    let mut feeds: Vec<(String, Source, Option<Shape>)> = Vec::new();
    let mut fetches: Vec<(String, Source)> = Vec::new();
    let names = Names::of(&body);
    if let Some(signature) = signature {
        for entry in &signature.inputs {
            let Some(info) = &entry.value else { continue };
            for (key, name, shape) in tensors(&entry.key, info) {
                let source = names.value(&name).ok_or_else(|| absent(&key, &name))?;
                feeds.push((key, source, shape));
            }
        }
        let mut keys: Vec<_> = signature.outputs.iter().collect();
        keys.sort_by(|a, b| a.key.cmp(&b.key));
        for entry in keys {
            let Some(info) = &entry.value else { continue };
            for (key, name, _) in tensors(&entry.key, info) {
                let source = names.value(&name).ok_or_else(|| absent(&key, &name))?;
                fetches.push((key, source));
            }
        }
        // In the order of the graph, as far as the file has one.
        feeds.sort_by_key(|(key, source, _)| match source {
            Source::Node(id, port) => (*id, *port, key.clone()),
            _ => (u32::MAX, 0, key.clone()),
        });
    } else if saved && wanted.outputs.is_empty() && library_only(&body) {
        return Err(choice("has no signature".to_owned(), SAVE.to_owned()));
    }
    if !wanted.outputs.is_empty() {
        fetches = chosen(&names, &fetches, wanted.outputs)?;
    } else if fetches.is_empty() {
        fetches = loose_ends(&names);
    }
    if fetches.is_empty() {
        let known = "name a node with --output-node".to_owned();
        return Err(choice("has no output: every node is read by another".to_owned(), known));
    }
    body.returns = fetches.iter().map(|(_, source)| *source).collect();
    let mut inputs = fed(&mut body, &feeds, graph)?;
    library.prepare(&mut body)?;
    placeholders(&mut body, &mut inputs, graph)?;
    let seen = flow::reached(&body, &body.returns);
    let is_variable = |op: &str| matches!(op, "VarHandleOp" | "VariableV2" | "Variable");
    let variable = body.nodes.iter().zip(seen).any(|(n, seen)| seen && is_variable(&n.def.op));
    let outputs = fetches.into_iter().map(|(name, _)| name).collect();
    Ok(Entry { body, inputs, outputs, variable })
}

fn absent(key: &str, name: &str) -> LoadError {
    malformed(
        super::NAME,
        format!("its signature's `{key}` is `{name}`, which is not in the graph"),
    )
}

/// Whether a graph has nothing that an output could be.
fn library_only(body: &Body) -> bool {
    !body.nodes.iter().any(|n| n.def.op.starts_with("Placeholder"))
}

/// The outputs that the caller names: of the signature, or nodes.
fn chosen(
    names: &Names<'_>,
    signed: &[(String, Source)],
    wanted: &[String],
) -> Result<Vec<(String, Source)>, LoadError> {
    let find = |name: &String| {
        let own = signed.iter().find(|(key, _)| key == name).map(|(_, source)| *source);
        own.or_else(|| names.value(name)).map(|source| (name.clone(), source))
    };
    let missing = |name: &String| {
        let ends = if signed.is_empty() { loose_ends(names) } else { signed.to_vec() };
        let shown = ends.iter().take(MOST_LISTED).map(|(name, _)| format!("`{name}`"));
        let known = format!("outputs are: {}", shown.collect::<Vec<_>>().join(", "));
        choice(format!("has no node `{}`", rooflens_ground::text::shown(name)), known)
    };
    wanted.iter().map(|name| find(name).ok_or_else(|| missing(name))).collect()
}

/// Whether a node's value may be an output of a graph that names none.
fn may_end(op: &str) -> bool {
    let never = [
        "Assert",
        "Const",
        "Enter",
        "Exit",
        "LoopCond",
        "MergeV2Checkpoints",
        "NextIteration",
        "NoOp",
        "Placeholder",
        "PlaceholderV2",
        "PlaceholderWithDefault",
        "Print",
        "PrintV2",
        "RestoreV2",
        "Save",
        "SaveV2",
        "ShardedFilename",
        "Switch",
        "VarHandleOp",
        "Variable",
        "VariableV2",
        "ReadVariableOp",
        "TensorArrayCloseV3",
        "ControlTrigger",
        "VarIsInitializedOp",
        "IsVariableInitialized",
    ];
    let acts = ["Assign", "Apply", "ResourceApply", "Scatter"].iter().any(|a| op.starts_with(a));
    !never.contains(&op) && !op.ends_with("Summary") && !acts
}

/// Nodes that nobody reads and that make something of the inputs.
fn loose_ends(names: &Names<'_>) -> Vec<(String, Source)> {
    let any = names.body.nodes.iter().any(|n| fed_by(&n.def.op));
    let ends = ends(names, any);
    // Of random numbers, say, which depend on no more than the sizes of an input.
    if any && ends.is_empty() { self::ends(names, false) } else { ends }
}

/// What no node reads and, where `inputs` are needed, depends on one.
fn ends(names: &Names<'_>, inputs: bool) -> Vec<(String, Source)> {
    let body = names.body;
    let mut read = vec![false; body.nodes.len()];
    for node in &body.nodes {
        for source in &node.inputs {
            if let Source::Node(id, _) = source {
                read[index(*id)] = true;
            }
        }
    }
    let (fed, framed) = (depending(body, fed_by), depending(body, |op| op == "Enter"));
    let mut ends = Vec::new();
    for (at, node) in body.nodes.iter().enumerate() {
        let pivot = flow::pivot(body, number(at)) || node.def.name.starts_with("gradients");
        if read[at] || !may_end(&node.def.op) || framed[at] || pivot || (inputs && !fed[at]) {
            continue;
        }
        let source = Source::Node(number(at), 0);
        if names.op(source) != "Identity" || !node.inputs.is_empty() {
            ends.push((node.def.name.clone(), source));
        }
    }
    ends
}

fn fed_by(op: &str) -> bool {
    matches!(op, "Placeholder" | "PlaceholderV2" | "PlaceholderWithDefault")
}

/// Which nodes depend on one with such an operator; what leaves a loop is outside.
fn depending(body: &Body, from: impl Fn(&str) -> bool) -> Vec<bool> {
    let mut readers: Vec<Vec<u32>> = vec![Vec::new(); body.nodes.len()];
    for (at, node) in body.nodes.iter().enumerate() {
        for source in &node.inputs {
            if let Source::Node(id, _) = source {
                readers[index(*id)].push(number(at));
            }
        }
    }
    let mut found = vec![false; body.nodes.len()];
    let starts = (0..body.nodes.len()).filter(|at| from(&body.nodes[*at].def.op));
    let mut stack: Vec<usize> = starts.collect();
    let inside = from("Enter");
    while let Some(at) = stack.pop() {
        if std::mem::replace(&mut found[at], true) {
            continue;
        }
        for reader in readers[at].iter().map(|r| index(*r)) {
            if !(inside && body.nodes[reader].def.op == "Exit") {
                stack.push(reader);
            }
        }
    }
    found
}

/// What the signature feeds, as arguments.
fn fed(
    body: &mut Body,
    feeds: &[(String, Source, Option<Shape>)],
    graph: &GraphDef,
) -> Result<Vec<Input>, LoadError> {
    let mut inputs = Vec::new();
    let mut places: HashMap<Source, u32> = HashMap::new();
    for (key, source, stated) in feeds {
        let Source::Node(id, _) = source else { continue };
        let def = body.node(*id).def.clone();
        let (dtype, own) = declared(body, *id, graph)?;
        let stated = tensor::sizes(key, stated.as_ref())?;
        let dtype = dtype.or_else(|| super::rows::dtype(&def, 0, &[]));
        places.insert(*source, number(inputs.len()));
        body.args.push(key.clone());
        inputs.push(Input { name: key.clone(), dtype, sizes: stated.or(own) });
    }
    replace(body, &places);
    Ok(inputs)
}

fn replace(body: &mut Body, places: &HashMap<Source, u32>) {
    let inputs = body.nodes.iter_mut().flat_map(|n| n.inputs.iter_mut());
    for source in inputs.chain(body.returns.iter_mut()) {
        if let Some(at) = places.get(source) {
            *source = Source::Arg(*at);
        }
    }
}

/// Type and sizes that a placeholder states.
fn declared(
    body: &Body,
    id: u32,
    graph: &GraphDef,
) -> Result<(Option<DType>, Option<Vec<i64>>), LoadError> {
    let def = &body.node(id).def;
    let sizes = tensor::sizes(&def.name, def.shape("shape").as_ref())?;
    let version = graph.versions.as_ref().map_or(0, |v| v.producer);
    let sizes = sizes.filter(|s| !s.is_empty() || version > SCALARS_SINCE);
    let sizes = match sizes {
        Some(sizes) => Some(sizes),
        None => tensor::sizes(&def.name, def.shapes("_output_shapes").first())?,
    };
    Ok((def.dtype("dtype"), sizes))
}

/// Placeholders that the outputs depend on and that no signature feeds, as arguments.
fn placeholders(
    body: &mut Body,
    inputs: &mut Vec<Input>,
    graph: &GraphDef,
) -> Result<(), LoadError> {
    let seen = flow::reached(body, &body.returns);
    let mut places = HashMap::new();
    for at in (0..body.nodes.len()).filter(|at| seen[*at]) {
        let def = body.nodes[at].def.clone();
        if !matches!(def.op.as_str(), "Placeholder" | "PlaceholderV2") {
            continue;
        }
        let (dtype, sizes) = declared(body, number(at), graph)?;
        places.insert(Source::Node(number(at), 0), number(inputs.len()));
        body.args.push(def.name.clone());
        inputs.push(Input { name: def.name.clone(), dtype, sizes });
    }
    replace(body, &places);
    Ok(())
}

/// Writes an input. Sizes that are open become symbols; the first is that of the batch.
pub(super) fn input(
    draft: &mut Draft<'_>,
    input: &Input,
    at: usize,
    given: &Given<'_>,
) -> Result<Val, LoadError> {
    let name = input.name.as_str();
    let info = match &input.sizes {
        Some(sizes) => {
            let size = |(axis, n): (usize, &i64)| match (axis, n) {
                (_, 0..) => Dim::from(*n),
                (0, _) => Dim::symbol("batch"),
                _ => Dim::symbol(&format!("{name}.{axis}")),
            };
            TensorInfo::new(input.dtype, sizes.iter().enumerate().map(size).collect::<Vec<_>>())
        }
        None if given.holds(name, at) => TensorInfo { dtype: input.dtype, ..TensorInfo::default() },
        None => {
            let place = format!("input `{}`", rooflens_ground::text::shown(name));
            return Err(LoadErrorKind::Shapeless { place }.into());
        }
    };
    let rank = info.rank();
    let length = input.sizes.as_ref().and_then(|s| usize::try_from(*s.first()?).ok());
    let id = draft.input(name, info)?;
    Ok(Val { length, ..Val::here(id).typed(input.dtype).ranked(rank) })
}
