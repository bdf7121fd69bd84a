//! Notifies the subscribers of a name of its peers.

use std::time::Instant;

use super::Engine;
use super::family::shown;
use crate::Effect;
use crate::lookup::{Age, OnComplete, Target};
use crate::storage::Peers;

impl Engine {
    /// Subscribes to a name: [`Effect::Changed`] has its peers once they are known, and each time
    /// that they change.
    pub fn subscribe(&mut self, name: &[u8], now: Instant) {
        self.subscriptions.add(name);
        self.start_lookup(Target::Peers(name.into()), OnComplete::Refresh, now);
        self.notify_subscribers(now);
    }

    /// Follows a name no more.
    pub fn unsubscribe(&mut self, name: &[u8]) {
        self.subscriptions.remove(name);
    }

    /// Notifies the subscribers of each name whose peers changed.
    pub(super) fn notify_subscribers(&mut self, now: Instant) {
        for name in self.subscriptions.take_touched() {
            let both = self.has_both_families();
            let found = self.lookups.kept_peers(&name, now);
            let stored = self.storage.peers(&name, now).into_iter().flat_map(Peers::iter);
            let known = found.chain(stored.map(|(addr, record)| (addr, record.is_alt())));
            let mut peers = if both { shown(known) } else { known.map(|(addr, _)| addr).collect() };
            peers.sort_unstable();
            peers.dedup();
            if self.subscriptions.update(&name, &peers) {
                self.effect(Effect::Changed { name, peers });
            }
        }
    }

    /// Names that somebody follows are looked up again before they go stale.
    pub(super) fn refresh_subscribed(&mut self, now: Instant) {
        for name in self.subscriptions.names() {
            if self.lookups.age(&name, now) != Age::Fresh {
                self.start_lookup(Target::Peers(name.clone()), OnComplete::Refresh, now);
            }
            // Time alone can end a peer.
            self.subscriptions.touch(&name);
        }
    }
}
