//! The addresses of this node: those of its host, and those under which others see it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::Settings;
use crate::addresses::unspecified;
use crate::routing::Routing;

/// Where this node and its services are.
#[derive(Debug)]
pub(crate) struct OwnAddresses {
    /// The node's DHT port.
    port: u16,
    /// The IP that the settings name: what is announced is seen there.
    advertise: Option<IpAddr>,
    bound_to_all: bool,
    /// Of this host, sorted.
    host: Vec<IpAddr>,
    /// That others see, of IPv4 and of IPv6, as far as they are known.
    external: [Option<IpAddr>; 2],
    /// Ports of this host at which services are reached over IPv6 alone.
    ipv6_ports: BTreeSet<u16>,
}

impl OwnAddresses {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            port: settings.port,
            advertise: settings.advertise,
            bound_to_all: settings.bound_to_all,
            host: Vec::new(),
            external: [None; 2],
            ipv6_ports: BTreeSet::new(),
        }
    }

    /// Whether this is an address of this node: one of this host, or the advertised one, at its own
    /// DHT port. What others say makes none.
    pub(crate) fn has(&self, addr: &SocketAddr) -> bool {
        let ip = addr.ip();
        let local = || ip.is_loopback() || ip.is_unspecified();
        addr.port() == self.port
            && (self.host.binary_search(&ip).is_ok()
                || self.advertise == Some(ip)
                || self.bound_to_all && local())
    }

    /// Those of this host, and the one that the settings name.
    pub(crate) fn all(&self) -> impl Iterator<Item = IpAddr> {
        self.host.iter().copied().chain(self.advertise)
    }

    /// The addresses of this host changed, or may have.
    pub(crate) fn set_host(&mut self, mut addresses: Vec<IpAddr>) {
        addresses.sort_unstable();
        self.host = addresses;
    }

    /// The address of a family that others see.
    pub(crate) fn external(&self, ipv6: bool) -> Option<IpAddr> {
        self.external[usize::from(ipv6)]
    }

    /// Others see this address. Returns whether that is news.
    pub(crate) fn set_external(&mut self, ip: IpAddr) -> bool {
        self.external[usize::from(ip.is_ipv6())].replace(ip) != Some(ip)
    }

    /// Whether this host has lost the address of a family that others saw. Where its addresses
    /// cannot be read, it has not; of loopback's, interfaces show one, and the host has all.
    pub(crate) fn external_is_gone(&self, ipv6: bool) -> bool {
        let gone = |ip: IpAddr| !ip.is_loopback() && self.host.binary_search(&ip).is_err();
        !self.host.is_empty() && self.external(ipv6).is_some_and(gone)
    }

    /// At these ports services are reached over IPv6 alone. Returns the ports of which that is
    /// news.
    pub(crate) fn set_ipv6_ports(&mut self, ports: BTreeSet<u16>) -> BTreeSet<u16> {
        let changed = self.ipv6_ports.symmetric_difference(&ports).copied().collect();
        self.ipv6_ports = ports;
        changed
    }

    /// Whether a service at this port is rather to be reached over IPv6.
    fn prefers_ipv6(&self, port: u16, routing: &Routing) -> bool {
        let (v4, v6) = (routing.len_of(false), routing.len_of(true));
        match self.advertise {
            Some(ip) => ip.is_ipv6(),
            None => v6 > 0 && (v4 == 0 || self.ipv6_ports.contains(&port)),
        }
    }

    /// Where a service is reached, for a node at this address: the IP of the settings, if it is of
    /// the node's family; and whether the other family is preferred.
    pub(crate) fn reach(
        &self,
        port: u16,
        to: &SocketAddr,
        routing: &Routing,
    ) -> (Option<IpAddr>, bool) {
        let preferred = self.prefers_ipv6(port, routing);
        let ip = self.advertise.filter(|ip| ip.is_ipv6() == to.is_ipv6());
        (ip, to.is_ipv6() != preferred && routing.len_of(preferred) > 0)
    }

    /// The address under which this node is seen; none while it is not known.
    pub(crate) fn seen(&self, routing: &Routing) -> Option<IpAddr> {
        self.seen_at(self.port, routing)
    }

    fn seen_at(&self, port: u16, routing: &Routing) -> Option<IpAddr> {
        let preferred = self.prefers_ipv6(port, routing);
        self.advertise.or_else(|| self.external(preferred).or(self.external(!preferred)))
    }

    /// The address of a service of this host.
    pub(crate) fn of_service(&self, port: u16, routing: &Routing) -> SocketAddr {
        let seen = self.seen_at(port, routing);
        SocketAddr::new(seen.unwrap_or(Ipv4Addr::LOCALHOST.into()), port)
    }

    /// Our own node as one that announced a peer: which address others see is not always known.
    pub(crate) fn node(&self, peer: &SocketAddr) -> SocketAddr {
        unspecified(peer, self.port)
    }

    /// Our own node as others see it when it announces this peer; none where that is not known.
    pub(crate) fn node_to_others(&self, peer: &SocketAddr) -> Option<SocketAddr> {
        let ip = match self.advertise {
            Some(_) => self.external(peer.is_ipv6()),
            None => Some(peer.ip()),
        };
        ip.map(|ip| SocketAddr::new(ip, self.port))
    }

    /// The same, but none where it is at another IP than the peer.
    pub(crate) fn node_beside(&self, peer: &SocketAddr) -> Option<SocketAddr> {
        self.node_to_others(peer).filter(|node| node.ip() == peer.ip())
    }

    /// Addresses of this node, of the family of the node at `asker`, at which that may reach it.
    pub(crate) fn reachable_for(&self, asker: SocketAddr) -> impl Iterator<Item = SocketAddr> {
        let link_local = |ip: &IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        let reaches = move |ip: &IpAddr| {
            let near = ip.is_loopback() && !asker.ip().is_loopback() || link_local(ip);
            ip.is_ipv6() == asker.is_ipv6() && !near
        };
        let seen = self.advertise.or(self.external(asker.is_ipv6())).filter(reaches);
        let local = self.host.iter().copied().filter(move |_| seen.is_none());
        let all = seen.into_iter().chain(local.filter(reaches));
        all.map(|ip| SocketAddr::new(ip, self.port))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mainline::Id;

    use super::*;
    use crate::diversity::Diversity;

    const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn own(advertise: Option<IpAddr>) -> (OwnAddresses, Routing) {
        let settings = Settings { advertise, ..Settings::new(Id::from([1; 20]), 7) };
        let mut own = OwnAddresses::new(&settings);
        own.set_host(vec![HOST]);
        let now = crate::clock::now();
        (own, Routing::new(settings.id, Duration::from_secs(300), Diversity::default(), now))
    }

    #[test]
    fn a_service_is_at_the_address_that_others_see() {
        let (mut seen, routing) = own(None);
        assert_eq!(seen.of_service(80, &routing), SocketAddr::from(([127, 0, 0, 1], 80)));
        assert!(seen.set_external(HOST) && !seen.set_external(HOST));
        assert_eq!(seen.of_service(80, &routing), SocketAddr::new(HOST, 80));
        let (mut advertised, routing) = own(Some(ELSEWHERE));
        advertised.set_external(HOST);
        assert_eq!(advertised.of_service(80, &routing), SocketAddr::new(ELSEWHERE, 80));
        let service = SocketAddr::new(ELSEWHERE, 80);
        assert_eq!(advertised.node_to_others(&service), Some(SocketAddr::new(HOST, 7)));
        assert_eq!(advertised.node_beside(&service), None, "the node is at another IP");
    }

    #[test]
    fn an_address_that_the_host_lost_is_gone() {
        let (mut own, _) = own(None);
        own.set_external(HOST);
        assert!(own.has(&SocketAddr::new(HOST, 7)) && !own.has(&SocketAddr::new(HOST, 8)));
        assert!(!own.external_is_gone(false));
        own.set_host(vec![ELSEWHERE]);
        assert!(own.external_is_gone(false));
        own.set_host(vec![]);
        assert!(!own.external_is_gone(false), "they cannot be read");
    }
}
