//! News of deaths and withdrawals, on their way to every node of our kind along Kademlia's tree:
//! each tells it to a few nodes of each of its buckets, and they tell it to those that are closer
//! to them.
//!
//! Nobody believes a notice: who hears of a death asks the dead one first, and who hears of a
//! withdrawal (`withdrawals.rs`) asks those who held the peer. Of a node that we know nothing of,
//! the death stays unconfirmed: nobody can have us ask strangers.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use lru::LruCache;
use rand::seq::{IteratorRandom, SliceRandom};

use super::Name;
use super::addresses::means_the_same_to;
use super::engine::Engine;
use super::monitors::same_subnet;
use super::probes::Tell;
use super::rate_limiter::RateLimiter;
use super::transactions::{Pending, Purpose};
use crate::krpc::{Contact, Method};

/// How many nodes of a bucket are told.
const FAN_OUT: usize = 2;
/// How often the same is told when no answer comes, each time to one more node.
const TRIES: u8 = 3;
/// How often a node is asked before a notice of its death is believed.
pub(super) const VERIFIED: u8 = 3;
/// Copies of a notice that come within this are one.
const REMEMBERED: Duration = Duration::from_secs(5);
/// Most notices that are remembered.
const CAPACITY: usize = 1024;
/// Where one died, others may have: that many are asked …
const SWEEP: usize = 16;
/// … so often that on bad links one false death does not make others.
const SWEPT: u8 = 3;
/// Who was heard within this is not asked.
const HEARD_LATELY: Duration = Duration::from_secs(1);
/// A depth below every bucket: to be told to nobody else.
pub(super) const NOBODY_ELSE: u8 = u8::MAX;

/// What a notice is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Topic {
    /// The node at this address is dead.
    Dead(SocketAddr),
    /// A peer of a name was withdrawn.
    Withdrawn { name: Name, peer: SocketAddr },
}

impl Topic {
    /// Whom it is about: nodes of its address family are told.
    fn addr(&self) -> SocketAddr {
        match self {
            Self::Dead(addr) => *addr,
            Self::Withdrawn { peer, .. } => *peer,
        }
    }
}

/// What one node tells another, and is to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rumor {
    Notice { topic: Topic, depth: u8 },
    Forgotten,
}

impl Rumor {
    fn method(&self) -> Method<'_> {
        match self {
            Self::Notice { topic: Topic::Dead(addr), depth } => {
                Method::Dead { addr: *addr, depth: *depth }
            }
            Self::Notice { topic: Topic::Withdrawn { name, peer }, depth } => {
                Method::Withdrawn { info_hash: name.as_ref().into(), addr: *peer, depth: *depth }
            }
            Self::Forgotten => Method::Forgotten,
        }
    }
}

/// The notices that were handled lately.
#[derive(Debug)]
pub(super) struct Gossip {
    /// The least depth that each was told from, and when it was first heard.
    handled: LruCache<Topic, (u8, Instant)>,
    deaths: RateLimiter,
    withdrawals: RateLimiter,
}

impl Gossip {
    pub(super) fn new(now: Instant) -> Self {
        let (deaths, withdrawals) = (RateLimiter::new(now), RateLimiter::new(now));
        Self { handled: LruCache::unbounded(), deaths, withdrawals }
    }

    /// Drops those of which a copy would be news.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((_, (_, since))) = self.handled.peek_lru()
            && now.duration_since(*since) >= REMEMBERED
        {
            self.handled.pop_lru();
        }
    }

    fn known(&self, topic: &Topic, now: Instant) -> Option<(u8, Instant)> {
        let known = self.handled.peek(topic).copied();
        known.filter(|(_, since)| now.duration_since(*since) < REMEMBERED)
    }

    /// Which buckets a notice is to be told to, and whether it is news; none when it is a copy, or
    /// one too many. `found` says that we know it ourselves.
    fn handle(
        &mut self,
        topic: &Topic,
        depth: u8,
        found: bool,
        now: Instant,
    ) -> Option<(Range<u8>, bool)> {
        let known = self.known(topic, now);
        if known.is_some_and(|(least, _)| least <= depth) {
            return None;
        }
        let limiter = match topic {
            Topic::Dead(_) => &mut self.deaths,
            Topic::Withdrawn { .. } => &mut self.withdrawals,
        };
        if !found && !limiter.take(now) {
            return None;
        }
        let (least, since) = known.unwrap_or((NOBODY_ELSE, now));
        self.handled.put(topic.clone(), (depth, since));
        if self.handled.len() > CAPACITY {
            self.handled.pop_lru();
        }
        Some((depth..least, known.is_none()))
    }
}

impl Engine {
    /// We found a node dead: tells all others, and asks those whom the same may have hit.
    pub(super) fn tell_of_death(&mut self, addr: SocketAddr, now: Instant) {
        self.tell_all_of_death(addr, now);
        let nodes = self.v4.nodes().chain(self.v6.nodes());
        let silent = nodes.filter(|n| n.ours && now.duration_since(n.heard) >= HEARD_LATELY);
        let mut silent: Vec<_> = silent.map(|node| node.contact.addr).collect();
        silent.shuffle(&mut self.rng);
        silent.sort_by_key(|other| !same_subnet(other.ip(), addr.ip()));
        for other in silent.into_iter().take(SWEEP) {
            self.probe(other, SWEPT, Tell::Always, now);
        }
    }

    /// Nobody answers at this address any more: tells all others.
    pub(super) fn tell_all_of_death(&mut self, addr: SocketAddr, now: Instant) {
        let topic = Topic::Dead(addr);
        if let Some((buckets, _)) = self.gossip.handle(&topic, 0, true, now) {
            self.spread(&topic, buckets, now);
        }
    }

    /// A peer that we held was withdrawn: tells all others, unless somebody told us.
    pub(super) fn tell_of_withdrawal(&mut self, topic: Topic, now: Instant) {
        if self.gossip.known(&topic, now).is_none()
            && let Some((buckets, _)) = self.gossip.handle(&topic, 0, false, now)
        {
            self.spread(&topic, buckets, now);
        }
    }

    /// A node told us of a death.
    pub(super) fn on_dead(&mut self, addr: SocketAddr, depth: u8, now: Instant) {
        if self.is_itself(&addr) || !self.take_notice(Topic::Dead(addr), depth, now) {
            return;
        }
        if self.dead_nodes.contains(&addr) {
            return;
        }
        if self.knows_of(&addr) {
            self.probe(addr, VERIFIED, Tell::Never, now);
        } else {
            self.unconfirmed_deaths.insert(addr, now);
        }
    }

    /// Passes a notice on. Returns whether it is news.
    pub(super) fn take_notice(&mut self, topic: Topic, depth: u8, now: Instant) -> bool {
        let handled = self.gossip.handle(&topic, depth, false, now);
        handled.is_some_and(|(buckets, is_news)| {
            self.spread(&topic, buckets, now);
            is_news
        })
    }

    /// A node still tells of what a dead one announced: it may have missed the notice.
    pub(super) fn remind(&mut self, to: Contact, dead: SocketAddr, now: Instant) {
        if to.addr != dead {
            let rumor = Rumor::Notice { topic: Topic::Dead(dead), depth: NOBODY_ELSE };
            self.send_rumor(to, &rumor, 0, now);
        }
    }

    fn spread(&mut self, topic: &Topic, buckets: Range<u8>, now: Instant) {
        let deepest = self.table(&topic.addr()).buckets();
        let deepest = u8::try_from(deepest).unwrap_or(NOBODY_ELSE);
        for bucket in buckets.start..buckets.end.min(deepest) {
            let rumor = Rumor::Notice { topic: topic.clone(), depth: bucket + 1 };
            for contact in self.some_of_bucket(bucket, topic, FAN_OUT) {
                self.send_rumor(contact, &rumor, 0, now);
            }
        }
    }

    /// Nodes of our kind in a bucket of the topic's family to which its address means the same, but
    /// for the silent and the dead one itself.
    fn some_of_bucket(&mut self, bucket: u8, topic: &Topic, count: usize) -> Vec<Contact> {
        let dead = match topic {
            Topic::Dead(addr) => Some(*addr),
            Topic::Withdrawn { .. } => None,
        };
        let table = if topic.addr().is_ipv6() { &self.v6 } else { &self.v4 };
        table
            .bucket(bucket.into())
            .filter(|node| node.ours && !self.suspects.contains(&node.contact.addr))
            .filter(|node| means_the_same_to(&node.contact.addr, &topic.addr()))
            .map(|node| node.contact)
            .filter(|contact| Some(contact.addr) != dead)
            .sample(&mut self.rng, count)
    }

    pub(super) fn send_rumor(&mut self, to: Contact, rumor: &Rumor, tried: u8, now: Instant) {
        let purpose = Purpose::Rumor { rumor: rumor.clone(), tried };
        self.query(to.addr, Some(to.id), rumor.method(), purpose, true, now);
    }

    /// News were not answered in time.
    pub(super) fn rumor_missed(
        &mut self,
        pending: &Pending,
        rumor: &Rumor,
        tried: u8,
        now: Instant,
    ) {
        let (tried, Some(id)) = (tried + 1, pending.id) else { return };
        if tried >= TRIES {
            return;
        }
        // A packet may have been lost …
        self.send_rumor(Contact { id, addr: pending.to }, rumor, tried, now);
        // … or the node is dead as well, and another has to tell its part of the tree.
        if let Rumor::Notice { topic, depth } = rumor
            && *depth != NOBODY_ELSE
        {
            for other in self.some_of_bucket(depth.saturating_sub(1), topic, 1) {
                self.send_rumor(other, rumor, tried, now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead(port: u16) -> Topic {
        Topic::Dead(SocketAddr::from(([10, 0, 0, 1], port)))
    }

    #[test]
    fn a_copy_from_higher_up_covers_the_difference() {
        let now = crate::clock::now();
        let mut gossip = Gossip::new(now);
        let mut handle = |topic: Topic, depth, now| gossip.handle(&topic, depth, false, now);
        assert_eq!(handle(dead(1), 3, now), Some((3..NOBODY_ELSE, true)));
        assert_eq!(handle(dead(1), 4, now), None);
        assert_eq!(handle(dead(1), 3, now), None);
        assert_eq!(handle(dead(1), 1, now), Some((1..3, false)));
        assert_eq!(handle(dead(2), 1, now), Some((1..NOBODY_ELSE, true)));
        let later = now + REMEMBERED;
        assert_eq!(handle(dead(1), 3, later), Some((3..NOBODY_ELSE, true)), "news again");
    }

    #[test]
    fn copies_do_not_count_towards_the_limit() {
        let now = crate::clock::now();
        let mut gossip = Gossip::new(now);
        for _ in 0..10_000 {
            gossip.handle(&dead(1), 0, false, now);
        }
        assert!(gossip.handle(&dead(2), 0, false, now).is_some());
    }

    #[test]
    fn a_flood_of_withdrawals_holds_up_no_death() {
        let now = crate::clock::now();
        let mut gossip = Gossip::new(now);
        let peer = SocketAddr::from(([10, 0, 0, 1], 1));
        let topic = |n: u32| Topic::Withdrawn { name: Name::from(n.to_be_bytes()), peer };
        let taken = (0..10_000).filter(|n| gossip.handle(&topic(*n), 0, false, now).is_some());
        assert!(taken.count() < 1000);
        assert!(gossip.handle(&dead(1), 0, false, now).is_some());
    }

    #[test]
    fn memory_is_bounded() {
        let now = crate::clock::now();
        let mut gossip = Gossip::new(now);
        (1..=5000).for_each(|port| assert!(gossip.handle(&dead(port), 0, true, now).is_some()));
        assert_eq!(gossip.handled.len(), CAPACITY);
        gossip.expire(now + REMEMBERED);
        assert_eq!(gossip.handled.len(), 0);
    }
}
