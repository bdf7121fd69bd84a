//! Networks that are to stay apart, and parts of one that are to find each other.

use std::time::Duration;

use anyhow::ensure;
use grape_tests::grape::{Grape, Kind, Options, Seat};
use grape_tests::{figure, our_grape, wait};
use tokio::time::{Instant, sleep};

async fn start(seat: Seat, network: &str, bootstrap: &[u16]) -> Grape {
    let flags = vec![format!("--network={network}")];
    let bootstrap = bootstrap.to_vec();
    let options = Options { bootstrap, flags, ..Options::default() };
    Grape::start(Kind::Ours, seat, &options).await.unwrap()
}

async fn knows(grape: &Grape, nodes: u64) {
    let known = wait::until("it knows the others", async || {
        let known = our_grape::nodes(grape.api()).await?;
        ensure!(known == nodes, "it knows {known}");
        anyhow::Ok(())
    });
    known.await.unwrap();
}

async fn other_networks(grape: &Grape) -> Vec<String> {
    let status = our_grape::status(grape.api()).await.unwrap();
    let others = status["otherNetworks"].as_array().cloned().unwrap_or_default();
    others.iter().filter_map(|at| at.as_str().map(str::to_owned)).collect()
}

/// A Grape ends, and one of another network comes to its address, as pods' addresses pass on.
#[tokio::test]
async fn an_address_that_passes_to_another_network_does_not_join_the_networks() {
    let first = start(Seat::take().unwrap(), "prod.market", &[]).await;
    let seat = Seat::take().unwrap();
    let dht = seat.dht.number();
    let second = start(seat, "prod.market", &[first.dht_port()]).await;
    knows(&first, 1).await;
    second.announce("mine", 7001).await.unwrap();
    assert_eq!(first.lookup("mine").await.unwrap().len(), 1);

    let other = start(Seat::take().unwrap(), "test.market", &[]).await;
    let seat = second.kill().await.unwrap();
    let heir = start(seat, "test.market", &[other.dht_port()]).await;
    knows(&heir, 1).await;
    heir.announce("theirs", 7002).await.unwrap();
    let began = Instant::now();
    let gone = wait::until_within(Duration::from_secs(15), "the dead one is gone", async || {
        ensure!(first.lookup("mine").await?.is_empty(), "it is there");
        anyhow::Ok(())
    });
    gone.await.unwrap();
    figure::took("a Grape whose address went to another network: gone after", began.elapsed());
    // Longer than two networks took to become one.
    while began.elapsed() < Duration::from_secs(30) {
        assert!(first.lookup("theirs").await.unwrap().is_empty());
        assert!(heir.lookup("mine").await.unwrap().is_empty());
        assert_eq!(our_grape::nodes(first.api()).await.unwrap(), 0);
        assert_eq!(our_grape::nodes(heir.api()).await.unwrap(), 1);
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(other_networks(&first).await, [format!("127.0.0.1:{dht}")]);
    assert_eq!(other_networks(&heir).await, [format!("127.0.0.1:{}", first.dht_port())]);
}

/// 22 Grapes that know each other, and one that starts later at a bootstrap address of theirs. It
/// has no bootstrap address itself.
#[tokio::test]
async fn a_grape_that_knows_twenty_asks_its_bootstrap_addresses_again() {
    let late = Seat::take().unwrap();
    let mut grapes: Vec<Grape> = Vec::new();
    for _ in 0..22 {
        let first = grapes.first().map(Grape::dht_port);
        let seeds: Vec<_> = first.into_iter().chain([late.dht.number()]).collect();
        grapes.push(start(Seat::take().unwrap(), "prod.market", &seeds).await);
    }
    for grape in &grapes {
        knows(grape, 21).await;
    }
    let began = Instant::now();
    let late = start(late, "prod.market", &[]).await;
    late.announce("late", 7001).await.unwrap();
    let found = wait::until_within(Duration::from_secs(60), "all have found it", async || {
        for grape in &grapes {
            ensure!(!grape.lookup("late").await?.is_empty(), "{grape} has not");
        }
        anyhow::Ok(())
    });
    found.await.unwrap();
    figure::took("one at a bootstrap address, found by 22 that know each other", began.elapsed());
    knows(&late, 22).await;
}
