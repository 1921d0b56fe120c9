//! Attention as one kernel: a product of two activations, work over the rows of what it makes, and
//! another product.

use super::{Fuser, Kind, Rule};
use crate::ir::NodeId;
use crate::ops::{Class, Part};

impl Fuser<'_> {
    /// Unites product, softmax and product where nothing between them is used elsewhere.
    pub(super) fn attention(&mut self) {
        let all = 0..self.drafts.len();
        let reader: Vec<Option<usize>> = all.clone().map(|g| self.only_reader(g)).collect();
        let product: Vec<bool> = all.clone().map(|g| self.is_product(g)).collect();
        let mut found = Vec::new();
        let mut scores: Vec<Option<usize>> = vec![None; all.len()];
        for group in all.clone().filter(|g| product[*g]) {
            if let Some(rows) = reader[group] {
                scores[rows].get_or_insert(group);
            }
        }
        for rows in all {
            let draft = &self.drafts[rows];
            let mixed = reader[rows].filter(|g| product[*g]);
            if draft.kind == Kind::Chain && draft.rows {
                found.extend(scores[rows].zip(mixed).map(|(scores, mixed)| [scores, rows, mixed]));
            }
        }
        let mut taken = vec![false; self.drafts.len()];
        for groups in found {
            if !groups.iter().any(|g| taken[*g]) {
                for group in &groups {
                    taken[*group] = true;
                }
                self.unite(groups, Rule::Attention);
            }
        }
    }

    /// Whether a group begins with one product, of two tensors that the run computes.
    fn is_product(&self, group: usize) -> bool {
        let draft = &self.drafts[group];
        if draft.kind != Kind::Anchored {
            return false;
        }
        let anchor = |id: &&NodeId| self.parts[id.index()] == Part::Anchor;
        let mut anchors = draft.nodes.iter().filter(anchor);
        let (Some(product), None) = (anchors.next(), anchors.next()) else { return false };
        let mut factors = self.graph.node(*product).inputs.iter().take(2).flatten();
        self.nodes[product.index()].class == Class::MatrixProduct
            && factors.all(|v| !self.rest[v.index()])
    }

    /// The one other group that reads what a group makes, where there is one and no result among it.
    fn only_reader(&self, group: usize) -> Option<usize> {
        let outputs = self.drafts[group].nodes.iter().flat_map(|id| &self.graph.node(*id).outputs);
        let mut found = None;
        for value in outputs.flatten() {
            if self.results[value.index()] {
                return None;
            }
            for user in self.users.of(value.index()) {
                let reader = self.group(*user)?;
                if reader != group && found.replace(reader).is_some_and(|before| before != reader) {
                    return None;
                }
            }
        }
        found
    }
}
