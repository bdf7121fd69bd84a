//! `GET /watch`: a name's peers, followed.

use std::time::Duration;

use rstest::rstest;
use tokio::net::TcpSocket;
use tokio::time::{Instant, sleep};

use crate::figure;
use crate::grapes::{alone, pair};
use crate::raw::Raw;

#[tokio::test]
async fn peers_come_at_first_and_when_they_change() {
    let (here, there) = pair().await;
    let mut service = Raw::connect(here.api_addr()).await;
    service.post("/announce", r#"{"data":["a b",7001]}"#).await;

    let mut watcher = Raw::connect(there.api_addr()).await;
    watcher.send("GET /watch?name=a%20b HTTP/1.1\r\nHost: grape\r\n\r\n").await;
    let head = watcher.head().await;
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    assert_eq!(event(&mut watcher).await, r#"["127.0.0.1:7001"]"#);

    service.post("/announce", r#"{"data":["a b",7002]}"#).await;
    assert_eq!(event(&mut watcher).await, r#"["127.0.0.1:7001","127.0.0.1:7002"]"#);
    service.post("/withdraw", r#"{"data":["a b",7001]}"#).await;
    assert_eq!(event(&mut watcher).await, r#"["127.0.0.1:7002"]"#);
}

#[tokio::test]
async fn a_name_without_peers_has_an_empty_list() {
    let grape = alone().await;
    let mut watcher = Raw::connect(grape.api_addr()).await;
    watcher.send("GET /watch?name=x HTTP/1.1\r\nHost: grape\r\n\r\n").await;
    assert_eq!(event(&mut watcher).await, "[]");
}

#[tokio::test]
async fn watches_are_counted_while_they_are_open() {
    let grape = alone().await;
    let mut watcher = Raw::connect(grape.api_addr()).await;
    watcher.send("GET /watch?name=x HTTP/1.1\r\nHost: grape\r\n\r\n").await;
    event(&mut watcher).await;
    let metrics = Raw::connect(grape.api_addr()).await.get("/metrics").await.body;
    assert!(metrics.contains("\ngrape_watches 1\n"), "{metrics}");
}

#[rstest]
#[tokio::test]
async fn a_watch_needs_a_name(#[values("/watch", "/watch?", "/watch?name=")] path: &str) {
    let grape = alone().await;
    let mut client = Raw::connect(grape.api_addr()).await;
    let response = client.get(path).await;
    assert_eq!(response.status, 400);
    assert!(response.body.contains("/watch?name="), "{}", response.body);
}

#[tokio::test]
async fn a_watcher_that_reads_no_more_loses_its_place() {
    let grape = alone().await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut watcher = Raw::over(socket.connect(grape.api_addr()).await.unwrap());
    watcher.send("GET /watch?name=x HTTP/1.1\r\nHost: grape\r\n\r\n").await;
    watcher.head().await;

    let began = Instant::now();
    let mut service = Raw::connect(grape.api_addr()).await;
    for port in 1000..1300 {
        service.post("/announce", &format!("{{\"data\":[\"x\",{port}]}}")).await;
    }
    // More than all buffers hold: 60 events of 5 KB, each of which another watcher has got.
    let mut reader = Raw::connect(grape.api_addr()).await;
    reader.send("GET /watch?name=x HTTP/1.1\r\nHost: grape\r\n\r\n").await;
    event(&mut reader).await;
    for verb in ["/announce", "/withdraw"].repeat(30) {
        service.post(verb, r#"{"data":["x",999]}"#).await;
        event(&mut reader).await;
    }
    drop(reader);
    let mut other = Raw::connect(grape.api_addr()).await;
    while !other.get("/metrics").await.body.contains("\ngrape_watches 0\n") {
        assert!(began.elapsed() < Duration::from_secs(90), "its place should be free in 30 s");
        sleep(Duration::from_millis(100)).await;
    }
    figure("15: a watcher that reads no more: its place was free after", began.elapsed());
}

/// The peers of the next event. A comment may come before it, as often as the watch sends them.
async fn event(watcher: &mut Raw) -> String {
    loop {
        let text = watcher.until("\n\n").await;
        if let Some((_, data)) = text.split_once("event: peers\ndata: ") {
            return data.trim_end().to_owned();
        }
    }
}
