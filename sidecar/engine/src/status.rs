//! A node's status: a bounded picture for people, and counters for metrics.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::addresses::ADDRESS_REFUSALS;
use super::engine::OTHER_NETWORK_MESSAGES;
use crate::krpc::Method;

/// A picture of a node. Lists are cut at [`MAX_LISTED`]; the counts beside them are whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The node's id, 40 hex digits.
    pub id: String,
    /// Joined to other nodes, or knowingly the first.
    pub ready: bool,
    /// Whether it drains: it has withdrawn its announces and takes no more.
    pub draining: bool,
    /// The address under which its own announces are seen; none while it is not known.
    pub advertised: Option<IpAddr>,
    /// The network that it belongs to; none where it takes every node.
    #[serde(default)]
    pub network: Option<String>,
    /// Addresses at which Grapes of other networks were heard in the last minute, sorted; 8 at most.
    #[serde(default)]
    pub other_networks: Vec<SocketAddr>,
    /// How many nodes the routing table holds.
    pub nodes: usize,
    /// Nodes of the routing table that answered lately, sorted by address.
    pub neighbours: Vec<Neighbour>,
    /// Names that this node holds peers of, for others and for itself.
    pub names_held: usize,
    /// BEP 44 items that this node holds.
    pub items_held: usize,
    /// Lookups whose answer is kept.
    pub lookups_kept: usize,
    /// What services announced through this node and is alive.
    pub announced: Vec<Announced>,
    /// The peers of each name held or looked up, as `ip:port`.
    pub peers: BTreeMap<String, Vec<SocketAddr>>,
    /// The last errors, newest last: how long ago, what was asked of whom, and what went wrong.
    pub errors: Vec<String>,
}

/// Most entries of any list in a [`Status`].
pub const MAX_LISTED: usize = 1000;

/// Another node, as the routing table has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Neighbour {
    /// Its id, 40 hex digits.
    pub id: String,
    /// Its UDP address.
    pub address: SocketAddr,
    /// Smoothed round trip in microseconds; none before its first answer.
    pub round_trip_us: Option<u64>,
    /// Whether its last query went unanswered.
    pub suspect: bool,
}

/// A service announced through this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Announced {
    /// The service's name; bytes that are not UTF-8 are replaced.
    pub name: String,
    /// The service's port.
    pub port: u16,
    /// How many other nodes hold the announce.
    pub stored_at: usize,
}

/// Counters since the node's start, and gauges of now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Datagrams received.
    pub packets_received: u64,
    /// Datagrams sent.
    pub packets_sent: u64,
    /// Bytes received in datagrams.
    pub bytes_received: u64,
    /// Bytes sent in datagrams.
    pub bytes_sent: u64,
    /// Datagrams that were no KRPC message.
    pub malformed: u64,
    /// Impossible addresses, announced or sent by others, by [`ADDRESS_REFUSALS`].
    pub addresses_refused: [u64; ADDRESS_REFUSALS.len()],
    /// Messages of Grapes of other networks, by [`OTHER_NETWORK_MESSAGES`].
    pub other_network: [u64; OTHER_NETWORK_MESSAGES.len()],
    /// Queries received, by [`QUERY_METHODS`].
    pub queries_received: [u64; QUERY_METHODS.len()],
    /// Queries sent, by [`QUERY_METHODS`].
    pub queries_sent: [u64; QUERY_METHODS.len()],
    /// Queries of ours that were never answered.
    pub timeouts: u64,
    /// Queries of ours that were answered with an error.
    pub errors_received: u64,
    /// Lookups answered from memory.
    pub lookups_from_memory: u64,
    /// Lookups that asked other nodes.
    pub lookups_from_dht: u64,
    /// Lookups that found no peer.
    pub lookups_empty: u64,
    /// Announces answered from memory.
    pub announces_from_memory: u64,
    /// Announces whose holders had to be searched for.
    pub announces_from_dht: u64,
    /// Nodes in the routing table.
    pub nodes: usize,
    /// Names held.
    pub names_held: usize,
    /// Peers held, of all names.
    pub peers_held: usize,
    /// Names that had to make room for others, with their peers: there were too many.
    pub names_dropped: u64,
    /// Items held.
    pub items_held: usize,
    /// Announces of this node that are alive.
    pub announced: usize,
    /// How much there is of what has a bound, by [`RESOURCES`].
    pub bounds: [Bound; RESOURCES.len()],
}

/// How much there is of something, and how much there may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bound {
    /// How much there is.
    pub used: usize,
    /// The bound.
    pub most: usize,
}

/// What a node holds, or does, for others, within bounds: `docs/threat-model.md` says what happens
/// where one is reached.
pub const RESOURCES: [&str; 12] = [
    "names",
    "name_bytes",
    "peers",
    "items",
    "claimed_addresses",
    "announces",
    "lookups",
    "lookup_bytes",
    "monitored_nodes",
    "probes",
    "proven_addresses",
    "strangers",
];

/// The methods that queries are counted by; the last stands for all others.
pub const QUERY_METHODS: [&str; 11] = [
    "ping",
    "find_node",
    "get_peers",
    "announce_peer",
    "get",
    "put",
    "withdraw_peer",
    "dead",
    "withdrawn",
    "forgotten",
    "other",
];

/// The place of a method in [`QUERY_METHODS`].
pub(super) fn method_index(method: &Method<'_>) -> usize {
    let other = QUERY_METHODS.len() - 1;
    QUERY_METHODS.iter().position(|known| known.as_bytes() == method.name()).unwrap_or(other)
}
