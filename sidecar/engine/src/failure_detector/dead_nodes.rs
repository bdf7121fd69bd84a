//! Nodes that were found dead: what they announced is dropped, and not taken from others again.
//! One that comes back is asked for, heard, and told.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::seq::IteratorRandom;

use super::expiring_set::ExpiringSet;
use crate::peer_record::{Left, PeerRecord};

/// The dead are asked for this long whether they are back, one every second: after a network was
/// cut in two, that is how its parts find each other.
const ASKED_FOR: Duration = Duration::from_secs(600);
/// When one comes back, so may the others: that many of them are asked at once.
const WAVE: usize = 128;
const WAVE_PAUSE: Duration = Duration::from_millis(500);
/// How often another address of a dead node is asked.
pub(crate) const OTHER_ADDRESS_TRIES: u8 = 2;

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

    /// The node at this address is dead. `wanted` says that it is to be asked whether it is back.
    pub(super) fn insert(&mut self, addr: SocketAddr, wanted: bool, now: Instant) {
        self.dead.insert(addr, now);
        if !wanted {
            self.do_not_ask_for(&addr);
        }
    }

    /// How many others are asked whether they are back as well, now that one is.
    pub(super) fn wave(&mut self, now: Instant) -> usize {
        let recent = |at: Instant| now.duration_since(at) < WAVE_PAUSE;
        if self.last_wave.is_some_and(recent) {
            return 0;
        }
        self.last_wave = Some(now);
        WAVE
    }

    /// Some of the dead, to be asked whether they are back.
    pub(super) fn some(&self, count: usize, rng: &mut impl Rng) -> Vec<SocketAddr> {
        self.dead.addrs().filter(|addr| !self.unwanted.contains(addr)).sample(rng, count)
    }

    /// Takes the dead out of those that announced a peer of which not all are dead. Returns one of
    /// them.
    pub(super) fn strike(
        &self,
        peer: &SocketAddr,
        record: &mut PeerRecord,
        now: Instant,
    ) -> Option<SocketAddr> {
        let is_dead = |addr: &SocketAddr| self.ends(addr, now).is_some();
        let mut struck = None;
        loop {
            let dead = record.announcers(peer).map(|by| by.addr).find(is_dead);
            match dead.map(|dead| record.strike(peer, &dead, false)) {
                Some(Left::Others) => struck = dead,
                _ => return struck,
            }
        }
    }

    /// A dead node that announced this peer; none where a living one did too, or it was announced
    /// after the death. Where nobody tells which node it was, any dead one of the peer's host
    /// counts.
    pub(super) fn announcer(
        &self,
        peer: &SocketAddr,
        record: &PeerRecord,
        now: Instant,
    ) -> Option<SocketAddr> {
        if !record.is_reported() {
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
        PeerRecord::reported(&peer, addr(9, 9), until)
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
            None => PeerRecord::unreported(until),
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
