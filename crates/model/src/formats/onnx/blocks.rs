//! Channels in blocks, as onnxruntime's optimiser saves them: convolutions are stored with their channels
//! padded to whole blocks, and only where a tensor leaves the layout does the file say how many there are.
//!
//! That number is carried back here, as the attribute `channels`, to the convolutions that made the tensor.

use crate::ir::{Attr, Diagnostic, Graph, Node, Severity, ValueId};
use std::collections::HashSet;

const DOMAIN: &str = "com.microsoft.nchwc";

fn blocked(node: &Node, op: &str) -> bool {
    &*node.domain == DOMAIN && &*node.op_type == op
}

/// Whether a convolution has one filter to each channel, so that it keeps their number.
fn keeps_channels(graph: &Graph, node: &Node) -> bool {
    let weight = node.inputs.get(1).copied().flatten().map(|v| &graph.value(v).info);
    let per_group = weight.and_then(|w| w.shape.as_ref()?.get(1)?.as_const());
    per_group == Some(1) && node.attrs.int_or("group", 1).is_ok_and(|group| group > 1)
}

/// Carries known numbers of channels back through `graph`, and says where there are none.
pub(super) fn mark(graph: &mut Graph) -> Option<Diagnostic> {
    let mut known: Vec<(ValueId, i64)> = Vec::new();
    for node in graph.nodes.iter().filter(|n| blocked(n, "ReorderOutput")) {
        let channels = node.attrs.int("channels").ok().flatten();
        known.extend(node.inputs.first().copied().flatten().zip(channels));
    }
    let mut seen = HashSet::new();
    while let Some((value, channels)) = known.pop() {
        let Some(id) = graph.value(value).producer.filter(|_| seen.insert(value)) else { continue };
        let node = graph.node(id);
        let convolution = blocked(node, "Conv");
        let same: Vec<ValueId> = if convolution {
            // What is added to the result has its channels too.
            let first = keeps_channels(graph, node).then(|| node.inputs.first()).flatten();
            first.into_iter().chain(node.inputs.get(3)).flatten().copied().collect()
        } else if blocked(node, "ReorderInput") || &*node.op_type == "Concat" {
            Vec::new()
        } else {
            node.inputs.iter().flatten().copied().collect()
        };
        known.extend(same.into_iter().map(|v| (v, channels)));
        if convolution {
            graph.nodes[id.index()].attrs.set("channels", Attr::Int(channels));
        }
    }
    let open =
        |n: &&Node| blocked(n, "Conv") && !n.attrs.has("channels") && !keeps_channels(graph, n);
    let count = graph.nodes.iter().filter(open).count();
    (count > 0).then(|| Diagnostic {
        severity: Severity::Assumption,
        place: DOMAIN.into(),
        message: format!(
            "{count} convolutions may have been padded to whole blocks of channels; they count as stored"
        ),
        hint: Some("the model before onnxruntime optimised it has the numbers without padding".into()),
    })
}
