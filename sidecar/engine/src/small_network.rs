//! Networks so small that every node is among the closest to every target: who they are needs no
//! lookup to be known.

use std::time::Instant;

use super::engine::Engine;
use super::holders::TOKENS_LAST;
use super::iterative_lookup::Closest;
use super::routing::{K, Node, Table};

impl Engine {
    /// All nodes there are, with their tokens. None where a lookup has to tell: there may be others,
    /// one of them is silent, or has given no token lately.
    pub(super) fn small_network(&self, now: Instant) -> Option<Vec<Closest>> {
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
