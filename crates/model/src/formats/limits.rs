//! How much a file may become: what holds for all graphs of a model while its reader builds them.

use super::LoadError;
use super::error::invalid;
use crate::ir::Diagnostic;
use std::collections::HashSet;
use std::sync::Arc;

/// Functions and nested models call each other no deeper, and bodies nest no deeper.
pub(super) const MAX_DEPTH: usize = 32;
/// A model has no more nodes than this.
pub(super) const MAX_NODES: usize = 2_000_000;
/// Functions expand to no more nodes than this, and one more for so many bytes of the file: a few bytes
/// can call a great deal.
const MAX_EXPANDED: usize = 100_000;
const BYTES_PER_EXPANDED: usize = 10;
/// What functions repeat of names and attributes where they are called, in bytes.
const MAX_REPEATED: usize = 64 << 20;

/// Counts of a file that is being read, and what its reader could not settle.
pub(super) struct Limits {
    names: HashSet<Arc<str>>,
    nodes: usize,
    /// Of these, those of functions, and the most that there may be.
    expanded: usize,
    most_expanded: usize,
    /// Bytes that functions repeat where they are called.
    repeated: usize,
    /// What could not be settled, for the report.
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl Limits {
    /// Those of a file of this many bytes.
    pub(super) fn of(file_bytes: usize) -> Self {
        Self {
            names: HashSet::new(),
            nodes: 0,
            expanded: 0,
            most_expanded: MAX_EXPANDED + file_bytes / BYTES_PER_EXPANDED,
            repeated: 0,
            diagnostics: Vec::new(),
        }
    }

    /// The one copy of a name that many nodes have.
    pub(super) fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        let name: Arc<str> = name.into();
        self.names.insert(name.clone());
        name
    }

    /// Counts a node.
    pub(super) fn node(&mut self) -> Result<(), LoadError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(invalid("graph", format!("has more than {MAX_NODES} nodes")));
        }
        Ok(())
    }

    /// Counts a node that a function's call makes, with so many names that get a prefix of this length.
    pub(super) fn expanded(&mut self, names: usize, prefix: usize) -> Result<(), LoadError> {
        self.expanded += 1;
        if self.expanded > self.most_expanded {
            let most = self.most_expanded;
            return Err(invalid(
                "graph",
                format!("its functions expand to more than {most} nodes"),
            ));
        }
        self.repeat(names * prefix)
    }

    /// Counts bytes that a function repeats.
    pub(super) fn repeat(&mut self, bytes: usize) -> Result<(), LoadError> {
        self.repeated = self.repeated.saturating_add(bytes);
        if self.repeated > MAX_REPEATED {
            let most = MAX_REPEATED >> 20;
            let message =
                format!("its functions repeat more than {most} MiB of names and attributes");
            return Err(invalid("graph", message));
        }
        Ok(())
    }
}
