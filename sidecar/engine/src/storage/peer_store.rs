//! The announced peers of all names.

use std::net::SocketAddr;
use std::time::Instant;

use ahash::RandomState;
use lru::LruCache;
use rand::Rng;

use super::peers::Peers;
use super::shares::Shares;
use crate::peer_record::{Announcer, Left, PeerRecord};
use crate::{Bound, Name};

/// Most announces of peers, of all names, for each name that may be held.
const ANNOUNCES_PER_NAME: usize = 15;
/// Most bytes of the names themselves, for each that may be held. Most names have a few dozen.
const NAME_BYTES: usize = 256;

/// The peers of all names held here. Where there are too many, those of the host that has the most
/// make room, the names that it announced least recently first. What our own node announced is
/// dropped last.
#[derive(Debug)]
pub(super) struct PeerStore {
    names: LruCache<Name, Peers, RandomState>,
    shares: Shares<Name>,
    max_names: usize,
    /// Peers held, of all names.
    held: usize,
    /// Announces of these.
    announces: usize,
    /// Bytes of the names.
    name_bytes: usize,
    /// Names that had to make room, since the start.
    dropped: u64,
}

impl PeerStore {
    pub(super) fn new(max_names: usize) -> Self {
        Self {
            names: LruCache::unbounded_with_hasher(RandomState::new()),
            shares: Shares::default(),
            max_names: max_names.max(1),
            held: 0,
            announces: 0,
            name_bytes: 0,
            dropped: 0,
        }
    }

    /// A node announced a peer (again).
    pub(super) fn announced(
        &mut self,
        name: &[u8],
        addr: SocketAddr,
        by: Announcer,
        rng: &mut impl Rng,
    ) {
        let known = self.names.get_key_value(name).map(|(name, _)| name.clone());
        let name = known.unwrap_or_else(|| {
            self.name_bytes += name.len();
            Name::from(name)
        });
        let peers = self.names.get_or_insert_mut(name.clone(), Peers::default);
        let announced = counted(&mut self.announces, peers, |peers| peers.announced(addr, by, rng));
        if announced.is_new {
            self.held += 1;
            self.shares.add(&name, addr.ip());
        } else {
            self.shares.renew(&*name, addr.ip());
        }
        self.forget(&name, announced.gone);
        while self.is_too_full() {
            self.make_room();
        }
    }

    fn is_too_full(&self) -> bool {
        self.names.len() > self.max_names
            || self.names.len() > 1
                && (self.announces > self.max_announces()
                    || self.name_bytes > self.max_name_bytes())
    }

    fn max_announces(&self) -> usize {
        self.max_names.saturating_mul(ANNOUNCES_PER_NAME)
    }

    fn max_name_bytes(&self) -> usize {
        self.max_names.saturating_mul(NAME_BYTES)
    }

    fn make_room(&mut self) {
        if let Some((host, name)) = self.shares.make_room() {
            let Some(peers) = self.names.peek_mut(&name) else { return };
            self.held -= counted(&mut self.announces, peers, |peers| peers.remove_host(host));
            if peers.len() == 0 {
                self.drop_name(&name);
                self.dropped += 1;
            }
        } else if let Some((name, peers)) = self.names.pop_lru() {
            self.name_bytes -= name.len();
            self.held -= peers.len();
            self.announces -= peers.announces();
            self.dropped += 1;
        }
    }

    /// These peers of a name are held no more; nor is the name, if they were the last.
    fn forget(&mut self, name: &[u8], gone: impl IntoIterator<Item = SocketAddr>) {
        for peer in gone {
            self.held -= 1;
            self.shares.remove(name, peer.ip());
        }
        if self.names.peek(name).is_some_and(|peers| peers.len() == 0) {
            self.drop_name(name);
        }
    }

    fn drop_name(&mut self, name: &[u8]) {
        if self.names.pop(name).is_some() {
            self.name_bytes -= name.len();
        }
    }

    /// Drops a peer, whichever node announced it.
    pub(super) fn remove(&mut self, name: &[u8], addr: &SocketAddr) {
        let peers = self.names.peek_mut(name);
        let removed = peers
            .is_some_and(|peers| counted(&mut self.announces, peers, |peers| peers.remove(addr)));
        self.forget(name, removed.then_some(*addr));
    }

    /// A node announces a peer no more; others may go on.
    pub(super) fn withdrawn(&mut self, name: &[u8], addr: &SocketAddr, node: &SocketAddr) -> Left {
        let peers = self.names.peek_mut(name);
        let left = peers.map_or(Left::All, |peers| {
            counted(&mut self.announces, peers, |peers| peers.strike(addr, node))
        });
        self.forget(name, (left == Left::Nobody).then_some(*addr));
        left
    }

    /// Drops what the node at this address announced; returns the names of it. What others announced
    /// too stays.
    pub(super) fn remove_from(&mut self, node: &SocketAddr) -> Vec<Name> {
        let mut names = Vec::new();
        for (name, peers) in self.names.iter_mut() {
            let (any, gone) = counted(&mut self.announces, peers, |peers| peers.remove_from(node));
            if any {
                names.push((name.clone(), gone));
            }
        }
        let forgotten = names.into_iter().map(|(name, gone)| {
            self.forget(&name, gone);
            name
        });
        forgotten.collect()
    }

    /// Whether this holds for any peer of an address family.
    pub(super) fn any(&self, ipv6: bool, holds: impl Fn(&SocketAddr, &PeerRecord) -> bool) -> bool {
        self.names.iter().any(|(_, peers)| peers.any(ipv6, &holds))
    }

    /// Whether this peer of a name is held.
    pub(super) fn has(&self, name: &[u8], addr: &SocketAddr) -> bool {
        self.names.peek(name).is_some_and(|peers| peers.contains(addr))
    }

    /// The peers of a name that are alive now.
    pub(super) fn get(&mut self, name: &[u8], now: Instant) -> Option<&Peers> {
        let peers = self.names.get_mut(name)?;
        let gone = counted(&mut self.announces, peers, |peers| peers.expire(now));
        self.forget(name, gone);
        self.names.peek(name)
    }

    /// Drops every peer whose time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        let mut ended = Vec::new();
        for (name, peers) in self.names.iter_mut() {
            let gone = counted(&mut self.announces, peers, |peers| peers.expire(now));
            if !gone.is_empty() {
                ended.push((name.clone(), gone));
            }
        }
        for (name, gone) in ended {
            self.forget(&name, gone);
        }
    }

    /// How many names are held.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// Names, their bytes, and announces of peers.
    pub(super) fn bounds(&self) -> [Bound; 3] {
        [
            Bound { used: self.names.len(), most: self.max_names },
            Bound { used: self.name_bytes, most: self.max_name_bytes() },
            Bound { used: self.announces, most: self.max_announces() },
        ]
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

/// Changes the peers of a name, and the number of announces of all names with them.
fn counted<R>(announces: &mut usize, peers: &mut Peers, change: impl FnOnce(&mut Peers) -> R) -> R {
    let before = peers.announces();
    let result = change(peers);
    *announces = *announces - before + peers.announces();
    result
}

#[cfg(test)]
mod tests;
