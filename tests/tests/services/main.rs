//! Services beside our Grape: those that die without a word, those that announce themselves seldom or
//! wrongly, those that a flag announces, and the drain of all. The services are real, and so are the
//! Grapes, npm's among them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod declared;
mod died;
mod drained;
mod kept;
mod refused;
mod shared;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::ensure;
use grape_tests::grape::{Grape, Kind, Options, Seat};
use grape_tests::process::Process;
use grape_tests::{figure, programs, wait};
use serde_json::json;
use tokio::time::Instant;

/// A network of Grapes, of which the first, ours, has these flags and is joined by the others.
async fn network(flags: &[&str], others: &[Kind], peer_max_age: Option<Duration>) -> Vec<Grape> {
    let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
    let first = Options { flags, peer_max_age, ..Options::default() };
    let mut grapes = vec![Grape::start(Kind::Ours, Seat::take().unwrap(), &first).await.unwrap()];
    let bootstrap = vec![grapes[0].dht_port()];
    let options = Options { bootstrap, peer_max_age, ..Options::default() };
    for kind in others {
        grapes.push(Grape::start(*kind, Seat::take().unwrap(), &options).await.unwrap());
    }
    let count = others.len() as u64;
    for grape in &mut grapes {
        let what = format!("{grape} knows all others");
        let joined = wait::until(&what, async || {
            let nodes = grape.nodes().await?;
            ensure!(nodes == count, "it knows {nodes}");
            Ok(())
        });
        joined.await.unwrap();
    }
    grapes
}

/// An npm service that listens at a port, and announces itself every second through a Grape.
async fn service(name: &str, port: u16, grape: &Grape) -> Process {
    let argument = json!({ "grape": grape.url(), "port": port, "name": name });
    let mut process = programs::node(name, "rpc_server.js", &argument).unwrap();
    programs::event(&mut process, "announced").await.unwrap();
    process
}

/// Waits until a Grape finds exactly these ports of this host under a name, and prints how long
/// that took.
async fn found(what: &str, grape: &Grape, name: &str, ports: &[u16]) {
    let start = Instant::now();
    let wanted: BTreeSet<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let as_seen = format!("{what}, as {grape} sees it");
    let seen = wait::until(&as_seen, async || {
        let found = grape.lookup(name).await?;
        ensure!(found == wanted, "{found:?}, not {wanted:?}");
        Ok(())
    });
    seen.await.unwrap();
    figure::took(&format!("{what}, at {}", grape.kind()), start.elapsed());
}
