//! What a group moves: each value from outside once, and what is used outside.

use super::{Draft, Fuser, Group};
use crate::dim::Dim;
use crate::ir::{NodeId, ValueId};
use std::cmp::Ordering::{Equal, Greater, Less};
use std::collections::BTreeMap;

/// What nodes of a group read of one value.
#[derive(Default)]
struct Read {
    most: Dim,
    sum: Dim,
    /// Whether a reader sees the value repeated, and so more than there is.
    spread: bool,
}

impl Fuser<'_> {
    pub(super) fn finish(mut self) -> Vec<Group> {
        // What a kernel adds that runs before the norm which the file adds it in.
        let mut added: BTreeMap<usize, Vec<ValueId>> = BTreeMap::new();
        for (norm, value) in &self.sums {
            let terms = self.graph.node(*norm).inputs.iter().take(2).flatten();
            let kept = terms.filter(|v| *v != value).find_map(|v| self.group(self.source(*v)?));
            if let Some(group) = kept {
                added.entry(group).or_default().push(*value);
            }
        }
        let drafts = std::mem::take(&mut self.drafts);
        let drafts = drafts.into_iter().enumerate().filter(|(_, d)| !d.nodes.is_empty());
        let none = Vec::new();
        drafts
            .map(|(index, draft)| {
                self.group_of_draft(index, draft, added.get(&index).unwrap_or(&none))
            })
            .collect()
    }

    fn group_of_draft(&self, index: usize, mut draft: Draft, added: &[ValueId]) -> Group {
        draft.nodes.sort_unstable_by_key(|id| self.position[id.index()]);
        let inside = |id: NodeId| self.group(id) == Some(index);
        let mut reads: BTreeMap<ValueId, Read> = BTreeMap::new();
        let mut read = |value: ValueId, bytes: &Dim| {
            let root = self.root[value.index()];
            if self.source(root).is_some_and(inside) {
                return;
            }
            let read = reads.entry(root).or_default();
            read.spread |= self.spread[value.index()];
            read.most = if read.most.is_zero() { bytes.clone() } else { read.most.maximum(bytes) };
            read.sum = std::mem::take(&mut read.sum) + bytes.clone();
        };
        for value in added {
            read(*value, &self.size(*value).unwrap_or_default());
        }
        let (mut extra, mut written) = (Dim::ZERO, Dim::ZERO);
        for id in &draft.nodes {
            let report = &self.nodes[id.index()];
            let summed = self.sums.get(id);
            for (value, bytes) in &report.reads {
                if summed != Some(value) {
                    read(*value, bytes);
                }
            }
            for (port, (value, bytes)) in report.writes.iter().enumerate() {
                let outside = || self.users.of(value.index()).iter().any(|u| !inside(*u));
                // The sum that a norm gives beside its result is what the kernel before it wrote.
                let there = summed.is_some() && port > 0;
                if !there && (self.results[value.index()] || outside()) {
                    written = written + bytes.clone();
                }
            }
            // What bodies inside move is theirs.
            let (inner_read, inner_written) = report.inner_bytes();
            extra = extra + inner_read;
            written = written + inner_written;
        }
        let whole = reads.into_iter().map(|(value, read)| self.once(value, read));
        let bytes_read = whole.sum::<Dim>() + extra;
        Group { rule: draft.rule, nodes: draft.nodes, bytes_read, bytes_written: written }
    }

    /// Bytes of a whole value, where known.
    fn size(&self, value: ValueId) -> Option<Dim> {
        match &self.graph.value(value).weight {
            Some(weight) => Some(weight.bytes.clone()),
            None => self.outcome.sizes[value.index()].clone(),
        }
    }

    /// Bytes of a value that several nodes read parts of: the sum of the parts, or all of it where that
    /// is less.
    fn once(&self, value: ValueId, read: Read) -> Dim {
        if read.sum == read.most && !read.spread {
            return read.most;
        }
        let Some(whole) = self.size(value) else { return read.most };
        match read.sum.compare(&whole) {
            Some(Less | Equal) => read.sum,
            Some(Greater) => whole,
            None if read.spread => whole,
            None => read.most,
        }
    }
}
