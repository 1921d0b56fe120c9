//! A model as data: values, nodes and the links between them, in ONNX's vocabulary.
//!
//! Every reader produces these types and nothing later changes them; what analysis learns lies
//! beside the graph, indexed by [`NodeId`] and [`ValueId`]. This module knows no file format, does
//! no I/O, and has no idea what an operator costs.

mod account;
mod attr;
mod diagnostic;
mod graph;
mod order;
mod tensor;

pub use account::{Tally, TensorAccount};
pub use attr::AttrError;
pub use diagnostic::{Diagnostic, Severity};
pub use graph::{
    Attr, Attrs, Graph, GraphError, Model, Node, NodeId, OWN_DOMAIN, Sparse, Value, ValueId, Weight,
};
pub use order::Order;
pub use tensor::{DType, Elem, MAX_RANK, MAX_TRACKED, Sequence, Shape, SmallValue, TensorInfo};
