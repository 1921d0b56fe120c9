//! What an operator is in a pattern of several nodes, for rules that look beyond one node.

use super::{Op, find};
use crate::ir::Node;

/// What an operator is in a pattern of several nodes. Rules ask for the role and never for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nothing that a rule asks for.
    None,
    /// Gives what it reads.
    Identity,
    /// Adds its two inputs.
    Sum,
    /// Subtracts its second input from its first.
    Difference,
    /// Multiplies its two inputs element by element.
    Product,
    /// Gives what it reads with the other sign.
    Negation,
    /// Gives what it reads in the type of its attribute `to`.
    Conversion,
    /// Takes some bits out of whole numbers.
    Bits,
    /// Gives sizes of what it reads, whatever is in it.
    Sizes,
    /// Gives the real numbers that quantised ones stand for.
    Dequantization,
    /// Divides its first input by its second.
    Quotient,
    /// Raises its first input to the power of its second.
    Power,
    /// Gives square roots of what it reads.
    Root,
    /// Gives means along axes.
    Mean,
    /// Gives the error function of what it reads.
    Erf,
    /// Gives hyperbolic tangents of what it reads.
    Tanh,
    /// Gives the logistic function of what it reads.
    Sigmoid,
    /// Gives the logistic function of what it reads, in straight pieces.
    HardSigmoid,
    /// Keeps what it reads within bounds, or scales what is beyond them: costs next to nothing on the way out of a product.
    Clamp,
    /// Gives shares that add up to one along its attribute `axis`, the last where it is absent.
    Softmax,
}

impl Role {
    /// The role of a node; none where its operator has no row.
    pub fn of(node: &Node) -> Self {
        find(&node.domain, &node.op_type).map_or(Self::None, |op| op.role)
    }
}

impl Op {
    pub(super) const fn role(self, role: Role) -> Self {
        Self { role, ..self }
    }
}
