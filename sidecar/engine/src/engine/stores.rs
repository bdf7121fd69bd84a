//! Stores under way: which nodes they send to, and their results.

use std::time::Instant;

use super::Engine;
use super::timers::Timer;
use crate::closest::Closest;
use crate::item::Item;
use crate::krpc::Contact;
use crate::lookup::{OnComplete, Target};
use crate::publish::{ActiveStore, Payload, Progress, Recipient, SETTLE, Service};
use crate::rpc::Pending;
use crate::{Operation, Outcome, PutError};

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
        let Some(until) = self.publish.expires_at(&service, now) else {
            if let Some(operation) = operation {
                self.done(operation, Outcome::Confirmed(0));
            }
            return;
        };
        self.publish.store_began(&service, &nodes, until, now);
        let ttl = until.saturating_duration_since(now);
        let payload = Payload::Announce { service, until, ttl, to_one: false };
        self.store(ActiveStore::new(payload, looked_up, nodes, operation), now);
    }

    /// A node says that it dropped our announces.
    pub(super) fn on_forgotten(&mut self, node: &Contact, now: Instant) {
        let at = now + SETTLE;
        if self.publish.dropped_by(node, now) && self.stores_again.is_none_or(|next| at < next) {
            self.stores_again = Some(at);
            self.set_timer(at, Timer::StoreAgain);
        }
    }

    /// Stores an announce again at a node that dropped it.
    fn store_dropped(&mut self, service: Service, node: Closest, now: Instant) {
        let Some(until) = self.publish.expires_at(&service, now) else { return };
        let ttl = until.saturating_duration_since(now);
        let nodes = vec![node];
        self.publish.store_began(&service, &nodes, until, now);
        let payload = Payload::Announce { service, until, ttl, to_one: true };
        self.store(ActiveStore::new(payload, true, nodes, None), now);
    }

    pub(super) fn store_withdrawal(
        &mut self,
        service: Service,
        nodes: Vec<Closest>,
        operation: Option<Operation>,
        now: Instant,
    ) {
        let payload = Payload::Withdrawal { service };
        self.store(ActiveStore::new(payload, true, nodes, operation), now);
    }

    pub(super) fn store_leave(&mut self, nodes: Vec<Closest>, operation: Operation, now: Instant) {
        let payload = Payload::Leave { port: self.settings.port };
        self.store(ActiveStore::new(payload, true, nodes, Some(operation)), now);
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
            let stored = self.storage.put_item(*item, cas, None).map(|()| id).map_err(|conflict| {
                PutError::Refused { code: conflict.code(), message: conflict.message().to_owned() }
            });
            return self.done(operation, Outcome::Put(stored));
        }
        let payload = Payload::Item { item, cas };
        self.store(ActiveStore::new(payload, looked_up, nodes, Some(operation)), now);
    }

    fn store(&mut self, mut store: ActiveStore, now: Instant) {
        let number = self.number();
        for recipient in store.recipients(&self.routing) {
            self.tell_recipient(number, &mut store, recipient, now);
        }
        self.advance_store(number, store, now);
    }

    fn tell_recipient(
        &mut self,
        number: u64,
        store: &mut ActiveStore,
        recipient: Recipient,
        now: Instant,
    ) {
        let to = store.nodes()[recipient.at].contact;
        let method =
            store.method(recipient.at, |port| self.own.reach(port, &to.addr, &self.routing));
        let (purpose, has_timeout) = (store.purpose(number), recipient.has_timeout);
        let transaction = self.query(to.addr, Some(to.id), method, purpose, has_timeout, now);
        store.sent(recipient, transaction);
    }

    pub(super) fn store_answered(&mut self, number: u64, pending: &Pending, now: Instant) {
        let Some(mut store) = self.publish.take_store(number) else { return };
        let held = store.answered(pending.to);
        self.advance_store(number, store, now);
        // It was withdrawn meanwhile, and the network may have changed the order of the two.
        if let Some((service, node)) = held
            && !self.publish.is_alive(&service, now)
        {
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
        let Some(mut store) = self.publish.take_store(number) else { return };
        let is_announced = |service: &Service| self.publish.is_alive(service, now);
        let again = store.slow(transaction, &pending.to, is_announced, &self.routing);
        if let Some(recipient) = again {
            self.tell_recipient(number, &mut store, recipient, now);
        }
        self.advance_store(number, store, now);
    }

    pub(super) fn store_failed(&mut self, number: u64, refusal: Option<(i64, &str)>, now: Instant) {
        let Some(mut store) = self.publish.take_store(number) else { return };
        store.failed(refusal);
        self.advance_store(number, store, now);
    }

    fn advance_store(&mut self, number: u64, mut store: ActiveStore, now: Instant) {
        match store.progress(|transaction| self.rpc.pending(transaction).is_some()) {
            Progress::Waits => {}
            Progress::Settles => self.settle_store(&store, now),
            Progress::Settled => self.note_holders(&store, now),
        }
        if !store.is_over() {
            self.publish.put_store(number, store);
        }
    }

    fn settle_store(&mut self, store: &ActiveStore, now: Instant) {
        if self.looks_up_after_all(store, now) {
            return;
        }
        self.note_holders(store, now);
        let outcome = store.outcome();
        if let (Payload::Item { item, .. }, Outcome::Put(stored)) = (store.payload(), &outcome)
            && (stored.is_ok() || item.signed().is_none())
        {
            // The closest nodes decided; ours follows unless it is newer.
            let _ = self.storage.put_item(item.as_ref().clone(), None, None);
        }
        if let Some(operation) = store.operation() {
            self.done(operation, outcome);
        }
    }

    /// Old tokens that every node refused are no last word: a lookup brings new ones. Returns
    /// whether there is one now.
    fn looks_up_after_all(&mut self, store: &ActiveStore, now: Instant) -> bool {
        let Some(operation) = store.operation().filter(|_| store.has_old_tokens()) else {
            return false;
        };
        match store.payload() {
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

    /// Notes who holds an announce.
    fn note_holders(&mut self, store: &ActiveStore, now: Instant) {
        let Payload::Announce { service, until, to_one: false, .. } = store.payload() else {
            return;
        };
        let mut again = self.publish.stored(service, store.nodes(), store.confirmed(), *until);
        if store.lacks_holders() {
            self.publish.holders_silent(service, now);
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
        for (name, port) in self.publish.take_due(now) {
            let then = OnComplete::Announce { port, operation: None };
            self.start_lookup(Target::Peers(name), then, now);
        }
        for (service, node) in self.publish.take_dropped(now) {
            self.store_dropped(service, node, now);
        }
        // For those that wait for their turn, one timer at a time.
        self.stores_again.take_if(|at| *at <= now);
        if self.stores_again.is_none()
            && let Some(next) = self.publish.next_due(now)
        {
            let at = next.max(now + SETTLE);
            self.stores_again = Some(at);
            self.set_timer(at, Timer::StoreAgain);
        }
    }
}
