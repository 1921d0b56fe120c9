//! What a node costs, symbolically.

use super::fast::Fast;
use crate::dim::Dim;

rooflens_ground::words! {
    /// How sure a cost is.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum Status {
        /// Follows from the graph.
        Exact = "exact",
        /// Depends on data; this is the most it can be.
        Bound = "bound",
        /// Computed once at load from constants, or by the shape machinery: free when the model runs.
        Folded = "folded",
        /// Not known, and not in the totals.
        Unknown = "unknown",
    }
}

/// Counts of one node, or sums of them. All exact; bytes are DRAM traffic of the node run alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Multiply–accumulates, float and integer.
    pub macs: Dim,
    /// Of these, the ones that can change the result: taps on padding and scores that a causal mask
    /// hides left out, where sizes tell how many they are.
    pub effective_macs: Dim,
    /// Of `effective_macs`, the ones of which a fast algorithm does a share.
    pub fast: Fast,
    /// Floating-point operations, two per MAC, everything included.
    pub flops: Dim,
    /// Integer operations, two per integer MAC.
    pub int_ops: Dim,
    /// exp, log, tanh, erf, sin, pow, sqrt …; also in `flops`.
    pub transcendentals: Dim,
    /// Comparisons and selections; also in `flops` where the type is floating.
    pub comparisons: Dim,
    /// Bytes read, weights included, a tensor read twice by one node counted once.
    pub bytes_read: Dim,
    /// Of `bytes_read`, those of stored weights.
    pub weight_bytes_read: Dim,
    /// Bytes written.
    pub bytes_written: Dim,
}

/// The [`Cost`] of one node. The many that are worked out when a model is loaded cost nothing, and hold nothing.
#[derive(Clone, Debug, Default)]
pub struct NodeCost(Option<Box<Cost>>);

impl From<Cost> for NodeCost {
    fn from(cost: Cost) -> Self {
        Self(Some(Box::new(cost)))
    }
}

impl std::ops::Deref for NodeCost {
    type Target = Cost;
    fn deref(&self) -> &Cost {
        static NOTHING: Cost = Cost::NOTHING;
        self.0.as_deref().unwrap_or(&NOTHING)
    }
}

impl Cost {
    const NOTHING: Self = Self {
        macs: Dim::ZERO,
        effective_macs: Dim::ZERO,
        fast: Fast::new(),
        flops: Dim::ZERO,
        int_ops: Dim::ZERO,
        transcendentals: Dim::ZERO,
        comparisons: Dim::ZERO,
        bytes_read: Dim::ZERO,
        weight_bytes_read: Dim::ZERO,
        bytes_written: Dim::ZERO,
    };

    /// Adds another cost to this one.
    pub fn add(&mut self, other: &Self) {
        let sum = |a: &mut Dim, b: &Dim| *a += b;
        sum(&mut self.macs, &other.macs);
        sum(&mut self.effective_macs, &other.effective_macs);
        sum(&mut self.flops, &other.flops);
        sum(&mut self.int_ops, &other.int_ops);
        sum(&mut self.transcendentals, &other.transcendentals);
        sum(&mut self.comparisons, &other.comparisons);
        sum(&mut self.bytes_read, &other.bytes_read);
        sum(&mut self.weight_bytes_read, &other.weight_bytes_read);
        sum(&mut self.bytes_written, &other.bytes_written);
        for (share, macs) in &other.fast {
            sum(self.fast.entry(*share).or_default(), macs);
        }
    }

    /// Every count.
    pub(crate) fn counts(&self) -> impl Iterator<Item = &Dim> {
        let Self { macs, effective_macs, flops, int_ops, transcendentals, comparisons, .. } = self;
        let work = [macs, effective_macs, flops, int_ops, transcendentals, comparisons];
        let bytes = [&self.bytes_read, &self.weight_bytes_read, &self.bytes_written];
        work.into_iter().chain(bytes).chain(self.fast.values())
    }

    /// Whether some count has more terms than a formula may have, or is beyond any number.
    pub fn overflows(&self) -> bool {
        self.counts().any(Dim::is_overflow)
    }

    /// Every count put through a function.
    #[must_use]
    pub(crate) fn map(&self, f: &dyn Fn(&Dim) -> Dim) -> Self {
        Self {
            macs: f(&self.macs),
            effective_macs: f(&self.effective_macs),
            fast: self.fast.iter().map(|(share, macs)| (*share, f(macs))).collect(),
            flops: f(&self.flops),
            int_ops: f(&self.int_ops),
            transcendentals: f(&self.transcendentals),
            comparisons: f(&self.comparisons),
            bytes_read: f(&self.bytes_read),
            weight_bytes_read: f(&self.weight_bytes_read),
            bytes_written: f(&self.bytes_written),
        }
    }

    /// The cost of doing this `count` times.
    #[must_use]
    pub fn times(&self, count: &Dim) -> Self {
        self.map(&|n| n.clone() * count.clone())
    }

    /// The larger of two, count by count.
    #[must_use]
    pub fn most(&self, other: &Self) -> Self {
        Self {
            macs: self.macs.maximum(&other.macs),
            effective_macs: self.effective_macs.maximum(&other.effective_macs),
            fast: most_spared(&self.fast, &other.fast),
            flops: self.flops.maximum(&other.flops),
            int_ops: self.int_ops.maximum(&other.int_ops),
            transcendentals: self.transcendentals.maximum(&other.transcendentals),
            comparisons: self.comparisons.maximum(&other.comparisons),
            bytes_read: self.bytes_read.maximum(&other.bytes_read),
            weight_bytes_read: self.weight_bytes_read.maximum(&other.weight_bytes_read),
            bytes_written: self.bytes_written.maximum(&other.bytes_written),
        }
    }

    /// Floating-point and integer operations.
    pub fn operations(&self) -> Dim {
        self.flops.clone() + self.int_ops.clone()
    }

    /// Bytes read and written.
    pub fn bytes(&self) -> Dim {
        self.bytes_read.clone() + self.bytes_written.clone()
    }
}

/// The larger of two for every share: at least what either spares.
fn most_spared(a: &Fast, b: &Fast) -> Fast {
    let mut all = a.clone();
    for (share, macs) in b {
        let slot = all.entry(*share).or_default();
        *slot = slot.maximum(macs);
    }
    all
}
