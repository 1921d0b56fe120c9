//! How the bodies of an operator hang together with it: which inputs and outputs of a body are whose of the node.

use super::find;
use crate::ir::{Graph, Node, ValueId};

/// How an operator runs the bodies that its attributes hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bodies {
    /// It has none.
    None,
    /// One of several, once. Branches read the values around them; their outputs are those of the node.
    Branches,
    /// One, round by round. Its inputs are the number of the round, a condition and what is carried, which are the
    /// node's inputs from port 2 on; its outputs a condition, what is carried, and a part of each further output.
    Rounds,
    /// One for each slice of the last inputs, of which the attribute `num_scan_inputs` is the number; the inputs
    /// before are carried. Up to version 8, lengths come before them.
    Slices,
    /// One for each element of its inputs.
    Elements,
}

/// Where an output of a body goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Becomes {
    /// To the output of this number, as the last run leaves it.
    Output(usize),
    /// To a part of the output of this number.
    Part(usize),
    /// Nowhere.
    Nothing,
}

/// How many inputs at the end of a node, and of its body, are sliced.
fn sliced(node: &Node) -> usize {
    let given = node.attrs.int_or("num_scan_inputs", 0).unwrap_or(0);
    usize::try_from(given).unwrap_or(0)
}

/// How many inputs of a node with slices come before those of its body.
fn lengths(node: &Node) -> usize {
    usize::from(node.opset < 9)
}

impl Bodies {
    /// How a node runs its bodies; not at all where its operator has no row.
    pub fn of(node: &Node) -> Self {
        find(&node.domain, &node.op_type).map_or(Self::None, |op| op.bodies)
    }

    /// The inputs of a body that lie in the memory of an input of its node.
    pub fn views(self, node: &Node, body: &Graph) -> Vec<ValueId> {
        let sliced = if self == Self::Slices { sliced(node) } else { 0 };
        let first = body.inputs.len().saturating_sub(sliced);
        body.inputs[first..].to_vec()
    }

    /// Which input port of the node an input of its body comes from, and whether each run gets a part of it of
    /// its own.
    pub fn port_of_input(self, node: &Node, body: &Graph, input: usize) -> Option<(usize, bool)> {
        match self {
            Self::Rounds => (input >= 2).then_some((input, false)),
            Self::Slices => {
                let parts = body.inputs.len().saturating_sub(sliced(node));
                Some((input + lengths(node), input >= parts))
            }
            Self::Elements => Some((input, true)),
            Self::Branches | Self::None => None,
        }
    }

    /// How many outputs of a node are what the last run of its body leaves; the others are made part by part.
    pub fn states(self, node: &Node) -> usize {
        let inputs = node.inputs.len();
        match self {
            Self::Branches => usize::MAX,
            Self::Rounds => inputs.saturating_sub(2),
            Self::Slices => inputs.saturating_sub(sliced(node) + lengths(node)),
            Self::Elements | Self::None => 0,
        }
    }

    /// Where an output of the body of a node goes.
    pub fn becomes(self, node: &Node, output: usize) -> Becomes {
        let port = match self {
            Self::Branches | Self::Slices | Self::Elements => Some(output),
            Self::Rounds => output.checked_sub(1),
            Self::None => None,
        };
        match port {
            Some(port) if port < self.states(node) => Becomes::Output(port),
            Some(port) => Becomes::Part(port),
            None => Becomes::Nothing,
        }
    }

    /// How many inputs of a node come before those that its body is given in their order.
    pub fn ahead(self, node: &Node) -> usize {
        if self == Self::Slices { lengths(node) } else { 0 }
    }

    /// The output of a body that is carried into its next run in the place of an input; none where nothing is.
    pub fn next(self, node: &Node, body: &Graph, input: usize) -> Option<ValueId> {
        let output = match self {
            Self::Rounds => input.checked_sub(1).filter(|_| input >= 2),
            Self::Slices => Some(input).filter(|i| i + sliced(node) < body.inputs.len()),
            Self::Branches | Self::Elements | Self::None => None,
        };
        output.and_then(|output| body.outputs.get(output).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::Attr;

    fn node(op: &str, opset: i64, inputs: u32) -> Node {
        let mut node = Node {
            name: "n".into(),
            op_type: op.into(),
            domain: "".into(),
            opset,
            inputs: (0..inputs).map(|i| Some(ValueId(i))).collect(),
            outputs: Vec::new(),
            attrs: crate::ir::Attrs::default(),
        };
        node.attrs.set("num_scan_inputs", Attr::Int(1));
        node
    }

    fn body(inputs: u32, outputs: u32) -> Graph {
        let mut graph = Graph::default();
        graph.inputs = (0..inputs).map(ValueId).collect();
        graph.outputs = (inputs..inputs + outputs).map(ValueId).collect();
        graph
    }

    #[test]
    fn a_loop_carries_what_it_reads_from_port_two_on() {
        let (node, body) = (node("Loop", 21, 3), body(3, 3));
        let bodies = Bodies::of(&node);
        let ports: Vec<_> = (0..3).map(|i| bodies.port_of_input(&node, &body, i)).collect();
        assert_eq!(ports, [None, None, Some((2, false))]);
        let ends: Vec<_> = (0..3).map(|i| bodies.becomes(&node, i)).collect();
        assert_eq!(ends, [Becomes::Nothing, Becomes::Output(0), Becomes::Part(1)]);
        assert_eq!(bodies.next(&node, &body, 2), Some(ValueId(4)));
        assert_eq!((bodies.next(&node, &body, 0), bodies.views(&node, &body)), (None, Vec::new()));
    }

    #[test]
    fn a_scan_slices_its_last_inputs_behind_the_lengths_of_early_versions() {
        for (opset, inputs, state) in [(9, 2, 0), (8, 3, 1)] {
            let (node, body) = (node("Scan", opset, inputs), body(2, 2));
            let bodies = Bodies::of(&node);
            assert_eq!(bodies.port_of_input(&node, &body, 0), Some((state, false)));
            assert_eq!(bodies.port_of_input(&node, &body, 1), Some((state + 1, true)));
            assert_eq!(bodies.views(&node, &body), [ValueId(1)]);
            assert_eq!(bodies.becomes(&node, 0), Becomes::Output(0));
            assert_eq!(bodies.becomes(&node, 1), Becomes::Part(1));
            assert_eq!(bodies.ahead(&node), state);
            assert_eq!(bodies.next(&node, &body, 0), Some(ValueId(2)));
            assert_eq!(bodies.next(&node, &body, 1), None);
        }
    }

    #[test]
    fn all_that_a_branch_gives_is_the_nodes_and_operators_without_bodies_give_nothing() {
        let (choice, body) = (node("If", 21, 1), body(0, 2));
        assert_eq!(Bodies::of(&choice).becomes(&choice, 1), Becomes::Output(1));
        assert_eq!(Bodies::of(&choice).port_of_input(&choice, &body, 0), None);
        let relu = node("Relu", 21, 1);
        assert_eq!(Bodies::of(&relu).becomes(&relu, 0), Becomes::Nothing);
    }
}
