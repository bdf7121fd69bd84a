//! Announced peers, each with the nodes that announced it, and when it expires.

use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::time::Instant;

use ahash::RandomState;
use indexmap::IndexMap;
use lru::LruCache;
use rand::{Rng, RngExt};

use crate::Name;
use crate::addresses::means_the_same_to;
use crate::peer_record::{Announcer, Left, PeerRecord};

/// Most peers of one name and family; beyond it a new peer takes the place of a random one.
const MAX_PEERS: usize = 20_000;
/// Most peers of all names, for each name that may be held.
const PEERS_PER_NAME: usize = 20;

/// The peers of one name.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    v4: IndexMap<SocketAddrV4, PeerRecord, RandomState>,
    v6: IndexMap<SocketAddrV6, PeerRecord, RandomState>,
    /// No announce expires before this.
    next_expiry: Option<Instant>,
}

impl Peers {
    pub(crate) fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// The peer at a place from 0 to [`Peers::len`].
    pub(crate) fn at(&self, index: usize) -> Option<SocketAddr> {
        match self.v4.get_index(index) {
            Some((addr, _)) => Some((*addr).into()),
            None => self.v6.get_index(index - self.v4.len()).map(|(addr, _)| (*addr).into()),
        }
    }

    pub(crate) fn contains(&self, addr: &SocketAddr) -> bool {
        match addr {
            SocketAddr::V4(addr) => self.v4.contains_key(addr),
            SocketAddr::V6(addr) => self.v6.contains_key(addr),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (SocketAddr, &PeerRecord)> {
        let v4 = self.v4.iter().map(|(addr, record)| ((*addr).into(), record));
        v4.chain(self.v6.iter().map(|(addr, record)| ((*addr).into(), record)))
    }

    /// A random choice of at most `count` peers of the asker's address family, of those that it can
    /// reach: loopback peers are for askers on loopback, link-local ones for those of the same link.
    pub(crate) fn sample(
        &self,
        count: usize,
        asker: &SocketAddr,
        rng: &mut impl Rng,
    ) -> Vec<(SocketAddr, &PeerRecord)> {
        fn choose<'a, A: Copy + Into<SocketAddr>>(
            peers: &'a IndexMap<A, PeerRecord, RandomState>,
            count: usize,
            asker: &SocketAddr,
            rng: &mut impl Rng,
        ) -> Vec<(SocketAddr, &'a PeerRecord)> {
            rand::seq::index::sample(rng, peers.len(), count.min(peers.len()))
                .into_iter()
                .filter_map(|index| peers.get_index(index))
                .map(|(addr, record)| ((*addr).into(), record))
                .filter(|(addr, _)| means_the_same_to(asker, addr))
                .collect()
        }
        match asker {
            SocketAddr::V4(_) => choose(&self.v4, count, asker, rng),
            SocketAddr::V6(_) => choose(&self.v6, count, asker, rng),
        }
    }

    fn announced(&mut self, addr: SocketAddr, by: Announcer, rng: &mut impl Rng) {
        fn put<A: Copy + std::hash::Hash + Eq + Into<SocketAddr>>(
            peers: &mut IndexMap<A, PeerRecord, RandomState>,
            addr: A,
            by: Announcer,
            rng: &mut impl Rng,
        ) {
            if let Some(record) = peers.get_mut(&addr) {
                return record.announced(&addr.into(), by);
            }
            if peers.len() >= MAX_PEERS {
                peers.swap_remove_index(rng.random_range(0..peers.len()));
            }
            peers.insert(addr, PeerRecord::of(&addr.into(), by));
        }
        match addr {
            SocketAddr::V4(addr) => put(&mut self.v4, addr, by, rng),
            SocketAddr::V6(addr) => put(&mut self.v6, addr, by, rng),
        }
        self.next_expiry = Some(self.next_expiry.map_or(by.until, |next| next.min(by.until)));
    }

    fn remove(&mut self, addr: &SocketAddr) -> bool {
        match addr {
            SocketAddr::V4(addr) => self.v4.swap_remove(addr).is_some(),
            SocketAddr::V6(addr) => self.v6.swap_remove(addr).is_some(),
        }
    }

    /// A node announces a peer no more.
    fn strike(&mut self, addr: &SocketAddr, node: &SocketAddr) -> Left {
        let record = match addr {
            SocketAddr::V4(v4) => self.v4.get_mut(v4),
            SocketAddr::V6(v6) => self.v6.get_mut(v6),
        };
        let left = record.map_or(Left::All, |record| record.strike(addr, node, false));
        if left == Left::Nobody {
            self.remove(addr);
        }
        left
    }

    /// Drops the announces that expired; returns whether a peer was dropped with them.
    fn expire(&mut self, now: Instant) -> bool {
        if self.next_expiry.is_none_or(|next| next > now) {
            return false;
        }
        let before = self.len();
        self.v4.retain(|addr, record| record.expire(&(*addr).into(), now));
        self.v6.retain(|addr, record| record.expire(&(*addr).into(), now));
        let records = self.v4.values().chain(self.v6.values());
        self.next_expiry = records.map(PeerRecord::next_expiry).min();
        self.len() < before
    }

    /// Drops what the node at this address announced. Returns whether there was anything.
    fn remove_from(&mut self, node: &SocketAddr) -> bool {
        let mut any = false;
        let mut stays = |peer: SocketAddr, record: &mut PeerRecord| {
            let left = record.strike(&peer, node, false);
            any |= left != Left::All;
            left != Left::Nobody
        };
        match node {
            SocketAddr::V4(_) => self.v4.retain(|addr, record| stays((*addr).into(), record)),
            SocketAddr::V6(_) => self.v6.retain(|addr, record| stays((*addr).into(), record)),
        }
        any
    }
}

/// The peers of all names held here, least recently used names out first.
#[derive(Debug)]
pub(super) struct PeerStore {
    names: LruCache<Name, Peers, RandomState>,
    max_names: usize,
    /// Upper bound of the peers held; exact after [`PeerStore::expire`].
    held: usize,
    /// Names that had to make room, since the start.
    dropped: u64,
}

impl PeerStore {
    pub(super) fn new(max_names: usize) -> Self {
        let names = LruCache::unbounded_with_hasher(RandomState::new());
        Self { names, max_names: max_names.max(1), held: 0, dropped: 0 }
    }

    /// A node announced a peer (again).
    pub(super) fn announced(
        &mut self,
        name: &[u8],
        addr: SocketAddr,
        by: Announcer,
        rng: &mut impl Rng,
    ) {
        if !self.names.contains(name) {
            self.names.put(name.into(), Peers::default());
        }
        let Some(peers) = self.names.get_mut(name) else { return };
        let before = peers.len();
        peers.announced(addr, by, rng);
        self.held += peers.len() - before;
        while self.names.len() > self.max_names
            || (self.held > self.max_names * PEERS_PER_NAME && self.names.len() > 1)
        {
            let Some((_, dropped)) = self.names.pop_lru() else { break };
            self.held = self.held.saturating_sub(dropped.len());
            self.dropped += 1;
        }
    }

    /// Drops a peer, whichever node announced it.
    pub(super) fn remove(&mut self, name: &[u8], addr: &SocketAddr) {
        if let Some(peers) = self.names.peek_mut(name) {
            self.held -= usize::from(peers.remove(addr));
            if peers.len() == 0 {
                self.names.pop(name);
            }
        }
    }

    /// A node announces a peer no more; others may go on.
    pub(super) fn withdrawn(&mut self, name: &[u8], addr: &SocketAddr, node: &SocketAddr) -> Left {
        let Some(peers) = self.names.peek_mut(name) else { return Left::All };
        let left = peers.strike(addr, node);
        self.held -= usize::from(left == Left::Nobody);
        if peers.len() == 0 {
            self.names.pop(name);
        }
        left
    }

    /// Drops what the node at this address announced; returns the names of it. What others announced
    /// too stays.
    pub(super) fn remove_from(&mut self, node: &SocketAddr) -> Vec<Name> {
        let mut names = Vec::new();
        for (name, peers) in self.names.iter_mut() {
            let before = peers.len();
            if peers.remove_from(node) {
                self.held = self.held.saturating_sub(before - peers.len());
                names.push(name.clone());
            }
        }
        for name in &names {
            if self.names.peek(name).is_some_and(|peers| peers.len() == 0) {
                self.names.pop(name);
            }
        }
        names
    }

    /// Whether this holds for any peer of an address family.
    pub(super) fn any(&self, ipv6: bool, holds: impl Fn(&SocketAddr, &PeerRecord) -> bool) -> bool {
        self.names.iter().any(|(_, peers)| match ipv6 {
            false => peers.v4.iter().any(|(addr, record)| holds(&(*addr).into(), record)),
            true => peers.v6.iter().any(|(addr, record)| holds(&(*addr).into(), record)),
        })
    }

    /// Whether this peer of a name is held.
    pub(super) fn has(&self, name: &[u8], addr: &SocketAddr) -> bool {
        self.names.peek(name).is_some_and(|peers| peers.contains(addr))
    }

    /// The peers of a name that are alive now.
    pub(super) fn get(&mut self, name: &[u8], now: Instant) -> Option<&Peers> {
        let peers = self.names.get_mut(name)?;
        let before = peers.len();
        peers.expire(now);
        self.held = self.held.saturating_sub(before - peers.len());
        Some(&*peers).filter(|peers| peers.len() > 0)
    }

    /// Drops every peer whose time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        let mut empty = Vec::new();
        for (name, peers) in self.names.iter_mut() {
            let before = peers.len();
            if peers.expire(now) {
                self.held = self.held.saturating_sub(before - peers.len());
            }
            if peers.len() == 0 {
                empty.push(name.clone());
            }
        }
        for name in empty {
            self.names.pop(&name);
        }
    }

    /// How many names are held.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// How many names had to make room, with their peers, since the start.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How many peers are held, of all names.
    pub(super) fn peers(&self) -> usize {
        self.held
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.names.iter().map(|(name, _)| name)
    }
}

#[cfg(test)]
mod tests;
