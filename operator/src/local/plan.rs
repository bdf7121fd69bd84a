//! Which Grapes a cluster is on this machine: a configuration each. Pure.

use std::net::{IpAddr, Ipv4Addr};

use grape::config::{Config, HostPort};

use crate::validate::ValidatedCluster;

/// All that runs is bound here: nothing is opened to the network.
pub const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Most Grapes of the cluster that one of them is told to join through, as many as a bucket of the
/// routing table holds; it hears of the others from them.
const MOST_SEEDS: usize = 20;

/// The ports that were asked for, in the order of the Grapes. Without any, they count up from the
/// port of the spec; with a single one, they count up from that one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ports {
    /// TCP ports of the APIs.
    pub api: Vec<u16>,
    /// UDP ports of the DHT.
    pub dht: Vec<u16>,
}

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The cluster's name.
    pub cluster: String,
    /// Its Grapes, each with its name (`market-0`) and what it is started with.
    pub grapes: Vec<PlannedGrape>,
    /// Bootstrap addresses of the spec that are not on this machine, which Grapes bound to loopback
    /// cannot reach.
    pub unreachable: Vec<HostPort>,
}

/// One Grape of a [`Plan`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedGrape {
    /// Its name, such as `market-0`.
    pub name: String,
    /// What it is started with.
    pub config: Config,
}

/// Why a cluster cannot have the ports that it was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPorts {
    /// Neither one port, nor as many as there are Grapes.
    #[error(
        "{flag} has {given} ports for {replicas} Grapes; expected {replicas} of them, separated by \
         commas, or only the first, from which the others count up"
    )]
    Count {
        /// The flag that gave them.
        flag: &'static str,
        /// How many it gave.
        given: usize,
        /// How many Grapes there are.
        replicas: usize,
    },
    /// Two Grapes would share a port.
    #[error("{flag} has {port} twice; expected a port of its own for each Grape")]
    Twice {
        /// The flag that gave it.
        flag: &'static str,
        /// The port.
        port: u16,
    },
    /// Counting up leaves the range of ports.
    #[error(
        "{replicas} Grapes from port {first} up go past 65535; expected {source_of_first} to be \
         {} at most", .last - .replicas + 1
    )]
    PastEnd {
        /// The flag or field that gave the first port.
        source_of_first: &'static str,
        /// The first port.
        first: u16,
        /// How many Grapes there are.
        replicas: usize,
        /// The last port there is.
        last: usize,
    },
}

/// Plans the Grapes of a cluster.
///
/// # Errors
///
/// The ports do not fit the Grapes; see [`BadPorts`].
pub fn plan(cluster: &ValidatedCluster, ports: &Ports) -> Result<Plan, BadPorts> {
    // The rest is about pods.
    let ValidatedCluster { name, replicas, dht, api, .. } = cluster;
    let api_ports = assign(&ports.api, "--api-ports", api.port, "spec.api.port", *replicas)?;
    let dht_ports = assign(&ports.dht, "--dht-ports", dht.port, "spec.dht.port", *replicas)?;
    let seed = |index: usize| HostPort { host: HOST.to_string(), port: dht_ports[index] };
    let grapes = (0..*replicas).map(|index| {
        // The next ones, round the ring of all: whichever of them runs, the rest is reached.
        let others = (1..*replicas).take(MOST_SEEDS).map(|step| seed((index + step) % replicas));
        PlannedGrape {
            name: format!("{name}-{index}"),
            config: Config {
                bind: Some(HOST),
                api_port: api_ports[index],
                dht_bind: Some(HOST),
                dht_port: dht_ports[index],
                bootstrap: others.chain(dht.bootstrap.iter().cloned()).collect(),
                advertise_ip: Some(HOST),
                dht_concurrency: dht.concurrency,
                dht_max_tables: dht.max_tables,
                dht_max_values: dht.max_values,
                peer_max_age: dht.peer_max_age,
                node_liveness: dht.node_liveness,
                max_payload_size: api.max_payload_size,
                ..Config::default()
            },
        }
    });
    Ok(Plan {
        cluster: name.clone(),
        grapes: grapes.collect(),
        unreachable: dht.bootstrap.iter().filter(|host| !is_here(host)).cloned().collect(),
    })
}

/// A port for each Grape.
fn assign(
    given: &[u16],
    flag: &'static str,
    from_spec: u16,
    field: &'static str,
    replicas: usize,
) -> Result<Vec<u16>, BadPorts> {
    let (first, source_of_first) = match given {
        [] => (from_spec, field),
        [first] => (*first, flag),
        several if several.len() == replicas => {
            let twice = (1..replicas).find(|&at| several[..at].contains(&several[at]));
            return match twice {
                Some(at) => Err(BadPorts::Twice { flag, port: several[at] }),
                None => Ok(several.to_vec()),
            };
        }
        several => return Err(BadPorts::Count { flag, given: several.len(), replicas }),
    };
    let ports: Vec<u16> = (first..=u16::MAX).take(replicas).collect();
    if ports.len() < replicas {
        let last = usize::from(u16::MAX);
        return Err(BadPorts::PastEnd { source_of_first, first, replicas, last });
    }
    Ok(ports)
}

/// Whether a socket bound to [`HOST`] can reach it.
fn is_here(host: &HostPort) -> bool {
    match host.host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.is_loopback(),
        Ok(IpAddr::V6(_)) => false,
        Err(_) => host.host == "localhost",
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::cluster::{GrapeCluster, GrapeClusterSpec};
    use crate::validate::validate;

    fn cluster(replicas: i32) -> ValidatedCluster {
        let spec = GrapeClusterSpec { replicas, ..Default::default() };
        validate(&GrapeCluster::new("market", spec)).unwrap()
    }

    fn bootstrap(grape: &PlannedGrape) -> Vec<String> {
        grape.config.bootstrap.iter().map(HostPort::to_string).collect()
    }

    #[test]
    fn grapes_count_up_from_the_ports_of_the_spec_and_join_each_other() {
        let plan = plan(&cluster(3), &Ports::default()).unwrap();
        let ports: Vec<_> =
            plan.grapes.iter().map(|g| (&*g.name, g.config.api_port, g.config.dht_port)).collect();
        assert_eq!(
            ports,
            [("market-0", 30001, 20001), ("market-1", 30002, 20002), ("market-2", 30003, 20003)]
        );
        assert_eq!(bootstrap(&plan.grapes[0]), ["127.0.0.1:20002", "127.0.0.1:20003"]);
        assert_eq!(bootstrap(&plan.grapes[2]), ["127.0.0.1:20001", "127.0.0.1:20002"]);
    }

    #[test]
    fn all_is_bound_to_loopback() {
        for grape in plan(&cluster(2), &Ports::default()).unwrap().grapes {
            assert_eq!(grape.config.bind, Some(HOST));
            assert_eq!(grape.config.dht_bind, Some(HOST));
            assert_eq!(grape.config.admin_bind, None);
        }
    }

    #[test]
    fn a_large_cluster_has_a_bounded_number_of_seeds_each() {
        let plan = plan(&cluster(1000), &Ports::default()).unwrap();
        assert!(plan.grapes.iter().all(|grape| grape.config.bootstrap.len() == MOST_SEEDS));
        assert_eq!(bootstrap(&plan.grapes[999])[0], "127.0.0.1:20001");
    }

    #[test]
    fn grapes_outside_are_joined_too_and_those_elsewhere_are_told() {
        let mut cluster = cluster(1);
        cluster.dht.bootstrap = ["127.0.0.1:20009", "localhost:20010", "old-grape.prod:20001"]
            .map(|address| address.parse().unwrap())
            .to_vec();
        let plan = plan(&cluster, &Ports::default()).unwrap();
        assert_eq!(
            bootstrap(&plan.grapes[0]),
            ["127.0.0.1:20009", "localhost:20010", "old-grape.prod:20001"]
        );
        assert_eq!(plan.unreachable, ["old-grape.prod:20001".parse().unwrap()]);
    }

    #[rstest]
    #[case(&[], &[30001, 30002, 30003])]
    #[case(&[31000], &[31000, 31001, 31002])]
    #[case(&[31000, 32000, 30500], &[31000, 32000, 30500])]
    #[case(&[65533], &[65533, 65534, 65535])]
    fn ports_are_counted_up_or_taken_as_given(#[case] given: &[u16], #[case] ports: &[u16]) {
        let plan = plan(&cluster(3), &Ports { api: given.to_vec(), dht: Vec::new() }).unwrap();
        assert_eq!(plan.grapes.iter().map(|g| g.config.api_port).collect::<Vec<_>>(), ports);
    }

    #[rstest]
    #[case(
        &[31000, 31001],
        "--api-ports has 2 ports for 3 Grapes; expected 3 of them, separated by commas, or only the \
         first, from which the others count up"
    )]
    #[case(
        &[31000, 31001, 31000],
        "--api-ports has 31000 twice; expected a port of its own for each Grape"
    )]
    #[case(
        &[65534],
        "3 Grapes from port 65534 up go past 65535; expected --api-ports to be 65533 at most"
    )]
    fn ports_that_do_not_fit_are_refused(#[case] given: &[u16], #[case] message: &str) {
        let ports = Ports { api: given.to_vec(), dht: Vec::new() };
        assert_eq!(plan(&cluster(3), &ports).unwrap_err().to_string(), message);
    }

    #[test]
    fn more_grapes_than_ports_from_the_spec_up_are_refused() {
        let mut cluster = cluster(1000);
        cluster.dht.port = 65000;
        assert_eq!(
            plan(&cluster, &Ports::default()).unwrap_err().to_string(),
            "1000 Grapes from port 65000 up go past 65535; expected spec.dht.port to be 64536 at \
             most"
        );
    }
}
