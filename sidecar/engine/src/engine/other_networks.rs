//! Grapes of other networks: they are refused, and a node that had the address before counts as
//! gone.
//!
//! An address is no membership: it passes from pod to pod. A message that names another network than
//! ours is answered by an error at once; its sender enters no table, and nothing that it says is
//! taken for a sign of life. Where such a Grape answers a query of ours, the node that we knew at its
//! address is dead. A query alone shows nothing, since anyone can send one from any address: the node
//! that we know there is asked. Who names no network is of any.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lru::LruCache;

use super::Engine;
use crate::failure_detector::Tell;
use crate::krpc::{Body, Message, NetworkTag, code};
use crate::rpc::Purpose;

/// Most addresses that are remembered; the least recently seen is dropped first.
const MOST: usize = 256;
/// How long an address is remembered after its last message.
const LATELY: Duration = Duration::from_secs(60);
/// Most addresses that the status shows.
const SHOWN: usize = 8;
/// How often a node is asked whether it is still there, when another network asks from its address.
const TRIES: u8 = 4;

/// The kinds of messages of other networks, as labels of a metric.
pub const OTHER_NETWORK_MESSAGES: [&str; 2] = ["query", "answer"];

/// An address from which a Grape of another network sent something.
#[derive(Debug)]
struct Heard {
    last: Instant,
    /// Whether it answered a query of ours. Anyone can send a query from any address.
    answered: bool,
}

/// Addresses from which Grapes of other networks sent something lately.
#[derive(Debug)]
pub(super) struct OtherNetworks {
    heard: LruCache<SocketAddr, Heard>,
}

impl OtherNetworks {
    pub(super) fn new() -> Self {
        // Unbounded with a bound of our own, so that an empty one takes no memory.
        Self { heard: LruCache::unbounded() }
    }

    fn note(&mut self, addr: SocketAddr, answered: bool, now: Instant) {
        let answered = answered || self.answered(&addr);
        self.heard.put(addr, Heard { last: now, answered });
        if self.heard.len() > MOST {
            self.heard.pop_lru();
        }
    }

    /// A node of our own network answered there.
    pub(super) fn forget(&mut self, addr: &SocketAddr) {
        if !self.heard.is_empty() {
            self.heard.pop(addr);
        }
    }

    /// Whether a Grape of another network answered there.
    pub(super) fn answered(&self, addr: &SocketAddr) -> bool {
        !self.heard.is_empty() && self.heard.peek(addr).is_some_and(|heard| heard.answered)
    }

    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((_, heard)) = self.heard.peek_lru()
            && now.duration_since(heard.last) >= LATELY
        {
            self.heard.pop_lru();
        }
    }

    /// Some of them, sorted.
    pub(super) fn some(&self) -> Vec<SocketAddr> {
        let mut addrs: Vec<_> = self.heard.iter().map(|(addr, _)| *addr).collect();
        addrs.sort_unstable();
        addrs.truncate(SHOWN);
        addrs
    }
}

impl Engine {
    /// Whether a message that names this network is none of ours.
    pub(super) fn is_of_another(&self, network: Option<NetworkTag>) -> bool {
        network.zip(self.network()).is_some_and(|(theirs, own)| theirs != own)
    }

    /// A Grape of another network sent a message.
    pub(super) fn on_other_network(
        &mut self,
        from: SocketAddr,
        message: &Message<'_>,
        now: Instant,
    ) {
        let id = &*message.transaction_id;
        let why = match &message.body {
            Body::Query(_) => return self.refuse_other_network(from, id, now),
            Body::Response(_) => "",
            Body::Error { message, .. } => message,
        };
        let Some(pending) = self.rpc.answered(id, from, now) else { return };
        self.stats.other_network[1] += 1;
        self.other_networks.note(from, true, now);
        self.errors.note(format_args!("{from} is a Grape of another network {why}"), now);
        if matches!(pending.purpose, Purpose::Lookup(_) | Purpose::Newcomer) && pending.id.is_none()
        {
            self.bootstrap.led_elsewhere(&from, true);
        }
        self.displaced(from, now);
        self.failed(&pending, None, now);
    }

    fn refuse_other_network(&mut self, from: SocketAddr, id: &[u8], now: Instant) {
        self.stats.other_network[0] += 1;
        self.other_networks.note(from, false, now);
        let own = self.settings.network.as_ref().map_or("", |network| network.as_str());
        let message = format!("this Grape is of the network {own}").into();
        self.send(from, id, Body::Error { code: code::PROTOCOL, message }, now);
        if self.routing.node_at(&from).is_some() {
            self.probe(from, TRIES, Tell::IfItAnnounced, now);
        }
    }

    /// A Grape of another network is at this address: the one that we knew there is gone.
    fn displaced(&mut self, addr: SocketAddr, now: Instant) {
        let asked = self.failure_detector.settle_probe(&addr);
        let is_known = self.routing.node_at(&addr).is_some()
            || !self.failure_detector.is_dead(&addr) && self.knows_of(&addr);
        if is_known {
            let announced = self.died(addr, now);
            if announced && asked != Some(Tell::Never) || asked == Some(Tell::Always) {
                self.notify_of_death(addr, now);
            }
        }
        // The dead are asked for whether they are back. This one is not.
        self.failure_detector.do_not_ask_for(&addr);
        self.lose_monitor(&addr, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_ends() {
        let now = crate::clock::now();
        let addr = |port| SocketAddr::from(([10, 0, 0, 1], port));
        let mut heard = OtherNetworks::new();
        for port in 1..=2000 {
            heard.note(addr(port), true, now + Duration::from_millis(port.into()));
        }
        assert_eq!(heard.heard.len(), MOST);
        assert_eq!(heard.some().len(), SHOWN);
        assert!(!heard.answered(&addr(1)) && heard.answered(&addr(2000)));
        heard.forget(&addr(2000));
        assert!(!heard.answered(&addr(2000)));
        heard.expire(now + LATELY + Duration::from_secs(2));
        assert_eq!(heard.some(), []);
    }

    #[test]
    fn a_query_of_another_network_keeps_no_node_from_its_address() {
        let now = crate::clock::now();
        let addr = SocketAddr::from(([10, 0, 0, 1], 1));
        let mut heard = OtherNetworks::new();
        heard.note(addr, false, now);
        assert!(!heard.answered(&addr) && heard.some() == [addr]);
        heard.note(addr, true, now);
        heard.note(addr, false, now);
        assert!(heard.answered(&addr), "its answer counts after a query, too");
    }
}
