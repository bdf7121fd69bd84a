//! Names that somebody follows, with what they were last told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

use super::active_lookup::{OnComplete, Target};
use super::engine::Engine;
use super::family::shown;
use super::peers::Peers;
use super::{Effect, Name};

/// The followed names.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    /// What the followers of each name know.
    told: BTreeMap<Name, Option<Vec<SocketAddr>>>,
    /// Names whose peers may have changed.
    touched: BTreeSet<Name>,
}

impl Subscriptions {
    /// The peers of a name may have changed.
    pub(super) fn touch(&mut self, name: &[u8]) {
        if let Some((name, _)) = self.told.get_key_value(name) {
            self.touched.insert(name.clone());
        }
    }

    pub(super) fn has(&self, name: &[u8]) -> bool {
        self.told.contains_key(name)
    }

    pub(super) fn names(&self) -> Vec<Name> {
        self.told.keys().cloned().collect()
    }
}

impl Engine {
    /// Follows a name: [`Effect::Changed`] tells of its peers once they are known, and each time
    /// that they change.
    pub fn subscribe(&mut self, name: &[u8], now: Instant) {
        self.subscriptions.told.insert(name.into(), None);
        self.start_lookup(Target::Peers(name.into()), OnComplete::Refresh, now);
        self.notify_subscribers(now);
    }

    /// Follows a name no more.
    pub fn unsubscribe(&mut self, name: &[u8]) {
        self.subscriptions.told.remove(name);
        self.subscriptions.touched.remove(name);
    }

    pub(super) fn notify_subscribers(&mut self, now: Instant) {
        for name in std::mem::take(&mut self.subscriptions.touched) {
            let both = self.has_both_families();
            let found = self.lookup_cache.peers(&name, now);
            let stored = self.peers.get(&name, now).into_iter().flat_map(Peers::iter);
            let known = found.chain(stored.map(|(addr, record)| (addr, record.is_alt())));
            let mut peers = if both { shown(known) } else { known.map(|(addr, _)| addr).collect() };
            peers.sort_unstable();
            peers.dedup();
            if let Some(told) = self.subscriptions.told.get_mut(&name)
                && told.as_ref() != Some(&peers)
            {
                *told = Some(peers.clone());
                self.effect(Effect::Changed { name, peers });
            }
        }
    }
}
