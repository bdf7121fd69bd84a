//! Nodes at many public addresses that choose their ids: as near to a name as they like (a Sybil
//! attack). At public addresses, half of the places are for nodes whose ids fit their addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use grape_tests::simulation::{Lie, Made, Network};
use mainline::Id;
use rstest::rstest;

use super::{AGE, SECOND, steady};

/// Nodes that behave, each in another network.
const HONEST: u8 = 64;
/// Nodes that hold nothing, as many as hold a name and more, each in another network.
const LIARS: u8 = 30;
const NAME: &str = "wanted";

fn v4(node: u8) -> IpAddr {
    Ipv4Addr::new(203, 7, node, 1).into()
}

fn v6(node: u8) -> IpAddr {
    Ipv6Addr::new(0x2a00, 1, 2, node.into(), 0, 0, 0, 1).into()
}

/// No node with a random id is as near to the name.
fn near(name: &str, n: u8) -> Id {
    let mut id = [0; 20];
    id[..name.len()].copy_from_slice(name.as_bytes());
    id[18] = n;
    id.into()
}

fn add(network: &mut Network, made: Made) -> usize {
    let seeds: &[usize] = if network.is_empty() { &[] } else { &[0] };
    let node = network.add_made(made, seeds);
    network.run(SECOND / 20);
    node
}

fn find_each_other(network: &mut Network, nodes: &[usize]) {
    for node in nodes {
        network.start(*node, |engine, now| engine.announce(NAME.as_bytes(), 7000, now));
        network.run(SECOND / 10);
    }
    network.run(SECOND * 5);
    let mut all: Vec<_> = nodes.iter().map(|node| network.address(*node, 7000)).collect();
    all.sort_unstable();
    for node in nodes {
        let mut found = network.lookup(*node, NAME).unwrap();
        found.sort_unstable();
        assert_eq!(found, all, "node {node} looks it up");
    }
}

#[rstest]
#[case::ipv4(v4)]
#[case::ipv6(v6)]
fn nodes_that_chose_ids_near_a_name_do_not_hide_it(#[case] ip: fn(u8) -> IpAddr) {
    let mut network = Network::new(7, steady());
    for node in 0..HONEST {
        add(&mut network, Made::at(ip(node), AGE));
    }
    network.run(SECOND * 20);
    for n in 0..LIARS {
        let made = Made::at(ip(HONEST + n), AGE);
        add(&mut network, Made { id: Some(near(NAME, n)), lie: Some(Lie::NoPeers), ..made });
    }
    network.run(SECOND * 20);
    find_each_other(&mut network, &[3, 14, 15, 63]);
}

/// The Grapes of npm have random ids, wherever they are.
#[test]
fn a_network_of_random_ids_is_whole() {
    let mut network = Network::new(8, steady());
    for node in 0..HONEST {
        add(&mut network, Made { plain: node % 8 > 0, ..Made::at(v4(node), AGE) });
    }
    network.run(SECOND * 20);
    find_each_other(&mut network, &[0, 5, 8, 13, 40, 62]);
}
