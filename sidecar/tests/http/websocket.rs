//! The verbs over a WebSocket.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::grapes::{SOON, alone};
use crate::raw::Raw;

type Socket = WebSocketStream<TcpStream>;

#[tokio::test]
async fn verbs_are_answered_with_their_request_ids() {
    let grape = alone().await;
    let mut socket = connect(grape.api_addr(), "/").await;
    assert_eq!(ask(&mut socket, r#"["a","announce",["rpc_test",7001]]"#).await, json!(["a", 0]));
    let answer = ask(&mut socket, r#"[2,"lookup","rpc_test"]"#).await;
    assert_eq!(answer, json!([2, ["127.0.0.1:7001"]]));
    let put = ask(&mut socket, r#"[null,"Put",{"v":"hello"}]"#).await;
    assert_eq!(put, json!([null, "e28910ea0adb94dd45ced75fbff3e135c01bc437"]));
    let get = json!(["g", "get", put[1]]).to_string();
    assert_eq!(ask(&mut socket, &get).await[1]["v"], "hello");
}

#[rstest]
#[case(r#"["r","lookup"]"#, json!(["r", "ERR_GRAPE_LOOKUP"]))]
#[case(r#"["r","nope","x"]"#, json!(["r", "ERR_REQ_NOTFOUND"]))]
#[case(r#"["r","get","zz"]"#, json!(["r", null]))]
#[case(r#"["r"]"#, json!(["r", "ERR_GRAPE_PAYLOAD_INVALID"]))]
#[case(r#"["r",5,"x"]"#, json!(["r", "ERR_GRAPE_PAYLOAD_INVALID"]))]
#[case("[]", json!([null, "ERR_GRAPE_PAYLOAD_INVALID"]))]
#[case("{}", json!([null, "ERR_GRAPE_PAYLOAD_INVALID"]))]
#[case("", json!([null, "ERR_GRAPE_PAYLOAD_INVALID"]))]
#[case("[\"r\",\"lookup\",\"x\"", json!([null, "ERR_GRAPE_PAYLOAD_INVALID"]))]
#[tokio::test]
async fn unfit_frames_are_refused(#[case] frame: &str, #[case] answer: Value) {
    let grape = alone().await;
    let mut socket = connect(grape.api_addr(), "/").await;
    assert_eq!(ask(&mut socket, frame).await, answer);
    assert_eq!(ask(&mut socket, r#"["again","lookup","x"]"#).await, json!(["again", []]));
}

#[tokio::test]
async fn a_refused_announce_is_noted_as_over_http() {
    let grape = alone().await;
    let mut socket = connect(grape.api_addr(), "/").await;
    let answer = ask(&mut socket, r#"["r","announce",["svc","1337"]]"#).await;
    assert_eq!(answer, json!(["r", "ERR_GRAPE_SERVICE_PORT"]));
    let refusals = grape.refusals();
    assert_eq!((&*refusals[0].name, refusals[0].count), ("svc", 1));
}

#[tokio::test]
async fn binary_frames_are_taken_too() {
    let grape = alone().await;
    let mut socket = connect(grape.api_addr(), "/").await;
    socket.send(Message::binary(br#"["r","lookup","x"]"#.to_vec())).await.unwrap();
    assert_eq!(text(next(&mut socket).await), json!(["r", []]));
    socket.send(Message::binary(vec![0xff])).await.unwrap();
    assert_eq!(text(next(&mut socket).await), json!([null, "ERR_GRAPE_PAYLOAD_INVALID"]));
}

#[tokio::test]
async fn many_requests_may_be_in_flight() {
    let grape = alone().await;
    let mut socket = connect(grape.api_addr(), "/").await;
    for rid in 0..500 {
        socket.feed(Message::text(format!("[{rid},\"lookup\",\"name {rid}\"]"))).await.unwrap();
    }
    socket.flush().await.unwrap();
    let mut rids = BTreeSet::new();
    while rids.len() < 500 {
        rids.insert(text(next(&mut socket).await)[0].as_u64().unwrap());
    }
    assert_eq!(rids.len(), 500);
}

#[tokio::test]
async fn pings_are_answered() {
    let grape = alone().await;
    let mut socket = connect(grape.api_addr(), "/").await;
    socket.send(Message::Ping("are you there".into())).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::Pong("are you there".into()));
}

#[tokio::test]
async fn a_frame_over_the_limit_ends_the_connection() {
    let grape = alone().await;
    let mut socket = connect(grape.api_addr(), "/").await;
    let fits = format!("[1,\"lookup\",\"x\"]{}", " ".repeat(8192 - 16));
    assert_eq!(ask(&mut socket, &fits).await, json!([1, []]));
    socket.send(Message::text(format!("{fits} "))).await.unwrap();
    let Message::Close(Some(frame)) = next(&mut socket).await else { panic!("a close frame") };
    assert_eq!((frame.code, &*frame.reason), (CloseCode::Size, "ERR_GRAPE_PAYLOAD_SIZE"));
}

#[rstest]
#[tokio::test]
async fn any_path_will_do(#[values("/", "/ws", "/lookup", "/a/b?c=d")] path: &str) {
    let grape = alone().await;
    let mut socket = connect(grape.api_addr(), path).await;
    assert_eq!(ask(&mut socket, r#"[1,"lookup","x"]"#).await, json!([1, []]));
}

#[tokio::test]
async fn a_grape_that_stops_says_goodbye() {
    let grape = alone().await;
    let mut socket = connect(grape.api_addr(), "/").await;
    assert_eq!(ask(&mut socket, r#"[1,"lookup","x"]"#).await, json!([1, []]));
    let drain = tokio::spawn(grape.drain());
    let Message::Close(Some(frame)) = next(&mut socket).await else { panic!("a close frame") };
    assert_eq!(frame.code, CloseCode::Away);
    drop(socket);
    assert_eq!(drain.await.unwrap().cut_off, 0);
}

#[tokio::test]
async fn a_bad_handshake_is_told_why() {
    let grape = alone().await;
    let mut client = Raw::connect(grape.api_addr()).await;
    let request =
        "GET / HTTP/1.1\r\nHost: grape\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    client.send(request).await;
    let response = client.response().await;
    assert_eq!(response.status, 400);
    assert!(response.body.contains("WebSocket handshake"), "{}", response.body);
}

async fn connect(address: SocketAddr, path: &str) -> Socket {
    let stream = TcpStream::connect(address).await.unwrap();
    client_async(format!("ws://{address}{path}"), stream).await.unwrap().0
}

async fn ask(socket: &mut Socket, frame: &str) -> Value {
    socket.send(Message::text(frame)).await.unwrap();
    text(next(socket).await)
}

async fn next(socket: &mut Socket) -> Message {
    timeout(SOON, socket.next()).await.expect("an answer soon").unwrap().unwrap()
}

fn text(message: Message) -> Value {
    serde_json::from_str(message.to_text().unwrap()).unwrap()
}
