//! The HTTP API byte by byte: connections that are kept, requests that follow each other, odd
//! bodies; what ends npm's Grape but must not end ours; a Grape that is stopped under load; requests
//! that stall; and a real browser.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod browser;
mod stalled;
mod stopped;

use grape_tests::grape::{Grape, Kind};
use grape_tests::http::{Connection, Request};
use grape_tests::network::{Network, Shape};
use rstest::rstest;
use serde_json::json;

async fn pair(kind: Kind) -> Network {
    Network::start(Shape::Star, &[kind; 2]).await.unwrap()
}

fn lookup(name: &str) -> Request {
    Request::post("/lookup", json!({ "rid": "r", "data": name }).to_string())
}

async fn connect(grape: &Grape) -> Connection {
    Connection::open(grape.api()).await.unwrap()
}

#[rstest]
#[tokio::test]
async fn a_connection_is_kept(#[values(Kind::Npm, Kind::Ours)] kind: Kind) {
    let network = pair(kind).await;
    let mut connection = connect(&network.grapes[0]).await;
    for round in 0..20 {
        connection.send(&lookup(&format!("name:{round}")).bytes()).await.unwrap();
        assert_eq!(connection.reply(false).await.unwrap().body, "[]", "round {round}");
        // An error does not end it either.
        connection.send(&Request::post("/nope", "garbage").bytes()).await.unwrap();
        assert_eq!(connection.reply(false).await.unwrap().status, 500, "round {round}");
    }
}

#[rstest]
#[tokio::test]
async fn requests_that_do_not_wait_are_answered_in_order(
    #[values(Kind::Npm, Kind::Ours)] kind: Kind,
) {
    let network = pair(kind).await;
    network.grapes[0].announce("third", 7000).await.unwrap();
    let mut connection = connect(&network.grapes[0]).await;
    let requests = [
        lookup("first"),
        Request::post("/nope", "{}"),
        lookup("third"),
        Request::post("/lookup", "garbage"),
        lookup("fifth"),
    ];
    let bytes: Vec<u8> = requests.iter().flat_map(Request::bytes).collect();
    connection.send(&bytes).await.unwrap();
    let expected =
        ["[]", r#""ERR_REQ_NOTFOUND""#, r#"["127.0.0.1:7000"]"#, "ERR_GRAPE_PAYLOAD_INVALID", "[]"];
    for body in expected {
        assert_eq!(connection.reply(false).await.unwrap().body, body);
    }
}

#[rstest]
#[tokio::test]
async fn http_1_0_is_answered_and_closed(#[values(Kind::Npm, Kind::Ours)] kind: Kind) {
    let network = pair(kind).await;
    let mut connection = connect(&network.grapes[0]).await;
    let body = r#"{"data":"name"}"#;
    let request = format!("POST /lookup HTTP/1.0\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    connection.send(request.as_bytes()).await.unwrap();
    let reply = connection.reply(false).await.unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (200, "[]"));
    connection.closes().await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_body_may_come_in_pieces(#[values(Kind::Npm, Kind::Ours)] kind: Kind) {
    let network = pair(kind).await;
    let mut connection = connect(&network.grapes[0]).await;
    let head = "POST /lookup HTTP/1.1\r\nhost: grape\r\ntransfer-encoding: chunked\r\n\r\n";
    for piece in
        [head, "7;odd=\"x\"\r\n{\"data\"\r\n", "1\r\n:\r\n", "7\r\n\"na", "me\"}\r\n0\r\n\r\n"]
    {
        connection.send(piece.as_bytes()).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let reply = connection.reply(false).await.unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (200, "[]"));
}

#[rstest]
#[tokio::test]
async fn invalid_http_is_refused(#[values(Kind::Npm, Kind::Ours)] kind: Kind) {
    let network = pair(kind).await;
    let grape = &network.grapes[0];
    let mut connection = connect(grape).await;
    connection.send(b"\x16\x03\x01 this is no HTTP\r\n\r\n").await.unwrap();
    let reply = connection.reply(false).await.unwrap();
    assert_eq!(reply.status, 400, "{reply:?}");
    connection.closes().await.unwrap();
    assert_eq!(grape.send(&lookup("name")).await.unwrap().body, "[]");
}

/// npm's Grape reads until it has read too much; ours trusts the header.
#[tokio::test]
async fn a_body_that_is_said_to_be_too_long_is_refused_before_it_comes() {
    let network = pair(Kind::Ours).await;
    let mut connection = connect(&network.grapes[0]).await;
    let request = Request::get("/lookup").method("POST").header("content-length", "999999999");
    connection.send(&request.bytes()).await.unwrap();
    let reply = connection.reply(false).await.unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (413, "ERR_GRAPE_PAYLOAD_SIZE"));
    connection.closes().await.unwrap();
}

/// Requests that anyone who reaches its API can send.
#[rstest]
#[case::an_empty_name(&[
    ("announce", json!(["", 7001])), ("lookup", json!("x")), ("lookup", json!("y")),
    ("get", json!("zzzz")), ("get", json!("")), ("lookup", json!("z")), ("get", json!("zzzz")),
])]
#[case::a_port_that_is_none(&[("announce", json!(["name", 65536]))])]
#[tokio::test]
async fn requests_that_end_npms_grape_do_not_end_ours(
    #[case] requests: &[(&str, serde_json::Value)],
    #[values(Kind::Npm, Kind::Ours)] kind: Kind,
) {
    let mut network = pair(kind).await;
    let grape = &mut network.grapes[0];
    let mut answers = Vec::new();
    for (verb, data) in requests {
        let answer = grape.call(verb, data.clone()).await;
        answers.push(answer.map_or_else(|e| format!("{e:#}"), |reply| format!("{reply:?}")));
    }
    match kind {
        // Once this fails, npm's Grape is mended, and the row in the protocol's description is old.
        Kind::Npm => {
            let ended = grape.process().ended().await;
            assert!(ended.is_ok_and(|status| !status.success()), "it lives: {answers:#?}");
        }
        Kind::Ours => {
            assert_eq!(grape.process().has_ended().unwrap(), None, "{answers:#?}");
            assert!(grape.lookup("name").await.unwrap().is_empty(), "{answers:#?}");
        }
    }
}
