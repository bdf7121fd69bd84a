//! Of five Grapes one is killed: the others show no more what it announced, though they had looked
//! it up just before.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use grape_tests::figure;
use grape_tests::grape::Grape;
use grape_tests::network::{Network, Shape};
use tokio::time::{Instant, sleep};

const NAME: &str = "rpc_test";
const SERVICE: &str = "127.0.0.1:7700";
/// A service in use is looked up this often.
const LOOKS: Duration = Duration::from_millis(100);
/// Machines that run tests are slow at times; it takes a few seconds.
const GONE_WITHIN: Duration = Duration::from_secs(30);

/// Whether each of these shows the service.
async fn shown(grapes: &[Grape]) -> Vec<bool> {
    let mut shown = Vec::new();
    for grape in grapes {
        shown.push(grape.lookup(NAME).await.unwrap().contains(SERVICE));
    }
    shown
}

/// Looks the name up at all of them until none shows the service. How long until then, from `since`.
async fn gone(grapes: &[Grape], since: Instant) -> Duration {
    let mut last_shown = Duration::ZERO;
    loop {
        if shown(grapes).await.contains(&true) {
            last_shown = since.elapsed();
        }
        // Once gone, it stays away.
        if since.elapsed() > last_shown + Duration::from_secs(2) {
            return last_shown;
        }
        assert!(last_shown < GONE_WITHIN, "still shown after {last_shown:?}");
        sleep(LOOKS).await;
    }
}

/// Five Grapes that all have looked up what the last of them announced, for a while.
async fn five() -> Network {
    let network = Network::of(Shape::Star, "ooooo").await.unwrap();
    assert_eq!(network.grapes[4].announce(NAME, 7700).await.unwrap(), 4);
    for _ in 0..30 {
        assert_eq!(shown(&network.grapes).await, [true; 5]);
        sleep(LOOKS).await;
    }
    network
}

#[tokio::test]
async fn the_announces_of_a_killed_grape_disappear_everywhere() {
    let mut network = five().await;
    let mut dead = network.grapes.pop().unwrap();
    let since = Instant::now();
    dead.process().kill().await.unwrap();
    let took = gone(&network.grapes, since).await;
    figure::took("one of 5 Grapes killed: its service gone from all lookups", took);
}

#[tokio::test]
async fn a_withdrawn_service_is_gone_everywhere() {
    let network = five().await;
    let since = Instant::now();
    let data = serde_json::json!([NAME, 7700]);
    assert_eq!(network.grapes[4].call("withdraw", data).await.unwrap().json().unwrap(), 4);
    let took = gone(&network.grapes, since).await;
    figure::took("withdrawn at one of 5 Grapes: gone from all lookups", took);
}
