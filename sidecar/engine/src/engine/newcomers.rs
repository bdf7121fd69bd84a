//! Nodes that ask us and are not in the routing table. A source address can be forged, and many
//! nodes ask once and are gone: so a newcomer is pinged once, and enters the table when it answers.
//! So do nodes at bootstrap addresses and at addresses of introductions.

use std::net::SocketAddr;
use std::time::Instant;

use mainline::Id;

use super::Engine;
use crate::Effect;
use crate::krpc::{Contact, Method};
use crate::routing::Heard;
use crate::rpc::Purpose;

impl Engine {
    /// A newcomer has answered, and is in the table by now, if there was room. `named`: a seed or an
    /// introduction named its address; otherwise it had sent us a query.
    pub(super) fn proved(&mut self, contact: Contact, is_new: bool, named: bool, now: Instant) {
        if is_new && !named && self.routing.len() == 1 {
            self.effect(Effect::FoundBy(contact.addr));
        }
        if self.bootstrap.is_joining() {
            // It found us before our bootstrap nodes answered: they may never do.
            self.join_through(&[contact], now);
        } else if is_new && named && self.routing.has(&contact) {
            // It may be of a part of the network that we know nothing of.
            self.routing.look_again_soon(now);
        }
    }

    /// A query came in this node's name. Returns whether the node has to prove itself: it is not in
    /// the table, and would be there if it answered.
    pub(super) fn asked_by(&mut self, contact: Contact, ours: bool, now: Instant) -> bool {
        self.asks(contact.addr, now);
        match self.routing.asked_by(contact, ours, now) {
            Heard::New => true,
            // A node that was marked dead is notified as soon as it has answered.
            Heard::Known | Heard::Full | Heard::Crowded => {
                self.failure_detector.is_dead(&contact.addr) || self.outdated(&contact).is_some()
            }
        }
    }

    /// Pings a newcomer, unless it was pinged and may still answer: one ping for one query at most.
    pub(super) fn ask_for_proof(&mut self, contact: Contact, now: Instant) {
        self.ask_stranger(contact.addr, Some(contact.id), now);
    }

    /// The same at an address: `id` is the node that we expect there, if any.
    pub(super) fn ask_stranger(&mut self, to: SocketAddr, id: Option<Id>, now: Instant) {
        if !self.rpc.asks_stranger(&to) {
            self.query(to, id, Method::Ping { watch: None }, Purpose::Newcomer, false, now);
        }
    }
}
