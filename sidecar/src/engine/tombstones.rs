//! Nodes that were found dead: what they announced is dropped, and not taken from others again.
//! One that comes back is asked for, heard, and told.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand::seq::IteratorRandom;

use super::dated::Dated;
use super::node::Engine;
use super::notices::{News, VERIFIED};
use super::peers::Belief;
use super::probes::Tell;
use super::transactions::Purpose;
use crate::krpc::{Contact, Method};

/// The dead are asked for this long whether they are back, one every second: after a network was
/// cut in two, that is how its parts find each other.
const ASKED_FOR: Duration = Duration::from_secs(600);
/// When one comes back, so may the others: that many of them are asked at once.
const WAVE: usize = 128;
const WAVE_PAUSE: Duration = Duration::from_millis(500);
/// How often another address of a dead node is asked.
const TRIES: u8 = 2;

/// The dead by their addresses, each with when it was found so.
#[derive(Debug)]
pub(super) struct Tombstones {
    dead: Dated,
    peer_max_age: Duration,
    last_wave: Option<Instant>,
}

impl Tombstones {
    pub(super) fn new(peer_max_age: Duration) -> Self {
        Self { dead: Dated::default(), peer_max_age, last_wave: None }
    }

    pub(super) fn contains(&self, addr: &SocketAddr) -> bool {
        self.dead.contains(addr)
    }

    /// This address is one of our own now.
    pub(super) fn forget(&mut self, addr: &SocketAddr) {
        self.dead.remove(addr);
    }

    pub(super) fn expire(&mut self, now: Instant) {
        self.dead.expire(self.peer_max_age.max(ASKED_FOR), now);
    }

    /// The dead node that announced this peer; none where it is of the living, or was announced
    /// after that node's death. Where nobody tells which node it was, any dead one of the peer's
    /// host counts.
    fn announcer(&self, peer: &SocketAddr, belief: &Belief, now: Instant) -> Option<SocketAddr> {
        self.dead.of_host(peer.ip()).find_map(|(addr, died)| {
            let ends = died + self.peer_max_age;
            let counts = match belief.is_from(peer, &addr) {
                // Nobody announces for longer than `peer_max_age`.
                Some(is_from) => is_from && belief.until <= ends,
                None => true,
            };
            (counts && now < ends).then_some(addr)
        })
    }
}

impl Engine {
    /// A node is dead: what it announced goes. Returns whether there was anything.
    pub(super) fn died(&mut self, addr: SocketAddr, now: Instant) -> bool {
        self.tombstones.dead.insert(addr, now);
        self.rumours.remove(&addr);
        self.watching.forget(&addr);
        let mut ids = Vec::new();
        while let Some(contact) = self.table(&addr).node_at(&addr).map(|node| node.contact) {
            ids.push(contact.id);
            self.remove(&contact, now);
        }
        let sole = !self.lives_at(addr.ip());
        let gone = |peer: &SocketAddr, belief: &Belief| belief.is_from(peer, &addr).unwrap_or(sole);
        let mut names = self.peers.remove_from(&addr);
        names.extend(self.lookups.remove_where(gone));
        for running in self.walks.values_mut() {
            running.peers.retain(|peer, belief| !gone(peer, belief));
        }
        for name in &names {
            self.watches.touch(name);
        }
        // It may have another address, of the other family.
        let other = if addr.is_ipv6() { &self.v4 } else { &self.v6 };
        let others: Vec<_> = ids.iter().filter_map(|id| other.get(id)).collect();
        let others: Vec<_> = others.iter().map(|node| node.contact.addr).collect();
        for other in others {
            self.probe(other, TRIES, Tell::IfItAnnounced, now);
        }
        !names.is_empty()
    }

    /// A datagram came from this node. If it was taken for dead, it is told so, since what it
    /// announced is no more.
    pub(super) fn risen(&mut self, contact: Contact, ours: bool, now: Instant) {
        if !self.tombstones.dead.remove(&contact.addr) {
            return;
        }
        if ours {
            self.send_news(contact, &News::Forgotten, 0, now);
        }
        let recent = |at: Instant| now.duration_since(at) < WAVE_PAUSE;
        if !self.tombstones.last_wave.is_some_and(recent) {
            self.tombstones.last_wave = Some(now);
            self.ask_for_the_dead(WAVE, now);
        }
    }

    /// Asks some of the dead whether they are back.
    pub(super) fn ask_for_the_dead(&mut self, count: usize, now: Instant) {
        for addr in self.tombstones.dead.addrs().sample(&mut self.rng, count) {
            self.query(addr, None, Method::Ping { watch: None }, Purpose::Ping, false, now);
        }
    }

    /// The dead node that announced this peer, if one did.
    pub(super) fn dead_announcer(
        &self,
        peer: &SocketAddr,
        belief: &Belief,
        now: Instant,
    ) -> Option<SocketAddr> {
        let dead = self.tombstones.announcer(peer, belief, now)?;
        (belief.node_port.is_some() || !self.lives_at(peer.ip())).then_some(dead)
    }

    /// Whether we know a node at this address, or a peer that it may have announced: whether its
    /// death would change anything here.
    pub(super) fn knows_of(&mut self, addr: &SocketAddr) -> bool {
        let may_be = |peer: &SocketAddr, belief: &Belief| belief.is_from(peer, addr) != Some(false);
        self.table(addr).node_at(addr).is_some()
            || self.peers.any(addr.is_ipv6(), may_be)
            || self.lookups.any(may_be)
            || self.walks.values().any(|running| running.peers.iter().any(|(p, b)| may_be(p, b)))
    }

    /// A peer was found: if there is a rumour that the node which announced it is dead, that node
    /// is asked.
    pub(super) fn ask_after_announcer(&mut self, peer: &SocketAddr, belief: &Belief, now: Instant) {
        let mut rumoured = self.rumours.of_host(peer.ip());
        let announcer = rumoured.find(|(addr, _)| belief.is_from(peer, addr) != Some(false));
        if let Some((addr, _)) = announcer {
            drop(rumoured);
            self.rumours.remove(&addr);
            self.probe(addr, VERIFIED, Tell::Never, now);
        }
    }

    /// Whether a node of this host is known.
    fn lives_at(&self, ip: IpAddr) -> bool {
        self.v4.nodes().chain(self.v6.nodes()).any(|node| node.contact.addr.ip() == ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Duration = Duration::from_secs(120);

    fn addr(host: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], port))
    }

    #[test]
    fn what_a_dead_node_announced_before_its_death_is_known() {
        let now = crate::clock::now();
        let mut tombstones = Tombstones::new(AGE);
        tombstones.dead.insert(addr(1, 7), now);
        let belief = |until, node_port| Belief { until, node_port };
        let announcer = |peer: SocketAddr, belief: Belief, now: Instant| {
            tombstones.announcer(&peer, &belief, now)
        };
        let (second, dead) = (Duration::from_secs(1), Some(addr(1, 7)));
        let before = now + AGE - second;
        assert_eq!(announcer(addr(1, 80), belief(before, Some(7)), now), dead);
        assert_eq!(announcer(addr(1, 80), belief(before, None), now), dead);
        assert_eq!(announcer(addr(1, 80), belief(before, Some(8)), now), None, "another node");
        assert_eq!(announcer(addr(2, 80), belief(before, Some(7)), now), None, "another host");
        let after = now + AGE + second;
        assert_eq!(announcer(addr(1, 80), belief(after, Some(7)), now), None, "announced since");
        assert_eq!(announcer(addr(1, 80), belief(before, None), now + AGE), None, "long ago");
    }
}
