//! News of deaths, on their way to every node of our kind along Kademlia's tree: each tells it to a
//! few nodes of each of its buckets, and they tell it to those that are closer to them.
//!
//! Nobody believes a notice: who hears of a death asks the dead one first.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use lru::LruCache;
use rand::seq::{IteratorRandom, SliceRandom};

use super::heartbeats::same_subnet;
use super::node::Engine;
use super::probes::Tell;
use super::transactions::{Pending, Purpose};
use crate::krpc::{Contact, Method};

/// How many nodes of a bucket are told.
const FAN_OUT: usize = 3;
/// How often the same is told when no answer comes, each time to one more node.
const TRIES: u8 = 3;
/// How often a node is asked before a notice of its death is believed.
const VERIFIED: u8 = 2;
/// Copies of a notice that come within this are one.
const REMEMBERED: Duration = Duration::from_secs(5);
/// Most notices that are remembered.
const CAPACITY: usize = 1024;
/// Notices that are taken at once, for whole racks that die …
const BURST: u32 = 256;
/// … and each second in the long run, so that forged ones cost little.
const EACH_SECOND: u32 = 20;
/// Where one died, others may have: that many are asked …
const SWEEP: usize = 16;
/// … so often that on bad links one false death does not make others.
const SWEPT: u8 = 3;
/// Who was heard within this is not asked.
const HEARD_LATELY: Duration = Duration::from_secs(1);
/// A depth below every bucket: to be told to nobody else.
const NOBODY_ELSE: u8 = u8::MAX;

/// What one node tells another, and is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    Dead { addr: SocketAddr, depth: u8 },
    Forgotten,
}

impl News {
    fn method(self) -> Method<'static> {
        match self {
            Self::Dead { addr, depth } => Method::Dead { addr, depth },
            Self::Forgotten => Method::Forgotten,
        }
    }
}

/// The notices that were handled lately.
#[derive(Debug)]
pub(super) struct Notices {
    /// The least depth that each was told from, and when it was first heard.
    handled: LruCache<SocketAddr, (u8, Instant)>,
    allowance: u32,
    refilled: Instant,
}

impl Notices {
    pub(super) fn new(now: Instant) -> Self {
        Self { handled: LruCache::unbounded(), allowance: BURST, refilled: now }
    }

    /// Which buckets a notice is to be told to, and whether it is news; none when it is a copy.
    fn handle(&mut self, addr: SocketAddr, depth: u8, now: Instant) -> Option<(Range<u8>, bool)> {
        let known = self.handled.get(&addr).copied();
        match known.filter(|(_, since)| now.duration_since(*since) < REMEMBERED) {
            Some((least, _)) if least <= depth => None,
            Some((least, since)) => {
                self.handled.put(addr, (depth, since));
                Some((depth..least, false))
            }
            None => {
                self.handled.put(addr, (depth, now));
                if self.handled.len() > CAPACITY {
                    self.handled.pop_lru();
                }
                Some((depth..NOBODY_ELSE, true))
            }
        }
    }

    /// Whether one more notice of others may be taken.
    fn allow(&mut self, now: Instant) -> bool {
        let seconds =
            u32::try_from(now.duration_since(self.refilled).as_secs()).unwrap_or(u32::MAX);
        if seconds > 0 {
            self.refilled += Duration::from_secs(seconds.into());
            let refill = seconds.saturating_mul(EACH_SECOND);
            self.allowance = self.allowance.saturating_add(refill).min(BURST);
        }
        let left = self.allowance.checked_sub(1);
        self.allowance = left.unwrap_or(0);
        left.is_some()
    }
}

impl Engine {
    /// We found a node dead: tells all others, and asks those whom the same may have hit.
    pub(super) fn tell_of_death(&mut self, addr: SocketAddr, now: Instant) {
        if let Some((buckets, _)) = self.notices.handle(addr, 0, now) {
            self.spread(addr, buckets, now);
        }
        let nodes = self.v4.nodes().chain(self.v6.nodes());
        let silent = nodes.filter(|n| n.ours && now.duration_since(n.heard) >= HEARD_LATELY);
        let mut silent: Vec<_> = silent.map(|node| node.contact.addr).collect();
        silent.shuffle(&mut self.rng);
        silent.sort_by_key(|other| !same_subnet(other.ip(), addr.ip()));
        for other in silent.into_iter().take(SWEEP) {
            self.probe(other, SWEPT, Tell::Always, now);
        }
    }

    /// A node told us of a death.
    pub(super) fn on_dead(&mut self, addr: SocketAddr, depth: u8, now: Instant) {
        if self.is_own(&addr) || !self.notices.allow(now) {
            return;
        }
        let Some((buckets, is_news)) = self.notices.handle(addr, depth, now) else { return };
        if is_news && !self.tombstones.contains(&addr) {
            self.probe(addr, VERIFIED, Tell::Never, now);
        }
        self.spread(addr, buckets, now);
    }

    /// A node still tells of what a dead one announced: it may have missed the notice.
    pub(super) fn remind(&mut self, to: Contact, dead: SocketAddr, now: Instant) {
        if to.addr != dead {
            self.send_news(to, News::Dead { addr: dead, depth: NOBODY_ELSE }, 0, now);
        }
    }

    fn spread(&mut self, addr: SocketAddr, buckets: Range<u8>, now: Instant) {
        let deepest = u8::try_from(self.table(&addr).buckets()).unwrap_or(NOBODY_ELSE);
        for bucket in buckets.start..buckets.end.min(deepest) {
            for contact in self.some_of_bucket(bucket, &addr, FAN_OUT) {
                self.send_news(contact, News::Dead { addr, depth: bucket + 1 }, 0, now);
            }
        }
    }

    /// Nodes of our kind in the bucket of the dead node's family, but for itself and the silent.
    fn some_of_bucket(&mut self, bucket: u8, dead: &SocketAddr, count: usize) -> Vec<Contact> {
        let table = if dead.is_ipv6() { &self.v6 } else { &self.v4 };
        table
            .bucket(bucket.into())
            .filter(|node| node.ours && !self.suspects.contains(&node.contact.addr))
            .map(|node| node.contact)
            .filter(|contact| contact.addr != *dead)
            .sample(&mut self.rng, count)
    }

    pub(super) fn send_news(&mut self, to: Contact, news: News, tried: u8, now: Instant) {
        let purpose = Purpose::News { news, tried };
        self.query(to.addr, Some(to.id), news.method(), purpose, true, now);
    }

    /// News were not answered in time.
    pub(super) fn news_missed(&mut self, pending: &Pending, news: News, tried: u8, now: Instant) {
        let (tried, Some(id)) = (tried + 1, pending.id) else { return };
        if tried >= TRIES {
            return;
        }
        // A packet may have been lost …
        self.send_news(Contact { id, addr: pending.to }, news, tried, now);
        // … or the node is dead as well, and another has to tell its part of the tree.
        if let News::Dead { addr, depth } = news
            && depth != NOBODY_ELSE
        {
            for other in self.some_of_bucket(depth.saturating_sub(1), &addr, 1) {
                self.send_news(other, news, tried, now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    #[test]
    fn a_copy_from_higher_up_covers_the_difference() {
        let now = crate::clock::now();
        let mut notices = Notices::new(now);
        assert_eq!(notices.handle(addr(1), 3, now), Some((3..NOBODY_ELSE, true)));
        assert_eq!(notices.handle(addr(1), 4, now), None);
        assert_eq!(notices.handle(addr(1), 3, now), None);
        assert_eq!(notices.handle(addr(1), 1, now), Some((1..3, false)));
        assert_eq!(notices.handle(addr(2), 1, now), Some((1..NOBODY_ELSE, true)));
        let later = now + REMEMBERED;
        assert_eq!(notices.handle(addr(1), 3, later), Some((3..NOBODY_ELSE, true)), "news again");
    }

    #[test]
    fn a_flood_is_let_through_by_the_drop() {
        let start = crate::clock::now();
        let mut notices = Notices::new(start);
        let mut taken = |now| (0..10_000).filter(|_| notices.allow(now)).count();
        assert_eq!(taken(start), BURST as usize);
        assert_eq!(taken(start + Duration::from_millis(999)), 0);
        assert_eq!(taken(start + Duration::from_millis(3100)), 3 * EACH_SECOND as usize);
        assert_eq!(taken(start + Duration::from_secs(1_000_000)), BURST as usize);
    }

    #[test]
    fn memory_is_bounded() {
        let now = crate::clock::now();
        let mut notices = Notices::new(now);
        (1..=5000).for_each(|port| assert!(notices.handle(addr(port), 0, now).is_some()));
        assert_eq!(notices.handled.len(), CAPACITY);
    }
}
