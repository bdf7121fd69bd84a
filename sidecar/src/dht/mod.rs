//! The DHT as services use it: an async handle over the engine and its UDP sockets.

use std::net::SocketAddr;
use mainline::Id;
use crate::engine::{Item, Found, PutError, Status, Stats};

/// A node of the DHT that runs. Cheap to clone: all clones are one node.
#[derive(Clone)]
pub struct Dht { }

#[allow(unused_variables)]
impl Dht {
    /// The peers that announced `name` and are alive, at most 100, in random order. Answers at
    /// once from memory when the name was looked up lately; else after a walk through the DHT.
    pub async fn lookup(&self, name: &[u8]) -> Vec<SocketAddr> { todo!() }
    /// Announces `name` at `port` of this host, until `peer_max_age` has passed. Returns how many other nodes hold the announce.
    /// Port 0 announces the DHT port.
    pub async fn announce(&self, name: &[u8], port: u16) -> usize { todo!() }
    /// Takes an announce back, here and at the nodes that hold it. Returns how many of those confirmed.
    pub async fn withdraw(&self, name: &[u8], port: u16) -> usize { todo!() }
    /// Takes back all that was announced here, and announces nothing more. Returns how many names were withdrawn.
    pub async fn withdraw_all(&self) -> usize { todo!() }
    /// Stores an item at the closest nodes.
    pub async fn put(&self, item: Item, cas: Option<i64>) -> Result<Id, PutError> { todo!() }
    /// The item stored under `target`, the newest that the closest nodes hold if it is mutable. `salt` is what
    /// a mutable item was put with. `cached` allows an answer from what this node holds itself.
    pub async fn get(&self, target: Id, salt: &[u8], cached: bool) -> Option<Found> { todo!() }
    /// Follows the peers of `name`: the first `next` gives those of now, each further one waits for a change.
    pub fn watch(&self, name: &[u8]) -> Watch { todo!() }
    /// Joined to other nodes, or knowingly the first.
    pub fn is_ready(&self) -> bool { todo!() }
    /// Completes when [`Dht::is_ready`] first holds.
    pub async fn ready(&self) { todo!() }
    /// A picture of the node for people: bounded.
    pub fn status(&self) -> Status { todo!() }
    /// Counters since the start, for metrics.
    pub fn stats(&self) -> Stats { todo!() }
}

/// A name's peers, followed.
pub struct Watch { }
impl Watch {
    /// The name's peers, sorted: at the first call those known now (after a lookup), then each time they change.
    /// `None` when the node has stopped.
    pub async fn next(&mut self) -> Option<Vec<SocketAddr>> { todo!() }
}
