//! Lookups: those under way, and what earlier ones found.
//!
//! | file | concern |
//! |---|---|
//! | `iterative_lookup.rs` | which node to ask next, and when enough have answered |
//! | `iterative_lookup/shortlist.rs` | the closest nodes of one address family |
//! | `active_lookup.rs` | a lookup under way: what was found so far, and what follows |
//! | `lookup_cache.rs` | what lookups found, kept for those who ask again |

mod active_lookup;
mod iterative_lookup;
mod lookup_cache;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ahash::RandomState;
use mainline::Id;

use crate::capacity::capacity;
use crate::errors::Errand;
use crate::peer_record::PeerRecord;
use crate::routing::Routing;
use crate::{Bound, Name, Settings};

pub(crate) use active_lookup::{ActiveLookup, OnComplete, Target};
use lookup_cache::LookupCache;
pub(crate) use lookup_cache::{Age, CHOICE, FoundPeers};

/// A lookup settles with what it has after this: Grenache's clients give up after 2.5 seconds.
pub(crate) const LONGEST: Duration = Duration::from_secs(2);

/// The lookups of this node.
#[derive(Debug)]
pub(crate) struct Lookups {
    own: Id,
    concurrency: usize,
    active: HashMap<u64, ActiveLookup, RandomState>,
    /// The last lookup of each target that is under way.
    numbers: HashMap<Target, u64, RandomState>,
    /// What is to be looked up once the node has joined.
    waiting: Vec<(Target, OnComplete)>,
    cache: LookupCache,
}

impl Lookups {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            own: settings.id,
            concurrency: settings.concurrency,
            active: HashMap::default(),
            numbers: HashMap::default(),
            waiting: Vec::new(),
            cache: LookupCache::new(settings.max_names, settings.peer_max_age),
        }
    }

    /// This is to be looked up later: see [`Lookups::take_waiting`].
    pub(crate) fn wait(&mut self, target: Target, then: OnComplete) {
        self.waiting.push((target, then));
    }

    pub(crate) fn take_waiting(&mut self) -> Vec<(Target, OnComplete)> {
        std::mem::take(&mut self.waiting)
    }

    /// The lookup of a target that is under way, and has not settled.
    pub(crate) fn under_way(&self, target: &Target) -> Option<u64> {
        let number = *self.numbers.get(target)?;
        self.active.get(&number).is_some_and(|active| !active.is_settled()).then_some(number)
    }

    /// Begins a lookup. It ends after [`LONGEST`].
    pub(crate) fn begin(&mut self, number: u64, target: Target, routing: &Routing) {
        self.numbers.insert(target.clone(), number);
        let active = ActiveLookup::new(target, self.own, self.concurrency, routing);
        self.active.insert(number, active);
    }

    /// Takes a lookup out, to be put back when it was dealt with.
    pub(crate) fn take(&mut self, number: u64) -> Option<ActiveLookup> {
        self.active.remove(&number)
    }

    /// Puts a lookup back, unless it has finished: no query is out any more.
    pub(crate) fn put_back(&mut self, number: u64, active: ActiveLookup) {
        if !active.is_finished() {
            self.active.insert(number, active);
        } else if self.numbers.get(active.target()) == Some(&number) {
            self.numbers.remove(active.target());
        }
    }

    pub(crate) fn is_active(&self, number: u64) -> bool {
        self.active.contains_key(&number)
    }

    /// What a lookup is for.
    pub(crate) fn errand(&self, number: u64) -> Option<Errand<'_>> {
        self.active.get(&number).map(ActiveLookup::errand)
    }

    /// Whether a hasty end of a lookup could miss what there is to find.
    pub(crate) fn found_nothing(&self, number: u64) -> bool {
        self.active.get(&number).is_some_and(ActiveLookup::found_nothing)
    }

    /// An answer takes longer than is waited for.
    pub(crate) fn slow(&mut self, number: u64, asked: Option<Id>, addr: SocketAddr) {
        if let Some(active) = self.active.get_mut(&number) {
            active.slow(asked, addr);
        }
    }

    /// No answer came, or a refusal.
    pub(crate) fn failed(&mut self, number: u64, asked: Option<Id>, addr: SocketAddr) {
        if let Some(active) = self.active.get_mut(&number) {
            active.failed(asked, addr);
        }
    }

    /// A peer is no more: what was found of it is of no account.
    pub(crate) fn forget_peer(&mut self, name: &[u8], peer: &SocketAddr) {
        self.cache.remove(name, peer);
        let all = self.active.values_mut().filter(|active| active.is_for(name));
        all.for_each(|active| active.forget_peer(peer));
    }

    /// A node announces a peer no more: what was found of it follows. `unreported` is as in
    /// [`PeerRecord::strike`].
    pub(crate) fn strike(
        &mut self,
        name: &[u8],
        peer: &SocketAddr,
        node: &SocketAddr,
        unreported: bool,
    ) {
        self.cache.strike(name, peer, node, unreported);
        let all = self.active.values_mut().filter(|active| active.is_for(name));
        all.for_each(|active| active.strike(peer, node, unreported));
    }

    /// Drops what the node at this address announced; returns the names of it that are kept. `sole`
    /// says that no other node of its host is known; `is_followed`, that somebody follows a name.
    pub(crate) fn remove_peers_of(
        &mut self,
        node: &SocketAddr,
        sole: bool,
        is_followed: impl Fn(&Name) -> bool,
    ) -> Vec<Name> {
        let names = self.cache.remove_from(node, sole, is_followed);
        self.active.values_mut().for_each(|active| active.remove_peers_of(node, sole));
        names
    }

    /// Whether this holds for any peer that was found.
    pub(crate) fn any_peer(&self, holds: impl Fn(&SocketAddr, &PeerRecord) -> bool) -> bool {
        let found = |active: &ActiveLookup| active.peers().iter().any(|(p, r)| holds(p, r));
        self.cache.any(&holds) || self.active.values().any(found)
    }

    /// When a peer expires that was returned just now with this time to live.
    pub(crate) fn expiry(&self, ttl: Option<Duration>, now: Instant) -> Instant {
        self.cache.expiry(ttl, now)
    }

    /// How what is kept of a name stands.
    pub(crate) fn age(&mut self, name: &[u8], now: Instant) -> Age {
        self.cache.age(name, now)
    }

    /// A lookup settled: what it found is what there is.
    pub(crate) fn keep(&mut self, name: &Name, peers: FoundPeers, now: Instant) {
        self.cache.replace(name, peers, now);
    }

    /// A late answer adds to what its lookup found.
    pub(crate) fn keep_late(&mut self, name: &[u8], addr: SocketAddr, record: PeerRecord) {
        self.cache.add(name, addr, record);
    }

    /// Whether the last lookup of a name found this peer.
    pub(crate) fn has_kept(&self, name: &[u8], peer: &SocketAddr) -> bool {
        self.cache.has(name, peer)
    }

    /// What the last lookup of a name found that is alive now, and whether it is rather to be
    /// reached over the other address family.
    pub(crate) fn kept_peers(
        &self,
        name: &[u8],
        now: Instant,
    ) -> impl Iterator<Item = (SocketAddr, bool)> + Clone {
        self.cache.peers(name, now)
    }

    /// How many names have lookups that are kept.
    pub(crate) fn kept(&self) -> usize {
        self.cache.len()
    }

    /// Names whose lookups are kept, and about how many bytes these take.
    pub(crate) fn bounds(&self) -> [Bound; 2] {
        self.cache.bounds()
    }

    pub(crate) fn kept_names(&self) -> impl Iterator<Item = &Name> {
        self.cache.names()
    }

    /// Drops what was not asked for in a long time. Due every second.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.cache.expire(now);
    }

    /// Gives back room that a burst took.
    pub(crate) fn shrink(&mut self) {
        self.active.shrink_to(capacity(self.active.len()));
        self.numbers.shrink_to(capacity(self.numbers.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diversity::Diversity;
    use crate::krpc::Contact;

    fn name() -> Name {
        b"rpc_test".as_slice().into()
    }

    #[test]
    fn one_lookup_of_a_target_is_under_way_until_it_settles() {
        let now = crate::clock::now();
        let settings = Settings::new(Id::from([0xff; 20]), 1);
        let diversity = Diversity::default();
        let mut routing = Routing::new(settings.id, settings.node_liveness, diversity, now);
        let node = Contact { id: Id::from([1; 20]), addr: SocketAddr::from(([10, 0, 0, 1], 1)) };
        routing.heard(node, true, now);
        let mut lookups = Lookups::new(&settings);
        let target = Target::Peers(name());
        assert_eq!(lookups.under_way(&target), None);
        lookups.begin(7, target.clone(), &routing);
        assert_eq!(lookups.under_way(&target), Some(7));
        let mut active = lookups.take(7).unwrap();
        assert_eq!(active.next(&routing, now).map(|ask| ask.addr), Some(node.addr));
        assert!(active.next(&routing, now).is_none() && !active.settles());
        lookups.put_back(7, active);
        lookups.slow(7, Some(node.id), node.addr);
        let mut active = lookups.take(7).unwrap();
        assert!(!active.time_is_over(), "there is nobody else to ask");
        assert!(active.settles() && !active.settles());
        lookups.put_back(7, active);
        assert!(lookups.is_active(7), "it takes late answers");
        assert_eq!(lookups.under_way(&target), None);
        lookups.failed(7, Some(node.id), node.addr);
        let finished = lookups.take(7).unwrap();
        lookups.put_back(7, finished);
        assert!(!lookups.is_active(7));
    }
}
