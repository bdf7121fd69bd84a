//! Introductions, which the operator sends to the admin address.

use grape::config::Config;
use grape::lifecycle::Grape;
use tokio::net::UdpSocket;
use tokio::time::{sleep, timeout};

use crate::grapes::{SOON, alone, config, node, start};
use crate::raw::{Raw, Response, request};

/// A Grape whose one seed never answers, with an admin address.
async fn joining(network: Option<&str>) -> (Grape, UdpSocket) {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let grape = Grape::start(Config {
        bootstrap: vec![node(silent.local_addr().unwrap())],
        admin_bind: Some("127.0.0.1:0".parse().unwrap()),
        network: network.map(|name| name.parse().unwrap()),
        ..config()
    });
    (grape.await.unwrap(), silent)
}

async fn introduce(grape: &Grape, body: &str) -> Response {
    let mut client = Raw::connect(grape.admin_addr().unwrap()).await;
    client.send(request("POST", "/introduce", body)).await;
    client.response().await
}

async fn metrics(grape: &Grape) -> String {
    Raw::connect(grape.api_addr()).await.get("/metrics").await.body
}

#[tokio::test]
async fn a_grape_joins_the_grapes_that_it_is_introduced_to() {
    let other = alone().await;
    let (grape, _silent) = joining(None).await;
    let body = format!("{{\"addresses\": [\"{}\"]}}", other.dht_addr());
    let reply = introduce(&grape, &body).await;
    assert_eq!((reply.status, &*reply.body), (200, r#"{"asked":1}"#));
    timeout(SOON, grape.ready()).await.expect("it has joined");
    assert_eq!(grape.status().neighbours[0].address, other.dht_addr());
    while other.status().nodes == 0 {
        sleep(std::time::Duration::from_millis(5)).await;
    }
    // Once a second; what was refused does not count.
    sleep(std::time::Duration::from_millis(1100)).await;
    let reply = introduce(&grape, &body).await;
    assert_eq!((reply.status, &*reply.body), (200, r#"{"asked":0}"#), "it is known");
}

#[tokio::test]
async fn a_grape_with_an_empty_introduction_is_the_first() {
    let (grape, _silent) = joining(None).await;
    let reply = introduce(&grape, r#"{"addresses": []}"#).await;
    assert_eq!((reply.status, &*reply.body), (200, r#"{"asked":0}"#));
    timeout(SOON, grape.ready()).await.expect("it is the first");
}

#[tokio::test]
async fn more_than_is_taken_is_refused_and_counted() {
    let (grape, _silent) = joining(None).await;
    let many = r#""10.0.0.1:1","#.repeat(9);
    for (body, status, why) in [
        ("{}".to_owned(), 400, "missing field `addresses`"),
        (format!("{{\"addresses\": [{}]}}", many.trim_end_matches(',')), 400, "addresses: 9 are"),
        (r#"{"addresses": ["x"]}"#.to_owned(), 400, "addresses[0]: \"x\" is not IP:PORT"),
        (format!("{{\"addresses\": [], \"x\": \"{}\"}}", "x".repeat(5000)), 413, ""),
        (r#"{"addresses": ["0.0.0.0:1"]}"#.to_owned(), 400, "the address 0.0.0.0:1 is impossible"),
        (r#"{"addresses": []}"#.to_owned(), 429, "one introduction a second"),
    ] {
        let reply = introduce(&grape, &body).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.body);
        assert!(reply.body.contains(why), "{body}: {}", reply.body);
    }
    let metrics = metrics(&grape).await;
    for line in [
        r#"grape_introductions_total{result="invalid"} 4"#,
        r#"grape_introductions_total{result="too_soon"} 1"#,
        r#"grape_introductions_total{result="taken"} 0"#,
        r#"grape_api_requests_total{code="4xx",verb="introduce"} 6"#,
    ] {
        assert!(metrics.lines().any(|shown| shown == line), "{line} is missing in\n{metrics}");
    }
}

/// The API is for programs of this host, and takes none.
#[tokio::test]
async fn the_api_takes_no_introduction() {
    let (grape, _silent) = joining(None).await;
    let reply =
        Raw::connect(grape.api_addr()).await.post("/introduce", r#"{"addresses": []}"#).await;
    assert_eq!((reply.status, &*reply.body), (200, r#""ERR_REQ_NOTFOUND""#));
    let (api, admin) = (grape.api_addr(), grape.admin_addr().unwrap());
    for (at, path) in [(admin, "/introduce"), (api, "/introduce?x"), (admin, "/introductions")] {
        let page = Raw::connect(at).await.get(path).await;
        assert!(page.status == 404 || page.body.contains("ERR"), "{path}: {page:?}");
    }
    assert!(!grape.status().ready);
}

#[tokio::test]
async fn a_grape_of_another_network_is_refused_counted_and_shown() {
    let (first, _silent) = joining(Some("prod.market")).await;
    let other = start(Config { network: Some("test.market".parse().unwrap()), ..config() }).await;
    let body = format!("{{\"addresses\": [\"{}\"]}}", other.dht_addr());
    assert_eq!(introduce(&first, &body).await.status, 200);
    while first.status().other_networks != [other.dht_addr()] {
        sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(other.status().other_networks, [first.dht_addr()]);
    assert_eq!((first.status().nodes, other.status().nodes), (0, 0));
    assert!(!first.status().ready);
    let status = first.status();
    assert_eq!(status.network.as_deref(), Some("prod.market"));
    assert!(status.errors.iter().any(|it| it.contains("test.market")), "{:?}", status.errors);
    assert!(metrics(&first).await.contains("other_network_messages_total{kind=\"answer\"} 1\n"));
    assert!(metrics(&other).await.contains("other_network_messages_total{kind=\"query\"} 1\n"));
}
