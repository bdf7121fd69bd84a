//! Services that are called: over HTTP, compressed or not, over WebSocket, one of them or all.

use grape_tests::grape::{Grape, Kind};
use grape_tests::network::{Network, Shape};
use grape_tests::programs::{self, Talks};
use rstest::rstest;
use serde_json::{Value, json};

use crate::{Service, known};

/// Calls services by their names, and returns the replies in the order of their names.
async fn call(grape: &Grape, transport: &str, more: Value) -> Vec<Value> {
    let mut argument = json!({ "grape": grape.url(), "transport": transport });
    for (field, value) in more.as_object().unwrap() {
        argument[field] = value.clone();
    }
    let mut client = programs::node("the client", "rpc_client.js", &argument).unwrap();
    let mut replies = programs::events_until_end(&mut client, "reply").await.unwrap();
    replies.sort_by_key(|reply| reply["name"].to_string());
    replies
}

#[rstest]
#[tokio::test]
async fn hello_world(
    #[values(Kind::Npm, Kind::Ours)] kind: Kind,
    #[values("http", "ws")] transport: &str,
) {
    let network = Network::start(Shape::Mesh, &[kind; 2]).await.unwrap();
    let [first, second] = [&network.grapes[0], &network.grapes[1]];
    let more = json!({ "transport": transport });
    let mut service = Service::start("rpc:hello", "rpc_server.js", first, more).await;
    for grape in [first, second] {
        let names = json!({ "names": ["rpc:hello"], "payload": { "hello": "world" } });
        let replies = call(grape, transport, names).await;
        let asked = service.event("request").await.unwrap();
        assert_eq!(asked["key"], "rpc:hello");
        assert_eq!(asked["payload"], json!({ "hello": "world" }));
        let result = json!({ "service": "rpc:hello", "payload": { "hello": "world" } });
        let reply = json!({
            "event": "reply", "name": "rpc:hello", "error": null, "result": result,
        });
        assert_eq!(replies, [reply], "{grape}");
    }
}

#[rstest]
#[tokio::test]
async fn a_service_that_fails_and_one_that_is_not_there(
    #[values(Kind::Npm, Kind::Ours)] kind: Kind,
    #[values("http", "ws")] transport: &str,
) {
    let network = Network::start(Shape::Mesh, &[kind; 2]).await.unwrap();
    let [first, second] = [&network.grapes[0], &network.grapes[1]];
    let more = json!({ "transport": transport });
    let _service = Service::start("rpc:fails", "rpc_server.js", first, more).await;
    let payload = json!({ "fail": "ERR_OF_THE_SERVICE" });
    let names = json!({ "names": ["rpc:fails", "rpc:nobody"], "payload": payload });
    let replies = call(second, transport, names).await;
    let errors: Vec<_> = replies.iter().map(|reply| &reply["error"]).collect();
    assert_eq!(errors, ["ERR_OF_THE_SERVICE", "ERR_GRAPE_LOOKUP_EMPTY"], "{replies:#?}");
}

#[rstest]
#[tokio::test]
async fn compressed_and_to_all(#[values(Kind::Npm, Kind::Ours)] kind: Kind) {
    let network = Network::start(Shape::Mesh, &[kind; 3]).await.unwrap();
    let mut services = Vec::new();
    for grape in &network.grapes {
        services.push(Service::start("rpc:many", "rpc_server.js", grape, json!({})).await);
    }
    known(&network.grapes[1], "rpc:many", &services).await;
    let payload = json!({ "text": "compress me ".repeat(100) });
    let names = json!({ "names": ["rpc:many"], "payload": payload, "compress": true, "map": true });
    let replies = call(&network.grapes[1], "http", names).await;
    assert_eq!(replies[0]["error"], Value::Null);
    let result = json!({ "service": "rpc:many", "payload": payload });
    assert_eq!(replies[0]["result"], json!(vec![result; 3]));
    for service in &mut services {
        service.event("request").await.unwrap();
    }
}

/// Three Grapes that bootstrap to each other, a service at each of two, a client at the third.
#[rstest]
#[case::npm([Kind::Npm; 3])]
#[case::ours([Kind::Ours; 3])]
#[case::the_clients_is_npms([Kind::Ours, Kind::Ours, Kind::Npm])]
#[case::one_services_is_npms([Kind::Npm, Kind::Ours, Kind::Ours])]
#[tokio::test]
async fn two_services_and_a_client_on_three_grapes(
    #[case] kinds: [Kind; 3],
    #[values("http", "ws")] transport: &str,
) {
    let network = Network::start(Shape::Mesh, &kinds).await.unwrap();
    let names = ["public:trade:bitfinex", "public:trade:bitstamp"];
    let mut services = Vec::new();
    for (name, grape) in names.iter().zip(&network.grapes) {
        let more = json!({ "transport": transport });
        services.push(Service::start(name, "rpc_server.js", grape, more).await);
    }
    let payload = json!({ "pair": "BTCUSD" });
    let client = &network.grapes[2];
    let replies = call(client, transport, json!({ "names": names, "payload": payload })).await;
    for (service, (name, reply)) in services.iter_mut().zip(names.iter().zip(&replies)) {
        assert_eq!(reply["result"], json!({ "service": name, "payload": payload }), "{replies:#?}");
        assert_eq!(service.event("request").await.unwrap()["key"], *name);
    }
}
