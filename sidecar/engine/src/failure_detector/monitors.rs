//! Whom we ask to tell the others if we fall silent, for as long as we have announces: our
//! *monitors*. They hear from us every second.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mainline::Id;

use crate::krpc::Contact;
use crate::routing::Routing;

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
#[derive(Debug)]
pub(super) struct Monitors {
    /// The closest to it monitors us, besides the closest to our own id: nobody can be both at will.
    secret: Id,
    nodes: Vec<Contact>,
    chosen: Option<Instant>,
    refusals: Vec<(SocketAddr, Instant)>,
    moved: Option<Instant>,
}

/// What a monitor of ours, or a former one, is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    pub(crate) to: Contact,
    /// We are there, and the node is to monitor us; else it need not do so any more.
    pub(crate) goes_on: bool,
}

impl Monitors {
    pub(super) fn new(secret: Id) -> Self {
        Self { secret, nodes: Vec::new(), chosen: None, refusals: Vec::new(), moved: None }
    }

    /// Tells our monitors that we are there, while we have announces. Due every second, and when
    /// there is a first announce.
    pub(super) fn heartbeats(
        &mut self,
        announcing: bool,
        routing: &Routing,
        now: Instant,
    ) -> Vec<Heartbeat> {
        if !announcing {
            return self.release();
        }
        let chosen = self.chosen.is_some_and(|at| now.duration_since(at) < CHOOSE_AGAIN);
        let mut heartbeats = Vec::new();
        if !chosen || self.nodes.len() < MONITORS {
            heartbeats = self.choose(routing, now);
        }
        heartbeats.extend(self.nodes.iter().map(|node| Heartbeat { to: *node, goes_on: true }));
        heartbeats
    }

    /// Nobody needs to watch us any more.
    pub(super) fn release(&mut self) -> Vec<Heartbeat> {
        let former = std::mem::take(&mut self.nodes).into_iter();
        former.map(|to| Heartbeat { to, goes_on: false }).collect()
    }

    /// Our address changed.
    pub(super) fn moved(&mut self, now: Instant) {
        self.refusals.clear();
        self.moved = Some(now);
    }

    /// A heartbeat was answered: by a node that monitors us, or will not.
    pub(super) fn answered(
        &mut self,
        addr: SocketAddr,
        monitors: bool,
        routing: &Routing,
        now: Instant,
    ) -> Vec<Heartbeat> {
        let found_again = self.moved.is_none_or(|at| now.duration_since(at) >= FOUND_AGAIN);
        if monitors || !found_again || !self.has(&addr) {
            return Vec::new();
        }
        self.refusals.push((addr, now));
        self.replace(&addr, routing, now)
    }

    /// A heartbeat was not answered: it is said again, and when that is not answered either, to
    /// somebody else.
    pub(super) fn missed(
        &mut self,
        addr: &SocketAddr,
        routing: &Routing,
        now: Instant,
    ) -> Vec<Heartbeat> {
        let node = self.nodes.iter().find(|node| node.addr == *addr).copied();
        match node {
            Some(_) if routing.is_repeated_suspect(addr) => self.replace(addr, routing, now),
            Some(to) if routing.is_suspect(addr) => vec![Heartbeat { to, goes_on: true }],
            _ => Vec::new(),
        }
    }

    /// One that may be a monitor of ours is gone.
    pub(super) fn lost(
        &mut self,
        addr: &SocketAddr,
        routing: &Routing,
        now: Instant,
    ) -> Vec<Heartbeat> {
        if self.has(addr) { self.replace(addr, routing, now) } else { Vec::new() }
    }

    fn has(&self, addr: &SocketAddr) -> bool {
        self.nodes.iter().any(|node| node.addr == *addr)
    }

    fn replace(&mut self, addr: &SocketAddr, routing: &Routing, now: Instant) -> Vec<Heartbeat> {
        self.nodes.retain(|node| node.addr != *addr);
        let before = self.nodes.clone();
        let mut heartbeats = self.choose(routing, now);
        let new = self.nodes.iter().filter(|node| !before.contains(node));
        heartbeats.extend(new.map(|node| Heartbeat { to: *node, goes_on: true }));
        heartbeats
    }

    /// Chooses anew. Returns what is to be told to those that are not chosen any more.
    fn choose(&mut self, routing: &Routing, now: Instant) -> Vec<Heartbeat> {
        self.chosen = Some(now);
        self.refusals.retain(|(_, at)| now.duration_since(*at) < REFUSAL_HOLDS);
        let refused = |addr: &SocketAddr| self.refusals.iter().any(|(refused, _)| refused == addr);
        let stands = |addr: &SocketAddr| match self.has(addr) {
            true => !routing.is_repeated_suspect(addr),
            false => !routing.is_suspect(addr) && !refused(addr),
        };
        let fit = routing.nodes().filter(|node| node.ours && stands(&node.contact.addr));
        let fit = fit.map(|node| node.contact).collect();
        let chosen = choose(routing.own_id(), &self.secret, fit);
        let former = std::mem::replace(&mut self.nodes, chosen).into_iter();
        let released = former.filter(|node| !self.nodes.contains(node));
        released.map(|to| Heartbeat { to, goes_on: false }).collect()
    }
}

/// The closest to our own id, and the closest to the secret that is in another subnet, or else on another
/// host, if there is any: hosts of one subnet may go down together.
fn choose(own: &Id, secret: &Id, mut candidates: Vec<Contact>) -> Vec<Contact> {
    candidates.sort_unstable_by_key(|contact| (contact.id.xor(own), contact.addr));
    // One with an IPv4 and an IPv6 address is one node.
    candidates.dedup_by_key(|contact| contact.id);
    let Some(first) = candidates.first().copied() else { return Vec::new() };
    let others = candidates[1..].iter().copied();
    let second = others.min_by_key(|contact| {
        let (ip, first) = (contact.addr.ip(), first.addr.ip());
        (ip == first, same_subnet(ip, first), contact.id.xor(secret))
    });
    std::iter::once(first).chain(second).collect()
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
    fn the_closest_and_the_closest_to_the_secret_elsewhere() {
        let (own, secret) = (Id::from([0; 20]), Id::from([9; 20]));
        let choose = |candidates| choose(&own, &secret, candidates);
        assert_eq!(choose(vec![]), []);
        assert_eq!(choose(vec![contact(1, 0)]), [contact(1, 0)]);
        let near = vec![contact(9, 1), contact(3, 0), contact(8, 1), contact(2, 0), contact(1, 0)];
        assert_eq!(choose(near), [contact(1, 0), contact(9, 1)]);
        let one_subnet = vec![contact(3, 0), contact(2, 0), contact(8, 0), contact(1, 0)];
        assert_eq!(choose(one_subnet), [contact(1, 0), contact(8, 0)]);
    }

    #[test]
    fn a_node_with_two_addresses_is_one_monitor() {
        let v6 = SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, 1], 1));
        let both = vec![contact(1, 0), Contact { addr: v6, ..contact(1, 0) }, contact(2, 0)];
        let chosen: Vec<_> =
            choose(&Id::from([0; 20]), &Id::from([0; 20]), both).iter().map(|c| c.id).collect();
        assert_eq!(chosen, [contact(1, 0).id, contact(2, 0).id]);
    }
}
