//! Networks so small that every node is among the closest to every point: who they are needs no
//! walk to be known.

use std::time::Instant;

use super::holders::TOKENS_LAST;
use super::node::Engine;
use super::routing::{K, Node, Table};
use super::walk::Closest;

impl Engine {
    /// All nodes there are, with their tokens. None where a walk has to tell: there may be others,
    /// one of them is silent, or has given no token lately.
    pub(super) fn everybody(&self, now: Instant) -> Option<Vec<Closest>> {
        let all_known = |table: &Table| table.len() < K;
        if self.joining || self.nodes() == 0 || !all_known(&self.v4) || !all_known(&self.v6) {
            return None;
        }
        let closest = |node: &Node| {
            let (token, since) = node.token.as_ref()?;
            let good = now.duration_since(*since) < TOKENS_LAST
                && !self.suspects.contains(&node.contact.addr);
            let (contact, token_since) = (node.contact, *since);
            good.then(|| Closest { contact, token: token.clone(), token_since })
        };
        self.v4.nodes().chain(self.v6.nodes()).map(closest).collect()
    }
}
