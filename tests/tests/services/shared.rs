//! One service that is announced through several Grapes of its host: it is found until the last of
//! them takes it back, dies, or lets it age.

use std::time::Duration;

use grape_tests::grape::{Grape, Kind};
use grape_tests::{figure, wait};
use rstest::rstest;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{found, network};

const NAME: &str = "rpc:shared";
/// Nothing listens there over TCP, as with a UDP service.
const PORT: u16 = 7731;
/// Longer than it takes to notice a death, and to refresh a lookup.
const WATCHED: Duration = Duration::from_secs(8);
/// Others notice a death within this, and more.
const GONE_WITHIN: Duration = Duration::from_secs(30);

/// How a Grape stops announcing.
#[derive(Debug, Clone, Copy)]
enum Ends {
    Killed,
    Terminated,
    Drained,
    Withdrawn,
}

async fn end(grape: &mut Grape, how: Ends) {
    match how {
        Ends::Killed => grape.process().kill().await.unwrap(),
        Ends::Terminated => {
            grape.process().signal("TERM").await.unwrap();
            assert!(grape.process().ended().await.unwrap().success());
        }
        Ends::Drained => assert_eq!(grape.call("drain", json!(null)).await.unwrap().status, 200),
        Ends::Withdrawn => {
            assert_eq!(grape.call("withdraw", json!([NAME, PORT])).await.unwrap().status, 200);
        }
    }
}

fn lives_on(how: Ends) -> bool {
    matches!(how, Ends::Drained | Ends::Withdrawn)
}

/// Looks the name up at all of these for a while: each must show the service each time.
async fn stays(grapes: &[&Grape], after: &str) {
    let start = Instant::now();
    while start.elapsed() < WATCHED {
        for grape in grapes {
            let shown = grape.lookup(NAME).await.unwrap();
            let expected = format!("127.0.0.1:{PORT}");
            let all: Vec<_> = shown.iter().collect();
            assert_eq!(all, [&expected], "{after}, at {grape}, after {:?}", start.elapsed());
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Two of four Grapes announce it, in this order, and one ends; then the other.
#[rstest]
#[case::killed(Ends::Killed, [0, 1])]
#[case::terminated(Ends::Terminated, [0, 1])]
#[case::drained(Ends::Drained, [0, 1])]
#[case::withdrawn(Ends::Withdrawn, [0, 1])]
#[case::withdrawn_where_it_was_announced_last(Ends::Withdrawn, [1, 0])]
#[case::killed_where_it_was_announced_last(Ends::Killed, [1, 0])]
#[tokio::test]
async fn a_service_of_two_grapes_stays_until_the_second_ends(
    #[case] how: Ends,
    #[case] order: [usize; 2],
) {
    let mut grapes = network(&[], &[Kind::Ours; 3], None).await;
    for at in order {
        grapes[at].announce(NAME, PORT).await.unwrap();
    }
    let all: Vec<_> = grapes.iter().collect();
    for grape in &all {
        found("a service of two Grapes", grape, NAME, &[PORT]).await;
    }
    end(&mut grapes[0], how).await;
    let others: Vec<_> = grapes[usize::from(!lives_on(how))..].iter().collect();
    stays(&others, &format!("{how:?} at one")).await;
    let page = grape_tests::our_grape::status(grapes[1].api()).await.unwrap();
    assert_eq!(page["announced"][0]["name"], json!(NAME), "{page:#}");

    let start = Instant::now();
    end(&mut grapes[1], how).await;
    for grape in [&grapes[2], &grapes[3]] {
        let gone = wait::until_within(GONE_WITHIN, "it is gone", async || {
            let shown = grape.lookup(NAME).await?;
            anyhow::ensure!(shown.is_empty(), "{shown:?}");
            anyhow::Ok(())
        });
        gone.await.unwrap();
    }
    figure::took(&format!("8: {how:?} at both Grapes of a service: gone after"), start.elapsed());
}

/// A watch gets no event without a change.
#[rstest]
#[case::killed(Ends::Killed)]
#[case::withdrawn(Ends::Withdrawn)]
#[tokio::test]
async fn a_watch_does_not_flicker_when_one_of_two_ends(#[case] how: Ends) {
    let mut grapes = network(&[], &[Kind::Ours; 2], None).await;
    grapes[0].announce(NAME, PORT).await.unwrap();
    found("a service", &grapes[2], NAME, &[PORT]).await;
    let mut watch = tokio::process::Command::new(grape_tests::our_grape::binary().unwrap());
    watch.args(["watch", NAME]).env("GRAPE_URL", grapes[2].url());
    let mut watch = grape_tests::process::Process::start("grape watch", &mut watch).unwrap();
    watch.next("the peers", |line| line.contains("7731").then_some(())).await.unwrap();
    // What the third knows of who announced it is from before.
    grapes[1].announce(NAME, PORT).await.unwrap();
    end(&mut grapes[0], how).await;
    sleep(WATCHED).await;
    assert!(!watch.shown().contains("- 127"), "{}", watch.shown());
    stays(&[&grapes[2]], "watched").await;
}

/// Each announce ages by itself.
#[tokio::test]
async fn a_service_that_ages_at_one_grape_stays_at_the_other() {
    let age = Duration::from_secs(3);
    let grapes = network(&[], &[Kind::Ours; 2], Some(age)).await;
    grapes[0].announce(NAME, PORT).await.unwrap();
    let start = Instant::now();
    while start.elapsed() < 3 * age {
        grapes[1].announce(NAME, PORT).await.unwrap();
        for grape in &grapes {
            assert!(!grape.lookup(NAME).await.unwrap().is_empty(), "{grape}");
        }
        sleep(Duration::from_millis(200)).await;
    }
    for grape in &grapes {
        found("a service that ages", grape, NAME, &[]).await;
    }
}

/// An original among those that hold it knows one peer, and no announcers.
#[tokio::test]
async fn among_npms_grapes_a_service_of_two_stays_too() {
    let grapes = network(&[], &[Kind::Ours, Kind::Npm, Kind::Ours], None).await;
    for grape in &grapes[..2] {
        grape.announce(NAME, PORT).await.unwrap();
    }
    for grape in &grapes {
        found("a service of two Grapes", grape, NAME, &[PORT]).await;
    }
    grapes[0].call("withdraw", json!([NAME, PORT])).await.unwrap();
    stays(&grapes.iter().collect::<Vec<_>>(), "withdrawn at one").await;
}
