//! Bootstrap addresses ("seeds"), and which of them lead back to this node: a virtual IP or a load
//! balancer may choose the one who asks.
//!
//! A node is the *first* of its network, and ready while it knows nobody, when all its seeds are
//! known and each of them is an address of this node itself, or has led only to it for
//! [`LED_HOME`]. When another node answers at a seed, or none does, the time of this seed begins
//! again.
//!
//! However many nodes it knows, it asks its seeds again and again: a node that was joined once may
//! be in a part of the network that has lost the others, and knows nothing of it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long all seeds must lead only to this node before it concludes that it is alone.
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

/// How far this node has come with its joining.
#[derive(Debug)]
pub(crate) struct Bootstrap {
    /// The seeds that discovery found last.
    seeds: Vec<Seed>,
    /// There are no others.
    complete: bool,
    /// The first lookup is not over: operations wait for it.
    joining: bool,
    ready: bool,
}

impl Bootstrap {
    /// `awaits_seeds` says that seeds will come by [`Bootstrap::set_seeds`].
    pub(crate) fn new(awaits_seeds: bool) -> Self {
        let (joining, complete, ready) = (awaits_seeds, !awaits_seeds, !awaits_seeds);
        Self { seeds: Vec::new(), complete, joining, ready }
    }

    pub(crate) fn is_joining(&self) -> bool {
        self.joining
    }

    /// The lookup of our own id is over.
    pub(crate) fn joined(&mut self) {
        self.joining = false;
    }

    /// Joined to other nodes, or knowingly the first. Once it holds, it holds.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready
    }

    /// The operator, which sees more of the network, says that there are no other nodes.
    pub(crate) fn is_alone(&mut self) {
        self.ready = true;
    }

    /// Updates whether the node is ready: it knows other nodes, or there are none to join.
    /// `is_itself` says whether an address is this node's.
    pub(crate) fn settle(
        &mut self,
        knows_others: bool,
        is_itself: impl Fn(&SocketAddr) -> bool,
        now: Instant,
    ) {
        let lone = |seed: &Seed| {
            let led_home = |since| now.duration_since(since) >= LED_HOME;
            seed.home_since.is_some_and(led_home) || is_itself(&seed.addr)
        };
        let is_first = || self.complete && self.seeds.iter().all(lone);
        self.ready = self.ready || !self.joining && (knows_others || is_first());
    }

    /// The addresses of all seeds.
    pub(crate) fn seeds(&self) -> impl Iterator<Item = SocketAddr> {
        self.seeds.iter().map(|seed| seed.addr)
    }

    /// The seeds that led back to this node when they were last asked.
    pub(crate) fn that_lead_home(&self) -> impl Iterator<Item = SocketAddr> {
        self.seeds.iter().filter(|seed| seed.home_since.is_some()).map(|seed| seed.addr)
    }

    /// The seeds that did not answer when they were last asked.
    pub(crate) fn silent(&self) -> impl Iterator<Item = SocketAddr> {
        self.seeds.iter().filter(|seed| seed.is_silent).map(|seed| seed.addr)
    }

    /// These are the seeds from now on. What is known of those that stay is kept.
    pub(crate) fn set_seeds(&mut self, addrs: Vec<SocketAddr>, complete: bool) {
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
    pub(crate) fn led_home(&mut self, addr: &SocketAddr, now: Instant) {
        if let Some(seed) = self.find(addr) {
            seed.home_since.get_or_insert(now);
            (seed.is_shared, seed.is_silent) = (true, false);
        }
    }

    /// Another node answered at this address, or none did.
    pub(crate) fn led_elsewhere(&mut self, addr: &SocketAddr, answered: bool) {
        if let Some(seed) = self.find(addr) {
            (seed.home_since, seed.is_silent) = (None, !answered);
        }
    }

    /// Those to be asked by a node that has joined, of these: the ones that were not for longest.
    pub(crate) fn choose_to_ask(
        &mut self,
        unknown: &[SocketAddr],
        now: Instant,
    ) -> Vec<SocketAddr> {
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
    pub(crate) fn is_shared(&self, addr: &SocketAddr) -> bool {
        self.seeds.iter().any(|seed| seed.addr == *addr && seed.is_shared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(n: u8) -> SocketAddr {
        SocketAddr::from(([10, 96, 0, n], 20001))
    }

    #[test]
    fn seeds_that_were_not_asked_for_longest_are_asked() {
        let now = crate::clock::now();
        let mut bootstrap = Bootstrap::new(true);
        let all: Vec<_> = (0..5).map(seed).collect();
        bootstrap.set_seeds(all.clone(), true);
        assert_eq!(bootstrap.choose_to_ask(&all, now), all[..ASKED_AGAIN]);
        let others = bootstrap.choose_to_ask(&all, now + Duration::from_secs(1));
        assert_eq!(others, [seed(3), seed(4), seed(0)]);
    }

    #[test]
    fn seeds_that_lead_only_home_for_long_make_the_node_the_first() {
        let now = crate::clock::now();
        let mut bootstrap = Bootstrap::new(true);
        bootstrap.set_seeds(vec![seed(1)], true);
        bootstrap.joined();
        bootstrap.led_home(&seed(1), now);
        bootstrap.settle(false, |_| false, now);
        assert!(!bootstrap.is_ready());
        bootstrap.settle(false, |_| false, now + LED_HOME);
        assert!(bootstrap.is_ready() && bootstrap.is_shared(&seed(1)));
    }
}
