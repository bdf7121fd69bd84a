//! How a node joins: a lookup of its own id through bootstrap addresses, and through nodes that ask
//! it.

use std::net::SocketAddr;
use std::time::Instant;

use mainline::Id;

use super::Engine;
use crate::addresses::{canonical, seed};
use crate::krpc::Contact;
use crate::lookup::{OnComplete, Target};
use crate::routing::K;

/// Buckets that are filled by a lookup of their own when a node joins a large network.
const BUCKETS_FILLED: usize = 8;

impl Engine {
    /// Joins the DHT through these addresses. `complete` says that there are no others: with no
    /// address but its own, this node is then the first. Call it again when names resolve to other
    /// addresses, or when the node has lost all others.
    pub fn join(&mut self, seeds: Vec<SocketAddr>, complete: bool, now: Instant) {
        let seeds = seeds.into_iter().filter_map(|addr| seed(addr).ok()).collect();
        self.bootstrap.set_seeds(seeds, complete);
        self.start_lookup(Target::Node(self.settings.id), OnComplete::Join, now);
    }

    /// Joins through nodes that another node returned. That one was found behind a bootstrap
    /// address which led back to this node, such as a load balancer's.
    pub fn join_behind(&mut self, seed: SocketAddr, nodes: &[Contact], now: Instant) {
        self.bootstrap.led_elsewhere(&seed, true);
        let mut named = Vec::with_capacity(nodes.len());
        for node in nodes {
            if let Ok(addr) = self.admit(node.addr, &seed) {
                named.push(Contact { addr, ..*node });
            }
        }
        if self.routing.len() < K {
            return self.join_through(&named, now);
        }
        // A node that knows many asks only one that is new to it: a lookup would ask all of them.
        if let Some(unknown) = named.iter().find(|node| !self.knows(&node.addr)) {
            self.ask_stranger(unknown.addr, Some(unknown.id), now);
        }
    }

    /// Whether a bootstrap address is a node that we know, or this node itself.
    pub fn knows(&self, addr: &SocketAddr) -> bool {
        let addr = &canonical(*addr);
        self.is_itself(addr) || self.routing.node_at(addr).is_some()
    }

    /// Joins through these nodes, beside the seeds.
    pub(super) fn join_through(&mut self, contacts: &[Contact], now: Instant) {
        self.start_lookup_through(Target::Node(self.settings.id), OnComplete::Join, contacts, now);
    }

    /// The lookup to ourselves is over.
    pub(super) fn joined(&mut self, now: Instant) {
        self.bootstrap.joined();
        self.settle_readiness(now);
        for (target, then) in self.lookups.take_waiting() {
            self.start_lookup(target, then, now);
        }
        // Where all nodes answered, all are known; a larger network's other regions are not.
        if self.routing.len() >= K {
            for bucket in 0..self.routing.depth().min(BUCKETS_FILLED) {
                let target = self.id_in_bucket(bucket);
                self.start_lookup(Target::Node(target), OnComplete::Refresh, now);
            }
        }
    }

    /// A random id that shares just `bucket` leading bits with ours.
    fn id_in_bucket(&mut self, bucket: usize) -> Id {
        let own = *self.settings.id.as_bytes();
        let mut id = *self.random_id().as_bytes();
        let (byte, bit) = (bucket / 8, 0x80u8 >> (bucket % 8));
        id[..byte].copy_from_slice(&own[..byte]);
        let kept = !(bit | (bit - 1));
        id[byte] = (own[byte] & kept) | (!own[byte] & bit) | (id[byte] & (bit - 1));
        Id::from(id)
    }
}
