//! Grapes to test.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use grape::config::{Config, HostPort};
use grape::lifecycle::Grape;
use tokio::time::timeout;

/// Longest that anything here should take.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A Grape on loopback with ports of its own.
pub(crate) fn config() -> Config {
    let loopback = Some(Ipv4Addr::LOCALHOST.into());
    Config { bind: loopback, api_port: 0, dht_bind: loopback, dht_port: 0, ..Config::default() }
}

/// A Grape that is alone, and knows it.
pub(crate) async fn alone() -> Grape {
    start(config()).await
}

/// Two Grapes that know each other.
pub(crate) async fn pair() -> (Grape, Grape) {
    pair_of(config()).await
}

/// The same, both of this configuration.
pub(crate) async fn pair_of(config: Config) -> (Grape, Grape) {
    let first = start(config.clone()).await;
    let second = start(Config { bootstrap: vec![node(first.dht_addr())], ..config }).await;
    let known = async {
        while first.dht().stats().nodes == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, known).await.expect("the first should know the second soon");
    (first, second)
}

/// A Grape that is ready.
pub(crate) async fn start(config: Config) -> Grape {
    let grape = Grape::start(config).await.unwrap();
    timeout(SOON, grape.ready()).await.expect("the Grape should be ready soon");
    grape
}

/// A bootstrap node.
pub(crate) fn node(address: SocketAddr) -> HostPort {
    HostPort { host: address.ip().to_string(), port: address.port() }
}
