//! Which address family is preferred for a service of this host. The service is announced over both
//! families, if there are nodes of both, so that nodes of a single family find it too. A node that
//! knows both announces returns the service once.

use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::Engine;
use crate::peer_record::Announcer;
use crate::publish::Service;

impl Engine {
    /// The ports of this host at which services are reached over IPv6 alone: they are tried, and
    /// refuse on IPv4. Of all others nothing is known, and IPv4 is taken.
    pub fn set_ipv6_ports(&mut self, ports: BTreeSet<u16>, now: Instant) {
        let changed = self.own.set_ipv6_ports(ports);
        if changed.is_empty() {
            return;
        }
        self.show_own(now);
        if self.publish.reached_elsewhere(&changed, now) {
            self.store_again(now);
        }
    }

    /// The addresses of this host that other nodes see, as far as they are known.
    pub fn external(&self) -> Vec<IpAddr> {
        [false, true].iter().filter_map(|ipv6| self.own.external(*ipv6)).collect()
    }

    /// The ports of the services that were announced here, each once.
    pub fn announced_ports(&self) -> BTreeSet<u16> {
        self.publish.iter().map(|((_, port), ..)| *port).collect()
    }

    /// Whether there are other nodes on both address families.
    pub fn has_both_families(&self) -> bool {
        self.routing.has_both_families()
    }

    /// The address under which the announces of this node are seen; none while it is not known.
    pub fn advertised(&self) -> Option<IpAddr> {
        self.own.seen(&self.routing)
    }

    /// Whether this is an address of this node: one of this host, or the advertised one, at its own
    /// DHT port. What others say makes none.
    pub fn is_itself(&self, addr: &SocketAddr) -> bool {
        self.own.has(addr)
    }

    /// Whether a peer is a service that was announced here.
    pub(super) fn is_own_peer(&self, service: &Service, peer: &SocketAddr, now: Instant) -> bool {
        self.publish.expires_at(service, now).is_some()
            && self.publish.shown_at(service) == Some(*peer)
    }

    /// Shows a service that was announced here, at the address at which others see it by now.
    pub(super) fn show(&mut self, service: &Service, until: Instant) {
        let (name, port) = service;
        let addr = self.own.of_service(*port, &self.routing);
        if let Some(before) = self.publish.show_at(service, addr).filter(|at| *at != addr) {
            self.storage.withdraw_peer(name, &before, &self.own.node(&before));
        }
        let by = Announcer { addr: self.own.node(&addr), until, alt: false };
        self.storage.add_peer(name, addr, by, &mut self.rng);
        self.subscriptions.touch(name);
    }

    /// Shows what was announced here at the addresses at which others see it by now.
    pub(super) fn show_own(&mut self, now: Instant) {
        let services = self.publish.iter().filter(|(_, expires, _)| *expires > now);
        let moved: Vec<_> = services
            .map(|(service, expires, _)| (service.clone(), expires))
            .filter(|(service, _)| {
                self.publish.shown_at(service)
                    != Some(self.own.of_service(service.1, &self.routing))
            })
            .collect();
        for (service, expires) in moved {
            self.show(&service, expires);
        }
    }
}

/// Of peers, each with whether it is rather to be reached over the other address family, those to
/// be shown: not those that are there under an address of that family too.
pub(super) fn shown(peers: impl Iterator<Item = (SocketAddr, bool)>) -> Vec<SocketAddr> {
    let peers: Vec<_> = peers.collect();
    let preferred = peers.iter().filter(|(_, alt)| !alt);
    let preferred: HashSet<(bool, u16)> =
        preferred.map(|(addr, _)| (addr.is_ipv6(), addr.port())).collect();
    let hidden = |addr: &SocketAddr| preferred.contains(&(!addr.is_ipv6(), addr.port()));
    peers.into_iter().filter(|(addr, alt)| !alt || !hidden(addr)).map(|(addr, _)| addr).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    fn v6(port: u16) -> SocketAddr {
        SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, 1], port))
    }

    #[test]
    fn a_service_of_both_families_is_shown_once() {
        let shown = |peers: &[(SocketAddr, bool)]| shown(peers.iter().copied());
        assert_eq!(shown(&[(v4(1), false), (v6(1), true)]), [v4(1)]);
        assert_eq!(shown(&[(v4(1), true), (v6(1), false)]), [v6(1)]);
        assert_eq!(shown(&[(v4(1), false), (v6(2), true)]), [v4(1), v6(2)], "two services");
        assert_eq!(shown(&[(v4(1), false), (v6(1), false)]), [v4(1), v6(1)], "nobody says so");
        assert_eq!(shown(&[(v6(1), true)]), [v6(1)], "there is no other address");
        assert_eq!(shown(&[(v4(1), true), (v6(1), true)]), [v4(1), v6(1)]);
    }
}
