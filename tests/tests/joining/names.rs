//! Bootstrap names whose name server is dead, slow, or knows them only later.

use std::time::Duration;

use grape_tests::figure;
use grape_tests::grape::{Grape, Kind, Options, Seat};
use grape_tests::namespace;
use tokio::net::UdpSocket;
use tokio::time::sleep;

use super::Joiner;
use super::name_server::{Answer, NameServer, resolve_through};

const WITHIN: Duration = Duration::from_secs(8);

async fn first() -> Grape {
    Grape::start(Kind::Ours, Seat::take().unwrap(), &Options::default()).await.unwrap()
}

/// The system's resolver asks the first name server for 5 s before it asks the next one.
#[test]
fn a_slow_resolver_is_waited_for() {
    namespace::run("names::a_slow_resolver_is_waited_for", async {
        let _dead = UdpSocket::bind("127.0.0.53:53").await.unwrap();
        let _alive = NameServer::start("127.0.0.54", |_| Answer::Localhost).await;
        let _resolver = resolve_through(&["127.0.0.53", "127.0.0.54"]).await;
        let first = first().await;
        let through = format!("grapes.test:{}", first.dht_port());
        let joiner = Joiner::start(Seat::take().unwrap(), &through, &[]);
        let took = joiner.joined(Duration::from_secs(20)).await;
        assert!(took > Duration::from_secs(4), "the name server is not slow: {took:?}");
        figure::took("1: a first name server that is dead: joined after", took);
        let told = joiner.process.errors();
        let told = told.iter().filter(|line| line.contains("no answer from the name server yet"));
        assert_eq!(told.count(), 1, "{}", joiner.process.shown());
    });
}

#[test]
fn names_without_an_answer_hold_up_no_other() {
    namespace::run("names::names_without_an_answer_hold_up_no_other", async {
        let answer = |name: &str| match name.starts_with("dead") {
            true => Answer::Silence,
            false => Answer::Localhost,
        };
        let _server = NameServer::start("127.0.0.53", answer).await;
        let _resolver = resolve_through(&["127.0.0.53"]).await;
        let first = first().await;
        let dead: String = (0..6).map(|n| format!("dead-{n}.test:20001,")).collect();
        // By a name, and by an address.
        for host in ["grapes.test", "127.0.0.1"] {
            let through = format!("{dead}{host}:{}", first.dht_port());
            let joiner = Joiner::start(Seat::take().unwrap(), &through, &[]);
            let took = joiner.joined(WITHIN).await;
            figure::took(&format!("2: six dead names before {host}: joined after"), took);
        }
    });
}

#[test]
fn a_name_that_comes_into_being_later_is_joined_through() {
    namespace::run("names::a_name_that_comes_into_being_later_is_joined_through", async {
        let server = NameServer::start("127.0.0.53", |_| Answer::Missing).await;
        let _resolver = resolve_through(&["127.0.0.53"]).await;
        let first = first().await;
        let through = format!("grapes.test:{}", first.dht_port());
        let joiner = Joiner::start(Seat::take().unwrap(), &through, &[]);
        sleep(Duration::from_secs(2)).await;
        assert!(!joiner.is_ready().await.unwrap(), "it joined nobody, and is not the first");
        server.answers(|_| Answer::Localhost);
        joiner.joined(Duration::from_secs(20)).await;
    });
}
