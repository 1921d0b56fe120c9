//! How much is held of contents and of formulas: beyond a budget, what is long is let go of.

use crate::dim::Dim;
use std::cell::Cell;

/// So many numbers of contents and factors of formulas are held.
const MOST: usize = 1_500_000;
/// Formulas of no more factors, and contents of no more numbers, are never let go of.
pub(super) const SHORT: usize = 32;

/// Numbers and factors that are held so far.
#[derive(Default)]
pub(super) struct Held(Cell<usize>);

impl Held {
    /// Whether so much more can be held; then it is.
    pub(super) fn more(&self, more: usize) -> bool {
        let held = self.0.get().saturating_add(more);
        let fits = held <= MOST;
        if fits {
            self.0.set(held);
        }
        fits
    }

    /// A formula that is short or can be held, else one that refuses to be a number.
    pub(super) fn formula(&self, formula: Dim) -> Dim {
        let length = formula.length();
        if length <= SHORT || self.more(length) { formula } else { Dim::overflow() }
    }

    /// How much that is.
    pub(super) fn so_far(&self) -> usize {
        self.0.get()
    }

    /// Forgets what came to be held since it was this much.
    pub(super) fn back_to(&self, held: usize) {
        self.0.set(held);
    }
}
