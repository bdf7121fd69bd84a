//! One of three Grapes is killed: the others still answer, and answer right.

use std::collections::BTreeSet;
use std::time::Duration;

use grape_tests::grape::Grape;
use grape_tests::network::{Network, Shape};
use rstest::rstest;
use tokio::time::Instant;

/// The least of the sorted times that this share of them, in percent, does not exceed.
fn percentile(times: &[Duration], share: usize) -> Duration {
    times[(times.len() * share).div_ceil(100) - 1]
}

async fn timed<T>(times: &mut Vec<Duration>, call: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let result = call.await;
    times.push(start.elapsed());
    result
}

fn alive(network: &Network) -> [&Grape; 2] {
    [&network.grapes[0], &network.grapes[1]]
}

/// npm's Grapes are the control, with fewer names: each costs them two seconds and more.
#[rstest]
#[case::npm("nnn", 3)]
#[case::ours("ooo", 100)]
#[case::npms_dies_among_ours("oon", 100)]
#[case::ours_dies_among_npms("nno", 3)]
#[tokio::test]
async fn new_names_are_found_after_a_death(#[case] nodes: &str, #[case] names: usize) {
    // Each bootstraps to both others, as the original's own instructions have it.
    let mut network = Network::of(Shape::Mesh, nodes).await.unwrap();
    let before: Vec<_> = (0..3).map(|own| format!("before:{own}")).collect();
    for (own, grape) in network.grapes.iter().enumerate() {
        grape.announce(&before[own], 7600 + own as u16).await.unwrap();
    }
    let mut dead = network.grapes.pop().unwrap();
    dead.process().kill().await.unwrap();

    let (mut of_nobody, mut announced, mut found) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..names {
        let [here, there] = alive(&network);
        let nobody = format!("nobody:{round}");
        let peers = timed(&mut of_nobody, here.lookup(&nobody)).await.unwrap();
        assert_eq!(peers, BTreeSet::new(), "{here} looked up a name of nobody");

        let name = format!("after:{round}");
        let nodes = timed(&mut announced, here.announce(&name, 7610)).await.unwrap();
        assert_eq!(nodes, 1, "nodes that hold {name}");
        for asked in [there, here] {
            let peers = timed(&mut found, asked.lookup(&name)).await.unwrap();
            assert_eq!(peers, BTreeSet::from(["127.0.0.1:7610".to_owned()]), "{asked}");
        }
    }
    // What the living announced before is still there.
    for (own, name) in before.iter().enumerate().take(2) {
        for asked in alive(&network) {
            let peer = format!("127.0.0.1:{}", 7600 + own);
            assert!(asked.lookup(name).await.unwrap().contains(&peer), "{asked} lost {name}");
        }
    }
    for (what, mut times) in [
        ("lookups of nobody's names", of_nobody),
        ("announces of new names", announced),
        ("lookups of new names", found),
    ] {
        times.sort();
        let [half, most, all] = [50, 99, 100].map(|share| percentile(&times, share));
        let count = times.len();
        eprintln!(
            "{nodes}, one dead: {count} {what}: p50 {half:.1?}, p99 {most:.1?}, max {all:.1?}"
        );
    }
}

/// Others may die while they are asked, and come back.
#[rstest]
#[tokio::test]
async fn a_grape_that_comes_back_is_found(#[values("nnn", "ooo", "non", "ono")] nodes: &str) {
    let mut network = Network::of(Shape::Star, nodes).await.unwrap();
    let mut dead = network.grapes.pop().unwrap();
    let kind = dead.kind();
    dead.process().kill().await.unwrap();
    drop(dead);
    network.grapes[0].announce("meanwhile", 7620).await.unwrap();
    let newest = network.join_unsettled(kind).await.unwrap();
    let peers = newest.lookup("meanwhile").await.unwrap();
    assert_eq!(peers, BTreeSet::from(["127.0.0.1:7620".to_owned()]), "{newest}");
    newest.announce("again", 7621).await.unwrap();
    for grape in &network.grapes {
        let peers = grape.lookup("again").await.unwrap();
        assert_eq!(peers, BTreeSet::from(["127.0.0.1:7621".to_owned()]), "{grape}");
    }
}
