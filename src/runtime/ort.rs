//! onnxruntime in this process, from a library that is found at run time.

use super::weights::{WeightsOrigin, with_weights};
use super::{Feed, Loaded, RuntimeOptions};
use crate::probe::random::Random;
use crate::probe::{ProbeError, Target};
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Tensor, TensorElementType, ValueType};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;

const INSTALL: &str = "pip install onnxruntime, in the environment that is active, or name the \
                       library with --ort-library or ORT_DYLIB_PATH";

pub(super) fn loaded(
    file: &[u8],
    feeds: &[Feed],
    options: &RuntimeOptions,
) -> Result<Loaded, ProbeError> {
    let target = OrtTarget::load(file, feeds, options)?;
    Ok(Loaded {
        weights: target.weights,
        load_seconds: target.load_seconds,
        first_seconds: target.first_seconds,
        name: format!("onnxruntime {}", target.version),
        target: Arc::new(target),
    })
}

/// An output of the first inference.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// Its shape; empty for a scalar, or for what is no tensor.
    pub shape: Vec<i64>,
    /// Whether every number is finite; none where it is not `f32`.
    pub finite: Option<bool>,
}

/// A model loaded into onnxruntime, with inputs ready.
pub struct OrtTarget {
    /// One for each inference at a time: running one needs it alone.
    sessions: Vec<Mutex<Session>>,
    inputs: Vec<(String, DynValue)>,
    /// What the first inference gave.
    pub outputs: Vec<Output>,
    /// Version of the library.
    pub version: String,
    /// Where the weights come from.
    pub weights: WeightsOrigin,
    /// Reading, optimising and planning of one session, in seconds.
    pub load_seconds: f64,
    /// The first inference, in seconds.
    pub first_seconds: f64,
}

impl OrtTarget {
    /// Loads the ONNX model `file`, its inputs fed with `feeds` (in the model's order); weights that the
    /// file does not hold become random numbers.
    pub fn load(file: &[u8], feeds: &[Feed], options: &RuntimeOptions) -> Result<Self, ProbeError> {
        let library = find_library(options.library.as_deref())?;
        let missing = |e: &dyn std::fmt::Display| ProbeError::Runtime {
            message: format!("`{}` cannot be used as onnxruntime: {e}", library.display()),
            hint: INSTALL,
        };
        // A second call keeps the first library and its environment.
        ort::init_from(&library).map_err(|e| missing(&e))?.with_telemetry(false).commit();
        let (bytes, weights) = with_weights(file, options.seed)?;
        let start = Instant::now();
        let first = session(&bytes, options.threads)?;
        let load_seconds = start.elapsed().as_secs_f64();
        let inputs = inputs(&first, feeds, options.seed)?;
        let mut sessions = vec![Mutex::new(first)];
        for _ in 1..options.instances {
            sessions.push(Mutex::new(session(&bytes, options.threads)?));
        }
        let version = version(&library);
        let (outputs, first_seconds) = (Vec::new(), 0.0);
        let mut target =
            Self { sessions, inputs, outputs, version, weights, load_seconds, first_seconds };
        let start = Instant::now();
        target.outputs = target.run(true)?;
        target.first_seconds = start.elapsed().as_secs_f64();
        Ok(target)
    }

    /// One inference; its outputs are looked at where asked for.
    fn run(&self, look: bool) -> Result<Vec<Output>, ProbeError> {
        let mut session = self.free();
        let inputs: Vec<(&str, SessionInputValue<'_>)> =
            self.inputs.iter().map(|(name, value)| (name.as_str(), value.into())).collect();
        let outputs = session.run(inputs).map_err(|e| ProbeError::Infer(e.to_string()))?;
        if !look {
            std::hint::black_box(&outputs);
            return Ok(Vec::new());
        }
        let output = |(name, value): (&str, ort::value::ValueRef<'_>)| {
            let numbers = value.try_extract_tensor::<f32>().ok();
            let shape = value.dtype().tensor_shape().map(|s| s.to_vec());
            Output {
                name: name.to_owned(),
                shape: shape.unwrap_or_default(),
                finite: numbers.map(|(_, data)| data.iter().all(|x| x.is_finite())),
            }
        };
        Ok(outputs.iter().map(output).collect())
    }

    /// A session that nobody uses; the first one, after a wait, where all are in use.
    fn free(&self) -> MutexGuard<'_, Session> {
        for session in &self.sessions {
            match session.try_lock() {
                Ok(free) => return free,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        self.sessions[0].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Target for OrtTarget {
    fn infer(&self) -> Result<(), ProbeError> {
        self.run(false).map(|_| ())
    }
}

fn session(bytes: &[u8], threads: usize) -> Result<Session, ProbeError> {
    let fail = |e: &dyn std::fmt::Display| ProbeError::Load(e.to_string());
    let builder = Session::builder().map_err(|e| fail(&e))?;
    let builder =
        builder.with_optimization_level(GraphOptimizationLevel::All).map_err(|e| fail(&e))?;
    let builder = builder.with_intra_threads(threads).map_err(|e| fail(&e))?;
    let mut builder = builder.with_inter_threads(1).map_err(|e| fail(&e))?;
    builder.commit_from_memory(bytes).map_err(|e| fail(&e))
}

/// The inputs of a session, in its order.
fn inputs(
    session: &Session,
    feeds: &[Feed],
    seed: u64,
) -> Result<Vec<(String, DynValue)>, ProbeError> {
    let mut random = Random::new(seed ^ 0x9e37_79b9_7f4a_7c15);
    let mut make = |outlet: &ort::value::Outlet, feed: &Feed| {
        let name = outlet.name();
        let dtype = match outlet.dtype() {
            ValueType::Tensor { ty, .. } => *ty,
            other => {
                let text = format!("input `{name}` is {other}, not a tensor");
                return Err(ProbeError::Input(text));
            }
        };
        Ok((name.to_owned(), tensor(name, dtype, feed, &mut random)?))
    };
    session.inputs().iter().zip(feeds).map(|(outlet, feed)| make(outlet, feed)).collect()
}

/// A tensor of this type with what an input is fed.
fn tensor(
    name: &str,
    dtype: TensorElementType,
    feed: &Feed,
    random: &mut Random,
) -> Result<DynValue, ProbeError> {
    use TensorElementType as T;
    let dims: Vec<i64> = feed.shape.iter().map(|d| i64::try_from(*d).unwrap_or(i64::MAX)).collect();
    let value = match dtype {
        T::Float64 => array(dims, feed.floats(random)?),
        T::Float32 => array(dims, singles(feed, random)?),
        T::Float16 => {
            let numbers = singles(feed, random)?;
            array(dims, numbers.into_iter().map(half::f16::from_f32).collect())
        }
        T::Bfloat16 => {
            let numbers = singles(feed, random)?;
            array(dims, numbers.into_iter().map(half::bf16::from_f32).collect())
        }
        T::Int64 => array(dims, feed.integers()?),
        T::Int32 => array(dims, whole::<i32>(name, feed)?),
        T::Int16 => array(dims, whole::<i16>(name, feed)?),
        T::Int8 => array(dims, whole::<i8>(name, feed)?),
        T::Uint64 => array(dims, whole::<u64>(name, feed)?),
        T::Uint32 => array(dims, whole::<u32>(name, feed)?),
        T::Uint16 => array(dims, whole::<u16>(name, feed)?),
        T::Uint8 => array(dims, whole::<u8>(name, feed)?),
        T::Bool => array(dims, feed.integers()?.into_iter().map(|n| n != 0).collect()),
        T::String => {
            let texts: Vec<String> = feed.integers()?.iter().map(i64::to_string).collect();
            Tensor::from_string_array((dims, texts.as_slice())).map(Tensor::into_dyn)
        }
        other => {
            let text = format!("no contents of type {other} are generated for input `{name}`");
            return Err(ProbeError::Input(text));
        }
    };
    value.map_err(|e| ProbeError::Load(e.to_string()))
}

fn array<T>(dims: Vec<i64>, numbers: Vec<T>) -> ort::Result<DynValue>
where
    T: ort::value::PrimitiveTensorElementType + std::fmt::Debug + Clone + 'static,
{
    Tensor::from_array((dims, numbers)).map(Tensor::into_dyn)
}

#[allow(clippy::cast_possible_truncation, reason = "an input of 32 bits holds no more")]
fn singles(feed: &Feed, random: &mut Random) -> Result<Vec<f32>, ProbeError> {
    Ok(feed.floats(random)?.into_iter().map(|x| x as f32).collect())
}

/// Integers of a narrower type; an error where one does not fit.
fn whole<T: TryFrom<i64>>(name: &str, feed: &Feed) -> Result<Vec<T>, ProbeError> {
    let fit = |n: i64| {
        T::try_from(n).map_err(|_| {
            ProbeError::Input(format!("input `{name}` is given {n}, which its type cannot hold"))
        })
    };
    feed.integers()?.into_iter().map(fit).collect()
}

/// The version in the library's name, or in its description of its build.
fn version(library: &Path) -> String {
    let real = std::fs::canonicalize(library).unwrap_or_else(|_| library.to_owned());
    let name = real.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let number = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    if number.is_empty() { format!("({})", ort::info()) } else { number.to_owned() }
}

/// Finds onnxruntime's library: as named, by `ORT_DYLIB_PATH`, in the Python environment that is
/// active, or where the system keeps its libraries.
pub fn find_library(named: Option<&Path>) -> Result<PathBuf, ProbeError> {
    let variable = std::env::var_os("ORT_DYLIB_PATH").filter(|v| !v.is_empty());
    let given = named.map(|p| (p.to_owned(), "--ort-library"));
    if let Some((path, by)) = given.or(variable.map(|v| (v.into(), "ORT_DYLIB_PATH"))) {
        return if path.is_file() {
            std::path::absolute(&path).map_err(|e| ProbeError::Load(e.to_string()))
        } else {
            let message = format!("{by} names `{}`, which is no file", path.display());
            Err(ProbeError::Runtime { message, hint: INSTALL })
        };
    }
    let environment = std::env::var_os("VIRTUAL_ENV").map(PathBuf::from);
    let own = environment.map(|e| e.join(if cfg!(windows) { "Scripts" } else { "bin" }));
    let mut interpreters: Vec<PathBuf> = own.into_iter().map(|bin| bin.join("python3")).collect();
    interpreters.push("python3".into());
    interpreters.push("python".into());
    if let Some(found) = interpreters.iter().filter_map(|p| wheel(p)).find_map(|dir| library(&dir))
    {
        return Ok(found);
    }
    let loader = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let system = std::env::split_paths(&loader).chain(FOLDERS.iter().map(PathBuf::from));
    system.into_iter().find_map(|folder| library(&folder)).ok_or_else(|| ProbeError::Runtime {
        message:
            "onnxruntime is neither in the Python environment nor among the system's libraries"
                .into(),
        hint: INSTALL,
    })
}

/// Where systems keep libraries.
const FOLDERS: [&str; 6] = [
    "/usr/local/lib",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/opt/homebrew/lib",
];

/// The folder of the wheel's library, as the interpreter finds it; nothing of the wheel is run.
fn wheel(python: &Path) -> Option<PathBuf> {
    const ASK: &str = "import importlib.util as u; s = u.find_spec('onnxruntime'); \
                       print(s.submodule_search_locations[0] if s else '')";
    let mut command = Command::new(python);
    command.args(["-c", ASK]).stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().ok().filter(|o| o.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let folder = text.trim();
    (!folder.is_empty()).then(|| Path::new(folder).join("capi"))
}

/// onnxruntime's library in a folder; the newest by name where there are several.
fn library(folder: &Path) -> Option<PathBuf> {
    let is = |path: &PathBuf| {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let known = name.starts_with("libonnxruntime.so")
            || name == "onnxruntime.dll"
            || name.starts_with("libonnxruntime.")
                && path.extension().is_some_and(|e| e == "dylib");
        known && path.is_file()
    };
    let entries = std::fs::read_dir(folder).ok()?;
    entries.filter_map(|e| Some(e.ok()?.path())).filter(is).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_named_must_be_there() {
        let error = find_library(Some(Path::new("/no-such-library.so"))).unwrap_err();
        assert!(error.to_string().contains("--ort-library"), "{error}");
        assert!(error.hint().unwrap().contains("pip install onnxruntime"));
    }

    #[test]
    fn libraries_are_told_from_what_lies_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["libonnxruntime_providers_shared.so", "onnxruntime.py"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(library(folder.path()), None);
        for name in ["libonnxruntime.so.1.22.0", "libonnxruntime.so.1.23.1"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let found = library(folder.path()).unwrap();
        assert_eq!(found.file_name().unwrap(), "libonnxruntime.so.1.23.1");
    }

    #[test]
    fn what_is_no_library_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libonnxruntime.so");
        std::fs::write(&path, "text").unwrap();
        let options = RuntimeOptions {
            library: Some(path),
            ..RuntimeOptions::new(super::super::Runtime::Ort)
        };
        let error = OrtTarget::load(b"", &[], &options).err().unwrap();
        assert!(error.to_string().contains("cannot be used as onnxruntime"), "{error}");
    }
}
