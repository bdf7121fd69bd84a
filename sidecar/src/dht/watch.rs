//! A name's peers, followed.

use std::net::SocketAddr;
use std::sync::Arc;

use grape_engine::Name;
use tokio::sync::watch;

use super::driver::{Followed, Shared};

/// Follows the peers of one name, until dropped.
pub struct Watch {
    shared: Arc<Shared>,
    name: Name,
    peers: watch::Receiver<Option<Vec<SocketAddr>>>,
}

impl Watch {
    pub(super) fn start(shared: Arc<Shared>, name: &[u8]) -> Self {
        let name = Name::from(name);
        let peers = shared.with_state(|state, now| match state.followed.get(&name) {
            Some(followed) => {
                let mut peers = followed.subscribe();
                peers.mark_changed();
                peers
            }
            None => {
                let followed = Followed::new(None);
                let peers = followed.subscribe();
                state.followed.insert(name.clone(), followed);
                state.engine.subscribe(&name, now);
                peers
            }
        });
        Self { shared, name, peers }
    }

    /// The name's peers, sorted: at first those of now, once they are known; then, each time that
    /// they changed, those after the change. Changes in quick succession may come as one. None
    /// when the node is gone.
    pub async fn next(&mut self) -> Option<Vec<SocketAddr>> {
        loop {
            self.peers.changed().await.ok()?;
            if let Some(peers) = self.peers.borrow_and_update().clone() {
                return Some(peers);
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.with_state(|state, _| {
            // We are one of the receivers ourselves.
            let last = |followed: &Followed| followed.receiver_count() <= 1;
            if state.followed.get(&self.name).is_some_and(last) {
                state.followed.remove(&self.name);
                state.engine.unsubscribe(&self.name);
            }
        });
    }
}
