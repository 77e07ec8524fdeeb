//! What takes a signature each is done in parts: others have their turn between them.

/// Signatures in a row.
const TURN: usize = 32;

/// Does it with all of these, in their order; `work` is told at which place each part begins.
pub(super) async fn in_turns<T>(all: &[T], mut work: impl FnMut(usize, &[T])) {
    for (turn, part) in all.chunks(TURN).enumerate() {
        if turn > 0 {
            tokio::task::yield_now().await;
        }
        work(turn.saturating_mul(TURN), part);
    }
}
