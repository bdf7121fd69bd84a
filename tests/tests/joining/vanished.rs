//! Nodes that ask, and are gone.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::ensure;
use grape_engine::krpc::{self, Body, Message, Method, Query, Response, Want};
use grape_tests::figure;
use grape_tests::grape::Grape;
use grape_tests::network::{Network, Shape};
use grape_tests::{our_grape, wait};
use mainline::Id;
use rstest::rstest;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, timeout};

const STRANGERS: usize = 600;
/// Three times of what is wanted.
const BOUND: Duration = Duration::from_millis(1500);

/// Asks a Grape something in a new name; the socket from which it did.
async fn ask(to: SocketAddr, id: Id, n: usize) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let target = Id::random().as_bytes().to_vec();
    let method = match n % 3 {
        0 => Method::Ping { watch: None },
        1 => Method::FindNode { target: target.into() },
        _ => Method::GetPeers { info_hash: target.into() },
    };
    let query = Query { sender: Some(id), read_only: false, want: Want::default(), method };
    let transaction_id = n.to_be_bytes().to_vec().into();
    let message =
        Message { transaction_id, version: None, network: None, body: Body::Query(query) };
    socket.send_to(&krpc::encode(&message).unwrap(), to).await.unwrap();
    socket
}

/// Answers the first query that comes in a while.
async fn answer_once(socket: &UdpSocket, id: Id) {
    let mut buffer = [0; 2048];
    let answered = async {
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let Ok(message) = krpc::decode(&buffer[..length]) else { continue };
            if let Body::Query(_) = message.body {
                let body = Body::Response(Box::new(Response::new(id)));
                let answer = Message { body, version: None, network: None, ..message };
                socket.send_to(&krpc::encode(&answer).unwrap(), from).await.unwrap();
                return;
            }
        }
    };
    let _ = timeout(Duration::from_millis(50), answered).await;
}

/// The longest that a lookup and an announce of a new name take, over some seconds.
async fn longest(grape: &Grape, seconds: u64) -> Duration {
    let (start, mut longest, mut round) = (Instant::now(), Duration::ZERO, 0);
    while start.elapsed() < Duration::from_secs(seconds) {
        round += 1;
        for announces in [false, true] {
            let began = Instant::now();
            let name = format!("new:{round}:{announces}");
            if announces {
                grape.announce(&name, 7001).await.unwrap();
            } else {
                grape.lookup(&name).await.unwrap();
            }
            longest = longest.max(began.elapsed());
        }
        sleep(Duration::from_millis(100)).await;
    }
    longest
}

#[rstest]
#[case::ask_once(false)]
#[case::answer_one_ping(true)]
#[tokio::test]
async fn nodes_that_vanish_do_not_slow_others_down(#[case] answers: bool) {
    let network = Network::of(Shape::Star, "ooo").await.unwrap();
    let asked = &network.grapes[0];
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, asked.dht_port()));
    for n in 0..STRANGERS {
        let id = Id::random();
        let socket = ask(to, id, n).await;
        if answers {
            answer_once(&socket, id).await;
        }
    }
    if !answers {
        let nodes = our_grape::nodes(asked.api()).await.unwrap();
        assert_eq!(nodes, 2, "who never answered is no node");
    }
    let took = longest(asked, 10).await;
    let how = if answers { "answer one ping" } else { "ask once" };
    figure::took(&format!("7: {STRANGERS} nodes that {how} and vanish: longest call"), took);
    assert!(took < BOUND, "{took:?}");
    // And the Grapes that stay are known.
    let known = wait::until("it knows the two others", async || {
        let status = our_grape::status(asked.api()).await?;
        let suspects = status["neighbours"].as_array().into_iter().flatten();
        let good = suspects.filter(|node| node["suspect"] == false).count();
        ensure!(good == 2, "it knows {good} good ones");
        anyhow::Ok(())
    });
    known.await.unwrap();
}
