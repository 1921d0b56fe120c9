//! A model as if it were cast: weights and activations in other types.

use crate::dim::Dim;
use crate::ir::{Attr, DType, Graph, Model, TensorInfo};
use std::fmt;
use std::str::FromStr;

/// Types to count in, in place of the model's floating-point ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Precision {
    /// Of stored weights; scales of quantised ones are not counted.
    pub weights: DType,
    /// Of everything else.
    pub activations: DType,
}

/// A text that names no precision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a type such as f16, bf16, int8 or w4a16")]
pub struct PrecisionError(String);

impl FromStr for Precision {
    type Err = PrecisionError;

    /// One type for both, or weights and activations apart by their bits: `w4a16`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.to_lowercase();
        let named = |name: &str| match name {
            "f32" | "fp32" | "32" => Some(DType::F32),
            "f16" | "fp16" | "16" => Some(DType::F16),
            "bf16" => Some(DType::BF16),
            "f8" | "fp8" => Some(DType::F8E4M3FN),
            "i8" | "int8" | "8" => Some(DType::I8),
            "i4" | "int4" | "4" => Some(DType::I4),
            "i2" | "int2" | "2" => Some(DType::I2),
            _ => None,
        };
        let number = |n: &str| n.bytes().all(|b| b.is_ascii_digit());
        let both = || Some(named(&lower).filter(|_| !number(&lower))?).map(|t| (t, t));
        let apart = || {
            let (w, a) = lower.strip_prefix('w')?.split_once('a')?;
            Some((named(w)?, named(a)?))
        };
        let (weights, activations) =
            both().or_else(apart).ok_or_else(|| PrecisionError(text.to_owned()))?;
        Ok(Self { weights, activations })
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        let casts = matches!(&*node.op_type, "Cast");
        for (name, attr) in &mut node.attrs.0 {
            match attr {
                Attr::Tensor(info) if float(info) => info.dtype = Some(precision.activations),
                Attr::Graph(body) => recast_graph(body, precision),
                Attr::Int(to) if casts && name == "to" => {
                    let named = i32::try_from(*to).ok().and_then(DType::from_onnx);
                    if named.is_some_and(DType::is_float) {
                        *to = precision.activations.onnx().into();
                    }
                }
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
        let both = |t| Ok(Precision { weights: t, activations: t });
        assert_eq!(parse("fp16"), both(DType::F16));
        assert_eq!(parse("INT8"), both(DType::I8));
        let apart = Precision { weights: DType::I4, activations: DType::F16 };
        assert_eq!(parse("w4a16"), Ok(apart));
        for wrong in ["", "16", "w4", "wa", "w4a", "f15", "w999a16"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
