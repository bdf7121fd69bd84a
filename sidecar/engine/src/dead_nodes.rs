//! Nodes that were found dead: what they announced is dropped, and not taken from others again.
//! One that comes back is asked for, heard, and told.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand::seq::IteratorRandom;

use super::Name;
use super::active_lookup::{OnComplete, Target};
use super::engine::Engine;
use super::expiring_set::ExpiringSet;
use super::gossip::{Rumor, VERIFIED};
use super::lookup_cache::Age;
use super::peer_record::{Left, PeerRecord};
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
pub(super) struct DeadNodes {
    dead: ExpiringSet,
    /// Those of them whom nobody asks for: they have said that they leave, or somebody of another
    /// network is at their address.
    unwanted: BTreeSet<SocketAddr>,
    peer_max_age: Duration,
    last_wave: Option<Instant>,
}

impl DeadNodes {
    pub(super) fn new(peer_max_age: Duration) -> Self {
        Self {
            dead: ExpiringSet::default(),
            unwanted: BTreeSet::new(),
            peer_max_age,
            last_wave: None,
        }
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
    fn announcer(
        &self,
        peer: &SocketAddr,
        record: &PeerRecord,
        now: Instant,
    ) -> Option<SocketAddr> {
        if !record.is_told() {
            let mut dead = self.dead.of_host(peer.ip());
            return dead.find(|(_, died)| now < *died + self.peer_max_age).map(|(addr, _)| addr);
        }
        // Nobody announces for longer than `peer_max_age`.
        let mut all = record.announcers(peer);
        let dead =
            all.all(|by| self.ends(&by.addr, now).is_some_and(|ends| record.until() <= ends));
        record.announcers(peer).next().filter(|_| dead).map(|by| by.addr)
    }

    /// When the last announce of a dead node ends; none where it lives, or all of them are over.
    fn ends(&self, node: &SocketAddr, now: Instant) -> Option<Instant> {
        self.dead.since(node).map(|died| died + self.peer_max_age).filter(|ends| now < *ends)
    }
}

impl Engine {
    /// A node is dead: what it announced goes. Returns whether there was anything.
    pub(super) fn died(&mut self, addr: SocketAddr, now: Instant) -> bool {
        self.dead_nodes.dead.insert(addr, now);
        if self.leavers.died(&addr) {
            self.dead_nodes.do_not_ask_for(&addr);
        }
        self.unconfirmed_deaths.remove(&addr);
        self.monitored.forget(&addr);
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
        names
            .extend(self.lookup_cache.remove_from(node, sole, |name| self.subscriptions.has(name)));
        for active in self.lookups.values_mut() {
            active.peers.retain(|peer, record| record.strike(peer, node, sole) != Left::Nobody);
        }
        for name in &names {
            self.subscriptions.touch(name);
            if self.subscriptions.has(name) && self.lookup_cache.age(name, now) == Age::Stale {
                self.start_lookup(Target::Peers(name.clone()), OnComplete::Refresh, now);
            }
        }
        names
    }

    /// A datagram came from this node. If it was taken for dead, it is told so, since what it
    /// announced is no more.
    pub(super) fn risen(&mut self, contact: Contact, ours: bool, now: Instant) {
        if !self.dead_nodes.forget(&contact.addr) {
            return;
        }
        if ours {
            self.send_rumor(contact, &Rumor::Forgotten, 0, now);
        }
        let recent = |at: Instant| now.duration_since(at) < WAVE_PAUSE;
        if !self.dead_nodes.last_wave.is_some_and(recent) {
            self.dead_nodes.last_wave = Some(now);
            self.ask_for_the_dead(WAVE, now);
        }
    }

    /// Asks some of the dead whether they are back.
    pub(super) fn ask_for_the_dead(&mut self, count: usize, now: Instant) {
        let unwanted = &self.dead_nodes.unwanted;
        let dead = self.dead_nodes.dead.addrs().filter(|addr| !unwanted.contains(addr));
        for addr in dead.sample(&mut self.rng, count) {
            self.query(addr, None, Method::Ping { watch: None }, Purpose::Ping, false, now);
        }
    }

    /// The dead node that announced this peer, if no other did.
    pub(super) fn dead_announcer(
        &self,
        peer: &SocketAddr,
        record: &PeerRecord,
        now: Instant,
    ) -> Option<SocketAddr> {
        let dead = self.dead_nodes.announcer(peer, record, now)?;
        (record.is_told() || !self.lives_at(peer.ip())).then_some(dead)
    }

    /// Takes the dead out of those that announced a peer of which not all are dead. Returns one of
    /// them.
    pub(super) fn strike_dead(
        &self,
        peer: &SocketAddr,
        record: &mut PeerRecord,
        now: Instant,
    ) -> Option<SocketAddr> {
        let is_dead = |addr: &SocketAddr| self.dead_nodes.ends(addr, now).is_some();
        let mut struck = None;
        loop {
            let dead = record.announcers(peer).map(|by| by.addr).find(is_dead);
            match dead.map(|dead| record.strike(peer, &dead, false)) {
                Some(Left::Others) => struck = dead,
                _ => return struck,
            }
        }
    }

    /// Whether we know a node at this address, or a peer that it may have announced: whether its
    /// death would change anything here.
    pub(super) fn knows_of(&mut self, addr: &SocketAddr) -> bool {
        let may_be =
            |peer: &SocketAddr, record: &PeerRecord| record.is_from(peer, addr) != Some(false);
        self.table(addr).node_at(addr).is_some()
            || self.peers.any(addr.is_ipv6(), may_be)
            || self.lookup_cache.any(may_be)
            || self.lookups.values().any(|active| active.peers.iter().any(|(p, b)| may_be(p, b)))
    }

    /// A peer was found: if the node which announced it is said to be dead, that node
    /// is asked.
    pub(super) fn ask_after_announcer(
        &mut self,
        peer: &SocketAddr,
        record: &PeerRecord,
        now: Instant,
    ) {
        let announcers = record.announcers(peer).map(|by| by.addr);
        let known = announcers.into_iter().find(|addr| self.unconfirmed_deaths.contains(addr));
        let any =
            || self.unconfirmed_deaths.of_host(peer.ip()).next().filter(|_| !record.is_told());
        if let Some(addr) = known.or_else(|| any().map(|(addr, _)| addr)) {
            self.unconfirmed_deaths.remove(&addr);
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
    fn by(nodes: &[(u8, u16)], until: Instant) -> PeerRecord {
        let announcers = nodes.iter().map(|(host, port)| addr(*host, *port)).collect();
        let peer = Peer { announcers, ..Peer::new(addr(1, 80)) };
        PeerRecord::told(&peer, addr(9, 9), until)
    }

    #[test]
    fn a_peer_that_a_living_node_announced_too_is_there() {
        let now = crate::clock::now();
        let mut dead_nodes = DeadNodes::new(AGE);
        let announcer = |dead_nodes: &DeadNodes, nodes| {
            dead_nodes.announcer(&addr(1, 80), &by(nodes, now + AGE / 2), now)
        };
        dead_nodes.dead.insert(addr(1, 7), now);
        assert_eq!(announcer(&dead_nodes, &[(1, 7), (1, 8)]), None);
        assert_eq!(announcer(&dead_nodes, &[(1, 7), (2, 7)]), None);
        dead_nodes.dead.insert(addr(2, 7), now);
        assert_eq!(announcer(&dead_nodes, &[(1, 7), (2, 7)]), Some(addr(1, 7)));
        assert_eq!(announcer(&dead_nodes, &[(2, 7)]), Some(addr(2, 7)), "at another IP");
    }

    #[test]
    fn what_a_dead_node_announced_before_its_death_is_known() {
        let now = crate::clock::now();
        let mut dead_nodes = DeadNodes::new(AGE);
        dead_nodes.dead.insert(addr(1, 7), now);
        let record = |until, port: Option<u16>| match port {
            Some(port) => by(&[(1, port)], until),
            None => PeerRecord::untold(until),
        };
        let announcer = |peer: SocketAddr, record: PeerRecord, now: Instant| {
            dead_nodes.announcer(&peer, &record, now)
        };
        let (second, dead) = (Duration::from_secs(1), Some(addr(1, 7)));
        let before = now + AGE - second;
        assert_eq!(announcer(addr(1, 80), record(before, Some(7)), now), dead);
        assert_eq!(announcer(addr(1, 80), record(before, None), now), dead);
        assert_eq!(announcer(addr(1, 80), record(before, Some(8)), now), None, "another node");
        assert_eq!(announcer(addr(2, 80), record(before, Some(7)), now), None, "another host");
        let after = now + AGE + second;
        assert_eq!(announcer(addr(1, 80), record(after, Some(7)), now), None, "announced since");
        assert_eq!(announcer(addr(1, 80), record(before, None), now + AGE), None, "long ago");
    }
}
