//! How much is held of contents and of formulas: beyond a budget, what is long is let go of.

use crate::dim::Dim;
use crate::ir::{Diagnostic, Severity};
use std::cell::Cell;

/// So many numbers of contents and factors of formulas are held.
const MOST: usize = 1_500_000;
/// Formulas of no more factors, and contents of no more numbers, are never let go of.
pub(super) const SHORT: usize = 32;

/// Numbers and factors that are held so far.
#[derive(Default)]
pub(super) struct Held {
    count: Cell<usize>,
    /// Whether something was let go of.
    past: Cell<bool>,
}

impl Held {
    /// Whether so much more can be held; then it is.
    pub(super) fn more(&self, more: usize) -> bool {
        let held = self.count.get().saturating_add(more);
        let fits = held <= MOST;
        if fits {
            self.count.set(held);
        }
        fits
    }

    /// A formula that is short or can be held, else one that refuses to be a number.
    pub(super) fn formula(&self, formula: Dim) -> Dim {
        let length = formula.length();
        if length <= SHORT || self.more(length) { formula } else { self.let_go() }
    }

    /// What stands for a formula that is let go of.
    pub(super) fn let_go(&self) -> Dim {
        self.past.set(true);
        Dim::overflow()
    }

    /// Where contents or formulas were let go of: a remark that says so.
    pub(super) fn remark(&self) -> Option<Diagnostic> {
        self.past.get().then(|| Diagnostic {
            severity: Severity::Warning,
            place: "graph".into(),
            message: format!(
                "its contents and formulas take more than {MOST} numbers and factors: the long ones among the rest \
                 are let go of, and formulas of them are too long to write down"
            ),
            hint: Some("sizes fixed with --dim or --shape need no formulas".into()),
        })
    }

    /// How much that is, and whether something was let go of.
    pub(super) fn so_far(&self) -> (usize, bool) {
        (self.count.get(), self.past.get())
    }

    /// Forgets what came to be held, and was let go of, since it was this much.
    pub(super) fn back_to(&self, (held, past): (usize, bool)) {
        self.count.set(held);
        self.past.set(past);
    }
}
