//! A service that dies without a word is withdrawn, long before its announce's age is over.

use std::time::Duration;

use grape_tests::grape::{Grape, Kind};
use grape_tests::ports::Port;
use grape_tests::{figure, our_grape, wait};
use serde_json::json;
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::timeout;

use crate::{found, network, service};

const NAME: &str = "rpc:dies";

#[tokio::test]
async fn a_killed_service_is_withdrawn_and_back_when_it_is() {
    let grapes = network(&["--check-announced"], &[Kind::Ours], None).await;
    let [beside, other] = &grapes[..] else { panic!("{grapes:?}") };
    let port = Port::take().unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let never_answers = udp.local_addr().unwrap().port();
    beside.announce("never:answers", never_answers).await.unwrap();
    let mut killed = service(NAME, port.number(), beside).await;
    found("a service is found", other, NAME, &[port.number()]).await;
    tried(&grapes[0]).await;

    killed.kill().await.unwrap();
    found("a service killed by SIGKILL is withdrawn", other, NAME, &[]).await;
    assert!(beside.lookup(NAME).await.unwrap().is_empty());
    assert_eq!(beside.announce(NAME, port.number()).await.unwrap(), 0, "answered, and held back");
    assert!(other.lookup(NAME).await.unwrap().is_empty());

    let _again = service(NAME, port.number(), beside).await;
    found("a service that was started again is found", other, NAME, &[port.number()]).await;
    found("a port that never answered is left alone", other, "never:answers", &[never_answers])
        .await;
    let page = our_grape::status(beside.api()).await.unwrap();
    assert_eq!(page["heldBack"], json!([]), "{page:#}");
}

/// npm's Grapes know no withdrawal, and keep their own ages.
#[tokio::test]
async fn among_npms_grapes_it_is_gone_with_its_age_at_the_latest() {
    let age = Duration::from_secs(8);
    let others = [Kind::Npm, Kind::Ours];
    let grapes = network(&["--check-announced"], &others, Some(age)).await;
    let port = Port::take().unwrap();
    let mut killed = service(NAME, port.number(), &grapes[0]).await;
    for grape in &grapes {
        found("a service is found", grape, NAME, &[port.number()]).await;
    }
    tried(&grapes[0]).await;
    killed.kill().await.unwrap();
    figure::tell(&format!("announces are believed for {} s here", age.as_secs()));
    for grape in &grapes {
        found("a service killed by SIGKILL is gone", grape, NAME, &[]).await;
    }
}

/// Waits until the Grape has tried the ports of services at least once: one that dies before it was
/// seen alive is left alone.
async fn tried(grape: &Grape) {
    let proof = TcpListener::bind("127.0.0.1:0").await.unwrap();
    grape.announce("proof", proof.local_addr().unwrap().port()).await.unwrap();
    for _ in 0..2 {
        timeout(wait::DEADLINE, proof.accept()).await.unwrap().unwrap();
    }
    let port = proof.local_addr().unwrap().port();
    grape.call("withdraw", json!(["proof", port])).await.unwrap();
}
