//! Bootstrap addresses of this node, and whether it has joined through them.

use std::net::SocketAddr;
use std::time::Instant;

use rand::seq::SliceRandom;

use super::Engine;
use crate::addresses::seed;

impl Engine {
    /// The seeds that led back to this node when they were last asked.
    pub fn seeds_that_lead_home(&self) -> Vec<SocketAddr> {
        self.bootstrap.that_lead_home().filter(|addr| !self.is_itself(addr)).collect()
    }

    /// The seeds that did not answer when they were last asked, and at which no node is known.
    pub fn silent_seeds(&self) -> Vec<SocketAddr> {
        self.bootstrap.silent().filter(|addr| !self.knows(addr)).collect()
    }

    /// The seeds to be asked, in random order: a dead one is not always before the same others.
    pub(super) fn seeds_to_ask(&mut self) -> Vec<SocketAddr> {
        let mut addrs: Vec<_> =
            self.bootstrap.seeds().filter(|addr| !self.is_itself(addr)).collect();
        addrs.shuffle(&mut self.rng);
        addrs
    }

    /// Pings some of these addresses at which no node is known. For a node that has joined, now and
    /// then: cheaper than the lookup of [`Engine::join`].
    pub fn ask_seeds_again(&mut self, seeds: Vec<SocketAddr>, complete: bool, now: Instant) {
        let seeds = seeds.into_iter().filter_map(|addr| seed(addr).ok()).collect();
        self.bootstrap.set_seeds(seeds, complete);
        let mut unknown = self.seeds_to_ask();
        unknown.retain(|addr| !self.knows(addr));
        for addr in self.bootstrap.choose_to_ask(&unknown, now) {
            self.ask_stranger(addr, None, now);
        }
    }

    /// Whether the node is ready may have changed.
    pub(super) fn settle_readiness(&mut self, now: Instant) {
        let (own, knows_others) = (&self.own, !self.routing.is_empty());
        self.bootstrap.settle(knows_others, |addr| own.has(addr), now);
    }
}

#[cfg(test)]
mod tests;
