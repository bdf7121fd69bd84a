//! What a Grape of a cluster tells the others of itself: an entry in the group `grapecluster`. The
//! operator makes the same entry of the status page that it has read last. While both are equal, it
//! need not read the page again. Anybody can forge an entry, so it is never more than a hint.
//!
//! A Grape changes its entry only when something changes. An entry is as fresh as the last heartbeat
//! of its member: that costs nothing at rest, however many Grapes there are.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval};

use crate::http::{self, Api, StatusPage};

/// The group of a cluster's own Grapes.
pub const GROUP: &str = "grapecluster";
/// The key of the entry.
pub const KEY: &str = "grape";
/// Most bytes of an entry, as JSON.
pub const MAX_BYTES: usize = 1024;

/// How often a Grape looks whether its entry has changed.
const PERIOD: Duration = Duration::from_secs(2);

/// The entry of a Grape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterEntry {
    /// Its version.
    pub version: String,
    /// The id of its DHT node, 40 hex digits; another one after each start.
    pub id: String,
    /// Whether it is ready.
    pub ready: bool,
    /// Whether it drains.
    pub draining: bool,
    /// How many nodes its routing table holds.
    pub nodes: usize,
    /// A hash of whom it knows, 16 hex digits: of its own address and those of all nodes that answered
    /// it lately, in order. Grapes that all know each other, and nobody else, have the same.
    pub knows: String,
    /// How many problems its brief status page has, and Grapes of other networks.
    pub problems: usize,
}

impl ClusterEntry {
    /// The entry of the Grape with this brief status page.
    pub fn of(page: &StatusPage) -> Self {
        let StatusPage { held_back, refusals, unresolved, unanswered, node, .. } = page;
        let own = node.advertised.unwrap_or(page.dht_address.ip());
        let own = SocketAddr::new(own, page.dht_address.port());
        let live = node.neighbours.iter().filter(|neighbour| !neighbour.suspect);
        Self {
            version: page.version.clone(),
            id: node.id.clone(),
            ready: node.ready,
            draining: node.draining,
            nodes: node.nodes,
            knows: hash(live.map(|neighbour| neighbour.address).chain([own]).collect()),
            problems: held_back.len()
                + refusals.len()
                + unresolved.len()
                + unanswered.len()
                + node.other_networks.len(),
        }
    }
}

/// The first 16 hex digits of the SHA-1 of these addresses, one on a line. Unlike the hashes of the
/// standard library, it is the same in each release.
fn hash(addresses: BTreeSet<SocketAddr>) -> String {
    let mut text = String::new();
    for address in addresses {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{address}");
    }
    let [a, b, c, d, e, f, g, h, ..] = sha1_smol::Sha1::from(text).digest().bytes();
    hex::encode([a, b, c, d, e, f, g, h])
}

/// Sets the entry of this Grape whenever it changes. Never ends, and so never says how it ended.
pub(crate) async fn keep(api: Arc<Api>) -> String {
    let mut last = None;
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let entry = ClusterEntry::of(&http::status_of(&api, true));
        if last.as_ref() == Some(&entry) {
            continue;
        }
        let set = serde_json::to_vec(&entry)
            .map_err(|error| error.to_string())
            .and_then(|json| api.groups.set(GROUP, KEY, &json, None).map_err(|it| it.to_string()));
        match set {
            Ok(_) => last = Some(entry),
            // The operator asks a Grape without an entry itself.
            Err(error) => tracing::debug!(%error, "cannot set the entry in the cluster's group"),
        }
    }
}

#[cfg(test)]
mod tests {
    use grape_engine::{Neighbour, Status};

    use super::*;
    use crate::discovery::Unresolved;

    fn address(host: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], 20001))
    }

    /// The page of a Grape that knows these.
    fn page(host: u8, knows: &[u8]) -> StatusPage {
        let neighbour = |host: &u8| Neighbour {
            id: "b".repeat(40),
            address: address(*host),
            round_trip_us: None,
            suspect: false,
        };
        StatusPage {
            version: "v".repeat(64),
            uptime_seconds: 1,
            api_address: address(host),
            admin_address: None,
            dht_address: ([0, 0, 0, 0], 20001).into(),
            held_back: Vec::new(),
            refusals: Vec::new(),
            unresolved: Vec::new(),
            unanswered: Vec::new(),
            node: Status {
                id: "a".repeat(40),
                ready: true,
                draining: false,
                advertised: Some(address(host).ip()),
                network: None,
                other_networks: Vec::new(),
                nodes: usize::MAX,
                neighbours: knows.iter().map(neighbour).collect(),
                names_held: 0,
                items_held: 0,
                lookups_kept: 0,
                announced: Vec::new(),
                peers: <_>::default(),
                errors: Vec::new(),
            },
        }
    }

    #[test]
    fn grapes_that_all_know_each_other_have_one_hash() {
        let knows = |host, knows: &[u8]| ClusterEntry::of(&page(host, knows)).knows;
        assert_eq!(knows(1, &[2, 3]), knows(3, &[2, 1]));
        assert_eq!(knows(1, &[2, 3]), "4e38f41805ae85bf", "it is the same in each release");
        assert_ne!(knows(1, &[2, 3]), knows(2, &[1]));
        let mut silent = page(1, &[2, 3]);
        silent.node.neighbours[1].suspect = true;
        assert_eq!(ClusterEntry::of(&silent).knows, knows(1, &[2]));
    }

    #[test]
    fn each_problem_of_a_page_counts() {
        let mut page = page(1, &[]);
        page.unresolved.push(Unresolved { name: "x:1".to_owned(), reason: "none".to_owned() });
        page.node.other_networks.push(address(9));
        assert_eq!(ClusterEntry::of(&page).problems, 2);
    }

    #[test]
    fn the_longest_entry_fits_in_the_bound() {
        let json = serde_json::to_vec(&ClusterEntry::of(&page(1, &[2]))).unwrap();
        assert!(json.len() < MAX_BYTES / 2, "{}", json.len());
    }
}
