//! Peers and nodes at impossible addresses.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use grape_engine::krpc::{self, Body, Contact, Message, Method, Peer, Query, Response, Want};
use grape_tests::grape::{Grape, Kind, Options, Seat};
use grape_tests::http::{self, Request};
use grape_tests::programs;
use grape_tests::wait;
use mainline::Id;
use serde_json::json;
use tokio::net::UdpSocket;
use tokio::time::timeout;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Impossible addresses, and why.
const IMPOSSIBLE: [(&str, &str); 12] = [
    ("10.9.9.9:0", "port_0"),
    ("0.0.0.0:7000", "unspecified"),
    ("0.1.2.3:7000", "unspecified"),
    ("[::]:7000", "unspecified"),
    ("[::ffff:0.0.0.0]:7000", "unspecified"),
    ("224.0.0.1:7000", "multicast"),
    ("[ff02::1]:7000", "multicast"),
    ("[::ffff:239.1.1.1]:7000", "multicast"),
    ("255.255.255.255:7000", "broadcast"),
    ("240.0.0.1:7000", "reserved"),
    ("[::ffff:250.0.0.1]:7000", "reserved"),
    ("[fe80::9]:7000", "link_local"),
];
const POSSIBLE: &str = "127.9.9.9:7000";

/// A node that returns all of them, as nodes and as peers of every name.
struct Liar {
    socket: Arc<UdpSocket>,
    task: tokio::task::JoinHandle<()>,
}

impl Liar {
    async fn start() -> Self {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let task = tokio::spawn(answer(Arc::clone(&socket)));
        Self { socket, task }
    }

    fn port(&self) -> u16 {
        self.socket.local_addr().unwrap().port()
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(socket: Arc<UdpSocket>) {
    let mut datagram = [0; 2048];
    let impossible = || IMPOSSIBLE.iter().map(|(text, _)| text.parse::<SocketAddr>().unwrap());
    let possible: SocketAddr = POSSIBLE.parse().unwrap();
    loop {
        let (length, from) = socket.recv_from(&mut datagram).await.unwrap();
        let message = krpc::decode(&datagram[..length]).unwrap();
        let Body::Query(query) = message.body else { continue };
        let mut response = Response::new(Id::from([7; 20]));
        if let Method::GetPeers { .. } = query.method {
            response.peers = impossible().chain([possible]).map(Peer::new).collect();
            response.token = Some(b"t".as_slice().into());
        }
        if let Method::GetPeers { .. } | Method::FindNode { .. } = query.method {
            let node = |(n, addr): (u8, SocketAddr)| Contact { id: Id::from([100 + n; 20]), addr };
            response.nodes = (0..).zip(impossible()).map(node).collect();
        }
        let body = Body::Response(Box::new(response));
        let answer =
            Message { transaction_id: message.transaction_id, version: None, network: None, body };
        socket.send_to(&krpc::encode(&answer).unwrap(), from).await.unwrap();
    }
}

/// What was refused for this reason.
async fn refused(grape: &Grape, reason: &str) -> u64 {
    let metrics = grape.send(&Request::get("/metrics")).await.unwrap().body;
    let line = format!("grape_dht_addresses_refused_total{{reason=\"{reason}\"}} ");
    let count = metrics.lines().find_map(|shown| shown.strip_prefix(&line));
    count.unwrap_or_else(|| panic!("no {line} in\n{metrics}")).parse().unwrap()
}

#[tokio::test]
async fn impossible_addresses_of_others_are_dropped_and_counted() {
    let liar = Liar::start().await;
    let options = Options { bootstrap: vec![liar.port()], ..Options::default() };
    let grape = Grape::start(Kind::Ours, Seat::take().unwrap(), &options).await.unwrap();
    let found = wait::until("the peer that can be is found", async || {
        let found = grape.lookup("rpc_test").await?;
        ensure!(!found.is_empty(), "nothing");
        anyhow::Ok(found)
    })
    .await
    .unwrap();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [POSSIBLE]);
    for (addr, reason) in IMPOSSIBLE {
        assert!(refused(&grape, reason).await > 0, "{addr}");
    }
    let status = grape.send(&Request::get("/status")).await.unwrap().json().unwrap();
    assert_eq!(status["peers"]["rpc_test"], json!([POSSIBLE]));
}

/// Asks a Grape, and returns what it answers.
async fn ask(socket: &UdpSocket, to: SocketAddr, method: Method<'_>) -> Result<Message<'static>> {
    let body = Body::Query(Query {
        sender: Some(Id::from([9; 20])),
        read_only: true,
        want: Want::default(),
        method,
    });
    let question =
        Message { transaction_id: b"aa".as_slice().into(), version: None, network: None, body };
    socket.send_to(&krpc::encode(&question)?, to).await?;
    let mut answer = vec![0; 2048];
    let (length, _) = timeout(ANSWER_TIMEOUT, socket.recv_from(&mut answer)).await??;
    let body = match krpc::decode(&answer[..length])?.body {
        Body::Response(response) => {
            let token = response.token.map(|token| token.into_owned().into());
            let (id, peers) = (response.id, response.peers);
            Body::Response(Box::new(Response { token, peers, ..Response::new(id) }))
        }
        Body::Error { code, message } => Body::Error { code, message: message.into_owned().into() },
        Body::Query(query) => anyhow::bail!("it asks: {query:?}"),
    };
    Ok(Message { transaction_id: b"aa".as_slice().into(), version: None, network: None, body })
}

#[tokio::test]
async fn an_announce_of_port_0_is_refused_and_counted() {
    let grape = Grape::start(Kind::Ours, Seat::take().unwrap(), &Options::default()).await.unwrap();
    let to = SocketAddr::from(([127, 0, 0, 1], grape.dht_port()));
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let name = b"rpc_test".as_slice();
    let answer = ask(&socket, to, Method::GetPeers { info_hash: name.into() }).await.unwrap();
    let Body::Response(response) = answer.body else { panic!("{answer:?}") };
    let token = response.token.unwrap();
    let announce = |port| Method::AnnouncePeer {
        info_hash: name.into(),
        port,
        token: token.clone(),
        ttl: None,
        ip: None,
        alt: false,
    };
    let answer = ask(&socket, to, announce(Some(0))).await.unwrap();
    let Body::Error { code, message } = answer.body else { panic!("{answer:?}") };
    assert_eq!(code, 203);
    assert!(message.contains("port 0"), "{message}");
    assert_eq!(refused(&grape, "port_0").await, 1);
    assert!(grape.lookup("rpc_test").await.unwrap().is_empty());
    // The port that it came from is one.
    ask(&socket, to, announce(None)).await.unwrap();
    let own = socket.local_addr().unwrap().to_string();
    assert!(grape.lookup("rpc_test").await.unwrap().contains(&own));
}

/// npm's Grape returns the address that it is bound to.
#[tokio::test]
async fn impossible_addresses_of_npms_grape_are_not_returned() {
    let seat = Seat::take().unwrap();
    let given = json!([{
        "host": "0.0.0.0",
        "dht_port": seat.dht.number(),
        "api_port": seat.api.number(),
        "dht_bootstrap": [],
    }]);
    let mut npms = programs::node("npm's Grape", "grape.js", &given).unwrap();
    programs::event(&mut npms, "listening").await.unwrap();
    let options = Options { bootstrap: vec![seat.dht.number()], ..Options::default() };
    let mut ours = Grape::start(Kind::Ours, Seat::take().unwrap(), &options).await.unwrap();
    wait::until("they know each other", async || {
        ensure!(ours.nodes().await? == 1, "not yet");
        anyhow::Ok(())
    })
    .await
    .unwrap();
    let api = SocketAddr::from(([127, 0, 0, 1], seat.api.number()));
    let announce = json!({ "rid": "r", "data": ["rpc_test", 7000] }).to_string();
    wait::until("npm's Grape announces", async || {
        let reply = http::send(api, &Request::post("/announce", announce.clone())).await?;
        ensure!(reply.json()?.as_u64() == Some(1), "{reply:?}");
        anyhow::Ok(())
    })
    .await
    .unwrap();
    let found = ours.lookup("rpc_test").await.unwrap();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["127.0.0.1:7000"]);
    assert!(refused(&ours, "unspecified").await > 0, "it is handed out");
}
