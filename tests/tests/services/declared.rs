//! A service that knows nothing of Grapes: a flag announces it while it is there and ready.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::ensure;
use grape_tests::grape::{Grape, Kind};
use grape_tests::http::{self, Request};
use grape_tests::ports::Port;
use grape_tests::{our_grape, wait};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

use crate::{found, network};

const NAME: &str = "rest:declared:net";

#[tokio::test]
async fn it_is_announced_while_it_answers_and_is_ready() {
    let status = Arc::new(AtomicU16::new(503));
    let readiness = answer_with(Arc::clone(&status)).await;
    let port = Port::take().unwrap();
    let announce = format!("--announce={NAME}:{}", port.number());
    let ready_when = format!("--ready-when=http://{readiness}/healthz");
    let grapes = network(&[&announce, &ready_when], &[Kind::Ours], None).await;
    let [beside, other] = &grapes[..] else { panic!("{grapes:?}") };
    assert!(other.lookup(NAME).await.unwrap().is_empty());
    held_back(beside, &format!("127.0.0.1:{} has not answered yet", port.number())).await;

    let service = listen(port.number());
    held_back(beside, &format!("http://{readiness}/healthz answers 503 Service Unavailable")).await;
    assert!(other.lookup(NAME).await.unwrap().is_empty());
    status.store(204, Ordering::Relaxed);
    found("a service is announced once it is ready", other, NAME, &[port.number()]).await;
    status.store(500, Ordering::Relaxed);
    found("a service that is not ready is withdrawn", other, NAME, &[]).await;
    status.store(302, Ordering::Relaxed);
    found("a service that is ready again is announced", other, NAME, &[port.number()]).await;
    drop(service);
    found("a service that ends is withdrawn", other, NAME, &[]).await;
    held_back(beside, &format!("127.0.0.1:{} refuses connections", port.number())).await;
    let _service = listen(port.number());
    found("a service that is there again is announced", other, NAME, &[port.number()]).await;
}

/// The brief status, which the operator reads, has it too, and so does the log.
#[tokio::test]
async fn a_service_held_back_for_half_a_minute_is_warned_of() {
    let port = Port::take().unwrap();
    let announce = format!("--announce={NAME}:{}", port.number());
    let mut grapes = network(&[&announce], &[], None).await;
    let reason = format!("127.0.0.1:{} has not answered yet", port.number());
    let wanted = json!([{"name": NAME, "port": port.number(), "reason": reason}]);
    let within = Duration::from_secs(180);
    let told = wait::until_within(within, "the brief status tells of it", async || {
        let page = http::send(grapes[0].api(), &Request::get("/status?brief")).await?.json()?;
        ensure!(page["heldBack"] == wanted, "{}", page["heldBack"]);
        anyhow::Ok(())
    });
    told.await.unwrap();
    // The status page counts the time itself; the warning comes with the next second.
    let warned = wait::until("a warning in the log", async || {
        let lines = grapes[0].process().errors();
        let told = "not announced for 30 s, so lookups do not find it";
        let warnings: Vec<_> = lines.into_iter().filter(|line| line.contains(told)).collect();
        ensure!(!warnings.is_empty(), "there is none");
        anyhow::Ok(warnings)
    });
    let warnings = warned.await.unwrap();
    let [warning] = &warnings[..] else { panic!("{warnings:#?}") };
    assert!(warning.contains("WARN") && warning.contains(NAME) && warning.contains(&reason));
}

/// Waits until the Grape reports that the service is held back, and why.
async fn held_back(grape: &Grape, reason: &str) {
    let what = format!("it is held back since {reason}");
    let told = wait::until(&what, async || {
        let page = our_grape::status(grape.api()).await?;
        let told = page["heldBack"][0]["reason"].clone();
        ensure!(told == json!(reason), "{told}");
        anyhow::Ok(())
    });
    told.await.unwrap();
}

fn listen(port: u16) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
    socket.listen(64).unwrap()
}

/// An HTTP server that answers everything with a status that may change.
async fn answer_with(status: Arc<AtomicU16>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let status = status.load(Ordering::Relaxed);
            tokio::spawn(async move {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    if stream.read_buf(&mut request).await? == 0 {
                        return Ok(());
                    }
                }
                let answer = format!("HTTP/1.1 {status} \r\nConnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).await
            });
        }
    });
    address
}
