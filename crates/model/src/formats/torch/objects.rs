//! Modules and constants as a pickle has them, with the tensors that they hold.

use super::super::LoadError;
use super::super::checked::{MAX_FLOATS, checked_dim, checked_rank};
use super::super::contents::elements;
use super::super::error::{invalid, malformed};
use super::archive::Files;
use super::pickle::{Id, Part, Pickle};
use super::stored::Stored;
use super::value::{Object, Value};
use crate::ir::{DType, MAX_TRACKED, TensorInfo};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Objects nest no deeper.
const MAX_NESTING: usize = 100;

/// An object whose state a method of its class takes.
pub(super) type Pending = (Rc<Object>, Value);

/// Turns pickles into values.
pub(super) struct Objects<'f> {
    files: &'f Files,
    /// The folder of the storages: `data` or `constants`.
    folder: &'static str,
    pickle: &'f Pickle,
    known: HashMap<Id, Value>,
    /// Objects whose state is no dictionary, inner ones first.
    pub(super) pending: Vec<Pending>,
    depth: usize,
}

/// The type of a storage, by the name of its class.
fn storage_type(class: &str) -> Option<DType> {
    Some(match class.strip_prefix("torch ")?.strip_suffix("Storage")? {
        "Float" => DType::F32,
        "Double" => DType::F64,
        "Half" => DType::F16,
        "BFloat16" => DType::BF16,
        "Long" => DType::I64,
        "Int" | "QInt32" => DType::I32,
        "Short" => DType::I16,
        "Char" | "QInt8" => DType::I8,
        "Byte" | "QUInt8" | "Untyped" => DType::U8,
        "Bool" => DType::Bool,
        "ComplexFloat" => DType::C64,
        "ComplexDouble" => DType::C128,
        "Float8_e4m3fn" => DType::F8E4M3FN,
        "Float8_e5m2" => DType::F8E5M2,
        "QUInt4x2" => DType::U4,
        _ => return None,
    })
}

/// The type by its name in torch.
pub(super) fn named_type(name: &str) -> Option<DType> {
    Some(match name {
        "float32" | "float" => DType::F32,
        "float64" | "double" => DType::F64,
        "float16" | "half" => DType::F16,
        "bfloat16" => DType::BF16,
        "int64" | "long" => DType::I64,
        "int32" | "int" => DType::I32,
        "int16" | "short" => DType::I16,
        "int8" => DType::I8,
        "uint8" => DType::U8,
        "uint16" => DType::U16,
        "uint32" => DType::U32,
        "uint64" => DType::U64,
        "bool" => DType::Bool,
        "complex64" => DType::C64,
        "complex128" => DType::C128,
        "float8_e4m3fn" => DType::F8E4M3FN,
        "float8_e4m3fnuz" => DType::F8E4M3FNUZ,
        "float8_e5m2" => DType::F8E5M2,
        "float8_e5m2fnuz" => DType::F8E5M2FNUZ,
        "float8_e8m0fnu" => DType::F8E8M0,
        _ => return None,
    })
}

impl<'f> Objects<'f> {
    /// Of a pickle whose storages lie in this folder of the archive.
    pub(super) fn of(files: &'f Files, folder: &'static str, pickle: &'f Pickle) -> Self {
        Self { files, folder, pickle, known: HashMap::new(), pending: Vec::new(), depth: 0 }
    }

    /// The whole.
    pub(super) fn root(&mut self) -> Result<Value, LoadError> {
        self.value(self.pickle.root)
    }

    fn value(&mut self, id: Id) -> Result<Value, LoadError> {
        if let Some(known) = self.known.get(&id) {
            return Ok(known.clone());
        }
        if self.depth >= MAX_NESTING {
            return Err(malformed(super::NAME, "objects in it nest too deep"));
        }
        self.depth += 1;
        let value = self.part(id);
        self.depth -= 1;
        let value = value?;
        self.known.insert(id, value.clone());
        Ok(value)
    }

    fn all(&mut self, ids: &[Id]) -> Result<Vec<Value>, LoadError> {
        ids.iter().map(|id| self.value(*id)).collect()
    }

    fn part(&mut self, id: Id) -> Result<Value, LoadError> {
        let pickle = self.pickle;
        Ok(match pickle.part(id) {
            Part::None | Part::Outside(_) | Part::Long(_) => Value::None,
            Part::Bool(truth) => Value::Bool(*truth),
            Part::Int(number) => Value::Int(*number),
            Part::Float(number) => Value::Float(*number),
            Part::Text(text) => Value::Text(text.as_str().into()),
            Part::Global(name) => match name.strip_prefix("torch ").and_then(named_type) {
                Some(dtype) => Value::Int(super::types::number(dtype)),
                None => Value::Path(name.as_str().into()),
            },
            Part::Tuple(members) => Value::tuple(self.all(members)?),
            Part::List(members) => Value::list(self.all(members)?),
            Part::Dict(entries) => self.dict(entries)?,
            Part::Call { callee, arguments, state } => {
                let name = pickle.global(*callee).unwrap_or_default();
                self.call(id, name, pickle.members(*arguments), *state)?
            }
        })
    }

    fn dict(&mut self, entries: &[(Id, Id)]) -> Result<Value, LoadError> {
        let mut all = Vec::new();
        for (key, value) in entries {
            all.push(self.value(*key)?);
            all.push(self.value(*value)?);
        }
        Ok(Value::dict(all))
    }

    fn call(
        &mut self,
        id: Id,
        name: &str,
        arguments: &[Id],
        state: Option<Id>,
    ) -> Result<Value, LoadError> {
        let first = arguments.first().copied();
        match name.rsplit_once(' ').map_or(name, |(_, last)| last) {
            "_rebuild_tensor_v2" | "_rebuild_tensor" => self.tensor(arguments, None, None),
            "_rebuild_tensor_v3" => {
                let dtype = arguments.get(6).and_then(|id| self.pickle.global(*id));
                let dtype = dtype.and_then(|name| named_type(name.strip_prefix("torch ")?));
                self.tensor(arguments, dtype, None)
            }
            "_rebuild_qtensor" => {
                let quantized = arguments.get(4).map(|id| self.scale(*id)).transpose()?;
                self.tensor(arguments, None, quantized)
            }
            "OrderedDict" | "defaultdict" => match state {
                Some(state) => self.value(state),
                None => Ok(Value::dict(Vec::new())),
            },
            "_rebuild_parameter"
            | "_rebuild_parameter_with_state"
            | "build_intlist"
            | "build_doublelist"
            | "build_boollist"
            | "build_tensorlist"
            | "restore_type_tag"
            | "device"
            | "_rebuild_device_tensor_from_numpy"
            | "set"
            | "list" => first.map_or(Ok(Value::None), |id| self.value(id)),
            _ => self.object(id, name, state),
        }
    }

    fn object(&mut self, id: Id, name: &str, state: Option<Id>) -> Result<Value, LoadError> {
        let class = name.replace(' ', ".");
        let object = Rc::new(Object::new(&class));
        // An object may hold itself.
        self.known.insert(id, Value::Object(object.clone()));
        let Some(state) = state else { return Ok(Value::Object(object)) };
        if let Part::Dict(entries) = self.pickle.part(state) {
            for (key, value) in entries {
                let Some(key) = self.pickle.text(*key) else { continue };
                let value = self.value(*value)?;
                object.set(key, value);
            }
            return Ok(Value::Object(object));
        }
        let state = self.value(state)?;
        for (at, value) in state.members().into_iter().flatten().enumerate() {
            object.set(&at.to_string(), value);
        }
        self.pending.push((object.clone(), state));
        Ok(Value::Object(object))
    }

    /// `(scheme, scale, zero)`, or tensors of these and an axis.
    fn scale(&mut self, id: Id) -> Result<(f64, i64), LoadError> {
        let members = self.pickle.members(id).to_vec();
        let mut number = |at: usize| -> Result<Option<f64>, LoadError> {
            let Some(id) = members.get(at) else { return Ok(None) };
            Ok(match self.value(*id)? {
                Value::Stored(stored) => {
                    let first = stored.info.value.as_ref().and_then(|value| value.first().cloned());
                    first.and_then(|element| element.as_f64())
                }
                value => value.as_float(),
            })
        };
        let (scale, zero) = (number(1)?.unwrap_or(1.0), number(2)?.unwrap_or(0.0));
        #[allow(clippy::cast_possible_truncation)]
        let zero = zero as i64;
        Ok((scale, zero))
    }

    fn ints(&self, id: Option<&Id>) -> Option<Vec<i64>> {
        self.pickle.members(*id?).iter().map(|id| self.pickle.int(*id)).collect()
    }

    /// `storage, offset, sizes, strides, …`, where the storage is outside: `'storage', class, key, device, count`.
    fn tensor(
        &mut self,
        arguments: &[Id],
        dtype: Option<DType>,
        quantized: Option<(f64, i64)>,
    ) -> Result<Value, LoadError> {
        let broken = || malformed(super::NAME, "a stored tensor is not as torch writes it");
        let [storage, offset, ..] = arguments else { return Err(broken()) };
        let Part::Outside(description) = self.pickle.part(*storage) else { return Err(broken()) };
        let [_, class, key, ..] = self.pickle.members(*description) else { return Err(broken()) };
        let class = self.pickle.global(*class).unwrap_or_default();
        let dtype = dtype.or_else(|| storage_type(class)).ok_or_else(|| {
            invalid("tensor", format!("has the storage `{class}`, which is not known"))
        })?;
        let key = self.pickle.text(*key).ok_or_else(broken)?;
        let offset = self.pickle.int(*offset).ok_or_else(broken)?;
        let sizes = self.ints(arguments.get(2)).ok_or_else(broken)?;
        let strides = self.ints(arguments.get(3)).ok_or_else(broken)?;
        checked_rank(key, sizes.len())?;
        let mut shape = Vec::new();
        for (axis, size) in sizes.iter().enumerate() {
            shape.push(checked_dim(key, axis, *size)?);
        }
        let mut info = TensorInfo::new(Some(dtype), shape);
        if let Some(value) = self.contents(key, dtype, offset, &sizes, &strides) {
            info = info.with_value(value);
        }
        let key = (format!("{}/{key}", self.folder).into(), offset, sizes.clone(), strides);
        let name = RefCell::new("".into());
        Ok(Value::Stored(Rc::new(Stored { name, info, sizes, key, quantized })))
    }

    /// The elements, where they are few and lie in order.
    fn contents(
        &self,
        key: &str,
        dtype: DType,
        offset: i64,
        sizes: &[i64],
        strides: &[i64],
    ) -> Option<Vec<crate::ir::Elem>> {
        let most = if dtype.is_float() { MAX_FLOATS } else { MAX_TRACKED };
        let mut count = 1_i64;
        for (size, stride) in sizes.iter().zip(strides).rev() {
            if *size != 1 && *stride != count {
                return None;
            }
            count = count.checked_mul(*size)?;
        }
        let count = usize::try_from(count).ok().filter(|count| *count <= most)?;
        let width = usize::try_from(dtype.bits() / 8).ok()?;
        let bytes = self.files.contents(&format!("{}/{key}", self.folder)).ok().flatten()?;
        let start = usize::try_from(offset).ok()?.checked_mul(width)?;
        let end = start.checked_add(count.checked_mul(width)?)?;
        elements(bytes.get(start..end)?, dtype, count)
    }
}
