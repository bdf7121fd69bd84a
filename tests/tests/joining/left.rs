//! Grapes that end, and what starts at their addresses later.

use std::time::Duration;

use anyhow::ensure;
use grape_tests::grape::{Grape, Kind, Options, Seat};
use grape_tests::wait;
use rstest::rstest;
use tokio::time::sleep;

/// Two Grapes, of which the first does not know the second's address by a flag.
async fn pair() -> [Grape; 2] {
    let first = Grape::start(Kind::Ours, Seat::take().unwrap(), &Options::default()).await.unwrap();
    let options = Options { bootstrap: vec![first.dht_port()], ..Options::default() };
    let mut second = Grape::start(Kind::Ours, Seat::take().unwrap(), &options).await.unwrap();
    knows(&mut second, 1).await;
    [first, second]
}

async fn knows(grape: &mut Grape, count: u64) {
    let what = format!("{grape} knows {count} others");
    let known = wait::until(&what, async || {
        let nodes = grape.nodes().await?;
        ensure!(nodes == count, "it knows {nodes}");
        anyhow::Ok(())
    });
    known.await.unwrap();
}

/// Longer than it took before the other Grape had found the one that is started again.
const WATCHED: Duration = Duration::from_secs(10);

/// One that ends cleanly and is started again at its port, to be alone, is alone.
#[tokio::test]
async fn a_grape_that_took_leave_is_not_asked_again() {
    let [mut first, mut second] = pair().await;
    second.process().signal("TERM").await.unwrap();
    assert!(second.process().ended().await.unwrap().success());
    knows(&mut first, 0).await;
    let seat = second.kill().await.unwrap();
    let mut again = Grape::start(Kind::Ours, seat, &Options::default()).await.unwrap();
    sleep(WATCHED).await;
    assert_eq!(again.nodes().await.unwrap(), 0, "{}", again.process().shown());
    assert_eq!(first.nodes().await.unwrap(), 0);
}

/// A Grape that was killed is probed for its return; a Grape that left and joins again is a node
/// like any other.
#[rstest]
#[case::killed("KILL", false)]
#[case::joins_anew("TERM", true)]
#[tokio::test]
async fn others_are_found_again(#[case] signal: &str, #[case] joins: bool) {
    let [mut first, mut second] = pair().await;
    second.process().signal(signal).await.unwrap();
    second.process().ended().await.unwrap();
    knows(&mut first, 0).await;
    let bootstrap = joins.then(|| first.dht_port()).into_iter().collect();
    let options = Options { bootstrap, ..Options::default() };
    let seat = second.kill().await.unwrap();
    let mut again = Grape::start(Kind::Ours, seat, &options).await.unwrap();
    knows(&mut first, 1).await;
    knows(&mut again, 1).await;
    let told = format!("joined by 127.0.0.1:{}", first.dht_port());
    let logged = wait::until("who has joined is logged", async || {
        let found = again.process().errors().iter().any(|line| line.ends_with(&told));
        ensure!(found != joins, "{}", again.process().shown());
        anyhow::Ok(())
    });
    logged.await.unwrap();
}
