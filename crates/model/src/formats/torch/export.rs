//! Exported programs (`.pt2`): a graph as JSON, in operators of aten.

mod program;
mod run;

use super::super::LoadError;
use super::super::draft::Draft;
use super::super::error::{invalid, malformed};
use super::super::limits::Limits;
use super::archive::Files;
use super::objects::Objects;
use super::site::{Site, State};
use super::stored::Stored;
use super::value::{Kind, Lowered, Tensor, Value};
use super::{symbols, types};
use crate::dim::Dim;
use crate::ir::{Graph, MAX_TRACKED, TensorInfo, ValueId};
use program::{Argument, Meta, Program, Spec};
use std::collections::HashMap;
use std::rc::Rc;

/// What is read of a program.
pub(super) struct Read {
    /// Its graph.
    pub(super) graph: Graph,
    /// The version of torch that wrote it, where it is stated.
    pub(super) torch: String,
    /// The version of its schema.
    pub(super) schema: String,
}

/// Where tensors of the file lie.
struct Store<'f> {
    files: &'f Files,
    /// By the name of a parameter, buffer or constant: the file with its bytes.
    paths: HashMap<String, String>,
    /// The same as pickles have it.
    pickled: HashMap<String, Rc<Stored>>,
    made: HashMap<(String, Vec<i64>), Tensor>,
}

/// Reads the program at this path of an archive.
pub(super) fn read(files: &Files, path: &str, limits: &mut Limits) -> Result<Read, LoadError> {
    let text = files.needed(path)?;
    let broken = |error: serde_json::Error| malformed(super::NAME, format!("`{path}`: {error}"));
    let program: Program = match serde_json::from_slice(&text) {
        Ok(program) => program,
        Err(error) => match super::super::json::plain(&text) {
            Some(text) => serde_json::from_slice(&text).map_err(broken)?,
            None => return Err(broken(error)),
        },
    };
    let module = &program.graph_module;
    let mut state = State::new();
    let mut draft = Draft::new("main", limits);
    let mut store = Store::open(files)?;
    let mut site = Site { draft: &mut draft, state: &mut state };
    let mut run = run::Run::new(&module.graph);
    let specs = &module.signature.input_specs;
    for (at, argument) in module.graph.inputs.iter().enumerate() {
        let spec = specs.get(at);
        input(&mut site, &mut run, &mut store, argument, spec)
            .map_err(|fault| fault.at("input"))?;
    }
    run.nodes(&mut site, &module.graph).map_err(|fault| fault.at("program"))?;
    let mut outputs: Vec<(ValueId, String)> = Vec::new();
    for (at, argument) in module.graph.outputs.iter().enumerate() {
        let spec = module.signature.output_specs.get(at);
        if spec.is_some_and(|spec| !spec.is_user_output()) {
            continue;
        }
        let Some(name) = argument.name() else { continue };
        let value = run.value(name).cloned();
        if let Some(Value::Absent(why)) = value {
            site.missing(name, why);
        } else if let Some(Value::Tensor(tensor) | Value::Number(tensor, _)) = value {
            let id = site.id(&tensor).map_err(|fault| fault.at(name))?;
            if !outputs.iter().any(|(known, _)| *known == id) {
                outputs.push((id, name.to_owned()));
            }
        }
    }
    if outputs.is_empty() {
        return Err(invalid("program", "has no output that is a tensor"));
    }
    let outputs: Vec<(ValueId, &str)> =
        outputs.iter().map(|(id, name)| (*id, name.as_str())).collect();
    let graph = draft.finish(&outputs)?;
    Ok(Read { graph, torch: program.torch_version.clone(), schema: program.schema() })
}

/// An input of the graph: a tensor of the file, or one of the user.
fn input<'p>(
    site: &mut Site<'_, '_>,
    run: &mut run::Run<'p>,
    store: &mut Store<'_>,
    argument: &'p Argument,
    spec: Option<&Spec>,
) -> Lowered<()> {
    let Some(name) = argument.name() else { return Ok(()) };
    let stored = spec.and_then(Spec::stored);
    let value = match (argument, run.meta(name)) {
        (_, Some(meta)) => {
            let info = info(meta);
            match stored {
                Some(target) => Value::Tensor(store.tensor(site, target, name, info)?),
                None => {
                    let rank = info.rank();
                    let dtype = info.dtype;
                    let id = site.draft.input(name, info)?;
                    Value::Tensor(site.tensor(id).ranked(rank).typed(dtype))
                }
            }
        }
        (Argument::SymInt(_), None) => {
            let info = TensorInfo::new(Some(crate::ir::DType::I64), Vec::new());
            let id = site.draft.input(name, info)?;
            Value::Number(
                site.tensor(id).ranked(Some(0)).typed(Some(crate::ir::DType::I64)),
                Kind::Int,
            )
        }
        _ => Value::Absent("an input that is no tensor is read"),
    };
    run.set(name, value);
    Ok(())
}

/// Type and sizes, as far as they are understood.
fn info(meta: &Meta) -> TensorInfo {
    let dtype = super::export::dtype(meta.dtype);
    let sizes: Option<Vec<Dim>> = meta.sizes.iter().map(program::Size::dim).collect();
    TensorInfo { dtype, shape: sizes, ..TensorInfo::default() }
}

/// The type by its number in this format, which differs from torch's own.
fn dtype(number: i64) -> Option<crate::ir::DType> {
    use crate::ir::DType;
    Some(match number {
        1 => DType::U8,
        2 => DType::I8,
        3 => DType::I16,
        4 => DType::I32,
        5 => DType::I64,
        6 => DType::F16,
        7 => DType::F32,
        8 => DType::F64,
        10 => DType::C64,
        11 => DType::C128,
        12 => DType::Bool,
        13 => DType::BF16,
        28 => DType::U16,
        29 => DType::F8E4M3FN,
        30 => DType::F8E5M2,
        31 => DType::F8E4M3FNUZ,
        32 => DType::F8E5M2FNUZ,
        _ => return None,
    })
}

impl<'f> Store<'f> {
    fn open(files: &'f Files) -> Result<Self, LoadError> {
        let mut store =
            Self { files, paths: HashMap::new(), pickled: HashMap::new(), made: HashMap::new() };
        let configs: Vec<String> = files
            .paths()
            .filter(|path| path.starts_with("data/") && path.ends_with("_config.json"))
            .map(str::to_owned)
            .collect();
        for path in configs {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
            let text = files.needed(&path)?;
            let Ok(config) = serde_json::from_slice::<program::Config>(&text) else { continue };
            for (name, entry) in config.config {
                if !entry.use_pickle {
                    store.paths.insert(name, format!("{folder}/{}", entry.path_name));
                }
            }
        }
        for path in ["serialized_state_dict.pt", "serialized_constants.pt"] {
            if let Some(inner) = files.contents(path)?
                && let Ok(inner) = Files::open(&inner)
            {
                store.pickled(&inner)?;
            }
        }
        Ok(store)
    }

    fn pickled(&mut self, files: &Files) -> Result<(), LoadError> {
        let Some(data) = files.contents("data.pkl")? else { return Ok(()) };
        let pickle = super::pickle::read(&data)?;
        let root = Objects::of(files, "data", &pickle).root()?;
        let Value::Dict(entries) = root else { return Ok(()) };
        let all = entries.all();
        for pair in all.chunks_exact(2) {
            if let (Value::Text(name), Value::Stored(stored)) = (&pair[0], &pair[1]) {
                self.pickled.insert(name.to_string(), stored.clone());
            }
        }
        Ok(())
    }

    /// A parameter, buffer or constant.
    fn tensor(
        &mut self,
        site: &mut Site<'_, '_>,
        target: &str,
        name: &str,
        mut info: TensorInfo,
    ) -> Lowered<Tensor> {
        let sizes: Vec<i64> = info
            .shape
            .iter()
            .flatten()
            .map(|dim| dim.as_const().and_then(|size| i64::try_from(size).ok()).unwrap_or(-1))
            .collect();
        if info.shape.is_none() || sizes.contains(&-1) {
            return Err(invalid(format!("tensor `{target}`"), "has no fixed sizes").into());
        }
        for (axis, size) in sizes.iter().enumerate() {
            super::super::checked::checked_dim(target, axis, *size)?;
        }
        let key = match (self.paths.get(target), self.pickled.get(target)) {
            (Some(path), _) => (path.clone(), sizes.clone()),
            (None, Some(stored)) => (format!("{}:{}", stored.key.0, stored.key.1), sizes.clone()),
            (None, None) => (format!("name:{name}"), sizes.clone()),
        };
        if let Some(made) = self.made.get(&key) {
            return Ok(made.clone());
        }
        if let Some(value) = self.contents(target, &info) {
            info = info.with_value(value);
        }
        let made = site.stored(target, info, &sizes)?;
        self.made.insert(key, made.clone());
        Ok(made)
    }

    /// The elements, where they are few.
    fn contents(&self, target: &str, info: &TensorInfo) -> Option<Vec<crate::ir::Elem>> {
        let dtype = info.dtype?;
        let most = if dtype.is_float() { super::super::checked::MAX_FLOATS } else { MAX_TRACKED };
        let count = info.elements()?.as_usize().filter(|count| *count <= most)?;
        if let Some(stored) = self.pickled.get(target) {
            let value = stored.info.value.as_ref()?;
            return (value.len() == count).then(|| value.to_vec());
        }
        let bytes = self.files.contents(self.paths.get(target)?).ok().flatten()?;
        let width = usize::try_from(dtype.bits() / 8).ok()?;
        let needed = width.checked_mul(count)?;
        super::super::contents::elements(bytes.get(..needed)?, dtype, count)
    }
}

/// The number of a type in torch, of its number here.
fn torch_number(number: i64) -> Option<i64> {
    dtype(number).map(types::number)
}

/// A size as a formula.
fn formula(text: &str) -> Option<Dim> {
    symbols::size(text)
}
