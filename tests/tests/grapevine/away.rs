//! A Grape that is cut off, restarted or killed while a Gossiper uses it.

use anyhow::ensure;
use grape_tests::gossipers::{self, Module, Program};
use grape_tests::grape::{Grape, Kind, Options, Seat};
use grape_tests::http::Request;
use grape_tests::link::Link;
use grape_tests::network::{Network, Shape};
use grape_tests::ports::Port;
use grape_tests::wait::DEADLINE;
use grape_tests::{programs, wait};
use serde_json::json;
use tokio::process::Command;
use tokio::time::Instant;

use crate::{Gossiper, alone};

fn name(grape: &Grape) -> String {
    format!("127.0.0.1:{}", grape.dht_port())
}

#[tokio::test]
async fn after_a_cut_the_members_and_keys_are_read_again() {
    let network = Network::start(Shape::Mesh, &[Kind::Ours; 2]).await.unwrap();
    let [here, there] = [&network.grapes[0], &network.grapes[1]];
    let names = [here, there].map(name);
    let [own, peer] = names.each_ref().map(String::as_str);
    let link = Link::open(Port::take().unwrap(), here.api()).await.unwrap();
    let mut one = Gossiper::of(&format!("http://{}", link.address())).await;
    let mut two = Gossiper::of(&there.url()).await;
    two.set("a", json!(1), None).await;
    two.set("b", json!(1), None).await;
    one.has(&[peer], &[], &[(own, json!({})), (peer, json!({ "a": 1, "b": 1 }))]).await;

    link.cut();
    two.set("a", json!(2), None).await;
    two.set("b", json!(1), Some(1000)).await;
    one.set("own", json!(3), None).await;
    two.event("expire").await;
    let why = one.event("error").await["message"].to_string();
    assert!(why.contains("the Grape does not answer"), "{why}");
    one.has(&[peer], &[], &[(own, json!({ "own": 3 })), (peer, json!({ "a": 1, "b": 1 }))]).await;
    link.mend();
    one.has(&[peer], &[], &[(own, json!({ "own": 3 })), (peer, json!({ "a": 2 }))]).await;
    two.has(&[own], &[], &[(peer, json!({ "a": 2 })), (own, json!({ "own": 3 }))]).await;
}

/// A Grape keeps 256 KiB of events for a program that does not read them, and then leaves a gap.
#[tokio::test]
async fn after_a_gap_the_members_and_keys_are_read_again() {
    const UPDATES: usize = 400;
    let network = Network::start(Shape::Mesh, &[Kind::Ours; 2]).await.unwrap();
    let [here, there] = [&network.grapes[0], &network.grapes[1]];
    let names = [here, there].map(name);
    let [own, peer] = names.each_ref().map(String::as_str);
    let mut one = Gossiper::of(&here.url()).await;
    let mut two = Gossiper::of(&there.url()).await;
    two.set("early", json!(1), None).await;
    one.has(&[peer], &[], &[(own, json!({})), (peer, json!({ "early": 1 }))]).await;

    one.process.signal("STOP").await.unwrap();
    two.set("early", json!(2), None).await;
    let long = "x".repeat(4000);
    for number in 1..=UPDATES {
        let key = Request::get("/gossip/grapevine/state/long").method("PUT");
        let body = Some(json!([number, long]).to_string().into_bytes());
        let set = there.send(&Request { body, ..key }).await.unwrap();
        assert_eq!(set.status, 200, "{set:?}");
        // Each of them is an event at the other Grape.
        let key = Request::get(&format!("/gossip/grapevine/peers/{peer}/state/long"));
        let end = Instant::now() + DEADLINE;
        while !here.send(&key).await.unwrap().json().is_ok_and(|value| value[0] == number) {
            assert!(Instant::now() < end, "update {number} did not arrive");
        }
    }
    one.process.signal("CONT").await.unwrap();
    let keys = json!({ "early": 2, "long": [UPDATES, long] });
    one.has(&[peer], &[], &[(own, json!({})), (peer, keys)]).await;
    let told = one.left_over("update").await.len();
    assert!(told < UPDATES, "there was no gap: {told} updates");
}

#[tokio::test]
async fn after_a_restart_of_its_grape_a_gossiper_has_its_keys_again() {
    let mut network = Network::start(Shape::Mesh, &[Kind::Ours; 2]).await.unwrap();
    let there = network.grapes.remove(1);
    let here = network.grapes.remove(0);
    let names = [&here, &there].map(name);
    let [own, peer] = names.each_ref().map(String::as_str);
    let mut one = Gossiper::of(&here.url()).await;
    let mut two = Gossiper::of(&there.url()).await;
    one.set("x", json!(1), None).await;
    two.set("y", json!(2), None).await;
    let states = [(own, json!({ "x": 1 })), (peer, json!({ "y": 2 }))];
    one.has(&[peer], &[], &states).await;
    two.has(&[own], &[], &states).await;

    let seat: Seat = here.kill().await.unwrap();
    assert_eq!(two.event("peer_failed").await["peer"], own);
    let options = Options { bootstrap: vec![there.dht_port()], ..Options::default() };
    let _here = Grape::start(Kind::Ours, seat, &options).await.unwrap();
    assert_eq!(two.event("peer_alive").await["peer"], own);
    one.has(&[peer], &[], &states).await;
    two.has(&[own], &[], &states).await;
    // The one whose Grape was away has lost nobody.
    assert!(one.left_over("peer_failed").await.is_empty());
}

#[test]
fn a_grape_of_its_own_that_is_killed_is_started_again() {
    alone("away::a_grape_of_its_own_that_is_killed_is_started_again", async {
        let [mut seed, mut one] = [Gossiper::at(7000).await, Gossiper::at(7001).await];
        let [first, second] = ["127.0.0.1:7000", "127.0.0.1:7001"];
        one.set("x", json!(1), None).await;
        let states = [(first, json!({})), (second, json!({ "x": 1 }))];
        seed.has(&[second], &[], &states).await;
        // The program's child is the shell that ends the Grape with the program.
        let grape = child(&child(&one.process.pid().unwrap().to_string()));
        let killed = std::process::Command::new("kill").args(["-9", &grape]).status().unwrap();
        assert!(killed.success());
        // It may be back before anybody has noticed.
        let why = one.event("error").await["message"].to_string();
        assert!(why.contains("ended the events") || why.contains("ECONN"), "{why}");
        one.has(&[first], &[], &states).await;
        seed.has(&[second], &[], &states).await;
    });
}

/// The only child of a process.
fn child(pid: &str) -> String {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let children: Vec<_> = children.split_whitespace().collect();
    assert_eq!(children.len(), 1, "children of {pid}: {children:?}");
    children[0].to_owned()
}

#[tokio::test]
async fn a_grape_that_is_not_there_is_named() {
    let nobody = Port::take().unwrap();
    let url = format!("http://127.0.0.1:{}", nobody.number());
    let options = json!({ "port": 7000 });
    let mut process = gossipers::gossiper(Module::Ours, &options, Some(&url)).unwrap();
    let error = programs::event(&mut process, "error").await.unwrap()["message"].to_string();
    assert!(error.contains("ECONNREFUSED"), "{error}");
}

#[tokio::test]
async fn a_grape_that_was_not_started_for_a_gossiper_stays_a_member_without_its_keys() {
    let network = Network::start(Shape::Mesh, &[Kind::Ours; 2]).await.unwrap();
    let [here, there] = [&network.grapes[0], &network.grapes[1]];
    let names = [here, there].map(name);
    let [own, peer] = names.each_ref().map(String::as_str);
    let mut one = Gossiper::of(&here.url()).await;
    let mut two = Gossiper::of(&there.url()).await;
    one.set("x", json!(1), None).await;
    two.has(&[own], &[], &[(own, json!({ "x": 1 })), (peer, json!({}))]).await;
    one.tell(json!({ "do": "stop" })).await;
    one.event("stopped").await;
    two.has(&[own], &[], &[(own, json!({})), (peer, json!({}))]).await;
    one.tell(json!({ "do": "start" })).await;
    two.has(&[own], &[], &[(own, json!({ "x": 1 })), (peer, json!({}))]).await;
}

/// Two Gossipers of one program, and a Grape for one of them.
#[tokio::test]
async fn a_gossiper_without_a_grape_of_grape_url_is_told_so() {
    let grape = Grape::start(Kind::Ours, Seat::take().unwrap(), &Options::default()).await.unwrap();
    let program = "const Gossiper = require('grapevine').Gossiper\n\
        new Gossiper(7000).start(() => new Gossiper(7001).start())";
    let program = gossipers::changed(program, Module::Ours).unwrap();
    let mut command = Command::new("node");
    command.env("GRAPE_URL", grape.url());
    let program = Program::start("two Gossipers", &program, &mut command).unwrap();
    wait::until("a warning", async || {
        let told = program.process.errors().join("\n");
        ensure!(told.contains("expected one URL for each Gossiper"), "{told}");
        Ok(())
    })
    .await
    .unwrap();
}
