//! The node as a state machine, without I/O: packets and time go in, effects come out.
//!
//! [`Engine::handle_datagram`] takes a datagram, [`Engine::handle_timeout`] lets time pass, and the
//! operations ([`Engine::lookup`] and so on) take what services want. [`Engine::poll_effect`] gives
//! what is to be done for it all, and [`Engine::poll_timeout`] when time is to pass next. The very
//! same code runs on sockets in production, and by the thousand under virtual time in tests.
//!
//! ```
#![doc = include_str!("../examples/three_nodes.rs")]
//! ```
//!
//! # How it is made
//!
//! Machines own their state. They take input and the time, and return what is to be done; none
//! knows another but for [`Engine`], which passes on what one says to those that it concerns. All
//! that know who else there is ask `routing`.
//!
//! | machine | owns |
//! |---|---|
//! | `routing` | the routing tables with their replacement caches, suspects, refresh |
//! | `rpc` | queries that are out, their timeouts, round trips, how many strangers are asked |
//! | `lookup` | iterative lookups, and the cache of their results |
//! | `storage` | what is held for others: peers, items, tokens, claims of other IPs |
//! | `publish` | announces of ours and who holds them, stores under way, withdrawals |
//! | `failure_detector` | monitors, monitored nodes, probes, rumors of deaths, dead nodes |
//! | `subscriptions` | names that somebody follows |
//! | `bootstrap` | bootstrap addresses, which of them lead back to this node, and whether it is ready |
//! | `own_addresses` | the addresses of this host, and those under which others see it |
//!
//! [`gossip`] is apart from them: groups of members with keys, a machine like [`Engine`] on the same
//! port.
//!
//! What they share: `addresses` (the one form of an address, and impossible ones),
//! `closest`, `distance`, `diversity`, `item`, `peer_record`, `rate_limiter`, `capacity`, and [`krpc`], the
//! messages.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod addresses;
mod bootstrap;
mod bound_ids;
mod capacity;
#[cfg(test)]
mod clock;
mod closest;
mod distance;
mod diversity;
mod engine;
mod errors;
mod failure_detector;
pub mod gossip;
mod item;
pub mod krpc;
mod lookup;
mod network;
mod own_addresses;
mod peer_record;
mod publish;
mod rate_limiter;
mod routing;
mod rpc;
mod status;
mod storage;
mod subscriptions;
mod unproven;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

pub use ipnet::IpNet;
use mainline::Id;

pub use addresses::{ADDRESS_REFUSALS, AddressRefusal, canonical, host_of, impossible, seed};
pub use bound_ids::id_at;
pub use engine::{Engine, ImpossibleIntroduction, OTHER_NETWORK_MESSAGES};
pub use item::{Item, ItemError, MAX_DEPTH, MAX_SALT, MAX_VALUE, Signed, Value, encode, signable};
pub use network::{InvalidNetworkName, NetworkName};
pub use status::{
    Announced, Bound, MAX_LISTED, Neighbour, QUERY_METHODS, RESOURCES, Stats, Status,
};

/// A service's name, as it is on the wire.
pub type Name = Arc<[u8]>;

/// Most bytes of a service's name. Longer ones are neither announced nor found: names go over the wire
/// as they are, and are kept for others.
pub const MAX_NAME: usize = 1024;

/// Most peers that a lookup returns, as in the Node.js Grape.
pub const MAX_PEERS: usize = 100;

/// What an engine is made with. [`Settings::new`] has what a Grape has by default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The node's id.
    pub id: Id,
    /// The node's UDP port, announced where a service announces port 0.
    pub port: u16,
    /// Most queries that one lookup waits for at a time; 1 or more.
    pub concurrency: usize,
    /// Most names held for others, lookups kept, and services announced; 1 or more.
    pub max_names: usize,
    /// Most BEP 44 items held; 1 or more.
    pub max_items: usize,
    /// How long an announced peer is believed.
    pub peer_max_age: Duration,
    /// How often the routing table is refreshed by a lookup.
    pub node_liveness: Duration,
    /// The address under which announces of this node are seen; see [`Effect::Neighbour`].
    pub advertise: Option<IpAddr>,
    /// The node's sockets are bound to all addresses of this host, so that all loopback addresses
    /// at its port are its own, too.
    pub bound_to_all: bool,
    /// Bootstrap addresses will come by [`Engine::join`]: operations wait for it.
    pub awaits_seeds: bool,
    /// Where several nodes of one address are independent of each other: in public pod networks, behind a
    /// NAT, on a host of many Grapes. Elsewhere, nodes of one address have few places near a name.
    pub trusted_networks: Vec<IpNet>,
    /// The network that the node belongs to. Without one it takes every node, and is taken by every
    /// one.
    pub network: Option<NetworkName>,
}

impl Settings {
    /// The settings of a node of this id and UDP port: limits and ages as a Grape has them by
    /// default, no network's name, and no bootstrap addresses to wait for.
    pub fn new(id: Id, port: u16) -> Self {
        Self {
            id,
            port,
            concurrency: 24,
            max_names: 5000,
            max_items: 5000,
            peer_max_age: Duration::from_secs(120),
            node_liveness: Duration::from_secs(300),
            advertise: None,
            bound_to_all: false,
            awaits_seeds: false,
            trusted_networks: Vec::new(),
            network: None,
        }
    }
}

/// What the engine wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send a datagram.
    Send {
        /// To whom.
        to: SocketAddr,
        /// What.
        datagram: Vec<u8>,
    },
    /// An operation that was answered with [`Answer::Later`] is done.
    Done {
        /// Which one.
        operation: Operation,
        /// With what.
        outcome: Outcome,
    },
    /// The peers of a followed name changed.
    Changed {
        /// The name.
        name: Name,
        /// All of its peers, sorted.
        peers: Vec<SocketAddr>,
    },
    /// The first neighbour of an address family is known, or the first beyond this host, or the
    /// address that others saw is gone: the route to this node tells which address of this host
    /// others see, to be given by [`Engine::set_external`].
    Neighbour(SocketAddr),
    /// This node knew nobody, and the node at this address has found it.
    FoundBy(SocketAddr),
}

/// An operation under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Operation(u64);

/// What an operation came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Of [`Engine::lookup`].
    Peers {
        /// At most [`MAX_PEERS`], in random order.
        peers: Vec<SocketAddr>,
        /// How many nodes were asked.
        asked: usize,
    },
    /// Of [`Engine::announce`] and [`Engine::leave`]: how many other nodes confirmed.
    Confirmed(usize),
    /// Of [`Engine::withdraw`].
    Withdrawn(Withdrawn),
    /// Of [`Engine::put`]: the item's id.
    Put(Result<Id, PutError>),
    /// Of [`Engine::get`].
    Got(Option<Box<Found>>),
}

/// What became of a withdrawal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withdrawn {
    /// The service was announced through this node. So many other nodes confirmed its end.
    Here(usize),
    /// Other nodes announce it, and nothing has changed: their DHT addresses, as far as they are
    /// known; 8 at most.
    Elsewhere(Vec<SocketAddr>),
    /// Nobody announces it.
    Nowhere,
}

/// The answer to an operation: at once from memory, or later by [`Effect::Done`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// From memory.
    Now(T),
    /// By an effect.
    Later(Operation),
}

/// An item that a `get` found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The node that answered; this node itself for an item held here.
    pub from: Id,
    /// The write token that came with the answer; none for an item held here.
    pub token: Option<Vec<u8>>,
    /// The item, checked.
    pub item: Item,
}

/// Why a `put` stored nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PutError {
    /// Every node that answered refused: the code and message are BEP 44's, as in
    /// `301 CAS mismatch, re-read and try again`.
    #[error("{code} {message}")]
    Refused {
        /// 301 compare-and-set, 302 sequence number, 205 to 207 an unfit item, 203 protocol.
        code: i64,
        /// The first refusing node's message.
        message: String,
    },
    /// Nodes were asked, and none answered.
    #[error("All queries failed")]
    Unanswered,
}
