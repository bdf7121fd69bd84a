//! `/gossip/GROUP/events` over a WebSocket.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use grape::config::Config;
use grape::lifecycle::Grape;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::grapes::{SOON, alone, config, node, start};
use crate::raw::{Raw, request};

type Socket = WebSocketStream<TcpStream>;

fn in_workers() -> Config {
    Config { gossip: vec!["workers".to_owned()], ..config() }
}

async fn follow(address: SocketAddr, query: &str) -> Socket {
    let stream = TcpStream::connect(address).await.unwrap();
    let url = format!("ws://{address}/gossip/workers/events{query}");
    client_async(url, stream).await.unwrap().0
}

async fn next(socket: &mut Socket) -> Message {
    timeout(3 * SOON, socket.next()).await.expect("a message soon").unwrap().unwrap()
}

/// The next event. A ping may come before it.
async fn event(socket: &mut Socket) -> Value {
    loop {
        if let Message::Text(text) = next(socket).await {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

async fn set(grape: &Grape, key: &str) {
    let mut client = Raw::connect(grape.api_addr()).await;
    client.send(request("PUT", &format!("/gossip/workers/state/{key}"), "1")).await;
    assert_eq!(client.response().await.status, 200);
}

/// Waits until so many streams of events are open.
async fn until_open(grape: &Grape, count: usize) {
    let gauge = format!("\ngrape_watches {count}\n");
    let open = async {
        while !Raw::connect(grape.api_addr()).await.get("/metrics").await.body.contains(&gauge) {}
    };
    timeout(3 * SOON, open).await.expect("the streams should be open soon");
}

#[tokio::test]
async fn each_event_is_a_text_with_its_number() {
    let here = start(in_workers()).await;
    let mut socket = follow(here.api_addr(), "").await;
    let other = Config { bootstrap: vec![node(here.dht_addr())], ..in_workers() };
    let there = start(other).await;
    let peer = there.dht_addr();
    let first = event(&mut socket).await;
    assert_eq!((&first["event"], &first["data"]["peer"]), (&json!("new_peer"), &json!(peer)));
    let id = first["id"].as_u64().unwrap();
    // What a client sends is ignored.
    socket.send(Message::text("x".repeat(1024))).await.unwrap();
    socket.send(Message::binary(vec![0xff])).await.unwrap();
    set(&there, "a").await;
    let data = json!({"peer": peer, "key": "a", "value": 1});
    let update = json!({"id": id + 1, "event": "update", "data": data});
    assert_eq!(event(&mut socket).await, update);

    let mut late = follow(here.api_addr(), &format!("?since={id}")).await;
    assert_eq!(event(&mut late).await, update);
    let mut restarted = follow(here.api_addr(), "?since=1").await;
    assert_eq!(event(&mut restarted).await, json!({"event": "gap", "data": {}}));
    assert_eq!(event(&mut restarted).await, first);

    until_open(&here, 3).await;
    drop((late, restarted));
    socket.close(None).await.unwrap();
    until_open(&here, 0).await;
}

#[tokio::test]
async fn a_socket_that_follows_a_group_joins_it() {
    let grape = alone().await;
    let _socket = follow(grape.api_addr(), "").await;
    let groups = Raw::connect(grape.api_addr()).await.get("/gossip").await.body;
    assert!(groups.contains("workers"), "{groups}");
}

#[tokio::test]
async fn a_client_is_pinged_and_pings() {
    let grape = start(in_workers()).await;
    let mut socket = follow(grape.api_addr(), "").await;
    socket.send(Message::Ping("are you there".into())).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::Pong("are you there".into()));
    assert_eq!(next(&mut socket).await, Message::Ping("".into()));
}

#[tokio::test]
async fn a_long_message_ends_the_connection() {
    let grape = start(in_workers()).await;
    let mut socket = follow(grape.api_addr(), "").await;
    socket.send(Message::text("x".repeat(1025))).await.unwrap();
    let Message::Close(Some(frame)) = next(&mut socket).await else { panic!("a close frame") };
    assert_eq!(frame.code, CloseCode::Size);
}

#[tokio::test]
async fn a_grape_that_stops_says_goodbye() {
    let grape = start(in_workers()).await;
    let mut socket = follow(grape.api_addr(), "").await;
    let (drained, closed) = tokio::join!(grape.drain(), next(&mut socket));
    let Message::Close(Some(frame)) = closed else { panic!("a close frame") };
    assert_eq!((frame.code, &*frame.reason), (CloseCode::Away, "the Grape stops"));
    assert_eq!(drained.cut_off, 0);
}

/// What asks for an upgrade but is no handshake, or cannot be followed.
#[tokio::test]
async fn a_bad_handshake_is_refused_with_what_is_wrong() {
    let grape = start(in_workers()).await;
    for (path, why) in [
        ("/gossip/workers/events", "This is no WebSocket handshake"),
        ("/gossip/workers/events?since=x", "the number of an event"),
    ] {
        let mut client = Raw::connect(grape.api_addr()).await;
        let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
        client.send(format!("GET {path} HTTP/1.1\r\nHost: grape\r\n{upgrade}\r\n")).await;
        let refusal = client.response().await;
        assert_eq!(refusal.status, 400, "{}", refusal.body);
        assert!(refusal.body.contains(why), "{}", refusal.body);
    }
}
