//! Datagrams that come as fast as a core can send them.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use grape::clock;
use tokio::time::timeout;

use crate::grapes::{SOON, alone};
use crate::raw::Raw;

/// How long the flood lasts if nobody ends it: longer than an answer is waited for.
const LONGEST: Duration = Duration::from_secs(120);

/// Pings without a pause, from a thread of their own.
struct Flood {
    ends: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    sender: Option<JoinHandle<()>>,
}

impl Flood {
    fn of(to: SocketAddr) -> Self {
        let (ends, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (told, count) = (Arc::clone(&ends), Arc::clone(&sent));
        let sender = std::thread::spawn(move || {
            let until = clock::now() + LONGEST;
            while !told.load(Ordering::Relaxed) && clock::now() < until {
                for _ in 0..64 {
                    // One that the kernel does not take is not missed.
                    let ping = b"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:ping1:t1:t1:y1:qe";
                    count.fetch_add(u64::from(socket.send_to(ping, to).is_ok()), Ordering::Relaxed);
                }
            }
        });
        Self { ends, sent, sender: Some(sender) }
    }

    fn goes_on(&self) -> bool {
        self.sender.as_ref().is_some_and(|sender| !sender.is_finished())
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let _ = self.sender.take().map(JoinHandle::join);
    }
}

#[tokio::test]
async fn the_api_answers_while_datagrams_come_without_a_pause() {
    let grape = alone().await;
    let flood = Flood::of(grape.dht_addr());
    for n in 0..10 {
        let asked = async {
            let mut client = Raw::connect(grape.api_addr()).await;
            let body = format!(r#"{{"data":["rpc_{n}",1337]}}"#);
            let announced = client.post("/announce", &body).await;
            assert_eq!((announced.status, &*announced.body), (200, "0"));
            let found = client.post("/lookup", &format!(r#"{{"data":"rpc_{n}"}}"#)).await;
            assert_eq!(found.body, r#"["127.0.0.1:1337"]"#);
        };
        timeout(SOON, asked).await.expect("an answer");
        assert!(flood.goes_on(), "it was answered during the flood");
    }
    assert!(flood.sent.load(Ordering::Relaxed) > 0);
}
