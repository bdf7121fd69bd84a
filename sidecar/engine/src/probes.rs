//! Is it dead? A node that may be is asked a few times; any datagram from it is a sign of life.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::engine::Engine;
use super::rtt;
use super::timers::Timer;
use super::transactions::Purpose;
use crate::krpc::Method;

/// Most nodes that are asked at a time.
const MAX_PROBES: usize = 1024;
/// Time for an answer; more where answers take longer.
const PATIENCE: Duration = Duration::from_millis(300);

/// Whether the others are to be told of a death.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tell {
    /// Who told us tells them as well.
    Never,
    /// When it announced anything that we know of.
    IfItAnnounced,
    Always,
}

#[derive(Debug)]
struct Probe {
    tries_left: u8,
    decided: Instant,
    tell: Tell,
}

/// The nodes that are asked.
#[derive(Debug, Default)]
pub(super) struct Probes {
    asked: HashMap<SocketAddr, Probe>,
}

impl Probes {
    /// A datagram came from this address.
    pub(super) fn heard(&mut self, addr: &SocketAddr) {
        if !self.asked.is_empty() {
            self.asked.remove(addr);
        }
    }

    /// Ends the questions to an address, which are answered otherwise. Returns who was to be told,
    /// if it was asked.
    pub(super) fn settle(&mut self, addr: &SocketAddr) -> Option<Tell> {
        self.asked.remove(addr).map(|probe| probe.tell)
    }
}

impl Engine {
    /// Asks a node up to `tries` times whether it is there, and takes it for dead if it is not.
    pub(super) fn probe(&mut self, addr: SocketAddr, tries: u8, tell: Tell, now: Instant) {
        if let Some(probe) = self.probes.asked.get_mut(&addr) {
            probe.tell = probe.tell.max(tell);
        } else if self.probes.asked.len() < MAX_PROBES && !self.is_itself(&addr) {
            let probe = Probe { tries_left: tries, decided: now, tell };
            self.probes.asked.insert(addr, probe);
            self.on_probe(addr, now);
        }
    }

    /// Time for an answer is over: the next try, or none.
    pub(super) fn on_probe(&mut self, addr: SocketAddr, now: Instant) {
        let node = self.table(&addr).node_at(&addr);
        let id = node.map(|node| node.contact.id);
        let round_trip = node.and_then(|node| node.round_trip).or(self.round_trip);
        // A timer may be that of an earlier probe.
        let due = |probe: &&mut Probe| probe.decided <= now;
        let Some(probe) = self.probes.asked.get_mut(&addr).filter(due) else { return };
        if let Some(left) = probe.tries_left.checked_sub(1) {
            probe.tries_left = left;
            probe.decided =
                now + round_trip.map_or(PATIENCE, |known| rtt::timeout(Some(known)).max(PATIENCE));
            let decided = probe.decided;
            self.set_timer(decided, Timer::Probe(addr));
            self.query(addr, id, Method::Ping { watch: None }, Purpose::Ping, true, now);
            return;
        }
        let tell = probe.tell;
        self.probes.asked.remove(&addr);
        let announced = self.died(addr, now);
        if tell == Tell::Always || tell == Tell::IfItAnnounced && announced {
            self.tell_of_death(addr, now);
        }
    }
}
