//! Contents of tensors from records of a data set: JSON values, arrays of `NumPy`, texts and whole files.

use super::show;
use super::tensor::{Given, Slot, Tensor, npy};
use crate::data::{Kind, Record};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// The contents of an input from the whole of a record; says what is wrong.
pub(super) fn whole(slot: &Slot, record: &Record) -> Result<Tensor, String> {
    if record.kind == Kind::Npy {
        let array = npy(&record.bytes).map_err(str::to_owned)?;
        let Given::Contents(dtype, shape, data) = array else { return Err("is no array".into()) };
        if dtype != slot.dtype {
            return Err(format!(
                "has {}, and input `{}` takes {}: convert it with numpy's astype",
                dtype.name(),
                slot.name,
                slot.dtype.name()
            ));
        }
        let shape = fitting(slot, shape)?;
        return Ok(Tensor { name: slot.name.clone(), dtype, shape, data });
    }
    if slot.dtype.width().is_some() {
        return Err(format!(
            "is no .npy file, and input `{}` takes {}",
            slot.name,
            slot.dtype.name()
        ));
    }
    text(slot, &record.bytes)
}

/// One text, or the bytes of a file, as an input of strings.
pub(super) fn text(slot: &Slot, text: &[u8]) -> Result<Tensor, String> {
    let mut data = Vec::with_capacity(4 + text.len());
    add_text(text, &mut data)?;
    let shape = fitting(slot, Vec::new())?;
    Ok(Tensor { name: slot.name.clone(), dtype: slot.dtype, shape, data })
}

fn add_text(text: &[u8], data: &mut Vec<u8>) -> Result<(), String> {
    let length = u32::try_from(text.len()).map_err(|_| "has a text of more than 4 GiB")?;
    data.extend_from_slice(&length.to_le_bytes());
    data.extend_from_slice(text);
    Ok(())
}

/// The contents of an input from nested arrays of its elements, whose nesting is its shape.
pub(super) fn json(slot: &Slot, value: &Value) -> Result<Tensor, String> {
    let mut shape = Vec::new();
    let mut at = value;
    while let Value::Array(list) = at {
        shape.push(i64::try_from(list.len()).unwrap_or(i64::MAX));
        let Some(first) = list.first() else { break };
        at = first;
    }
    let mut data = Vec::new();
    add(slot, value, &shape, &mut data)?;
    let shape = fitting(slot, shape)?;
    Ok(Tensor { name: slot.name.clone(), dtype: slot.dtype, shape, data })
}

/// Adds the elements below a value that is nested as `shape` says.
fn add(slot: &Slot, value: &Value, shape: &[i64], data: &mut Vec<u8>) -> Result<(), String> {
    match (value, shape) {
        (Value::Array(list), [size, rest @ ..]) if i64::try_from(list.len()) == Ok(*size) => {
            list.iter().try_for_each(|value| add(slot, value, rest, data))
        }
        (Value::Array(_), _) | (_, [_, ..]) => {
            Err(format!("has arrays of different lengths in input `{}`", slot.name))
        }
        (value, []) if slot.dtype.width().is_none() => match value {
            Value::String(text) => add_text(text.as_bytes(), data),
            Value::Object(packed) => {
                let bytes = packed.get("b64").and_then(Value::as_str);
                let bytes = bytes.and_then(|text| STANDARD.decode(text).ok());
                add_text(&bytes.ok_or_else(|| no_element(slot, value))?, data)
            }
            _ => Err(no_element(slot, value)),
        },
        (value, []) => slot.dtype.add(value, data).ok_or_else(|| no_element(slot, value)),
    }
}

fn no_element(slot: &Slot, value: &Value) -> String {
    let shown: String = value.to_string().chars().take(40).collect();
    format!("has `{shown}` in input `{}`, which takes {}", slot.name, slot.dtype.name())
}

/// The shape that contents have as an input: sizes of one before them, where it has more axes.
fn fitting(slot: &Slot, shape: Vec<i64>) -> Result<Vec<i64>, String> {
    if slot.shape.is_empty() {
        return Ok(shape);
    }
    let missing = slot.shape.len().saturating_sub(shape.len());
    let whole: Vec<i64> = std::iter::repeat_n(1, missing).chain(shape.iter().copied()).collect();
    let fits = whole.len() == slot.shape.len()
        && slot.shape.iter().zip(&whole).all(|(want, got)| *want < 0 || want == got);
    if fits {
        return Ok(whole);
    }
    Err(format!(
        "has the shape {}, and input `{}` takes {}",
        if shape.is_empty() { "of one element".into() } else { show(&shape) },
        slot.name,
        show(&slot.shape)
    ))
}

/// Several of one input as one, along the first axis, of which each has one row.
pub(super) fn stacked(mut parts: Vec<Tensor>) -> Result<Tensor, String> {
    let rows = i64::try_from(parts.len()).unwrap_or(i64::MAX);
    if parts.len() < 2 {
        return parts.pop().ok_or_else(|| "is missing".into());
    }
    let mut whole = parts.remove(0);
    for part in &parts {
        if part.shape != whole.shape || part.shape.first() != Some(&1) {
            return Err(format!(
                "cannot be in one batch with those before it: input `{}` is {} after {}",
                whole.name,
                show(&part.shape),
                show(&whole.shape)
            ));
        }
        whole.data.extend_from_slice(&part.data);
    }
    whole.shape[0] = rows;
    Ok(whole)
}

/// Any bytes as a record: the first says the input, and whether the rest is JSON or an array.
#[cfg(any(test, fuzzing))]
pub(super) fn fuzz(data: &[u8]) {
    const TYPES: [&str; 8] = ["FP32", "FP16", "BF16", "INT8", "INT64", "UINT16", "BOOL", "BYTES"];
    let [how, rest @ ..] = data else { return };
    let Some(dtype) = super::tensor::Dtype::find(TYPES[usize::from(how % 8)]) else { return };
    let shape = if how & 16 == 0 { vec![-1, 2] } else { Vec::new() };
    let slot = Slot { name: "x".into(), dtype, shape };
    let made = if how & 8 == 0 {
        serde_json::from_slice(rest).map_err(|e| e.to_string()).and_then(|v| json(&slot, &v))
    } else {
        let (name, bytes) = ("line 1".into(), bytes::Bytes::copy_from_slice(rest));
        whole(&slot, &Record { name, kind: Kind::Npy, bytes })
    };
    let Ok(tensor) = made else { return };
    let count = super::tensor::elements(&tensor.shape);
    let held = dtype.width().map(|width| tensor.data.len() / width);
    assert!(held.is_none() || held == count, "{tensor:?}");
    if let Some(json) = tensor.json() {
        assert_eq!(Some(json.len()), count);
    }
    let _ = stacked(vec![tensor.clone(), tensor]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::tensor::Dtype;
    use serde_json::json;

    fn slot(dtype: &str, shape: &[i64]) -> Slot {
        Slot { name: "x".into(), dtype: Dtype::find(dtype).unwrap(), shape: shape.to_vec() }
    }

    #[test]
    fn nested_arrays_become_tensors_and_nothing_is_guessed() {
        let made = |dtype, shape: &[i64], value| {
            json(&slot(dtype, shape), &value).map(|t| (t.shape, t.data))
        };
        assert_eq!(
            made("INT16", &[-1, 2], json!([[1, -1]])),
            Ok((vec![1, 2], vec![1, 0, 255, 255]))
        );
        assert_eq!(made("UINT8", &[-1, 3], json!([1, 2, 3])), Ok((vec![1, 3], vec![1, 2, 3])));
        assert_eq!(made("FP16", &[1], json!(1.0)), Ok((vec![1], vec![0, 0x3c])));
        assert_eq!(made("BOOL", &[], json!([true, false])), Ok((vec![2], vec![1, 0])));
        assert_eq!(
            made("BYTES", &[-1, 1], json!("hé")),
            Ok((vec![1, 1], b"\x03\0\0\0h\xc3\xa9".to_vec()))
        );
        assert_eq!(
            made("BYTES", &[1], json!({"b64": "/w=="})),
            Ok((vec![1], vec![1, 0, 0, 0, 255]))
        );
        for (dtype, shape, value) in [
            ("INT8", &[-1, 1][..], json!([[300]])),
            ("UINT8", &[-1, 1], json!([[-1]])),
            ("INT64", &[-1, 1], json!([[1.5]])),
            ("FP32", &[-1, 2], json!([["1", "2"]])),
            ("FP32", &[-1, 2], json!([[1, 2, 3]])),
            ("FP32", &[-1, 2], json!([[1, 2], [3]])),
            ("FP32", &[-1, 2], json!([[1, [2]]])),
            ("FP32", &[-1, 2], json!(null)),
            ("FP32", &[-1, 1], json!([[1e300]])),
            ("BOOL", &[-1], json!([1])),
            ("BYTES", &[-1], json!([1])),
            ("BYTES", &[-1], json!([{"b64": "?"}])),
        ] {
            assert!(made(dtype, shape, value.clone()).is_err(), "{dtype} {value}");
        }
    }

    #[test]
    fn rows_are_stacked_where_they_fit() {
        let part = |value| json(&slot("UINT8", &[-1, -1]), &value).unwrap();
        let whole = stacked(vec![part(json!([[1, 2]])), part(json!([[3, 4]]))]).unwrap();
        assert_eq!((whole.shape, whole.data), (vec![2, 2], vec![1, 2, 3, 4]));
        assert!(stacked(vec![part(json!([[1, 2]])), part(json!([[3]]))]).is_err());
        assert!(stacked(vec![part(json!([[1], [2]])), part(json!([[3], [4]]))]).is_err());
    }
}
