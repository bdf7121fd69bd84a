//! News of deaths and withdrawals, on their way to every node of our kind along Kademlia's tree:
//! each tells it to a few nodes of each of its buckets, and they tell it to those that are closer
//! to them.
//!
//! Nobody believes a notice: who hears of a death asks the dead one first, and who hears of a
//! withdrawal (`withdrawals.rs`) asks those who held the peer. Of a node that we know nothing of,
//! the death stays unconfirmed: nobody can have us ask strangers.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::{Duration, Instant};

use lru::LruCache;
use rand::Rng;
use rand::seq::{IteratorRandom, SliceRandom};

use super::monitors::same_subnet;
use crate::Name;
use crate::addresses::means_the_same_to;
use crate::krpc::Contact;
use crate::rate_limiter::{HostLimiter, RateLimiter};
use crate::routing::Routing;

/// How many nodes of a bucket are told.
pub(crate) const FAN_OUT: usize = 2;
/// How often the same is told when no answer comes, each time to one more node.
pub(crate) const RUMOR_TRIES: u8 = 3;
/// How often a node is asked before a notice of its death is believed.
pub(crate) const VERIFIED: u8 = 3;
/// Copies of a notice that come within this are one.
const REMEMBERED: Duration = Duration::from_secs(5);
/// Most notices that are remembered.
const CAPACITY: usize = 1024;
/// Of one host, so many notices are passed on at once …
const SENDER_AT_ONCE: u32 = 128;
/// … and each second in the long run.
const SENDER_EACH_SECOND: u32 = 2;
/// Where one died, others may have: that many are asked …
const SWEEP: usize = 16;
/// … so often that on bad links one false death does not make others.
pub(crate) const SWEPT: u8 = 3;
/// Who was heard within this is not asked.
const HEARD_LATELY: Duration = Duration::from_secs(1);
/// A depth below every bucket: to be told to nobody else.
pub(crate) const NOBODY_ELSE: u8 = u8::MAX;

/// What a notice is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    /// The node at this address is dead.
    Dead(SocketAddr),
    /// A peer of a name was withdrawn.
    Withdrawn { name: Name, peer: SocketAddr },
}

impl Topic {
    /// Whom it is about: nodes of its address family are told.
    pub(crate) fn addr(&self) -> SocketAddr {
        match self {
            Self::Dead(addr) => *addr,
            Self::Withdrawn { peer, .. } => *peer,
        }
    }
}

/// What one node tells another, and is to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rumor {
    Notice { topic: Topic, depth: u8 },
    Forgotten,
}

/// Where a notice comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// We found the death ourselves.
    Found,
    /// A node took back at ours what it had announced.
    Own,
    /// A node of this host told us.
    Node(IpAddr),
}

/// The notices that were handled lately.
#[derive(Debug)]
pub(super) struct Rumors {
    /// The least depth that each was told from, and when it was first heard.
    handled: LruCache<Topic, (u8, Instant)>,
    deaths: RateLimiter,
    withdrawals: RateLimiter,
    /// Of each host. Those on loopback are not counted.
    senders: HostLimiter,
}

impl Rumors {
    pub(super) fn new(now: Instant) -> Self {
        let (deaths, withdrawals) = (RateLimiter::new(now), RateLimiter::new(now));
        let senders = HostLimiter::of(SENDER_AT_ONCE, SENDER_EACH_SECOND);
        Self { handled: LruCache::unbounded(), deaths, withdrawals, senders }
    }

    /// Drops those of which a copy would be news.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((_, (_, since))) = self.handled.peek_lru()
            && now.duration_since(*since) >= REMEMBERED
        {
            self.handled.pop_lru();
        }
    }

    pub(super) fn known(&self, topic: &Topic, now: Instant) -> Option<(u8, Instant)> {
        let known = self.handled.peek(topic).copied();
        known.filter(|(_, since)| now.duration_since(*since) < REMEMBERED)
    }

    /// Which buckets a notice is to be told to, and whether it is news; none when it is a copy, or
    /// one too many.
    pub(super) fn handle(
        &mut self,
        topic: &Topic,
        depth: u8,
        source: Source,
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
        let may_tell = match source {
            Source::Found => true,
            Source::Own => limiter.take(now),
            Source::Node(ip) if ip.is_loopback() => limiter.take(now),
            Source::Node(ip) => self.senders.take(ip, now) && limiter.take(now),
        };
        if !may_tell {
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

/// Whom a notice is told of those in a bucket of the topic's family: nodes of our kind to which its
/// address means the same, but for the silent and the dead one itself.
pub(super) fn recipients(
    topic: &Topic,
    bucket: u8,
    count: usize,
    routing: &Routing,
    rng: &mut impl Rng,
) -> Vec<Contact> {
    let dead = match topic {
        Topic::Dead(addr) => Some(*addr),
        Topic::Withdrawn { .. } => None,
    };
    routing
        .bucket(topic.addr().is_ipv6(), bucket.into())
        .filter(|node| node.ours && !routing.is_suspect(&node.contact.addr))
        .filter(|node| means_the_same_to(&node.contact.addr, &topic.addr()))
        .map(|node| node.contact)
        .filter(|contact| Some(contact.addr) != dead)
        .sample(rng, count)
}

/// Nodes that may have died with one that was at this address: some that were silent for a moment,
/// those of its subnet first.
pub(super) fn sweep(
    addr: &SocketAddr,
    routing: &Routing,
    rng: &mut impl Rng,
    now: Instant,
) -> Vec<SocketAddr> {
    let silent = routing.nodes().filter(|n| n.ours && now.duration_since(n.heard) >= HEARD_LATELY);
    let mut silent: Vec<_> = silent.map(|node| node.contact.addr).collect();
    silent.shuffle(rng);
    silent.sort_by_key(|other| !same_subnet(other.ip(), addr.ip()));
    silent.truncate(SWEEP);
    silent
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_limiter::HOSTS;

    fn dead(port: u16) -> Topic {
        Topic::Dead(SocketAddr::from(([10, 0, 0, 1], port)))
    }

    #[test]
    fn a_copy_from_higher_up_covers_the_difference() {
        let now = crate::clock::now();
        let mut rumors = Rumors::new(now);
        let mut handle = |topic: Topic, depth, now| rumors.handle(&topic, depth, Source::Own, now);
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
        let mut rumors = Rumors::new(now);
        for _ in 0..10_000 {
            rumors.handle(&dead(1), 0, Source::Own, now);
        }
        assert!(rumors.handle(&dead(2), 0, Source::Own, now).is_some());
    }

    #[test]
    fn a_flood_of_withdrawals_holds_up_no_death() {
        let now = crate::clock::now();
        let mut rumors = Rumors::new(now);
        let peer = SocketAddr::from(([10, 0, 0, 1], 1));
        let topic = |n: u32| Topic::Withdrawn { name: Name::from(n.to_be_bytes()), peer };
        let taken =
            (0..10_000).filter(|n| rumors.handle(&topic(*n), 0, Source::Own, now).is_some());
        assert!(taken.count() < 1000);
        assert!(rumors.handle(&dead(1), 0, Source::Own, now).is_some());
    }

    #[test]
    fn memory_is_bounded() {
        let now = crate::clock::now();
        let mut rumors = Rumors::new(now);
        (1..=5000)
            .for_each(|port| assert!(rumors.handle(&dead(port), 0, Source::Found, now).is_some()));
        assert_eq!(rumors.handled.len(), CAPACITY);
        rumors.expire(now + REMEMBERED);
        assert_eq!(rumors.handled.len(), 0);
    }

    #[test]
    fn one_host_holds_up_no_other() {
        let now = crate::clock::now();
        let mut rumors = Rumors::new(now);
        let from = |n: u8| Source::Node([10, 0, 0, n].into());
        let mut told = |source, ports: Range<u16>, now| {
            ports.filter(|port| rumors.handle(&dead(*port), 0, source, now).is_some()).count()
        };
        assert_eq!(told(from(1), 1..1000, now), SENDER_AT_ONCE as usize);
        assert_eq!(told(from(2), 1000..1100, now), 100);
        let later = now + 10 * Duration::from_secs(1);
        assert_eq!(told(from(1), 2000..3000, later), 10 * SENDER_EACH_SECOND as usize);
        let here = Source::Node(std::net::Ipv4Addr::LOCALHOST.into());
        assert_eq!(told(here, 3000..3180, later), 180, "on loopback all are one host");
    }

    #[test]
    fn few_hosts_are_remembered() {
        let now = crate::clock::now();
        let mut rumors = Rumors::new(now);
        for n in 0..5000u32 {
            rumors.handle(
                &dead(1 + n as u16),
                0,
                Source::Node(std::net::Ipv4Addr::from(n).into()),
                now,
            );
        }
        assert_eq!(rumors.senders.len(), HOSTS);
    }
}
