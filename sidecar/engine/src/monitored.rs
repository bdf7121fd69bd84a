//! The nodes that we monitor: those that asked us to tell the others if it falls silent, and did not say yet that it
//! goes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mainline::Id;

use super::engine::Engine;
use super::probes::Tell;
use super::timers::Timer;
use crate::krpc::Contact;

/// Most nodes that we monitor; others are sent to somebody else.
const MAX_MONITORED: usize = 32;
/// Who is heard every second is asked whether it is there after this.
const SILENCE: Duration = Duration::from_millis(1500);
/// How often it is asked before it is dead.
const TRIES: u8 = 3;

#[derive(Debug)]
struct MonitoredNode {
    id: Id,
    heard: Instant,
}

/// The nodes that we monitor.
#[derive(Debug, Default)]
pub(super) struct Monitored {
    /// In an order of its own, so that simulations run the same each time.
    monitored: BTreeMap<SocketAddr, MonitoredNode>,
    /// A look at them is due.
    timer: bool,
}

impl Monitored {
    pub(super) fn heard(&mut self, addr: &SocketAddr, now: Instant) {
        if let Some(monitored) = self.monitored.get_mut(addr) {
            monitored.heard = now;
        }
    }

    pub(super) fn forget(&mut self, addr: &SocketAddr) {
        self.monitored.remove(addr);
    }

    fn is_full(&self) -> bool {
        self.monitored.len() >= MAX_MONITORED
    }

    /// Takes out those that were silent too long.
    fn take_silent(&mut self, now: Instant) -> Vec<Contact> {
        self.monitored
            .extract_if(.., |_, monitored| now.duration_since(monitored.heard) >= SILENCE)
            .map(|(addr, monitored)| Contact { id: monitored.id, addr })
            .collect()
    }

    fn next_look(&self) -> Option<Instant> {
        self.monitored.values().map(|monitored| monitored.heard + SILENCE).min()
    }
}

impl Engine {
    /// A node asks to be monitored, or not any more. Returns whether we monitor it. `ours` says
    /// that it is a Grape of our kind.
    pub(super) fn on_monitor_request(
        &mut self,
        from: Contact,
        watch: bool,
        ours: bool,
        now: Instant,
    ) -> bool {
        if !watch || self.draining {
            self.monitored.forget(&from.addr);
            return false;
        }
        // A newcomer is pinged just now: by the time its silence would count it has answered, or it
        // is not monitored.
        let table = self.table(&from.addr);
        let proven = table.get(&from.id).is_some_and(|node| node.contact == from);
        if !ours || !proven && !table.has_place_for(&from.id) {
            return false;
        }
        if self.monitored.is_full() && !self.monitored.monitored.contains_key(&from.addr) {
            // Who answered before goes before whoever may be nobody.
            let unproven = |addr: &SocketAddr, monitored: &MonitoredNode| {
                let table = if addr.is_ipv6() { &self.v6 } else { &self.v4 };
                table.get(&monitored.id).is_none()
            };
            let mut monitored = self.monitored.monitored.iter();
            let nobody = monitored.find(|(addr, monitored)| unproven(addr, monitored));
            let Some(nobody) = nobody.map(|(addr, _)| *addr).filter(|_| proven) else {
                return false;
            };
            self.monitored.forget(&nobody);
        }
        self.monitored.monitored.insert(from.addr, MonitoredNode { id: from.id, heard: now });
        if !std::mem::replace(&mut self.monitored.timer, true) {
            self.set_timer(now + SILENCE, Timer::Monitored);
        }
        true
    }

    /// Asks the silent ones whether they are there.
    pub(super) fn check_monitored(&mut self, now: Instant) {
        for silent in self.monitored.take_silent(now) {
            // Who never answered may be nobody: anyone can ask in another's name.
            let node = self.table(&silent.addr).get(&silent.id);
            if node.is_some_and(|node| node.contact == silent) {
                self.probe(silent.addr, TRIES, Tell::Always, now);
            }
        }
        let next = self.monitored.next_look();
        self.monitored.timer = next.is_some();
        if let Some(next) = next {
            self.set_timer(next, Timer::Monitored);
        }
    }
}
