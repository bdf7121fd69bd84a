//! Networks whose time passes on several threads at once.

use std::net::SocketAddr;
use std::time::Duration;

use grape_tests::simulation::{Link, Network};

use super::{AGE, SECOND, addr};

const GRAPES: usize = 60;
const ANNOUNCERS: usize = 12;

/// What a network of so many threads comes to: who is found at each Grape, and how many datagrams
/// it took.
fn run(threads: usize, seed: u64) -> (Vec<Option<Vec<SocketAddr>>>, u64) {
    let latency = Duration::from_millis(1)..=Duration::from_millis(5);
    let link = Link { latency, loss: 0.05, duplicates: 0.05 };
    let mut network = Network::parallel(seed, link, threads);
    for node in 0..GRAPES {
        network.add(AGE, if node == 0 { &[] } else { &[0] });
        network.run(Duration::from_millis(100));
    }
    network.run(5 * SECOND);
    for node in 0..ANNOUNCERS {
        network.announce(node, "service", 7000).unwrap();
    }
    network.kill(0);
    network.run(6 * SECOND);
    let found = (1..GRAPES).map(|node| network.lookup(node, "service")).collect();
    (found, network.sent())
}

#[test]
fn all_is_found_on_any_number_of_threads() {
    let mut all: Vec<_> = (1..ANNOUNCERS).map(|node| addr(node, 7000)).collect();
    all.sort_unstable();
    for threads in [1, 2, 3] {
        let (found, _) = run(threads, 1);
        assert!(found.iter().all(|found| found.as_ref() == Some(&all)), "{threads}: {found:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let (found, sent) = run(3, 7);
    assert_eq!(run(3, 7), (found, sent));
    assert_ne!(run(3, 8).1, sent);
}
