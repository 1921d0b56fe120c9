//! What a caller asks of a model file.

use super::{Format, LoadError, LoadErrorKind};

/// The inputs that get their shape from the caller, so that the file need not state it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given<'a> {
    /// By name.
    pub names: &'a [&'a str],
    /// As many of the first inputs, in the order of the file, that are not named.
    pub first: usize,
    /// Their numbers of axes, those of the named ones before the others, as far as they are known.
    pub ranks: &'a [usize],
}

impl Given<'_> {
    /// Whether no input gets one.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.first == 0
    }

    /// Whether this input gets one; `at` is its place in the file. Where some are named, an input may be
    /// among the first though it is further back.
    pub fn holds(&self, name: &str, at: usize) -> bool {
        self.names.contains(&name) || (self.first > 0 && at < self.first + self.names.len())
    }

    /// The number of axes that each of a file's inputs gets, for a file that states none.
    pub(super) fn ranks(&self, inputs: &[&str]) -> Vec<Option<usize>> {
        let mut next = self.names.len()..self.names.len() + self.first;
        let rank = |input: &&str| {
            let named = self.names.iter().position(|name| name == input);
            named.or_else(|| next.next()).and_then(|at| self.ranks.get(at).copied())
        };
        inputs.iter().map(rank).collect()
    }
}

/// What is wanted of a file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Inputs whose shape the caller will set.
    pub given: Given<'a>,
    /// Which of the models in a file, where it holds several: a signature, a method, a subgraph.
    pub signature: Option<&'a str>,
    /// Which values are outputs, where the file leaves it open.
    pub outputs: &'a [String],
}

impl Wanted<'_> {
    /// Refuses what a format has not got.
    pub(super) fn suits(&self, format: &Format) -> Result<(), LoadError> {
        let refuse = |flag: &str, what: &str| {
            let message = format!("is a {} model, which has no {what} to choose", format.name);
            let known = format!("omit {flag}");
            Err(LoadErrorKind::Choice { message, known }.into())
        };
        if self.signature.is_some() && !format.signatures {
            return refuse("--signature", "signatures");
        }
        if !self.outputs.is_empty() && !format.outputs {
            return refuse("--output", "outputs");
        }
        Ok(())
    }
}
