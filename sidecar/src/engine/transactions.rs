//! Queries that are out, by their transaction ids.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::time::Instant;

use ahash::RandomState;
use mainline::Id;

use super::notices::News;
use super::spare_room::spare_room;

/// Why a query was sent: what its answer is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To know whether the node is there.
    Ping,
    /// To know whether a node that asked us is there at all: its silence says nothing.
    Newcomer,
    /// To tell a watcher that we are there.
    Heartbeat,
    /// To tell a node something, after so many times in vain.
    News { news: News, tried: u8 },
    /// A step of this walk.
    Walk(u64),
    /// A part of this store.
    Store(u64),
    /// A part of this store, which only Grapes of our kind answer: silence says nothing.
    Extension(u64),
}

/// A query that is out.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) to: SocketAddr,
    /// Whom we expect there; none for a bootstrap address.
    pub(super) id: Option<Id>,
    pub(super) sent: Instant,
    pub(super) purpose: Purpose,
}

/// The queries that are out.
#[derive(Debug)]
pub(super) struct Transactions {
    next: u32,
    pending: HashMap<u32, Pending, RandomState>,
}

impl Transactions {
    /// `first` is random, so that strangers cannot guess what would be believed.
    pub(super) fn new(first: u32) -> Self {
        Self { next: first, pending: HashMap::default() }
    }

    pub(super) fn open(&mut self, pending: Pending) -> u32 {
        while self.pending.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        self.pending.insert(id, pending);
        id
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
        self.pending.shrink_to(spare_room(self.pending.len()));
    }

    /// The query's time is over.
    pub(super) fn expire(&mut self, id: u32) -> Option<Pending> {
        self.pending.remove(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_from_the_address_that_was_asked_only() {
        let now = crate::clock::now();
        let to = SocketAddr::from(([10, 0, 0, 1], 1));
        let mut open = Transactions::new(u32::MAX);
        let query = Pending { to, id: None, sent: now, purpose: Purpose::Ping };
        assert_eq!((open.open(query.clone()), open.open(query)), (u32::MAX, 0));
        let id = u32::MAX.to_be_bytes();
        assert!(open.answered(&id, SocketAddr::from(([10, 0, 0, 2], 1))).is_none());
        assert!(open.answered(b"aa", to).is_none());
        assert!(open.answered(&id, to).is_some());
        assert!(open.answered(&id, to).is_none());
    }
}
