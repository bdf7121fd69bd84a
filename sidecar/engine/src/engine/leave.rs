//! How a node leaves: it notifies all nodes of our kind that it knows, and answers no queries from
//! then on.
//!
//! Such a notice could be forged, so nodes that receive it probe the leaving node first, as after
//! any other notice of a death. The notice changes only what comes after the death: the node is not
//! probed for its return, as it is after an unexpected death (`failure_detector/dead_nodes.rs`).
//! Another node that starts at its address later is not drawn into this network.

use std::time::Instant;

use super::Engine;
use crate::Answer;
use crate::closest::Closest;
use crate::failure_detector::{Tell, VERIFIED};
use crate::krpc::Contact;

impl Engine {
    /// Notifies the other nodes that this one ends. From now on it answers and sends no queries.
    /// The result is how many nodes confirmed.
    pub fn leave(&mut self, now: Instant) -> Answer<usize> {
        self.has_left = true;
        let nodes = self.routing.nodes().filter(|node| node.ours);
        let recipients = nodes.map(|node| Closest {
            contact: node.contact,
            token: Box::default(),
            token_since: now,
        });
        let recipients: Vec<_> = recipients.collect();
        if recipients.is_empty() {
            return Answer::Now(0);
        }
        let operation = self.operation();
        self.store_leave(recipients, operation, now);
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
