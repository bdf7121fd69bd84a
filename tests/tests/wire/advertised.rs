//! `--advertise-ip`: a service that is reached at another address than its Grape's datagrams come
//! from, as behind a NAT.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use grape_engine::krpc::{Body, Message, Method, Query, Response, Want, decode, encode};
use grape_tests::figure;
use grape_tests::grape::{Grape, Kind, Options, Seat};
use mainline::Id;
use rstest::rstest;
use serde_json::json;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout};

use crate::started::Started;

const NAME: &str = "rpc:advertised";
const PORT: u16 = 7741;

fn at(host: u8) -> String {
    format!("127.0.0.{host}:{PORT}")
}

/// Two Grapes, and the flag with which others join them.
async fn two() -> (Vec<Started>, String) {
    let first = Started::start(&["--dht-bind", "127.0.0.1"]).await;
    let seed = format!("127.0.0.1:{}", first.seat.dht.number());
    let second = Started::start(&["--dht-bind", "127.0.0.1", "--bn", &seed]).await;
    (vec![first, second], seed)
}

async fn advertising(seat: Seat, host: u8, seed: &str) -> Started {
    let ip = format!("127.0.0.{host}");
    let flags = ["--dht-bind", "127.0.0.1", "--bn", seed, "--advertise-ip", &ip];
    let grape = Started::at(seat, &flags[..if host == 1 { 4 } else { 6 }]).await;
    grape.call("announce", json!([NAME, PORT])).await.unwrap();
    grape
}

#[rstest]
#[case::withdrawn("withdraw")]
#[case::terminated("TERM")]
#[case::killed("KILL")]
#[tokio::test]
async fn the_advertised_address_is_shown_alone_until_its_grape_ends(#[case] how: &str) {
    let (grapes, seed) = two().await;
    let mut behind = advertising(Seat::take().unwrap(), 9, &seed).await;
    for grape in grapes.iter().chain([&behind]) {
        grape.shows(NAME, &[at(9)]).await;
    }
    let start = Instant::now();
    match how {
        "withdraw" => drop(behind.call("withdraw", json!([NAME, PORT])).await.unwrap()),
        signal => {
            behind.process.signal(signal).await.unwrap();
            behind.process.ended().await.unwrap();
        }
    }
    for grape in &grapes {
        grape.shows(NAME, &[]).await;
    }
    figure::took(&format!("10: {how}: an advertised address is gone after"), start.elapsed());
}

#[tokio::test]
async fn each_grape_of_a_host_advertises_its_own() {
    let (grapes, seed) = two().await;
    let eight = advertising(Seat::take().unwrap(), 8, &seed).await;
    let nine = advertising(Seat::take().unwrap(), 9, &seed).await;
    let also_nine = advertising(Seat::take().unwrap(), 9, &seed).await;
    for grape in grapes.iter().chain([&eight, &nine, &also_nine]) {
        grape.shows(NAME, &[at(8), at(9)]).await;
    }
    nine.call("withdraw", json!([NAME, PORT])).await.unwrap();
    for grape in grapes.iter().chain([&eight, &nine, &also_nine]) {
        grape.shows(NAME, &[at(8), at(9)]).await;
    }
    also_nine.call("withdraw", json!([NAME, PORT])).await.unwrap();
    for grape in grapes.iter().chain([&eight, &nine, &also_nine]) {
        grape.shows(NAME, &[at(8)]).await;
    }
}

/// It starts again at its ports at once: no node marks it dead.
#[tokio::test]
async fn former_advertised_addresses_are_not_shown() {
    let (grapes, seed) = two().await;
    let mut behind = advertising(Seat::take().unwrap(), 9, &seed).await;
    behind.call("announce", json!(["rpc:other", PORT])).await.unwrap();
    for host in [9, 8, 1, 9] {
        if host != 9 || behind.lookup(NAME).await.unwrap() != [at(9)].into() {
            behind.process.kill().await.unwrap();
            behind = advertising(behind.seat, host, &seed).await;
        }
        for grape in &grapes {
            grape.shows(NAME, &[at(host)]).await;
        }
    }
    for grape in &grapes {
        grape.shows("rpc:other", &[]).await;
    }
}

/// They know nothing of the claim, and show where it came from.
#[tokio::test]
async fn npms_grapes_show_the_address_that_announces_come_from() {
    let (grapes, seed) = two().await;
    let bootstrap = vec![grapes[0].seat.dht.number()];
    let options = Options { bootstrap, ..Options::default() };
    let npms = Grape::start(Kind::Npm, Seat::take().unwrap(), &options).await.unwrap();
    grapes[0].knows(2, 0).await;
    let _behind = advertising(Seat::take().unwrap(), 9, &seed).await;
    assert!(npms.lookup(NAME).await.unwrap().contains(&at(1)));
}

/// A stranger that announces by hand.
struct Stranger {
    socket: UdpSocket,
    to: SocketAddr,
}

impl Stranger {
    async fn of(grape: &Started) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        Self { socket, to: SocketAddr::from(([127, 0, 0, 1], grape.seat.dht.number())) }
    }

    async fn ask(&self, method: Method<'_>) -> Result<Response<'static>, (i64, String)> {
        let sender = Some(Id::from([7; 20]));
        let query = Query { sender, read_only: true, want: Want::default(), method };
        let transaction_id = Cow::Borrowed(&b"ask"[..]);
        let question =
            Message { transaction_id, version: None, network: None, body: Body::Query(query) };
        self.socket.send_to(&encode(&question).unwrap(), self.to).await.unwrap();
        let mut buffer = [0; 2048];
        let received = timeout(Duration::from_secs(30), self.socket.recv(&mut buffer));
        let length = received.await.unwrap().unwrap();
        match decode(&buffer[..length]).unwrap().body {
            Body::Response(response) => Ok(Response {
                token: response.token.map(|token| Cow::Owned(token.into_owned())),
                ..Response::new(response.id)
            }),
            Body::Error { code, message } => Err((code, message.into_owned())),
            Body::Query(query) => panic!("{query:?}"),
        }
    }

    /// Announces the service at an IP; whether that was taken.
    async fn announce(&self, ip: &str) -> bool {
        let info_hash = Cow::Borrowed(NAME.as_bytes());
        let told = self.ask(Method::GetPeers { info_hash: info_hash.clone() }).await.unwrap();
        let (ip, token): (IpAddr, _) = (ip.parse().unwrap(), told.token.unwrap());
        let (port, ip) = (Some(PORT), Some(ip));
        let announce = Method::AnnouncePeer { info_hash, port, token, ttl: None, ip, alt: false };
        self.ask(announce).await.is_ok()
    }
}

#[tokio::test]
async fn a_stranger_claims_one_address_and_none_that_cannot_be() {
    let grape = Started::start(&["--dht-bind", "127.0.0.1"]).await;
    let stranger = Stranger::of(&grape).await;
    for ip in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        assert!(stranger.announce(ip).await, "{ip}");
        grape.shows(NAME, &[format!("{ip}:{PORT}")]).await;
    }
    for ip in ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "2001:db8::1"] {
        assert!(!stranger.announce(ip).await, "{ip}");
    }
    grape.shows(NAME, &[format!("192.0.2.3:{PORT}")]).await;
    let mut taken = 0;
    for n in 10..40 {
        taken += u32::from(Stranger::of(&grape).await.announce(&format!("192.0.2.{n}")).await);
    }
    assert!(taken < 10, "one host claimed {taken} addresses");
}
