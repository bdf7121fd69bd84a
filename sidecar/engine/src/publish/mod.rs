//! What services announce, store and take back through this node, and the nodes that are to hold it.
//!
//! | file | concern |
//! |---|---|
//! | `holders.rs` | the nodes to which an announce was sent |
//! | `dropped.rs` | how fast those that dropped announces are sent them again |
//! | `active_store.rs` | announces, withdrawals and items on their way to the closest nodes |
//! | `withdrawals.rs` | peers that were withdrawn, and nodes that are not notified yet |

mod active_store;
mod dropped;
mod holders;
mod withdrawals;

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ahash::RandomState;
use lru::LruCache;

use crate::Name;
use crate::capacity::capacity;
use crate::closest::Closest;
use crate::krpc::Contact;

pub(crate) use active_store::{ActiveStore, Payload, Progress, Recipient};
use dropped::Allowance;
use holders::{Holders, PossibleHolders};
use withdrawals::Withdrawals;
pub(crate) use withdrawals::{LONGEST_NAME, NOTIFIERS};

/// A service: its name and its port.
pub(crate) type Service = (Name, u16);

/// Joins come in bursts; one more store, this long after the first of them, is enough.
pub(crate) const SETTLE: Duration = Duration::from_millis(200);
/// Because others came or went, so many announces are stored again at once …
const MOVES_AT_ONCE: u32 = 256;
/// … and then one more each time that this has passed: whoever comes and goes without end costs
/// little. Meanwhile the other holders have them.
const EACH_MOVE: Duration = Duration::from_millis(20);

/// A service that was announced, until `expires`.
#[derive(Debug)]
struct Announce {
    expires: Instant,
    /// When it expires at the nodes that store it; `None` before the first store.
    stored_until: Option<Instant>,
    holders: Holders,
    /// When the closest nodes changed, so that it must be stored again, this is when.
    store_again: Option<Instant>,
    storing: bool,
    /// The address under which our own node shows it.
    shown_at: Option<SocketAddr>,
}

/// The name of a service that had to make room, and where our own node shows it.
pub(crate) type Dropped = (Name, SocketAddr);

/// What an announce calls for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Due {
    /// Other nodes that hold it.
    pub(crate) held_by: usize,
    /// Whether it must be stored now.
    pub(crate) store: bool,
    /// Whether the service must wait for the store, since no node stores it yet.
    pub(crate) wait: bool,
    /// The nodes to store it at, where they are known; none where a lookup has to find them.
    pub(crate) at: Option<Vec<Closest>>,
}

/// What this node publishes.
#[derive(Debug)]
pub(crate) struct Publish {
    /// The announces that are alive, in the order in which they were last announced: the oldest
    /// makes room first.
    services: LruCache<Service, Announce, RandomState>,
    max_age: Duration,
    max_services: usize,
    /// Some holders dropped announces, and are not sent them yet.
    any_dropped: bool,
    dropped: Allowance,
    /// When all announces that are stored again because others came or went would be, one after the
    /// other.
    moves_done: Instant,
    stores: HashMap<u64, ActiveStore, RandomState>,
    withdrawals: Withdrawals,
    draining: bool,
}

impl Publish {
    pub(crate) fn new(max_services: usize, max_age: Duration, now: Instant) -> Self {
        Self {
            services: LruCache::unbounded_with_hasher(RandomState::new()),
            max_age,
            max_services: max_services.max(1),
            any_dropped: false,
            dropped: Allowance::new(now),
            moves_done: now,
            stores: HashMap::default(),
            withdrawals: Withdrawals::default(),
            draining: false,
        }
    }

    /// Announces nothing more from now on. Returns what is to be withdrawn.
    pub(crate) fn drain(&mut self) -> Vec<Service> {
        self.draining = true;
        self.services.iter().map(|(service, _)| service.clone()).collect()
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining
    }

    /// Something is on its way to the nodes that are to hold it.
    pub(crate) fn put_store(&mut self, number: u64, store: ActiveStore) {
        self.stores.insert(number, store);
    }

    /// Takes what is on its way out, to be put back when it was dealt with.
    pub(crate) fn take_store(&mut self, number: u64) -> Option<ActiveStore> {
        self.stores.remove(&number)
    }

    pub(crate) fn store(&self, number: u64) -> Option<&ActiveStore> {
        self.stores.get(&number)
    }

    /// Gives back room that a burst took.
    pub(crate) fn shrink(&mut self) {
        self.stores.shrink_to(capacity(self.stores.len()));
    }

    /// A service of another node was withdrawn: all nodes are to be notified at this time, unless
    /// another node does so before. Returns whether there is room to remember it.
    pub(crate) fn notify_later(&mut self, at: Instant, name: Name, peer: SocketAddr) -> bool {
        self.withdrawals.notify_later(at, name, peer)
    }

    /// The withdrawals of which the others are to be notified by now.
    pub(crate) fn take_notices(&mut self, now: Instant) -> Vec<(Name, SocketAddr)> {
        self.withdrawals.take_notices(now)
    }

    /// Somebody says that this peer is no more.
    pub(crate) fn doubt(&mut self, name: Name, peer: SocketAddr) {
        self.withdrawals.doubt(name, peer);
    }

    /// The peers that are doubted, to be looked for. Due every second.
    pub(crate) fn take_doubted(&mut self) -> Vec<(Name, SocketAddr)> {
        self.withdrawals.take_doubted()
    }

    /// A service is announced (again), until `until`. Returns what to do, and a service that had to
    /// make room, with the address under which it is shown.
    pub(crate) fn announced(
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
        // Nodes that store it for as long as it is announced need no further store.
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
    pub(crate) fn shown_at(&self, service: &Service) -> Option<SocketAddr> {
        self.services.peek(service)?.shown_at
    }

    /// Our own node shows a service at this address from now on. Returns the one before.
    pub(crate) fn show_at(&mut self, service: &Service, addr: SocketAddr) -> Option<SocketAddr> {
        self.services.peek_mut(service)?.shown_at.replace(addr)
    }

    /// The services at these ports are reached over another address family than before, and are
    /// to be stored again now. Returns whether there are any.
    pub(crate) fn reached_elsewhere(&mut self, ports: &BTreeSet<u16>, now: Instant) -> bool {
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
    pub(crate) fn storing(&mut self, service: &Service) {
        if let Some(announce) = self.services.peek_mut(service) {
            announce.storing = true;
            announce.store_again = None;
        }
    }

    /// When its last announce expires; `None` when it is not announced any more.
    pub(crate) fn expires_at(&self, service: &Service, now: Instant) -> Option<Instant> {
        Some(self.services.peek(service)?.expires).filter(|expires| *expires > now)
    }

    /// A store is sent to these nodes, and expires at `until`.
    pub(crate) fn store_began(
        &mut self,
        service: &Service,
        nodes: &[Closest],
        until: Instant,
        now: Instant,
    ) {
        if let Some(announce) = self.services.peek_mut(service) {
            announce.holders.store_began(nodes, until, now);
        }
    }

    /// Whether a service is announced and has not expired.
    pub(crate) fn is_alive(&self, service: &Service, now: Instant) -> bool {
        self.expires_at(service, now).is_some()
    }

    /// A store ended: it was sent to these nodes until `until`, and some confirmed. Returns whether
    /// the closest nodes changed meanwhile, so that a store is due again.
    pub(crate) fn stored(
        &mut self,
        service: &Service,
        nodes: &[Closest],
        confirmed: &[SocketAddr],
        until: Instant,
    ) -> bool {
        let Some(announce) = self.services.peek_mut(service) else { return false };
        if announce.stored_until.is_some_and(|known| known > until) {
            // A late result of an earlier store.
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
    pub(crate) fn holders_silent(&mut self, service: &Service, now: Instant) {
        if let Some(announce) = self.services.peek_mut(service) {
            announce.store_again = Some(now + SETTLE);
        }
    }

    /// Forgets a service. Returns the nodes to which the withdrawal is sent.
    pub(crate) fn remove(&mut self, service: &Service, now: Instant) -> PossibleHolders {
        let announce = self.services.pop(service);
        announce.map(|announce| announce.holders).unwrap_or_default().to_withdraw(now)
    }

    /// A node joined the table: what should be stored there, is due. Returns whether anything is.
    pub(crate) fn joined(&mut self, node: &Contact, now: Instant) -> bool {
        self.moved(now, |name, holders| holders.lack(node, name))
    }

    /// A node left the table: what it held has a place to fill. Returns whether anything has.
    pub(crate) fn left(&mut self, node: &Contact, now: Instant) -> bool {
        self.moved(now, |_, holders| holders.left(node))
    }

    /// The closest nodes changed of those services for which this holds. Returns whether there are
    /// any. What is due already waits no longer for it.
    fn moved(&mut self, now: Instant, mut holds: impl FnMut(&Name, &mut Holders) -> bool) -> bool {
        let mut any = false;
        for ((name, _), announce) in self.services.iter_mut() {
            if !holds(name, &mut announce.holders) {
                continue;
            }
            any = true;
            if announce.store_again.is_none() {
                let at = now + SETTLE;
                // As a leaky bucket, kept as the time when it will be empty.
                let empty = self.moves_done.max(at);
                announce.store_again = Some(at.max(empty - EACH_MOVE * (MOVES_AT_ONCE - 1)));
                self.moves_done = empty + EACH_MOVE;
            }
        }
        any
    }

    /// What the holders hold is announced from an address that we do not have any more. Returns
    /// whether anything is.
    pub(crate) fn moved_house(&mut self, now: Instant) -> bool {
        for (_, announce) in self.services.iter_mut() {
            announce.store_again = Some(now + SETTLE);
        }
        !self.is_empty()
    }

    /// When the next service is to be stored again, at all of its nodes or at one, if any is.
    pub(crate) fn next_due(&self, now: Instant) -> Option<Instant> {
        let waiting = self.services.iter().filter(|(_, announce)| !announce.storing);
        let dropped = self.any_dropped.then_some(now + SETTLE);
        waiting.filter_map(|(_, announce)| announce.store_again).chain(dropped).min()
    }

    /// A node says that it dropped our announces. Returns whether any was sent to that node: it is to
    /// have them again, and nobody else. Who says so too often is not listened to.
    pub(crate) fn dropped_by(&mut self, node: &Contact, now: Instant) -> bool {
        if !self.dropped.hear(node.addr.ip(), now) {
            return false;
        }
        let mut any = false;
        for (_, announce) in self.services.iter_mut() {
            any |= announce.holders.dropped_by(node, now);
        }
        self.any_dropped |= any;
        any
    }

    /// The announces that holders dropped and may have again now, each with its holder.
    pub(crate) fn take_dropped(&mut self, now: Instant) -> Vec<(Service, Closest)> {
        let mut due = Vec::new();
        if std::mem::take(&mut self.any_dropped) {
            for (service, announce) in &self.services {
                for node in announce.holders.without() {
                    if self.dropped.send(node.contact.addr.ip(), now) {
                        due.push((service.clone(), node.clone()));
                    } else {
                        self.any_dropped = true;
                    }
                }
            }
        }
        due
    }

    /// The services that are to be stored again by now. They count as being stored.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<Service> {
        let is_due = |a: &Announce| !a.storing && a.store_again.is_some_and(|at| at <= now);
        let due = self.services.iter().filter(|(_, announce)| is_due(announce));
        let due: Vec<_> = due.map(|(service, _)| service.clone()).collect();
        due.iter().for_each(|service| self.storing(service));
        due
    }

    /// Drops the services that expired. A service that was renewed for a short time may expire
    /// before one that was announced earlier.
    pub(crate) fn expire(&mut self, now: Instant) {
        let ended = self.services.iter().filter(|(_, announce)| announce.expires <= now);
        let ended: Vec<Service> = ended.map(|(service, _)| service.clone()).collect();
        for service in &ended {
            self.services.pop(service);
        }
    }

    /// How many services are announced.
    pub(crate) fn len(&self) -> usize {
        self.services.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each service with the end of its time and the number of nodes that hold it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Service, Instant, usize)> {
        self.services.iter().map(|(s, a)| (s, a.expires, a.holders.count()))
    }
}

#[cfg(test)]
mod tests;
