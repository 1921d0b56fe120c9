//! The table of operators as data.

use crate::ops::{Class, Op};
use serde::Serialize;

/// An operator that is understood.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OperatorReport {
    /// What kind of work it is.
    pub class: Class,
    /// Its operator set, `ai.onnx` for ONNX's own.
    pub domain: &'static str,
    /// What a node costs.
    pub formula: &'static str,
    /// How many inputs it takes.
    pub inputs: InputCount,
    /// Its name.
    pub name: &'static str,
    /// The versions of its operator set that changed it, ascending; empty where the set has none.
    pub versions: Vec<u8>,
}

/// How many inputs an operator takes.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InputCount {
    /// The fewest.
    pub least: usize,
    /// The most; null where there is no limit.
    pub most: Option<usize>,
}

impl OperatorReport {
    /// A row of the table.
    pub fn new(op: &Op) -> Self {
        Self {
            class: op.class,
            domain: op.operator_set(),
            formula: op.formula,
            inputs: InputCount {
                least: op.inputs.0,
                most: (op.inputs.1 != usize::MAX).then_some(op.inputs.1),
            },
            name: op.name,
            versions: op.versions().to_vec(),
        }
    }
}
