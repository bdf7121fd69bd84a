//! What lookups found, kept: a name in use is answered from memory and looked up again in the
//! background, before it goes stale.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ahash::RandomState;
use indexmap::IndexMap;
use indexmap::map::Entry;
use lru::LruCache;

use crate::peer_record::{Left, PeerRecord};
use crate::{Bound, MAX_PEERS, Name};

/// A lookup is answered from memory for this long after its lookup, or for [`SHARE`] of what a peer
/// can live, if that is less. Half of it later, a name in use is looked up again, in the
/// background. A peer without a time to live, as the Node.js Grape returns them, is kept just as
/// long.
const FRESH: Duration = Duration::from_secs(5);
const SHARE: u32 = 8;
/// Most peers that are kept of a name that has more than a lookup returns: answers from memory
/// differ, and a name of thousands takes little of it.
pub(crate) const CHOICE: usize = 4 * MAX_PEERS;
/// Most bytes of all that is kept, for each name that may be kept.
const BYTES_PER_NAME: usize = 512;
/// What a name takes beside its own bytes and its peers, and what a peer takes beside its record.
const ENTRY_BYTES: usize = 160;
const PEER_BYTES: usize = 80;

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

impl Lookup {
    /// About how many bytes it takes, with its name.
    fn bytes(&self, name: &[u8]) -> usize {
        ENTRY_BYTES + name.len() + self.peers.values().map(bytes_of).sum::<usize>()
    }

    /// About how many bytes this peer takes, if it is there.
    fn bytes_of(&self, addr: &SocketAddr) -> usize {
        self.peers.get(addr).map_or(0, bytes_of)
    }
}

fn bytes_of(record: &PeerRecord) -> usize {
    PEER_BYTES + record.bytes()
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
    /// About how many bytes they take.
    bytes: usize,
    max_names: usize,
    max_age: Duration,
    fresh: Duration,
}

impl LookupCache {
    pub(super) fn new(max_names: usize, max_age: Duration) -> Self {
        let fresh = FRESH.min(max_age / SHARE);
        let kept = LruCache::unbounded_with_hasher(RandomState::new());
        Self { kept, bytes: 0, max_names: max_names.max(1), max_age, fresh }
    }

    /// Names, and about how many bytes they take with their peers.
    pub(super) fn bounds(&self) -> [Bound; 2] {
        let bytes = Bound { used: self.bytes, most: self.max_bytes() };
        [Bound { used: self.kept.len(), most: self.max_names }, bytes]
    }

    fn max_bytes(&self) -> usize {
        self.max_names.saturating_mul(BYTES_PER_NAME)
    }

    /// Drops the least recently used while there is too much, but for the last one.
    fn make_room(&mut self) {
        while self.kept.len() > self.max_names
            || self.bytes > self.max_bytes() && self.kept.len() > 1
        {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((name, lookup)) = self.kept.pop_lru() {
            self.bytes -= lookup.bytes(&name);
        }
    }

    /// Changes what is kept of one peer of a name, if the name is kept.
    fn change(&mut self, name: &[u8], addr: &SocketAddr, change: impl FnOnce(&mut Lookup)) {
        let Some(lookup) = self.kept.peek_mut(name) else { return };
        let before = lookup.bytes_of(addr);
        change(lookup);
        self.bytes = self.bytes - before + lookup.bytes_of(addr);
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
        let lookup = Lookup { peers, refreshed: now, doubtful: false };
        self.bytes += lookup.bytes(name);
        if let Some(before) = self.kept.put(name.clone(), lookup) {
            self.bytes -= before.bytes(name);
        }
        self.make_room();
    }

    /// A late answer adds to what its lookup found.
    pub(super) fn add(&mut self, name: &[u8], addr: SocketAddr, record: PeerRecord) {
        self.change(name, &addr, |lookup| {
            if lookup.peers.len() < CHOICE || lookup.peers.contains_key(&addr) {
                merge(&mut lookup.peers, addr, record);
            }
        });
        self.make_room();
    }

    /// A peer is no more.
    pub(super) fn remove(&mut self, name: &[u8], addr: &SocketAddr) {
        self.change(name, addr, |lookup| drop(lookup.peers.swap_remove(addr)));
    }

    /// A node announces a peer no more; others may go on. `unreported` is as in [`PeerRecord::strike`].
    pub(super) fn strike(
        &mut self,
        name: &[u8],
        addr: &SocketAddr,
        node: &SocketAddr,
        unreported: bool,
    ) {
        self.change(name, addr, |lookup| {
            let record = lookup.peers.get_mut(addr);
            if record.is_some_and(|record| record.strike(addr, node, unreported) == Left::Nobody) {
                lookup.peers.swap_remove(addr);
                lookup.doubtful = true;
            }
        });
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
            let bytes = &mut self.bytes;
            lookup.peers.retain(|addr, record| {
                let before = bytes_of(record);
                let left = record.strike(addr, node, sole);
                any |= left != Left::All;
                gone |= left == Left::Nobody;
                let stays = left != Left::Nobody || !sole && followed(name);
                *bytes = *bytes - before + if stays { bytes_of(record) } else { 0 };
                stays
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
            self.drop_oldest();
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
    use crate::peer_record::Announcer;

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

    fn several(peer: &SocketAddr, until: Instant) -> PeerRecord {
        let node = |port| SocketAddr::from(([10, 9, 9, 9], port));
        let by = |port| Announcer { addr: node(port), until, alt: false };
        let mut record = PeerRecord::of(peer, by(1));
        record.announced(peer, by(2));
        record
    }

    #[test]
    fn what_is_kept_is_bounded_by_bytes() {
        let now = crate::clock::now();
        let until = now + Duration::from_secs(9);
        let mut lookups = LookupCache::new(100, Duration::from_secs(120));
        let name = |n: u8| Name::from([n; 1000]);
        let peers = || {
            let addrs = (0..40).map(|port| SocketAddr::from(([10, 0, 0, 1], port)));
            addrs.map(|addr| (addr, several(&addr, until))).collect::<FoundPeers>()
        };
        for n in 0..100 {
            lookups.replace(&name(n), peers(), now);
        }
        let [names, bytes] = lookups.bounds();
        assert!(names.used < 20 && bytes.used <= 100 * BYTES_PER_NAME, "{names:?} {bytes:?}");
        assert!(lookups.has(&name(99), &SocketAddr::from(([10, 0, 0, 1], 7))));

        // What changes is counted.
        let late = SocketAddr::from(([10, 0, 0, 2], 1));
        lookups.add(&name(99), late, several(&late, until));
        lookups.add(&name(99), late, several(&late, until));
        lookups.strike(&name(99), &late, &SocketAddr::from(([10, 9, 9, 9], 1)), true);
        lookups.remove_from(&SocketAddr::from(([10, 9, 9, 9], 2)), true, |_| false);
        lookups.remove(&name(98), &SocketAddr::from(([10, 0, 0, 1], 3)));
        lookups.replace(&name(99), FoundPeers::default(), now);
        let counted: usize = lookups.kept.iter().map(|(name, kept)| kept.bytes(name)).sum();
        assert_eq!(lookups.bounds()[1].used, counted);
        lookups.expire(now + Duration::from_secs(121));
        assert_eq!(lookups.bounds().map(|bound| bound.used), [0, 0]);
    }

    #[test]
    fn the_last_lookup_is_kept_however_large() {
        let now = crate::clock::now();
        let mut lookups = LookupCache::new(1, Duration::from_secs(120));
        let peer = |n: u16| SocketAddr::from(([10, 0, 0, 1], n));
        let record = || PeerRecord::unreported(now + Duration::from_secs(9));
        let peers = (0..300).map(|n| (peer(n), record())).collect();
        let name = Name::from(*b"n");
        lookups.replace(&name, peers, now);
        for n in 0..500 {
            lookups.add(&name, peer(n), record());
        }
        assert_eq!(lookups.peers(&name, now).count(), CHOICE);
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
