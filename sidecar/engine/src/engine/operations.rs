//! What services ask of the node.

use std::net::SocketAddr;
use std::time::Instant;

use mainline::Id;
use rand::seq::SliceRandom;

use super::Engine;
use super::family::shown;
use crate::closest::Closest;
use crate::item::Item;
use crate::lookup::{Age, OnComplete, Target};
use crate::publish::Service;
use crate::storage::take_turns;
use crate::{Answer, Found, MAX_NAME, MAX_PEERS, PutError};

impl Engine {
    /// The peers of a name: at most [`MAX_PEERS`], in random order. At once where the name was
    /// looked up lately, after asking other nodes otherwise. None of a name beyond [`MAX_NAME`].
    pub fn lookup(&mut self, name: &[u8], now: Instant) -> Answer<Vec<SocketAddr>> {
        if name.len() > MAX_NAME {
            return Answer::Now(Vec::new());
        }
        let age = self.lookups.age(name, now);
        if age != Age::Stale {
            let peers = self.known_peers(name, now);
            // Somebody may have announced it since: nothing is no answer to keep.
            if !peers.is_empty() {
                self.stats.lookups_from_memory += 1;
                if age == Age::Due {
                    self.start_lookup(Target::Peers(name.into()), OnComplete::Refresh, now);
                }
                return Answer::Now(peers);
            }
        }
        self.stats.lookups_from_dht += 1;
        let operation = self.operation();
        self.start_lookup(Target::Peers(name.into()), OnComplete::Lookup(operation), now);
        Answer::Later(operation)
    }

    /// Announces a service of this host. Answers how many other nodes hold it: at once where they
    /// hold it already, after storing it there otherwise. Port 0 means the node's own. A name beyond
    /// [`MAX_NAME`] is not announced.
    pub fn announce(&mut self, name: &[u8], port: u16, now: Instant) -> Answer<usize> {
        self.announce_until(name, port, now + self.settings.peer_max_age, now)
    }

    /// As [`Engine::announce`], but it expires at `until`: at most [`Settings::peer_max_age`] from
    /// now.
    ///
    /// [`Settings::peer_max_age`]: super::Settings::peer_max_age
    pub fn announce_until(
        &mut self,
        name: &[u8],
        port: u16,
        until: Instant,
        now: Instant,
    ) -> Answer<usize> {
        if self.publish.is_draining() || name.len() > MAX_NAME {
            return Answer::Now(0);
        }
        let service = self.service(name, port);
        let (due, dropped) = self.publish.announced(&service, until, now);
        if let Some((name, addr)) = dropped {
            self.storage.withdraw_peer(&name, &addr, &self.own.node(&addr));
            self.subscriptions.touch(&name);
        }
        self.show(&service, until);
        if !due.store {
            self.stats.announces_from_memory += 1;
            return Answer::Now(due.held_by);
        }
        self.publish.storing(&service);
        if let Some(holders) = due.at {
            self.stats.announces_from_memory += 1;
            self.store_announce(service, holders, false, None, now);
            return Answer::Now(due.held_by);
        }
        self.stats.announces_from_dht += 1;
        if due.wait && self.publish.len() == 1 {
            self.heartbeat(now);
        }
        let operation = due.wait.then(|| self.operation());
        let later = operation.map_or(Answer::Now(due.held_by), Answer::Later);
        if due.wait
            && let Some(small_network) = self.small_network(now)
        {
            self.store_announce(service, small_network, false, operation, now);
            return later;
        }
        let (name, port) = service;
        self.start_lookup(Target::Peers(name), OnComplete::Announce { port, operation }, now);
        later
    }

    /// Accepts no announces from now on, and returns the services to withdraw.
    pub fn drain(&mut self) -> Vec<Service> {
        self.publish.drain()
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
        // Of a mutable item there may be a newer one, which a lookup finds.
        if item.signed().is_none()
            && let Some(small_network) = self.small_network(now)
        {
            self.store_item(Box::new(item), cas, small_network, false, operation, now);
            return Answer::Later(operation);
        }
        self.look_up_to_put(Box::new(item), cas, operation, now);
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
        // A node that asks others has to give the salt: the hash alone does not find a salted item.
        let is_asked = |item: &&Item| item.signed().is_none_or(|signed| signed.salt == salt);
        let held = self.storage.item(&target).filter(|_| cached).filter(is_asked).cloned();
        let held = held.map(|item| Found { from: self.settings.id, token: None, item });
        match held {
            // What is named by its hash cannot be out of date.
            Some(found) if found.item.signed().is_none() => Answer::Now(Some(Box::new(found))),
            held => {
                let operation = self.operation();
                let then = OnComplete::Get { operation, held: held.map(Box::new) };
                self.start_lookup(Target::Item { target, salt: salt.into() }, then, now);
                Answer::Later(operation)
            }
        }
    }

    /// All nodes there are, where no lookup is needed to know the closest to a target.
    fn small_network(&self, now: Instant) -> Option<Vec<Closest>> {
        self.routing.small_network(now).filter(|_| !self.bootstrap.is_joining())
    }

    pub(super) fn service(&self, name: &[u8], port: u16) -> Service {
        (name.into(), if port == 0 { self.settings.port } else { port })
    }

    /// Drops a peer, whichever node announced it.
    pub(super) fn forget_peer(&mut self, name: &[u8], addr: &SocketAddr) {
        self.lookups.forget_peer(name, addr);
        self.subscriptions.touch(name);
        self.storage.remove_peer(name, addr);
    }

    /// What is known of a name's peers: those stored here, and those that the last lookup found. At
    /// most [`MAX_PEERS`], evenly chosen, in random order.
    pub(super) fn known_peers(&mut self, name: &[u8], now: Instant) -> Vec<SocketAddr> {
        let both = self.has_both_families();
        let stored = self.storage.peers(name, now);
        let found = self.lookups.kept_peers(name, now);
        let many = found.clone().count();
        // Beyond a lookup's limit, what was found is an even choice of all peers, and what is stored
        // here is all of them if this node is one of the closest, or else its own.
        let (stored, found): (_, Vec<_>) = match stored {
            Some(stored) if many > MAX_PEERS && stored.len() >= many => (Some(stored), Vec::new()),
            _ if many > MAX_PEERS => (None, found.collect()),
            Some(stored) => (Some(stored), found.filter(|(at, _)| !stored.contains(at)).collect()),
            None => (None, found.collect()),
        };
        let mut all: Vec<_> = match stored {
            Some(stored) if both => {
                let stored = stored.iter().map(|(addr, record)| (addr, record.is_alt()));
                shown(stored.chain(found))
            }
            // It may be of thousands.
            Some(stored) if found.is_empty() && stored.len() > MAX_PEERS => {
                let mut chosen = stored.choose(false, MAX_PEERS, &mut self.rng);
                chosen.extend(stored.choose(true, MAX_PEERS, &mut self.rng));
                chosen
            }
            Some(stored) => {
                let stored = stored.iter().map(|(addr, _)| addr);
                stored.chain(found.into_iter().map(|(addr, _)| addr)).collect()
            }
            None if both => shown(found.into_iter()),
            None => found.into_iter().map(|(addr, _)| addr).collect(),
        };
        if all.len() <= MAX_PEERS {
            all.shuffle(&mut self.rng);
            return all;
        }
        take_turns(&mut all, &mut self.rng);
        all.truncate(MAX_PEERS);
        all
    }
}
