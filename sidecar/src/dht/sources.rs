//! Which address of this host each remote knows us by: the one that it last sent a datagram to.
//! Datagrams to the remote are sent from that address, so that answers come from the address that
//! was asked. Where the host has one address only, the kernel takes that one anyway, and nothing is
//! remembered.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ahash::RandomState;
use grape_engine::canonical;
use lru::LruCache;

/// Most remotes that are remembered; the least recently seen is dropped first.
const CAPACITY: usize = 1024;

/// Source addresses by remote.
#[derive(Debug)]
pub(super) struct Sources {
    /// The addresses of this host, sorted.
    host: Vec<IpAddr>,
    /// The only address of each family beyond loopback and fe80::/10, where there is one only.
    only_v4: Option<IpAddr>,
    only_v6: Option<IpAddr>,
    /// An address of this host that was given up: remotes that still ask it are to find that out.
    given_up: Option<IpAddr>,
    known: LruCache<SocketAddr, IpAddr, RandomState>,
}

impl Sources {
    pub(super) fn new() -> Self {
        // Unbounded with a bound of our own, so that an empty one takes no memory.
        let known = LruCache::unbounded_with_hasher(RandomState::new());
        Self { host: Vec::new(), only_v4: None, only_v6: None, given_up: None, known }
    }

    /// The addresses that this host has now, sorted.
    pub(super) fn set_host_addresses(&mut self, host: &[IpAddr]) {
        if self.host == host {
            return;
        }
        self.host = host.to_vec();
        let only = |ipv6: bool| {
            let mut usual = host.iter().filter(|ip| ip.is_ipv6() == ipv6 && is_usual(ip));
            usual.next().copied().filter(|_| usual.next().is_none())
        };
        (self.only_v4, self.only_v6) = (only(false), only(true));
        self.forget_where(|local| !host.contains(local));
    }

    /// Nothing is sent from this address any more, unless the kernel chooses it.
    pub(super) fn give_up(&mut self, local: IpAddr) {
        self.given_up = Some(local);
        self.forget_where(|known| *known == local);
    }

    fn forget_where(&mut self, forget: impl Fn(&IpAddr) -> bool) {
        let remotes = self.known.iter().filter(|(_, local)| forget(local));
        let remotes: Vec<SocketAddr> = remotes.map(|(remote, _)| *remote).collect();
        for remote in remotes {
            self.known.pop(&remote);
        }
    }

    /// A datagram from `remote` came to this host's address `local`.
    pub(super) fn reached(&mut self, remote: SocketAddr, local: IpAddr) {
        if self.kernel_chooses(&remote, local) {
            if !self.known.is_empty() {
                self.known.pop(&canonical(remote));
            }
            return;
        }
        let remote = canonical(remote);
        // A group is no source; and without its link a link-local address is none.
        let alike = is_link_local(&local) == is_link_local(&remote.ip());
        if local.is_unspecified() || local.is_multicast() || !alike || self.given_up == Some(local)
        {
            return;
        }
        self.known.put(remote, local);
        if self.known.len() > CAPACITY {
            self.known.pop_lru();
        }
    }

    /// Whether the kernel takes `local` as the source of what goes to `remote` by itself.
    fn kernel_chooses(&self, remote: &SocketAddr, local: IpAddr) -> bool {
        match remote.ip() {
            IpAddr::V4(ip) if ip.is_loopback() => local == Ipv4Addr::LOCALHOST,
            IpAddr::V6(ip) if ip.is_loopback() => local == Ipv6Addr::LOCALHOST,
            IpAddr::V4(_) => self.only_v4 == Some(local),
            IpAddr::V6(_) => self.only_v6 == Some(local),
        }
    }

    /// The address from which datagrams to `remote` are sent; none where the kernel chooses.
    pub(super) fn towards(&self, remote: &SocketAddr) -> Option<IpAddr> {
        if self.known.is_empty() { None } else { self.known.peek(remote).copied() }
    }

    /// Datagrams to `remote` cannot be sent from where it knows us.
    pub(super) fn forget(&mut self, remote: &SocketAddr) {
        self.known.pop(remote);
    }
}

/// Whether this is an address that a host has as a rule one of.
fn is_usual(ip: &IpAddr) -> bool {
    !ip.is_loopback() && !is_link_local(ip)
}

/// Whether this is in fe80::/10, which is of use with a link alone.
pub(super) fn is_link_local(ip: &IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

/// The route that showed which of our addresses others see.
#[derive(Debug)]
pub(super) struct Route {
    /// Where it leads.
    pub(super) towards: SocketAddr,
    /// From which address of ours it leaves.
    source: IpAddr,
    /// From which it left when it was last asked for, if not from there.
    other: Option<IpAddr>,
}

impl Route {
    pub(super) fn new(towards: SocketAddr, source: IpAddr) -> Self {
        Self { towards, source, other: None }
    }

    /// The route leaves from `source` now. Returns it if it does so for the second time, and did
    /// not before: what changes for a moment only is not followed.
    pub(super) fn seen(&mut self, source: IpAddr) -> Option<IpAddr> {
        if source == self.source {
            self.other = None;
            return None;
        }
        if self.other.replace(source) != Some(source) {
            return None;
        }
        (self.source, self.other) = (source, None);
        Some(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn remote(n: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 9], n))
    }

    fn host(addresses: &[&str]) -> Sources {
        let mut sources = Sources::new();
        let addresses: Vec<IpAddr> = addresses.iter().map(|text| ip(text)).collect();
        sources.set_host_addresses(&addresses);
        sources
    }

    #[test]
    fn a_host_with_one_address_remembers_nothing() {
        let mut sources = host(&["10.0.0.1", "127.0.0.1", "::1", "fd00::1", "fe80::1"]);
        sources.reached(remote(1), ip("10.0.0.1"));
        sources.reached("[fd00::9]:1".parse().unwrap(), ip("fd00::1"));
        sources.reached("127.0.0.1:1".parse().unwrap(), ip("127.0.0.1"));
        assert_eq!(sources.known.len(), 0);
    }

    #[test]
    fn a_remote_is_answered_from_where_it_asked_last() {
        let mut sources = host(&["10.0.0.1", "10.0.0.2", "127.0.0.1"]);
        sources.reached(remote(1), ip("10.0.0.2"));
        assert_eq!(sources.towards(&remote(1)), Some(ip("10.0.0.2")));
        assert_eq!(sources.towards(&remote(2)), None);
        let loopback = "127.0.0.1:5".parse().unwrap();
        sources.reached(loopback, ip("127.0.0.3"));
        assert_eq!(sources.towards(&loopback), Some(ip("127.0.0.3")));
        sources.reached(loopback, ip("127.0.0.1"));
        assert_eq!(sources.towards(&loopback), None);
    }

    #[test]
    fn an_address_that_is_gone_or_given_up_is_no_source() {
        let mut sources = host(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
        sources.reached(remote(1), ip("10.0.0.2"));
        sources.reached(remote(2), ip("10.0.0.3"));
        sources.set_host_addresses(&[ip("10.0.0.1"), ip("10.0.0.3")]);
        assert_eq!(sources.towards(&remote(1)), None);
        sources.give_up(ip("10.0.0.3"));
        assert_eq!(sources.towards(&remote(2)), None);
        sources.reached(remote(2), ip("10.0.0.3"));
        assert_eq!(sources.towards(&remote(2)), None);
    }

    #[test]
    fn groups_and_addresses_of_another_kind_are_no_sources() {
        let mut sources = host(&["10.0.0.1", "10.0.0.2"]);
        sources.reached(remote(1), ip("224.0.0.1"));
        sources.reached("[fd00::9]:1".parse().unwrap(), ip("fe80::1"));
        assert_eq!(sources.known.len(), 0);
    }

    #[test]
    fn memory_is_bounded() {
        let mut sources = host(&["10.0.0.1", "10.0.0.2"]);
        (1..=5000).for_each(|port| sources.reached(remote(port), ip("10.0.0.2")));
        assert_eq!(sources.known.len(), CAPACITY);
        assert!(sources.towards(&remote(5000)).is_some());
    }

    #[test]
    fn a_new_route_is_followed_once_it_is_stable() {
        let mut route = Route::new(remote(1), ip("10.0.0.1"));
        assert_eq!(route.seen(ip("10.0.0.1")), None);
        assert_eq!(route.seen(ip("10.0.0.2")), None);
        assert_eq!(route.seen(ip("10.0.0.1")), None, "it was for a moment");
        assert_eq!(route.seen(ip("10.0.0.2")), None);
        assert_eq!(route.seen(ip("10.0.0.2")), Some(ip("10.0.0.2")));
        assert_eq!(route.seen(ip("10.0.0.2")), None);
    }
}
