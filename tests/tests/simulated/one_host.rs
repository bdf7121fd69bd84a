//! Many Grapes on one node of Kubernetes: its pods share a subnet, which counts as one host's where
//! its addresses are public.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use grape_tests::simulation::{Made, Network};
use rstest::rstest;

use super::{AGE, SECOND, steady};

/// Pods of the crowded node.
const CROWD: u8 = 200;
/// Pods elsewhere, one a node.
const OTHERS: u8 = 24;

fn v4(subnet: u8, pod: u8) -> IpAddr {
    Ipv4Addr::new(10, 244, subnet, pod).into()
}

fn unique_local(subnet: u8, pod: u8) -> IpAddr {
    Ipv6Addr::new(0xfd00, 0, 0, subnet.into(), 0, 0, 0, pod.into()).into()
}

fn public(subnet: u8, pod: u8) -> IpAddr {
    Ipv6Addr::new(0x2a00, 1, 2, subnet.into(), 0, 0, 0, pod.into()).into()
}

#[rstest]
#[case::of_ipv4(v4, &[])]
#[case::of_unique_local_ipv6(unique_local, &[])]
#[case::of_public_ipv6_that_is_trusted(public, &["2a00:1:2::/48"])]
fn all_pods_of_one_node_are_found(#[case] ip: fn(u8, u8) -> IpAddr, #[case] trusted: &[&str]) {
    let mut network = Network::new(5, steady());
    let others = (0..OTHERS).map(|node| ip(1 + node, 1));
    let crowd = (1..=CROWD).map(|pod| ip(100, pod));
    let pods: Vec<IpAddr> = others.chain(crowd).collect();
    for (number, pod) in pods.iter().enumerate() {
        let trusted_networks = trusted.iter().map(|network| network.parse().unwrap()).collect();
        let made = Made { trusted_networks, ..Made::at(*pod, AGE) };
        network.add_made(made, if number == 0 { &[] } else { &[0] });
        network.run(SECOND / 50);
    }
    network.run(SECOND * 20);
    let name = |pod: usize| format!("service-{pod}");
    for pod in 0..pods.len() {
        network.start(pod, |engine, now| engine.announce(name(pod).as_bytes(), 7000, now));
        network.run(SECOND / 50);
    }
    network.run(SECOND * 5);
    for asker in [0, 1, usize::from(OTHERS), pods.len() - 1] {
        for (pod, ip) in pods.iter().enumerate() {
            let found = network.lookup(asker, &name(pod)).unwrap();
            assert_eq!(found, [SocketAddr::new(*ip, 7000)], "pod {asker} looks pod {pod} up");
        }
    }
}
