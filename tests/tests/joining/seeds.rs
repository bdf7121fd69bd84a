//! Bootstrap addresses of which most are dead.

use std::time::Duration;

use grape_tests::figure;
use grape_tests::grape::{Grape, Kind, Options, Seat};
use rstest::rstest;

use super::Joiner;

/// No Grape listens at these addresses; they sort before those of Grapes.
fn dead(count: u16) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("127.0.0.1:{}", 1 + n))
}

#[rstest]
#[case::sixty(60, "24")]
#[case::sixty_one_at_a_time(60, "1")]
#[case::two_one_at_a_time(2, "1")]
#[case::five_hundred(500, "24")]
#[tokio::test]
async fn dead_bootstrap_addresses_hold_up_no_living_one(#[case] count: u16, #[case] dc: &str) {
    let options = Options::default();
    let first = Grape::start(Kind::Ours, Seat::take().unwrap(), &options).await.unwrap();
    let seat = Seat::take().unwrap();
    let own = format!("127.0.0.1:{}", seat.dht.number());
    let living = format!("127.0.0.1:{}", first.dht_port());
    let through: Vec<String> = dead(count).chain([own, living]).collect();
    let joiner = Joiner::start(seat, &through.join(","), &["--dc", dc]);
    let took = joiner.joined(Duration::from_secs(6)).await;
    figure::took(&format!("3: {count} dead bootstrap addresses, --dc {dc}: joined after"), took);
}

/// Its own address is no other Grape: one that has no other is the first.
#[tokio::test]
async fn a_grape_that_bootstraps_to_itself_alone_is_ready_at_once() {
    let seat = Seat::take().unwrap();
    let own = seat.dht.number();
    let through = format!("127.0.0.1:{own},127.0.0.2:{own},[::1]:{own},localhost:{own}");
    let joiner = Joiner::start(seat, &through, &[]);
    let ready =
        grape_tests::wait::until_within(Duration::from_secs(6), "it is ready", async || {
            anyhow::ensure!(joiner.is_ready().await?, "it is not");
            anyhow::Ok(())
        });
    ready.await.unwrap_or_else(|error| panic!("{error:#}\n{}", joiner.process.shown()));
}
