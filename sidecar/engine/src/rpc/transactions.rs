//! Queries that are out, by their transaction ids.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::time::Instant;

use ahash::RandomState;
use mainline::Id;
use rand::{Rng, RngExt};

use crate::capacity::capacity;
use crate::failure_detector::Rumor;

/// Why a query was sent: what its answer is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To know whether the node is there.
    Ping,
    /// To know whether a node that asked us is there at all: its silence says nothing.
    Newcomer,
    /// A heartbeat to a monitor.
    Heartbeat,
    /// Gossip to a node, after `tried` failed attempts.
    Rumor { rumor: Rumor, tried: u8 },
    /// A step of this lookup.
    Lookup(u64),
    /// A part of this store.
    Store(u64),
    /// A part of this store, which only Grapes of our kind answer: silence says nothing.
    Extension(u64),
}

/// A query that is out.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    pub(crate) to: SocketAddr,
    /// The node that we expect there; `None` for a bootstrap address.
    pub(crate) id: Option<Id>,
    pub(crate) sent: Instant,
    pub(crate) purpose: Purpose,
}

/// The queries that are out.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    pending: HashMap<u32, Pending, RandomState>,
}

impl Transactions {
    /// Each id is random, so that an attacker who sees one cannot forge the answer of another
    /// address.
    pub(super) fn open(&mut self, pending: Pending, rng: &mut impl Rng) -> u32 {
        loop {
            let id = rng.random();
            if let Entry::Vacant(free) = self.pending.entry(id) {
                free.insert(pending);
                return id;
            }
        }
    }

    /// The query that an answer from this address is for. It is closed.
    pub(super) fn answered(&mut self, id: &[u8], from: SocketAddr) -> Option<Pending> {
        let id = u32::from_be_bytes(id.try_into().ok()?);
        match self.pending.entry(id) {
            Entry::Occupied(open) if open.get().to == from => Some(open.remove()),
            _ => None,
        }
    }

    pub(super) fn get(&self, id: u32) -> Option<&Pending> {
        self.pending.get(&id)
    }

    /// Gives back room that a burst took.
    pub(super) fn shrink(&mut self) {
        self.pending.shrink_to(capacity(self.pending.len()));
    }

    /// Closes a query.
    pub(super) fn close(&mut self, id: u32) -> Option<Pending> {
        self.pending.remove(&id)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn an_answer_counts_from_the_address_that_was_asked_only() {
        let now = crate::clock::now();
        let to = SocketAddr::from(([10, 0, 0, 1], 1));
        let mut rng = StdRng::seed_from_u64(1);
        let mut open = Transactions::default();
        let query = Pending { to, id: None, sent: now, purpose: Purpose::Ping };
        let first = open.open(query.clone(), &mut rng);
        assert!(open.open(query, &mut rng).abs_diff(first) > 1, "one tells nothing of the next");
        let id = first.to_be_bytes();
        assert!(open.answered(&id, SocketAddr::from(([10, 0, 0, 2], 1))).is_none());
        assert!(open.answered(b"aa", to).is_none());
        assert!(open.answered(&id, to).is_some());
        assert!(open.answered(&id, to).is_none());
    }
}
