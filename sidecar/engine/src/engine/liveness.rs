//! Liveness: addresses that sent something, and those that did not when they should have.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::Engine;
use crate::Effect;
use crate::failure_detector::{MONITORED_TRIES, Tell};
use crate::krpc::Contact;
use crate::routing::{Heard, Verdict};
use crate::rpc::{Pending, Purpose};

/// How often a node that answers no query is asked in the end before what it announced goes: it is
/// not known to say anything of itself.
const TRIES: u8 = 4;

impl Engine {
    /// A query came from this address, or from one that forges it.
    pub(super) fn asks(&mut self, addr: SocketAddr, now: Instant) {
        self.routing.alive(&addr);
        if self.failure_detector.asks(&addr, now) {
            self.probe(addr, MONITORED_TRIES, Tell::Always, now);
            // It asks: it is given the time of those that do.
            self.failure_detector.asks(&addr, now);
        }
    }

    /// A query of ours was answered from this address.
    pub(super) fn answers(&mut self, addr: &SocketAddr, now: Instant) {
        self.routing.alive(addr);
        self.failure_detector.answers(addr, now);
    }

    /// A node answered a query of ours. `ours` says that it is a Grape of our kind.
    pub(super) fn heard(&mut self, contact: Contact, ours: bool, now: Instant) {
        self.answers(&contact.addr, now);
        self.other_networks.forget(&contact.addr);
        self.failure_detector.stays(&contact.addr);
        self.risen(contact, ours, now);
        if let Some(outdated) = self.outdated(&contact) {
            self.remove(&outdated, now);
        }
        if let Some(beyond) = self.routing.makes_room_for(&contact) {
            self.remove(&beyond, now);
        }
        match self.routing.heard(contact, ours, now) {
            // Keep-alives find out which node of a full bucket is gone.
            Heard::Known | Heard::Full | Heard::Crowded => {}
            Heard::New => {
                let local = |ip: IpAddr| ip.is_loopback();
                let external = self.own.external(contact.addr.is_ipv6());
                let further = external.is_none_or(local) && !local(contact.addr.ip());
                let first = self.routing.len_of(contact.addr.is_ipv6()) == 1;
                if self.routing.len() == 1 {
                    self.routing.look_again_soon(now);
                }
                if first || further {
                    self.effect(Effect::Neighbour(contact.addr));
                }
                if first {
                    self.show_own(now);
                }
                if self.publish.joined(&contact, now) {
                    self.store_again_soon(now);
                }
                self.settle_readiness(now);
            }
        }
    }

    /// A query of ours led back to this node.
    pub(super) fn heard_ourselves(&mut self, pending: &Pending, now: Instant) {
        self.failure_detector.settle_probe(&pending.to);
        self.bootstrap.led_home(&pending.to, now);
        if pending.id.is_some() {
            // The node that was expected there did not answer.
            self.missed(pending, now);
        }
    }

    /// What the table has of this node, where that is at an address which several nodes share: the
    /// node's own is better.
    pub(super) fn outdated(&self, contact: &Contact) -> Option<Contact> {
        let known = self.routing.get(&contact.id, contact.addr.is_ipv6())?.contact;
        (known.addr != contact.addr && self.bootstrap.is_shared(&known.addr)).then_some(known)
    }

    /// An answer did not come in time.
    pub(super) fn missed(&mut self, pending: &Pending, now: Instant) {
        // Where it is as expected, not all of the table has to be looked through.
        let expected = pending.id.map(|id| Contact { id, addr: pending.to });
        let expected = expected.and_then(|contact| self.routing.node(&contact));
        let node = expected.or_else(|| self.routing.node_at(&pending.to));
        let heard_since = node.is_some_and(|node| node.heard > pending.sent);
        if heard_since || matches!(pending.purpose, Purpose::Extension(_) | Purpose::Newcomer) {
            return;
        }
        if self.routing.missed(pending.to, now) == Verdict::Dead {
            let known = self.routing.node_at(&pending.to);
            if let Some((contact, ours)) = known.map(|node| (node.contact, node.ours)) {
                self.remove(&contact, now);
                if ours {
                    self.probe(contact.addr, TRIES, Tell::IfItAnnounced, now);
                }
            }
        }
    }

    pub(super) fn remove(&mut self, contact: &Contact, now: Instant) {
        let removed = self.routing.remove(contact);
        if let Some(replacement) = removed.replacement {
            self.ping(replacement, now);
        }
        if removed.removed && self.publish.left(contact, now) {
            self.store_again_soon(now);
        }
        if removed.removed && self.routing.len_of(contact.addr.is_ipv6()) == 0 {
            self.show_own(now);
        }
    }
}
