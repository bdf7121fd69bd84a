//! What the cluster's own Grapes tell each other, as operators see it at the admin address.

use grape::cluster_entry::{ClusterEntry, GROUP, KEY};
use grape::config::Config;
use grape::http::{CLUSTER_PATH, StatusPage};
use grape::lifecycle::Grape;
use serde_json::Value;
use tokio::time::{Duration, Instant, sleep};

use crate::grapes::{SOON, config, node, pair_of, start};
use crate::raw::{Raw, request};

fn in_cluster() -> Config {
    let admin_bind = Some("127.0.0.1:0".parse().unwrap());
    Config { gossip: vec![GROUP.to_owned()], admin_bind, ..config() }
}

/// What a Grape's admin address shows of the other members.
async fn others(grape: &Grape) -> Value {
    let path = format!("{CLUSTER_PATH}?key={KEY}");
    let page = Raw::connect(grape.admin_addr().unwrap()).await.get(&path).await;
    assert_eq!(page.status, 200, "{}", page.body);
    serde_json::from_str(&page.body).unwrap()
}

/// The entry of a Grape, made of its status page.
async fn own(grape: &Grape) -> ClusterEntry {
    let page = Raw::connect(grape.admin_addr().unwrap()).await.get("/status?brief").await;
    ClusterEntry::of(&serde_json::from_str::<StatusPage>(&page.body).unwrap())
}

/// Waits until the entry of `there`, as `here` has it, is the one of its status page.
async fn until_told(here: &Grape, there: &Grape) -> (Value, ClusterEntry) {
    let began = Instant::now();
    loop {
        let (peers, wanted) = (others(here).await, own(there).await);
        let peer = peers.as_array().unwrap().iter().find(|peer| {
            peer["address"] == there.dht_addr().to_string() && peer["state"] == "live"
        });
        let told = peer.and_then(|peer| serde_json::from_value(peer["value"].clone()).ok());
        if let (Some(peer), Some(told)) = (peer, told)
            && wanted == told
        {
            return (peer.clone(), told);
        }
        assert!(began.elapsed() < 6 * SOON, "{peers} should have {wanted:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn each_grape_of_a_cluster_sees_the_entry_of_the_others() {
    let (here, there) = pair_of(in_cluster()).await;
    let (peer, entry) = until_told(&here, &there).await;
    assert_eq!((entry.ready, entry.draining, entry.nodes), (true, false, 1));
    assert!(peer["heartbeatSeconds"].as_u64().is_some_and(|age| age < 10), "{peer}");
    let (_, other) = until_told(&there, &here).await;
    assert_eq!(other.knows, entry.knows, "both know both");
    let third = start(Config { bootstrap: vec![node(here.dht_addr())], ..in_cluster() }).await;
    let (_, three) = until_told(&here, &third).await;
    assert_ne!(three.knows, entry.knows);
    let (_, again) = until_told(&third, &there).await;
    assert_eq!(again.knows, three.knows, "all know all");
}

#[tokio::test]
async fn the_admin_address_shows_that_group_and_changes_nothing() {
    let grape = start(Config { gossip: vec![GROUP.to_owned(), "x".to_owned()], ..in_cluster() });
    let grape = grape.await;
    let admin = grape.admin_addr().unwrap();
    assert_eq!(others(&grape).await, Value::Array(Vec::new()));
    for (method, path) in [
        ("GET", "/gossip"),
        ("GET", "/gossip/x/peers"),
        ("GET", "/gossip/grapecluster/state"),
        ("GET", "/gossip/grapecluster/events"),
        ("GET", "/gossip/grapecluster/peers/10.0.0.7:1/state"),
        ("POST", CLUSTER_PATH),
        ("PUT", "/gossip/grapecluster/state/grape"),
        ("DELETE", "/gossip/grapecluster/state/grape"),
    ] {
        let mut client = Raw::connect(admin).await;
        client.send(request(method, path, "1")).await;
        assert_eq!(client.response().await.status, 404, "{method} {path}");
    }
}

#[tokio::test]
async fn a_grape_without_the_group_has_no_such_page() {
    let admin_bind = Some("127.0.0.1:0".parse().unwrap());
    let grape = start(Config { admin_bind, ..config() }).await;
    let page = Raw::connect(grape.admin_addr().unwrap()).await.get(CLUSTER_PATH).await;
    assert_eq!(page.status, 404);
    assert!(page.body.contains("not in the group"), "{}", page.body);
}
