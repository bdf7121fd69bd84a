//! Bootstrap addresses ("seeds"), and which of them lead back to this node: a virtual IP or a load
//! balancer may choose the one who asks.
//!
//! A node is the *first* of its network, and ready while it knows nobody, when all its seeds are
//! known and each of them is an address of this node itself, or has led only to it for
//! [`LED_HOME`]. A seed that another node answered at, or that did not answer, counts from anew.
//!
//! However many nodes it knows, it asks its seeds again and again: a node that was joined once may
//! be in a part of the network that has lost the others, and knows nothing of it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::seq::SliceRandom;

use super::Engine;
use crate::addresses::seed;

/// Behind seeds that led only to this node for so long there is nobody else.
const LED_HOME: Duration = Duration::from_secs(30);
/// Most seeds that a node which has joined asks at a time. One of another part of the network is
/// enough to find all.
const ASKED_AGAIN: usize = 3;

#[derive(Debug)]
struct Seed {
    addr: SocketAddr,
    /// Since when it has led to this node, and nowhere else.
    home_since: Option<Instant>,
    /// It was asked last without an answer.
    is_silent: bool,
    /// It has led to this node at any time: several nodes may be behind it.
    is_shared: bool,
    /// When it was asked last by a node that had joined.
    asked_again: Option<Instant>,
}

/// The seeds that discovery found last.
#[derive(Debug)]
pub(super) struct Seeds {
    seeds: Vec<Seed>,
    /// There are no others.
    complete: bool,
}

impl Seeds {
    pub(super) fn new(complete: bool) -> Self {
        Self { seeds: Vec::new(), complete }
    }

    /// These are the seeds from now on. What is known of those that stay is kept.
    pub(super) fn set(&mut self, addrs: Vec<SocketAddr>, complete: bool) {
        let before = std::mem::take(&mut self.seeds);
        let known = |addr| before.iter().find(|seed| seed.addr == addr);
        let seed = |addr| Seed {
            addr,
            home_since: known(addr).and_then(|seed| seed.home_since),
            is_silent: known(addr).is_some_and(|seed| seed.is_silent),
            is_shared: known(addr).is_some_and(|seed| seed.is_shared),
            asked_again: known(addr).and_then(|seed| seed.asked_again),
        };
        self.seeds = addrs.into_iter().map(seed).collect();
        self.complete = complete;
    }

    /// Our own answer came from this address.
    pub(super) fn led_home(&mut self, addr: &SocketAddr, now: Instant) {
        if let Some(seed) = self.find(addr) {
            seed.home_since.get_or_insert(now);
            (seed.is_shared, seed.is_silent) = (true, false);
        }
    }

    /// Another node answered at this address, or nobody.
    pub(super) fn led_elsewhere(&mut self, addr: &SocketAddr, answered: bool) {
        if let Some(seed) = self.find(addr) {
            (seed.home_since, seed.is_silent) = (None, !answered);
        }
    }

    /// Those to be asked by a node that has joined, of these: the ones that were not for longest.
    fn choose_to_ask(&mut self, unknown: &[SocketAddr], now: Instant) -> Vec<SocketAddr> {
        let is_unknown = |seed: &&mut Seed| unknown.contains(&seed.addr);
        let mut seeds: Vec<_> = self.seeds.iter_mut().filter(is_unknown).collect();
        seeds.sort_by_key(|seed| seed.asked_again);
        let asked = seeds.into_iter().take(ASKED_AGAIN).map(|seed| {
            seed.asked_again = Some(now);
            seed.addr
        });
        asked.collect()
    }

    fn find(&mut self, addr: &SocketAddr) -> Option<&mut Seed> {
        self.seeds.iter_mut().find(|seed| seed.addr == *addr)
    }

    /// Whether several nodes may be behind this address.
    pub(super) fn is_shared(&self, addr: &SocketAddr) -> bool {
        self.seeds.iter().any(|seed| seed.addr == *addr && seed.is_shared)
    }
}

impl Engine {
    /// The seeds that led back to this node when they were last asked.
    pub fn seeds_that_lead_home(&self) -> Vec<SocketAddr> {
        let home = self.seeds.seeds.iter().filter(|seed| seed.home_since.is_some());
        home.map(|seed| seed.addr).filter(|addr| !self.is_itself(addr)).collect()
    }

    /// The seeds that did not answer when they were last asked, and at which nobody is known.
    pub fn silent_seeds(&self) -> Vec<SocketAddr> {
        let silent = self.seeds.seeds.iter().filter(|seed| seed.is_silent);
        silent.map(|seed| seed.addr).filter(|addr| !self.knows(addr)).collect()
    }

    /// The seeds to be asked, in random order: a dead one is not always before the same others.
    pub(super) fn seeds_to_ask(&mut self) -> Vec<SocketAddr> {
        let addrs = self.seeds.seeds.iter().map(|seed| seed.addr);
        let mut addrs: Vec<_> = addrs.filter(|addr| !self.is_itself(addr)).collect();
        addrs.shuffle(&mut self.rng);
        addrs
    }

    /// Asks some of these addresses at which it knows nobody. For a node that has joined, every now
    /// and then: a ping each, and not the lookup of [`Engine::join`].
    pub fn ask_seeds_again(&mut self, seeds: Vec<SocketAddr>, complete: bool, now: Instant) {
        let seeds = seeds.into_iter().filter_map(|addr| seed(addr).ok()).collect();
        self.seeds.set(seeds, complete);
        let mut unknown = self.seeds_to_ask();
        unknown.retain(|addr| !self.knows(addr));
        for addr in self.seeds.choose_to_ask(&unknown, now) {
            self.ask_stranger(addr, None, now);
        }
    }

    /// Whether there is nobody to join.
    pub(super) fn is_first(&self, now: Instant) -> bool {
        let lone = |seed: &Seed| {
            let led_home = |since| now.duration_since(since) >= LED_HOME;
            seed.home_since.is_some_and(led_home) || self.is_itself(&seed.addr)
        };
        self.seeds.complete && self.seeds.seeds.iter().all(lone)
    }

    /// Whether this is an address of this node: one of this host, or the advertised one, at its own
    /// DHT port. What others say makes none.
    pub fn is_itself(&self, addr: &SocketAddr) -> bool {
        let (ip, settings) = (addr.ip(), &self.settings);
        let local = || ip.is_loopback() || ip.is_unspecified();
        addr.port() == settings.port
            && (self.host_addresses.binary_search(&ip).is_ok()
                || settings.advertise == Some(ip)
                || settings.bound_to_all && local())
    }
}

#[cfg(test)]
mod tests;
