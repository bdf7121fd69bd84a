//! The API of the first Grapes: WebSocket frames `[rid, verb, data]`. npm's Grape has dropped it,
//! so that only ours is asked, with the client that Grenache stands on. The same client follows a
//! group.

use std::collections::BTreeMap;

use grape_tests::grape::{Grape, Kind};
use grape_tests::network::{Network, Shape};
use grape_tests::process::Process;
use grape_tests::programs;
use serde_json::{Value, json};

use crate::share;

fn client(grape: &Grape, path: &str, frames: &Value) -> Process {
    let argument = json!({ "grape": grape.url(), "path": path, "frames": frames });
    programs::node("the WebSocket client", "ws_api.js", &argument).unwrap()
}

/// Sends all frames at once; returns the answers by their rid.
async fn ask(grape: &Grape, frames: Value) -> BTreeMap<String, Value> {
    let mut client = client(grape, "", &frames);
    let answers = programs::events_until_end(&mut client, "answer").await.unwrap();
    for answer in &answers {
        assert_eq!(answer["isBinary"], false, "{answer}");
    }
    let by_rid: BTreeMap<_, _> = answers
        .into_iter()
        .map(|answer| (answer["rid"].as_str().unwrap().to_owned(), answer["result"].clone()))
        .collect();
    assert_eq!(by_rid.len(), frames.as_array().unwrap().len(), "{by_rid:?}");
    by_rid
}

#[tokio::test]
async fn every_verb_answers() {
    let network = Network::start(Shape::Mesh, &[Kind::Ours; 2]).await.unwrap();
    let [first, second] = [&network.grapes[0], &network.grapes[1]];
    let answers = ask(
        first,
        json!([
            ["a", "announce", ["rest:util:net", 7700]],
            ["b", "put", { "v": "Hello World!" }],
            ["c", "lookup", "nobody:here"],
            ["d", "lookup", ""],
            ["e", "announce", ["rest:util:net", "7700"]],
            ["f", "nope", {}],
            ["g", "get", {}],
            ["h", "get", "00112233445566778899aabbccddeeff00112233"],
        ]),
    )
    .await;
    let id = "e5f96f6f38320f0f33959cb4d3d656452117aadb";
    let expected = [
        ("a", json!(1)),
        ("b", json!(id)),
        ("c", json!([])),
        ("d", json!("ERR_GRAPE_LOOKUP")),
        ("e", json!("ERR_GRAPE_SERVICE_PORT")),
        ("f", json!("ERR_REQ_NOTFOUND")),
        ("g", json!("ERR_GRAPE_GENERIC")),
        ("h", Value::Null),
    ];
    for (rid, result) in expected {
        assert_eq!(answers[rid], result, "{rid}: {answers:#?}");
    }
    let frames = json!([["again", "lookup", "rest:util:net"], ["item", "get", id]]);
    let answers = ask(second, frames).await;
    assert_eq!(answers["again"], json!(["127.0.0.1:7700"]));
    assert_eq!(answers["item"]["v"], "Hello World!");
}

#[tokio::test]
async fn many_frames_at_once_are_all_answered() {
    let network = Network::start(Shape::Mesh, &[Kind::Ours; 2]).await.unwrap();
    let frames: Vec<Value> =
        (0..500).map(|n| json!([n.to_string(), "lookup", format!("name:{n}")])).collect();
    let answers = ask(&network.grapes[0], json!(frames)).await;
    assert!(answers.values().all(|result| *result == json!([])), "{answers:?}");
}

#[tokio::test]
async fn pings_are_answered_on_any_path() {
    let network = Network::start(Shape::Mesh, &[Kind::Ours; 2]).await.unwrap();
    for path in ["", "/", "/ws"] {
        let mut client = client(&network.grapes[0], path, &json!([["a", "lookup", "x"]]));
        let pong = programs::event(&mut client, "pong").await.unwrap();
        assert_eq!(pong["data"], "are you there", "{path:?}");
    }
}

#[tokio::test]
async fn a_group_is_followed() {
    let mut network = Network::start(Shape::Mesh, &[Kind::Ours; 2]).await.unwrap();
    let (there, here) = (network.grapes.pop().unwrap(), network.grapes.pop().unwrap());
    let argument = json!({ "grape": here.url(), "group": "workers" });
    let mut client = programs::node("the client", "group.js", &argument).unwrap();
    programs::event(&mut client, "open").await.unwrap();
    share(&there, "3").await;
    let update = programs::event(&mut client, "update").await.unwrap();
    assert_eq!(update["peer"], format!("127.0.0.1:{}", there.dht_port()));
    assert_eq!((&update["key"], &update["value"]), (&json!("load"), &json!(3)));
    programs::event(&mut client, "ping").await.unwrap();
    here.kill().await.unwrap();
    let end = programs::event(&mut client, "close").await.unwrap();
    assert_eq!(end["code"], 1006, "without a goodbye");
}
