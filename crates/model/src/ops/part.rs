//! The part that an operator plays in a kernel that runs several nodes.

use super::Class;

/// What a node does with its inputs, as far as it matters for running it together with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Begins a kernel that takes an epilogue: products, convolutions, recurrences, attention.
    Anchor,
    /// Each element follows from elements at known places of the inputs: arithmetic element by element,
    /// and whatever only moves elements.
    Map,
    /// As a map, from places that an index or a rule names: begins a kernel and joins none.
    Source,
    /// A map that an anchor does on its way in: unpacks numbers.
    Unpack,
    /// A map that an anchor does on its way in: reads axes in another order, or zeros around.
    Arrange,
    /// Repeats what it reads. Its readers read the small tensor.
    Spread,
    /// Over rows: a norm, a softmax, a reduction.
    Row,
    /// Adds its first two inputs, then works over rows.
    SumRow,
    /// A kernel of its own.
    Alone,
}

impl Part {
    /// The part of an operator whose row names none.
    pub(super) const fn of(class: Class) -> Self {
        match class {
            Class::Convolution | Class::MatrixProduct | Class::Recurrent | Class::Attention => {
                Self::Anchor
            }
            Class::Elementwise | Class::Quantization => Self::Map,
            Class::Normalization | Class::Reduction => Self::Row,
            _ => Self::Alone,
        }
    }
}
