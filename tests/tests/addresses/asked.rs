//! Hosts with several addresses: who asks at one is answered from there.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::ensure;
use grape_engine::krpc::{self, Body, Message, Method, Query, Want};
use grape_tests::figure;
use grape_tests::grape::{Grape, Kind, Options, Seat};
use grape_tests::hosts::Host;
use grape_tests::wait::until_within;
use mainline::Id;
use rstest::rstest;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout};

const ANSWERED_WITHIN: Duration = Duration::from_secs(6);

async fn grape_on_all_addresses() -> Grape {
    Grape::start(Kind::Ours, Seat::take().unwrap(), &Options::default()).await.unwrap()
}

fn ping(transaction: u8) -> Vec<u8> {
    let body = Body::Query(Query {
        sender: Some(Id::from([transaction; 20])),
        read_only: true,
        want: Want::default(),
        method: Method::Ping { watch: None },
    });
    krpc::encode(&Message {
        transaction_id: vec![transaction].into(),
        version: None,
        network: None,
        body,
    })
    .unwrap()
}

/// From where a ping to `asked` is answered.
async fn answerer(socket: &UdpSocket, asked: SocketAddr, transaction: u8) -> SocketAddr {
    socket.send_to(&ping(transaction), asked).await.unwrap();
    let mut answer = [0; 2048];
    loop {
        let received = timeout(ANSWERED_WITHIN, socket.recv_from(&mut answer)).await;
        let (length, from) = received.expect("an answer in time").unwrap();
        let message = krpc::decode(&answer[..length]).unwrap();
        if matches!(message.body, Body::Response(_)) && *message.transaction_id == [transaction] {
            return from;
        }
    }
}

#[rstest]
#[case::the_first([127, 0, 0, 1])]
#[case::the_second([127, 0, 0, 3])]
#[case::any_other([127, 9, 9, 9])]
#[tokio::test]
async fn answers_come_from_the_address_that_was_asked(#[case] asked: [u8; 4]) {
    let grape = grape_on_all_addresses().await;
    let asked = SocketAddr::from((asked, grape.dht_port()));
    for asker in [Ipv4Addr::new(127, 0, 0, 1), Ipv4Addr::new(127, 0, 0, 2)] {
        let socket = UdpSocket::bind((asker, 0)).await.unwrap();
        assert_eq!(answerer(&socket, asked, 1).await, asked, "{asker} asks");
    }
}

/// One socket that asks at several addresses by turns, and many at a time.
#[tokio::test]
async fn each_question_is_answered_from_where_it_was_asked() {
    let grape = grape_on_all_addresses().await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for round in 0..50u8 {
        let asked = SocketAddr::from(([127, 0, 0, 1 + round % 3], grape.dht_port()));
        assert_eq!(answerer(&socket, asked, round).await, asked);
    }
}

#[tokio::test]
async fn a_grape_joins_through_a_hosts_second_address() {
    let first = grape_on_all_addresses().await;
    let bootstrap = format!("127.0.0.3:{}", first.dht_port());
    let options = Options { bootstrap_at: vec![bootstrap], ..Options::default() };
    let mut second = Grape::start(Kind::Ours, Seat::take().unwrap(), &options).await.unwrap();
    let began = Instant::now();
    until_within(ANSWERED_WITHIN, "it joins", async || {
        let nodes = second.nodes().await?;
        ensure!(nodes == 1, "it knows {nodes}");
        anyhow::Ok(())
    })
    .await
    .unwrap();
    figure::took("6: bootstrap at 127.0.0.3: joined after", began.elapsed());
}

/// Two hosts, of which the first has two addresses of each family.
#[rstest]
#[case::ipv4("10.9.0.3:20001")]
#[case::ipv6("[fd00:9::3]:20001")]
#[tokio::test]
async fn a_grape_joins_through_another_hosts_second_address(#[case] bootstrap: &str) {
    let a = Host::new("a").await.unwrap();
    let b = a.neighbour("b").await.unwrap();
    a.connect(&b, "eth0").await.unwrap();
    for address in ["10.9.0.1/24", "10.9.0.3/24", "fd00:9::1/64", "fd00:9::3/64"] {
        a.add_address(address, "eth0").await.unwrap();
    }
    b.add_address("10.9.0.2/24", "eth0").await.unwrap();
    b.add_address("fd00:9::2/64", "eth0").await.unwrap();
    let first = a.grape(&[]).await.unwrap();
    let second = b.grape(&["--bn", bootstrap]).await.unwrap();
    let began = Instant::now();
    until_within(ANSWERED_WITHIN, "it joins", async || {
        let status = second.status().await?;
        ensure!(status["ready"] == true && status["nodes"] == 1, "{status}");
        let known = &status["neighbours"][0]["address"];
        ensure!(known == bootstrap, "it knows {known}");
        anyhow::Ok(())
    })
    .await
    .unwrap();
    figure::took(&format!("6: bootstrap at {bootstrap}: joined after"), began.elapsed());
    // One address for all that goes between the two.
    first.announce("rpc_test", 7000).await.unwrap();
    let expected = bootstrap.replace("20001", "7000");
    for grape in [&first, &second] {
        let found = grape.lookup("rpc_test").await.unwrap();
        assert_eq!(found, BTreeSet::from([expected.clone()]));
    }
}
