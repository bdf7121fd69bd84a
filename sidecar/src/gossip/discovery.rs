//! Finds the members of a group. They announce the name `gossip:GROUP` in the DHT, at the port of
//! their DHT node, and look it up. Seeds are for networks without a DHT.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::lookup_host;
use tokio::time::{sleep, timeout};

use super::Groups;
use crate::config::HostPort;

/// What stands before a group's name in the DHT.
const PREFIX: &str = "gossip:";
/// Pause while a group has no live member.
const ALONE_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause otherwise: parts of a group that was cut in two find each other after it.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// How many pauses there are at least within the age of an announce.
const RENEWALS: u32 = 3;
/// How long the name of a seed may take to resolve.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(2);

/// Finds members of all groups, now and later. Never ends.
pub(super) async fn keep(groups: &Groups) {
    loop {
        let names = groups.names();
        let seeds = if names.is_empty() { Vec::new() } else { resolve(&groups.seeds).await };
        let alone = join_all(names.iter().map(|group| find(groups, group, &seeds))).await;
        let pause = match alone.into_iter().any(|alone| alone) {
            _ if names.is_empty() => Duration::MAX,
            true => ALONE_PAUSE,
            false => MAX_PAUSE.min(groups.peer_max_age / RENEWALS),
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = groups.joined.notified() => {}
        }
    }
}

/// Looks for the members of one group. Returns whether it has no live one.
async fn find(groups: &Groups, group: &str, seeds: &[SocketAddr]) -> bool {
    let name = format!("{PREFIX}{group}");
    let announced = groups.dht.announce(name.as_bytes(), 0);
    let (_, members) = tokio::join!(announced, groups.dht.lookup(name.as_bytes()));
    let seeds = members.into_iter().chain(seeds.iter().copied());
    let joined = groups.dht.gossip(|gossip, now| gossip.join(group, seeds, now));
    if let Err(error) = joined {
        tracing::warn!(group, %error, "cannot give the group its seeds");
    }
    groups.peers(group).is_some_and(|(peers, _)| !peers.iter().any(|peer| peer.live))
}

async fn resolve(seeds: &[HostPort]) -> Vec<SocketAddr> {
    let each = seeds.iter().map(async |seed| {
        let found = timeout(RESOLVE_TIMEOUT, lookup_host((seed.host.as_str(), seed.port))).await;
        found.ok().and_then(Result::ok).into_iter().flatten().collect::<Vec<_>>()
    });
    join_all(each).await.into_iter().flatten().collect()
}
