//! Which Grapes a cluster is on this machine: a configuration each. Pure.

use std::net::{IpAddr, Ipv4Addr};

use grape::config::{Config, HostPort};

use grape_cluster::validate::ValidatedCluster;

/// All that runs is bound here: nothing is opened to the network.
pub const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Most bootstrap addresses of a Grape, as many as a bucket of the routing table holds; the Grape
/// learns of the others from them.
const MOST_SEEDS: usize = 20;

/// The ports that were asked for, in the order of the Grapes. Without any, they count up from the
/// port of the spec; with a single port, they count up from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ports {
    /// TCP ports of the APIs.
    pub api: Vec<u16>,
    /// UDP ports of the DHT.
    pub dht: Vec<u16>,
}

/// What was asked for beside the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choices {
    /// How many Grapes to run, in place of the spec's number.
    pub replicas: Option<usize>,
    /// Their ports.
    pub ports: Ports,
    /// Whether the ports of services are tried.
    pub check_announced: bool,
}

impl Default for Choices {
    fn default() -> Self {
        let check_announced = Config::default().check_announced;
        Self { replicas: None, ports: Ports::default(), check_announced }
    }
}

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The cluster's name.
    pub cluster: String,
    /// Its Grapes, each with its name (`market-0`) and what it is started with.
    pub grapes: Vec<PlannedGrape>,
    /// Whether the ports of services are tried.
    pub check_announced: bool,
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
    /// Those of the APIs and those of the DHT.
    #[error("{0}; and {1}")]
    Both(Box<Self>, Box<Self>),
}

/// Plans the Grapes of a cluster. They join no Grape that is `elsewhere`: who asks for an address
/// that is out of reach is never ready.
///
/// # Errors
///
/// The ports do not fit the Grapes; see [`BadPorts`].
pub fn plan(
    cluster: &ValidatedCluster,
    choices: &Choices,
    elsewhere: &[HostPort],
) -> Result<Plan, BadPorts> {
    // The rest is about pods.
    let ValidatedCluster { name, dht, api, .. } = cluster;
    let Choices { replicas, ports, check_announced } = choices;
    let replicas = replicas.unwrap_or(cluster.replicas);
    let api_ports = assign(&ports.api, "--api-ports", api.port, "spec.api.port", replicas);
    let dht_ports = assign(&ports.dht, "--dht-ports", dht.port, "spec.dht.port", replicas);
    let (api_ports, dht_ports) = match (api_ports, dht_ports) {
        (Err(api), Err(dht)) => return Err(BadPorts::Both(Box::new(api), Box::new(dht))),
        (api, dht) => (api?, dht?),
    };
    let seed = |index: usize| HostPort { host: HOST.to_string(), port: dht_ports[index] };
    let outside: Vec<_> = dht.bootstrap.iter().filter(|host| !elsewhere.contains(host)).collect();
    // Its form was checked already.
    let network = dht.network.as_ref().and_then(|name| name.parse().ok());
    let grapes = (0..replicas).map(|index| {
        // The next ones, round the ring of all: whichever of them runs, the rest is reached.
        let others = (1..replicas).take(MOST_SEEDS).map(|step| seed((index + step) % replicas));
        PlannedGrape {
            name: format!("{name}-{index}"),
            config: Config {
                bind: Some(HOST),
                api_port: api_ports[index],
                dht_bind: Some(HOST),
                dht_port: dht_ports[index],
                bootstrap: others.chain(outside.iter().copied().cloned()).collect(),
                advertise_ip: Some(HOST),
                network: network.clone(),
                dht_concurrency: dht.concurrency,
                dht_max_tables: dht.max_tables,
                dht_max_values: dht.max_values,
                peer_max_age: dht.peer_max_age,
                node_liveness: dht.node_liveness,
                max_payload_size: api.max_payload_size,
                check_announced: *check_announced,
                ..Config::default()
            },
        }
    });
    Ok(Plan { cluster: name.clone(), grapes: grapes.collect(), check_announced: *check_announced })
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use super::*;
    use crate::EXAMPLE;
    use grape_cluster::describe::Fields;
    use grape_cluster::manifest;

    fn validated(spec: &str) -> ValidatedCluster {
        let head =
            "apiVersion: grenache.dev/v1alpha1\nkind: GrapeCluster\nmetadata: {name: market}";
        manifest::read(&format!("{head}\nspec:\n{spec}")).unwrap().1
    }

    fn cluster(replicas: i32) -> ValidatedCluster {
        validated(&format!("  replicas: {replicas}\n"))
    }

    fn planned(cluster: &ValidatedCluster, choices: &Choices) -> Result<Plan, BadPorts> {
        plan(cluster, choices, &[])
    }

    fn with_api_ports(ports: &[u16]) -> Choices {
        let ports = Ports { api: ports.to_vec(), dht: Vec::new() };
        Choices { ports, ..Choices::default() }
    }

    fn bootstrap(grape: &PlannedGrape) -> Vec<String> {
        grape.config.bootstrap.iter().map(HostPort::to_string).collect()
    }

    #[test]
    fn grapes_count_up_from_the_ports_of_the_spec_and_join_each_other() {
        let plan = planned(&cluster(3), &Choices::default()).unwrap();
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
        for grape in planned(&cluster(2), &Choices::default()).unwrap().grapes {
            assert_eq!(grape.config.bind, Some(HOST));
            assert_eq!(grape.config.dht_bind, Some(HOST));
            assert_eq!(grape.config.admin_bind, None);
        }
    }

    #[test]
    fn a_large_cluster_has_a_bounded_number_of_seeds_each() {
        let plan = planned(&cluster(1000), &Choices::default()).unwrap();
        assert!(plan.grapes.iter().all(|grape| grape.config.bootstrap.len() == MOST_SEEDS));
        assert_eq!(bootstrap(&plan.grapes[999])[0], "127.0.0.1:20001");
    }

    #[test]
    fn grapes_outside_are_joined_too_where_they_can_be_reached() {
        let mut cluster = cluster(1);
        let [here, elsewhere] = ["127.0.0.1:20009", "old-grape.prod:20001"]
            .map(|address| address.parse::<HostPort>().unwrap());
        cluster.dht.bootstrap = vec![here, elsewhere.clone()];
        let plan = plan(&cluster, &Choices::default(), &[elsewhere]).unwrap();
        assert_eq!(bootstrap(&plan.grapes[0]), ["127.0.0.1:20009"]);
    }

    #[test]
    fn a_number_of_grapes_goes_before_that_of_the_spec() {
        let choices = Choices { replicas: Some(5), ..Choices::default() };
        let plan = planned(&cluster(1), &choices).unwrap();
        assert_eq!(plan.grapes.last().unwrap().name, "market-4");
        assert_eq!(bootstrap(&plan.grapes[0]).len(), 4);
    }

    #[test]
    fn services_are_tried_by_default() {
        for (choices, tried) in [
            (Choices::default(), true),
            (Choices { check_announced: false, ..Choices::default() }, false),
        ] {
            let plan = planned(&cluster(2), &choices).unwrap();
            assert_eq!(plan.check_announced, tried);
            assert!(plan.grapes.iter().all(|grape| grape.config.check_announced == tried));
        }
    }

    #[test]
    fn the_example_has_each_field_that_counts() {
        let (fields, cluster) = (Fields::new(), manifest::read(EXAMPLE).unwrap().1);
        for field in ["spec.dht", "spec.api"].iter().flat_map(|part| fields.inside(part)) {
            // All Grapes are on loopback, which is trusted.
            let counts = field != "trustNets";
            assert_eq!(EXAMPLE.contains(&format!("{field}: ")), counts, "{field}");
        }
        assert!(EXAMPLE.contains("replicas: ") && EXAMPLE.lines().count() == 12);
        assert_eq!(planned(&cluster, &Choices::default()).unwrap().grapes.len(), 3);
    }

    #[test]
    fn each_field_of_the_file_counts() {
        let cluster = validated(
            "  api: {port: 31000, maxPayloadSize: 2048}\n  dht: {port: 21000, network: shop, \
             bootstrap: [\"127.0.0.1:1\"], peerMaxAge: 11s, nodeLiveness: 12s, concurrency: 13, \
             maxTables: 14, maxValues: 15}\n  replicas: 1\n",
        );
        let plan = planned(&cluster, &Choices::default()).unwrap();
        let expected = Config {
            bind: Some(HOST),
            dht_bind: Some(HOST),
            advertise_ip: Some(HOST),
            api_port: 31000,
            max_payload_size: 2048,
            dht_port: 21000,
            network: Some("shop".parse().unwrap()),
            bootstrap: vec!["127.0.0.1:1".parse().unwrap()],
            peer_max_age: Duration::from_secs(11),
            node_liveness: Duration::from_secs(12),
            dht_concurrency: 13,
            dht_max_tables: 14,
            dht_max_values: 15,
            ..Config::default()
        };
        assert_eq!(plan.grapes[0].config, expected);
    }

    #[rstest]
    #[case(&[], &[30001, 30002, 30003])]
    #[case(&[31000], &[31000, 31001, 31002])]
    #[case(&[31000, 32000, 30500], &[31000, 32000, 30500])]
    #[case(&[65533], &[65533, 65534, 65535])]
    fn ports_are_counted_up_or_taken_as_given(#[case] given: &[u16], #[case] ports: &[u16]) {
        let plan = planned(&cluster(3), &with_api_ports(given)).unwrap();
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
        let choices = with_api_ports(given);
        assert_eq!(planned(&cluster(3), &choices).unwrap_err().to_string(), message);
    }

    #[test]
    fn more_grapes_than_ports_from_the_spec_up_are_refused() {
        let mut cluster = cluster(1000);
        cluster.dht.port = 65000;
        cluster.api.port = 64537;
        assert_eq!(
            planned(&cluster, &Choices::default()).unwrap_err().to_string(),
            "1000 Grapes from port 64537 up go past 65535; expected spec.api.port to be 64536 at \
             most; and 1000 Grapes from port 65000 up go past 65535; expected spec.dht.port to be \
             64536 at most"
        );
    }
}
