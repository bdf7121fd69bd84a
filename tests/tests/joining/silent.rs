//! Bootstrap addresses that do not answer are reported.

use std::time::Duration;

use anyhow::ensure;
use grape_tests::grape::{Grape, Kind, Options, Seat};
use grape_tests::wait;
use rstest::rstest;

use super::Joiner;

/// What the address of another Grape is used for.
#[derive(Debug, Clone, Copy)]
enum Through {
    Nobody,
    ItsApi,
    /// Its DHT, and an address without a Grape.
    ItsDhtAndNobody,
}

#[rstest]
#[case::nobody(Through::Nobody, true)]
#[case::its_api(Through::ItsApi, true)]
#[case::its_dht_and_nobody(Through::ItsDhtAndNobody, false)]
#[tokio::test]
async fn a_bootstrap_address_without_a_grape_is_reported(
    #[case] through: Through,
    #[case] alone: bool,
) {
    let options = Options::default();
    let other = Grape::start(Kind::Ours, Seat::take().unwrap(), &options).await.unwrap();
    let free = Seat::take().unwrap();
    let nobody = format!("127.0.0.1:{}", free.dht.number());
    let (bootstrap, silent) = match through {
        Through::Nobody => (nobody.clone(), nobody),
        Through::ItsApi => (other.api().to_string(), other.api().to_string()),
        Through::ItsDhtAndNobody => (format!("127.0.0.1:{},{nobody}", other.dht_port()), nobody),
    };
    let joiner = Joiner::start(Seat::take().unwrap(), &bootstrap, &[]);
    let warned = wait::until("it warns", async || {
        let lines = joiner.process.errors();
        let named = format!("asked={silent}");
        let warning = lines.iter().find(|line| line.contains("WARN") && line.ends_with(&named));
        let warning = warning.ok_or_else(|| anyhow::anyhow!("{}", joiner.process.shown()))?;
        ensure!(warning.contains("is that the UDP port of its DHT?"), "{warning}");
        ensure!(warning.contains("has not joined any other") == alone, "{warning}");
        anyhow::Ok(())
    });
    warned.await.unwrap();
}

/// One that answers is not, nor the Grape's own.
#[tokio::test]
async fn an_address_that_answers_is_not_reported() {
    let options = Options::default();
    let other = Grape::start(Kind::Ours, Seat::take().unwrap(), &options).await.unwrap();
    let seat = Seat::take().unwrap();
    let bootstrap = format!("127.0.0.1:{},127.0.0.1:{}", other.dht_port(), seat.dht.number());
    let joiner = Joiner::start(seat, &bootstrap, &[]);
    joiner.joined(wait::DEADLINE).await;
    // Twice as long as it takes until a silent address is reported.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let lines = joiner.process.errors();
    assert!(!lines.iter().any(|line| line.contains("WARN")), "{lines:#?}");
}
