//! Networks of engines under virtual time.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod addresses;
mod chosen_ids;
mod deaths;
mod few;
mod fleet;
mod joining;
mod model;
mod moves;
mod network;
mod notices;
mod one_host;
mod other_networks;
mod parallel;
mod partitions;
mod parts;
mod rest;
mod withdrawals;

use std::net::SocketAddr;
use std::time::Duration;

use grape_tests::simulation::{Link, Network};

const AGE: Duration = Duration::from_secs(120);
const LATENCY: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn steady() -> Link {
    Link::steady(LATENCY)
}

/// 20 to 80 ms each way, and this share of datagrams lost.
fn far(loss: f64) -> Link {
    let latency = Duration::from_millis(20)..=Duration::from_millis(80);
    Link { latency, loss, duplicates: 0.0 }
}

fn addr(node: usize, port: u16) -> SocketAddr {
    SocketAddr::new(Network::ip(node), port)
}
