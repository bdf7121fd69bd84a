//! Who is there: addresses that were heard, and those that were not when they should have been.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::Effect;
use super::engine::Engine;
use super::probes::Tell;
use super::routing::Heard;
use super::suspects::Verdict;
use super::transactions::{Pending, Purpose};
use crate::krpc::Contact;

/// How often a node that answers no query is asked in the end before what it announced goes: it is
/// not known to say anything of itself.
const TRIES: u8 = 4;

impl Engine {
    /// A datagram came from this address.
    pub(super) fn lives(&mut self, addr: &SocketAddr, now: Instant) {
        self.suspects.heard(addr);
        self.probes.heard(addr);
        self.monitored.heard(addr, now);
    }

    /// A node answered a query of ours. `ours` says that it is a Grape of our kind.
    pub(super) fn heard(&mut self, contact: Contact, ours: bool, now: Instant) {
        self.lives(&contact.addr, now);
        self.other_networks.forget(&contact.addr);
        self.leavers.stays(&contact.addr);
        self.risen(contact, ours, now);
        if let Some(outdated) = self.outdated(&contact) {
            self.remove(&outdated, now);
        }
        match self.table(&contact.addr).heard(contact, ours, now) {
            // Whoever of a full bucket is gone, is found out by the keep-alives.
            Heard::Known | Heard::Full => {}
            Heard::New => {
                let local = |ip: IpAddr| ip.is_loopback();
                let external = self.external.get(contact.addr.is_ipv6());
                let further = external.is_none_or(local) && !local(contact.addr.ip());
                let first = self.table(&contact.addr).len() == 1;
                if self.nodes() == 1 {
                    self.upkeep.joined(now);
                }
                if first || further {
                    self.effect(Effect::Neighbour(contact.addr));
                }
                if first {
                    self.show_own(now);
                }
                if self.announces.joined(&contact, now) {
                    self.store_again_soon(now);
                }
                self.settle_readiness(now);
            }
        }
    }

    /// A query of ours led back to this node.
    pub(super) fn heard_ourselves(&mut self, pending: &Pending, now: Instant) {
        self.probes.heard(&pending.to);
        self.seeds.led_home(&pending.to, now);
        if pending.id.is_some() {
            // Whoever was expected there was not heard.
            self.missed(pending, now);
        }
    }

    /// What the table has of this node, where that is at an address which several nodes share: the
    /// node's own is better.
    pub(super) fn outdated(&self, contact: &Contact) -> Option<Contact> {
        let table = if contact.addr.is_ipv6() { &self.v6 } else { &self.v4 };
        let known = table.get(&contact.id)?.contact;
        (known.addr != contact.addr && self.seeds.is_shared(&known.addr)).then_some(known)
    }

    /// An answer did not come in time.
    pub(super) fn missed(&mut self, pending: &Pending, now: Instant) {
        let table = self.table(&pending.to);
        // Where it is as expected, not all of the table has to be looked through.
        let expected = pending.id.as_ref().and_then(|id| table.get(id));
        let expected = expected.filter(|node| node.contact.addr == pending.to);
        let node = expected.or_else(|| table.node_at(&pending.to));
        let heard_since = node.is_some_and(|node| node.heard > pending.sent);
        if heard_since || matches!(pending.purpose, Purpose::Extension(_) | Purpose::Newcomer) {
            return;
        }
        if self.suspects.missed(pending.to, now) == Verdict::Dead {
            let known = self.table(&pending.to).node_at(&pending.to);
            if let Some((contact, ours)) = known.map(|node| (node.contact, node.ours)) {
                self.remove(&contact, now);
                if ours {
                    self.probe(contact.addr, TRIES, Tell::IfItAnnounced, now);
                }
            }
        }
    }

    pub(super) fn remove(&mut self, contact: &Contact, now: Instant) {
        let removed = self.table(&contact.addr).remove(contact);
        if let Some(replacement) = removed.replacement {
            self.ping(replacement, now);
        }
        if removed.removed && self.announces.left(contact, now) {
            self.store_again_soon(now);
        }
        if removed.removed && self.table(&contact.addr).len() == 0 {
            self.show_own(now);
        }
    }

    pub(super) fn settle_readiness(&mut self, now: Instant) {
        self.ready = self.ready || !self.joining && (self.nodes() > 0 || self.is_first(now));
    }
}
