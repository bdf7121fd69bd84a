//! What a client may cost that does not finish what it began: bytes and time.

use std::time::Duration;

use futures_util::future::join_all;
use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::{Instant, sleep, timeout};

use crate::figure;
use crate::grapes::alone;
use crate::raw::{Raw, request};
use crate::websocket::handshake;

/// How long the beginning of a request is kept. The tests wait for three times as long.
const GIVEN_UP: Duration = Duration::from_secs(10);

/// A head of a request, this many bytes long with its end.
fn head_of(bytes: usize) -> String {
    let head = "GET /healthz HTTP/1.1\r\nHost: grape\r\nX: ";
    format!("{head}{}\r\n\r\n", "x".repeat(bytes - head.len() - 4))
}

#[rstest]
#[case(16 << 10, 200)]
#[case((16 << 10) + 1, 431)]
#[case(60 << 10, 431)]
#[case(900 << 10, 431)]
#[tokio::test]
async fn a_head_has_16_kib_at_most(#[case] bytes: usize, #[case] status: u16) {
    let grape = alone().await;
    let mut client = Raw::connect(grape.api_addr()).await;
    client.try_send(head_of(bytes).as_bytes()).await;
    let response = client.response().await;
    assert_eq!(response.status, status);
    if status == 431 {
        assert!(response.closes(), "{}", response.head);
        assert_eq!(client.rest().await, "");
    }
}

/// The client has sent nothing but a part of the head, and waits.
#[rstest]
#[tokio::test]
async fn a_head_too_long_is_refused_before_its_end(#[values(17, 60)] kib: usize) {
    let grape = alone().await;
    let mut client = Raw::connect(grape.api_addr()).await;
    client.send(head_of(kib << 10).trim_end()).await;
    let response = client.response().await;
    assert_eq!((response.status, response.closes()), (431, true));
    assert_eq!(client.rest().await, "");
}

#[rstest]
#[case::one_byte("G")]
#[case::a_head("GET /healthz HTTP/1.1\r\nHost: grape\r\n")]
#[case::a_large_head(&head_of(15 << 10))]
#[case::a_body("POST /lookup HTTP/1.1\r\nHost: grape\r\nContent-Length: 20\r\n\r\n{\"data\":")]
#[case::the_start_of_a_body("POST /lookup HTTP/1.1\r\nHost: grape\r\nContent-Length: 20\r\n\r\n{")]
#[case::a_chunk("POST /lookup HTTP/1.1\r\nHost: grape\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{")]
#[case::the_extension_of_a_chunk(
    "POST /lookup HTTP/1.1\r\nHost: grape\r\nTransfer-Encoding: chunked\r\n\r\n5;a"
)]
#[case::the_body_of_a_drain("POST /drain HTTP/1.1\r\nHost: grape\r\nContent-Length: 3\r\n\r\n{")]
#[tokio::test]
async fn a_request_that_does_not_come_whole_is_given_up(
    #[case] part: &str,
    #[values(false, true)] after_another: bool,
) {
    let part = part.trim_end();
    let grape = alone().await;
    let mut client = Raw::connect(grape.api_addr()).await;
    let began = Instant::now();
    if after_another {
        // In one write, so that the part is read ahead.
        client.send(request("POST", "/lookup", r#"{"data":"x"}"#) + part).await;
        assert_eq!(client.response().await.body, "[]");
    } else {
        client.send(part).await;
    }
    let ended = timeout(3 * GIVEN_UP, client.patiently()).await.expect("it is given up in 10 s");
    assert_eq!((ended.status, ended.closes()), (408, true));
    let took = began.elapsed();
    assert!(took >= GIVEN_UP - Duration::from_millis(100), "{took:?}");
    figure("16: a part of a request: given up after", took);
}

#[rstest]
#[tokio::test]
async fn a_request_that_trickles_in_is_given_up(#[values(false, true)] body: bool) {
    let grape = alone().await;
    let mut client = Raw::connect(grape.api_addr()).await;
    let began = Instant::now();
    client.send("POST /lookup HTTP/1.1\r\n").await;
    if body {
        client.send("Content-Length: 8000\r\n\r\n").await;
    }
    let trickled = async {
        loop {
            client.send("a").await;
            match timeout(Duration::from_millis(500), client.patiently()).await {
                Ok(response) => return response,
                Err(_) => assert!(began.elapsed() < 3 * GIVEN_UP, "it is given up in 10 s"),
            }
        }
    };
    assert_eq!(trickled.await.status, 408);
}

#[tokio::test]
async fn a_connection_may_be_idle_for_longer() {
    let grape = alone().await;
    let mut fresh = Raw::connect(grape.api_addr()).await;
    let mut used = Raw::connect(grape.api_addr()).await;
    assert_eq!(used.get("/healthz").await.status, 200);
    // Line ends between requests are skipped: RFC 9112, section 2.2.
    used.send("\r\n").await;
    sleep(GIVEN_UP + GIVEN_UP / 2).await;
    for client in [&mut fresh, &mut used] {
        assert_eq!(client.get("/healthz").await.status, 200);
    }
}

#[tokio::test]
async fn stalled_requests_do_not_keep_others_out() {
    let grape = alone().await;
    let part = head_of(15 << 10);
    let mut stalled = join_all((0..600).map(|_| Raw::connect(grape.api_addr()))).await;
    for client in &mut stalled {
        client.send(part.trim_end()).await;
    }
    let mut other = Raw::connect(grape.api_addr()).await;
    assert_eq!(other.post("/lookup", r#"{"data":"x"}"#).await.body, "[]");
    let statuses: Vec<u16> =
        join_all(stalled.iter_mut().map(async |client| client.patiently().await.status)).await;
    let refused = statuses.iter().filter(|status| **status == 503).count();
    let late = statuses.iter().filter(|status| **status == 408).count();
    assert!(refused > 0 && late > 0 && refused + late == 600, "{refused} 503, {late} 408");
    // What they held is free again.
    let mut next = Raw::connect(grape.api_addr()).await;
    next.send(part.trim_end()).await;
    sleep(Duration::from_millis(100)).await;
    next.send("\r\n\r\n").await;
    assert_eq!(next.response().await.status, 200);
}

#[tokio::test]
async fn a_client_that_takes_no_answers_is_given_up() {
    let grape = alone().await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut client = Raw::over(socket.connect(grape.api_addr()).await.unwrap());
    let began = Instant::now();
    // Answers of more than a MB, none of which it reads.
    let asked = "GET /status HTTP/1.1\r\nHost: grape\r\n\r\n".repeat(2000);
    let _ = timeout(Duration::from_secs(1), client.try_send(asked.as_bytes())).await;
    let open = "\ngrape_api_connections 1\n";
    while !Raw::connect(grape.api_addr()).await.get("/metrics").await.body.contains(open) {
        assert!(began.elapsed() < Duration::from_secs(90), "it is given up in 30 s");
        sleep(Duration::from_millis(200)).await;
    }
    figure("15: a client that takes no answers: given up after", began.elapsed());
}

#[tokio::test]
async fn a_message_that_does_not_come_whole_is_given_up() {
    let grape = alone().await;
    let mut stream = handshake(grape.api_addr()).await;
    // The first fragment, a ping in between, and the head of the second.
    let frames = [0x01, 0x81, 0, 0, 0, 0, b'[', 0x89, 0x80, 0, 0, 0, 0, 0x80, 0x85];
    stream.write_all(&frames).await.unwrap();
    let mut got = Vec::new();
    let read = timeout(3 * GIVEN_UP, stream.read_to_end(&mut got)).await;
    assert!(read.is_ok(), "it is given up in 10 s");
    assert_eq!(&got[..2], b"\x8a\x00", "the pong");
    assert_eq!((got[2], u16::from_be_bytes([got[4], got[5]])), (0x88, 1008), "{got:?}");
}
