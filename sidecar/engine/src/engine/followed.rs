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
    ///
    /// ```
    /// # use std::time::Instant;
    /// use grape_engine::{Effect, Engine, Settings};
    ///
    /// # let now = Instant::now();
    /// # let mut node = Engine::new(Settings::new([1; 20].into(), 20001), [7; 32], now);
    /// # node.join(Vec::new(), true, now);
    /// node.set_host_addresses(vec![[10, 0, 0, 1].into()]);
    /// node.subscribe(b"rpc_test", now);
    /// node.announce(b"rpc_test", 1337, now);
    /// node.handle_timeout(now);
    /// let effects = std::iter::from_fn(|| node.poll_effect());
    /// let mut changes = effects.filter(|effect| matches!(effect, Effect::Changed { .. }));
    /// assert!(changes.next().is_some());
    /// ```
    pub fn subscribe(&mut self, name: &[u8], now: Instant) {
        self.subscriptions.add(name);
        self.start_lookup(Target::Peers(name.into()), OnComplete::Refresh, now);
        self.notify_subscribers(now);
    }

    /// Ends the subscription to a name.
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
