//! Bootstrap names to addresses, and again while the routing table is short: the addresses behind
//! a name change when pods come and go.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::net::lookup_host;
use tokio::time::{sleep, timeout};

use crate::config::HostPort;
use crate::dht::{Dht, has_interface};
use crate::engine;

/// A name server that takes longer is asked again later. Short, since the first operations wait.
const PATIENCE: Duration = Duration::from_secs(2);
/// The pauses while the node has not found the others.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The pause once it has.
const AT_REST: Duration = Duration::from_secs(20);
/// A table of this many nodes finds the rest by itself.
const ENOUGH: usize = 20;

/// Joins the network through these names, and does so again when the node has lost the others, or
/// a name has an address that it does not know. Never ends.
pub async fn keep_joined(dht: Dht, bootstrap: Vec<HostPort>) {
    let pauses = ExponentialBuilder::new()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .with_factor(1.5)
        .with_jitter()
        .without_max_times();
    let mut first = true;
    let mut unresolved = BTreeSet::new();
    let mut pause = pauses.build();
    loop {
        let (seeds, still_unresolved) = resolve(&bootstrap, &unresolved).await;
        unresolved = still_unresolved;
        let complete = unresolved.is_empty();
        let nodes = dht.stats().nodes;
        // Knowing somebody is not enough: two who joined through each other while their bootstrap
        // Grape was away would stay an island.
        let short = nodes < ENOUGH && seeds.iter().any(|seed| !dht.knows(seed));
        if first || short || nodes == 0 {
            tracing::debug!(?seeds, complete, nodes, "joining");
            dht.join(seeds, complete);
        }
        first = false;
        if nodes > 0 && complete && !short {
            pause = pauses.build();
            sleep(AT_REST).await;
        } else {
            sleep(pause.next().unwrap_or(LONGEST_PAUSE)).await;
        }
    }
}

/// All addresses of all names, and the names that have none. Warns of those that had one before.
async fn resolve(
    bootstrap: &[HostPort],
    known_unresolved: &BTreeSet<String>,
) -> (Vec<SocketAddr>, BTreeSet<String>) {
    let mut seeds = Vec::new();
    let mut unresolved = BTreeSet::new();
    for name in bootstrap {
        let error = match timeout(PATIENCE, lookup_host((name.host.as_str(), name.port))).await {
            Ok(Ok(addrs)) => {
                let before = seeds.len();
                let addrs = addrs.filter_map(|addr| engine::seed(addr).ok());
                seeds.extend(addrs.filter(has_interface));
                if seeds.len() > before {
                    continue;
                }
                missing_interface(name)
                    .unwrap_or_else(|| "none of its addresses is one that a host can have".into())
            }
            Ok(Err(error)) => missing_interface(name).unwrap_or_else(|| error.to_string()),
            Err(_) => format!("no answer from the name server in {PATIENCE:?}"),
        };
        let name = name.to_string();
        if known_unresolved.contains(&name) {
            tracing::debug!(%name, %error, "bootstrap name still does not resolve");
        } else {
            tracing::warn!(%name, %error, "bootstrap name does not resolve: trying again");
        }
        unresolved.insert(name);
    }
    seeds.sort_unstable();
    seeds.dedup();
    (seeds, unresolved)
}

/// What is wrong with an address of a link that does not resolve: names do not have zones.
fn missing_interface(name: &HostPort) -> Option<String> {
    let (_, zone) = name.host.split_once('%')?;
    Some(format!("this host has no interface {zone:?} now"))
}
