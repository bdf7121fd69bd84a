//! Whom we ask to tell the others if we fall silent, for as long as we have announces: our
//! *watchers*. They hear from us every second.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mainline::Id;

use super::node::Engine;
use super::transactions::Purpose;
use crate::krpc::{Contact, Method};

/// How many nodes watch us: one may die with us.
const WATCHERS: usize = 2;
/// How often better watchers are looked for while these answer.
const CHOOSE_AGAIN: Duration = Duration::from_secs(10);
/// A node that will not watch us is asked again after this.
const REFUSAL_HOLDS: Duration = Duration::from_secs(30);

/// After our address changed, nodes refuse to watch us until they have found that nobody is at the
/// old one: that says nothing of them.
const FOUND_AGAIN: Duration = Duration::from_secs(5);

/// Our watchers.
#[derive(Debug, Default)]
pub(super) struct Heartbeats {
    watchers: Vec<Contact>,
    chosen: Option<Instant>,
    refusals: Vec<(SocketAddr, Instant)>,
    moved: Option<Instant>,
}

impl Heartbeats {
    fn is_watcher(&self, addr: &SocketAddr) -> bool {
        self.watchers.iter().any(|watcher| watcher.addr == *addr)
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
    /// Tells our watchers that we are there. Due every second, and when there is a first announce.
    pub(super) fn heartbeat(&mut self, now: Instant) {
        if self.announces.len() == 0 {
            return self.release_watchers(now);
        }
        let heartbeats = &self.heartbeats;
        let chosen = heartbeats.chosen.is_some_and(|at| now.duration_since(at) < CHOOSE_AGAIN);
        if !chosen || heartbeats.watchers.len() < WATCHERS {
            self.choose_watchers(now);
        }
        for watcher in self.heartbeats.watchers.clone() {
            self.beat(watcher, now);
        }
    }

    /// Nobody needs to watch us any more.
    pub(super) fn release_watchers(&mut self, now: Instant) {
        for watcher in std::mem::take(&mut self.heartbeats.watchers) {
            self.release(watcher, now);
        }
    }

    /// A heartbeat was answered: by a node that watches us, or will not.
    pub(super) fn beat_answered(&mut self, addr: SocketAddr, watches: bool, now: Instant) {
        let moved = self.heartbeats.moved;
        let found_again = moved.is_none_or(|at| now.duration_since(at) >= FOUND_AGAIN);
        if !watches && found_again && self.heartbeats.is_watcher(&addr) {
            self.heartbeats.refusals.push((addr, now));
            self.replace_watcher(&addr, now);
        }
    }

    /// A heartbeat was not answered: it is said again, and when that is not answered either, to
    /// somebody else.
    pub(super) fn beat_missed(&mut self, addr: SocketAddr, now: Instant) {
        let watcher = self.heartbeats.watchers.iter().find(|watcher| watcher.addr == addr);
        let Some(watcher) = watcher.copied() else { return };
        if self.suspects.is_repeated(&addr) {
            self.replace_watcher(&addr, now);
        } else if self.suspects.contains(&addr) {
            self.beat(watcher, now);
        }
    }

    /// One that may be a watcher of ours is gone.
    pub(super) fn lose_watcher(&mut self, addr: &SocketAddr, now: Instant) {
        if self.heartbeats.is_watcher(addr) {
            self.replace_watcher(addr, now);
        }
    }

    fn replace_watcher(&mut self, addr: &SocketAddr, now: Instant) {
        self.heartbeats.watchers.retain(|watcher| watcher.addr != *addr);
        let before = self.heartbeats.watchers.clone();
        self.choose_watchers(now);
        for watcher in self.heartbeats.watchers.clone() {
            if !before.contains(&watcher) {
                self.beat(watcher, now);
            }
        }
    }

    fn choose_watchers(&mut self, now: Instant) {
        let heartbeats = &mut self.heartbeats;
        heartbeats.chosen = Some(now);
        heartbeats.refusals.retain(|(_, at)| now.duration_since(*at) < REFUSAL_HOLDS);
        let stands = |addr: &SocketAddr| match heartbeats.is_watcher(addr) {
            true => !self.suspects.is_repeated(addr),
            false => !self.suspects.contains(addr) && !heartbeats.refused(addr),
        };
        let nodes = self.v4.nodes().chain(self.v6.nodes());
        let fit = nodes.filter(|node| node.ours && stands(&node.contact.addr));
        let chosen = choose(&self.settings.id, fit.map(|node| node.contact).collect());
        for watcher in std::mem::replace(&mut self.heartbeats.watchers, chosen) {
            if !self.heartbeats.watchers.contains(&watcher) {
                self.release(watcher, now);
            }
        }
    }

    fn beat(&mut self, to: Contact, now: Instant) {
        let method = Method::Ping { watch: Some(true) };
        self.query(to.addr, Some(to.id), method, Purpose::Heartbeat, true, now);
    }

    fn release(&mut self, watcher: Contact, now: Instant) {
        let method = Method::Ping { watch: Some(false) };
        self.query(watcher.addr, Some(watcher.id), method, Purpose::Ping, true, now);
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
