//! The verbs: what they answer, and what they refuse.

use std::net::SocketAddr;
use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};

use crate::grapes::{alone, pair};
use crate::raw::Raw;

#[rstest]
#[case("/lookup", r#"{"data":"x"}"#, "[]")]
#[case("/Lookup", r#"{"data":"x"}"#, "[]")]
#[case("/lookup", "{}", r#""ERR_GRAPE_LOOKUP""#)]
#[case("/lookup", "[]", r#""ERR_GRAPE_LOOKUP""#)]
#[case("/lookup", "5", r#""ERR_GRAPE_LOOKUP""#)]
#[case("/lookup", r#"{"data":""}"#, r#""ERR_GRAPE_LOOKUP""#)]
#[case("/lookup", r#"{"data":["x"]}"#, r#""ERR_GRAPE_LOOKUP""#)]
#[case("/announce", r#"{"data":"x"}"#, r#""ERR_GRAPE_ANNOUNCE""#)]
#[case("/announce", r#"{"data":["x"]}"#, r#""ERR_GRAPE_SERVICE_PORT""#)]
#[case("/announce", r#"{"data":["x",70000]}"#, r#""ERR_GRAPE_SERVICE_PORT""#)]
#[case("/announce", r#"{"data":["",7001]}"#, r#""ERR_GRAPE_ANNOUNCE""#)]
#[case("/withdraw", r#"{"data":["x",1.5]}"#, r#""ERR_GRAPE_SERVICE_PORT""#)]
#[case("/withdraw", r#"{"data":["never announced",1]}"#, "0")]
#[case("/put", r#"{"data":null}"#, r#""ERR_GRAPE_GENERIC""#)]
#[case("/put", r#"{"data":{}}"#, r#""opts.v not given""#)]
#[case("/put", r#"{"data":"hello"}"#, r#""e28910ea0adb94dd45ced75fbff3e135c01bc437""#)]
#[case("/get", "{}", r#""ERR_GRAPE_GENERIC""#)]
#[case("/get", r#"{"data":{"hash":123}}"#, r#""ERR_GRAPE_GENERIC""#)]
#[case("/get", r#"{"data":"zzzz"}"#, "")]
#[case("/get", r#"{"data":"0000000000000000000000000000000000000000"}"#, "")]
#[case("/lookup/", "{}", r#""ERR_REQ_NOTFOUND""#)]
#[case("/lookup?x=1", "{}", r#""ERR_REQ_NOTFOUND""#)]
#[case("/LOOKUP", "{}", r#""ERR_REQ_NOTFOUND""#)]
#[tokio::test]
async fn requests_are_answered_with_200(
    #[case] path: &str,
    #[case] body: &str,
    #[case] answer: &str,
) {
    let grape = alone().await;
    let response = Raw::connect(grape.api_addr()).await.post(path, body).await;
    assert_eq!((response.status, &*response.body), (200, answer));
}

#[rstest]
#[tokio::test]
async fn bodies_that_are_no_json_are_refused(
    #[values("/lookup", "/nope", "/")] path: &str,
    #[values("", "x", "{", "null")] body: &str,
) {
    let grape = alone().await;
    let response = Raw::connect(grape.api_addr()).await.post(path, body).await;
    assert_eq!((response.status, &*response.body), (500, "ERR_GRAPE_PAYLOAD_INVALID"));
}

#[tokio::test]
async fn a_service_is_found_at_another_grape_until_it_is_withdrawn() {
    let (here, there) = pair().await;
    assert_eq!(ask(here.api_addr(), "announce", json!(["rpc_test", 7001])).await, json!(1));
    assert_eq!(ask(here.api_addr(), "announce", json!(["rpc_test", 7002])).await, json!(1));
    let mut found = peers(there.api_addr(), "rpc_test").await;
    found.sort();
    assert_eq!(found, ["127.0.0.1:7001", "127.0.0.1:7002"]);

    assert_eq!(ask(here.api_addr(), "withdraw", json!(["rpc_test", 7001])).await, json!(1));
    assert_eq!(peers(here.api_addr(), "rpc_test").await, ["127.0.0.1:7002"]);
    for _ in 0..50 {
        if peers(there.api_addr(), "rpc_test").await == ["127.0.0.1:7002"] {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("a withdrawn peer should be gone in 5 s");
}

#[tokio::test]
async fn port_0_announces_the_dht_port() {
    let grape = alone().await;
    ask(grape.api_addr(), "announce", json!(["dht", 0])).await;
    let expected = format!("127.0.0.1:{}", grape.dht_addr().port());
    assert_eq!(peers(grape.api_addr(), "dht").await, [expected]);
}

#[rstest]
#[case(json!("text"), "text")]
#[case(json!({"v": "text é"}), "text é")]
#[case(json!({"v": [1, "two"]}), r#"[1,"two"]"#)]
#[case(json!({"v": 5}), "5")]
#[tokio::test]
async fn a_value_is_found_at_another_grape(#[case] data: Value, #[case] text: &str) {
    let (here, there) = pair().await;
    let id = ask(here.api_addr(), "put", data).await;
    for grape in [&here, &there] {
        let got = ask(grape.api_addr(), "get", id.clone()).await;
        assert_eq!(got["v"], text);
        assert_eq!(got["id"].as_str().unwrap().len(), 40);
    }
}

#[tokio::test]
async fn a_name_that_is_no_unicode_is_found_as_nodejs_writes_it() {
    let grape = alone().await;
    let mut client = Raw::connect(grape.api_addr()).await;
    assert_eq!(client.post("/announce", r#"{"data":["a\ud800b",1]}"#).await.body, "0");
    assert_eq!(peers(grape.api_addr(), "a\u{fffd}b").await, ["127.0.0.1:1"]);
}

async fn peers(address: SocketAddr, name: &str) -> Vec<String> {
    serde_json::from_value(ask(address, "lookup", json!(name)).await).unwrap()
}

async fn ask(address: SocketAddr, verb: &str, data: Value) -> Value {
    let body = json!({ "rid": "1", "data": data }).to_string();
    let response = Raw::connect(address).await.post(&format!("/{verb}"), &body).await;
    assert_eq!(response.status, 200, "{}", response.body);
    serde_json::from_str(&response.body).unwrap()
}
