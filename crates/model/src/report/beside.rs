//! Two jobs at once, for models that are large enough to be worth a second thread.

use crate::ir::Model;

/// Below this many nodes a thread costs more than it saves.
const LARGE: usize = 2_000;
/// Bodies inside bodies take stack.
const STACK: usize = 16 << 20;

/// Whether a model is worth a second thread.
pub(super) fn is_large(model: &Model) -> bool {
    model.graph.nodes.len() >= LARGE
}

/// What both jobs give: side by side for a large model, one after the other for others and where the
/// system has no thread to give.
pub(super) fn beside<A: Send, B>(
    model: &Model,
    a: impl Fn() -> A + Send + Sync,
    b: impl FnOnce() -> B,
) -> (A, B) {
    if !is_large(model) {
        return (a(), b());
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, &a);
        let b = b();
        let a = match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(_) => a(),
        };
        (a, b)
    })
}
