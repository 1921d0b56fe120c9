//! What a stored tensor is at the port where an operator reads it: learned numbers, the scales of
//! quantised ones, or a constant of the computation.
//!
//! A row says it with a letter for each input port in `weights`; the last letter also holds for all
//! ports after it. A row without letters has the default of its class.

use super::{Class, Op};
use crate::dim::Dim;
use crate::ir::{Attrs, Node, TensorInfo};

/// What a stored tensor is at an input port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// `-` an operand of arithmetic: learned where it is a floating-point tensor.
    Operand,
    /// `w` learned, in whatever type it is stored.
    Learned,
    /// `p` learned, several numbers to a stored element; the row's `packed` says how many in all.
    Packed,
    /// `s` scale or zero point of quantised numbers.
    Scale,
    /// `c` sizes, indices, bounds, masks, initial states.
    Constant,
    /// `t` running statistics: a parameter for frameworks that count them so, else a constant.
    Statistics,
    /// `>` passed on to the outputs: what it is, is decided where these are read.
    Passed,
    /// `d` quantised numbers: learned, unless the outputs are read as a constant.
    Quantized,
    /// `q` an operand of arithmetic on quantised numbers: learned unless it is a single number.
    QuantizedOperand,
    /// `f` goes through a function that no constant needs to: a single number is learned, too.
    Curved,
    /// `l` logits or attention scores.
    Scores,
    /// `m` added to attention scores: learned only where the heads have one each.
    Bias,
    /// `o` one of several to choose from: passed on, but a single number is a constant.
    Chosen,
    /// `y` an angle of which the sine is taken.
    Sine,
    /// `x` an angle of which the cosine is taken.
    Cosine,
}

impl Port {
    fn of(letter: u8) -> Self {
        match letter {
            b'w' => Self::Learned,
            b'p' => Self::Packed,
            b's' => Self::Scale,
            b'c' => Self::Constant,
            b't' => Self::Statistics,
            b'>' => Self::Passed,
            b'd' => Self::Quantized,
            b'q' => Self::QuantizedOperand,
            b'f' => Self::Curved,
            b'l' => Self::Scores,
            b'm' => Self::Bias,
            b'o' => Self::Chosen,
            b'y' => Self::Sine,
            b'x' => Self::Cosine,
            _ => Self::Operand,
        }
    }
}

/// How many learned numbers the packed tensor at a port holds in all; `None` where the node does not say.
pub type Packed = fn(&Node, &[Option<&TensorInfo>], usize) -> Option<Dim>;

/// Learned numbers that attributes hold, and the bytes of all that is stored with them.
pub type Held = fn(&Attrs) -> (usize, usize);

impl Op {
    /// What a stored tensor is at input `port`.
    pub fn port(&self, port: usize) -> Port {
        let letters = match (self.weights, self.class) {
            ("", Class::View | Class::Movement) => ">c",
            ("", Class::Control | Class::Random) => "c",
            ("", _) => "-",
            (own, _) => own,
        };
        let letters = letters.as_bytes();
        letters.get(port).or(letters.last()).map_or(Port::Operand, |letter| Port::of(*letter))
    }

    /// How many learned numbers the packed tensor at `port` of `node` holds.
    pub fn unpacked(
        &self,
        node: &Node,
        inputs: &[Option<&TensorInfo>],
        port: usize,
    ) -> Option<Dim> {
        self.packed.and_then(|packed| packed(node, inputs, port))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn letters_are_known_and_packed_ports_have_a_count() {
        for op in super::super::all() {
            let known = op.weights.bytes().all(|letter| b"-wpsct>dqflmoyx".contains(&letter));
            assert!(known, "{}: {}", op.name, op.weights);
            assert_eq!(op.weights.contains('p'), op.packed.is_some(), "{}", op.name);
            let ports = op.weights.len();
            assert!(ports <= op.inputs.1, "{} takes {} inputs", op.name, op.inputs.1);
        }
    }
}
