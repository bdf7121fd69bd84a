//! Members that come, go and come back, with one event each at each of the others.

use std::net::UdpSocket;

use grape_tests::gossipers::{self, Module};
use grape_tests::{programs, wait};
use serde_json::{Value, json};

use crate::{Gossiper, alone};

const ALL: [&str; 3] = ["127.0.0.1:7000", "127.0.0.1:7001", "127.0.0.1:7002"];

/// Three that know each other.
async fn three() -> [Gossiper; 3] {
    let mut all = [Gossiper::at(7000).await, Gossiper::at(7001).await, Gossiper::at(7002).await];
    for gossiper in &mut all {
        let others: Vec<_> = ALL.into_iter().filter(|peer| *peer != gossiper.name).collect();
        gossiper.has(&others, &[], &ALL.map(|peer| (peer, json!({})))).await;
    }
    all
}

/// The members of these events, in the order of their addresses.
fn of(events: &[Value]) -> Vec<&str> {
    let mut peers: Vec<_> = events.iter().map(|event| event["peer"].as_str().unwrap()).collect();
    peers.sort_unstable();
    peers
}

/// The keys of all three, of which one has some.
fn states(owner: &str, keys: &Value) -> [(&'static str, Value); 3] {
    ALL.map(|peer| (peer, if peer == owner { keys.clone() } else { json!({}) }))
}

#[test]
fn keys_are_seen_and_expire_at_all_members_with_one_event_each() {
    alone("peers::keys_are_seen_and_expire_at_all_members_with_one_event_each", async {
        let [mut seed, mut one, mut two] = three().await;
        let stays = json!({ "x": [1, "ä"] });
        one.set("stays", stays.clone(), None).await;
        one.set("goes", json!("y"), Some(4000)).await;
        for other in [&mut seed, &mut two] {
            let mut updates = [other.event("update").await, other.event("update").await];
            updates.sort_by_key(|update| update["key"].to_string());
            assert_eq!(of(&updates), [ALL[1]; 2]);
            assert_eq!((&updates[0]["key"], &updates[0]["value"]), (&json!("goes"), &json!("y")));
            assert_eq!((&updates[1]["key"], &updates[1]["value"]), (&json!("stays"), &stays));
        }
        let states = states(ALL[1], &json!({ "stays": stays }));
        for gossiper in [&mut seed, &mut one, &mut two] {
            let expired = gossiper.event("expire").await;
            assert_eq!((&expired["peer"], &expired["value"]), (&json!(ALL[1]), &json!("y")));
            let others: Vec<_> = ALL.into_iter().filter(|peer| *peer != gossiper.name).collect();
            gossiper.has(&others, &[], &states).await;
        }
        // `null` unsets a key.
        one.set("stays", Value::Null, None).await;
        for other in [&mut seed, &mut two] {
            let update = other.event("update").await;
            assert_eq!((&update["key"], &update["value"]), (&json!("stays"), &Value::Null));
        }
        for gossiper in &mut [seed, one, two] {
            for kind in ["update", "expire", "peer_failed", "peer_alive"] {
                assert_eq!(gossiper.left_over(kind).await, [Value::Null; 0]);
            }
        }
    });
}

#[test]
fn a_program_that_is_killed_fails_and_comes_back_with_one_event_each() {
    alone("peers::a_program_that_is_killed_fails_and_comes_back_with_one_event_each", async {
        let [mut seed, mut one, mut two] = three().await;
        two.process.kill().await.unwrap();
        for other in [&mut seed, &mut one] {
            assert_eq!(other.event("peer_failed").await["peer"], ALL[2]);
        }
        // Its Grape has ended with it.
        wait::until("the port is free", async || UdpSocket::bind(ALL[2])).await.unwrap();
        let mut two = Gossiper::at(7002).await;
        for other in [&mut seed, &mut one] {
            assert_eq!(other.event("peer_alive").await["peer"], ALL[2]);
        }
        two.has(&ALL[..2], &[], &ALL.map(|peer| (peer, json!({})))).await;
        // Each has found the others once; the seed was named to it.
        assert_eq!(of(&seed.left_over("new_peer").await), ALL[1..]);
        assert_eq!(of(&one.left_over("new_peer").await), ALL[2..]);
    });
}

#[test]
fn a_gossiper_that_is_stopped_and_started_has_its_keys_again() {
    alone("peers::a_gossiper_that_is_stopped_and_started_has_its_keys_again", async {
        let [mut seed, mut one, mut two] = three().await;
        two.set("x", json!(1), None).await;
        seed.set("z", json!(3), None).await;
        two.event("update").await;
        two.tell(json!({ "do": "stop" })).await;
        two.event("stopped").await;
        for other in [&mut seed, &mut one] {
            assert_eq!(other.event("peer_failed").await["peer"], ALL[2]);
        }
        two.set("y", json!(2), None).await;
        two.tell(json!({ "do": "start" })).await;
        two.event("started").await;
        let mut states = states(ALL[2], &json!({ "x": 1, "y": 2 }));
        states[0].1 = json!({ "z": 3 });
        for other in [&mut seed, &mut one] {
            assert_eq!(other.event("peer_alive").await["peer"], ALL[2]);
            let others: Vec<_> = ALL.into_iter().filter(|peer| *peer != other.name).collect();
            other.has(&others, &[], &states).await;
        }
        two.has(&ALL[..2], &[], &states).await;
        // It had seen the seed's key before.
        for kind in ["update", "expire", "peer_failed", "peer_alive"] {
            assert_eq!(two.left_over(kind).await, [Value::Null; 0]);
        }
    });
}

#[test]
fn a_value_that_is_too_long_is_an_error_with_the_bound() {
    alone("peers::a_value_that_is_too_long_is_an_error_with_the_bound", async {
        let mut seed = Gossiper::at(7000).await;
        seed.set("long", json!("x".repeat(5000)), None).await;
        let error = seed.event("error").await["message"].to_string();
        assert!(error.contains("key long: a value has 4096 bytes at most"), "{error}");
        seed.set("short", json!(1), None).await;
        let mut one = Gossiper::at(7001).await;
        assert_eq!(one.event("update").await["key"], "short");
    });
}

#[test]
fn options_that_are_wrong_are_named() {
    alone("peers::options_that_are_wrong_are_named", async {
        for (options, expected) in [
            (json!({}), "port is undefined; expected a UDP port"),
            (json!({ "port": 0 }), "port is 0; expected a UDP port"),
            (json!({ "port": 7000, "address": "here" }), "address is here; expected an IP address"),
            (json!({ "port": 7000, "seeds": [ALL[0]] }), "seeds has 127.0.0.1:7000"),
            (json!({ "port": 7000, "secure": true }), "without TLS; expected none of them"),
        ] {
            let mut process = gossipers::gossiper(Module::Ours, &options, None).unwrap();
            assert!(!process.ended().await.unwrap().success());
            let ended = programs::event(&mut process, "started").await.unwrap_err().to_string();
            assert!(ended.contains(expected), "{ended}");
        }
    });
}
