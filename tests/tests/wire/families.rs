//! Grapes on both address families, and services that listen on one of them. Needs `::1`.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use grape_tests::ports::Port;
use grape_tests::{figure, our_grape};
use rstest::rstest;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::started::Started;

const NAME: &str = "rpc:families";

/// Three Grapes that know each other on both families.
async fn both() -> Vec<Started> {
    let mut grapes = vec![Started::start(&[]).await];
    // As `localhost` where it has both addresses.
    let seed = grapes[0].seat.dht.number();
    let seed = format!("127.0.0.1:{seed},[::1]:{seed}");
    for _ in 0..2 {
        grapes.push(Started::start(&["--bn", &seed]).await);
    }
    for grape in &grapes {
        grape.knows(2, 2).await;
    }
    grapes
}

#[rstest]
#[case::ipv4_alone(&["127.0.0.1"], "127.0.0.1")]
#[case::ipv6_alone(&["[::1]"], "[::1]")]
#[case::both(&["127.0.0.1", "[::1]"], "127.0.0.1")]
#[case::neither(&[], "127.0.0.1")]
#[tokio::test]
async fn a_service_is_shown_once_where_it_answers(#[case] listens: &[&str], #[case] shown: &str) {
    let grapes = both().await;
    let port = Port::take().unwrap();
    let mut listeners = Vec::new();
    for ip in listens {
        listeners.push(TcpListener::bind(format!("{ip}:{}", port.number())).await.unwrap());
    }
    // One of UDP cannot be tried.
    let _udp = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], port.number()))).unwrap();
    let wanted = [format!("{shown}:{}", port.number())];
    grapes[1].call("announce", json!([NAME, port.number()])).await.unwrap();
    for grape in &grapes {
        let at_once = grape.lookup(NAME).await.unwrap();
        assert_eq!(at_once.into_iter().collect::<Vec<_>>(), wanted);
    }
    // And it stays so, when ports were tried and lookups refreshed.
    sleep(Duration::from_secs(6)).await;
    for grape in &grapes {
        grape.shows(NAME, &wanted).await;
        let page = our_grape::status(grape.api()).await.unwrap();
        assert_eq!(page["peers"][NAME], json!(wanted), "{page:#}");
    }
}

#[tokio::test]
async fn a_grape_with_one_family_alone_shows_that_one() {
    let mut grapes = both().await;
    let port = grapes[0].seat.dht.number();
    let v6 = ["--dht-bind", "::1", "--bn", &format!("[::1]:{port}")];
    grapes.push(Started::start(&v6).await);
    let v4 = ["--dht-bind", "127.0.0.1", "--bn", &format!("127.0.0.1:{port}")];
    grapes.push(Started::start(&v4).await);
    grapes[3].knows(0, 3).await;
    grapes[4].knows(3, 0).await;
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = service.local_addr().unwrap().port();
    grapes[1].call("announce", json!([NAME, port])).await.unwrap();
    for grape in [&grapes[0], &grapes[1], &grapes[2], &grapes[4]] {
        grape.shows(NAME, &[format!("127.0.0.1:{port}")]).await;
    }
    grapes[3].shows(NAME, &[format!("[::1]:{port}")]).await;
    grapes[1].call("withdraw", json!([NAME, port])).await.unwrap();
    for grape in &grapes {
        grape.shows(NAME, &[]).await;
    }
}

#[tokio::test]
async fn a_service_that_listens_on_the_other_family_is_shown_there() {
    let grapes = both().await;
    let port = Port::take().unwrap();
    let at = |ip: &str| format!("{ip}:{}", port.number());
    for ip in ["[::1]", "127.0.0.1", "[::1]"] {
        let service = TcpListener::bind(at(ip)).await.unwrap();
        let start = Instant::now();
        grapes[1].call("announce", json!([NAME, port.number()])).await.unwrap();
        for grape in &grapes {
            grape.shows(NAME, &[at(ip)]).await;
        }
        figure::took(&format!("9: a service moved to {ip}: shown there by all"), start.elapsed());
        drop(service);
    }
}
