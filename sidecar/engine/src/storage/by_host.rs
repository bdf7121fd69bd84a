//! Addresses by their hosts, for a choice in which no host crowds out the others.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};

use ahash::RandomState;
use indexmap::{IndexMap, IndexSet};
use rand::seq::{SliceRandom, index};
use rand::{Rng, RngExt};

use crate::addresses::host_of;

/// Addresses of one family, by their hosts.
#[derive(Debug)]
pub(super) struct ByHost<A> {
    hosts: IndexMap<IpAddr, IndexSet<A, RandomState>, RandomState>,
}

impl<A: Copy + Eq + Hash + Into<SocketAddr>> ByHost<A> {
    pub(super) fn of(addrs: impl Iterator<Item = A>) -> Self {
        let mut all = Self { hosts: IndexMap::default() };
        addrs.for_each(|addr| all.add(addr));
        all
    }

    pub(super) fn add(&mut self, addr: A) {
        self.hosts.entry(host(addr)).or_default().insert(addr);
    }

    pub(super) fn remove(&mut self, addr: A) {
        let Some(ports) = self.hosts.get_mut(&host(addr)) else { return };
        ports.swap_remove(&addr);
        if ports.is_empty() {
            self.hosts.swap_remove(&host(addr));
        }
    }

    /// How many addresses the host of this one has.
    pub(super) fn of_host(&self, addr: A) -> usize {
        self.hosts.get(&host(addr)).map_or(0, IndexSet::len)
    }

    /// A random choice. Each host has the same share, as far as it has addresses.
    pub(super) fn choose(&self, count: usize, rng: &mut impl Rng) -> Vec<A> {
        if self.hosts.len() >= count {
            let hosts = index::sample(rng, self.hosts.len(), count);
            let ports = hosts.into_iter().filter_map(|at| Some(self.hosts.get_index(at)?.1));
            let ports: Vec<_> = ports.collect();
            let one = |ports: &IndexSet<A, _>| {
                ports.get_index(rng.random_range(0..ports.len().max(1))).copied()
            };
            return ports.into_iter().filter_map(one).collect();
        }
        let mut hosts: Vec<_> = self.hosts.values().collect();
        // Of hosts with as many addresses, others have what is left over each time.
        hosts.shuffle(rng);
        hosts.sort_by_key(|ports| ports.len());
        let mut chosen = Vec::with_capacity(count);
        for (before, ports) in hosts.iter().enumerate() {
            let share = (count - chosen.len()) / (hosts.len() - before);
            let of_it = index::sample(rng, ports.len(), share.min(ports.len()));
            chosen.extend(of_it.into_iter().filter_map(|at| ports.get_index(at).copied()));
        }
        chosen
    }
}

fn host<A: Into<SocketAddr>>(addr: A) -> IpAddr {
    host_of(addr.into().ip())
}

/// Puts addresses into a random order, in which each host has its first one before any host has its
/// second one: the first of them are a choice in which each host has the same share.
pub(crate) fn take_turns(addrs: &mut [SocketAddr], rng: &mut impl Rng) {
    addrs.shuffle(rng);
    let mut seen = HashMap::<_, usize, RandomState>::default();
    addrs.sort_by_cached_key(|addr| {
        let turn = seen.entry(host(*addr)).or_default();
        *turn += 1;
        *turn
    });
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn addr(host: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], port))
    }

    fn crowd() -> Vec<SocketAddr> {
        let crowd = (1..=20_000).map(|port| addr(66, port));
        crowd.chain([addr(1, 1), addr(2, 1), addr(2, 2)]).collect()
    }

    #[test]
    fn a_host_with_many_ports_hides_no_other_host() {
        let rng = &mut StdRng::seed_from_u64(1);
        let by_host = ByHost::of(crowd().into_iter());
        for count in [5, 100] {
            let chosen = by_host.choose(count, rng);
            assert_eq!(chosen.len(), count);
            assert!(chosen.contains(&addr(1, 1)), "{chosen:?}");
        }
        let of_two = by_host.choose(100, rng).iter().filter(|a| a.ip() == addr(2, 1).ip()).count();
        assert_eq!(of_two, 2);
        let mut all = crowd();
        take_turns(&mut all, rng);
        let mut first: Vec<_> = all[..3].iter().map(SocketAddr::ip).collect();
        first.sort_unstable();
        assert_eq!(first, [1, 2, 66].map(|host| addr(host, 1).ip()));
    }

    #[test]
    fn each_of_many_hosts_is_chosen_as_often() {
        let rng = &mut StdRng::seed_from_u64(1);
        let by_host = ByHost::of((1..=200).flat_map(|host| [addr(host, 1), addr(host, 2)]));
        let mut seen = [0_u32; 201];
        for _ in 0..1000 {
            let chosen = by_host.choose(20, rng);
            chosen.iter().for_each(|a| {
                seen[usize::from(match a.ip() {
                    IpAddr::V4(ip) => ip.octets()[3],
                    IpAddr::V6(_) => 0,
                })] += 1
            });
        }
        assert!(seen[1..].iter().all(|n| (50..=160).contains(n)), "{seen:?}");
    }

    #[test]
    fn what_is_removed_is_chosen_no_more() {
        let rng = &mut StdRng::seed_from_u64(1);
        let mut by_host = ByHost::of(crowd().into_iter());
        by_host.remove(addr(1, 1));
        by_host.remove(addr(2, 1));
        assert_eq!(by_host.of_host(addr(2, 2)), 1);
        let chosen = by_host.choose(100, rng);
        assert!(!chosen.contains(&addr(1, 1)) && !chosen.contains(&addr(2, 1)));
    }

    #[test]
    fn the_addresses_of_a_public_network_of_ipv6_are_one_host() {
        let addr = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(host(addr("[2a00:1:2:3::9]:1")), host(addr("[2a00:1:2:3:ffff::]:2")));
        assert_ne!(host(addr("[2a00:1:2:3::9]:1")), host(addr("[2a00:1:2:4::9]:1")));
        assert_ne!(host(addr("[fd00::1]:1")), host(addr("[fd00::2]:1")));
    }
}
