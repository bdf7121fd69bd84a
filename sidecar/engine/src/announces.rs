//! What services announced through this node: which nodes hold it, and when to store it again.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ahash::RandomState;
use lru::LruCache;

use super::Name;
use super::closest::Closest;
use super::holders::{Believers, Holders};
use crate::krpc::Contact;

/// A service: its name and its port.
pub(super) type Service = (Name, u16);

/// Joins come in bursts; one more store, this long after the last of them, is enough.
pub(super) const SETTLE: Duration = Duration::from_millis(200);
/// Who says that it took us for dead has everything stored again, but not more often than this:
/// anybody can say so in the name of a holder.
const BELIEVED_DEAD: Duration = Duration::from_secs(2);

/// A service that was announced, and is believed until `expires`.
#[derive(Debug)]
struct Announce {
    expires: Instant,
    /// Until when the nodes that hold it believe it; none before the first store.
    stored_until: Option<Instant>,
    holders: Holders,
    /// When the closest nodes changed, so that it must be stored again, this is when.
    store_again: Option<Instant>,
    storing: bool,
    /// The address under which our own node shows it.
    shown_at: Option<SocketAddr>,
}

/// The name of a service that had to make room, and where our own node shows it.
pub(super) type Dropped = (Name, SocketAddr);

/// What an announce calls for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    /// Other nodes that hold it.
    pub(super) held_by: usize,
    /// Whether it must be stored now.
    pub(super) store: bool,
    /// Whether the service must wait for that, since nobody holds it yet.
    pub(super) wait: bool,
    /// The nodes to store it at, where they are known; none where a lookup has to find them.
    pub(super) at: Option<Vec<Closest>>,
}

/// The announces that are alive, in the order in which they were last announced: the oldest makes
/// room first.
#[derive(Debug)]
pub(super) struct Announces {
    services: LruCache<Service, Announce, RandomState>,
    max_age: Duration,
    max_services: usize,
    /// When somebody last said that it took us for dead.
    believed_dead: Option<Instant>,
}

impl Announces {
    pub(super) fn new(max_services: usize, max_age: Duration) -> Self {
        Self {
            services: LruCache::unbounded_with_hasher(RandomState::new()),
            max_age,
            max_services: max_services.max(1),
            believed_dead: None,
        }
    }

    /// A service is announced (again), to be believed until `until`. Returns what to do, and a
    /// service that had to make room, with the address under which it is shown.
    pub(super) fn announced(
        &mut self,
        service: &Service,
        until: Instant,
        now: Instant,
    ) -> (Due, Option<Dropped>) {
        let announce = self.services.get_or_insert_mut_ref(service, || Announce {
            expires: now,
            stored_until: None,
            holders: Holders::default(),
            store_again: None,
            storing: false,
            shown_at: None,
        });
        announce.expires = until;
        let left = announce.stored_until.map(|until| until.saturating_duration_since(now));
        let wait = left.is_none_or(|left| left.is_zero());
        let moved = announce.store_again.is_some_and(|at| at <= now);
        // Nodes that believe it for as long as it is announced need not be told again.
        let ends = announce.stored_until.is_some_and(|known| known >= until);
        let ages = !ends && left.is_some_and(|left| left < self.max_age * 2 / 3);
        let store = wait || !announce.storing && (ages || moved);
        let at = if !store || wait || moved { None } else { announce.holders.to_store(until) };
        let held_by = announce.holders.count();
        let crowded = self.services.len() > self.max_services;
        let dropped = crowded.then(|| self.services.pop_lru()).flatten();
        let dropped = dropped.and_then(|((name, _), announce)| Some((name, announce.shown_at?)));
        (Due { held_by, store, wait, at }, dropped)
    }

    /// The address under which our own node shows a service.
    pub(super) fn shown_at(&self, service: &Service) -> Option<SocketAddr> {
        self.services.peek(service)?.shown_at
    }

    /// Our own node shows a service at this address from now on. Returns the one before.
    pub(super) fn show_at(&mut self, service: &Service, addr: SocketAddr) -> Option<SocketAddr> {
        self.services.peek_mut(service)?.shown_at.replace(addr)
    }

    /// The services at these ports are reached over another address family than before, and are
    /// to be stored again now. Returns whether there are any.
    pub(super) fn reached_elsewhere(&mut self, ports: &BTreeSet<u16>, now: Instant) -> bool {
        let mut any = false;
        for ((_, port), announce) in self.services.iter_mut() {
            if ports.contains(port) {
                announce.store_again = Some(now);
                any = true;
            }
        }
        any
    }

    /// A store began.
    pub(super) fn storing(&mut self, service: &Service) {
        if let Some(announce) = self.services.peek_mut(service) {
            announce.storing = true;
            announce.store_again = None;
        }
    }

    /// Until when it may be believed; none when it is not announced any more.
    pub(super) fn believed_until(&self, service: &Service, now: Instant) -> Option<Instant> {
        Some(self.services.peek(service)?.expires).filter(|expires| *expires > now)
    }

    /// A store sends to these nodes, which are to believe it until then.
    pub(super) fn telling(
        &mut self,
        service: &Service,
        nodes: &[Closest],
        until: Instant,
        now: Instant,
    ) {
        if let Some(announce) = self.services.peek_mut(service) {
            announce.holders.telling(nodes, until, now);
        }
    }

    /// Whether a service is announced, and believed still.
    pub(super) fn is_alive(&self, service: &Service, now: Instant) -> bool {
        self.believed_until(service, now).is_some()
    }

    /// A store ended: these nodes were told to believe it until then, and some confirmed. Tells
    /// whether the closest nodes changed meanwhile, so that it is due again.
    pub(super) fn stored(
        &mut self,
        service: &Service,
        nodes: &[Closest],
        confirmed: &[SocketAddr],
        until: Instant,
    ) -> bool {
        let Some(announce) = self.services.peek_mut(service) else { return false };
        if announce.stored_until.is_some_and(|known| known > until) {
            // Late news of an earlier store.
            return false;
        }
        announce.storing = false;
        if nodes.is_empty() || !confirmed.is_empty() {
            announce.stored_until = Some(until);
        }
        announce.holders.stored(nodes, confirmed);
        announce.store_again.is_some()
    }

    /// Not all of the nodes that held it confirmed: others are to be looked for.
    pub(super) fn holders_silent(&mut self, service: &Service, now: Instant) {
        if let Some(announce) = self.services.peek_mut(service) {
            announce.store_again = Some(now + SETTLE);
        }
    }

    /// Forgets a service. Returns whom to tell of its end.
    pub(super) fn remove(&mut self, service: &Service, now: Instant) -> Believers {
        let announce = self.services.pop(service);
        announce.map(|announce| announce.holders).unwrap_or_default().to_withdraw(now)
    }

    /// A node joined the table: what should be stored there, is due. Returns whether anything is.
    pub(super) fn joined(&mut self, node: &Contact, now: Instant) -> bool {
        self.moved(now, |name, holders| holders.lack(node, name))
    }

    /// A node left the table: what it held has a place to fill. Returns whether anything has.
    pub(super) fn left(&mut self, node: &Contact, now: Instant) -> bool {
        self.moved(now, |_, holders| holders.left(node))
    }

    /// What the holders hold is announced from an address that we do not have any more. Returns
    /// whether anything is.
    pub(super) fn moved_house(&mut self, now: Instant) -> bool {
        self.moved(now, |_, _| true)
    }

    /// The closest nodes changed of those services for which this holds. Returns whether there are
    /// any.
    fn moved(&mut self, now: Instant, mut holds: impl FnMut(&Name, &mut Holders) -> bool) -> bool {
        let mut any = false;
        for ((name, _), announce) in self.services.iter_mut() {
            if holds(name, &mut announce.holders) {
                announce.store_again = Some(now + SETTLE);
                any = true;
            }
        }
        any
    }

    /// A node says that it dropped what we announced. Returns when it is to be stored again, where
    /// it was told of anything.
    pub(super) fn dropped_by(&mut self, node: &Contact, now: Instant) -> Option<Instant> {
        let at = match self.believed_dead {
            // It is going to be stored anyway.
            Some(last) if last > now => last,
            last => last.map_or(now, |last| last + BELIEVED_DEAD).max(now + SETTLE),
        };
        let mut any = false;
        for (_, announce) in self.services.iter_mut() {
            if announce.holders.has(node) {
                announce.store_again = Some(announce.store_again.map_or(at, |due| due.min(at)));
                any = true;
            }
        }
        if any {
            self.believed_dead = Some(at);
        }
        any.then_some(at)
    }

    /// The services that are to be stored again by now.
    pub(super) fn due(&self, now: Instant) -> Vec<Service> {
        self.services
            .iter()
            .filter(|(_, a)| !a.storing && a.store_again.is_some_and(|at| at <= now))
            .map(|(service, _)| service.clone())
            .collect()
    }

    /// Drops the services that are believed no more. One that was renewed for a short time may
    /// end before one that was announced earlier.
    pub(super) fn expire(&mut self, now: Instant) {
        let ended = self.services.iter().filter(|(_, announce)| announce.expires <= now);
        let ended: Vec<Service> = ended.map(|(service, _)| service.clone()).collect();
        for service in &ended {
            self.services.pop(service);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.services.len()
    }

    /// Each service with the end of its time and the number of nodes that hold it.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Service, Instant, usize)> {
        self.services.iter().map(|(s, a)| (s, a.expires, a.holders.count()))
    }
}

#[cfg(test)]
mod tests {
    use mainline::Id;

    use super::super::distance::target_of;
    use super::*;

    const AGE: Duration = Duration::from_secs(120);

    fn service() -> Service {
        (b"rpc_test".as_slice().into(), 1337)
    }

    fn holder(n: u8) -> Closest {
        let contact = Contact { id: Id::from([n; 20]), addr: SocketAddr::from(([10, 0, 0, n], 1)) };
        let token_since = crate::clock::now();
        Closest { contact, token: Box::from(b"t".as_slice()), token_since }
    }

    fn stored(announces: &mut Announces, holders: &[Closest], now: Instant) -> bool {
        let addrs: Vec<_> = holders.iter().map(|holder| holder.contact.addr).collect();
        announces.telling(&service(), holders, now + AGE, now);
        announces.stored(&service(), holders, &addrs, now + AGE)
    }

    #[test]
    fn only_the_first_announce_waits_and_few_of_the_others_store() {
        let start = crate::clock::now();
        let mut announces = Announces::new(10, AGE);
        let (due, _) = announces.announced(&service(), start + AGE, start);
        assert_eq!(due, Due { held_by: 0, store: true, wait: true, at: None });
        announces.storing(&service());
        stored(&mut announces, &[holder(1), holder(2)], start);
        let (mut stores, mut lookups) = (0, 0);
        for second in 1..=600 {
            let now = start + Duration::from_secs(second);
            let (due, _) = announces.announced(&service(), now + AGE, now);
            assert!(!due.wait);
            assert_eq!(due.held_by, 2);
            if due.store {
                stores += 1;
                lookups += u32::from(due.at.is_none());
                announces.storing(&service());
                let walked = || [1, 2].map(|n| Closest { token_since: now, ..holder(n) }).to_vec();
                stored(&mut announces, &due.at.unwrap_or_else(walked), now);
            }
        }
        assert_eq!((stores, lookups), (600 / 41, 3));
    }

    #[test]
    fn a_node_that_joins_or_comes_back_is_stored_at() {
        let now = crate::clock::now();
        let mut announces = Announces::new(10, AGE);
        announces.announced(&service(), now + AGE, now);
        stored(&mut announces, &[holder(1)], now);
        assert!(announces.joined(&holder(2).contact, now));
        assert_eq!(announces.due(now), []);
        assert_eq!(announces.due(now + SETTLE), [service()]);
        announces.storing(&service());
        assert_eq!(announces.due(now + SETTLE), []);
        assert!(!stored(&mut announces, &[holder(1), holder(2)], now));
        announces.storing(&service());
        assert!(announces.joined(&holder(1).contact, now), "it restarted");
        assert!(stored(&mut announces, &[holder(1), holder(2)], now));
    }

    #[test]
    fn who_took_us_for_dead_has_it_stored_again_but_not_by_the_dozen() {
        let start = crate::clock::now();
        let mut announces = Announces::new(10, AGE);
        announces.announced(&service(), start + AGE, start);
        stored(&mut announces, &[holder(1)], start);
        let stranger = holder(9).contact;
        assert_eq!(announces.dropped_by(&stranger, start), None, "it was told of nothing");
        let mut stores = 0;
        for tenth in 0..100 {
            let now = start + Duration::from_millis(100) * tenth;
            assert!(announces.dropped_by(&holder(1).contact, now).is_some());
            if announces.due(now) == [service()] {
                stores += 1;
                announces.storing(&service());
                stored(&mut announces, &[holder(1)], now);
            }
        }
        assert_eq!(stores, 5, "in ten seconds");
    }

    #[test]
    fn far_nodes_do_not_matter_where_k_closer_ones_hold_it() {
        let now = crate::clock::now();
        let mut announces = Announces::new(10, AGE);
        announces.announced(&service(), now + AGE, now);
        let name_like = |n: u8| {
            let mut id = *target_of(b"rpc_test").as_bytes();
            id[19] = n;
            let addr = SocketAddr::from(([10, 0, 1, n], 1));
            Closest { contact: Contact { id: Id::from(id), addr }, ..holder(n) }
        };
        stored(&mut announces, &(1..=20).map(name_like).collect::<Vec<_>>(), now);
        assert!(!announces.joined(&holder(200).contact, now));
        assert!(announces.joined(&name_like(0).contact, now));
        assert!(announces.left(&name_like(3).contact, now), "a place is free");
    }

    #[test]
    fn what_is_renewed_for_a_short_time_ends_then_and_is_stored_once() {
        let now = crate::clock::now();
        let mut announces = Announces::new(10, AGE);
        let other: Service = (b"other".as_slice().into(), 1);
        announces.announced(&other, now + AGE, now);
        let until = now + AGE / 3;
        announces.announced(&service(), until, now);
        announces.telling(&service(), &[holder(1)], until, now);
        announces.stored(&service(), &[holder(1)], &[holder(1).contact.addr], until);
        let (due, _) = announces.announced(&service(), until, now + AGE / 6);
        assert!(!due.store, "its holders believe it for as long as it is announced");
        announces.expire(until);
        assert_eq!(announces.believed_until(&service(), now), None);
        assert_eq!(announces.len(), 1, "the older one is announced for longer");
    }

    #[test]
    fn services_age_and_make_room() {
        let now = crate::clock::now();
        let mut announces = Announces::new(1, AGE);
        announces.announced(&service(), now + AGE, now);
        let shown_at = SocketAddr::from(([10, 0, 0, 1], 1337));
        assert_eq!(announces.show_at(&service(), shown_at), None);
        let other: Service = (b"other".as_slice().into(), 1);
        let (_, dropped) = announces.announced(&other, now + AGE, now);
        assert_eq!(dropped, Some((service().0, shown_at)));
        assert_eq!(announces.believed_until(&other, now + AGE), None);
        announces.expire(now + AGE);
        assert_eq!(announces.len(), 0);
    }
}
