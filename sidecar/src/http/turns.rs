//! Turns of hosts: one with hundreds of busy connections is answered no more often than one with a few.

use std::sync::Arc;

use tokio::sync::{Notify, Semaphore};

/// Requests, or messages, of one host that are answered before others have their turn.
const TURN: usize = 16;

/// The turns of the connections of one host.
#[derive(Debug)]
pub(crate) struct HostTurns {
    /// What is left of this turn.
    left: Semaphore,
    /// Told by who waits for the next one.
    wanted: Arc<Notify>,
}

impl HostTurns {
    /// Of a host that has just come. Whoever hears `wanted` gives the next turn.
    pub(super) fn new(wanted: Arc<Notify>) -> Self {
        Self { left: Semaphore::new(TURN), wanted }
    }

    /// Waits until a request of this host may be answered.
    pub(super) async fn take(&self) {
        match self.left.try_acquire() {
            Ok(one) => one.forget(),
            Err(_) => Box::pin(self.wait()).await,
        }
    }

    async fn wait(&self) {
        self.wanted.notify_one();
        // An error is the end of turns.
        if let Ok(one) = self.left.acquire().await {
            one.forget();
        }
    }

    /// Others have had their turn: this host has its next one. Returns whether it may want another.
    pub(super) fn next(&self) -> bool {
        self.left.add_permits(TURN.saturating_sub(self.left.available_permits()));
        self.left.available_permits() == 0
    }

    /// From now on, nobody waits.
    pub(super) fn end(&self) {
        self.left.close();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_host_has_turns_of_equal_length() {
        let wanted = Arc::new(Notify::new());
        let turns = HostTurns::new(Arc::clone(&wanted));
        for _ in 0..TURN {
            assert!(turns.take().now_or_never().is_some());
        }
        assert!(wanted.notified().now_or_never().is_none());
        let mut waiting: Vec<_> = (0..TURN + 2).map(|_| Box::pin(turns.take())).collect();
        assert!(waiting.iter_mut().all(|wait| wait.now_or_never().is_none()));
        assert!(wanted.notified().now_or_never().is_some(), "the next turn is asked for");
        assert!(turns.next());
        let served = waiting.iter_mut().filter_map(|wait| wait.now_or_never()).count();
        assert_eq!(served, TURN);
        assert!(!turns.next(), "two take of it, and nobody else waits");
        turns.end();
        assert!(turns.take().now_or_never().is_some());
    }
}
