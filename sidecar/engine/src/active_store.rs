//! Announces, withdrawals and items on their way to the nodes that are to hold them.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mainline::Id;

use super::active_lookup::{OnComplete, Target};
use super::announces::{SETTLE, Service};
use super::closest::Closest;
use super::engine::Engine;
use super::errors::Errand;
use super::failure_detector::NOBODY_ELSE;
use super::family::unspecified;
use super::holders;
use super::item::Item;
use super::rpc::{Pending, Purpose};
use super::timers::Timer;
use super::{Operation, Outcome, PutError, Withdrawn};
use crate::krpc::{self, Contact, Method, Put, SignedFields};

/// How often a node is told of an announce, or of its end, when it does not answer.
const TRIES: u8 = 4;

/// An IP at which a service is reached, and whether it is rather to be reached over the other address
/// family.
type Reach = (Option<IpAddr>, bool);

/// What is to be stored, or taken back.
#[derive(Debug)]
enum Payload {
    Announce {
        service: Service,
        until: Instant,
        ttl: Duration,
    },
    Withdrawal {
        service: Service,
    },
    Item {
        item: Box<Item>,
        cas: Option<i64>,
    },
    /// This node ends.
    Leave {
        port: u16,
    },
}

impl Payload {
    /// Whether it is of no use to a node that is not of our kind, which does not answer it.
    fn is_extension(&self) -> bool {
        matches!(self, Self::Withdrawal { .. } | Self::Leave { .. })
    }

    /// What is told to the node at an address. `reach` says where a service is reached: see
    /// [`Engine::reach`].
    fn method<'a>(
        &'a self,
        to: &SocketAddr,
        token: &'a [u8],
        reach: impl Fn(u16) -> Reach,
    ) -> Method<'a> {
        match self {
            Self::Announce { service: (name, port), ttl, .. } => {
                let (ip, alt) = reach(*port);
                Method::AnnouncePeer {
                    info_hash: name.as_ref().into(),
                    port: Some(*port),
                    token: token.into(),
                    ttl: Some(*ttl),
                    ip,
                    alt,
                }
            }
            Self::Withdrawal { service: (name, port) } => Method::WithdrawPeer {
                info_hash: name.as_ref().into(),
                port: *port,
                token: token.into(),
                ip: reach(*port).0,
            },
            Self::Item { item, cas } => Method::Put(Box::new(Put {
                token: token.into(),
                value: item.encoded().into(),
                signed: item.signed().map(|signed| SignedFields {
                    key: signed.key.as_slice().into(),
                    signature: signed.signature.as_slice().into(),
                    seq: signed.seq,
                    salt: signed.salt.as_slice().into(),
                }),
                cas: *cas,
            })),
            // An unspecified address stands for us: which one others see is not always known.
            Self::Leave { port } => {
                Method::Dead { addr: unspecified(to, *port), depth: NOBODY_ELSE }
            }
        }
    }
}

/// One payload on its way to several nodes.
#[derive(Debug)]
pub(super) struct Store {
    payload: Payload,
    /// The nodes were found by a lookup just now.
    looked_up: bool,
    operation: Option<Operation>,
    nodes: Vec<Closest>,
    /// How often each node was told.
    tries: Vec<u8>,
    /// Transactions that somebody waits for.
    waited_for: Vec<u32>,
    /// Queries that are out, waited for or not.
    out: usize,
    confirmed: Vec<SocketAddr>,
    refusal: Option<(i64, String)>,
    settled: bool,
}

impl Store {
    /// What the store is for.
    pub(super) fn errand(&self) -> Errand<'_> {
        match &self.payload {
            Payload::Announce { service: (name, _), .. } => Errand::Announce(name),
            Payload::Withdrawal { service: (name, _) } => Errand::Withdraw(name),
            Payload::Item { item, .. } => Errand::Put(item.id()),
            Payload::Leave { .. } => Errand::Leave,
        }
    }

    /// How many different nodes confirmed.
    fn held_by(&self) -> usize {
        let confirmed = |node: &&Closest| self.confirmed.contains(&node.contact.addr);
        holders::count(self.nodes.iter().filter(confirmed).map(|node| node.contact.id))
    }
}

impl Engine {
    /// `looked_up` says that the nodes were found by a lookup just now.
    pub(super) fn store_announce(
        &mut self,
        service: Service,
        nodes: Vec<Closest>,
        looked_up: bool,
        operation: Option<Operation>,
        now: Instant,
    ) {
        // It may have been withdrawn while the lookup was under way.
        let Some(until) = self.announces.believed_until(&service, now) else {
            if let Some(operation) = operation {
                self.done(operation, Outcome::Confirmed(0));
            }
            return;
        };
        self.announces.telling(&service, &nodes, until, now);
        let ttl = until.saturating_duration_since(now);
        let payload = Payload::Announce { service, until, ttl };
        self.send_store(payload, looked_up, nodes, operation, now);
    }

    pub(super) fn store_withdrawal(
        &mut self,
        service: Service,
        nodes: Vec<Closest>,
        operation: Option<Operation>,
        now: Instant,
    ) {
        self.send_store(Payload::Withdrawal { service }, true, nodes, operation, now);
    }

    pub(super) fn store_leave(&mut self, nodes: Vec<Closest>, operation: Operation, now: Instant) {
        let payload = Payload::Leave { port: self.settings.port };
        self.send_store(payload, true, nodes, Some(operation), now);
    }

    /// `looked_up` says that the nodes were found by a lookup just now.
    pub(super) fn store_item(
        &mut self,
        item: Box<Item>,
        cas: Option<i64>,
        nodes: Vec<Closest>,
        looked_up: bool,
        operation: Operation,
        now: Instant,
    ) {
        if nodes.is_empty() {
            // Alone, this node is the closest one, and decides.
            let id = item.id();
            let stored = self.storage.put_item(*item, cas).map(|()| id).map_err(|conflict| {
                PutError::Refused { code: conflict.code(), message: conflict.message().to_owned() }
            });
            return self.done(operation, Outcome::Put(stored));
        }
        self.send_store(Payload::Item { item, cas }, looked_up, nodes, Some(operation), now);
    }

    fn send_store(
        &mut self,
        payload: Payload,
        looked_up: bool,
        nodes: Vec<Closest>,
        operation: Option<Operation>,
        now: Instant,
    ) {
        let number = self.number();
        let purpose = match payload {
            Payload::Withdrawal { .. } | Payload::Leave { .. } => Purpose::Extension(number),
            Payload::Announce { .. } | Payload::Item { .. } => Purpose::Store(number),
        };
        let mut waited_for = Vec::new();
        for node in &nodes {
            let (addr, id) = (node.contact.addr, Some(node.contact.id));
            // Who takes leave has no later time to tell those that are silent just now.
            let good = match &payload {
                Payload::Leave { .. } => true,
                Payload::Withdrawal { .. } => !self.routing.is_repeated_suspect(&addr),
                Payload::Announce { .. } | Payload::Item { .. } => !self.routing.is_suspect(&addr),
            };
            let method = payload.method(&addr, &node.token, |port| self.reach(port, &addr));
            let monitored = good || payload.is_extension();
            let transaction = self.query(addr, id, method, purpose.clone(), monitored, now);
            if good {
                waited_for.push(transaction);
            }
        }
        let store = Store {
            payload,
            looked_up,
            operation,
            out: nodes.len(),
            tries: vec![1; nodes.len()],
            nodes,
            waited_for,
            confirmed: Vec::new(),
            refusal: None,
            settled: false,
        };
        self.stores.insert(number, store);
        self.advance_store(number, now);
    }

    pub(super) fn store_answered(&mut self, number: u64, pending: &Pending, now: Instant) {
        let Some(store) = self.stores.get_mut(&number) else { return };
        store.confirmed.push(pending.to);
        store.out -= 1;
        let late = match &store.payload {
            Payload::Announce { service, .. } => Some(service.clone()),
            Payload::Withdrawal { .. } | Payload::Item { .. } | Payload::Leave { .. } => None,
        };
        let node = store.nodes.iter().find(|node| node.contact.addr == pending.to).cloned();
        self.advance_store(number, now);
        // It was withdrawn meanwhile, and the network may have changed the order of the two.
        let late = late.filter(|service| !self.announces.is_alive(service, now));
        if let (Some(service), Some(node)) = (late, node) {
            self.store_withdrawal(service, vec![node], None, now);
        }
    }

    pub(super) fn store_slow(
        &mut self,
        number: u64,
        transaction: u32,
        pending: &Pending,
        now: Instant,
    ) {
        let Some(mut store) = self.stores.remove(&number) else { return };
        let waited_for = store.waited_for.contains(&transaction);
        store.waited_for.retain(|waited_for| *waited_for != transaction);
        self.store_once_more(&mut store, pending, waited_for, now);
        self.stores.insert(number, store);
        self.advance_store(number, now);
    }

    /// The packet, or its answer, may have been lost. A withdrawal is waited for as long as it is
    /// repeated: who takes leave is not there any more to do so later.
    fn store_once_more(
        &mut self,
        store: &mut Store,
        pending: &Pending,
        waited_for: bool,
        now: Instant,
    ) {
        let Some(at) = store.nodes.iter().position(|node| node.contact.addr == pending.to) else {
            return;
        };
        let Contact { id, addr } = store.nodes[at].contact;
        let withdraws = match &store.payload {
            // Stored twice, a compare-and-set would not match.
            Payload::Item { .. } => return,
            Payload::Leave { .. } => true,
            Payload::Announce { service, .. } | Payload::Withdrawal { service } => {
                let withdraws = matches!(store.payload, Payload::Withdrawal { .. });
                // It may be the other way round by now.
                if withdraws == self.announces.is_alive(service, now) {
                    return;
                }
                withdraws
            }
        };
        // The Node.js Grape knows no withdrawal.
        let deaf =
            withdraws && self.routing.get(&id, addr.is_ipv6()).is_some_and(|node| !node.ours);
        if deaf || store.tries[at] >= TRIES || store.confirmed.contains(&addr) {
            return;
        }
        store.tries[at] += 1;
        store.out += 1;
        let reach = |port| self.reach(port, &addr);
        let method = store.payload.method(&addr, &store.nodes[at].token, reach);
        let transaction = self.query(addr, Some(id), method, pending.purpose.clone(), true, now);
        if withdraws && waited_for {
            store.waited_for.push(transaction);
        }
    }

    pub(super) fn store_failed(&mut self, number: u64, refusal: Option<(i64, &str)>, now: Instant) {
        let Some(store) = self.stores.get_mut(&number) else { return };
        store.out -= 1;
        if let Some((code, message)) = refusal {
            // What a refusal says of the item (3xx) tells more than what it says of the node.
            let telling = |code: i64| (300..400).contains(&code);
            if store.refusal.as_ref().is_none_or(|(known, _)| telling(code) && !telling(*known)) {
                store.refusal = Some((code, message.to_owned()));
            }
        }
        self.advance_store(number, now);
    }

    fn advance_store(&mut self, number: u64, now: Instant) {
        let Some(mut store) = self.stores.remove(&number) else { return };
        store.waited_for.retain(|transaction| self.rpc.pending(*transaction).is_some());
        // The Node.js Grape never confirms a withdrawal, and never will.
        let enough = !store.confirmed.is_empty() || store.payload.is_extension();
        let settles = store.waited_for.is_empty() && (enough || store.out == 0);
        if settles && !store.settled {
            store.settled = true;
            self.settle_store(&store, now);
        } else if store.settled {
            self.note_holders(&store, now);
        }
        if store.out > 0 {
            self.stores.insert(number, store);
        }
    }

    fn settle_store(&mut self, store: &Store, now: Instant) {
        if self.looks_up_after_all(store, now) {
            return;
        }
        self.note_holders(store, now);
        let outcome = match &store.payload {
            Payload::Announce { .. } | Payload::Leave { .. } => Outcome::Confirmed(store.held_by()),
            Payload::Withdrawal { .. } => Outcome::Withdrawn(Withdrawn::Here(store.held_by())),
            Payload::Item { item, .. } => {
                let stored = match (&store.refusal, store.confirmed.is_empty()) {
                    (_, false) => Ok(item.id()),
                    (Some((code, message)), true) => {
                        Err(PutError::Refused { code: *code, message: message.clone() })
                    }
                    (None, true) => Err(PutError::Unanswered),
                };
                if stored.is_ok() || item.signed().is_none() {
                    // The closest nodes decided; ours follows unless it is newer.
                    let _ = self.storage.put_item(item.as_ref().clone(), None);
                }
                Outcome::Put(stored)
            }
        };
        if let Some(operation) = store.operation {
            self.done(operation, outcome);
        }
    }

    /// Tokens of an earlier time, which every node refused, are no last word: a lookup brings new
    /// ones. Returns whether there is one now.
    fn looks_up_after_all(&mut self, store: &Store, now: Instant) -> bool {
        let outdated = matches!(store.refusal, Some((code, _)) if code == krpc::code::PROTOCOL);
        let Some(operation) = store.operation else { return false };
        if store.looked_up || !outdated || !store.confirmed.is_empty() {
            return false;
        }
        match &store.payload {
            Payload::Withdrawal { .. } | Payload::Leave { .. } => return false,
            Payload::Announce { service: (name, port), .. } => {
                let then = OnComplete::Announce { port: *port, operation: Some(operation) };
                self.start_lookup(Target::Peers(name.clone()), then, now);
            }
            Payload::Item { item, cas } => self.look_up_to_put(item.clone(), *cas, operation, now),
        }
        true
    }

    /// Stores an item at the closest nodes, once a lookup has found them.
    pub(super) fn look_up_to_put(
        &mut self,
        item: Box<Item>,
        cas: Option<i64>,
        operation: Operation,
        now: Instant,
    ) {
        let salt = item.signed().map(|signed| signed.salt.clone()).unwrap_or_default();
        let target = Target::Item { target: item.id(), salt: salt.into() };
        self.start_lookup(target, OnComplete::Put { operation, item, cas }, now);
    }

    /// Tells the announces who holds what.
    fn note_holders(&mut self, store: &Store, now: Instant) {
        let Payload::Announce { service, until, .. } = &store.payload else { return };
        let confirmed = &store.confirmed;
        let mut again = self.announces.stored(service, &store.nodes, confirmed, *until);
        if !store.looked_up && store.out == 0 && store.held_by() < holders::count(ids(&store.nodes))
        {
            self.announces.holders_silent(service, now);
            again = true;
        }
        if again {
            self.store_again_soon(now);
        }
    }

    /// The closest nodes of some announces changed.
    pub(super) fn store_again_soon(&mut self, now: Instant) {
        self.set_timer(now + SETTLE, Timer::StoreAgain);
    }

    pub(super) fn store_again(&mut self, now: Instant) {
        for service in self.announces.due(now) {
            self.announces.storing(&service);
            let (name, port) = service;
            self.start_lookup(
                Target::Peers(name),
                OnComplete::Announce { port, operation: None },
                now,
            );
        }
    }
}

fn ids(nodes: &[Closest]) -> impl Iterator<Item = Id> {
    nodes.iter().map(|node| node.contact.id)
}
