//! Names with subscribers, and the peers of which these were last notified.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::Name;

/// The followed names.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    /// What the followers of each name know.
    followed: BTreeMap<Name, Option<Vec<SocketAddr>>>,
    /// Names whose peers may have changed.
    touched: BTreeSet<Name>,
}

impl Subscriptions {
    /// A name is followed from now on.
    pub(crate) fn add(&mut self, name: &[u8]) {
        self.followed.insert(name.into(), None);
    }

    /// A name is followed no more.
    pub(crate) fn remove(&mut self, name: &[u8]) {
        self.followed.remove(name);
        self.touched.remove(name);
    }

    /// The peers of a name may have changed.
    pub(crate) fn touch(&mut self, name: &[u8]) {
        if let Some((name, _)) = self.followed.get_key_value(name) {
            self.touched.insert(name.clone());
        }
    }

    pub(crate) fn has(&self, name: &[u8]) -> bool {
        self.followed.contains_key(name)
    }

    pub(crate) fn names(&self) -> Vec<Name> {
        self.followed.keys().cloned().collect()
    }

    /// Takes out the names whose peers may have changed.
    pub(crate) fn take_touched(&mut self) -> BTreeSet<Name> {
        std::mem::take(&mut self.touched)
    }

    /// Notes the peers that a name has now. Returns whether its subscribers have to be notified.
    pub(crate) fn update(&mut self, name: &[u8], peers: &[SocketAddr]) -> bool {
        match self.followed.get_mut(name) {
            Some(last) if last.as_deref() != Some(peers) => {
                *last = Some(peers.to_vec());
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscribers_are_notified_of_each_change_once() {
        let mut subscriptions = Subscriptions::default();
        let peer = SocketAddr::from(([10, 0, 0, 1], 80));
        assert!(!subscriptions.update(b"a", &[peer]), "nobody follows it");
        subscriptions.touch(b"a");
        assert!(subscriptions.take_touched().is_empty());
        subscriptions.add(b"a");
        assert!(subscriptions.update(b"a", &[]), "an empty list is reported, too");
        assert!(subscriptions.update(b"a", &[peer]));
        assert!(!subscriptions.update(b"a", &[peer]));
        subscriptions.touch(b"a");
        assert_eq!(subscriptions.take_touched().len(), 1);
        assert!(subscriptions.take_touched().is_empty());
        subscriptions.touch(b"a");
        subscriptions.remove(b"a");
        assert!(subscriptions.take_touched().is_empty() && !subscriptions.has(b"a"));
    }
}
