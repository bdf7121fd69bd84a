//! What requests cost that do not come whole: in bytes of a real process.

use std::time::Duration;

use grape_tests::figure;
use grape_tests::grape::{Grape, Kind, Options, Seat};
use grape_tests::http::Connection;
use grape_tests::kernel::resident;
use tokio::time::sleep;

/// How many requests stall. The test and the Grape have a descriptor for each.
const STALLED: usize = 1000;

const MIB: f64 = 1024.0 * 1024.0;

/// How many MiB a Grape takes up more once so many heads of `bytes` bytes have stalled, and the
/// connections.
async fn growth(bytes: usize) -> (f64, Grape, Vec<Connection>) {
    let mut grape =
        Grape::start(Kind::Ours, Seat::take().unwrap(), &Options::default()).await.unwrap();
    let pid = grape.process().pid().unwrap();
    grape.lookup("name").await.unwrap();
    let before = resident(pid).unwrap();
    let head = format!("GET /healthz HTTP/1.1\r\nhost: grape\r\nx: {}", "x".repeat(bytes - 45));
    let mut connections = Vec::new();
    for _ in 0..STALLED {
        let mut connection = Connection::open(grape.api()).await.unwrap();
        // A Grape may have refused it before all of it was sent.
        let _ = connection.send(head.as_bytes()).await;
        connections.push(connection);
    }
    sleep(Duration::from_secs(2)).await;
    let growth = (resident(pid).unwrap() - before) / MIB;
    assert!(grape.lookup("name").await.unwrap().is_empty(), "others are answered");
    (growth, grape, connections)
}

#[tokio::test]
async fn heads_too_long_take_up_next_to_nothing() {
    let (growth, _grape, mut connections) = growth(60 << 10).await;
    figure::tell(&format!("16: {STALLED} heads of 60 KiB: {growth:.1} MiB more"));
    assert!(growth <= 4.0, "{growth} MiB");
    for connection in &mut connections {
        assert_eq!(connection.reply(false).await.unwrap().status, 431);
    }
}

#[tokio::test]
async fn heads_that_stall_share_one_budget() {
    for kib in [1, 4, 8, 15] {
        let (growth, _grape, mut connections) = growth(kib << 10).await;
        figure::tell(&format!("16: {STALLED} heads of {kib} KiB: {growth:.1} MiB more"));
        assert!(growth <= 20.0, "{kib} KiB: {growth} MiB");
        for connection in &mut connections {
            let status = connection.reply(false).await.unwrap().status;
            assert!(matches!(status, 408 | 503), "{status}");
        }
    }
}
