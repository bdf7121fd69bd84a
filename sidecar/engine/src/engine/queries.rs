//! Queries of ours: sent, answered, refused, late and timed out.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mainline::Id;

use super::Engine;
use super::timers::Timer;
use crate::krpc::{self, Body, Contact, Method, Query, Response, Want};
use crate::publish::ActiveStore;
use crate::rpc::{Pending, Purpose};
use crate::status::method_index;

/// A query that has no answer after this has timed out.
const TIMED_OUT_AFTER: Duration = Duration::from_secs(2);
/// The least timeout where haste could lose something: a lookup that has found nothing yet, a store.
const CAREFUL: Duration = Duration::from_millis(500);

impl Engine {
    pub(super) fn ping(&mut self, contact: Contact, now: Instant) {
        let method = Method::Ping { watch: None };
        self.query(contact.addr, Some(contact.id), method, Purpose::Ping, true, now);
    }

    /// Sends a query. `waited_for` says whether somebody waits for its answer, until its timeout.
    pub(super) fn query(
        &mut self,
        to: SocketAddr,
        id: Option<Id>,
        method: Method<'_>,
        purpose: Purpose,
        waited_for: bool,
        now: Instant,
    ) -> u32 {
        self.stats.queries_sent[method_index(&method)] += 1;
        let transaction = self.rpc.open(Pending { to, id, sent: now, purpose }, &mut self.rng);
        if waited_for {
            let node = id.and_then(|id| self.routing.node(&Contact { id, addr: to }));
            let round_trip = node.and_then(|node| node.round_trip);
            let timeout = self.rpc.timeout(round_trip);
            self.set_timer(now + timeout, Timer::Timeout(transaction));
        } else {
            self.routing.asked(&to, now);
        }
        self.set_timer(now + TIMED_OUT_AFTER, Timer::TimedOut(transaction));
        let query =
            Query { sender: Some(self.settings.id), read_only: false, want: self.want(), method };
        self.send(to, &transaction.to_be_bytes(), Body::Query(query), now);
        transaction
    }

    /// A node that knows nodes of both address families asks for both (BEP 32).
    fn want(&self) -> Want {
        let both = self.routing.has_both_families();
        Want { n4: both, n6: both }
    }

    pub(super) fn on_response(
        &mut self,
        from: SocketAddr,
        id: &[u8],
        response: &Response<'_>,
        ours: bool,
        now: Instant,
    ) {
        let Some(pending) = self.rpc.answered(id, from, now) else { return };
        let contact = Contact { id: response.id, addr: from };
        if contact.id == self.settings.id {
            self.heard_ourselves(&pending, now);
            return self.failed(&pending, None, now);
        }
        let is_new = !self.routing.has(&contact);
        if matches!(pending.purpose, Purpose::Lookup(_) | Purpose::Newcomer) && pending.id.is_none()
        {
            self.bootstrap.led_elsewhere(&from, true);
        }
        if let Some(expected) = pending.id.filter(|expected| *expected != contact.id) {
            self.remove(&Contact { id: expected, addr: from }, now);
        }
        self.heard(contact, ours, now);
        let round_trip = now.duration_since(pending.sent);
        self.routing.measured(&contact, round_trip);
        if let Some(token) = &response.token {
            self.routing.gave_token(&contact, Some(token), now);
        }
        self.rpc.measured(round_trip);
        match pending.purpose {
            Purpose::Ping | Purpose::Rumor { .. } => {}
            Purpose::Newcomer => self.proved(contact, is_new, pending.id.is_none(), now),
            Purpose::Heartbeat => self.heartbeat_answered(from, response.watch, now),
            Purpose::Lookup(lookup) => {
                self.lookup_answered(lookup, &pending, contact, response, now)
            }
            Purpose::Store(store) | Purpose::Extension(store) => {
                self.store_answered(store, &pending, now);
            }
        }
    }

    pub(super) fn on_error(
        &mut self,
        from: SocketAddr,
        id: &[u8],
        code: i64,
        text: &str,
        now: Instant,
    ) {
        let Some(pending) = self.rpc.answered(id, from, now) else { return };
        self.stats.errors_received += 1;
        let errand = match pending.purpose {
            Purpose::Lookup(lookup) => self.lookups.errand(lookup),
            Purpose::Store(store) | Purpose::Extension(store) => {
                self.publish.store(store).map(ActiveStore::errand)
            }
            _ => None,
        };
        let errand = errand.map(|errand| format!("{errand}: ")).unwrap_or_default();
        self.errors.note(format_args!("{errand}{from} refused: {code} {text}"), now);
        self.answers(&from, now);
        if let Some(id) = pending.id
            && code == krpc::code::PROTOCOL
        {
            // It may be for the token that was sent.
            self.routing.gave_token(&Contact { id, addr: from }, None, now);
        }
        self.failed(&pending, Some((code, text)), now);
    }

    pub(super) fn on_timeout(&mut self, id: u32, now: Instant) {
        let Some(pending) = self.rpc.pending(id).cloned() else { return };
        let careful = match pending.purpose {
            Purpose::Ping | Purpose::Heartbeat | Purpose::Store(_) => true,
            Purpose::Extension(_) | Purpose::Rumor { .. } | Purpose::Newcomer => false,
            Purpose::Lookup(lookup) => self.lookups.found_nothing(lookup),
        };
        if careful && now < pending.sent + CAREFUL {
            if let Purpose::Lookup(lookup) = pending.purpose {
                self.lookup_late(lookup, &pending, now);
            }
            return self.set_timer(pending.sent + CAREFUL, Timer::Timeout(id));
        }
        self.missed(&pending, now);
        match &pending.purpose {
            Purpose::Ping | Purpose::Newcomer => {}
            Purpose::Heartbeat => self.heartbeat_missed(pending.to, now),
            Purpose::Rumor { rumor, tried } => self.rumor_missed(&pending, rumor, *tried, now),
            Purpose::Lookup(lookup) => self.lookup_slow(*lookup, &pending, now),
            Purpose::Store(store) | Purpose::Extension(store) => {
                self.store_slow(*store, id, &pending, now);
            }
        }
    }

    pub(super) fn on_timed_out(&mut self, id: u32, now: Instant) {
        let Some(pending) = self.rpc.timed_out(id) else { return };
        self.stats.timeouts += 1;
        self.missed(&pending, now);
        if matches!(pending.purpose, Purpose::Lookup(_) | Purpose::Newcomer) && pending.id.is_none()
        {
            self.bootstrap.led_elsewhere(&pending.to, false);
        }
        self.failed(&pending, None, now);
    }

    pub(super) fn failed(&mut self, pending: &Pending, refusal: Option<(i64, &str)>, now: Instant) {
        match pending.purpose {
            Purpose::Ping | Purpose::Heartbeat | Purpose::Rumor { .. } | Purpose::Newcomer => {}
            Purpose::Lookup(lookup) => self.lookup_failed(lookup, pending, now),
            Purpose::Store(store) | Purpose::Extension(store) => {
                self.store_failed(store, refusal, now);
            }
        }
    }
}
