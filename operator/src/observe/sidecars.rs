//! The Grapes of services, as far as they can be observed from outside of their pods: some of them
//! in each round, because there may be thousands.
//!
//! Their API answers their own pod alone, so no canary can be announced or looked up there. Their
//! status page lists the nodes that they know. That shows whether they are in one network with the
//! cluster's own Grapes, and so whether their services are found. Where a policy keeps the operator
//! from that page, the cluster's own Grapes may still know them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::{IpAddr, SocketAddr};

use super::call::CallError;
use super::topology::{Topology, View};

/// Most Grapes of services that are asked in one round.
pub const SAMPLE: usize = 16;

/// A Grape of a service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InjectedSidecar {
    /// Its pod's name, which is none of the cluster's own.
    pub name: String,
    /// Its pod's address, which is also the one that it advertises.
    pub ip: IpAddr,
    /// TCP port of its admin pages.
    pub admin_port: u16,
    /// UDP port of its DHT node.
    pub dht_port: u16,
    /// The name by which it joins the cluster, as `HOST:PORT`.
    pub seed: String,
}

impl InjectedSidecar {
    /// Address of its admin pages.
    pub fn admin(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.admin_port)
    }

    /// Address of its DHT node.
    pub fn dht(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.dht_port)
    }
}

/// The connection of a Grape of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SidecarConnection {
    /// Connected with the cluster's own Grapes.
    Joined,
    /// It runs, and is not connected with them.
    Disconnected,
    /// It does not answer the operator, and none of them knows it.
    Silent(CallError),
}

/// Which of `sidecars` are asked in a round: first those of `again`, up to half of all, and then
/// the others in turn. `round` counts the rounds.
pub fn sample(
    mut sidecars: Vec<InjectedSidecar>,
    again: &BTreeSet<String>,
    round: u64,
) -> Vec<InjectedSidecar> {
    sidecars.sort_unstable();
    let (again, others): (Vec<_>, Vec<_>) =
        sidecars.into_iter().partition(|sidecar| again.contains(&sidecar.name));
    let again = turn(again, SAMPLE / 2, round);
    let room = SAMPLE - again.len();
    again.into_iter().chain(turn(others, room, round)).collect()
}

/// `most` of `sidecars`, in each round the next ones.
fn turn(sidecars: Vec<InjectedSidecar>, most: usize, round: u64) -> Vec<InjectedSidecar> {
    let all = sidecars.len();
    if all <= most {
        return sidecars;
    }
    // Both fit: the remainder is less than `all`.
    let start = (u128::from(round) * most as u128 % all as u128) as usize;
    sidecars.into_iter().cycle().skip(start).take(most).collect()
}

/// The connections of the sidecars with these views, by their names. Unknown if none of the
/// cluster's own Grapes has answered.
pub(super) fn connections(
    own: &[View],
    sidecars: Vec<View>,
) -> BTreeMap<String, SidecarConnection> {
    let seen: HashSet<SocketAddr> =
        own.iter().filter_map(|view| view.live.as_ref().ok()).flatten().copied().collect();
    if own.iter().all(|view| view.live.is_err()) {
        return BTreeMap::new();
    }
    let together = Topology::of(&[own, &sidecars[..]].concat());
    let is_own = |name: &String| own.iter().any(|view| view.name == *name);
    let disconnected: BTreeSet<&String> = together
        .partitions
        .iter()
        .filter(|partition| !partition.iter().any(is_own))
        .flatten()
        .collect();
    let connection = |View { name, address, live }| {
        let connection = match live {
            Err(_) if seen.contains(&address) => SidecarConnection::Joined,
            Err(why) => SidecarConnection::Silent(why),
            Ok(_) if disconnected.contains(&name) => SidecarConnection::Disconnected,
            Ok(_) => SidecarConnection::Joined,
        };
        (name, connection)
    };
    sidecars.into_iter().map(connection).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sidecar(number: u8) -> InjectedSidecar {
        InjectedSidecar {
            name: format!("web/a-{number:03}"),
            ip: IpAddr::from([10, 0, 1, number]),
            admin_port: 9091,
            dht_port: 20001,
            seed: "market.trading.svc:20001".to_owned(),
        }
    }

    fn names(sidecars: &[InjectedSidecar]) -> BTreeSet<String> {
        sidecars.iter().map(|sidecar| sidecar.name.clone()).collect()
    }

    #[test]
    fn a_few_are_asked_each_time() {
        let few: Vec<_> = (0..16).map(sidecar).collect();
        assert_eq!(sample(few.clone(), &BTreeSet::new(), 7), few);
        assert_eq!(sample(Vec::new(), &BTreeSet::new(), 7), []);
    }

    #[test]
    fn of_many_each_has_its_turn_and_the_odd_ones_have_it_sooner() {
        let all: Vec<_> = (0..100).map(sidecar).collect();
        let odd = names(&all[..12]);
        let mut asked = BTreeSet::new();
        for round in 0..12 {
            let sample = sample(all.clone(), &odd, round);
            assert_eq!(sample.len(), SAMPLE);
            let names = names(&sample);
            assert_eq!(names.len(), SAMPLE, "nobody twice");
            assert_eq!(names.intersection(&odd).count(), 8);
            asked.extend(names);
        }
        assert_eq!(asked, names(&all));
        sample(all, &odd, u64::MAX);
    }

    fn address(host: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], 20001))
    }

    fn view(name: &str, host: u8, knows: &[u8]) -> View {
        let live = Ok(knows.iter().map(|host| address(*host)).collect());
        View { name: name.to_owned(), address: address(host), live }
    }

    fn silent(name: &str, host: u8) -> View {
        View { live: Err(CallError::Refused), ..view(name, host, &[]) }
    }

    #[test]
    fn a_sidecar_is_connected_if_any_path_leads_to_it() {
        let own = [view("market-0", 0, &[1, 7]), view("market-1", 1, &[0, 50])];
        let sidecars = vec![
            view("web/knows-one", 2, &[1]),
            view("web/is-known", 7, &[]),
            view("web/by-another", 3, &[50]),
            view("web/alone", 4, &[]),
            view("web/elsewhere-1", 5, &[6]),
            view("web/elsewhere-2", 6, &[5]),
            silent("web/gone", 8),
        ];
        let mut seen_though_silent = sidecars.clone();
        seen_though_silent[1] = silent("web/is-known", 7);
        for sidecars in [sidecars, seen_though_silent] {
            let connections = connections(&own, sidecars);
            let of = |name: &str| connections[&format!("web/{name}")].clone();
            for joined in ["knows-one", "is-known", "by-another"] {
                assert_eq!(of(joined), SidecarConnection::Joined, "{joined}");
            }
            for disconnected in ["alone", "elsewhere-1", "elsewhere-2"] {
                assert_eq!(of(disconnected), SidecarConnection::Disconnected, "{disconnected}");
            }
            assert_eq!(of("gone"), SidecarConnection::Silent(CallError::Refused));
        }
    }

    #[test]
    fn groups_of_the_clusters_own_are_none_of_theirs() {
        let own = [view("market-0", 0, &[]), view("market-1", 1, &[])];
        let connections = connections(&own, vec![view("web/a", 2, &[1])]);
        assert_eq!(connections["web/a"], SidecarConnection::Joined);
    }

    #[test]
    fn without_any_of_the_clusters_own_nothing_is_known() {
        let connections = connections(&[silent("market-0", 0)], vec![view("web/a", 2, &[])]);
        assert_eq!(connections, BTreeMap::new());
    }
}
