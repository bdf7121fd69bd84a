//! The address under which a service is shown: a single one, also with several families and NATs.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use grape_engine::Withdrawn;
use grape_tests::figure;
use grape_tests::simulation::{Link, MTU, Made, Network};

use super::{AGE, LATENCY, SECOND, addr, far, steady};

const NAME: &str = "rpc_test";
const PORT: u16 = 1337;

fn v6(node: usize) -> SocketAddr {
    SocketAddr::new(Network::ipv6(node), PORT)
}

/// Three nodes on both families, one on IPv4 alone, one on IPv6 alone.
fn mixed(link: Link) -> Network {
    let mut network = Network::new(3, link);
    for node in 0..5 {
        let (ip, second_ip) = match node {
            0..3 => (Network::ip(node), Some(Network::ipv6(node))),
            3 => (Network::ip(node), None),
            _ => (Network::ipv6(node), None),
        };
        let seeds: &[usize] = if node == 0 { &[] } else { &[0] };
        network.add_made(Made { second_ip, ..Made::at(ip, AGE) }, seeds);
        network.run(SECOND);
    }
    network
}

/// Sets whether the service of node 1 is reached over IPv6 alone.
fn reached_over_ipv6(network: &mut Network, alone: bool) {
    let ports: BTreeSet<u16> = alone.then_some(PORT).into_iter().collect();
    network.act(1, |engine, now| engine.set_ipv6_ports(ports, now));
}

#[test]
fn one_service_of_both_families_is_shown_once_where_it_is_reached() {
    let mut network = mixed(steady());
    network.announce(1, NAME, PORT);
    for alone in [false, true, false] {
        reached_over_ipv6(&mut network, alone);
        network.run(10 * SECOND);
        let preferred = if alone { v6(1) } else { addr(1, PORT) };
        for node in 0..3 {
            assert_eq!(network.lookup(node, NAME).unwrap(), [preferred], "node {node}, {alone}");
        }
        assert_eq!(network.lookup(3, NAME).unwrap(), [addr(1, PORT)], "it knows IPv4 alone");
        assert_eq!(network.lookup(4, NAME).unwrap(), [v6(1)], "it knows IPv6 alone");
        let status = network.act(1, |engine, now| engine.status(now)).unwrap();
        assert_eq!(status.peers[NAME], [preferred]);
    }
    assert!(network.longest() <= MTU, "a datagram of {} bytes", network.longest());
}

#[test]
fn a_service_that_moves_to_the_other_family_is_there_all_the_time() {
    let mut network = mixed(far(0.0));
    network.announce(1, NAME, PORT);
    network.act(0, |engine, now| engine.subscribe(NAME.as_bytes(), now));
    network.run(10 * SECOND);
    for alone in [true, false] {
        reached_over_ipv6(&mut network, alone);
        for tenth in 0..100 {
            network.announce(1, NAME, PORT);
            for node in 0..5 {
                let shown = network.lookup(node, NAME).unwrap();
                assert!(
                    !shown.is_empty(),
                    "node {node}, {tenth} tenths of a second after it moved"
                );
            }
            network.run(SECOND / 10);
        }
        let preferred = if alone { v6(1) } else { addr(1, PORT) };
        assert_eq!(network.lookup(0, NAME).unwrap(), [preferred]);
    }
    let told = network.told(0);
    assert!(told.iter().skip(1).all(|(_, peers)| !peers.is_empty()), "{told:?}");
}

#[test]
fn a_service_announced_over_ipv6_alone_moves_once_there_is_ipv4() {
    let mut network = Network::new(3, steady());
    let both = |node| (Network::ip(node), Some(Network::ipv6(node)));
    for (node, (ip, second_ip)) in [both(0), (Network::ipv6(1), None)].into_iter().enumerate() {
        let seeds: &[usize] = if node == 0 { &[] } else { &[0] };
        network.add_made(Made { second_ip, ..Made::at(ip, AGE) }, seeds);
        network.run(SECOND);
    }
    network.announce(0, NAME, PORT);
    for node in 0..2 {
        assert_eq!(network.lookup(node, NAME).unwrap(), [v6(0)], "node {node}");
    }
    let (ip, second_ip) = both(2);
    let newcomer = network.add_made(Made { second_ip, ..Made::at(ip, AGE) }, &[0]);
    // What lookups found before is kept for a few seconds.
    network.run(10 * SECOND);
    for node in [0, newcomer] {
        assert_eq!(network.lookup(node, NAME).unwrap(), [addr(0, PORT)], "node {node}");
    }
    assert_eq!(network.lookup(1, NAME).unwrap(), [v6(0)], "it knows IPv6 alone");
}

#[test]
fn a_service_of_both_families_ends_on_both() {
    for killed in [false, true] {
        let mut network = mixed(steady());
        network.announce(1, NAME, PORT);
        network.run(5 * SECOND);
        let all: Vec<_> = (0..5).filter(|node| *node != 1).collect();
        for node in &all {
            assert_eq!(network.lookup(*node, NAME).unwrap().len(), 1);
        }
        if killed {
            network.kill(1);
        } else {
            network.withdraw(1, NAME, PORT);
        }
        network.run(if killed { 5 * SECOND } else { SECOND });
        for node in &all {
            assert_eq!(network.lookup(*node, NAME).unwrap(), [], "node {node}, killed: {killed}");
        }
    }
}

/// A network of which the last node is behind a NAT, and its service's address.
fn behind_a_nat(count: usize, link: Link) -> (Network, SocketAddr) {
    let mut network = Network::of(1, link, count, AGE);
    let outside = IpAddr::from([192, 0, 2, 7]);
    network.add_behind(outside, AGE, &[0]);
    network.run(5 * SECOND);
    (network, SocketAddr::new(outside, PORT))
}

#[test]
fn an_advertised_address_is_shown_alone_and_everywhere() {
    for count in [1, 3, 30] {
        let (mut network, service) = behind_a_nat(count, steady());
        network.announce(count, NAME, PORT);
        for node in 0..=count {
            assert_eq!(network.lookup(node, NAME).unwrap(), [service], "node {node} of {count}");
        }
        assert!(network.longest() <= MTU, "a datagram of {} bytes", network.longest());
    }
}

#[test]
fn an_advertised_address_goes_with_its_withdrawal() {
    let (mut network, service) = behind_a_nat(12, steady());
    network.announce(12, NAME, PORT);
    for node in 0..12 {
        assert_eq!(network.lookup(node, NAME).unwrap(), [service]);
    }
    assert_eq!(network.withdraw(12, NAME, PORT), Some(Withdrawn::Here(12)));
    for node in 0..=12 {
        assert_eq!(network.lookup(node, NAME).unwrap(), [], "node {node}");
    }
}

#[test]
fn an_advertised_address_goes_with_its_grape() {
    for count in [1, 2, 12, 60] {
        let (mut network, service) = behind_a_nat(count, far(0.0));
        network.announce(count, NAME, PORT);
        for second in 0..4 {
            for node in 0..count {
                assert_eq!(network.lookup(node, NAME).unwrap(), [service], "second {second}");
            }
            network.run(SECOND);
        }
        network.kill(count);
        let died = network.now();
        let mut last = Duration::ZERO;
        while network.now() - died < 8 * SECOND {
            for node in 0..count {
                if !network.lookup(node, NAME).unwrap().is_empty() {
                    last = network.now() - died;
                }
            }
            network.run(100 * LATENCY);
        }
        figure::took(&format!("10: one of {} behind a NAT dies: gone after", count + 1), last);
        assert!(last <= 5 * SECOND, "{last:?}");
    }
}
