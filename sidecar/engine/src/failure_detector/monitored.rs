//! The nodes that we monitor: those that asked us to tell the others if they fall silent. None is believed
//! that it needs no monitor any more, since anyone can say so in its name: it falls silent, is asked, and
//! answers, or it is dead.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::Bound;
use crate::krpc::Contact;
use crate::routing::Routing;

/// Most nodes that we monitor; others are sent to somebody else.
const MAX_MONITORED: usize = 32;
/// Who is heard every second is asked whether it is there after this. So is who is heard, and has
/// answered nothing for so long: anyone can send heartbeats in its name.
const SILENCE: Duration = Duration::from_millis(1500);
/// How often it is asked before it is dead.
pub(crate) const TRIES: u8 = 3;

#[derive(Debug)]
struct MonitoredNode {
    /// When a query came in its name, or an answer, last.
    heard: Instant,
    /// When it answered last, or was asked.
    answered: Instant,
}

/// The nodes that we monitor.
#[derive(Debug, Default)]
pub(super) struct Monitored {
    /// In an order of its own, so that simulations run the same each time.
    nodes: BTreeMap<SocketAddr, MonitoredNode>,
    /// A look at them is due.
    check_is_due: bool,
}

impl Monitored {
    pub(super) fn bound(&self) -> Bound {
        Bound { used: self.nodes.len(), most: MAX_MONITORED }
    }

    /// A query came in a node's name. Returns whether the node is to be asked whether it is there.
    pub(super) fn asks(&mut self, addr: &SocketAddr, now: Instant) -> bool {
        let Some(monitored) = self.nodes.get_mut(addr) else { return false };
        monitored.heard = now;
        let is_due = now.duration_since(monitored.answered) >= SILENCE;
        if is_due {
            monitored.answered = now;
        }
        is_due
    }

    /// A node answered.
    pub(super) fn answers(&mut self, addr: &SocketAddr, now: Instant) {
        if let Some(monitored) = self.nodes.get_mut(addr) {
            (monitored.heard, monitored.answered) = (now, now);
        }
    }

    pub(super) fn forget(&mut self, addr: &SocketAddr) {
        self.nodes.remove(addr);
    }

    /// A node asks to be monitored. Returns whether we monitor it. `ours` says that it is a Grape of
    /// our kind.
    pub(super) fn add(
        &mut self,
        from: Contact,
        ours: bool,
        routing: &Routing,
        now: Instant,
    ) -> bool {
        if let Some(known) = self.nodes.get_mut(&from.addr) {
            known.heard = now;
            return true;
        }
        // A newcomer is pinged just now: by the time its silence would count it has answered, or it
        // is not monitored.
        let is_proven = |addr: &SocketAddr| routing.node_at(addr).is_some();
        let proven = is_proven(&from.addr);
        if !ours || !proven && !routing.has_place_for(&from) {
            return false;
        }
        if self.nodes.len() >= MAX_MONITORED {
            // Who answered before goes before whoever may be nobody.
            let nobody = self.nodes.keys().copied().find(|addr| !is_proven(addr));
            let Some(nobody) = nobody.filter(|_| proven) else { return false };
            self.forget(&nobody);
        }
        self.nodes.insert(from.addr, MonitoredNode { heard: now, answered: now });
        true
    }

    /// When they are to be looked at next. Told once, until they were looked at.
    pub(super) fn next_check(&mut self) -> Option<Instant> {
        if self.check_is_due {
            return None;
        }
        let next = self.nodes.values().map(|monitored| monitored.heard + SILENCE).min();
        self.check_is_due = next.is_some();
        next
    }

    /// Takes out those that were silent too long, and returns those of them that may be dead.
    pub(super) fn take_silent(&mut self, routing: &Routing, now: Instant) -> Vec<SocketAddr> {
        self.check_is_due = false;
        self.nodes
            .extract_if(.., |_, monitored| now.duration_since(monitored.heard) >= SILENCE)
            .map(|(addr, _)| addr)
            // Who never answered may be nobody: anyone can ask in another's name.
            .filter(|addr| routing.node_at(addr).is_some())
            .collect()
    }
}
