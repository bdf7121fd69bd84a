//! How a Grape leaves.

use std::time::Duration;

use grape::config::Config;
use grape::lifecycle::Grape;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::{sleep, timeout};

use crate::grapes::{SOON, alone, config, node, pair, start};
use crate::raw::{Raw, request};

#[tokio::test]
async fn a_drain_withdraws_all_services() {
    let (here, there) = pair().await;
    let mut client = Raw::connect(here.api_addr()).await;
    for port in [7001, 7002] {
        client.post("/announce", &format!("{{\"data\":[\"rpc_test\",{port}]}}")).await;
    }
    let lookup = r#"{"data":"rpc_test"}"#;
    let mut other = Raw::connect(there.api_addr()).await;
    assert_ne!(other.post("/lookup", lookup).await.body, "[]");
    let drained = here.drain().await;
    assert_eq!((drained.withdrawn, drained.cut_off), (Some(2), 0));
    assert_eq!(other.post("/lookup", lookup).await.body, "[]");
}

#[tokio::test]
async fn requests_in_flight_are_finished() {
    // A body that is still to come keeps the request in flight.
    let grape = alone().await;
    let mut slow = Raw::connect(grape.api_addr()).await;
    let whole = request("POST", "/lookup", r#"{"data":"x"}"#);
    let (first, second) = whole.split_at(whole.len() - 3);
    slow.send(first).await;
    let mut idle = Raw::connect(grape.api_addr()).await;
    assert_eq!(idle.get("/healthz").await.status, 200);
    let address = grape.api_addr();
    let drain = tokio::spawn(grape.drain());

    assert_eq!(idle.rest().await, "", "an idle connection is closed at once");
    let refused = timeout(SOON, async { while TcpStream::connect(address).await.is_ok() {} });
    refused.await.expect("no more connections are accepted");
    assert!(!drain.is_finished());
    slow.send(second).await;
    let response = slow.response().await;
    assert_eq!((&*response.body, response.closes()), ("[]", true));
    assert_eq!(slow.rest().await, "");
    assert_eq!(drain.await.unwrap().cut_off, 0);
}

#[tokio::test]
async fn requests_that_do_not_end_are_cut_off() {
    let drain_timeout = Duration::from_millis(100);
    let grape = start(Config { drain_timeout, ..config() }).await;
    let mut stuck = Raw::connect(grape.api_addr()).await;
    stuck.send("POST /lookup HTTP/1.1\r\nHost: grape\r\nContent-Length: 9\r\n\r\n{").await;
    while !Raw::connect(grape.api_addr())
        .await
        .get("/metrics")
        .await
        .body
        .contains("\ngrape_api_requests_in_flight 1\n")
    {
        sleep(Duration::from_millis(1)).await;
    }
    let drained = grape.drain().await;
    assert_eq!(drained.cut_off, 1);
    assert!(drained.took >= drain_timeout && drained.took < SOON, "{drained:?}");
    assert_eq!(stuck.rest().await, "");
}

#[tokio::test]
async fn a_watch_ends() {
    let grape = alone().await;
    let mut watcher = Raw::connect(grape.api_addr()).await;
    watcher.send("GET /watch?name=x HTTP/1.1\r\nHost: grape\r\n\r\n").await;
    watcher.until("data: []\n\n").await;
    let drained = grape.drain().await;
    assert_eq!(drained.cut_off, 0);
    assert!(watcher.rest().await.ends_with("0\r\n\r\n"), "the stream is ended, not broken off");
}

#[tokio::test]
async fn a_draining_grape_is_not_ready() {
    // A neighbour that no longer answers keeps the withdrawal going for a while.
    let there = alone().await;
    let gone = there.dht_addr();
    let drain_timeout = Duration::from_secs(1);
    let bootstrap = vec![node(gone)];
    let here = start(Config { bootstrap, drain_timeout, ..config() }).await;
    let mut client = Raw::connect(here.api_addr()).await;
    client.post("/announce", r#"{"data":["rpc_test",7001]}"#).await;
    drop(there);
    sleep(Duration::from_millis(10)).await;
    let _silent = UdpSocket::bind(gone).await.unwrap();
    let drain = tokio::spawn(here.drain());
    sleep(Duration::from_millis(10)).await;
    let page = client.get("/readyz").await;
    assert_eq!((page.status, &*page.body), (503, "draining\n"));
    let status = client.get("/status").await.body;
    assert!(status.contains("\"draining\": true") && status.contains("\"ready\": false"));
    drain.await.unwrap();
}

#[tokio::test]
async fn a_dropped_grape_frees_its_ports() {
    let admin_bind = Some("127.0.0.1:0".parse().unwrap());
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let bootstrap = vec![node(silent.local_addr().unwrap())];
    let grape = Grape::start(Config { admin_bind, bootstrap, ..config() }).await.unwrap();
    let (api, admin, dht) = (grape.api_addr(), grape.admin_addr().unwrap(), grape.dht_addr());
    let mut client = Raw::connect(api).await;
    assert_eq!(client.get("/healthz").await.status, 200);
    let mut watcher = Raw::connect(api).await;
    watcher.send("GET /watch?name=x HTTP/1.1\r\nHost: grape\r\n\r\n").await;
    watcher.head().await;
    drop(grape);
    sleep(Duration::from_millis(10)).await;
    assert_eq!(client.rest().await, "");
    TcpListener::bind(admin).await.unwrap();
    UdpSocket::bind(dht).await.unwrap();
    let again = Config { api_port: api.port(), dht_port: dht.port(), ..config() };
    assert_eq!(start(again).await.api_addr(), api);
}
