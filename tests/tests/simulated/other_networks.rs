//! Two networks whose Grapes come to each other's addresses: they stay two.

use grape_tests::simulation::{Made, Network, PORT};
use rstest::rstest;

use super::{AGE, LATENCY, SECOND, addr, steady};

/// Adds a node of a network, if it names one, at the next free address.
fn add(network: &mut Network, name: &str, seeds: &[usize]) -> usize {
    let made = Made::at(Network::ip(network.len()), AGE);
    let name = (!name.is_empty()).then(|| name.parse().unwrap());
    let node = network.add_made(Made { network: name, ..made }, seeds);
    network.run(SECOND / 10);
    node
}

/// Three nodes of each of two networks.
fn two_networks() -> Network {
    let mut network = Network::new(1, steady());
    for (name, first) in [("a", 0), ("b", 3)] {
        add(&mut network, name, &[]);
        add(&mut network, name, &[first]);
        add(&mut network, name, &[first]);
    }
    network.run(3 * SECOND);
    network
}

#[test]
fn grapes_of_one_network_find_each_other() {
    let mut network = two_networks();
    network.announce(0, "rpc_test", 1);
    assert_eq!(network.lookup(2, "rpc_test").unwrap(), [addr(0, 1)]);
    assert!(network.longest() < grape_tests::simulation::MTU);
}

#[test]
fn a_seed_of_another_network_is_not_joined() {
    let mut network = two_networks();
    network.announce(3, "rpc_test", 1);
    for _ in 0..10 {
        network.join(0, &[1, 3]);
        network.act(1, |engine, now| engine.ask_seeds_again(vec![addr(4, PORT)], true, now));
        let named =
            network.act(2, |engine, now| engine.introduce(&[addr(5, PORT)], addr(100, 1), now));
        assert_eq!(named, Some(Ok(1)));
        network.run(2 * SECOND);
    }
    for node in 0..6 {
        assert_eq!(network.engine(node).stats().nodes, 2, "node {node}");
    }
    for (node, other) in [(0, 3), (3, 0), (1, 4), (4, 1), (2, 5), (5, 2)] {
        let now = network.now();
        let status = network.engine(node).status(now);
        assert_eq!(status.other_networks, [addr(other, PORT)], "node {node}");
        assert_ne!(network.engine(node).stats().other_network, [0, 0], "node {node}");
    }
    assert_eq!(network.lookup(0, "rpc_test").unwrap(), []);
    network.run(70 * SECOND);
    let now = network.now();
    assert!(network.engine(0).status(now).other_networks.is_empty(), "it is over");
}

/// A Grape that finds only Grapes of another network is not joined, and says so.
#[test]
fn a_node_that_finds_only_another_network_is_not_ready() {
    let mut network = two_networks();
    let lost = add(&mut network, "c", &[0]);
    network.run(5 * SECOND);
    assert!(!network.engine(lost).is_ready());
    let now = network.now();
    assert_eq!(network.engine(lost).status(now).other_networks, [addr(0, PORT)]);
}

/// A Grape ends, and its address goes to one of another network.
#[rstest]
#[case::that_asks_nobody(&[])]
#[case::that_asks_its_own(&[3])]
fn an_address_that_passes_to_another_network_does_not_join_the_networks(#[case] seeds: &[usize]) {
    let mut network = two_networks();
    network.announce(2, "mine", 1);
    assert_eq!(network.lookup(1, "mine").unwrap(), [addr(2, 1)]);
    network.kill(2);
    let made = Made::at(Network::ip(2), AGE);
    let other = network.add_made(Made { network: Some("b".parse().unwrap()), ..made }, seeds);
    network.announce(other, "theirs", 2);
    let mut gone = None;
    for tenth in 0..300 {
        network.run(SECOND / 10);
        if gone.is_none() && network.lookup(1, "mine").unwrap().is_empty() {
            gone = Some(tenth);
        }
    }
    assert!(gone.is_some_and(|tenth| tenth <= 50), "gone after {gone:?} tenths of a second");
    for node in [0, 1] {
        assert_eq!(network.engine(node).stats().nodes, 1, "node {node}");
        assert_eq!(network.lookup(node, "theirs").unwrap(), [], "node {node}");
    }
    let expected = if seeds.is_empty() { 0 } else { 3 };
    assert_eq!(network.engine(other).stats().nodes, expected);
    // Dead nodes are probed for their return. Displaced ones are not.
    let refused = network.engine(other).stats().other_network[0];
    network.run(30 * SECOND);
    assert_eq!(network.engine(other).stats().other_network[0], refused);
}

/// Anyone can send a query from any address: it shows nothing of who is there.
#[test]
fn a_forged_query_of_another_network_removes_no_node() {
    let mut network = two_networks();
    network.announce(2, "mine", 1);
    let other = {
        use grape_engine::krpc::{self, Body, Message, Method, Query, Want};
        let method = Method::Ping { watch: None };
        let sender = Some(mainline::Id::from([9; 20]));
        let query = Query { sender, read_only: false, want: Want::default(), method };
        let network = Some("b".parse::<grape_engine::NetworkName>().unwrap().tag());
        let (transaction_id, version) = (b"aa".as_slice().into(), Some(krpc::VERSION));
        let body = Body::Query(query);
        krpc::encode(&Message { transaction_id, version, network, body }).unwrap()
    };
    for _ in 0..20 {
        network.forge(addr(2, PORT), 1, other.clone());
        network.run(SECOND / 4);
        assert_eq!(network.lookup(1, "mine").unwrap(), [addr(2, 1)]);
        assert_eq!(network.engine(1).stats().nodes, 2);
    }
}

/// npm's Grapes, and older ones of ours, name no network: they go on with all.
#[rstest]
#[case::npms(true)]
#[case::older_ones(false)]
fn a_node_without_a_network_is_of_any(#[case] plain: bool) {
    let mut network = Network::new(1, steady());
    let first = add(&mut network, "a", &[]);
    let made = Made { plain, ..Made::at(Network::ip(1), AGE) };
    let unnamed = network.add_made(made, &[first]);
    network.run(SECOND);
    let second = add(&mut network, "a", &[unnamed]);
    network.run(3 * SECOND);
    for node in [first, unnamed, second] {
        assert_eq!(network.engine(node).stats().nodes, 2, "node {node}");
        assert_eq!(network.engine(node).stats().other_network, [0, 0], "node {node}");
    }
    network.announce(unnamed, "rpc_test", 1);
    network.run(10 * LATENCY);
    assert_eq!(network.lookup(second, "rpc_test").unwrap(), [addr(unnamed, 1)]);
    // A network that it knows does not join another that it knows.
    let other = add(&mut network, "b", &[unnamed]);
    network.run(30 * SECOND);
    assert_eq!(network.engine(other).stats().nodes, 1);
    assert_eq!(network.engine(first).stats().nodes, 2);
    assert_eq!(network.engine(unnamed).stats().nodes, 3);
}
