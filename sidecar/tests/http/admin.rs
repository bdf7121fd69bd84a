//! The pages for operators.

use std::collections::BTreeSet;

use ed25519_dalek::{Signer, SigningKey};
use grape::config::Config;
use grape::http::StatusPage;
use grape::lifecycle::Grape;
use grape_engine::{Item, Signed, signable};
use rstest::rstest;
use tokio::net::UdpSocket;

use crate::grapes::{alone, config, node, pair, start};
use crate::raw::{Raw, request};

#[tokio::test]
async fn the_four_pages_are_served_beside_the_api_and_alone() {
    let admin_bind = Some("127.0.0.1:0".parse().unwrap());
    let grape = start(Config { admin_bind, ..config() }).await;
    for address in [grape.api_addr(), grape.admin_addr().unwrap()] {
        let mut client = Raw::connect(address).await;
        let page = client.get("/healthz").await;
        assert_eq!((page.status, &*page.body), (200, "ok\n"));
        let page = client.get("/readyz?verbose").await;
        assert_eq!((page.status, &*page.body), (200, "ready\n"));
        let page: StatusPage = serde_json::from_str(&client.get("/status").await.body).unwrap();
        assert_eq!(page.api_address, grape.api_addr());
        assert_eq!(page.admin_address, grape.admin_addr());
        assert_eq!(page.dht_address, grape.dht_addr());
        assert_eq!(page.node.id, grape.status().id);
        let page = client.get("/metrics").await;
        assert!(page.head.contains("text/plain; version=0.0.4"), "{}", page.head);
        assert!(page.body.contains("\ngrape_ready 1\n"), "{}", page.body);
    }
}

#[tokio::test]
async fn nothing_else_is_served_alone() {
    let admin_bind = Some("127.0.0.1:0".parse().unwrap());
    let grape = start(Config { admin_bind, ..config() }).await;
    let address = grape.admin_addr().unwrap();
    for (method, path) in
        [("POST", "/lookup"), ("GET", "/watch?name=x"), ("POST", "/status"), ("GET", "/")]
    {
        let mut client = Raw::connect(address).await;
        client.send(request(method, path, r#"{"data":"x"}"#)).await;
        assert_eq!(client.response().await.status, 404, "{method} {path}");
    }
}

#[rstest]
#[tokio::test]
async fn a_page_is_no_verb(#[values("/status", "/metrics", "/healthz", "/readyz")] path: &str) {
    let grape = alone().await;
    let response = Raw::connect(grape.api_addr()).await.post(path, "{}").await;
    assert_eq!((response.status, &*response.body), (200, r#""ERR_REQ_NOTFOUND""#));
}

#[tokio::test]
async fn a_grape_is_not_ready_before_it_joined() {
    // Something that never answers stands in for the others.
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let bootstrap = vec![node(silent.local_addr().unwrap())];
    let grape = Grape::start(Config { bootstrap, ..config() }).await.unwrap();
    let mut client = Raw::connect(grape.api_addr()).await;
    let page = client.get("/readyz").await;
    assert_eq!(page.status, 503);
    assert!(page.body.starts_with("joining"), "{}", page.body);
    assert!(client.get("/metrics").await.body.contains("\ngrape_ready 0\n"));
}

#[tokio::test]
async fn the_status_shows_names_and_neighbours() {
    let (here, there) = pair().await;
    Raw::connect(here.api_addr()).await.post("/announce", r#"{"data":["rpc_test",7001]}"#).await;
    Raw::connect(there.api_addr()).await.post("/lookup", r#"{"data":"rpc_test"}"#).await;
    let status = here.status();
    assert_eq!((status.nodes, status.neighbours[0].address), (1, there.dht_addr()));
    assert_eq!(status.announced[0].name, "rpc_test");
    assert_eq!(status.announced[0].stored_at, 1);
    assert_eq!(there.status().peers["rpc_test"], ["127.0.0.1:7001".parse().unwrap()]);
}

#[rstest]
#[tokio::test]
async fn a_brief_status_leaves_out_what_services_and_strangers_fill(
    #[values("/status?brief", "/status?brief=1", "/status?x&brief")] path: &str,
) {
    let (here, there) = pair().await;
    let mut client = Raw::connect(here.api_addr()).await;
    client.post("/announce", r#"{"data":["rpc_test",7001]}"#).await;
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    stranger.send_to(b"no message", here.dht_addr()).await.unwrap();
    while here.status().errors.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    let whole = client.get("/status").await.body;
    let brief = client.get(path).await.body;
    assert_eq!(brief.lines().count(), 1, "{brief}");
    let [whole, brief]: [StatusPage; 2] =
        [whole, brief].map(|page| serde_json::from_str(&page).unwrap());
    let (whole, brief) = (whole.node, brief.node);
    assert_eq!((whole.announced.len(), whole.peers.len(), whole.errors.len()), (1, 1, 1));
    assert_eq!((brief.announced.len(), brief.peers.len(), brief.errors.len()), (0, 0, 0));
    assert_eq!((brief.id, brief.names_held, brief.ready), (whole.id, 1, true));
    assert_eq!(brief.neighbours[0].address, there.dht_addr());
}

#[rstest]
#[tokio::test]
async fn a_status_is_whole_without_that_parameter(
    #[values("/status", "/status?", "/status?briefly", "/status?x=brief")] path: &str,
) {
    let grape = alone().await;
    let mut client = Raw::connect(grape.api_addr()).await;
    client.post("/announce", r#"{"data":["rpc_test",7001]}"#).await;
    let page: StatusPage = serde_json::from_str(&client.get(path).await.body).unwrap();
    assert_eq!(page.node.announced.len(), 1);
}

#[tokio::test]
async fn requests_are_counted() {
    let grape = alone().await;
    let mut client = Raw::connect(grape.api_addr()).await;
    client.post("/lookup", r#"{"data":"x"}"#).await;
    client.post("/lookup", "{}").await;
    client.post("/lookup", "").await;
    client.post("/no/such/path", "{}").await;
    let metrics = client.get("/metrics").await.body;
    for line in [
        r#"grape_api_requests_total{code="2xx",verb="lookup"} 2"#,
        r#"grape_api_requests_total{code="5xx",verb="lookup"} 1"#,
        r#"grape_api_requests_total{code="2xx",verb="unknown"} 1"#,
        r#"grape_api_refusals_total{verb="lookup"} 1"#,
        r#"grape_api_request_duration_seconds_count{verb="lookup"} 3"#,
        r#"grape_dht_lookups_total{source="walk"} 1"#,
        "grape_api_connections 1",
        "grape_api_requests_in_flight 0",
    ] {
        assert!(metrics.lines().any(|shown| shown == line), "{line} is missing in\n{metrics}");
    }
}

#[tokio::test]
async fn empty_lookups_are_counted() {
    let grape = alone().await;
    let mut client = Raw::connect(grape.api_addr()).await;
    grape.dht().announce(b"there", 7001).await;
    for name in ["nobody", "nobody", "there"] {
        client.post("/lookup", &format!(r#"{{"data":"{name}"}}"#)).await;
    }
    let page = client.get("/metrics").await.body;
    assert!(page.contains("\ngrape_dht_empty_lookups_total 2\n"), "{page}");
}

/// docs/metrics.md describes each of them, and no other.
#[tokio::test]
async fn the_page_of_metrics_has_all_that_a_grape_shows() {
    let grape = alone().await;
    let shown = Raw::connect(grape.api_addr()).await.get("/metrics").await.body;
    let shown: BTreeSet<_> =
        shown.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let page = include_str!("../../../docs/metrics.md");
    let part = page.split("\n## Of a Grape\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let told =
        part.split('`').filter(|word| word.starts_with("grape_") || word.starts_with("process_"));
    assert_eq!(shown, told.collect());
}

/// A signed item of this version.
fn version(seq: i64) -> Item {
    let key = SigningKey::from_bytes(&[7; 32]);
    let value = b"5:hello".to_vec();
    let signature = key.sign(&signable(&[], seq, &value)).to_bytes();
    let key = key.verifying_key().to_bytes();
    Item::mutable(value, Signed { key, signature, seq, salt: Vec::new() }).unwrap()
}

#[tokio::test]
async fn the_last_errors_have_a_time_and_a_subject() {
    let (here, there) = pair().await;
    let id = here.dht().put(version(2), None).await.unwrap();
    here.dht().put(version(1), None).await.unwrap_err();
    let errors = here.status().errors;
    let address = there.dht_addr();
    let told =
        format!(" s ago: put of {id}: {address} refused: 302 sequence number less than current");
    assert!(errors.iter().any(|error| error.ends_with(&told)), "{errors:?}, not {told:?}");
}
