//! Announced peers, each with the time until which it is believed, and the node that announced it.

use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ahash::RandomState;
use indexmap::IndexMap;
use lru::LruCache;
use rand::{Rng, RngExt};

use super::addresses::means_the_same_to;

/// A service's name, as it is on the wire.
pub type Name = Arc<[u8]>;

/// Most peers of one name and family; beyond it a new peer takes the place of a random one.
const MAX_PEERS: usize = 20_000;
/// Most peers of all names, for each name that may be held.
const PEERS_PER_NAME: usize = 20;

/// What is known of a peer beside its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Belief {
    /// Until when it is believed.
    pub(super) until: Instant,
    /// The DHT port of the node that announced it, whose IP is the peer's; none where only others
    /// know, and do not tell.
    pub(super) node_port: Option<u16>,
}

impl Belief {
    /// Takes what somebody else tells of the same peer: who believes longer knows better, but who
    /// announced it is known once anybody tells.
    pub(super) fn merge(&mut self, other: Self) {
        let (longer, shorter) =
            if other.until > self.until { (other, *self) } else { (*self, other) };
        *self = Self { node_port: longer.node_port.or(shorter.node_port), ..longer };
    }

    /// Whether the node at this address announced the peer; none where nobody told.
    pub(super) fn is_from(&self, peer: &SocketAddr, node: &SocketAddr) -> Option<bool> {
        if peer.ip() != node.ip() {
            return Some(false);
        }
        self.node_port.map(|port| port == node.port())
    }
}

/// The peers of one name.
#[derive(Debug, Default)]
pub(super) struct Peers {
    v4: IndexMap<SocketAddrV4, Belief, RandomState>,
    v6: IndexMap<SocketAddrV6, Belief, RandomState>,
    /// No peer expires before this.
    next_expiry: Option<Instant>,
}

impl Peers {
    pub(super) fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// The peer at a place from 0 to [`Peers::len`].
    pub(super) fn at(&self, index: usize) -> Option<(SocketAddr, Belief)> {
        match self.v4.get_index(index) {
            Some((addr, belief)) => Some(((*addr).into(), *belief)),
            None => self
                .v6
                .get_index(index - self.v4.len())
                .map(|(addr, belief)| ((*addr).into(), *belief)),
        }
    }

    pub(super) fn contains(&self, addr: &SocketAddr) -> bool {
        match addr {
            SocketAddr::V4(addr) => self.v4.contains_key(addr),
            SocketAddr::V6(addr) => self.v6.contains_key(addr),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = SocketAddr> {
        self.v4.keys().map(|a| (*a).into()).chain(self.v6.keys().map(|a| (*a).into()))
    }

    /// A random choice of at most `count` peers of the asker's address family, of those that it can
    /// reach: loopback peers are for askers on loopback, link-local ones for those of the same link.
    pub(super) fn sample(
        &self,
        count: usize,
        asker: &SocketAddr,
        rng: &mut impl Rng,
    ) -> Vec<(SocketAddr, Belief)> {
        fn choose<A: Copy + Into<SocketAddr>>(
            peers: &IndexMap<A, Belief, RandomState>,
            count: usize,
            asker: &SocketAddr,
            rng: &mut impl Rng,
        ) -> Vec<(SocketAddr, Belief)> {
            rand::seq::index::sample(rng, peers.len(), count.min(peers.len()))
                .into_iter()
                .filter_map(|index| peers.get_index(index))
                .map(|(addr, belief)| ((*addr).into(), *belief))
                .filter(|(addr, _)| means_the_same_to(asker, addr))
                .collect()
        }
        match asker {
            SocketAddr::V4(_) => choose(&self.v4, count, asker, rng),
            SocketAddr::V6(_) => choose(&self.v6, count, asker, rng),
        }
    }

    fn insert(&mut self, addr: SocketAddr, belief: Belief, rng: &mut impl Rng) {
        fn put<A: std::hash::Hash + Eq>(
            peers: &mut IndexMap<A, Belief, RandomState>,
            addr: A,
            belief: Belief,
            rng: &mut impl Rng,
        ) {
            if peers.len() >= MAX_PEERS && !peers.contains_key(&addr) {
                peers.swap_remove_index(rng.random_range(0..peers.len()));
            }
            peers.insert(addr, belief);
        }
        match addr {
            SocketAddr::V4(addr) => put(&mut self.v4, addr, belief, rng),
            SocketAddr::V6(addr) => put(&mut self.v6, addr, belief, rng),
        }
        let until = belief.until;
        self.next_expiry = Some(self.next_expiry.map_or(until, |next| next.min(until)));
    }

    fn remove(&mut self, addr: &SocketAddr) -> bool {
        match addr {
            SocketAddr::V4(addr) => self.v4.swap_remove(addr).is_some(),
            SocketAddr::V6(addr) => self.v6.swap_remove(addr).is_some(),
        }
    }

    /// Drops the peers whose time is over; tells whether there were any.
    fn expire(&mut self, now: Instant) -> bool {
        if self.next_expiry.is_none_or(|next| next > now) {
            return false;
        }
        let before = self.len();
        self.v4.retain(|_, belief| belief.until > now);
        self.v6.retain(|_, belief| belief.until > now);
        let beliefs = self.v4.values().chain(self.v6.values());
        self.next_expiry = beliefs.map(|belief| belief.until).min();
        self.len() < before
    }

    /// Drops what the node at this address announced; tells how many that were.
    fn remove_from(&mut self, node: &SocketAddr) -> usize {
        let before = self.len();
        let stays = |peer: SocketAddr, belief: &Belief| belief.is_from(&peer, node) != Some(true);
        match node {
            SocketAddr::V4(_) => self.v4.retain(|addr, belief| stays((*addr).into(), belief)),
            SocketAddr::V6(_) => self.v6.retain(|addr, belief| stays((*addr).into(), belief)),
        }
        before - self.len()
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

    pub(super) fn insert(
        &mut self,
        name: &[u8],
        addr: SocketAddr,
        belief: Belief,
        rng: &mut impl Rng,
    ) {
        if !self.names.contains(name) {
            self.names.put(name.into(), Peers::default());
        }
        let Some(peers) = self.names.get_mut(name) else { return };
        let before = peers.len();
        peers.insert(addr, belief, rng);
        self.held += peers.len() - before;
        while self.names.len() > self.max_names
            || (self.held > self.max_names * PEERS_PER_NAME && self.names.len() > 1)
        {
            let Some((_, dropped)) = self.names.pop_lru() else { break };
            self.held = self.held.saturating_sub(dropped.len());
            self.dropped += 1;
        }
    }

    /// Tells whether the peer was held.
    pub(super) fn remove(&mut self, name: &[u8], addr: &SocketAddr) -> bool {
        let Some(peers) = self.names.peek_mut(name) else { return false };
        let removed = peers.remove(addr);
        self.held -= usize::from(removed);
        if peers.len() == 0 {
            self.names.pop(name);
        }
        removed
    }

    /// Drops what the node at this address announced; returns the names of it.
    pub(super) fn remove_from(&mut self, node: &SocketAddr) -> Vec<Name> {
        let mut names = Vec::new();
        for (name, peers) in self.names.iter_mut() {
            let removed = peers.remove_from(node);
            if removed > 0 {
                self.held = self.held.saturating_sub(removed);
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
    pub(super) fn any(&self, ipv6: bool, holds: impl Fn(&SocketAddr, &Belief) -> bool) -> bool {
        self.names.iter().any(|(_, peers)| match ipv6 {
            false => peers.v4.iter().any(|(addr, belief)| holds(&(*addr).into(), belief)),
            true => peers.v6.iter().any(|(addr, belief)| holds(&(*addr).into(), belief)),
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

    pub(super) fn names(&self) -> impl Iterator<Item = (&Name, &Peers)> {
        self.names.iter()
    }
}

/// How long a peer is still to be believed.
pub(super) fn time_left(expires: Instant, now: Instant) -> Duration {
    expires.saturating_duration_since(now)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn until(until: Instant) -> Belief {
        Belief { until, node_port: Some(20001) }
    }

    fn addr(host: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], port))
    }

    #[test]
    fn several_ports_of_one_host_are_kept_and_expire_to_the_millisecond() {
        let (mut rng, now) = (StdRng::seed_from_u64(1), crate::clock::now());
        let mut store = PeerStore::new(10);
        let later = |ms| now + Duration::from_millis(ms);
        store.insert(b"n", addr(1, 1), until(later(200)), &mut rng);
        store.insert(b"n", addr(1, 2), until(later(201)), &mut rng);
        assert_eq!(store.get(b"n", later(199)).unwrap().len(), 2);
        assert_eq!(store.get(b"n", later(200)).unwrap().iter().collect::<Vec<_>>(), [addr(1, 2)]);
        assert!(store.get(b"n", later(201)).is_none());
        store.expire(later(201));
        assert_eq!((store.len(), store.peers()), (0, 0));
    }

    #[test]
    fn a_peer_announced_again_lives_longer() {
        let (mut rng, now) = (StdRng::seed_from_u64(1), crate::clock::now());
        let mut store = PeerStore::new(10);
        let later = |ms| now + Duration::from_millis(ms);
        store.insert(b"n", addr(1, 1), until(later(100)), &mut rng);
        store.insert(b"n", addr(1, 1), until(later(300)), &mut rng);
        assert!(store.get(b"n", later(299)).is_some());
        assert_eq!(store.peers(), 1);
    }

    #[test]
    fn the_least_recently_used_name_goes_first() {
        let (mut rng, now) = (StdRng::seed_from_u64(1), crate::clock::now());
        let mut store = PeerStore::new(2);
        let expires = now + Duration::from_secs(1);
        store.insert(b"a", addr(1, 1), until(expires), &mut rng);
        store.insert(b"b", addr(1, 1), until(expires), &mut rng);
        assert!(store.get(b"a", now).is_some());
        store.insert(b"c", addr(1, 1), until(expires), &mut rng);
        assert!(store.get(b"b", now).is_none());
        assert!(store.get(b"a", now).is_some() && store.get(b"c", now).is_some());
        assert_eq!((store.peers(), store.dropped()), (2, 1));
    }

    #[test]
    fn loopback_peers_are_for_askers_on_loopback() {
        let (mut rng, now) = (StdRng::seed_from_u64(1), crate::clock::now());
        let mut store = PeerStore::new(2);
        let expires = now + Duration::from_secs(1);
        store.insert(b"a", SocketAddr::from(([127, 0, 0, 1], 1)), until(expires), &mut rng);
        store.insert(b"a", addr(1, 1), until(expires), &mut rng);
        let peers = store.get(b"a", now).unwrap();
        assert_eq!(peers.sample(9, &SocketAddr::from(([127, 0, 0, 1], 9)), &mut rng).len(), 2);
        assert_eq!(peers.sample(9, &addr(9, 9), &mut rng).len(), 1);
    }

    #[test]
    fn a_sample_of_many_is_even() {
        let (mut rng, now) = (StdRng::seed_from_u64(1), crate::clock::now());
        let mut store = PeerStore::new(100);
        for port in 1..=1000 {
            store.insert(b"a", addr(1, port), until(now + Duration::from_secs(1)), &mut rng);
        }
        let peers = store.get(b"a", now).unwrap();
        let mut seen = vec![0u32; 1001];
        for _ in 0..1000 {
            for (addr, _) in peers.sample(100, &addr(9, 9), &mut rng) {
                seen[usize::from(addr.port())] += 1;
            }
        }
        // Chi-square over 1,000 cells of 100 each: 999 degrees of freedom, far out at 1,200.
        let chi: f64 = seen[1..].iter().map(|n| (f64::from(*n) - 100.0).powi(2) / 100.0).sum();
        assert!(chi < 1200.0, "{chi}");
    }

    #[test]
    fn what_a_node_announced_goes_with_it() {
        let (mut rng, now) = (StdRng::seed_from_u64(1), crate::clock::now());
        let mut store = PeerStore::new(10);
        let from = |port| Belief { until: now + Duration::from_secs(1), node_port: Some(port) };
        store.insert(b"a", addr(1, 1), from(7), &mut rng);
        store.insert(b"a", addr(1, 2), from(8), &mut rng);
        store.insert(b"a", addr(2, 1), from(7), &mut rng);
        store.insert(b"b", addr(1, 1), from(7), &mut rng);
        let mut names = store.remove_from(&addr(1, 7));
        names.sort();
        assert_eq!(names, [Name::from(b"a".as_slice()), Name::from(b"b".as_slice())]);
        let left: Vec<_> = store.get(b"a", now).unwrap().iter().collect();
        assert_eq!(left.len(), 2);
        assert!(left.contains(&addr(1, 2)) && left.contains(&addr(2, 1)));
        assert_eq!((store.len(), store.peers()), (1, 2));
    }

    #[test]
    fn who_announced_a_peer_is_known_once_anybody_tells() {
        let now = crate::clock::now();
        let later = now + Duration::from_secs(1);
        let mut belief = Belief { until: now, node_port: Some(1) };
        belief.merge(Belief { until: later, node_port: None });
        assert_eq!(belief, Belief { until: later, node_port: Some(1) });
        belief.merge(Belief { until: now, node_port: Some(2) });
        assert_eq!(belief, Belief { until: later, node_port: Some(1) });
        assert_eq!(belief.is_from(&addr(1, 9), &addr(1, 1)), Some(true));
        assert_eq!(belief.is_from(&addr(1, 9), &addr(1, 2)), Some(false));
        assert_eq!(belief.is_from(&addr(1, 9), &addr(2, 1)), Some(false));
        let untold = Belief { node_port: None, ..belief };
        assert_eq!(untold.is_from(&addr(1, 9), &addr(1, 1)), None);
    }
}
