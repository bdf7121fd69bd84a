//! Which nodes a joining node asks, and which it adds.

use std::net::SocketAddr;
use std::time::Duration;

use grape_engine::krpc::{self, Body, Message, Method, Query, Want};
use grape_tests::simulation::{Made, Network, PORT};
use mainline::Id;
use rstest::rstest;

use super::{AGE, LATENCY, SECOND, addr, far, steady};

/// A query of a node that sends nothing else.
fn question(n: usize) -> Vec<u8> {
    let mut id = [0; 20];
    // All over the ids, and the same each time.
    id[..8].copy_from_slice(&(n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    let (sender, target) = (Some(Id::from(id)), id.to_vec());
    let method = match n % 3 {
        0 => Method::Ping { watch: Some(true) },
        1 => Method::FindNode { target: target.into() },
        _ => Method::GetPeers { info_hash: target.into() },
    };
    let query = Query { sender, read_only: false, want: Want::default(), method };
    let transaction_id = b"aa".as_slice().into();
    let version = Some(krpc::VERSION);
    krpc::encode(&Message { transaction_id, version, network: None, body: Body::Query(query) })
        .unwrap()
}

#[test]
fn a_node_that_asks_once_and_vanishes_is_not_added() {
    let mut network = Network::of(1, steady(), 3, AGE);
    let before = network.sent();
    for n in 0..600 {
        network.forge(addr(10_000 + n, PORT), 0, question(n));
    }
    network.run(2 * LATENCY);
    assert!(network.sent() - before <= 2 * 600 + 10, "an answer and a ping for each at most");
    assert_eq!(network.engine(0).stats().nodes, 2);
    for n in 0..50 {
        let began = network.now();
        assert_eq!(network.lookup(0, &format!("name {n}")).unwrap(), []);
        assert_eq!(network.announce(0, &format!("other {n}"), 7000), Some(2));
        assert!(network.now() - began <= 8 * LATENCY, "{:?}", network.now() - began);
        network.run(SECOND / 5);
    }
    assert_eq!(network.engine(0).stats().nodes, 2);
}

/// A node that asks and stays is pinged, and becomes a node like any other.
#[test]
fn a_node_that_asks_and_answers_is_added() {
    let mut network = Network::new(1, steady());
    let first = network.add(AGE, &[]);
    network.add(AGE, &[first]);
    network.run(10 * LATENCY);
    assert_eq!(network.engine(first).stats().nodes, 1);
}

/// Neither was returned to the other, since neither had answered the first.
#[test]
fn two_that_join_at_the_same_moment_find_each_other() {
    let mut network = Network::new(1, steady());
    let first = network.add(AGE, &[]);
    let both = [network.add(AGE, &[first]), network.add(AGE, &[first])];
    network.run(4 * SECOND);
    for node in both {
        assert_eq!(network.engine(node).stats().nodes, 2, "node {node}");
    }
}

#[test]
fn dead_seeds_hold_up_no_living_one() {
    for count in [2, 60, 500, 2000] {
        let mut network = Network::new(1, steady());
        let living = network.add(AGE, &[]);
        let joiner = network.add(AGE, &[]);
        let dead = (0..count).map(|n| addr(10_000 + n, PORT));
        let seeds: Vec<SocketAddr> = dead.chain([addr(living, PORT)]).collect();
        let began = network.now();
        network.act(joiner, |engine, now| engine.join(seeds, true, now));
        while network.engine(joiner).stats().nodes == 0 {
            network.run(Duration::from_millis(10));
            assert!(network.now() - began <= 6 * SECOND, "{count} dead seeds");
        }
        eprintln!("{count} dead seeds: joined after {:?}", network.now() - began);
    }
}

/// A node that starts later at the address of a node that left is not drawn into the network, also
/// with lost packets; at the address of a node that died it is.
#[rstest]
#[case::left(true, 0.0)]
#[case::left_with_loss(true, 0.05)]
#[case::died(false, 0.0)]
#[test]
fn only_a_node_that_died_is_probed_again(#[case] leaves: bool, #[case] loss: f64) {
    for count in [2, 5, 12] {
        let mut network = Network::of(1, far(loss), count, AGE);
        network.run(10 * SECOND);
        network.announce(1, "rpc_test", 1337);
        if leaves {
            assert_eq!(network.leave(1), Some(count - 1));
        } else {
            network.kill(1);
        }
        network.run(60 * SECOND);
        let again = network.add_made(Made::at(Network::ip(1), AGE), &[]);
        network.run(60 * SECOND);
        let expected = if leaves { 0 } else { count - 1 };
        assert_eq!(network.engine(again).stats().nodes, expected, "of {count}");
        if leaves {
            // One that wants to join is taken as any other.
            network.kill(again);
            let joins = network.add_made(Made::at(Network::ip(1), AGE), &[0]);
            network.run(10 * SECOND);
            assert_eq!(network.engine(joins).stats().nodes, count - 1);
        }
    }
}

/// Anybody can say in the name of a node that it leaves: it is asked, and stays.
#[test]
fn a_forged_leave_changes_nothing() {
    let mut network = Network::of(1, steady(), 5, AGE);
    network.announce(1, "rpc_test", 1337);
    let leaving = Method::Dead { addr: SocketAddr::from(([0, 0, 0, 0], PORT)), depth: 255 };
    let sender = Some(network.engine(1).id());
    let query = Query { sender, read_only: false, want: Want::default(), method: leaving };
    let transaction_id = b"aa".as_slice().into();
    let version = Some(krpc::VERSION);
    let forged = Message { transaction_id, version, network: None, body: Body::Query(query) };
    let forged = krpc::encode(&forged).unwrap();
    for _ in 0..10 {
        network.forge(addr(1, PORT), 0, forged.clone());
        network.run(SECOND);
        assert_eq!(network.lookup(0, "rpc_test").unwrap(), [addr(1, 1337)]);
        assert_eq!(network.engine(0).stats().nodes, 4);
    }
    // It dies in earnest later, and is asked for as any other.
    network.run(60 * SECOND);
    network.kill(1);
    network.run(30 * SECOND);
    let again = network.add_made(Made::at(Network::ip(1), AGE), &[]);
    network.run(30 * SECOND);
    assert_eq!(network.engine(again).stats().nodes, 4);
}
