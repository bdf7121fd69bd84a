//! How a node leaves: it tells all nodes of our kind that it knows, and answers nobody from then on.
//!
//! Nobody believes that a node has left, since anybody can say so in its name: who hears it asks the
//! node, as after any other word of a death. What the word changes is what comes after the death:
//! nobody asks again and again whether the node is back, as they do after one that was not expected
//! (`dead_nodes.rs`). Another node that starts at its address later is not drawn into this network.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Answer;
use super::engine::Engine;
use super::expiring_set::ExpiringSet;
use super::gossip::VERIFIED;
use super::iterative_lookup::Closest;
use super::probes::Tell;
use crate::krpc::Contact;

/// Where nodes are many, it takes minutes until each was asked whether it is there.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Nodes that said they leave.
#[derive(Debug, Default)]
pub(super) struct Leavers(ExpiringSet);

impl Leavers {
    /// It has answered since.
    pub(super) fn stays(&mut self, addr: &SocketAddr) {
        self.0.remove(addr);
    }

    /// It is dead. Returns whether it had said so.
    pub(super) fn died(&mut self, addr: &SocketAddr) -> bool {
        self.0.remove(addr)
    }

    pub(super) fn expire(&mut self, now: Instant) {
        self.0.expire(REMEMBERED, now);
    }
}

impl Engine {
    /// Tells the other nodes that this one ends. From now on it answers nobody and asks nobody.
    /// Answers how many have confirmed.
    pub fn leave(&mut self, now: Instant) -> Answer<usize> {
        self.has_left = true;
        let nodes = self.v4.nodes().chain(self.v6.nodes()).filter(|node| node.ours);
        let told = nodes.map(|node| Closest {
            contact: node.contact,
            token: Box::default(),
            token_since: now,
        });
        let told: Vec<_> = told.collect();
        if told.is_empty() {
            return Answer::Now(0);
        }
        let operation = self.operation();
        self.store_leave(told, operation, now);
        Answer::Later(operation)
    }

    /// A node says that it leaves.
    pub(super) fn on_leaving(&mut self, from: Contact, now: Instant) {
        let known = self.table(&from.addr).node_at(&from.addr).map(|node| node.contact);
        if known == Some(from) {
            self.leavers.0.insert(from.addr, now);
            self.probe(from.addr, VERIFIED, Tell::IfItAnnounced, now);
        }
    }
}
