//! Names that somebody follows, with what they were last told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

use super::family::shown;
use super::node::Engine;
use super::peers::Peers;
use super::steps::{Subject, Then};
use super::{Effect, Name};

/// The followed names.
#[derive(Debug, Default)]
pub(super) struct Watches {
    /// What the followers of each name know.
    told: BTreeMap<Name, Option<Vec<SocketAddr>>>,
    /// Names whose peers may have changed.
    touched: BTreeSet<Name>,
}

impl Watches {
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
    pub fn watch(&mut self, name: &[u8], now: Instant) {
        self.watches.told.insert(name.into(), None);
        self.walk(Subject::Peers(name.into()), Then::Refresh, now);
        self.tell_watchers(now);
    }

    /// Follows a name no more.
    pub fn unwatch(&mut self, name: &[u8]) {
        self.watches.told.remove(name);
        self.watches.touched.remove(name);
    }

    pub(super) fn tell_watchers(&mut self, now: Instant) {
        for name in std::mem::take(&mut self.watches.touched) {
            let both = self.has_both_families();
            let found = self.lookups.peers(&name, now);
            let stored = self.peers.get(&name, now).into_iter().flat_map(Peers::iter);
            let known = found.chain(stored.map(|(addr, belief)| (addr, belief.is_alt())));
            let mut peers = if both { shown(known) } else { known.map(|(addr, _)| addr).collect() };
            peers.sort_unstable();
            peers.dedup();
            if let Some(told) = self.watches.told.get_mut(&name)
                && told.as_ref() != Some(&peers)
            {
                *told = Some(peers.clone());
                self.effect(Effect::Changed { name, peers });
            }
        }
    }
}
