//! Which address family a service of this host is rather to be reached over. It is announced over
//! both, where there are nodes of both: who knows nodes of one family alone finds it there. But it
//! is one service, and whoever knows both shows it once.

use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use super::Engine;
use crate::addresses::unspecified;
use crate::peer_record::Announcer;
use crate::publish::Service;

/// The addresses of this host that others see: of IPv4 and of IPv6, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct External {
    v4: Option<IpAddr>,
    v6: Option<IpAddr>,
}

impl External {
    pub(super) fn get(&self, ipv6: bool) -> Option<IpAddr> {
        if ipv6 { self.v6 } else { self.v4 }
    }

    /// Returns whether it is news.
    pub(super) fn set(&mut self, ip: IpAddr) -> bool {
        let known = if ip.is_ipv6() { &mut self.v6 } else { &mut self.v4 };
        known.replace(ip) != Some(ip)
    }
}

impl Engine {
    /// The ports of this host at which services are reached over IPv6 alone: they are tried, and
    /// refuse on IPv4. Of all others nothing is known, and IPv4 is taken.
    pub fn set_ipv6_ports(&mut self, ports: BTreeSet<u16>, now: Instant) {
        let changed: BTreeSet<u16> =
            self.ipv6_ports.symmetric_difference(&ports).copied().collect();
        if changed.is_empty() {
            return;
        }
        self.ipv6_ports = ports;
        self.show_own(now);
        if self.publish.reached_elsewhere(&changed, now) {
            self.store_again(now);
        }
    }

    /// The addresses of this host that other nodes see, as far as they are known.
    pub fn external(&self) -> Vec<IpAddr> {
        [false, true].iter().filter_map(|ipv6| self.external.get(*ipv6)).collect()
    }

    /// The ports of the services that were announced here, each once.
    pub fn announced_ports(&self) -> BTreeSet<u16> {
        self.publish.iter().map(|((_, port), ..)| *port).collect()
    }

    /// Whether there are other nodes on both address families.
    pub fn has_both_families(&self) -> bool {
        self.routing.has_both_families()
    }

    /// Whether a service at this port is rather to be reached over IPv6.
    fn prefers_ipv6(&self, port: u16) -> bool {
        match self.settings.advertise {
            Some(ip) => ip.is_ipv6(),
            None => {
                let (v4, v6) = (self.routing.len_of(false), self.routing.len_of(true));
                v6 > 0 && (v4 == 0 || self.ipv6_ports.contains(&port))
            }
        }
    }

    /// What a node at this address is told of where a service is reached: the IP that the settings
    /// name, if it is of that family; and whether it is rather to be reached over the other.
    pub(super) fn reach(&self, port: u16, to: &SocketAddr) -> (Option<IpAddr>, bool) {
        let preferred = self.prefers_ipv6(port);
        let ip = self.settings.advertise.filter(|ip| ip.is_ipv6() == to.is_ipv6());
        (ip, to.is_ipv6() != preferred && self.routing.len_of(preferred) > 0)
    }

    /// The address under which the announces of this node are seen; none while it is not known.
    pub fn advertised(&self) -> Option<IpAddr> {
        self.seen_at(self.settings.port)
    }

    fn seen_at(&self, port: u16) -> Option<IpAddr> {
        let preferred = self.prefers_ipv6(port);
        let external = || self.external.get(preferred).or(self.external.get(!preferred));
        self.settings.advertise.or_else(external)
    }

    /// The address of a service that was announced here.
    pub(super) fn own_addr(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.seen_at(port).unwrap_or(Ipv4Addr::LOCALHOST.into()), port)
    }

    /// Our own node as one that announced a peer: which address others see is not always known.
    pub(super) fn own_node(&self, peer: &SocketAddr) -> SocketAddr {
        unspecified(peer, self.settings.port)
    }

    /// Our own node as others see it when it announces this peer; none where that is not known.
    /// Nor where it is at another IP than the peer.
    pub(super) fn own_node_seen(&self, peer: &SocketAddr) -> Option<SocketAddr> {
        self.own_node_to_others(peer).filter(|node| node.ip() == peer.ip())
    }

    /// The same, at whatever IP.
    pub(super) fn own_node_to_others(&self, peer: &SocketAddr) -> Option<SocketAddr> {
        let ip = match self.settings.advertise {
            Some(_) => self.external.get(peer.is_ipv6()),
            None => Some(peer.ip()),
        };
        ip.map(|ip| SocketAddr::new(ip, self.settings.port))
    }

    /// Whether a peer is a service that was announced here.
    pub(super) fn is_own_peer(&self, service: &Service, peer: &SocketAddr, now: Instant) -> bool {
        self.publish.believed_until(service, now).is_some()
            && self.publish.shown_at(service) == Some(*peer)
    }

    /// Shows a service that was announced here, at the address at which others see it by now.
    pub(super) fn show(&mut self, service: &Service, until: Instant) {
        let (name, port) = service;
        let addr = self.own_addr(*port);
        if let Some(before) = self.publish.show_at(service, addr).filter(|at| *at != addr) {
            self.storage.withdraw_peer(name, &before, &self.own_node(&before));
        }
        let by = Announcer { addr: self.own_node(&addr), until, alt: false };
        self.storage.add_peer(name, addr, by, &mut self.rng);
        self.subscriptions.touch(name);
    }

    /// Shows what was announced here at the addresses at which others see it by now.
    pub(super) fn show_own(&mut self, now: Instant) {
        let services = self.publish.iter().filter(|(_, expires, _)| *expires > now);
        let moved: Vec<_> = services
            .map(|(service, expires, _)| (service.clone(), expires))
            .filter(|(service, _)| self.publish.shown_at(service) != Some(self.own_addr(service.1)))
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
