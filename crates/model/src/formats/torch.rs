//! The reader of `PyTorch`: `TorchScript` archives (`.pt`, `.jit`, `.ptl`) and exported programs (`.pt2`).
//!
//! Nothing in a file is run. Pickles are read by a machine that knows data and no names; the source in a `TorchScript`
//! archive is parsed and evaluated on values of a graph, where only operators of a table mean anything.

mod archive;
mod aten;
mod export;
mod numbers;
mod objects;
mod pickle;
mod script;
mod site;
mod source;
mod stored;
mod symbols;
#[cfg(test)]
mod tests;
mod types;
mod value;
mod weights;

use super::draft::Draft;
use super::error::{invalid, malformed};
use super::limits::Limits;
use super::wanted::Given;
use super::{LoadError, LoadErrorKind, Place, Wanted};
use crate::dim::Dim;
use crate::ir::{DType, Diagnostic, Graph, Model, Severity, TensorInfo, ValueId};
use archive::{Files, Holds};
use script::Script;
use site::{Site, State};
use source::{Expr, Function, Parameter};
use std::collections::BTreeMap;
use std::rc::Rc;
use value::{Kind, Object, Value};

/// The format's name.
pub(super) const NAME: &str = "PyTorch";

/// Whether a place holds a file of `PyTorch`.
pub(super) fn sniff(place: &Place) -> bool {
    let Some(bytes) = place.bytes() else { return false };
    if matches!(bytes.get(..2), Some([0x80, 2..=5])) {
        return true;
    }
    super::zip::begins(bytes) && Files::open(bytes).is_ok_and(|files| files.is_torch())
}

/// The operators that are understood, with what they become.
pub(super) fn operators() -> Vec<(&'static str, &'static str)> {
    aten::operators()
}

/// The stack of the thread that reads: programs nest as deep as they may, also where the caller's stack is small.
const STACK: usize = 32 << 20;

/// Reads a model.
pub(super) fn read(place: &Place, wanted: &Wanted<'_>) -> Result<Model, LoadError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        match thread.spawn_scoped(scope, || parsed(place, wanted)) {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(_) => parsed(place, wanted),
        }
    })
}

fn parsed(place: &Place, wanted: &Wanted<'_>) -> Result<Model, LoadError> {
    let Some(bytes) = place.bytes() else { return Err(LoadErrorKind::Directory.into()) };
    if !super::zip::begins(bytes) {
        let what = weights::bare(bytes)?;
        return Err(refused(what, archive::EXPORT));
    }
    let files = Files::open(bytes)?;
    let mut limits = Limits::of(bytes.len());
    let (graph, format, producer) = match files.holds(wanted.signature)? {
        Holds::Script => {
            let graph = scripted(&files, wanted, &mut limits)?;
            (graph, "TorchScript".to_owned(), String::new())
        }
        Holds::Program(path) => {
            let read = export::read(&files, &path, &mut limits)?;
            let format = format!("PyTorch export {}", read.schema).trim_end().to_owned();
            let producer =
                if read.torch.is_empty() { String::new() } else { format!("torch {}", read.torch) };
            (read.graph, format, producer)
        }
        Holds::Other { what, instead } => return Err(refused(what, instead)),
    };
    Ok(Model {
        graph,
        format,
        producer,
        opsets: BTreeMap::from([(String::new(), super::draft::OPSET)]),
        diagnostics: limits.diagnostics,
        ..Model::default()
    })
}

fn refused(what: String, instead: &str) -> LoadError {
    LoadErrorKind::Refused { what, instead: instead.to_owned() }.into()
}

/// An input of a program, before its shape is known.
struct Input {
    name: String,
    /// What stands for it in the program: a tensor, or a number.
    kind: Option<Kind>,
    /// Where it belongs: the parameter, and the place in a list.
    parameter: usize,
}

/// The graph of a method.
fn scripted(files: &Files, wanted: &Wanted<'_>, limits: &mut Limits) -> Result<Graph, LoadError> {
    let mut state = State::new();
    let mut draft = Draft::new(files.name(), limits);
    let mut site = Site { draft: &mut draft, state: &mut state };
    let mut script = Script::open(files, &mut site)?;
    let module = script.module(&mut site)?;
    let (method, name) = chosen(&mut script, &module, wanted.signature)?;
    let parameters = &method.parameters.get(1..).unwrap_or_default();
    let inputs = inputs(parameters, &wanted.given);
    let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
    let ranks = wanted.given.ranks(&names);
    let examples = examples(files, &name)?;
    let mut given: Vec<Vec<Value>> = vec![Vec::new(); parameters.len()];
    for (at, (input, rank)) in inputs.iter().zip(ranks).enumerate() {
        let example = examples.get(at).and_then(Option::as_ref);
        let value = declare(&mut site, input, rank, example, &inputs, &examples)?;
        given[input.parameter].push(value);
    }
    let mut arguments = vec![Value::Object(module)];
    for (parameter, mut values) in parameters.iter().zip(given) {
        arguments.push(if is_list(parameter) {
            Value::list(values)
        } else if let (1, Some(value)) = (values.len(), values.pop()) {
            value
        } else {
            break;
        });
    }
    let result = script.call(&mut site, &method, aten::Args::of(arguments));
    let result = result.map_err(|fault| fault.at(&name))?;
    let mut outputs = Vec::new();
    collect(&mut site, &result, "output", &mut outputs, 0)?;
    if outputs.is_empty() {
        return Err(invalid(format!("`{name}`"), "returns no tensor"));
    }
    let single = outputs.len() == 1;
    let outputs: Vec<(ValueId, String)> = outputs
        .into_iter()
        .map(|(id, name)| (id, if single { "output".to_owned() } else { name }))
        .collect();
    let outputs: Vec<(ValueId, &str)> =
        outputs.iter().map(|(id, name)| (*id, name.as_str())).collect();
    let mut graph = draft.finish(&outputs)?;
    limits.diagnostics.extend(untyped(&graph));
    settled(&mut graph);
    Ok(graph)
}

/// The method to read: the one that is asked for, or `forward`.
fn chosen(
    script: &mut Script<'_>,
    module: &Rc<Object>,
    wanted: Option<&str>,
) -> Result<(Rc<Function>, String), LoadError> {
    let name = wanted.unwrap_or("forward");
    if let Some(method) = script.method(&module.class, name)? {
        return Ok((method, name.to_owned()));
    }
    let methods = script.methods(&module.class)?;
    if methods.is_empty() {
        return Err(malformed(NAME, "its module has no method"));
    }
    if let (None, [only]) = (wanted, &methods[..])
        && let Some(method) = script.method(&module.class, only)?
    {
        return Ok((method, only.clone()));
    }
    let message = format!("has no method `{name}`");
    let known = format!("choose with --signature; its methods are: {}", methods.join(", "));
    Err(LoadErrorKind::Choice { message, known }.into())
}

fn kind_name(parameter: &Parameter) -> (String, String) {
    let name = |expression: &Expr| match expression {
        Expr::Index(base, _) => base.path().unwrap_or_default(),
        other => other.path().unwrap_or_default(),
    };
    let inner = match &parameter.kind {
        Some(Expr::Index(_, inner)) => inner.first().map(name).unwrap_or_default(),
        _ => String::new(),
    };
    (parameter.kind.as_ref().map(name).unwrap_or_default(), inner)
}

fn is_list(parameter: &Parameter) -> bool {
    let (outer, inner) = kind_name(parameter);
    outer == "List" && inner == "Tensor"
}

/// The inputs of a method: its tensors and numbers, as far as they have no default or a shape is given.
fn inputs(parameters: &[Parameter], given: &Given<'_>) -> Vec<Input> {
    let mut inputs: Vec<Input> = Vec::new();
    for (at, parameter) in parameters.iter().enumerate() {
        let (outer, inner) = kind_name(parameter);
        let name = parameter.name.to_string();
        let kind = match (outer.as_str(), inner.as_str()) {
            ("int", _) => Some(Kind::Int),
            ("float", _) => Some(Kind::Float),
            ("bool", _) => Some(Kind::Bool),
            _ => None,
        };
        let optional = parameter.default.is_some();
        if optional && !(outer_is_tensor(&outer, &inner) && given.holds(&name, inputs.len())) {
            continue;
        }
        if is_list(parameter) {
            // As many as shapes are given, one at least.
            let count = given.first.saturating_sub(inputs.len()).max(1);
            for place in 0..count {
                inputs.push(Input { name: format!("{name}.{place}"), kind, parameter: at });
            }
            continue;
        }
        inputs.push(Input { name, kind, parameter: at });
    }
    inputs
}

fn outer_is_tensor(outer: &str, inner: &str) -> bool {
    outer == "Tensor" || outer == "Optional" && inner == "Tensor"
}

/// The tensors with which a method was traced, where the file keeps them.
fn examples(files: &Files, method: &str) -> Result<Vec<Option<TensorInfo>>, LoadError> {
    let Some(data) = files.contents("traced_inputs.pkl")? else { return Ok(Vec::new()) };
    let pickle = pickle::read(&data)?;
    let root = objects::Objects::of(files, "traced_inputs", &pickle).root()?;
    let Value::Dict(entries) = root else { return Ok(Vec::new()) };
    let all = entries.all();
    let own = all.chunks_exact(2).find(|pair| matches!(&pair[0], Value::Text(t) if &**t == method));
    let members = own.and_then(|pair| pair[1].members()).unwrap_or_default();
    Ok(members
        .iter()
        .map(|value| match value {
            Value::Stored(stored) => Some(stored.info.clone()),
            _ => None,
        })
        .collect())
}

/// `1x3x224x224`.
fn sizes(info: &TensorInfo) -> String {
    let sizes = info.shape.iter().flatten().map(ToString::to_string);
    sizes.collect::<Vec<String>>().join("x")
}

/// Makes an input of the graph.
fn declare(
    site: &mut Site<'_, '_>,
    input: &Input,
    rank: Option<usize>,
    example: Option<&TensorInfo>,
    all: &[Input],
    examples: &[Option<TensorInfo>],
) -> Result<Value, LoadError> {
    let name = &input.name;
    if let Some(kind) = input.kind {
        let dtype = match kind {
            Kind::Int => DType::I64,
            Kind::Float => DType::F32,
            Kind::Bool => DType::Bool,
        };
        let id = site.draft.input(name, TensorInfo::new(Some(dtype), Vec::new()))?;
        return Ok(Value::Number(site.tensor(id).ranked(Some(0)).typed(Some(dtype)), kind));
    }
    let Some(rank) = rank else {
        let flags = all.iter().enumerate().map(|(at, input)| {
            let known = examples.get(at).and_then(Option::as_ref).map(sizes);
            format!("--shape {}={}", input.name, known.as_deref().unwrap_or("1x3x224x224"))
        });
        let flags = flags.collect::<Vec<String>>().join(" ");
        let traced =
            if example.is_some() { ", as the example that it was traced with" } else { "" };
        let message = format!("states no shape for its input `{name}`, as TorchScript does not");
        let known = format!("give the shapes of all inputs: {flags}{traced}");
        return Err(LoadErrorKind::Choice { message, known }.into());
    };
    let dtype = example.and_then(|info| info.dtype);
    let shape: Vec<Dim> = (0..rank).map(|axis| Dim::symbol(&format!("{name}.{axis}"))).collect();
    let id = site.draft.input(name, TensorInfo::new(dtype, shape))?;
    Ok(Value::Tensor(site.tensor(id).ranked(Some(rank)).typed(dtype)))
}

/// The tensors of a result, named by where they are in it.
fn collect(
    site: &mut Site<'_, '_>,
    value: &Value,
    name: &str,
    found: &mut Vec<(ValueId, String)>,
    depth: usize,
) -> Result<(), LoadError> {
    if depth > 16 {
        return Ok(());
    }
    match value {
        Value::Tensor(tensor) | Value::Sequence(tensor) => {
            let id = site.id(tensor).map_err(|fault| fault.at(name))?;
            found.push((id, name.to_owned()));
        }
        Value::Dict(entries) => {
            for pair in entries.all().chunks_exact(2) {
                let key = match &pair[0] {
                    Value::Text(text) => text.to_string(),
                    other => other.as_int().map_or_else(String::new, |n| n.to_string()),
                };
                collect(site, &pair[1], &format!("{name}.{key}"), found, depth + 1)?;
            }
        }
        Value::Object(object) => {
            for attribute in object.names() {
                let inner = object.get(&attribute).unwrap_or(Value::None);
                collect(site, &inner, &format!("{name}.{attribute}"), found, depth + 1)?;
            }
        }
        Value::Absent(why) => site.missing(name, why),
        Value::Pieces(pieces) => match pieces.most {
            Some(most) => {
                let made = aten::pieces(site, pieces, most).map_err(|fault| fault.at(name))?;
                for (at, piece) in made.into_iter().enumerate() {
                    let value = Value::Tensor(piece);
                    collect(site, &value, &format!("{name}.{at}"), found, depth + 1)?;
                }
            }
            None => site.missing(name, "it is a list whose length follows from sizes"),
        },
        Value::Stored(_) => {
            let present = site.present(value.clone()).map_err(|fault| fault.at(name))?;
            collect(site, &present, name, found, depth + 1)?;
        }
        other => {
            for (at, member) in other.members().into_iter().flatten().enumerate() {
                collect(site, &member, &format!("{name}.{at}"), found, depth + 1)?;
            }
        }
    }
    Ok(())
}

/// Whether some input has no stated type and none was found.
fn untyped(graph: &Graph) -> Vec<Diagnostic> {
    let without = graph.inputs.iter().filter(|id| graph.value(**id).info.dtype.is_none());
    let note = |id: &ValueId| Diagnostic {
        severity: Severity::Assumption,
        place: graph.value(*id).name.clone(),
        message: "the file does not state its element type; taken as f32".to_owned(),
        hint: None,
    };
    without.map(note).collect()
}

/// Types of inputs that the file leaves open.
fn settled(graph: &mut Graph) {
    for id in graph.inputs.clone() {
        let info = &mut graph.value_mut(id).info;
        if info.dtype.is_none() {
            info.dtype = Some(DType::F32);
        }
    }
}
