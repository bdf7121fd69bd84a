//! What lookups found, kept: a name in use is answered from memory and walked for again in the
//! background, before it goes stale.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ahash::RandomState;
use indexmap::IndexMap;
use lru::LruCache;

use super::MAX_PEERS;
use super::peers::{Belief, Name};

/// A lookup is answered from memory for this long after its walk, or for [`SHARE`] of what a peer
/// can live, if that is less. Half of it later, a name in use is walked for again, in the
/// background. A peer whose node tells no time, as the Node.js Grape does not, is believed just as
/// long.
const FRESH: Duration = Duration::from_secs(5);
const SHARE: u32 = 8;
/// Most peers that are kept of a name that has more than a lookup returns: answers from memory
/// differ, and a name of thousands takes little of it.
pub(super) const CHOICE: usize = 4 * MAX_PEERS;

/// Peers with what is known of each.
pub(super) type Found = IndexMap<SocketAddr, Belief, RandomState>;

#[derive(Debug)]
struct Lookup {
    peers: Found,
    walked: Instant,
}

/// How a kept lookup stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// Never walked, or too long ago.
    Stale,
    /// Good to answer from, and due for a walk in the background.
    Due,
    /// Good to answer from.
    Fresh,
}

/// The lookups that are kept, least recently used out first.
#[derive(Debug)]
pub(super) struct Lookups {
    kept: LruCache<Name, Lookup, RandomState>,
    max_names: usize,
    max_age: Duration,
    fresh: Duration,
}

impl Lookups {
    pub(super) fn new(max_names: usize, max_age: Duration) -> Self {
        let fresh = FRESH.min(max_age / SHARE);
        let kept = LruCache::unbounded_with_hasher(RandomState::new());
        Self { kept, max_names: max_names.max(1), max_age, fresh }
    }

    /// Until when a peer is believed that was told of just now with this time to live.
    pub(super) fn expiry(&self, ttl: Option<Duration>, now: Instant) -> Instant {
        now + ttl.unwrap_or(self.fresh).min(self.max_age)
    }

    pub(super) fn age(&mut self, name: &[u8], now: Instant) -> Age {
        match self.kept.get(name).map(|lookup| now.duration_since(lookup.walked)) {
            Some(age) if age < self.fresh / 2 => Age::Fresh,
            Some(age) if age < self.fresh => Age::Due,
            _ => Age::Stale,
        }
    }

    /// A walk settled: what it found is what there is.
    pub(super) fn replace(&mut self, name: &Name, peers: Found, now: Instant) {
        self.kept.put(name.clone(), Lookup { peers, walked: now });
        if self.kept.len() > self.max_names {
            self.kept.pop_lru();
        }
    }

    /// A late answer adds to what its walk found.
    pub(super) fn add(&mut self, name: &[u8], addr: SocketAddr, belief: Belief) {
        if let Some(lookup) = self.kept.peek_mut(name) {
            lookup.peers.entry(addr).or_insert(belief).merge(belief);
        }
    }

    /// A peer withdrew.
    pub(super) fn remove(&mut self, name: &[u8], addr: &SocketAddr) {
        if let Some(lookup) = self.kept.peek_mut(name) {
            lookup.peers.swap_remove(addr);
        }
    }

    /// Drops the peers of which this holds; returns the names of them.
    pub(super) fn remove_where(
        &mut self,
        gone: impl Fn(&SocketAddr, &Belief) -> bool,
    ) -> Vec<Name> {
        let mut names = Vec::new();
        for (name, lookup) in self.kept.iter_mut() {
            let before = lookup.peers.len();
            lookup.peers.retain(|addr, belief| !gone(addr, belief));
            if lookup.peers.len() < before {
                names.push(name.clone());
            }
        }
        names
    }

    /// Whether this holds for any peer.
    pub(super) fn any(&self, holds: impl Fn(&SocketAddr, &Belief) -> bool) -> bool {
        self.kept.iter().any(|(_, lookup)| lookup.peers.iter().any(|(addr, b)| holds(addr, b)))
    }

    /// Whether the last walk for a name found this peer.
    pub(super) fn has(&self, name: &[u8], addr: &SocketAddr) -> bool {
        self.kept.peek(name).is_some_and(|lookup| lookup.peers.contains_key(addr))
    }

    /// What the last walk for a name found that is alive now.
    pub(super) fn peers(
        &self,
        name: &[u8],
        now: Instant,
    ) -> impl Iterator<Item = SocketAddr> + Clone {
        let peers = self.kept.peek(name).map(|lookup| lookup.peers.iter());
        peers.into_iter().flatten().filter(move |(_, belief)| belief.until > now).map(|(a, _)| *a)
    }

    /// Drops what was neither used nor walked for in the longest time that a peer can live.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((_, oldest)) = self.kept.peek_lru() {
            if now.duration_since(oldest.walked) <= self.max_age {
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
        let mut lookups = Lookups::new(2, Duration::from_secs(120));
        assert_eq!(lookups.age(b"n", now), Age::Stale);
        lookups.replace(&b"n".as_slice().into(), Found::default(), now);
        assert_eq!(lookups.age(b"n", now), Age::Fresh);
        assert_eq!(lookups.age(b"n", now + FRESH / 2), Age::Due);
        assert_eq!(lookups.age(b"n", now + FRESH), Age::Stale);
        lookups.expire(now + Duration::from_secs(121));
        assert_eq!(lookups.len(), 0);
    }

    #[test]
    fn no_peer_is_believed_beyond_its_time() {
        let now = crate::clock::now();
        let lookups = &mut Lookups::new(2, Duration::from_millis(200));
        let addr = SocketAddr::from(([10, 0, 0, 1], 1));
        let ms = Duration::from_millis;
        assert_eq!(lookups.expiry(Some(ms(70)), now), now + ms(70));
        assert_eq!(lookups.expiry(Some(ms(9000)), now), now + ms(200));
        assert_eq!(lookups.expiry(None, now), now + ms(25));
        let name: Name = b"n".as_slice().into();
        lookups.replace(
            &name,
            Found::from_iter([(addr, Belief { until: now + ms(70), node_port: None })]),
            now,
        );
        assert_eq!(lookups.peers(b"n", now + ms(69)).count(), 1);
        assert_eq!(lookups.peers(b"n", now + ms(70)).count(), 0);
    }
}
