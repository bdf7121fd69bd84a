//! A service that announces itself seldom, or once, is found as long as it is there.

use std::time::Duration;

use grape_tests::grape::{Grape, Kind};
use grape_tests::ports::Port;
use grape_tests::process::Process;
use grape_tests::{figure, programs};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{found, network};

/// The announces' age: an announce that is not renewed expires after it.
const AGE: Duration = Duration::from_secs(10);

/// How long each service is looked for.
const LOOKED_FOR: Duration = Duration::from_secs(32);

/// A service of Node.js that announces itself through a Grape, and what Link took the answer for.
async fn announcer(name: &str, port: u16, grape: &Grape, more: Value) -> (Process, Value) {
    let mut argument = json!({ "grape": grape.url(), "port": port, "name": name });
    for (field, value) in more.as_object().unwrap() {
        argument[field] = value.clone();
    }
    let mut process = programs::node(name, "announcer.js", &argument).unwrap();
    let announced = programs::event(&mut process, "announced").await.unwrap();
    (process, announced)
}

/// Lookups of a name at a Grape that did not show its one peer, and how many there were.
async fn missed(grape: &Grape, name: &str, port: u16) -> (usize, usize) {
    let (wanted, end) = (format!("127.0.0.1:{port}"), Instant::now() + LOOKED_FOR);
    let (mut missed, mut looked) = (0, 0);
    while Instant::now() < end {
        let found = grape.lookup(name).await.unwrap();
        missed += usize::from(!found.contains(&wanted));
        looked += 1;
        sleep(Duration::from_millis(100)).await;
    }
    (missed, looked)
}

#[tokio::test]
async fn a_service_that_runs_is_never_missing_however_seldom_it_announces_itself() {
    let grapes = network(&[], &[Kind::Ours], Some(AGE)).await;
    let [beside, other] = &grapes[..] else { panic!("{grapes:?}") };
    let ports: Vec<Port> = (0..3).map(|_| Port::take().unwrap()).collect();
    let ports: Vec<u16> = ports.iter().map(Port::number).collect();
    let services = [
        ("rpc:by-links-interval", json!({})),
        ("rpc:once", json!({ "once": true })),
        ("udp:once", json!({ "once": true, "listens": false })),
    ];
    let mut running = Vec::new();
    for ((name, more), port) in services.iter().zip(&ports) {
        running.push(announcer(name, *port, beside, more.clone()).await.0);
    }
    let watched = services.iter().zip(&ports).flat_map(|((name, _), port)| {
        [beside, other].map(|grape| async move { (name, grape, missed(grape, name, *port).await) })
    });
    for (name, grape, (missed, looked)) in futures_util::future::join_all(watched).await {
        figure::tell(&format!(
            "W1: {name}, {} s old, announces believed for {} s: missing from {missed} of {looked} \
             lookups at {grape}",
            LOOKED_FOR.as_secs(),
            AGE.as_secs()
        ));
        assert_eq!(missed, 0, "of {looked} lookups of {name} at {grape}");
    }

    // What is announced without its doing is withdrawn when it dies.
    for (process, (name, _)) in running.iter_mut().zip(&services).take(2) {
        process.kill().await.unwrap();
        found(&format!("W1: {name}, killed, is gone"), other, name, &[]).await;
    }
    found("W2: a port that never answered stays", other, "udp:once", &ports[2..]).await;
}

#[tokio::test]
async fn an_age_that_is_configured_short_is_meant() {
    let age = Duration::from_secs(2);
    let grapes = network(&[], &[Kind::Ours], Some(age)).await;
    let port = Port::take().unwrap();
    let once = json!({ "once": true });
    let _service = announcer("rpc:short", port.number(), &grapes[0], once).await;
    found("a service is found", &grapes[1], "rpc:short", &[port.number()]).await;
    for grape in &grapes {
        found("W1: announced once for 2 s, it is gone", grape, "rpc:short", &[]).await;
    }
}

#[tokio::test]
async fn a_service_whose_ports_are_not_to_be_tried_is_kept_for_a_while() {
    let grapes = network(&["--check-announced=false"], &[Kind::Ours], Some(AGE)).await;
    let port = Port::take().unwrap();
    let once = json!({ "once": true });
    let (mut service, _) = announcer("rpc:untried", port.number(), &grapes[0], once).await;
    service.kill().await.unwrap();
    sleep(AGE * 3 / 2).await;
    found("it is still there", &grapes[1], "rpc:untried", &[port.number()]).await;
}
