//! How a node leaves: it tells all nodes of our kind that it knows, and answers nobody from then on.
//!
//! Nobody believes that a node has left, since anybody can say so in its name: who hears it asks the
//! node, as after any other word of a death. What the word changes is what comes after the death:
//! nobody asks again and again whether the node is back, as they do after one that was not expected
//! (`failure_detector/dead_nodes.rs`). Another node that starts at its address later is not drawn into this network.

use std::time::Instant;

use super::Engine;
use crate::Answer;
use crate::closest::Closest;
use crate::failure_detector::{Tell, VERIFIED};
use crate::krpc::Contact;

impl Engine {
    /// Tells the other nodes that this one ends. From now on it answers nobody and asks nobody.
    /// Answers how many have confirmed.
    pub fn leave(&mut self, now: Instant) -> Answer<usize> {
        self.has_left = true;
        let nodes = self.routing.nodes().filter(|node| node.ours);
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
        let known = self.routing.node_at(&from.addr).map(|node| node.contact);
        if known == Some(from) {
            self.failure_detector.leaves(from.addr, now);
            self.probe(from.addr, VERIFIED, Tell::IfItAnnounced, now);
        }
    }
}
