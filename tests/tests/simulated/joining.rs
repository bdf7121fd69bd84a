//! Who is asked when a node joins, and who is believed to be there.

use std::net::SocketAddr;
use std::time::Duration;

use grape::krpc::{self, Body, Message, Method, Query, Want};
use grape_tests::simulation::{Network, PORT};
use mainline::Id;

use super::{AGE, LATENCY, SECOND, addr, steady};

/// A query as one of a node that nobody hears of again.
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
fn who_asks_once_and_vanishes_is_no_node() {
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

/// Who asks and stays is pinged, and a node like any other.
#[test]
fn who_asks_and_answers_is_a_node() {
    let mut network = Network::new(1, steady());
    let first = network.add(AGE, &[]);
    network.add(AGE, &[first]);
    network.run(10 * LATENCY);
    assert_eq!(network.engine(first).stats().nodes, 1);
}

/// Neither was told of the other, since neither had answered the first.
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
