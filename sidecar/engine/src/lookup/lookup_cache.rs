//! What lookups found, kept: a name in use is answered from memory and looked up again in the
//! background, before it goes stale.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ahash::RandomState;
use indexmap::IndexMap;
use indexmap::map::Entry;
use lru::LruCache;

use crate::peer_record::{Left, PeerRecord};
use crate::{MAX_PEERS, Name};

/// A lookup is answered from memory for this long after its lookup, or for [`SHARE`] of what a peer
/// can live, if that is less. Half of it later, a name in use is looked up again, in the
/// background. A peer without a time to live, as the Node.js Grape returns them, is kept just as
/// long.
const FRESH: Duration = Duration::from_secs(5);
const SHARE: u32 = 8;
/// Most peers that are kept of a name that has more than a lookup returns: answers from memory
/// differ, and a name of thousands takes little of it.
pub(crate) const CHOICE: usize = 4 * MAX_PEERS;

/// Peers with what is known of each.
pub(crate) type FoundPeers = IndexMap<SocketAddr, PeerRecord, RandomState>;

/// Adds what a node returned of a peer.
pub(super) fn merge(found: &mut FoundPeers, addr: SocketAddr, record: PeerRecord) {
    match found.entry(addr) {
        Entry::Occupied(mut known) => known.get_mut().merge(&addr, record),
        Entry::Vacant(place) => drop(place.insert(record)),
    }
}

#[derive(Debug)]
struct Lookup {
    peers: FoundPeers,
    refreshed: Instant,
    /// Peers went that others may have announced since.
    doubtful: bool,
}

/// How a kept lookup stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// Never looked up, or too long ago.
    Stale,
    /// Good to answer from, and due for a lookup in the background.
    Due,
    /// Good to answer from.
    Fresh,
}

/// The lookups that are kept, least recently used out first.
#[derive(Debug)]
pub(super) struct LookupCache {
    kept: LruCache<Name, Lookup, RandomState>,
    max_names: usize,
    max_age: Duration,
    fresh: Duration,
}

impl LookupCache {
    pub(super) fn new(max_names: usize, max_age: Duration) -> Self {
        let fresh = FRESH.min(max_age / SHARE);
        let kept = LruCache::unbounded_with_hasher(RandomState::new());
        Self { kept, max_names: max_names.max(1), max_age, fresh }
    }

    /// When a peer expires that was returned just now with this time to live.
    pub(super) fn expiry(&self, ttl: Option<Duration>, now: Instant) -> Instant {
        now + ttl.unwrap_or(self.fresh).min(self.max_age)
    }

    pub(super) fn age(&mut self, name: &[u8], now: Instant) -> Age {
        let lookup = self.kept.get(name).filter(|lookup| !lookup.doubtful);
        match lookup.map(|lookup| now.duration_since(lookup.refreshed)) {
            Some(age) if age < self.fresh / 2 => Age::Fresh,
            Some(age) if age < self.fresh => Age::Due,
            _ => Age::Stale,
        }
    }

    /// A lookup settled: what it found is what there is.
    pub(super) fn replace(&mut self, name: &Name, peers: FoundPeers, now: Instant) {
        self.kept.put(name.clone(), Lookup { peers, refreshed: now, doubtful: false });
        if self.kept.len() > self.max_names {
            self.kept.pop_lru();
        }
    }

    /// A late answer adds to what its lookup found.
    pub(super) fn add(&mut self, name: &[u8], addr: SocketAddr, record: PeerRecord) {
        if let Some(lookup) = self.kept.peek_mut(name) {
            merge(&mut lookup.peers, addr, record);
        }
    }

    /// A peer is no more.
    pub(super) fn remove(&mut self, name: &[u8], addr: &SocketAddr) {
        if let Some(lookup) = self.kept.peek_mut(name) {
            lookup.peers.swap_remove(addr);
        }
    }

    /// A node announces a peer no more; others may go on. `unreported` is as in [`PeerRecord::strike`].
    pub(super) fn strike(
        &mut self,
        name: &[u8],
        addr: &SocketAddr,
        node: &SocketAddr,
        unreported: bool,
    ) {
        let Some(lookup) = self.kept.peek_mut(name) else { return };
        let record = lookup.peers.get_mut(addr);
        if record.is_some_and(|record| record.strike(addr, node, unreported) == Left::Nobody) {
            lookup.peers.swap_remove(addr);
            lookup.doubtful = true;
        }
    }

    /// Drops what the node at this address announced; returns the names. `sole` says that no other
    /// node of its host is known. Otherwise another node of the host may have announced the same
    /// since the last lookup: the next lookup finds out, and subscribers are notified only then.
    pub(super) fn remove_from(
        &mut self,
        node: &SocketAddr,
        sole: bool,
        followed: impl Fn(&Name) -> bool,
    ) -> Vec<Name> {
        let mut names = Vec::new();
        for (name, lookup) in self.kept.iter_mut() {
            let (mut any, mut gone) = (false, false);
            lookup.peers.retain(|addr, record| {
                let left = record.strike(addr, node, sole);
                any |= left != Left::All;
                gone |= left == Left::Nobody;
                left != Left::Nobody || !sole && followed(name)
            });
            lookup.doubtful |= gone && !sole;
            if any {
                names.push(name.clone());
            }
        }
        names
    }

    /// Whether this holds for any peer.
    pub(super) fn any(&self, holds: impl Fn(&SocketAddr, &PeerRecord) -> bool) -> bool {
        self.kept.iter().any(|(_, lookup)| lookup.peers.iter().any(|(addr, b)| holds(addr, b)))
    }

    /// Whether the last lookup for a name found this peer.
    pub(super) fn has(&self, name: &[u8], addr: &SocketAddr) -> bool {
        self.kept.peek(name).is_some_and(|lookup| lookup.peers.contains_key(addr))
    }

    /// What the last lookup for a name found that is alive now, and whether it is rather to be
    /// reached over the other address family.
    pub(super) fn peers(
        &self,
        name: &[u8],
        now: Instant,
    ) -> impl Iterator<Item = (SocketAddr, bool)> + Clone {
        let peers = self.kept.peek(name).map(|lookup| lookup.peers.iter());
        let alive = peers.into_iter().flatten().filter(move |(_, record)| record.until() > now);
        alive.map(|(addr, record)| (*addr, record.is_alt()))
    }

    /// Drops what was neither used nor looked up in the longest time that a peer can live.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((_, oldest)) = self.kept.peek_lru() {
            if now.duration_since(oldest.refreshed) <= self.max_age {
                break;
            }
            self.kept.pop_lru();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.kept.iter().map(|(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lookup_ages() {
        let now = crate::clock::now();
        let mut lookups = LookupCache::new(2, Duration::from_secs(120));
        assert_eq!(lookups.age(b"n", now), Age::Stale);
        lookups.replace(&b"n".as_slice().into(), FoundPeers::default(), now);
        assert_eq!(lookups.age(b"n", now), Age::Fresh);
        assert_eq!(lookups.age(b"n", now + FRESH / 2), Age::Due);
        assert_eq!(lookups.age(b"n", now + FRESH), Age::Stale);
        lookups.expire(now + Duration::from_secs(121));
        assert_eq!(lookups.len(), 0);
    }

    #[test]
    fn no_peer_is_returned_after_it_expired() {
        let now = crate::clock::now();
        let lookups = &mut LookupCache::new(2, Duration::from_millis(200));
        let addr = SocketAddr::from(([10, 0, 0, 1], 1));
        let ms = Duration::from_millis;
        assert_eq!(lookups.expiry(Some(ms(70)), now), now + ms(70));
        assert_eq!(lookups.expiry(Some(ms(9000)), now), now + ms(200));
        assert_eq!(lookups.expiry(None, now), now + ms(25));
        let name: Name = b"n".as_slice().into();
        lookups.replace(
            &name,
            FoundPeers::from_iter([(addr, PeerRecord::unreported(now + ms(70)))]),
            now,
        );
        assert_eq!(lookups.peers(b"n", now + ms(69)).count(), 1);
        assert_eq!(lookups.peers(b"n", now + ms(70)).count(), 0);
    }
}
