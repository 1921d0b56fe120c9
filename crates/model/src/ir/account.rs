//! What became of the tensors of files that hold no graph.

/// Tensors, their elements as stored, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many tensors.
    pub tensors: u64,
    /// How many elements they store, packed ones as the file counts them.
    pub elements: u64,
    /// Bytes of their data.
    pub bytes: u64,
}

/// What a configuration asks for, held against what files store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TensorAccount {
    /// Whether there are files to check it against.
    pub files: bool,
    /// All that the files store.
    pub stored: Tally,
    /// Asked for and found.
    pub matched: Tally,
    /// Found, in another shape than the configuration says.
    pub mismatched: Tally,
    /// Packed tensors, and lists of experts, that hold another number of elements than it says.
    pub disagreements: u64,
    /// Asked for and in no file.
    pub missing: u64,
    /// Stored, and known not to be part of a run, such as layers that predict further tokens.
    pub idle: Tally,
    /// Stored, and asked for by no part of the model.
    pub unknown: Tally,
    /// Learned numbers of parts that this graph does not run, such as the vision tower beside the decoder.
    pub apart: u64,
}

impl TensorAccount {
    /// The share of stored elements that are accounted for, in percent; of a configuration alone, all.
    pub fn percent(&self) -> f64 {
        let known = self.matched.elements + self.idle.elements;
        if self.stored.elements == 0 {
            return if self.missing == 0 { 100.0 } else { 0.0 };
        }
        100.0 * known as f64 / self.stored.elements as f64
    }
}
