//! A Grape on loopback, on the thread of the fuzzer: it runs while a request is answered.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use grape::config::Config;
use grape::lifecycle::Grape;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// How long an answer is waited for: streams of events do not end by themselves.
const PATIENCE: Duration = Duration::from_millis(20);

/// A runtime with a Grape, which has no other Grapes to join.
pub struct Server {
    runtime: Runtime,
    grape: Grape,
}

impl Server {
    pub fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime can be made");
        let grape = runtime.block_on(start());
        Self { runtime, grape }
    }

    /// Sends these bytes on a connection of its own. What comes back until it ends.
    pub fn ask(&mut self, bytes: &[u8], admin: bool) -> Vec<u8> {
        let api = self.grape.api_addr();
        let addr = if admin { self.grape.admin_addr().unwrap_or(api) } else { api };
        let answer = self.runtime.block_on(ask(addr, bytes));
        if self.grape.status().draining {
            self.grape = self.runtime.block_on(start());
        }
        answer
    }
}

async fn start() -> Grape {
    let ip = Ipv4Addr::LOCALHOST;
    let config = Config {
        bind: Some(ip.into()),
        api_port: 0,
        admin_bind: Some(SocketAddr::from((ip, 0))),
        dht_bind: Some(ip.into()),
        dht_port: 0,
        gossip: vec!["workers".to_owned()],
        check_announced: false,
        ..Config::default()
    };
    let grape = Grape::start(config).await.expect("a Grape starts");
    grape.ready().await;
    grape
}

async fn ask(addr: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let stream = TcpStream::connect(addr).await.expect("a Grape takes connections");
    let (mut from, mut to) = stream.into_split();
    let mut answer = Vec::new();
    let written = async {
        // The Grape may close the connection before it has read everything.
        let _ = to.write_all(bytes).await;
        let _ = to.shutdown().await;
    };
    let read = async {
        let _ = from.read_to_end(&mut answer).await;
    };
    let _ = timeout(PATIENCE, async { tokio::join!(written, read) }).await;
    answer
}
