//! The original's simulations, from its package.

use std::collections::{BTreeMap, BTreeSet};

use grape_tests::gossipers::{self, Module, Program};
use tokio::process::Command;

use crate::alone;

fn start(file: &str) -> Program {
    let program = gossipers::original(file).unwrap();
    let program = gossipers::changed(&program, Module::Ours).unwrap();
    Program::start(file, &program, &mut Command::new("node")).unwrap()
}

/// The ports of the 100 peers of the first two.
fn ports() -> BTreeSet<u16> {
    (9001..=9100).collect()
}

/// The port in a line such as `… 127.0.0.1:9020 …`, after what comes before it and before what
/// comes behind it.
fn port(line: &str, before: &str, behind: &str) -> Option<u16> {
    let (_, rest) = line.split_once(before)?;
    let (port, _) = rest.strip_prefix("127.0.0.1:")?.split_once(behind)?;
    port.parse().ok()
}

#[test]
fn a_key_reaches_100_peers() {
    alone("simulations::a_key_reaches_100_peers", async {
        let mut simulation = start("simulation/s1.js");
        let mut reached = BTreeSet::new();
        for _ in 0..100 {
            let line = |line: &str| port(line, "hi received by ", " at");
            reached.insert(simulation.process.next("a peer that is reached", line).await.unwrap());
        }
        assert_eq!(reached, ports());
        assert!(simulation.process.ended().await.unwrap().success());
        let all = |line: &str| (line == "fully propogated").then_some(());
        simulation.process.next("the last line", all).await.unwrap();
    });
}

#[test]
fn one_of_100_peers_dies_and_comes_back() {
    alone("simulations::one_of_100_peers_dies_and_comes_back", async {
        let mut simulation = start("simulation/s2.js");
        let others: BTreeSet<_> = ports().into_iter().filter(|port| *port != 9020).collect();
        for state in ["dead", "alive"] {
            let behind = format!(" thinks 127.0.0.1:9020 is {state}");
            let mut peers = BTreeSet::new();
            for _ in &others {
                let line = |line: &str| port(line, "", &behind);
                peers.insert(simulation.process.next(&behind, line).await.unwrap());
            }
            assert_eq!(peers, others, "{state}");
        }
    });
}

#[test]
fn more_than_100_peers_find_each_other_through_two_seeds() {
    alone("simulations::more_than_100_peers_find_each_other_through_two_seeds", async {
        let mut simulation = start("simulation/s3.js");
        let all = |line: &str| (line == "all peers know about each other").then_some(());
        simulation.process.next("all peers know each other", all).await.unwrap();
        assert!(simulation.process.ended().await.unwrap().success());
    });
}

#[test]
fn all_21_peers_set_a_key_one_after_the_other() {
    alone("simulations::all_21_peers_set_a_key_one_after_the_other", async {
        let mut simulation = start("simulation/example.js");
        let mut updates = BTreeMap::new();
        // Each of the 20 peers sees the key of the 19 others, and the updater's.
        for _ in 0..400 {
            let line = |line: &str| port(line, "peer  ", "  set  somekey  to  { x: 1, y: 2 }");
            let port = simulation.process.next("an update", line).await.unwrap();
            *updates.entry(port).or_insert(0) += 1;
        }
        let wanted = (9001..=9020).map(|port| (port, 19)).chain([(9999, 20)]);
        assert_eq!(updates, wanted.collect());
    });
}
