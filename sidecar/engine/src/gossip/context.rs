//! What the groups of a machine share, lent to one of them for the time of a call.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use rand::rngs::StdRng;

use super::cookies::Cookies;
use super::events::{GossipCounters, GossipEffect};
use super::limits::{Budget, Priority};
use crate::addresses;
use crate::krpc::NetworkTag;

/// What the groups of a machine share.
pub(super) struct Context<'a> {
    pub(super) now: Instant,
    /// This member's address, once it is known.
    pub(super) own: Option<SocketAddr>,
    pub(super) network: Option<NetworkTag>,
    pub(super) cookies: &'a Cookies,
    pub(super) rng: &'a mut StdRng,
    pub(super) budget: &'a mut Budget,
    pub(super) effects: &'a mut VecDeque<GossipEffect>,
    pub(super) counters: &'a mut GossipCounters,
    /// How many bytes the states of members may still grow by.
    pub(super) room: usize,
}

impl Context<'_> {
    /// Sends a datagram, unless too many were sent.
    pub(super) fn send(&mut self, to: SocketAddr, datagram: Vec<u8>, priority: Priority) {
        if !self.budget.take(datagram.len(), priority, self.now) {
            self.counters.throttled += 1;
            return;
        }
        self.counters.packets_sent += 1;
        self.counters.bytes_sent += datagram.len() as u64;
        self.effects.push_back(GossipEffect::Send { to, datagram });
    }

    /// The canonical form of an address that the member at `source` names; none if nobody can be
    /// there.
    pub(super) fn admit(&self, addr: SocketAddr, source: SocketAddr) -> Option<SocketAddr> {
        let own = self.own.map(|own| own.ip());
        addresses::admit(addr, &source, own.into_iter()).ok()
    }
}
