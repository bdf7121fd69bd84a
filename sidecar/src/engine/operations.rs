//! What services ask of the node.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use mainline::Id;

use super::announces::Service;
use super::item::Item;
use super::lookups::Age;
use super::node::Engine;
use super::peers::Belief;
use super::steps::{Subject, Then};
use super::{Answer, Found, MAX_PEERS, PutError};

impl Engine {
    /// The peers of a name: at most [`MAX_PEERS`], in random order. At once where the name was
    /// looked up lately, after a walk otherwise.
    pub fn lookup(&mut self, name: &[u8], now: Instant) -> Answer<Vec<SocketAddr>> {
        let age = self.lookups.age(name, now);
        if age != Age::Stale {
            let peers = self.known_peers(name, now);
            // Somebody may have announced it since: nothing is no answer to keep.
            if !peers.is_empty() {
                self.stats.lookups_from_memory += 1;
                if age == Age::Due {
                    self.walk(Subject::Peers(name.into()), Then::Refresh, now);
                }
                return Answer::Now(peers);
            }
        }
        self.stats.lookups_walked += 1;
        let operation = self.operation();
        self.walk(Subject::Peers(name.into()), Then::Lookup(operation), now);
        Answer::Later(operation)
    }

    /// Announces a service of this host. Answers how many other nodes hold it: at once where they
    /// hold it already, after storing it there otherwise. Port 0 means the node's own.
    pub fn announce(&mut self, name: &[u8], port: u16, now: Instant) -> Answer<usize> {
        if self.draining {
            return Answer::Now(0);
        }
        let service = self.service(name, port);
        let (due, dropped) = self.announces.announced(&service, now);
        if let Some((name, port)) = dropped {
            let addr = self.own_addr(port);
            self.peers.remove(&name, &addr);
        }
        let addr = self.own_addr(service.1);
        let belief = self.own_belief(now + self.settings.peer_max_age);
        self.peers.insert(name, addr, belief, &mut self.rng);
        self.watches.touch(name);
        if !due.store {
            self.stats.announces_from_memory += 1;
            return Answer::Now(due.held_by);
        }
        self.announces.storing(&service);
        if let Some(holders) = due.at {
            self.stats.announces_from_memory += 1;
            self.store_announce(service, holders, false, None, now);
            return Answer::Now(due.held_by);
        }
        self.stats.announces_walked += 1;
        if due.wait && self.announces.len() == 1 {
            self.heartbeat(now);
        }
        let operation = due.wait.then(|| self.operation());
        let later = operation.map_or(Answer::Now(due.held_by), Answer::Later);
        if due.wait
            && let Some(everybody) = self.everybody(now)
        {
            self.store_announce(service, everybody, false, operation, now);
            return later;
        }
        let (name, port) = service;
        self.walk(Subject::Peers(name), Then::Announce { port, operation }, now);
        later
    }

    /// Takes an announce back. Answers how many other nodes confirmed.
    pub fn withdraw(&mut self, name: &[u8], port: u16, now: Instant) -> Answer<usize> {
        let service = self.service(name, port);
        let addr = self.own_addr(service.1);
        self.forget_peer(name, &addr);
        let holders = self.announces.remove(&service, now);
        // A walk under way may still find it at those who are told only now.
        self.doubt(service.0.clone(), addr, now);
        if self.announces.len() == 0 {
            self.release_watchers(now);
        }
        if self.nodes() == 0 {
            return Answer::Now(0);
        }
        let operation = self.operation();
        match holders {
            Some(holders) => self.store_withdrawal(service, holders, Some(operation), now),
            // Tokens too old, or another process announced it: ask the closest nodes for new ones.
            None => {
                let (name, port) = service;
                let then = Then::Withdraw { port, operation: Some(operation) };
                self.walk(Subject::Peers(name), then, now);
            }
        }
        Answer::Later(operation)
    }

    /// Announces nothing more from now on, and tells what is to be withdrawn.
    pub fn drain(&mut self) -> Vec<Service> {
        self.draining = true;
        self.announces.iter().map(|(service, ..)| service.clone()).collect()
    }

    /// Stores an item at the closest nodes, and here. `cas` is the `seq` that a stored mutable
    /// item must have.
    pub fn put(
        &mut self,
        item: Item,
        cas: Option<i64>,
        now: Instant,
    ) -> Answer<Result<Id, PutError>> {
        let operation = self.operation();
        // Of a mutable item there may be a newer one, which a walk finds.
        if item.signed().is_none()
            && let Some(everybody) = self.everybody(now)
        {
            self.store_item(Box::new(item), cas, everybody, false, operation, now);
            return Answer::Later(operation);
        }
        self.walk_to_put(Box::new(item), cas, operation, now);
        Answer::Later(operation)
    }

    /// The item stored under `target`. A mutable one is the newest that the closest nodes hold;
    /// `salt` is what it was put with. `cached` allows to answer with what is held here.
    pub fn get(
        &mut self,
        target: Id,
        salt: &[u8],
        cached: bool,
        now: Instant,
    ) -> Answer<Option<Box<Found>>> {
        let held = self.items.get(&target).filter(|_| cached).cloned();
        let held = held.map(|item| Found { from: self.settings.id, token: None, item });
        match held {
            // What is named by its hash cannot be out of date.
            Some(found) if found.item.signed().is_none() => Answer::Now(Some(Box::new(found))),
            held => {
                let operation = self.operation();
                let then = Then::Get { operation, held: held.map(Box::new) };
                self.walk(Subject::Item { target, salt: salt.into() }, then, now);
                Answer::Later(operation)
            }
        }
    }

    /// The address of this host that other nodes see. Of no account where the settings name one.
    pub fn set_external(&mut self, ip: IpAddr, now: Instant) {
        if self.settings.advertise.is_some() || self.external == Some(ip) {
            return;
        }
        let before = self.advertised();
        self.external = Some(ip);
        let services: Vec<(Service, Instant)> =
            self.announces.iter().map(|(s, expires, _)| (s.clone(), expires)).collect();
        for ((name, port), expires) in services.into_iter().filter(|(_, at)| *at > now) {
            self.peers.remove(&name, &SocketAddr::new(before, port));
            let belief = self.own_belief(expires);
            self.peers.insert(&name, SocketAddr::new(ip, port), belief, &mut self.rng);
            self.watches.touch(&name);
        }
    }

    /// The addresses of this host at which this node is reached; to be called again when they change.
    pub fn set_host_addresses(&mut self, mut addresses: Vec<IpAddr>, _now: Instant) {
        addresses.sort_unstable();
        self.host_addresses = addresses;
    }

    fn own_belief(&self, until: Instant) -> Belief {
        Belief { until, node_port: Some(self.settings.port) }
    }

    fn service(&self, name: &[u8], port: u16) -> Service {
        (name.into(), if port == 0 { self.settings.port } else { port })
    }

    /// A peer withdrew, or was withdrawn. Returns whether we held it.
    pub(super) fn forget_peer(&mut self, name: &[u8], addr: &SocketAddr) -> bool {
        self.lookups.remove(name, addr);
        self.forget_on_walks(name, addr);
        self.watches.touch(name);
        self.peers.remove(name, addr)
    }

    /// What is known of a name's peers: those stored here, and those that the last walk found. At
    /// most [`MAX_PEERS`], evenly chosen, in random order.
    pub(super) fn known_peers(&mut self, name: &[u8], now: Instant) -> Vec<SocketAddr> {
        let stored = self.peers.get(name, now);
        let found = self.lookups.peers(name, now);
        let many = found.clone().count();
        // Beyond a lookup's limit, what was found is an even choice of all peers, and what is stored
        // here is all of them if this node is one of the closest, or else its own.
        let (stored, found): (_, Vec<_>) = match stored {
            Some(stored) if many > MAX_PEERS && stored.len() >= many => (Some(stored), Vec::new()),
            _ if many > MAX_PEERS => (None, found.collect()),
            Some(stored) => (Some(stored), found.filter(|addr| !stored.contains(addr)).collect()),
            None => (None, found.collect()),
        };
        let held = stored.map_or(0, |stored| stored.len());
        let total = held + found.len();
        rand::seq::index::sample(&mut self.rng, total, total.min(MAX_PEERS))
            .into_iter()
            .filter_map(|index| match index.checked_sub(held) {
                None => stored.and_then(|stored| stored.at(index)).map(|(addr, _)| addr),
                Some(index) => found.get(index).copied(),
            })
            .collect()
    }
}
