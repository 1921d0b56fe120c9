//! The walk that puts each node into a group.

use super::{Draft, Fuser, Kind, Rule};
use crate::ir::{NodeId, ValueId};
use crate::ops::{Class, Part};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Where the inputs of a node come from, as far as a run computes them.
struct Sources {
    /// Groups, each once, with how many values the node reads of each.
    groups: Vec<(usize, usize)>,
    /// The last position that an input waits for, and the group that it is of.
    last: Option<(usize, Option<usize>)>,
    /// The last position of an input that is not of that group.
    other: Option<usize>,
}

impl Sources {
    /// The last position that is waited for outside of `group`.
    fn outside(&self, group: usize) -> Option<usize> {
        match self.last {
            Some((at, of)) if of != Some(group) => Some(at),
            _ => self.other,
        }
    }

    /// How many values of `group` are read.
    fn count(&self, group: usize) -> usize {
        self.groups.iter().find(|(g, _)| *g == group).map_or(0, |(_, n)| *n)
    }
}

impl Fuser<'_> {
    fn sources(&self, id: NodeId) -> Sources {
        let mut values: Vec<ValueId> =
            self.graph.node(id).inputs.iter().flatten().copied().collect();
        values.sort_unstable_by_key(|v| self.root[v.index()]);
        let mut found = Sources { groups: Vec::new(), last: None, other: None };
        let mut before = None;
        for value in values {
            let root = self.root[value.index()];
            let Some(source) = self.source(value) else { continue };
            let group = self.group(source);
            let late = self.late.get(&value).copied();
            let at = late.unwrap_or(self.position[source.index()]);
            let of = group.filter(|_| late.is_none());
            match found.last {
                Some((last, whose)) if at <= last => {
                    if of.is_none() || of != whose {
                        found.other = found.other.max(Some(at));
                    }
                }
                last => {
                    let kept = last.filter(|(_, whose)| whose.is_none() || *whose != of);
                    found.other = found.other.max(kept.map(|(at, _)| at));
                    found.last = Some((at, of));
                }
            }
            if before.replace(root) != Some(root) {
                found.groups.extend(group.map(|g| (g, 1)));
            }
        }
        found.groups.sort_unstable();
        found.groups.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            kept.1 += if same { next.1 } else { 0 };
            same
        });
        found
    }

    /// Whether nothing outside of `group` lies between it and a node that reads these.
    fn convex(&mut self, group: usize, sources: &Sources) -> bool {
        let Some(waits) = sources.outside(group) else { return true };
        // Readers that have joined are no way out.
        while let Some(Reverse(at)) = self.drafts[group].readers.peek() {
            let reader = self.outcome.order[*at];
            if self.group(reader) != Some(group) {
                return waits < *at;
            }
            self.drafts[group].readers.pop();
        }
        true
    }

    /// Whether all that the group makes is read by the group and by a node that reads these alone.
    fn closed(&self, group: usize, sources: &Sources) -> bool {
        self.drafts[group].outside == sources.count(group)
    }

    /// Puts a node into the group of what it reads, where a rule allows it, or into a new one.
    pub(super) fn place(&mut self, id: NodeId) {
        let part = self.parts[id.index()];
        let sources = self.sources(id);
        let mut fitting: Vec<usize> = Vec::new();
        for (group, _) in &sources.groups {
            let draft = &self.drafts[*group];
            let takes = match part {
                Part::Map => draft.kind != Kind::Alone,
                // A bare product is a call of a library, which writes its result as it is.
                Part::Arrange => draft.kind == Kind::Chain || draft.mapped,
                Part::Row | Part::SumRow => draft.kind == Kind::Chain,
                Part::Anchor => {
                    let arranges = !draft.arranged || self.own_kernel(id);
                    draft.light && arranges && self.closed(*group, &sources)
                }
                Part::Source | Part::Unpack | Part::Spread | Part::Alone => false,
            };
            if takes && self.convex(*group, &sources) {
                fitting.push(*group);
            }
        }
        fitting.sort_by_key(|g| Reverse((self.drafts[*g].kind, self.drafts[*g].first)));
        if fitting.first().is_some_and(|home| self.strays(id, *home, &sources)) {
            fitting.retain(|g| self.drafts[*g].kind != Kind::Anchored);
        }
        if part == Part::Anchor {
            if let Some(group) = self.sibling(id, &sources) {
                fitting.insert(0, group);
            }
        }
        if part == Part::SumRow && self.sum_before(id, &sources) {
            fitting.clear();
        }
        let Some(home) = fitting.first().copied() else {
            self.begin(id, part);
            return;
        };
        // Other groups that end here come along.
        let ends = |g: &usize| self.drafts[*g].kind == Kind::Chain && self.closed(*g, &sources);
        let others: Vec<usize> = fitting[1..].iter().copied().filter(ends).collect();
        let mut home = self.add(home, id, part, &sources);
        for other in others {
            home = self.merge(home, other);
        }
    }

    /// Whether a map is better off outside of the kernel of an anchor that it would join: what it reads is
    /// written in any case, and what it makes goes into work over rows, which is a kernel of its own. So
    /// begins a norm that does not centre.
    fn strays(&self, id: NodeId, home: usize, sources: &Sources) -> bool {
        const FARTHEST: usize = 32;
        if self.drafts[home].kind != Kind::Anchored
            || self.parts[id.index()] == Part::Anchor
            || self.closed(home, sources)
        {
            return false;
        }
        // All that follows element by element.
        let mut reached = vec![id];
        let mut rows = false;
        let mut next = 0;
        while let Some(at) = reached.get(next).copied().filter(|_| next < FARTHEST) {
            next += 1;
            for output in self.graph.node(at).outputs.iter().flatten() {
                for user in self.users.of(output.index()).iter().take(FARTHEST) {
                    match self.parts[user.index()] {
                        Part::Row | Part::SumRow => rows = true,
                        Part::Map | Part::Arrange if !reached.contains(user) => reached.push(*user),
                        _ => {}
                    }
                }
            }
        }
        let inputs = self.graph.node(id).inputs.iter().flatten();
        let mut read =
            inputs.filter(|v| self.source(**v).and_then(|p| self.group(p)) == Some(home));
        let inside = |user: &NodeId| reached.contains(user) || self.group(*user) == Some(home);
        let open = |v: &ValueId| {
            let users = self.users.of(self.root[v.index()].index());
            users.len() > FARTHEST || !users.iter().all(inside)
        };
        rows && read.any(open)
    }

    /// Whether runtimes run an anchor in a kernel of their own, which reads and writes as its neighbours need
    /// it: all but products without a bias, which are calls of a library.
    fn own_kernel(&self, id: NodeId) -> bool {
        if self.nodes[id.index()].class != Class::MatrixProduct {
            return true;
        }
        let node = self.graph.node(id);
        let vector = |v: &ValueId| {
            let shape = self.outcome.values[v.index()].shape.as_ref();
            self.rest[v.index()] && shape.is_some_and(|s| s.iter().any(|d| !d.is_one()))
        };
        if node.inputs.get(2).is_some_and(|bias| bias.as_ref().is_some_and(vector)) {
            return true;
        }
        let Some(Some(product)) = node.outputs.first() else { return false };
        let [user] = self.users.of(product.index()) else { return false };
        match self.parts[user.index()] {
            Part::Map => self.graph.node(*user).inputs.iter().flatten().any(vector),
            Part::SumRow => true,
            _ => false,
        }
    }

    /// Whether what a node makes is read by work element by element alone.
    fn mapped_after(&self, id: NodeId) -> bool {
        let outputs = self.graph.node(id).outputs.iter().flatten();
        let mut users = outputs.flat_map(|v| self.users.of(v.index())).peekable();
        users.peek().is_some() && users.all(|u| self.parts[u.index()] == Part::Map)
    }

    /// The group of another product of the same tensor with stored weights: both read it once.
    fn sibling(&mut self, id: NodeId, sources: &Sources) -> Option<usize> {
        if self.nodes[id.index()].class != Class::MatrixProduct {
            return None;
        }
        let mut inputs = self.graph.node(id).inputs.iter().flatten();
        let (read, weight) = (inputs.next()?, inputs.next()?);
        let epilogue = self.own_kernel(id) || self.mapped_after(id);
        if self.rest[read.index()] || !self.rest[weight.index()] || !epilogue {
            return None;
        }
        let first = *self.products.entry(self.root[read.index()]).or_insert(id);
        let group = self.group(first)?;
        self.convex(group, sources).then_some(group)
    }

    /// A norm that adds first: the kernel that makes a term adds the other, as it does where the sum is
    /// a node.
    fn sum_before(&mut self, id: NodeId, sources: &Sources) -> bool {
        let mut terms = self.graph.node(id).inputs.iter().take(2).copied();
        let (Some(Some(a)), Some(Some(b))) = (terms.next(), terms.next()) else { return false };
        let mut best: Option<(usize, ValueId)> = None;
        for (term, added) in [(a, b), (b, a)] {
            let root = self.root[term.index()];
            let Some(group) = self.source(term).and_then(|p| self.group(p)) else { continue };
            let first = self.drafts[group].first;
            let only = self.users.of(root.index()) == [id] && !self.results[root.index()];
            let later = best.is_none_or(|(before, _)| first > before);
            let anchored = self.drafts[group].kind == Kind::Anchored;
            if a != b && only && later && anchored && self.convex(group, sources) {
                best = Some((first, added));
            }
        }
        let Some((first, added)) = best else { return false };
        self.sums.insert(id, added);
        // What makes the other term may take nothing that waits for that kernel.
        if let Some(group) = self.source(added).and_then(|p| self.group(p)) {
            self.drafts[group].readers.push(Reverse(first));
        }
        true
    }

    fn begin(&mut self, id: NodeId, part: Part) {
        let draft = self.draft(id, part);
        self.group_of[id.index()] = Some(self.drafts.len());
        self.drafts.push(draft);
    }

    /// A group of one node.
    fn draft(&self, id: NodeId, part: Part) -> Draft {
        let kind = match part {
            Part::Anchor => Kind::Anchored,
            Part::Alone => Kind::Alone,
            _ => Kind::Chain,
        };
        let mut draft = Draft {
            kind,
            rows: matches!(part, Part::Row | Part::SumRow),
            light: matches!(part, Part::Unpack | Part::Arrange),
            arranged: part == Part::Arrange,
            mapped: part == Part::Map || (part == Part::Anchor && self.own_kernel(id)),
            rule: Rule::Alone,
            nodes: vec![id],
            first: self.position[id.index()],
            outside: 0,
            readers: BinaryHeap::new(),
        };
        self.open(&mut draft, id);
        draft
    }

    /// Notes who reads what a node makes.
    fn open(&self, draft: &mut Draft, id: NodeId) {
        for output in self.graph.node(id).outputs.iter().flatten() {
            let users = self.users.of(output.index());
            draft.outside += users.len();
            draft.readers.extend(users.iter().map(|u| Reverse(self.position[u.index()])));
        }
    }

    fn add(&mut self, home: usize, id: NodeId, part: Part, sources: &Sources) -> usize {
        let node = self.draft(id, part);
        self.drafts[home].outside -= sources.count(home);
        self.group_of[id.index()] = Some(home);
        self.join(home, node);
        home
    }

    /// Makes one group of two, of which the second's values are read by the first alone; gives its index.
    fn merge(&mut self, home: usize, other: usize) -> usize {
        let larger = self.drafts[other].nodes.len() > self.drafts[home].nodes.len();
        let (kept, gone) = if larger { (other, home) } else { (home, other) };
        let mut draft = std::mem::replace(&mut self.drafts[gone], Draft::empty());
        self.drafts[other].outside = 0;
        if gone == other {
            draft.outside = 0;
        }
        for id in &draft.nodes {
            self.group_of[id.index()] = Some(kept);
        }
        self.join(kept, draft);
        kept
    }

    fn join(&mut self, home: usize, mut draft: Draft) {
        let kept = &mut self.drafts[home];
        kept.nodes.append(&mut draft.nodes);
        kept.readers.append(&mut draft.readers);
        kept.first = kept.first.min(draft.first);
        kept.outside += draft.outside;
        kept.rows |= draft.rows;
        kept.light &= draft.light;
        kept.arranged |= draft.arranged;
        kept.mapped |= draft.mapped;
        kept.kind = kept.kind.max(draft.kind);
        kept.rule = if kept.kind == Kind::Anchored { Rule::Epilogue } else { Rule::Chain };
    }

    /// Makes one group of three; what they read of each other is no longer looked at.
    pub(super) fn unite(&mut self, [first, second, third]: [usize; 3], rule: Rule) {
        let home = self.merge(first, second);
        let home = self.merge(home, third);
        self.drafts[home].rule = rule;
    }
}

impl Draft {
    fn empty() -> Self {
        Self {
            kind: Kind::Alone,
            rows: false,
            light: false,
            arranged: false,
            mapped: false,
            rule: Rule::Alone,
            nodes: Vec::new(),
            first: usize::MAX,
            outside: 0,
            readers: BinaryHeap::new(),
        }
    }
}
