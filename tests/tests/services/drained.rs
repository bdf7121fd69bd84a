//! `grape drain`: what stops a service's container withdraws it first.

use std::time::Duration;

use grape_tests::grape::Kind;
use grape_tests::our_grape;
use grape_tests::ports::Port;
use tokio::process::Command;

use crate::{found, network, service};

#[tokio::test]
async fn a_drained_grape_announces_no_more_and_answers_on() {
    let grapes = network(&["--check-announced"], &[Kind::Ours], None).await;
    let [beside, other] = &grapes[..] else { panic!("{grapes:?}") };
    let ports = [Port::take().unwrap(), Port::take().unwrap()].map(|port| (port.number(), port));
    let _leaves = service("rpc:leaves", ports[0].0, beside).await;
    let _stays = service("rpc:stays", ports[1].0, other).await;
    found("a service is found", other, "rpc:leaves", &[ports[0].0]).await;

    let output = Command::new(our_grape::binary().unwrap())
        .arg("drain")
        .env("GRAPE_URL", beside.url())
        .output()
        .await
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && told.starts_with("withdrew 1 service;"), "{told}");
    assert!(other.lookup("rpc:leaves").await.unwrap().is_empty());
    // The service goes on announcing itself, each second.
    tokio::time::sleep(Duration::from_secs(3)).await;
    for grape in [beside, other] {
        assert!(grape.lookup("rpc:leaves").await.unwrap().is_empty(), "{grape}");
        found("the others' services are found", grape, "rpc:stays", &[ports[1].0]).await;
    }
}
