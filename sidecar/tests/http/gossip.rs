//! `/gossip`: groups of Grapes, their keys and events, over real sockets.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use grape::config::Config;
use grape::lifecycle::Grape;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::figure;
use crate::grapes::{SOON, alone, config, node, pair_of, start};
use crate::raw::{Raw, Response, request};

fn in_workers() -> Config {
    Config { gossip: vec!["workers".to_owned()], ..config() }
}

async fn send(grape: &Grape, method: &str, path: &str, body: &str) -> Response {
    let mut client = Raw::connect(grape.api_addr()).await;
    client.send(request(method, path, body)).await;
    client.response().await
}

async fn get(grape: &Grape, path: &str) -> (u16, Value) {
    let Response { status, body, .. } = send(grape, "GET", path, "").await;
    (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
}

async fn put(grape: &Grape, path: &str, value: Value) {
    let put = send(grape, "PUT", path, &value.to_string()).await;
    assert_eq!(put.status, 200, "{}", put.body);
}

/// The path of a key of the member at `peer`.
fn key_of(peer: SocketAddr, key: &str) -> String {
    format!("/gossip/workers/peers/{peer}/state/{key}")
}

/// Waits until a path has this answer, and says how long it took.
async fn until(grape: &Grape, path: &str, expected: (u16, Value)) -> Duration {
    let began = Instant::now();
    loop {
        let seen = get(grape, path).await;
        if seen == expected {
            return began.elapsed();
        }
        assert!(began.elapsed() < 3 * SOON, "{path}: {seen:?}, and not {expected:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until both are live for each other.
async fn acquainted(here: &Grape, there: &Grape) {
    for (grape, other) in [(here, there), (there, here)] {
        let began = Instant::now();
        loop {
            let (_, live) = get(grape, "/gossip/workers/peers?state=live").await;
            if live[0]["address"] == other.dht_addr().to_string() {
                break;
            }
            assert!(began.elapsed() < 3 * SOON, "{live} should have {}", other.dht_addr());
            sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn a_key_is_seen_by_the_other_members_and_so_is_its_end() {
    let (here, there) = pair_of(in_workers()).await;
    acquainted(&here, &there).await;
    let load = key_of(here.dht_addr(), "load");
    put(&here, "/gossip/workers/state/load", json!({"jobs": 3})).await;
    let took = until(&there, &load, (200, json!({"jobs": 3}))).await;
    figure("gossip: a key is seen by another Grape after", took);
    put(&here, "/gossip/workers/state/load", json!(4)).await;
    until(&there, &load, (200, json!(4))).await;
    let all = format!("/gossip/workers/peers/{}/state", here.dht_addr());
    assert_eq!(get(&there, &all).await, (200, json!({"load": 4})));
    assert_eq!(get(&here, "/gossip/workers/state").await, (200, json!({"load": 4})));
    assert_eq!(get(&there, "/gossip/workers/state").await, (200, json!({})));
    let (_, peers) = get(&there, "/gossip/workers/peers?key=load").await;
    assert_eq!((&peers[0]["keys"], &peers[0]["value"]), (&json!(1), &json!(4)), "{peers}");
    let (_, peers) = get(&there, "/gossip/workers/peers?key=other").await;
    assert_eq!((&peers[0]["keys"], peers[0].get("value")), (&json!(1), None), "{peers}");

    assert_eq!(send(&here, "DELETE", "/gossip/workers/state/load", "").await.status, 204);
    until(&there, &load, (404, json!("there is no key \"load\"\n"))).await;
    assert_eq!(send(&here, "DELETE", "/gossip/workers/state/load", "").await.status, 404);
}

#[tokio::test]
async fn a_member_of_a_pod_is_seen_with_the_name_of_its_pod() {
    let here = start(in_workers()).await;
    let pod_name = Some("workers-7d4f-x2x8p".parse().unwrap());
    let named = Config { bootstrap: vec![node(here.dht_addr())], pod_name, ..in_workers() };
    let there = start(named).await;
    acquainted(&here, &there).await;
    let began = Instant::now();
    let peer = loop {
        let (_, peers) = get(&here, "/gossip/workers/peers").await;
        if peers[0]["pod"] == "workers-7d4f-x2x8p" {
            break peers[0].clone();
        }
        assert!(began.elapsed() < 3 * SOON, "{peers} should have the name");
        sleep(Duration::from_millis(10)).await;
    };
    assert_eq!((&peer["address"], &peer["keys"]), (&json!(there.dht_addr()), &json!(0)));
    let (_, unnamed) = get(&there, "/gossip/workers/peers").await;
    assert_eq!(unnamed[0].get("pod"), None, "{unnamed}");

    // The name is no key, and nobody unsets it.
    let all = format!("/gossip/workers/peers/{}/state", there.dht_addr());
    assert_eq!(get(&here, &all).await, (200, json!({})));
    assert_eq!(get(&there, "/gossip/workers/state").await, (200, json!({})));
    assert_eq!(get(&there, "/gossip/workers/state/").await.0, 404);
    assert_eq!(send(&there, "DELETE", "/gossip/workers/state/", "").await.status, 404);
}

#[tokio::test]
async fn a_key_expires_at_all_members() {
    let (here, there) = pair_of(in_workers()).await;
    acquainted(&here, &there).await;
    put(&here, "/gossip/workers/state/lock?expires=1500ms", json!("mine")).await;
    let lock = key_of(here.dht_addr(), "lock");
    until(&there, &lock, (200, json!("mine"))).await;
    let gone = (404, json!("there is no key \"lock\"\n"));
    until(&there, &lock, gone.clone()).await;
    until(&here, "/gossip/workers/state/lock", gone).await;
}

/// The next event of a stream, as its name and its data.
async fn event(stream: &mut Raw) -> (String, Value) {
    let text = event_text(stream).await;
    let part = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    (part("event: ").to_owned(), serde_json::from_str(part("data: ")).unwrap())
}

/// The next event of a stream, as it is sent.
async fn event_text(stream: &mut Raw) -> String {
    loop {
        let text = stream.until("\n\n").await;
        if text.contains("event: ") {
            return text;
        }
    }
}

/// The data of the next event of this name. A busy machine may see a member fail and come back.
async fn next(stream: &mut Raw, wanted: &str) -> Value {
    loop {
        let (name, data) = event(stream).await;
        match &*name {
            name if name == wanted => return data,
            "peer_failed" | "peer_alive" => {}
            _ => panic!("{name} {data}, and not {wanted}"),
        }
    }
}

/// Waits for an event of a member. Others may come before it.
async fn until_event(stream: &mut Raw, wanted: &str, peer: SocketAddr) {
    loop {
        let (name, data) = event(stream).await;
        if name == wanted && data["peer"] == json!(peer) {
            return;
        }
    }
}

async fn follow(grape: &Grape, query: &str) -> Raw {
    let mut stream = Raw::connect(grape.api_addr()).await;
    let path = format!("/gossip/workers/events{query}");
    stream.send(format!("GET {path} HTTP/1.1\r\nHost: grape\r\n\r\n")).await;
    let head = stream.head().await;
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    stream
}

#[tokio::test]
async fn events_tell_of_members_and_keys_once_each() {
    let here = start(in_workers()).await;
    let mut events = follow(&here, "").await;
    let other = Config { bootstrap: vec![node(here.dht_addr())], ..in_workers() };
    let there = start(other.clone()).await;
    let peer = there.dht_addr();
    let first = event_text(&mut events).await;
    let id = first.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
    assert!(first.contains("event: new_peer\n"), "{first}");

    put(&there, "/gossip/workers/state/a?expires=1s", json!(1)).await;
    let update = json!({"peer": peer, "key": "a", "value": 1});
    assert_eq!(next(&mut events, "update").await, update);
    assert_eq!(next(&mut events, "expire").await, json!({"peer": peer, "key": "a"}));

    let again = Config { dht_port: peer.port(), ..other };
    let began = Instant::now();
    drop(there);
    assert_eq!(next(&mut events, "peer_failed").await, json!({"peer": peer}));
    figure("gossip: a Grape that ended has failed after", began.elapsed());
    let (_, dead) = get(&here, "/gossip/workers/peers?state=dead").await;
    assert_eq!(dead[0]["address"], json!(peer));
    let _again = start(again).await;
    assert_eq!(next(&mut events, "peer_alive").await["peer"], json!(peer));

    // Who was away gets what it missed.
    let mut late = follow(&here, &format!("?since={id}")).await;
    assert_eq!(next(&mut late, "update").await, update);
    // The number is from before a restart of the Grape: it may have missed any.
    let mut restarted = follow(&here, "?since=1").await;
    assert_eq!(event(&mut restarted).await, ("gap".to_owned(), json!({})));
    assert_eq!(event(&mut restarted).await.0, "new_peer");
}

#[tokio::test]
async fn a_grape_joins_a_group_by_its_first_key_or_by_following_its_events() {
    let grape = alone().await;
    assert_eq!(get(&grape, "/gossip").await, (200, json!({"groups": []})));
    let (status, why) = get(&grape, "/gossip/workers/peers").await;
    assert_eq!(status, 404);
    assert!(why.as_str().unwrap().contains("is not in the group \"workers\""), "{why}");
    let (status, _) = get(&grape, "/gossip/workers/state").await;
    assert_eq!(status, 404);
    put(&grape, "/gossip/workers/state/x", json!(1)).await;
    assert_eq!(get(&grape, "/gossip/workers/peers").await, (200, json!([])));
    let _events = {
        let mut stream = Raw::connect(grape.api_addr()).await;
        stream.send("GET /gossip/others/events HTTP/1.1\r\nHost: grape\r\n\r\n").await;
        stream.head().await;
        stream
    };
    let (_, all) = get(&grape, "/gossip").await;
    let names = all["groups"].as_array().unwrap().iter().map(|group| &group["group"]);
    assert_eq!(names.collect::<Vec<_>>(), ["workers", "others"]);
}

#[tokio::test]
async fn seeds_are_enough_where_the_dht_finds_nobody() {
    let here = start(in_workers()).await;
    let seeds = Config { gossip_seeds: vec![node(here.dht_addr())], ..in_workers() };
    let there = start(seeds).await;
    acquainted(&here, &there).await;
}

/// Members on `::1`: one found by the DHT, and one by a seed alone.
#[tokio::test]
async fn members_over_ipv6_see_each_others_keys_and_events() {
    let loopback = Some(Ipv6Addr::LOCALHOST.into());
    let config = || Config { bind: loopback, dht_bind: loopback, ..in_workers() };
    let first = start(config()).await;
    let mut events = follow(&first, "").await;
    let by_dht = start(Config { bootstrap: vec![node(first.dht_addr())], ..config() }).await;
    until_event(&mut events, "new_peer", by_dht.dht_addr()).await;
    acquainted(&first, &by_dht).await;
    let seed = format!("[::1]:{}", first.dht_addr().port()).parse().unwrap();
    let by_seed = start(Config { gossip_seeds: vec![seed], ..config() }).await;
    until_event(&mut events, "new_peer", by_seed.dht_addr()).await;

    let members = [&first, &by_dht, &by_seed];
    for here in members {
        put(here, "/gossip/workers/state/port", json!(here.dht_addr().port())).await;
        for there in members.into_iter().filter(|there| there.dht_addr() != here.dht_addr()) {
            let port = key_of(here.dht_addr(), "port");
            until(there, &port, (200, json!(here.dht_addr().port()))).await;
        }
    }
    let gone = by_seed.dht_addr();
    until_event(&mut events, "update", gone).await;
    drop(by_seed);
    until_event(&mut events, "peer_failed", gone).await;
}

#[tokio::test]
async fn grapes_of_another_network_are_no_members() {
    let of = |network: &str| Config { network: Some(network.parse().unwrap()), ..in_workers() };
    let here = start(of("prod.market")).await;
    let seeds = Config { gossip_seeds: vec![node(here.dht_addr())], ..of("test.market") };
    let there = start(seeds.clone()).await;
    let friend = start(Config { network: of("prod.market").network, ..seeds }).await;
    acquainted(&here, &friend).await;
    for grape in [&here, &friend] {
        let (_, peers) = get(grape, "/gossip/workers/peers").await;
        assert_eq!(peers.as_array().unwrap().len(), 1, "{peers}");
    }
    assert_eq!(get(&there, "/gossip/workers/peers").await, (200, json!([])));
}

#[rstest]
#[case::no_json("PUT", "/gossip/w/state/x", "x", 400, "not JSON")]
#[case::empty("PUT", "/gossip/w/state/x", "", 400, "not JSON")]
#[case::key("PUT", "/gossip/w/state/", "1", 400, "a key has 1 to 128 bytes")]
#[case::expiry("PUT", "/gossip/w/state/x?expires=soon", "1", 400, "as in 10s")]
#[case::state("GET", "/gossip/workers/peers?state=gone", "", 400, "live, dead or all")]
#[case::since("GET", "/gossip/workers/events?since=x", "", 400, "the number of an event")]
#[case::peer("GET", "/gossip/workers/peers/market/state", "", 404, "IP:PORT")]
#[case::path("GET", "/gossip/workers", "", 404, "/gossip/GROUP/peers")]
#[case::others_key("PUT", "/gossip/workers/peers/10.0.0.7:1/state/x", "1", 405, "only GET")]
#[case::method("POST", "/gossip", "", 405, "only GET")]
#[case::stranger("GET", "/gossip/workers/peers/10.0.0.7:1/state", "", 404, "no member")]
#[tokio::test]
async fn bad_input_is_refused_with_what_would_be_right(
    #[case] method: &str,
    #[case] path: &str,
    #[case] body: &str,
    #[case] status: u16,
    #[case] why: &str,
) {
    let grape = start(in_workers()).await;
    let mut client = Raw::connect(grape.api_addr()).await;
    client.send(request(method, path, body)).await;
    let refusal = client.response().await;
    assert_eq!(refusal.status, status, "{}", refusal.body);
    assert!(refusal.body.contains(why), "{}", refusal.body);
    // The connection goes on.
    assert_eq!(client.get("/gossip/workers/state").await.status, 200);
}

#[tokio::test]
async fn bounds_of_keys_are_named_and_nothing_is_lost() {
    let grape = start(in_workers()).await;
    let text = |length: usize| json!("x".repeat(length)).to_string();
    let path = |key: &str| format!("/gossip/workers/state/{key}");
    let long = send(&grape, "PUT", &path("a"), &text(4095)).await;
    assert_eq!((long.status, &*long.body), (413, "a value has 4096 bytes at most\n"));
    for key in ["a", "b"] {
        assert_eq!(send(&grape, "PUT", &path(key), &text(4000)).await.status, 200);
    }
    let full = send(&grape, "PUT", &path("c"), &text(400)).await;
    assert_eq!(full.status, 400);
    assert!(full.body.contains("8192 bytes at most"), "{}", full.body);
    let (_, state) = get(&grape, "/gossip/workers/state").await;
    assert_eq!(state.as_object().unwrap().len(), 2);
    for n in 0..15 {
        put(&grape, &format!("/gossip/g{n}/state/x"), json!(1)).await;
    }
    let groups = send(&grape, "PUT", "/gossip/g15/state/x", "1").await;
    assert_eq!(groups.status, 400);
    assert!(groups.body.contains("in 16 groups at most"), "{}", groups.body);
}
