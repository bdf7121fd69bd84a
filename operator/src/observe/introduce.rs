//! Which Grapes are introduced to which: parts of a network that do not know each other, and Grapes
//! that have just started and whose name server does not name the others yet. Pure.
//!
//! An introduction is a list of addresses that a Grape pings, each once. A node that answers is
//! known from then on, both ways, and the Grapes find the rest by themselves. So a few
//! introductions are enough, and at rest there are none.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use super::Target;
use super::sidecars::{InjectedSidecar, SidecarConnection};
use super::topology::{Topology, View};

/// Most addresses that a Grape accepts at a time.
const MOST: usize = 8;
/// Most parts that are joined to the largest one in a round.
const PARTS: usize = 16;
/// How many Grapes of each part are introduced: one of them may be terminating.
const OF_EACH: usize = 2;
/// Most newly started Grapes that are introduced at a time.
const NEWCOMERS: usize = 32;
/// Places for Grapes of services among the addresses for a newly started Grape: these may be all
/// that is left of a network.
const SIDECARS: usize = 2;

/// Addresses for a Grape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Introduction {
    /// Address of its admin pages.
    pub(super) to: SocketAddr,
    /// Addresses of other nodes; none says that there are no others.
    pub(super) addresses: Vec<SocketAddr>,
}

impl Introduction {
    /// The body of the request.
    pub(super) fn body(&self) -> String {
        let addresses: Vec<_> = self.addresses.iter().map(|at| format!("\"{at}\"")).collect();
        format!("{{\"addresses\":[{}]}}", addresses.join(","))
    }
}

/// Introductions between the parts that an observation found: `own` and `sidecars` are the views of
/// the cluster's Grapes and of those of services, `admin` has the address of the admin pages of
/// each by its name.
pub(super) fn between_parts(
    own: &[View],
    sidecars: &[View],
    admin: &HashMap<String, SocketAddr>,
) -> Vec<Introduction> {
    let all = [own, sidecars].concat();
    let dht: HashMap<&str, SocketAddr> =
        all.iter().map(|view| (&*view.name, view.address)).collect();
    let partitions = Topology::of(&all).partitions;
    let [largest, others @ ..] = &partitions[..] else { return Vec::new() };
    let address = |name: &String| dht.get(&**name).copied();
    let hosts: Vec<_> = largest.iter().filter_map(address).collect();
    let chosen = others.iter().take(PARTS).flat_map(|partition| partition.iter().take(OF_EACH));
    let chosen: Vec<_> = chosen.collect();
    // Grapes of the largest part take turns.
    let to_others = chosen.iter().enumerate().filter_map(|(turn, name)| {
        let addresses = hosts.iter().cycle().skip(turn).take(MOST.min(hosts.len()));
        Some(Introduction { to: *admin.get(*name)?, addresses: addresses.copied().collect() })
    });
    // One direction is enough, unless one of the two is of a release without introductions.
    let strangers: Vec<_> = chosen.iter().filter_map(|name| address(name)).collect();
    let to_hosts = strangers.chunks(MOST).zip(largest).filter_map(|(addresses, name)| {
        Some(Introduction { to: *admin.get(name)?, addresses: addresses.to_vec() })
    });
    to_others.chain(to_hosts).collect()
}

/// Whether an observation found more than one part.
pub(super) fn are_parts(own: &Topology, sidecars: &BTreeMap<String, SidecarConnection>) -> bool {
    own.is_partitioned()
        || sidecars.values().any(|connection| *connection == SidecarConnection::Disconnected)
}

/// Introductions of newly started Grapes to the `ready` ones, to each other, and to some of
/// services. The `sole` Grape of a cluster gets an empty list, which says so.
pub(super) fn of_newcomers(
    newcomers: &[Target],
    ready: &[Target],
    sidecars: &[InjectedSidecar],
    sole: bool,
) -> Vec<Introduction> {
    let introduction = |(turn, newcomer): (usize, &Target)| {
        let own = ready.iter().cycle().skip(turn).take(ready.len()).map(Target::dht);
        let others = newcomers.iter().cycle().skip(turn + 1).take(newcomers.len() - 1);
        let sidecars: Vec<_> = sidecars.iter().take(SIDECARS).map(InjectedSidecar::dht).collect();
        let room = MOST - sidecars.len();
        let addresses: Vec<_> =
            own.chain(others.map(Target::dht)).take(room).chain(sidecars).collect();
        let is_told = sole || !addresses.is_empty();
        is_told.then(|| Introduction { to: newcomer.admin(), addresses })
    };
    newcomers.iter().enumerate().take(NEWCOMERS).filter_map(introduction).collect()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::observe::call::CallError;

    fn target(number: u8) -> Target {
        Target {
            name: format!("market-{number}"),
            ip: IpAddr::from([10, 0, 0, number]),
            api_port: 30001,
            admin_port: 9091,
            dht_port: 20001,
            ready: true,
        }
    }

    fn sidecar(number: u8) -> InjectedSidecar {
        let Target { ip, admin_port, dht_port, .. } = target(number);
        InjectedSidecar {
            name: format!("web/a-{number}"),
            ip,
            admin_port,
            dht_port,
            seed: String::new(),
        }
    }

    fn view(number: u8, knows: &[u8]) -> View {
        let live = Ok(knows.iter().map(|number| target(*number).dht()).collect());
        View { name: target(number).name, address: target(number).dht(), live }
    }

    /// The addresses of Grapes by number, introduced one to the other.
    fn introduced(introductions: &[Introduction]) -> Vec<(u8, Vec<u8>)> {
        let number = |at: &SocketAddr| match at.ip() {
            IpAddr::V4(ip) => ip.octets()[3],
            IpAddr::V6(_) => 0,
        };
        let introduced = introductions.iter();
        introduced.map(|it| (number(&it.to), it.addresses.iter().map(number).collect())).collect()
    }

    fn between(own: &[View], sidecars: &[View]) -> Vec<(u8, Vec<u8>)> {
        let all = own.iter().chain(sidecars);
        let admin = all.map(|view| (view.name.clone(), SocketAddr::new(view.address.ip(), 9091)));
        introduced(&between_parts(own, sidecars, &admin.collect()))
    }

    #[test]
    fn no_introductions_are_made_at_rest() {
        assert_eq!(between(&[], &[]), []);
        assert_eq!(between(&[view(1, &[2]), view(2, &[1])], &[view(3, &[1])]), []);
        let gone = View { live: Err(CallError::Refused), ..view(2, &[]) };
        assert_eq!(between(&[view(1, &[]), gone], &[]), [], "who does not answer is in no part");
    }

    #[test]
    fn a_partition_and_the_largest_one_are_introduced_to_each_other() {
        let own = [view(1, &[2, 3]), view(2, &[1]), view(3, &[1])];
        let sidecars = [view(11, &[12]), view(12, &[11]), view(21, &[])];
        let expected =
            [(11, vec![1, 2, 3]), (12, vec![2, 3, 1]), (21, vec![3, 1, 2]), (1, vec![11, 12, 21])];
        assert_eq!(between(&own, &sidecars), expected);
    }

    #[test]
    fn introductions_are_bounded_with_many_partitions() {
        let own: Vec<_> = (1..=3).map(|it| view(it, &[1, 2, 3])).collect();
        let sidecars: Vec<_> = (10..250).map(|it| view(it, &[])).collect();
        let introduced = between(&own, &sidecars);
        assert_eq!(introduced.len(), PARTS + PARTS.div_ceil(MOST));
        assert!(introduced.iter().all(|(_, addresses)| addresses.len() <= MOST));
        assert_eq!(introduced[PARTS].0, 1);
        assert_eq!(introduced[PARTS + 1].0, 2, "none of them is told twice at a time");
    }

    #[test]
    fn new_grapes_are_introduced_to_the_others() {
        let some = |from: u8, to: u8| (from..to).map(target).collect::<Vec<_>>();
        let new = |newcomers: &[Target], ready: &[Target], sidecars: &[InjectedSidecar], sole| {
            introduced(&of_newcomers(newcomers, ready, sidecars, sole))
        };
        let first_three = [(1, vec![2, 3]), (2, vec![3, 1]), (3, vec![1, 2])];
        assert_eq!(new(&some(1, 4), &[], &[], false), first_three);
        assert_eq!(new(&some(3, 4), &some(1, 3), &[], false), [(3, vec![1, 2])]);
        let sidecars: Vec<_> = (50..60).map(sidecar).collect();
        assert_eq!(new(&some(1, 2), &[], &sidecars, false), [(1, vec![50, 51])]);
        assert_eq!(new(&some(1, 2), &[], &[], false), [], "the others are still to come");
        assert_eq!(new(&some(1, 2), &[], &[], true), [(1, vec![])], "there are none");
        let many = new(&some(1, 200), &some(200, 250), &sidecars, false);
        assert_eq!(many.len(), NEWCOMERS);
        assert!(
            many.iter()
                .all(|(own, introduced)| introduced.len() == MOST && !introduced.contains(own))
        );
        let many = new(&some(1, 200), &[], &[], false);
        assert_eq!(many[0].1, [2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn addresses_of_both_families_are_written_as_a_grape_reads_them() {
        let addresses = ["10.0.0.7:1", "[fd00::7]:2"].map(|at| at.parse().unwrap()).to_vec();
        let introduction = Introduction { to: target(1).admin(), addresses };
        assert_eq!(introduction.body(), r#"{"addresses":["10.0.0.7:1","[fd00::7]:2"]}"#);
        let nobody = Introduction { addresses: Vec::new(), ..introduction };
        assert_eq!(nobody.body(), r#"{"addresses":[]}"#);
    }
}
