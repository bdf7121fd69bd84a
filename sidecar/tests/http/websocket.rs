//! The verbs over a WebSocket.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
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

/// RFC 6455, sections 5, 7.4.1 and 8.1.
#[rstest]
#[case::a_frame_without_mask(&[0x81, 1, b'x'], 1002)]
#[case::a_first_reserved_bit(&masked(0xc1, b"x"), 1002)]
#[case::a_second_reserved_bit(&masked(0xa1, b"x"), 1002)]
#[case::a_third_reserved_bit(&masked(0x91, b"x"), 1002)]
#[case::a_reserved_opcode_of_data(&masked(0x83, b"x"), 1002)]
#[case::a_reserved_opcode_of_control(&masked(0x8b, b"x"), 1002)]
#[case::a_ping_in_fragments(&masked(0x09, b"x"), 1002)]
#[case::a_close_in_fragments(&masked(0x08, &[3, 232]), 1002)]
#[case::a_ping_over_125_bytes(&masked(0x89, &[b'x'; 126]), 1002)]
#[case::a_continuation_of_nothing(&masked(0x80, b"x"), 1002)]
#[case::a_message_within_another(&[masked(0x01, b"a"), masked(0x81, b"b")].concat(), 1002)]
#[case::a_close_of_one_byte(&masked(0x88, &[3]), 1002)]
#[case::a_close_with_code_0(&masked(0x88, &[0, 0]), 1002)]
#[case::a_close_with_code_999(&masked(0x88, &[3, 231]), 1002)]
#[case::a_close_with_code_1005(&masked(0x88, &[3, 237]), 1002)]
#[case::a_close_with_code_1006(&masked(0x88, &[3, 238]), 1002)]
#[case::a_close_with_code_1015(&masked(0x88, &[3, 247]), 1002)]
#[case::a_close_with_code_5000(&masked(0x88, &[0x13, 0x88]), 1002)]
#[case::a_close_whose_reason_is_no_text(&masked(0x88, &[3, 232, 0xff]), 1007)]
#[case::a_text_that_is_none(&masked(0x81, &[b'"', 0xff, b'"']), 1007)]
#[case::a_text_that_ends_within_a_character(&masked(0x81, &[0xc3]), 1007)]
#[case::fragments_of_no_text(&[masked(0x01, b"a"), masked(0x80, &[0xff])].concat(), 1007)]
#[case::a_frame_too_big(&masked(0x81, &[b'x'; 8193]), 1009)]
#[case::a_frame_that_says_it_is_too_big(&[0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1009)]
#[case::fragments_too_big(
    &[masked(0x01, &[b'x'; 8000]), masked(0x80, &[b'x'; 193])].concat(), 1009
)]
#[case::a_close(&masked(0x88, &[3, 232]), 1000)]
#[case::a_close_with_a_code_of_the_programs_own(&masked(0x88, &[0x0f, 0xa0]), 4000)]
#[tokio::test]
async fn a_breach_is_closed_with_the_matching_code(
    #[case] frames: &[u8],
    #[case] code: u16,
    #[values(false, true)] after_a_request: bool,
) {
    let grape = alone().await;
    let mut stream = handshake(grape.api_addr()).await;
    if after_a_request {
        stream.write_all(&masked(0x81, br#"[1,"lookup","x"]"#)).await.unwrap();
        let mut answer = [0; 8];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"\x81\x06[1,[]]");
    }
    stream.write_all(frames).await.unwrap();
    let got = rest(&mut stream).await;
    assert_eq!(got.first(), Some(&0x88), "a close frame: {got:?}");
    assert_eq!(u16::from_be_bytes([got[2], got[3]]), code, "{}", String::from_utf8_lossy(&got));
    assert_eq!(got.len(), 2 + usize::from(got[1]), "nothing after the close frame");
}

#[tokio::test]
async fn a_close_without_a_code_is_returned_without_one() {
    let grape = alone().await;
    let mut stream = handshake(grape.api_addr()).await;
    stream.write_all(&masked(0x88, b"")).await.unwrap();
    assert_eq!(rest(&mut stream).await, [0x88, 0]);
}

#[tokio::test]
async fn requests_before_a_breach_are_answered() {
    let grape = alone().await;
    let mut stream = handshake(grape.api_addr()).await;
    let request = masked(0x81, br#"[1,"lookup","x"]"#);
    stream.write_all(&[request, masked(0x83, b"x")].concat()).await.unwrap();
    let got = rest(&mut stream).await;
    assert!(got.starts_with(b"\x81\x06[1,[]]\x88"), "{}", String::from_utf8_lossy(&got));
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
async fn a_bad_handshake_is_explained() {
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

/// A frame as a client sends it, its mask zero.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u16::try_from(payload.len()).unwrap() {
        length @ 0..=125 => frame.push(0x80 | u8::try_from(length).unwrap()),
        length => {
            frame.push(0x80 | 126);
            frame.extend(length.to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// A WebSocket without a library in between.
pub(crate) async fn handshake(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "GET / HTTP/1.1\r\nHost: grape\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    stream
}

/// All that comes until the connection ends.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset after the last byte is an end as well.
    let _ = timeout(SOON, stream.read_to_end(&mut bytes)).await.expect("an end soon");
    bytes
}
