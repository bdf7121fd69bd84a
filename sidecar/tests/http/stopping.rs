//! A Grape that stops answers what was sent to it before.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rstest::rstest;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

use crate::grapes::{SOON, alone};
use crate::raw::{Raw, request};

const LOOKUP: &str = r#"{"data":"x"}"#;

/// A connection that the Grape has not accepted yet, with these bytes sent: nothing is awaited, and
/// the Grape is on this thread.
fn waiting(address: SocketAddr, bytes: &str) -> Raw {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    stream.set_nonblocking(true).unwrap();
    Raw::over(TcpStream::from_std(stream).unwrap())
}

#[tokio::test]
async fn a_request_that_was_not_read_yet_is_answered() {
    let grape = alone().await;
    let mut client = std::net::TcpStream::connect(grape.api_addr()).unwrap();
    // The Grape has accepted the connection, and waits for a request.
    assert_eq!(Raw::connect(grape.api_addr()).await.get("/healthz").await.status, 200);
    client.write_all(request("POST", "/lookup", LOOKUP).as_bytes()).unwrap();
    client.set_nonblocking(true).unwrap();
    let drain = tokio::spawn(grape.drain());
    let mut client = Raw::over(TcpStream::from_std(client).unwrap());
    let response = client.response().await;
    assert_eq!((&*response.body, response.closes()), ("[]", true));
    assert_eq!(client.rest().await, "");
    assert_eq!(drain.await.unwrap().cut_off, 0);
}

#[tokio::test]
async fn connections_that_were_not_accepted_yet_are_served() {
    let grape = alone().await;
    let mut clients: Vec<Raw> =
        (0..50).map(|_| waiting(grape.api_addr(), &request("POST", "/lookup", LOOKUP))).collect();
    let drain = tokio::spawn(grape.drain());
    for client in &mut clients {
        let response = client.response().await;
        assert_eq!((&*response.body, response.closes()), ("[]", true));
        assert_eq!(client.rest().await, "");
    }
    assert_eq!(drain.await.unwrap().cut_off, 0);
}

#[rstest]
#[tokio::test]
async fn requests_that_do_not_wait_are_all_answered(
    #[values(2, 20, 300)] count: usize,
    #[values(false, true)] accepted: bool,
    #[values(false, true)] chunked: bool,
) {
    let grape = alone().await;
    let one = if chunked {
        let head = "POST /lookup HTTP/1.1\r\nHost: grape\r\nTransfer-Encoding: chunked\r\n\r\n";
        format!("{head}{:x}\r\n{LOOKUP}\r\n0\r\n\r\n", LOOKUP.len())
    } else {
        request("POST", "/lookup", LOOKUP)
    };
    let mut client = waiting(grape.api_addr(), &one.repeat(count));
    if accepted {
        assert_eq!(client.response().await.body, "[]");
    }
    let drain = tokio::spawn(grape.drain());
    for rest in (0..count - usize::from(accepted)).rev() {
        let response = client.response().await;
        assert_eq!(response.body, "[]");
        assert!(rest == 0 || !response.closes(), "{rest} were still to come");
    }
    assert_eq!(client.rest().await, "");
    assert_eq!(drain.await.unwrap().cut_off, 0);
}

#[tokio::test]
async fn a_request_in_pieces_is_answered() {
    let grape = alone().await;
    let mut client = Raw::connect(grape.api_addr()).await;
    let whole = request("POST", "/lookup", LOOKUP);
    let (first, rest) = whole.split_at(20);
    client.send(first).await;
    assert_eq!(Raw::connect(grape.api_addr()).await.get("/healthz").await.status, 200);
    let drain = tokio::spawn(grape.drain());
    for piece in [&rest[..15], &rest[15..30], &rest[30..]] {
        sleep(Duration::from_millis(200)).await;
        client.send(piece).await;
    }
    let response = client.response().await;
    assert_eq!((&*response.body, response.closes()), ("[]", true));
    assert_eq!(drain.await.unwrap().cut_off, 0);
}

/// One request after another, with a pause between: none of them is lost.
#[rstest]
#[tokio::test]
async fn a_client_that_goes_on_gets_connection_close_with_its_last_answer(
    #[values(0, 10, 200)] pause: u64,
) {
    let grape = alone().await;
    let mut client = Raw::connect(grape.api_addr()).await;
    assert_eq!(client.post("/lookup", LOOKUP).await.body, "[]");
    let drain = tokio::spawn(grape.drain());
    let told = async {
        loop {
            sleep(Duration::from_millis(pause)).await;
            let response = client.post("/lookup", LOOKUP).await;
            assert_eq!(response.body, "[]");
            if response.closes() {
                return;
            }
        }
    };
    timeout(SOON, told).await.expect("it is told soon");
    assert_eq!(client.rest().await, "");
    assert_eq!(drain.await.unwrap().cut_off, 0);
}

#[tokio::test]
async fn frames_of_a_websocket_that_were_not_read_yet_are_answered() {
    let grape = alone().await;
    let address = grape.api_addr();
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut socket, _) = client_async(format!("ws://{address}/"), stream).await.unwrap();
    for rid in 0..200 {
        socket.feed(Message::text(format!("[{rid},\"lookup\",\"x\"]"))).await.unwrap();
    }
    socket.flush().await.unwrap();
    let drain = tokio::spawn(grape.drain());
    let mut answers = 0;
    loop {
        match timeout(SOON, socket.next()).await.expect("an answer soon").unwrap().unwrap() {
            Message::Text(_) => answers += 1,
            Message::Close(_) => break,
            _ => {}
        }
    }
    assert_eq!(answers, 200);
    drop(socket);
    assert_eq!(drain.await.unwrap().cut_off, 0);
}

#[tokio::test]
async fn idle_connections_do_not_hold_it_up() {
    let grape = alone().await;
    let mut idle = Raw::connect(grape.api_addr()).await;
    assert_eq!(idle.get("/healthz").await.status, 200);
    let _silent = Raw::connect(grape.api_addr()).await;
    let drained = grape.drain().await;
    assert_eq!(drained.cut_off, 0);
    // One second is wanted; the drain's own limit is ten.
    assert!(drained.took < Duration::from_secs(3), "{drained:?}");
    crate::figure("14: a drain with idle connections", drained.took);
}
