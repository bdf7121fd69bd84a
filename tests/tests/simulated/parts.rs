//! Parts of a network that know nothing of each other: they find each other through seeds that are
//! asked again, and through introductions.

use std::net::SocketAddr;

use grape_tests::simulation::{Network, PORT};
use rstest::rstest;

use super::{AGE, SECOND, addr, steady};

/// Parts of these sizes, each of which has joined through its first node.
fn parts(sizes: &[usize]) -> (Network, Vec<usize>) {
    let mut network = Network::new(1, steady());
    let mut firsts = Vec::new();
    for size in sizes {
        let first = network.len();
        for _ in 0..*size {
            let seeds: &[usize] = if network.len() == first { &[] } else { &[first] };
            network.add(AGE, seeds);
            network.run(SECOND / 20);
        }
        firsts.push(first);
    }
    network.run(5 * SECOND);
    (network, firsts)
}

/// How many of the names that the nodes announced are not found by others; some of all nodes are
/// asked, and the last, which is of the second part.
fn missed(network: &mut Network) -> usize {
    let last = network.len() - 1;
    let mut missed = 0;
    for asker in (0..last).step_by(3).chain([last]) {
        for offers in (0..last).step_by(7).chain([last]) {
            let found = network.lookup(asker, &format!("name-{offers}"));
            missed += usize::from(found != Some(vec![addr(offers, 1)]));
        }
    }
    missed
}

fn announce(network: &mut Network) {
    for node in 0..network.len() {
        network
            .start(node, |engine, now| engine.announce(format!("name-{node}").as_bytes(), 1, now));
    }
    network.run(SECOND);
}

/// All nodes of the first Grapes' pool are replaced at once: the old services know each other, and
/// more than twenty of them; the new Grapes know each other.
#[rstest]
#[case::three_of_33(&[30, 3])]
#[case::one_of_41(&[40, 1])]
#[case::halves(&[35, 35])]
fn a_node_that_knows_many_asks_its_seeds_again(#[case] sizes: &[usize]) {
    let (mut network, firsts) = parts(sizes);
    announce(&mut network);
    assert_ne!(missed(&mut network), 0, "they are parts");
    let seeds: Vec<SocketAddr> = (firsts[1]..network.len()).map(|node| addr(node, PORT)).collect();
    // As discovery does, every 20 seconds.
    for _ in 0..2 {
        for node in 0..network.len() {
            let seeds = seeds.clone();
            network.act(node, |engine, now| engine.ask_seeds_again(seeds, true, now));
        }
        network.run(8 * SECOND);
        announce(&mut network);
    }
    assert_eq!(missed(&mut network), 0);
}

/// An introduction of one to one joins all of both parts.
#[rstest]
fn an_introduction_joins_parts(#[values(&[30, 3], &[3, 3], &[1, 1], &[35, 35])] sizes: &[usize]) {
    let (mut network, firsts) = parts(sizes);
    let to = addr(firsts[1], PORT);
    let asked = network.act(firsts[0], |engine, now| engine.introduce(&[to], addr(900, 1), now));
    assert_eq!(asked, Some(Ok(1)));
    network.run(10 * SECOND);
    announce(&mut network);
    network.run(5 * SECOND);
    announce(&mut network);
    assert_eq!(missed(&mut network), 0);
    let asked = network.act(firsts[0], |engine, now| engine.introduce(&[to], addr(900, 1), now));
    assert_eq!(asked, Some(Ok(0)), "it is known");
}

/// Who asks its seeds at rest sends a few packets a minute, also where most are dead or have no
/// place in the table.
#[test]
fn asking_seeds_again_is_cheap() {
    let (mut network, _) = parts(&[100]);
    let rest = |network: &mut Network, asks: bool| {
        let before = network.sent();
        for _ in 0..6 {
            for node in 0..100 {
                let seeds = (0..200).map(|seed| addr(seed, PORT)).collect();
                if asks {
                    network.act(node, |engine, now| engine.ask_seeds_again(seeds, true, now));
                }
            }
            network.run(20 * SECOND);
        }
        network.sent() - before
    };
    let (idle, asking) = (rest(&mut network, false), rest(&mut network, true));
    let each = (asking.saturating_sub(idle)) as f64 / 100.0 / 2.0;
    eprintln!("figure: asking seeds again: {each:.1} packets a minute and Grape");
    assert!(each <= 30.0, "{each} packets a minute");
}

/// Each seed has its turn, however many are dead.
#[test]
fn every_seed_is_asked_in_turn() {
    let (mut network, firsts) = parts(&[25, 1]);
    let dead = (10_000..10_030).map(|node| addr(node, PORT));
    let seeds: Vec<_> = dead.chain([addr(firsts[1], PORT)]).collect();
    let mut rounds = 0;
    while network.engine(0).stats().nodes < 25 {
        let seeds = seeds.clone();
        network.act(0, |engine, now| engine.ask_seeds_again(seeds, true, now));
        network.run(3 * SECOND);
        rounds += 1;
        assert!(rounds <= 11, "three of 31 are asked at a time");
    }
}

#[test]
fn an_empty_introduction_makes_the_first() {
    let mut network = Network::new(1, steady());
    let gone = network.add(AGE, &[]);
    network.kill(gone);
    let lone = network.add(AGE, &[gone]);
    network.run(5 * SECOND);
    assert!(!network.engine(lone).is_ready());
    network.act(lone, |engine, now| engine.introduce(&[], addr(901, 1), now));
    assert!(network.engine(lone).is_ready());
    assert_eq!(network.announce(lone, "rpc_test", 1), Some(0));
}

#[test]
fn impossible_addresses_are_refused_in_introductions() {
    let (mut network, _) = parts(&[2]);
    let before = network.sent();
    for impossible in ["0.0.0.0:1", "10.0.0.9:0", "127.0.0.1:20001", "224.0.0.1:1", "[fe80::1]:1"] {
        let addrs = [addr(800, PORT), impossible.parse().unwrap()];
        let told = network.act(0, |engine, now| engine.introduce(&addrs, addr(900, 1), now));
        let told = told.unwrap().unwrap_err().to_string();
        assert!(told.starts_with(&format!("the address {impossible} is impossible: ")), "{told}");
    }
    assert_eq!(network.sent(), before, "none is pinged, nor the others beside it");
}
