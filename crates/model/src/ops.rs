//! What each operator does to shapes, and what it costs.
//!
//! An operator is one row of a family's table plus, where its behaviour is its own, one function
//! that returns shapes *and* cost: the cost of a convolution is a product of the very dimensions
//! it has just inferred. Adding an operator is adding a row. This floor sees the graph's types and
//! never a file format, a device or a clock.
//!
//! Conventions (where tools differ, see ARCHITECTURE.md): one multiply–accumulate is one MAC and
//! two FLOPs; comparisons, selections and transcendental functions count one FLOP each and are
//! also given apart; arithmetic on integers is counted in `int_ops` and never in `flops`;
//! convolutions are nominal (taps on zero padding count), as in published tables; moving data is
//! zero FLOPs and its bytes.

mod attention;
mod bodies;
mod boxes;
mod classic;
mod context;
mod contraction;
mod contrib;
mod control;
mod cost;
mod effect;
mod elementwise;
mod fast;
mod folding;
mod framework;
mod inner;
mod kernel;
mod language;
mod movement;
mod normalization;
mod opsets;
mod own;
mod part;
mod pooling;
mod ports;
mod quantization;
mod random;
mod reduction;
mod role;
mod rounds;
mod sampling;
mod selection;
mod sequence;
mod shape;
mod signal;
mod structure;
mod text;
mod training;
mod values;
mod views;

pub use bodies::{Becomes, Bodies};
pub use context::{Equality, OpCx, OpError, RunBody};
pub use cost::{Cost, NodeCost, Status};
pub use effect::Effect;
pub use fast::{Fast, Share};
pub use inner::{Inner, Run};
pub use kernel::{Efficiency, KernelClass};
pub use part::Part;
pub use ports::{Held, Packed, Port};
pub use role::Role;
pub(crate) use rounds::{ROUND, is_round};

use std::sync::OnceLock;

rooflens_ground::words! {
    /// What kind of work an operator is: the colour of its point and the row of its efficiency.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum Class {
        /// Convolutions, transposed ones included.
        Convolution = "convolution",
        /// Matrix products.
        MatrixProduct = "matrix product",
        /// Attention in one node.
        Attention = "attention",
        /// Recurrent layers, such as LSTM and GRU.
        Recurrent = "recurrent",
        /// Functions of each element by itself.
        Elementwise = "element-wise",
        /// Norms and softmax.
        Normalization = "normalization",
        /// Sums, means and extremes along axes.
        Reduction = "reduction",
        /// Pooling over windows, and resizing of images.
        Pooling = "pooling",
        /// Conversions to quantised numbers and back.
        Quantization = "quantization",
        /// Elements copied to other places.
        Movement = "data movement",
        /// The same bytes under another shape: nothing moves.
        View = "view",
        /// Branches, loops and calls.
        Control = "control flow",
        /// Random numbers.
        Random = "random",
        /// An operator that is not understood.
        Unknown = "unknown",
    }
}

/// The behaviour of an operator: shapes and cost from what is known of its inputs.
pub type EffectFn = fn(&OpCx<'_>) -> Result<Effect, OpError>;

/// Which elements of its inputs an operator hands on in its outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// None as they are.
    Nothing,
    /// All of input 0, in another type.
    Cast,
    /// Some of input 0, in another order.
    Moved,
    /// All of every input, side by side.
    Joined,
    /// All of input 0 but for those that the input at this port overwrites.
    Updated(usize),
    /// A cache: input ports, each with the output port that holds it with what was added.
    Cached(&'static [(usize, usize)]),
}

/// One row of the operator table.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    /// Operator set; empty means `ai.onnx`.
    pub domain: &'static str,
    /// Name in its operator set.
    pub name: &'static str,
    /// What kind of work it is.
    pub class: Class,
    /// Least and greatest number of inputs; the second is `usize::MAX` for variadic operators.
    pub inputs: (usize, usize),
    /// What it costs, for people; sizes as in the operator's definition, `|x|` is an element count.
    pub formula: &'static str,
    /// What of its inputs is in its outputs, views aside.
    pub holds: Holds,
    /// Shapes and cost.
    pub effect: EffectFn,
    /// What stored tensors are at its input ports, a letter each, as [`Port`] explains; empty for the
    /// default of its class.
    pub weights: &'static str,
    /// Of packed weights, how many learned numbers there are.
    pub packed: Option<Packed>,
    /// Learned numbers that attributes hold.
    pub held: Option<Held>,
    /// How it runs the bodies that its attributes hold.
    pub bodies: Bodies,
    /// What it is in patterns of several nodes.
    pub role: Role,
    /// The kind of kernel that it is by itself, where its class and its inputs do not decide it.
    pub kernel: Option<KernelClass>,
    /// The part in a kernel of several nodes, where not that of its class.
    own_part: Option<Part>,
}

impl Op {
    const fn new(name: &'static str, class: Class, effect: EffectFn) -> Self {
        Self {
            domain: "",
            name,
            class,
            inputs: (0, usize::MAX),
            formula: "0",
            holds: Holds::Nothing,
            effect,
            weights: "",
            packed: None,
            held: None,
            bodies: Bodies::None,
            role: Role::None,
            kernel: None,
            own_part: None,
        }
    }

    const fn weights(self, weights: &'static str) -> Self {
        Self { weights, ..self }
    }

    const fn packed(self, packed: Packed) -> Self {
        Self { packed: Some(packed), ..self }
    }

    const fn held(self, held: Held) -> Self {
        Self { held: Some(held), ..self }
    }

    const fn runs(self, bodies: Bodies) -> Self {
        Self { bodies, ..self }
    }

    const fn inputs(self, least: usize, most: usize) -> Self {
        Self { inputs: (least, most), ..self }
    }

    /// Its operator set under its full name.
    pub fn operator_set(&self) -> &'static str {
        if self.domain.is_empty() { "ai.onnx" } else { self.domain }
    }

    /// Versions of its operator set in which it was introduced or changed; empty where the set has
    /// none.
    pub fn versions(&self) -> &'static [u8] {
        opsets::versions(self.domain, self.name)
    }

    const fn domain(self, domain: &'static str) -> Self {
        Self { domain, ..self }
    }

    /// The part that it plays in a kernel that runs several nodes.
    pub fn part(&self) -> Part {
        self.own_part.unwrap_or(Part::of(self.class))
    }

    const fn playing(self, part: Part) -> Self {
        Self { own_part: Some(part), ..self }
    }

    const fn holds(self, holds: Holds) -> Self {
        Self { holds, ..self }
    }

    const fn formula(self, formula: &'static str) -> Self {
        Self { formula, ..self }
    }
}

/// The whole set, a family after the other.
pub static FAMILIES: &[&[Op]] = &[
    attention::OPS,
    classic::OPS,
    contraction::OPS,
    contrib::OPS,
    contrib::blocked::OPS,
    control::OPS,
    elementwise::OPS,
    framework::OPS,
    language::OPS,
    movement::OPS,
    normalization::OPS,
    own::OPS,
    own::kept::OPS,
    own::pieces::OPS,
    own::recurrent::OPS,
    views::OPS,
    pooling::OPS,
    quantization::OPS,
    random::OPS,
    reduction::OPS,
    sampling::OPS,
    selection::OPS,
    sequence::OPS,
    signal::OPS,
    structure::OPS,
    text::OPS,
    training::OPS,
];

/// All rows of the operator table.
pub fn all() -> impl Iterator<Item = &'static Op> {
    FAMILIES.iter().flat_map(|family| family.iter())
}

/// The row of an operator; `ai.onnx` is another name of the empty domain.
pub fn find(domain: &str, name: &str) -> Option<&'static Op> {
    static INDEX: OnceLock<hashbrown::HashMap<(&str, &str), &'static Op>> = OnceLock::new();
    let index = INDEX.get_or_init(|| all().map(|op| ((op.domain, op.name), op)).collect());
    let domain = if domain == "ai.onnx" { "" } else { domain };
    index.get(&(domain, name)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_unique_sorted_and_explained() {
        for family in FAMILIES {
            let names: Vec<_> = family.iter().map(|op| (op.domain, op.name)).collect();
            let mut sorted = names.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(names, sorted, "sort the rows by domain and name, each once");
            assert!(family.iter().all(|op| !op.formula.is_empty() && op.inputs.0 <= op.inputs.1));
        }
        let total: usize = FAMILIES.iter().map(|f| f.len()).sum();
        let mut all: Vec<_> = all().map(|op| (op.domain, op.name)).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), total, "an operator has one row in one family");
    }
}
