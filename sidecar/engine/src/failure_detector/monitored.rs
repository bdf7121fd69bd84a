//! The nodes that we monitor: those that asked us to tell the others if it falls silent, and did not say yet that it
//! goes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mainline::Id;

use crate::krpc::Contact;
use crate::routing::Routing;

/// Most nodes that we monitor; others are sent to somebody else.
const MAX_MONITORED: usize = 32;
/// Who is heard every second is asked whether it is there after this.
const SILENCE: Duration = Duration::from_millis(1500);
/// How often it is asked before it is dead.
pub(crate) const TRIES: u8 = 3;

#[derive(Debug)]
struct MonitoredNode {
    id: Id,
    heard: Instant,
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
    pub(super) fn heard(&mut self, addr: &SocketAddr, now: Instant) {
        if let Some(monitored) = self.nodes.get_mut(addr) {
            monitored.heard = now;
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
        // A newcomer is pinged just now: by the time its silence would count it has answered, or it
        // is not monitored.
        let proven = routing.has(&from);
        if !ours || !proven && !routing.has_place_for(&from) {
            return false;
        }
        if self.nodes.len() >= MAX_MONITORED && !self.nodes.contains_key(&from.addr) {
            // Who answered before goes before whoever may be nobody.
            let unproven = |addr: &SocketAddr, monitored: &MonitoredNode| {
                routing.get(&monitored.id, addr.is_ipv6()).is_none()
            };
            let nobody = self.nodes.iter().find(|(addr, monitored)| unproven(addr, monitored));
            let Some(nobody) = nobody.map(|(addr, _)| *addr).filter(|_| proven) else {
                return false;
            };
            self.forget(&nobody);
        }
        self.nodes.insert(from.addr, MonitoredNode { id: from.id, heard: now });
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
            .map(|(addr, monitored)| Contact { id: monitored.id, addr })
            // Who never answered may be nobody: anyone can ask in another's name.
            .filter(|silent| routing.has(silent))
            .map(|silent| silent.addr)
            .collect()
    }
}
