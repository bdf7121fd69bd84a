//! How many nodes of one address, and of one network, count where nodes are to be independent of each
//! other: in a bucket, and among the k closest to a name. One host can run as many nodes as it likes,
//! with ids as near to a name as it likes (a Sybil attack); it has few addresses. Who has many of them
//! chooses ids still: those that fit their public addresses (BEP 42) have half of the places.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

use crate::bound_ids::fits;
use crate::krpc::Contact;
use crate::routing::K;

/// Most nodes of one address.
const OF_ADDRESS: usize = 2;
/// Most nodes of one public /24 of IPv4, or /64 of IPv6.
const OF_NETWORK: usize = K / 4;
/// Most nodes at public addresses whose ids do not fit these. The Grapes of npm are among them, and
/// older ones of ours: a liar can say that it is one. The other half is for those who cannot choose
/// where in the network they are.
const UNBOUND: usize = K / 2;

/// Who counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    /// With a port, where nodes of one address may be independent.
    Address(IpAddr, Option<u16>),
    /// By the address of the network.
    Network(IpAddr),
    /// At public addresses, with ids that do not fit these (BEP 42).
    Unbound,
}

impl Group {
    fn most(self) -> usize {
        match self {
            Self::Address(..) => OF_ADDRESS,
            Self::Network(_) => OF_NETWORK,
            Self::Unbound => UNBOUND,
        }
    }
}

/// The rule.
#[derive(Debug, Clone, Default)]
pub(crate) struct Diversity {
    trusted: Arc<[IpNet]>,
    strict: bool,
}

impl Diversity {
    /// In trusted networks, and on loopback, nodes of one address are independent of each other.
    pub(crate) fn new(trusted: Arc<[IpNet]>) -> Self {
        Self { trusted, strict: false }
    }

    /// Whether nodes beyond the most have no place at all. Otherwise they have one as long as they take
    /// it from nobody else.
    pub(crate) fn is_strict(&self) -> bool {
        self.strict
    }

    pub(crate) fn set_strict(&mut self, strict: bool) {
        self.strict = strict;
    }

    fn groups(&self, contact: &Contact) -> impl Iterator<Item = Group> + Clone + use<> {
        let Contact { id, addr } = contact;
        let ip = addr.ip();
        let trusted = ip.is_loopback() || self.trusted.iter().any(|network| network.contains(&ip));
        let network = if trusted { None } else { public_network(ip) };
        let address = Group::Address(ip, trusted.then_some(addr.port()));
        let unbound = self.strict && network.is_some() && !fits(id, ip);
        let groups =
            [Some(address), network.map(Group::Network), unbound.then_some(Group::Unbound)];
        groups.into_iter().flatten()
    }
}

/// The network of a public address: its /24 of IPv4, or its /64 of IPv6. Others have none, since one
/// network may be a whole cluster's.
pub(crate) fn public_network(ip: IpAddr) -> Option<IpAddr> {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            let shared = a == 100 && b & 0xc0 == 64;
            let private = v4.is_private() || v4.is_link_local() || v4.is_loopback() || shared;
            (!private).then(|| Ipv4Addr::new(a, b, c, 0).into())
        }
        IpAddr::V6(v6) => {
            let global = v6.segments()[0] & 0xe000 == 0x2000;
            global.then(|| Ipv6Addr::from(u128::from(v6) & (u128::MAX << 64)).into())
        }
    }
}

/// Nodes, counted by their groups.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    diversity: Diversity,
    counts: Vec<(Group, usize)>,
    /// By how many the groups have more than their most, together.
    beyond: usize,
}

impl Tally {
    pub(crate) fn new(diversity: Diversity) -> Self {
        Self { diversity, counts: Vec::new(), beyond: 0 }
    }

    pub(crate) fn diversity(&self) -> &Diversity {
        &self.diversity
    }

    /// By how many the groups have more than their most, together.
    pub(crate) fn beyond(&self) -> usize {
        self.beyond
    }

    fn count(&self, group: Group) -> usize {
        self.counts.iter().find(|(known, _)| *known == group).map_or(0, |(_, count)| *count)
    }

    /// Whether a node has a place beside those that were counted.
    pub(crate) fn has_place(&self, contact: &Contact) -> bool {
        self.have_place(self.diversity.groups(contact))
    }

    fn have_place(&self, mut groups: impl Iterator<Item = Group>) -> bool {
        groups.all(|group| self.count(group) < group.most())
    }

    /// Whether a node that was counted is in a group that has more than its most.
    pub(crate) fn is_crowded(&self, contact: &Contact) -> bool {
        self.beyond > 0
            && self.diversity.groups(contact).any(|group| self.count(group) > group.most())
    }

    /// Counts a node.
    pub(crate) fn add(&mut self, contact: &Contact) {
        self.add_to(self.diversity.groups(contact));
    }

    fn add_to(&mut self, groups: impl Iterator<Item = Group>) {
        for group in groups {
            let count = match self.counts.iter_mut().find(|(known, _)| *known == group) {
                Some((_, count)) => {
                    *count += 1;
                    *count
                }
                None => {
                    self.counts.push((group, 1));
                    1
                }
            };
            self.beyond += usize::from(count > group.most());
        }
    }

    /// A node that was counted is gone.
    pub(crate) fn remove(&mut self, contact: &Contact) {
        for group in self.diversity.groups(contact) {
            let Some(at) = self.counts.iter().position(|(known, _)| *known == group) else {
                continue;
            };
            let count = &mut self.counts[at].1;
            self.beyond -= usize::from(*count > group.most());
            *count -= 1;
            if *count == 0 {
                self.counts.swap_remove(at);
            }
        }
    }

    /// Counts a node, if there is a place for it. Returns whether there is.
    pub(crate) fn take(&mut self, contact: &Contact) -> bool {
        let groups = self.diversity.groups(contact);
        let has_place = self.have_place(groups.clone());
        if has_place {
            self.add_to(groups);
        }
        has_place
    }
}

#[cfg(test)]
mod tests {
    use mainline::Id;
    use rstest::rstest;

    use super::*;
    use crate::bound_ids::id_at;

    fn tally(trusted: &[&str]) -> Tally {
        let trusted = trusted.iter().map(|network| network.parse().unwrap());
        Tally::new(Diversity::new(trusted.collect()))
    }

    fn contact(addr: &str) -> Contact {
        Contact { id: Id::from([7; 20]), addr: addr.parse().unwrap() }
    }

    /// With an id that fits its address.
    fn bound(addr: &str) -> Contact {
        let contact = contact(addr);
        Contact { id: id_at(contact.addr.ip(), contact.id), ..contact }
    }

    fn have_places(tally: &mut Tally, addrs: impl IntoIterator<Item = String>) -> usize {
        addrs.into_iter().filter(|addr| tally.take(&contact(addr))).count()
    }

    /// Who has many addresses, and chooses ids, has half of the places.
    #[rstest]
    #[case::public(|n| format!("203.0.{n}.1:1"), true, 10)]
    #[case::public_64s(|n| format!("[2a00:1:2:{n}::1]:1"), true, 10)]
    #[case::few_nodes_in_all(|n| format!("203.0.{n}.1:1"), false, 100)]
    #[case::private(|n| format!("10.0.{n}.1:1"), true, 100)]
    #[case::loopback(|n| format!("127.0.{n}.1:1"), true, 100)]
    #[case::trusted(|n| format!("198.51.{n}.1:1"), true, 100)]
    fn ids_that_fit_no_address(
        #[case] addr: impl Fn(usize) -> String,
        #[case] strict: bool,
        #[case] most: usize,
    ) {
        let mut diversity = Diversity::new(Arc::new(["198.51.0.0/16".parse().unwrap()]));
        diversity.set_strict(strict);
        let mut tally = Tally::new(diversity);
        assert_eq!(have_places(&mut tally, (1..=100).map(&addr)), most);
        let fitting = (101..=200).filter(|n| tally.take(&bound(&addr(*n))));
        assert_eq!(fitting.count(), 100);
    }

    #[rstest]
    #[case::one_private_address(|n| format!("10.0.0.1:{n}"), 2)]
    #[case::a_private_network(|n| format!("10.0.0.{n}:1"), 100)]
    #[case::shared_addresses(|n| format!("100.64.0.{n}:1"), 100)]
    #[case::beside_the_shared(|n| format!("100.128.0.{n}:1"), 5)]
    #[case::one_public_address(|n| format!("203.0.113.9:{n}"), 2)]
    #[case::a_public_network(|n| format!("203.0.113.{n}:1"), 5)]
    #[case::public_networks(|n| format!("203.0.{n}.1:1"), 100)]
    #[case::unique_local(|n| format!("[fd00::{n}]:1"), 100)]
    #[case::one_unique_local(|n| format!("[fd00::1]:{n}"), 2)]
    #[case::a_public_64(|n| format!("[2a00:1:2:3::{n}]:1"), 5)]
    #[case::public_64s(|n| format!("[2a00:1:2:{n}::1]:1"), 100)]
    #[case::loopback(|n| format!("127.0.0.1:{n}"), 100)]
    #[case::a_trusted_network(|n| format!("198.51.100.1:{n}"), 100)]
    #[case::a_trusted_64(|n| format!("[2a00:9::{n}]:1"), 100)]
    fn of_100(#[case] addr: impl Fn(usize) -> String, #[case] most: usize) {
        let mut tally = tally(&["198.51.100.0/24", "2a00:9::/64"]);
        assert_eq!(have_places(&mut tally, (1..=100).map(addr)), most);
    }

    #[test]
    fn one_socket_is_one_node_in_a_trusted_network_too() {
        let mut tally = tally(&["10.0.0.0/8"]);
        assert_eq!(have_places(&mut tally, (1..=9).map(|_| "10.0.0.1:1".to_string())), 2);
    }

    #[test]
    fn who_is_gone_leaves_a_place() {
        let mut tally = tally(&[]);
        let addr = |port: u16| contact(&format!("10.0.0.1:{port}"));
        (1..=4).for_each(|port| tally.add(&addr(port)));
        assert!(tally.is_crowded(&addr(1)) && tally.beyond() == 2);
        (1..=2).for_each(|port| tally.remove(&addr(port)));
        assert!(!tally.is_crowded(&addr(3)) && !tally.has_place(&addr(1)));
        tally.remove(&addr(3));
        assert!(tally.has_place(&addr(1)));
        tally.remove(&addr(4));
        assert!(tally.counts.is_empty() && tally.beyond() == 0);
    }
}
