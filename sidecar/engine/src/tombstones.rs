//! Nodes that were found dead: what they announced is dropped, and not taken from others again.
//! One that comes back is asked for, heard, and told.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand::seq::IteratorRandom;

use super::Name;
use super::announcers::{Belief, Left};
use super::dated::Dated;
use super::lookups::Age;
use super::node::Engine;
use super::notices::{News, VERIFIED};
use super::probes::Tell;
use super::steps::{Subject, Then};
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
    /// Those of them whom nobody asks for: they have said that they leave, or somebody of another
    /// network is at their address.
    unwanted: BTreeSet<SocketAddr>,
    peer_max_age: Duration,
    last_wave: Option<Instant>,
}

impl Tombstones {
    pub(super) fn new(peer_max_age: Duration) -> Self {
        Self { dead: Dated::default(), unwanted: BTreeSet::new(), peer_max_age, last_wave: None }
    }

    pub(super) fn contains(&self, addr: &SocketAddr) -> bool {
        self.dead.contains(addr)
    }

    /// This address is one of our own now, or of a node that lives. Returns whether it was a dead
    /// one's.
    pub(super) fn forget(&mut self, addr: &SocketAddr) -> bool {
        self.unwanted.remove(addr);
        self.dead.remove(addr)
    }

    /// Nobody is to be asked for at this address.
    pub(super) fn do_not_ask_for(&mut self, addr: &SocketAddr) {
        if self.dead.contains(addr) {
            self.unwanted.insert(*addr);
        }
    }

    pub(super) fn expire(&mut self, now: Instant) {
        self.dead.expire(self.peer_max_age.max(ASKED_FOR), now);
        self.unwanted.retain(|addr| self.dead.contains(addr));
    }

    /// A dead node that announced this peer; none where a living one did too, or it was announced
    /// after the death. Where nobody tells which node it was, any dead one of the peer's host
    /// counts.
    fn announcer(&self, peer: &SocketAddr, belief: &Belief, now: Instant) -> Option<SocketAddr> {
        if !belief.is_told() {
            let mut dead = self.dead.of_host(peer.ip());
            return dead.find(|(_, died)| now < *died + self.peer_max_age).map(|(addr, _)| addr);
        }
        // Nobody announces for longer than `peer_max_age`.
        let mut all = belief.announcers(peer);
        let dead =
            all.all(|by| self.ends(&by.addr, now).is_some_and(|ends| belief.until() <= ends));
        belief.announcers(peer).next().filter(|_| dead).map(|by| by.addr)
    }

    /// When the last announce of a dead node ends; none where it lives, or all of them are over.
    fn ends(&self, node: &SocketAddr, now: Instant) -> Option<Instant> {
        self.dead.since(node).map(|died| died + self.peer_max_age).filter(|ends| now < *ends)
    }
}

impl Engine {
    /// A node is dead: what it announced goes. Returns whether there was anything.
    pub(super) fn died(&mut self, addr: SocketAddr, now: Instant) -> bool {
        self.tombstones.dead.insert(addr, now);
        if self.leavers.died(&addr) {
            self.tombstones.do_not_ask_for(&addr);
        }
        self.rumours.remove(&addr);
        self.watching.forget(&addr);
        let mut ids = Vec::new();
        while let Some(contact) = self.table(&addr).node_at(&addr).map(|node| node.contact) {
            ids.push(contact.id);
            self.remove(&contact, now);
        }
        let sole = !self.lives_at(addr.ip());
        let names = self.forget_announces(&addr, sole, now);
        self.claims.forget(&addr);
        // It may have another address, of the other family.
        let other = if addr.is_ipv6() { &self.v4 } else { &self.v6 };
        let others: Vec<_> = ids.iter().filter_map(|id| other.get(id)).collect();
        let others: Vec<_> = others.iter().map(|node| node.contact.addr).collect();
        for other in others {
            self.probe(other, TRIES, Tell::IfItAnnounced, now);
        }
        !names.is_empty()
    }

    /// What the node at this address announced is no more; what others announced too stays. `sole`
    /// says that no other node of its host is known. Returns the names.
    pub(super) fn forget_announces(
        &mut self,
        node: &SocketAddr,
        sole: bool,
        now: Instant,
    ) -> Vec<Name> {
        let mut names = self.peers.remove_from(node);
        names.extend(self.lookups.remove_from(node, sole, |name| self.watches.has(name)));
        for running in self.walks.values_mut() {
            running.peers.retain(|peer, belief| belief.strike(peer, node, sole) != Left::Nobody);
        }
        for name in &names {
            self.watches.touch(name);
            if self.watches.has(name) && self.lookups.age(name, now) == Age::Stale {
                self.walk(Subject::Peers(name.clone()), Then::Refresh, now);
            }
        }
        names
    }

    /// A datagram came from this node. If it was taken for dead, it is told so, since what it
    /// announced is no more.
    pub(super) fn risen(&mut self, contact: Contact, ours: bool, now: Instant) {
        if !self.tombstones.forget(&contact.addr) {
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
        let unwanted = &self.tombstones.unwanted;
        let dead = self.tombstones.dead.addrs().filter(|addr| !unwanted.contains(addr));
        for addr in dead.sample(&mut self.rng, count) {
            self.query(addr, None, Method::Ping { watch: None }, Purpose::Ping, false, now);
        }
    }

    /// The dead node that announced this peer, if no other did.
    pub(super) fn dead_announcer(
        &self,
        peer: &SocketAddr,
        belief: &Belief,
        now: Instant,
    ) -> Option<SocketAddr> {
        let dead = self.tombstones.announcer(peer, belief, now)?;
        (belief.is_told() || !self.lives_at(peer.ip())).then_some(dead)
    }

    /// Takes the dead out of those that announced a peer of which not all are dead. Returns one of
    /// them.
    pub(super) fn strike_dead(
        &self,
        peer: &SocketAddr,
        belief: &mut Belief,
        now: Instant,
    ) -> Option<SocketAddr> {
        let is_dead = |addr: &SocketAddr| self.tombstones.ends(addr, now).is_some();
        let mut struck = None;
        loop {
            let dead = belief.announcers(peer).map(|by| by.addr).find(is_dead);
            match dead.map(|dead| belief.strike(peer, &dead, false)) {
                Some(Left::Others) => struck = dead,
                _ => return struck,
            }
        }
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
        let announcers = belief.announcers(peer).map(|by| by.addr);
        let known = announcers.into_iter().find(|addr| self.rumours.contains(addr));
        let any = || self.rumours.of_host(peer.ip()).next().filter(|_| !belief.is_told());
        if let Some(addr) = known.or_else(|| any().map(|(addr, _)| addr)) {
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
    use crate::krpc::Peer;

    const AGE: Duration = Duration::from_secs(120);

    fn addr(host: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], port))
    }

    /// A peer at host 1 that these nodes announced.
    fn by(nodes: &[(u8, u16)], until: Instant) -> Belief {
        let announcers = nodes.iter().map(|(host, port)| addr(*host, *port)).collect();
        let peer = Peer { announcers, ..Peer::new(addr(1, 80)) };
        Belief::told(&peer, addr(9, 9), until)
    }

    #[test]
    fn a_peer_that_a_living_node_announced_too_is_there() {
        let now = crate::clock::now();
        let mut tombstones = Tombstones::new(AGE);
        let announcer = |tombstones: &Tombstones, nodes| {
            tombstones.announcer(&addr(1, 80), &by(nodes, now + AGE / 2), now)
        };
        tombstones.dead.insert(addr(1, 7), now);
        assert_eq!(announcer(&tombstones, &[(1, 7), (1, 8)]), None);
        assert_eq!(announcer(&tombstones, &[(1, 7), (2, 7)]), None);
        tombstones.dead.insert(addr(2, 7), now);
        assert_eq!(announcer(&tombstones, &[(1, 7), (2, 7)]), Some(addr(1, 7)));
        assert_eq!(announcer(&tombstones, &[(2, 7)]), Some(addr(2, 7)), "at another IP");
    }

    #[test]
    fn what_a_dead_node_announced_before_its_death_is_known() {
        let now = crate::clock::now();
        let mut tombstones = Tombstones::new(AGE);
        tombstones.dead.insert(addr(1, 7), now);
        let belief = |until, port: Option<u16>| match port {
            Some(port) => by(&[(1, port)], until),
            None => Belief::untold(until),
        };
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
