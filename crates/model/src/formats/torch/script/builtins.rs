//! What the language has of its own: lists, dictionaries, texts and numbers, and what is asked of tensors.

use super::super::super::draft::Op;
use super::super::super::error::invalid;
use super::super::aten::{self, Args};
use super::super::numbers;
use super::super::site::Site;
use super::super::types;
use super::super::value::{Items, Kind, Lowered, Tensor, Value, unable};
use super::{Script, flow, whole};
use crate::ir::DType;
use std::rc::Rc;

/// Lists grow no longer.
const MAX_LENGTH: usize = 1_000_000;

impl Script<'_> {
    /// A function of the language, or else an operator.
    pub(super) fn builtin(site: &mut Site<'_, '_>, name: &str, arguments: &Args) -> Lowered<Value> {
        let given = &arguments.positional[..];
        if let Some(value) = constant(name, given)? {
            return Ok(value);
        }
        if let Some(value) = asked(site, name, given)? {
            return Ok(value);
        }
        if let Some(value) = listed(site, name, given)? {
            return Ok(value);
        }
        if let Some(value) = worded(name, given) {
            return Ok(value);
        }
        if let Some(value) = numbers::of(site, name, given)? {
            return Ok(value);
        }
        Self::lower(site, name, arguments)
    }

    /// What is asked of a tensor by `x.name`.
    pub(super) fn of_tensor(
        site: &mut Site<'_, '_>,
        tensor: &Tensor,
        name: &str,
    ) -> Lowered<Value> {
        let name = if name == "T" { "t" } else { name };
        Self::builtin(site, name, &Args::of(vec![Value::Tensor(tensor.clone())]))
    }
}

/// What has the same answer whatever the model.
fn constant(name: &str, given: &[Value]) -> Lowered<Option<Value>> {
    Ok(Some(match name {
        "RaiseException" => return raised(given),
        "is_grad_enabled"
        | "is_autocast_enabled"
        | "is_tracing"
        | "is_cuda"
        | "is_nested"
        | "requires_grad"
        | "is_sparse"
        | "is_quantized"
        | "is_mkldnn"
        | "is_mps"
        | "is_xpu"
        | "is_vulkan"
        | "is_meta"
        | "is_autocast_cpu_enabled"
        | "is_inference"
        | "has_torch_function"
        | "is_conj"
        | "is_neg" => Value::Bool(false),
        "is_scripting"
        | "is_contiguous"
        | "is_cpu"
        | "get_fastpath_enabled"
        | "_get_mha_fastpath_enabled" => Value::Bool(true),
        "device" => match given.first() {
            Some(Value::Text(text)) => Value::Text(text.clone()),
            _ => Value::Text("cpu".into()),
        },
        "dict" if given.is_empty() => Value::dict(Vec::new()),
        "get_device" => Value::Int(-1),
        "layout" => Value::Int(0),
        "grad"
        | "warn"
        | "print"
        | "set_grad_enabled"
        | "_assert"
        | "_assert_async"
        | "manual_seed"
        | "_jit_set_profiling_executor"
        | "hash"
        | "record_function"
        | "backward" => Value::None,
        "type" => {
            let Some(Value::Text(text)) = given.first() else { return Ok(None) };
            Value::Text(text.split(':').next().unwrap_or_default().into())
        }
        "format" | "str" | "percentFormat" => formatted(given),
        "__is__" | "__isnot__" => {
            let [a, b] = given else { return Ok(None) };
            Value::Bool(identical(a, b)? == (name == "__is__"))
        }
        _ => return Ok(None),
    }))
}

/// The error of a program that refuses its inputs.
fn raised<T>(given: &[Value]) -> Lowered<T> {
    let message = match given.first() {
        Some(Value::Text(text)) => rooflens_ground::text::shown(text).into_owned(),
        _ => String::new(),
    };
    let why = format!("raises an error for inputs of these ranks: \"{message}\"");
    Err(invalid("program", why).into())
}

/// A text of values, as far as it is known.
fn formatted(given: &[Value]) -> Value {
    match given {
        [Value::Text(text)] => Value::Text(text.clone()),
        [Value::Int(number)] => Value::Text(number.to_string().into()),
        _ => Value::Text("text".into()),
    }
}

/// `is`.
fn identical(a: &Value, b: &Value) -> Lowered<bool> {
    Ok(match (a, b) {
        (Value::Absent(why), _) | (_, Value::Absent(why)) => return unable(*why),
        (Value::None, Value::None) => true,
        (Value::None, _) | (_, Value::None) => false,
        (a, b) => numbers::equal(a, b).unwrap_or(false),
    })
}

/// Questions about tensors.
fn asked(site: &mut Site<'_, '_>, name: &str, given: &[Value]) -> Lowered<Option<Value>> {
    let Some(Value::Tensor(tensor)) = given.first() else { return Ok(None) };
    Ok(Some(match name {
        "dim" | "ndimension" | "ndim" => match tensor.rank() {
            Some(rank) => Value::Int(i64::try_from(rank).unwrap_or_default()),
            None => {
                let shape = site.shape(tensor)?;
                let rank = site.unary(Op::onnx("Size"), &shape)?.ranked(Some(0));
                whole(rank)
            }
        },
        "size" | "shape" | "sym_size" => match given.get(1) {
            Some(Value::Int(axis)) => site.size(tensor, *axis)?,
            Some(Value::Number(axis, _)) => {
                let shape = site.shape(tensor)?;
                let op = Op::onnx("Gather").with("axis", 0_i64);
                whole(site.emit(op, &[Some(&shape), Some(axis)])?.ranked(Some(0)))
            }
            _ => site.sizes(tensor)?,
        },
        "numel" | "sym_numel" => {
            let count = site.unary(Op::onnx("Size"), tensor)?;
            whole(count.ranked(Some(0)).typed(Some(DType::I64)))
        }
        "len" => site.size(tensor, 0)?,
        "element_size" | "itemsize" => {
            let bits = tensor.dtype().unwrap_or(DType::F32).bits();
            Value::Int(i64::from(bits / 8))
        }
        "dtype" => {
            let dtype = tensor.dtype().unwrap_or_else(|| {
                let place = tensor.known().at.name.to_string();
                let message = "its element type decides the program; taken as f32";
                site.note(crate::ir::Severity::Assumption, &place, message);
                DType::F32
            });
            Value::Int(types::number(dtype))
        }
        "is_floating_point" => Value::Bool(tensor.is_float()),
        "is_complex" => Value::Bool(matches!(tensor.dtype(), Some(DType::C64 | DType::C128))),
        "is_signed" => Value::Bool(tensor.dtype() != Some(DType::U8)),
        "type" => Value::Text("cpu".into()),
        "get_device" => Value::Int(-1),
        "data" | "requires_grad_" | "detach" | "is_same_size" => Value::Tensor(tensor.clone()),
        "stride" => strides(site, tensor, given.get(1))?,
        "storage_offset" => Value::Int(0),
        _ => return Ok(None),
    }))
}

/// Those of a tensor whose elements lie in order.
fn strides(site: &mut Site<'_, '_>, tensor: &Tensor, axis: Option<&Value>) -> Lowered<Value> {
    let Some(rank) = tensor.rank() else { return unable("strides of a tensor of unknown rank") };
    let mut strides = vec![Value::Int(1)];
    for at in (1..rank).rev() {
        let size = site.size(tensor, i64::try_from(at).unwrap_or_default())?;
        let last = strides.last().cloned().unwrap_or(Value::Int(1));
        let next = numbers::of(site, "mul", &[last, size])?;
        strides.push(next.unwrap_or(Value::Int(1)));
    }
    strides.reverse();
    let Some(axis) = axis.and_then(Value::as_int) else { return Ok(Value::list(strides)) };
    let at = place(axis, rank);
    Ok(at.and_then(|at| strides.get(at).cloned()).unwrap_or(Value::Int(1)))
}

/// A place counted from the end where it is negative.
fn place(at: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    usize::try_from(if at < 0 { at + length } else { at }).ok()
}

/// Lists and dictionaries.
fn listed(site: &mut Site<'_, '_>, name: &str, given: &[Value]) -> Lowered<Option<Value>> {
    let Some(first) = given.first() else { return Ok(None) };
    match first {
        Value::List(items) | Value::Tuple(items) => list(site, name, items, given),
        Value::Dict(entries) => dict(name, entries, given),
        Value::Sequence(whole) => sequence(site, name, whole, given),
        Value::Pieces(pieces) => match (name, given.get(1)) {
            ("__getitem__", Some(at)) => aten::piece(site, pieces, at).map(Value::Tensor).map(Some),
            ("len", _) if pieces.most.is_some() => {
                let most = pieces.most.and_then(|most| i64::try_from(most).ok());
                Ok(most.map(Value::Int))
            }
            ("len", _) => {
                let size = site.size(&pieces.whole, pieces.axis)?;
                let Some(each) = &pieces.size else { return Ok(Some(size)) };
                numbers::parts(site, &size, each).map(Some)
            }
            _ => Ok(None),
        },
        Value::Numbers(list) => match (name, given.get(1)) {
            ("__getitem__", Some(at)) => {
                let at = site.number(at)?;
                let op = Op::onnx("Gather").with("axis", 0_i64);
                let picked = site.emit(op, &[Some(list), Some(&at)])?;
                Ok(Some(whole(picked.ranked(Some(0)))))
            }
            ("len", _) => site.size(list, 0).map(Some),
            ("slice", Some(_)) => part(site, list, given).map(Some),
            ("list" | "copy", _) => Ok(Some(first.clone())),
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

/// Some of the sizes, in their order.
fn part(site: &mut Site<'_, '_>, list: &Tensor, given: &[Value]) -> Lowered<Value> {
    let bound = |at: usize, default: i64| match given.get(at) {
        None | Some(Value::None) => Some(default),
        Some(value) => value.as_int(),
    };
    let (Some(start), Some(end), Some(1)) = (bound(1, 0), bound(2, i64::MAX), bound(3, 1)) else {
        return unable("part of a list of sizes is taken in a way not known");
    };
    let (start, end, axis) = (site.ints(&[start])?, site.ints(&[end])?, site.ints(&[0])?);
    let inputs = [Some(list), Some(&start), Some(&end), Some(&axis)];
    Ok(Value::Numbers(site.emit(Op::onnx("Slice"), &inputs)?))
}

fn list(
    site: &mut Site<'_, '_>,
    name: &str,
    items: &Rc<Items>,
    given: &[Value],
) -> Lowered<Option<Value>> {
    if let Some(value) = changed(name, items, given)? {
        return Ok(Some(value));
    }
    if let Some(value) = selected(site, name, items, given)? {
        return Ok(Some(value));
    }
    judged(site, name, items, given)
}

/// What changes a list.
fn changed(name: &str, items: &Rc<Items>, given: &[Value]) -> Lowered<Option<Value>> {
    let first = || given.first().cloned().unwrap_or(Value::None);
    Ok(Some(match (name, given) {
        ("append", [_, value]) => {
            if items.len() >= MAX_LENGTH {
                return unable("a list grows too long");
            }
            items.change(|items| items.push(value.clone()));
            first()
        }
        ("extend" | "add_", [_, other]) => {
            let Some(more) = other.members() else { return Ok(None) };
            if items.len() + more.len() > MAX_LENGTH {
                return unable("a list grows too long");
            }
            items.change(|items| items.extend(more));
            first()
        }
        ("insert", [_, Value::Int(at), value]) => {
            let at = place(*at, items.len()).unwrap_or(0).min(items.len());
            items.change(|items| items.insert(at, value.clone()));
            Value::None
        }
        ("pop", _) => {
            let at = given.get(1).and_then(Value::as_int).unwrap_or(-1);
            let at = place(at, items.len()).filter(|at| *at < items.len());
            let Some(at) = at else { return unable("a list is empty where one is taken from it") };
            items.change(|items| items.remove(at))
        }
        ("clear", _) => {
            let _old = items.change(std::mem::take);
            Value::None
        }
        ("reverse", _) => {
            items.change(|items| items.reverse());
            Value::None
        }
        ("_set_item", [_, Value::Int(at), value]) => {
            let found = place(*at, items.len()).filter(|at| *at < items.len());
            let Some(at) = found else { return unable(format!("a list has no member {at}")) };
            let _old = items.change(|items| std::mem::replace(&mut items[at], value.clone()));
            first()
        }
        _ => return Ok(None),
    }))
}

/// What a list holds, and lists that are made of it.
fn selected(
    site: &mut Site<'_, '_>,
    name: &str,
    items: &Rc<Items>,
    given: &[Value],
) -> Lowered<Option<Value>> {
    Ok(Some(match (name, given) {
        ("len", _) => Value::Int(i64::try_from(items.len()).unwrap_or_default()),
        ("__getitem__", [_, Value::Int(at)]) => {
            let found = place(*at, items.len()).and_then(|at| items.at(at));
            match found {
                Some(value) => site.present(value)?,
                None => return unable(format!("a list has no member {at}")),
            }
        }
        ("__getitem__", [_, Value::Number(at, _)]) => chosen(site, items, at)?,
        ("slice", [_, start, rest @ ..]) => {
            let end = rest.first().unwrap_or(&Value::None);
            let all = items.all();
            let bound = |value: &Value, default: usize| match value.as_int() {
                Some(at) => place(at, all.len()).unwrap_or(0).min(all.len()),
                None => default,
            };
            let (start, end) = (bound(start, 0), bound(end, all.len()));
            let step = rest.get(1).and_then(Value::as_int).unwrap_or(1).max(1);
            let step = usize::try_from(step).unwrap_or(1);
            let taken = all.get(start..end.max(start)).unwrap_or_default();
            Value::list(taken.iter().step_by(step).cloned().collect())
        }
        ("add", [list, other]) => {
            let (Some(mut all), Some(more)) = (list.members(), other.members()) else {
                return Ok(None);
            };
            all.extend(more);
            if all.len() > MAX_LENGTH {
                return unable("a list grows too long");
            }
            Value::list(all)
        }
        ("mul", [_, Value::Int(times)]) => {
            let times = usize::try_from(*times).unwrap_or(0);
            if items.len().saturating_mul(times) > MAX_LENGTH {
                return unable("a list grows too long");
            }
            Value::list(std::iter::repeat_n(items.all(), times).flatten().collect())
        }
        ("list" | "copy" | "sorted", _) => Value::list(items.all()),
        ("dict", _) => {
            let pairs = items.all().into_iter().filter_map(|pair| pair.members()).flatten();
            Value::dict(pairs.collect())
        }
        _ => return Ok(None),
    }))
}

/// What is asked of all that a list holds.
fn judged(
    site: &mut Site<'_, '_>,
    name: &str,
    items: &Rc<Items>,
    given: &[Value],
) -> Lowered<Option<Value>> {
    let truths =
        || items.all().iter().map(|v| v.as_int().map(|n| n != 0)).collect::<Option<Vec<_>>>();
    Ok(Some(match (name, given) {
        ("__contains__", [_, value]) => {
            Value::Bool(items.all().iter().any(|item| numbers::equal(item, value) == Some(true)))
        }
        ("index", [_, value]) => {
            let at = items.all().iter().position(|item| numbers::equal(item, value) == Some(true));
            Value::Int(at.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1))
        }
        ("all", [_]) => match truths() {
            Some(truths) => Value::Bool(truths.into_iter().all(|truth| truth)),
            None => return Ok(None),
        },
        ("any", [_]) => match truths() {
            Some(truths) => Value::Bool(truths.into_iter().any(|truth| truth)),
            None => return Ok(None),
        },
        ("min" | "max" | "sum", [_]) => {
            let op = if name == "sum" { "add" } else { name };
            let all = items.all();
            let mut all = all.into_iter();
            let Some(mut total) = all.next() else { return Ok(None) };
            for next in all {
                total = numbers::needed(site, op, &[total, next])?;
            }
            total
        }
        ("eq" | "ne", [a, b]) if b.members().is_some() => {
            let (a, b) = (a.members().unwrap_or_default(), b.members().unwrap_or_default());
            let mut truth = Value::Bool(a.len() == b.len());
            if a.len() == b.len() {
                for (a, b) in a.into_iter().zip(b) {
                    let same = numbers::needed(site, "eq", &[a, b])?;
                    truth = numbers::needed(site, "__and__", &[truth, same])?;
                }
            }
            if name == "ne" { numbers::needed(site, "__not__", &[truth])? } else { truth }
        }
        _ => return Ok(None),
    }))
}

/// A member of a list that the graph chooses.
fn chosen(site: &mut Site<'_, '_>, items: &Rc<Items>, at: &Tensor) -> Lowered<Value> {
    let all = items.all();
    if all.iter().all(|value| matches!(value, Value::Int(_) | Value::Number(_, Kind::Int))) {
        let list = site.list(&all)?;
        let op = Op::onnx("Gather").with("axis", 0_i64);
        let picked = site.emit(op, &[Some(&list), Some(at)])?;
        return Ok(whole(picked.ranked(Some(0)).typed(Some(DType::I64))));
    }
    let like = all.first().cloned();
    let list = flow::sequence(site, &all)?;
    let picked = site.emit(Op::onnx("SequenceAt"), &[Some(&list), Some(at)])?;
    let (rank, dtype) = match like {
        Some(Value::Tensor(like)) => (like.rank(), like.dtype()),
        _ => (None, None),
    };
    Ok(Value::Tensor(picked.ranked(rank).typed(dtype)))
}

fn dict(name: &str, entries: &Rc<Items>, given: &[Value]) -> Lowered<Option<Value>> {
    let all = entries.all();
    let find = |key: &Value| {
        all.chunks_exact(2).position(|pair| numbers::equal(&pair[0], key) == Some(true))
    };
    let column =
        |at: usize| Value::list(all.chunks_exact(2).map(|pair| pair[at].clone()).collect());
    Ok(Some(match (name, given) {
        ("__getitem__", [_, key]) => match find(key).and_then(|at| all.get(2 * at + 1)) {
            Some(value) => value.clone(),
            None => return unable("a dictionary has no such key"),
        },
        ("get", [_, key, rest @ ..]) => match find(key).and_then(|at| all.get(2 * at + 1)) {
            Some(value) => value.clone(),
            None => rest.first().cloned().unwrap_or(Value::None),
        },
        ("_set_item" | "setdefault", [_, key, value]) => {
            match find(key) {
                Some(at) if name == "_set_item" => {
                    let _old = entries
                        .change(|all| std::mem::replace(&mut all[2 * at + 1], value.clone()));
                }
                Some(at) => return Ok(all.get(2 * at + 1).cloned()),
                None if all.len() >= MAX_LENGTH => return unable("a dictionary grows too long"),
                None => entries.change(|all| all.extend([key.clone(), value.clone()])),
            }
            value.clone()
        }
        ("__delitem__" | "pop", [_, key, ..]) => {
            let Some(at) = find(key) else { return unable("a dictionary has no such key") };
            entries.change(|all| all.drain(2 * at..2 * at + 2).nth(1)).unwrap_or(Value::None)
        }
        ("__contains__", [_, key]) => Value::Bool(find(key).is_some()),
        ("len", _) => Value::Int(i64::try_from(all.len() / 2).unwrap_or_default()),
        ("keys", _) => column(0),
        ("values", _) => column(1),
        ("items", _) => {
            Value::list(all.chunks_exact(2).map(|pair| Value::tuple(pair.to_vec())).collect())
        }
        ("copy" | "dict", _) => Value::dict(all),
        ("update", [_, Value::Dict(other)]) => {
            let more = other.all();
            entries.change(|all| all.extend(more));
            Value::None
        }
        _ => return Ok(None),
    }))
}

fn sequence(
    site: &mut Site<'_, '_>,
    name: &str,
    whole_: &Tensor,
    given: &[Value],
) -> Lowered<Option<Value>> {
    Ok(Some(match (name, given) {
        ("append", [list, value]) => {
            let value = site.number(value)?;
            let grown = site.emit(Op::onnx("SequenceInsert"), &[Some(whole_), Some(&value)])?;
            let known = value.known().clone();
            site.write(whole_, &grown.ranked(known.rank).typed(known.dtype))?;
            list.clone()
        }
        ("extend" | "add_", [list, other]) => {
            let Some(more) = other.members() else { return Ok(None) };
            for value in more {
                sequence(site, "append", whole_, &[list.clone(), value])?;
            }
            list.clone()
        }
        ("len", _) => {
            let length = site.unary(Op::onnx("SequenceLength"), whole_)?;
            whole(length.ranked(Some(0)).typed(Some(DType::I64)))
        }
        ("__getitem__", [_, at]) => {
            let at = site.number(at)?;
            let picked = site.emit(Op::onnx("SequenceAt"), &[Some(whole_), Some(&at)])?;
            Value::Tensor(picked)
        }
        ("copy" | "list", _) => given.first().cloned().unwrap_or(Value::None),
        _ => return Ok(None),
    }))
}

/// Texts.
fn worded(name: &str, given: &[Value]) -> Option<Value> {
    let [Value::Text(text), rest @ ..] = given else { return None };
    let other = match rest.first() {
        Some(Value::Text(other)) => Some(other.clone()),
        _ => None,
    };
    Some(match (name, other) {
        ("len", _) => Value::Int(i64::try_from(text.chars().count()).unwrap_or_default()),
        ("add", Some(other)) if text.len() + other.len() <= MAX_LENGTH => {
            Value::Text(format!("{text}{other}").into())
        }
        ("eq", Some(other)) => Value::Bool(*text == other),
        ("ne", Some(other)) => Value::Bool(*text != other),
        ("startswith", Some(other)) => Value::Bool(text.starts_with(&*other)),
        ("endswith", Some(other)) => Value::Bool(text.ends_with(&*other)),
        ("__contains__", Some(other)) => Value::Bool(text.contains(&*other)),
        ("lower", _) => Value::Text(text.to_lowercase().into()),
        ("upper", _) => Value::Text(text.to_uppercase().into()),
        ("strip", _) => Value::Text(text.trim().into()),
        ("split", other) => {
            let by = other.unwrap_or_else(|| " ".into());
            let by = if by.is_empty() { " ".into() } else { by };
            Value::list(text.split(&*by).map(|part| Value::Text(part.into())).collect())
        }
        ("replace", Some(_)) | ("join", _) => Value::Text(text.clone()),
        ("__getitem__", _) => {
            let at = rest.first().and_then(Value::as_int)?;
            let chars: Vec<char> = text.chars().collect();
            let found = chars.get(place(at, chars.len())?)?;
            Value::Text(found.to_string().into())
        }
        ("ord", _) => Value::Int(text.chars().next().map_or(0, |c| i64::from(u32::from(c)))),
        ("int", _) => Value::Int(text.trim().parse().ok()?),
        ("float", _) => Value::Float(text.trim().parse().ok()?),
        ("bool", _) => Value::Bool(!text.is_empty()),
        _ => return None,
    })
}
