//! Whom we ask to tell the others if we fall silent, for as long as we have announces: our
//! *monitors*. They hear from us every second.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mainline::Id;

use super::engine::Engine;
use super::transactions::Purpose;
use crate::krpc::{Contact, Method};

/// How many nodes monitor us: one may die with us.
const MONITORS: usize = 2;
/// How often better monitors are looked for while these answer.
const CHOOSE_AGAIN: Duration = Duration::from_secs(10);
/// A node that will not monitor us is asked again after this.
const REFUSAL_HOLDS: Duration = Duration::from_secs(30);

/// After our address changed, nodes refuse to monitor us until they have found that nobody is at the
/// old one: that says nothing of them.
const FOUND_AGAIN: Duration = Duration::from_secs(5);

/// Our monitors.
#[derive(Debug, Default)]
pub(super) struct Monitors {
    nodes: Vec<Contact>,
    chosen: Option<Instant>,
    refusals: Vec<(SocketAddr, Instant)>,
    moved: Option<Instant>,
}

impl Monitors {
    fn is_monitor(&self, addr: &SocketAddr) -> bool {
        self.nodes.iter().any(|monitor| monitor.addr == *addr)
    }

    /// Our address changed.
    pub(super) fn moved(&mut self, now: Instant) {
        self.refusals.clear();
        self.moved = Some(now);
    }

    fn refused(&self, addr: &SocketAddr) -> bool {
        self.refusals.iter().any(|(refused, _)| refused == addr)
    }
}

impl Engine {
    /// Tells our monitors that we are there. Due every second, and when there is a first announce.
    pub(super) fn heartbeat(&mut self, now: Instant) {
        if self.announces.len() == 0 {
            return self.release_monitors(now);
        }
        let monitors = &self.monitors;
        let chosen = monitors.chosen.is_some_and(|at| now.duration_since(at) < CHOOSE_AGAIN);
        if !chosen || monitors.nodes.len() < MONITORS {
            self.choose_monitors(now);
        }
        for monitor in self.monitors.nodes.clone() {
            self.send_heartbeat(monitor, now);
        }
    }

    /// Nobody needs to monitor us any more.
    pub(super) fn release_monitors(&mut self, now: Instant) {
        for monitor in std::mem::take(&mut self.monitors.nodes) {
            self.release(monitor, now);
        }
    }

    /// A heartbeat was answered: by a node that monitors us, or will not.
    pub(super) fn heartbeat_answered(&mut self, addr: SocketAddr, monitors: bool, now: Instant) {
        let moved = self.monitors.moved;
        let found_again = moved.is_none_or(|at| now.duration_since(at) >= FOUND_AGAIN);
        if !monitors && found_again && self.monitors.is_monitor(&addr) {
            self.monitors.refusals.push((addr, now));
            self.replace_monitor(&addr, now);
        }
    }

    /// A heartbeat was not answered: it is said again, and when that is not answered either, to
    /// somebody else.
    pub(super) fn heartbeat_missed(&mut self, addr: SocketAddr, now: Instant) {
        let monitor = self.monitors.nodes.iter().find(|monitor| monitor.addr == addr);
        let Some(monitor) = monitor.copied() else { return };
        if self.suspects.is_repeated(&addr) {
            self.replace_monitor(&addr, now);
        } else if self.suspects.contains(&addr) {
            self.send_heartbeat(monitor, now);
        }
    }

    /// One that may be a monitor of ours is gone.
    pub(super) fn lose_monitor(&mut self, addr: &SocketAddr, now: Instant) {
        if self.monitors.is_monitor(addr) {
            self.replace_monitor(addr, now);
        }
    }

    fn replace_monitor(&mut self, addr: &SocketAddr, now: Instant) {
        self.monitors.nodes.retain(|monitor| monitor.addr != *addr);
        let before = self.monitors.nodes.clone();
        self.choose_monitors(now);
        for monitor in self.monitors.nodes.clone() {
            if !before.contains(&monitor) {
                self.send_heartbeat(monitor, now);
            }
        }
    }

    fn choose_monitors(&mut self, now: Instant) {
        let monitors = &mut self.monitors;
        monitors.chosen = Some(now);
        monitors.refusals.retain(|(_, at)| now.duration_since(*at) < REFUSAL_HOLDS);
        let stands = |addr: &SocketAddr| match monitors.is_monitor(addr) {
            true => !self.suspects.is_repeated(addr),
            false => !self.suspects.contains(addr) && !monitors.refused(addr),
        };
        let nodes = self.v4.nodes().chain(self.v6.nodes());
        let fit = nodes.filter(|node| node.ours && stands(&node.contact.addr));
        let chosen = choose(&self.settings.id, fit.map(|node| node.contact).collect());
        for monitor in std::mem::replace(&mut self.monitors.nodes, chosen) {
            if !self.monitors.nodes.contains(&monitor) {
                self.release(monitor, now);
            }
        }
    }

    fn send_heartbeat(&mut self, to: Contact, now: Instant) {
        let method = Method::Ping { watch: Some(true) };
        self.query(to.addr, Some(to.id), method, Purpose::Heartbeat, true, now);
    }

    fn release(&mut self, monitor: Contact, now: Instant) {
        let method = Method::Ping { watch: Some(false) };
        self.query(monitor.addr, Some(monitor.id), method, Purpose::Ping, true, now);
    }
}

/// The closest to our own id, and the closest that is in another subnet, if there is any: hosts of
/// one subnet may go down together.
fn choose(own: &Id, mut candidates: Vec<Contact>) -> Vec<Contact> {
    candidates.sort_unstable_by_key(|contact| (contact.id.xor(own), contact.addr));
    // One with an IPv4 and an IPv6 address is one node.
    candidates.dedup_by_key(|contact| contact.id);
    let Some(first) = candidates.first().copied() else { return Vec::new() };
    let others = &candidates[1..];
    let elsewhere = |contact: &&Contact| !same_subnet(contact.addr.ip(), first.addr.ip());
    let second = others.iter().find(elsewhere).or(others.first());
    std::iter::once(first).chain(second.copied()).collect()
}

/// Whether two addresses are in one /24 of IPv4, or one /64 of IPv6.
pub(super) fn same_subnet(a: IpAddr, b: IpAddr) -> bool {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => a.octets()[..3] == b.octets()[..3],
        (IpAddr::V6(a), IpAddr::V6(b)) => a.octets()[..8] == b.octets()[..8],
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(id: u8, subnet: u8) -> Contact {
        Contact { id: Id::from([id; 20]), addr: SocketAddr::from(([10, 0, subnet, id], 1)) }
    }

    #[test]
    fn the_closest_and_the_closest_elsewhere() {
        let own = Id::from([0; 20]);
        assert_eq!(choose(&own, vec![]), []);
        assert_eq!(choose(&own, vec![contact(1, 0)]), [contact(1, 0)]);
        let near = vec![contact(9, 1), contact(3, 0), contact(8, 1), contact(2, 0), contact(1, 0)];
        assert_eq!(choose(&own, near), [contact(1, 0), contact(8, 1)]);
        let one_subnet = vec![contact(3, 0), contact(2, 0), contact(1, 0)];
        assert_eq!(choose(&own, one_subnet), [contact(1, 0), contact(2, 0)]);
    }

    #[test]
    fn a_node_with_two_addresses_is_one_watcher() {
        let v6 = SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, 1], 1));
        let both = vec![contact(1, 0), Contact { addr: v6, ..contact(1, 0) }, contact(2, 0)];
        let chosen: Vec<_> = choose(&Id::from([0; 20]), both).iter().map(|c| c.id).collect();
        assert_eq!(chosen, [contact(1, 0).id, contact(2, 0).id]);
    }
}
