//! A model as if it were cast: weights and activations in other types.

use crate::dim::Dim;
use crate::ir::{Attr, DType, Graph, Model, TensorInfo};
use crate::ops::Role;
use std::fmt;
use std::str::FromStr;

/// Types to count in, in place of the model's floating-point ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Precision {
    /// Of stored weights; scales of quantised ones are not counted.
    pub weights: DType,
    /// Of everything else.
    pub activations: DType,
    /// Whether products of f32 are worked out in tf32, which is stored as f32.
    pub tf32: bool,
}

/// A type as device files name it, how its numbers are stored, and what else people call it.
#[allow(clippy::struct_field_names)]
struct Name {
    name: &'static str,
    /// None where a file of a model has no such type.
    stored: Option<DType>,
    others: &'static [&'static str],
}

const fn name(name: &'static str, stored: Option<DType>, others: &'static [&'static str]) -> Name {
    Name { name, stored, others }
}

const NAMES: &[Name] = &[
    name("bf16", Some(DType::BF16), &["bfloat16"]),
    name("f16", Some(DType::F16), &["fp16", "half", "float16"]),
    name("f32", Some(DType::F32), &["fp32", "float", "float32", "single"]),
    name("f4", Some(DType::F4E2M1), &["fp4", "float4", "f4e2m1"]),
    name("f6", None, &["fp6", "float6"]),
    name("f64", Some(DType::F64), &["fp64", "double", "float64"]),
    name("f8", Some(DType::F8E4M3FN), &["fp8", "float8", "f8e4m3fn", "f8e5m2"]),
    name("i2", Some(DType::I2), &["int2"]),
    name("i4", Some(DType::I4), &["int4", "u4", "uint4"]),
    name("i8", Some(DType::I8), &["int8", "u8", "uint8"]),
    name(TF32, None, &["tensorfloat32", "tensorfloat-32"]),
];

/// Products of f32 with fewer bits, which is no type of its own in a file.
const TF32: &str = "tf32";

/// The types of weights and activations apart, by their bits.
const BITS: &[(&str, DType)] =
    &[("32", DType::F32), ("16", DType::F16), ("8", DType::I8), ("4", DType::I4), ("2", DType::I2)];

/// The row of the type that `text` names.
fn named(text: &str) -> Option<&'static Name> {
    let text = text.trim().to_lowercase();
    NAMES.iter().find(|known| known.name == text || known.others.contains(&&*text))
}

/// The type that `text` names, as device files have it, whatever it is called: `fp16` and `half` are `f16`.
pub fn type_name(text: &str) -> Option<&'static str> {
    named(text).map(|known| known.name)
}

/// A text that names no precision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a type such as f16, bf16, tf32, int8 or w4a16")]
pub struct PrecisionError(String);

impl FromStr for Precision {
    type Err = PrecisionError;

    /// One type for both, or weights and activations apart by their bits: `w4a16`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.trim().to_lowercase();
        let bits = |name: &str| match BITS.iter().find(|(bits, _)| *bits == name) {
            Some((_, dtype)) => Some(*dtype),
            None => named(name)?.stored,
        };
        if type_name(&lower) == Some(TF32) {
            return Ok(Self { weights: DType::F32, activations: DType::F32, tf32: true });
        }
        let number = |n: &str| n.bytes().all(|b| b.is_ascii_digit());
        let both = || bits(&lower).filter(|_| !number(&lower)).map(|t| (t, t));
        let apart = || {
            let (w, a) = lower.strip_prefix('w')?.split_once('a')?;
            Some((bits(w)?, bits(a)?))
        };
        let (weights, activations) =
            both().or_else(apart).ok_or_else(|| PrecisionError(text.to_owned()))?;
        Ok(Self { weights, activations, tf32: false })
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.tf32 {
            return f.write_str(TF32);
        }
        if self.weights == self.activations {
            return f.write_str(self.weights.name());
        }
        write!(f, "{} weights, {} activations", self.weights, self.activations)
    }
}

/// `model` with its floating-point types replaced.
pub fn recast(model: &Model, precision: Precision) -> Model {
    let mut model = model.clone();
    recast_graph(&mut model.graph, precision);
    model
}

fn recast_graph(graph: &mut Graph, precision: Precision) {
    let float = |info: &TensorInfo| info.dtype.is_some_and(DType::is_float);
    for value in &mut graph.values {
        if !float(&value.info) {
            continue;
        }
        value.info.dtype = Some(precision.activations);
        if let Some(weight) = &mut value.weight {
            weight.dtype = Some(precision.weights);
            weight.bytes = match &weight.sparse {
                Some(sparse) => {
                    precision.weights.bytes(&sparse.elements) + sparse.index_bytes.clone()
                }
                None => value.info.elements().map_or(Dim::ZERO, |n| precision.weights.bytes(&n)),
            };
        }
    }
    for node in &mut graph.nodes {
        if Role::of(node) == Role::Conversion
            && let Ok(Some(to)) = node.attrs.int("to")
        {
            let named = i32::try_from(to).ok().and_then(DType::from_onnx);
            if named.is_some_and(DType::is_float) {
                node.attrs.set("to", Attr::Int(precision.activations.onnx().into()));
            }
        }
        for (_, attr) in node.attrs.iter_mut() {
            match attr {
                Attr::Tensor(info) if float(info) => info.dtype = Some(precision.activations),
                Attr::Graph(body) => recast_graph(body, precision),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let parse = |text: &str| text.parse::<Precision>();
        let both = |t| Ok(Precision { weights: t, activations: t, tf32: false });
        assert_eq!(parse("fp16"), both(DType::F16));
        assert_eq!((parse("half"), parse("float16")), (both(DType::F16), both(DType::F16)));
        assert_eq!((parse("INT8"), parse("bfloat16")), (both(DType::I8), both(DType::BF16)));
        let tf32 = parse("TF32").unwrap();
        assert_eq!((tf32.weights, tf32.to_string()), (DType::F32, "tf32".to_owned()));
        let apart = Precision { weights: DType::I4, activations: DType::F16, tf32: false };
        assert_eq!(parse("w4a16"), Ok(apart));
        for wrong in ["", "16", "w4", "wa", "w4a", "f15", "w999a16"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
