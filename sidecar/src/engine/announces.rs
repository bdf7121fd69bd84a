//! What services announced through this node: which nodes hold it, and when to store it again.

use std::time::{Duration, Instant};

use lru::LruCache;
use mainline::Id;

use super::distance::point;
use super::peers::Name;
use super::routing::K;
use super::walk::Closest;
use crate::krpc::Contact;

/// A service: its name and its port.
pub(super) type Service = (Name, u16);

/// Joins come in bursts; one more store, this long after the last of them, is enough.
pub(super) const SETTLE: Duration = Duration::from_millis(200);

/// A service that was announced, and is believed until `expires`.
#[derive(Debug)]
struct Announce {
    expires: Instant,
    /// Until when the nodes that hold it believe it; none before the first store.
    stored_until: Option<Instant>,
    holders: Vec<Closest>,
    holders_since: Instant,
    /// When the closest nodes changed, so that it must be stored again, this is when.
    store_again: Option<Instant>,
    storing: bool,
}

/// What an announce calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    /// Other nodes that hold it.
    pub(super) held_by: usize,
    /// Whether it must be stored now.
    pub(super) store: bool,
    /// Whether the service must wait for that, since nobody holds it yet.
    pub(super) wait: bool,
}

/// The announces that are alive, in the order in which they were last announced: the oldest makes
/// room, and ends, first.
#[derive(Debug)]
pub(super) struct Announces {
    services: LruCache<Service, Announce>,
    max_age: Duration,
    max_services: usize,
}

impl Announces {
    pub(super) fn new(max_services: usize, max_age: Duration) -> Self {
        Self { services: LruCache::unbounded(), max_age, max_services: max_services.max(1) }
    }

    /// A service announced itself (again). Returns what to do, and a service that had to make room.
    pub(super) fn announced(&mut self, service: &Service, now: Instant) -> (Due, Option<Service>) {
        let announce = self.services.get_or_insert_mut_ref(service, || Announce {
            expires: now,
            stored_until: None,
            holders: Vec::new(),
            holders_since: now,
            store_again: None,
            storing: false,
        });
        announce.expires = now + self.max_age;
        let left = announce.stored_until.map(|until| until.saturating_duration_since(now));
        let wait = left.is_none_or(|left| left.is_zero());
        let store = wait
            || !announce.storing && left.is_some_and(|left| left < self.max_age * 2 / 3)
            || !announce.storing && announce.store_again.is_some_and(|at| at <= now);
        let held_by = held_by(&announce.holders);
        let crowded = self.services.len() > self.max_services;
        let dropped = crowded.then(|| self.services.pop_lru()).flatten();
        (Due { held_by, store, wait }, dropped.map(|(service, _)| service))
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

    /// A store ended: these nodes hold it until the time that they were told when it began. Tells
    /// whether the closest nodes changed meanwhile, so that it is due again.
    pub(super) fn stored(
        &mut self,
        service: &Service,
        holders: Vec<Closest>,
        alone: bool,
        until: Instant,
        now: Instant,
    ) -> bool {
        let Some(announce) = self.services.peek_mut(service) else { return false };
        announce.storing = false;
        if alone || !holders.is_empty() {
            announce.stored_until = Some(until);
            announce.holders = holders;
            announce.holders_since = now;
        }
        announce.store_again.is_some()
    }

    /// Forgets a service. Returns the nodes that hold it, and since when their tokens are known.
    pub(super) fn remove(&mut self, service: &Service) -> Option<(Vec<Closest>, Instant)> {
        let announce = self.services.pop(service)?;
        Some((announce.holders, announce.holders_since))
    }

    /// A node joined the table: what should be stored there, is due. Returns whether anything is.
    pub(super) fn joined(&mut self, node: &Contact, now: Instant) -> bool {
        let mut any = false;
        for ((name, _), announce) in self.services.iter_mut() {
            if belongs(&announce.holders, node, name) {
                announce.store_again = Some(now + SETTLE);
                any = true;
            }
        }
        any
    }

    /// A node left the table: what it held has a place to fill. Returns whether anything has.
    pub(super) fn left(&mut self, node: &Contact, now: Instant) -> bool {
        let mut any = false;
        for (_, announce) in self.services.iter_mut() {
            let before = announce.holders.len();
            announce.holders.retain(|holder| holder.contact != *node);
            // Below k holders everybody holds it who can: there is no other place.
            if before > announce.holders.len() && before >= K {
                announce.store_again = Some(now + SETTLE);
                any = true;
            }
        }
        any
    }

    /// The services that are to be stored again by now.
    pub(super) fn due(&self, now: Instant) -> Vec<Service> {
        self.services
            .iter()
            .filter(|(_, a)| !a.storing && a.store_again.is_some_and(|at| at <= now))
            .map(|(service, _)| service.clone())
            .collect()
    }

    /// Drops the services that announced nothing for as long as they are believed.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.services.peek_lru().is_some_and(|(_, announce)| announce.expires <= now) {
            self.services.pop_lru();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.services.len()
    }

    /// Each service with the end of its time and the number of nodes that hold it.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Service, Instant, usize)> {
        self.services.iter().map(|(s, a)| (s, a.expires, held_by(&a.holders)))
    }
}

/// How many nodes these are: one with an IPv4 and an IPv6 address is one node.
pub(super) fn held_by(holders: &[Closest]) -> usize {
    let mut ids: Vec<Id> = holders.iter().map(|holder| holder.contact.id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.len()
}

/// Whether a node is among the k closest to a name, and holds it not.
fn belongs(holders: &[Closest], node: &Contact, name: &[u8]) -> bool {
    if holders.iter().any(|holder| holder.contact == *node) {
        // It came back, perhaps with nothing in its memory.
        return true;
    }
    let family = holders.iter().filter(|h| h.contact.addr.is_ipv6() == node.addr.is_ipv6());
    let distances: Vec<Id> = family.map(|h| h.contact.id.xor(&point(name))).collect();
    distances.len() < K
        || distances.iter().max().is_some_and(|far| node.id.xor(&point(name)) < *far)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    const AGE: Duration = Duration::from_secs(120);

    fn service() -> Service {
        (b"rpc_test".as_slice().into(), 1337)
    }

    fn holder(n: u8) -> Closest {
        let contact = Contact { id: Id::from([n; 20]), addr: SocketAddr::from(([10, 0, 0, n], 1)) };
        Closest { contact, token: Box::from(b"t".as_slice()) }
    }

    #[test]
    fn only_the_first_announce_waits_and_few_of_the_others_store() {
        let start = crate::clock::now();
        let mut announces = Announces::new(10, AGE);
        let (due, _) = announces.announced(&service(), start);
        assert_eq!(due, Due { held_by: 0, store: true, wait: true });
        announces.storing(&service());
        announces.stored(&service(), vec![holder(1), holder(2)], false, start + AGE, start);
        let mut stores = 0;
        for second in 1..=600 {
            let now = start + Duration::from_secs(second);
            let (due, _) = announces.announced(&service(), now);
            assert!(!due.wait);
            assert_eq!(due.held_by, 2);
            if due.store {
                stores += 1;
                announces.storing(&service());
                announces.stored(&service(), vec![holder(1), holder(2)], false, now + AGE, now);
            }
        }
        assert_eq!(stores, 600 / 41);
    }

    #[test]
    fn a_node_that_joins_or_comes_back_is_stored_at() {
        let now = crate::clock::now();
        let mut announces = Announces::new(10, AGE);
        announces.announced(&service(), now);
        announces.stored(&service(), vec![holder(1)], false, now + AGE, now);
        assert!(announces.joined(&holder(2).contact, now));
        assert_eq!(announces.due(now), []);
        assert_eq!(announces.due(now + SETTLE), [service()]);
        announces.storing(&service());
        assert_eq!(announces.due(now + SETTLE), []);
        assert!(!announces.stored(&service(), vec![holder(1), holder(2)], false, now + AGE, now));
        announces.storing(&service());
        assert!(announces.joined(&holder(1).contact, now), "it restarted");
        assert!(announces.stored(&service(), vec![holder(1), holder(2)], false, now + AGE, now));
    }

    #[test]
    fn far_nodes_do_not_matter_where_k_closer_ones_hold_it() {
        let now = crate::clock::now();
        let mut announces = Announces::new(10, AGE);
        announces.announced(&service(), now);
        let name_like = |n: u8| {
            let mut id = *point(b"rpc_test").as_bytes();
            id[19] = n;
            let addr = SocketAddr::from(([10, 0, 1, n], 1));
            Closest { contact: Contact { id: Id::from(id), addr }, token: Box::from([1]) }
        };
        announces.stored(&service(), (1..=20).map(name_like).collect(), false, now + AGE, now);
        assert!(!announces.joined(&holder(200).contact, now));
        assert!(announces.joined(&name_like(0).contact, now));
        assert!(announces.left(&name_like(3).contact, now), "a place is free");
    }

    #[test]
    fn services_age_and_make_room() {
        let now = crate::clock::now();
        let mut announces = Announces::new(1, AGE);
        announces.announced(&service(), now);
        let other: Service = (b"other".as_slice().into(), 1);
        let (_, dropped) = announces.announced(&other, now);
        assert_eq!(dropped, Some(service()));
        assert_eq!(announces.believed_until(&other, now + AGE), None);
        announces.expire(now + AGE);
        assert_eq!(announces.len(), 0);
    }
}
