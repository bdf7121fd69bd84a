//! A network of gossip machines under virtual time, the same each time from a seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use grape_engine::gossip::{Gossip, GossipEffect, GossipEvent, MAX_DATAGRAM};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The group of all tests that need one.
pub(crate) const GROUP: &str = "workers";
/// A start time in milliseconds since 1970.
pub(crate) const START: u64 = 1_700_000_000_000;
/// Microseconds that a datagram takes.
const LATENCY: std::ops::Range<u64> = 200..1000;

/// A datagram on its way, or a machine whose time is to pass.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Arrives { from: SocketAddr, to: SocketAddr, datagram: Vec<u8> },
    Wakes(usize),
}

/// A machine with what it reported.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) gossip: Gossip,
    pub(crate) addr: SocketAddr,
    pub(crate) events: Vec<(Instant, GossipEvent)>,
    alive: bool,
    /// It is stopped until then: what comes waits.
    stopped: Option<Instant>,
    side: u8,
    wakes: Option<Instant>,
}

/// Machines, and the datagrams between them.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) now: Instant,
    pub(crate) nodes: Vec<Node>,
    /// The share of datagrams that get lost, from 0 to 1.
    pub(crate) loss: f64,
    start: Instant,
    rng: StdRng,
    due: BinaryHeap<Reverse<(Duration, u64, What)>>,
    sequence: u64,
    by_addr: BTreeMap<SocketAddr, usize>,
}

/// The address of a machine.
pub(crate) fn addr(n: usize) -> SocketAddr {
    let n = u32::try_from(n).expect("tests have few machines");
    SocketAddr::from((Ipv4Addr::from(0x0a00_0001 + n), 20001))
}

/// The IPv6 address of a machine.
pub(crate) fn addr_v6(n: usize) -> SocketAddr {
    let n = u128::try_from(n).expect("tests have few machines");
    SocketAddr::from((Ipv6Addr::from(0xfd00_u128 << 112 | (n + 1)), 20001))
}

impl Network {
    #[expect(clippy::disallowed_methods, reason = "virtual time begins at any moment")]
    pub(crate) fn new(seed: u64) -> Self {
        let now = Instant::now();
        Self {
            now,
            nodes: Vec::new(),
            loss: 0.0,
            start: now,
            rng: StdRng::seed_from_u64(seed),
            due: BinaryHeap::new(),
            sequence: 0,
            by_addr: BTreeMap::new(),
        }
    }

    /// So many machines that joined the group through the first and know each other.
    pub(crate) fn of(count: usize, seed: u64) -> Self {
        let mut network = Self::new(seed);
        (0..count).for_each(|n| network.add(addr(n), &[addr(0)]));
        network.run_until(Duration::from_secs(60), |network| {
            (0..count).all(|n| network.live(n) == count - 1)
        });
        network.run(Duration::from_secs(15));
        network.forget_events();
        network
    }

    /// Adds a machine that joins the group.
    pub(crate) fn add(&mut self, addr: SocketAddr, seeds: &[SocketAddr]) {
        let gossip = self.gossip(addr, seeds, START + self.millis());
        self.add_machine(addr, gossip);
    }

    pub(crate) fn add_machine(&mut self, addr: SocketAddr, gossip: Gossip) {
        self.by_addr.insert(addr, self.nodes.len());
        self.nodes.push(Node {
            gossip,
            addr,
            events: Vec::new(),
            alive: true,
            stopped: None,
            side: 0,
            wakes: None,
        });
        self.settle(self.nodes.len() - 1);
    }

    fn gossip(&mut self, addr: SocketAddr, seeds: &[SocketAddr], generation: u64) -> Gossip {
        let mut gossip = Gossip::new(None, generation, self.rng.random(), self.now);
        gossip.set_own_address(Some(addr), self.now);
        gossip.join(GROUP, seeds.iter().copied(), self.now).expect("there is room");
        gossip
    }

    /// Milliseconds of virtual time.
    pub(crate) fn millis(&self) -> u64 {
        u64::try_from((self.now - self.start).as_millis()).expect("tests are short")
    }

    /// Ends a machine, as by `kill -9`.
    pub(crate) fn kill(&mut self, n: usize) {
        self.nodes[n].alive = false;
    }

    /// Starts a machine again, at its address.
    pub(crate) fn restart(&mut self, n: usize, generation: u64) {
        let addr = self.nodes[n].addr;
        let seeds: Vec<_> = self.nodes.iter().take(2).map(|node| node.addr).collect();
        self.nodes[n].gossip = self.gossip(addr, &seeds, generation);
        self.nodes[n].alive = true;
        self.nodes[n].wakes = None;
        self.settle(n);
    }

    /// Stops a machine for a while, as by `SIGSTOP`: what comes waits in its socket.
    pub(crate) fn stop(&mut self, n: usize, time: Duration) {
        self.nodes[n].stopped = Some(self.now + time);
    }

    /// Datagrams between machines of different sides get lost.
    pub(crate) fn set_sides(&mut self, side: impl Fn(usize) -> u8) {
        self.nodes.iter_mut().enumerate().for_each(|(n, node)| node.side = side(n));
    }

    /// Lets a machine do something.
    pub(crate) fn act<T>(&mut self, n: usize, act: impl FnOnce(&mut Gossip, Instant) -> T) -> T {
        let result = act(&mut self.nodes[n].gossip, self.now);
        self.settle(n);
        result
    }

    pub(crate) fn set(&mut self, n: usize, key: &str, value: &[u8]) {
        let set = self.act(n, |gossip, now| gossip.set(GROUP, key, value.into(), None, now));
        set.expect("it is within the bounds");
    }

    /// A value, as a machine sees it at another.
    pub(crate) fn value(&self, at: usize, of: usize, key: &str) -> Option<Vec<u8>> {
        let state = self.nodes[at].gossip.state(GROUP, Some(self.nodes[of].addr), self.now)?;
        state.iter().find(|item| *item.key == *key).map(|item| item.value.to_vec())
    }

    /// How many live members a machine knows.
    pub(crate) fn live(&self, at: usize) -> usize {
        let peers = self.nodes[at].gossip.peers(GROUP, self.now).unwrap_or_default();
        peers.iter().filter(|peer| peer.live).count()
    }

    /// The events of a machine that fit.
    pub(crate) fn count(&self, at: usize, fits: impl Fn(&GossipEvent) -> bool) -> usize {
        self.nodes[at].events.iter().filter(|(_, event)| fits(event)).count()
    }

    pub(crate) fn forget_events(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.events.clear());
    }

    /// How long after `since` each machine but the first `not` had its first event that fits,
    /// sorted.
    pub(crate) fn latencies(
        &self,
        not: usize,
        since: Instant,
        fits: impl Fn(&GossipEvent) -> bool,
    ) -> Vec<Duration> {
        let others = self.nodes.iter().enumerate().filter(|(n, node)| *n != not && node.alive);
        let first = others.map(|(n, node)| {
            let event = node.events.iter().find(|(_, event)| fits(event));
            event.map_or_else(|| panic!("{n} saw nothing"), |(at, _)| *at - since)
        });
        let mut all: Vec<_> = first.collect();
        all.sort_unstable();
        all
    }

    /// Bytes that all machines have sent.
    pub(crate) fn bytes_sent(&self) -> u64 {
        self.nodes.iter().map(|node| node.gossip.counters().bytes_sent).sum()
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    /// Lets time pass until something is so, which has to be in time.
    pub(crate) fn run_until(&mut self, most: Duration, done: impl Fn(&Self) -> bool) {
        let end = self.now + most;
        while !done(self) {
            assert!(self.now < end, "not within {most:?}");
            self.run(Duration::from_millis(100));
        }
    }

    fn step(&mut self, end: Instant) -> bool {
        let Some(Reverse((at, ..))) = self.due.peek() else { return false };
        let at = self.start + *at;
        if at > end {
            return false;
        }
        let Some(Reverse((_, _, what))) = self.due.pop() else { return false };
        self.now = at;
        match what {
            What::Wakes(n) => self.wake(n),
            What::Arrives { from, to, datagram } => self.arrive(from, to, datagram),
        }
        true
    }

    fn wake(&mut self, n: usize) {
        let now = self.now;
        let node = &mut self.nodes[n];
        if !node.alive || node.wakes != Some(now) {
            return;
        }
        node.wakes = None;
        if let Some(until) = node.stopped.filter(|until| *until > now) {
            node.wakes = Some(until);
            return self.schedule(until, What::Wakes(n));
        }
        node.gossip.handle_timeout(now);
        self.settle(n);
    }

    fn arrive(&mut self, from: SocketAddr, to: SocketAddr, datagram: Vec<u8>) {
        let Some(n) = self.by_addr.get(&to).copied() else { return };
        let now = self.now;
        let node = &mut self.nodes[n];
        if !node.alive {
            return;
        }
        if let Some(until) = node.stopped.filter(|until| *until > now) {
            return self.schedule(until, What::Arrives { from, to, datagram });
        }
        node.gossip.handle_datagram(from, &datagram, now);
        self.settle(n);
    }

    /// Does what a machine wants done, and notes when it is to be called.
    fn settle(&mut self, n: usize) {
        let (now, own) = (self.now, self.nodes[n].addr);
        while let Some(effect) = self.nodes[n].gossip.poll_effect() {
            match effect {
                GossipEffect::Send { to, datagram } => {
                    assert!(datagram.len() <= MAX_DATAGRAM, "{} bytes", datagram.len());
                    let side = self.by_addr.get(&to).map(|to| self.nodes[*to].side);
                    let apart = side.is_some_and(|side| side != self.nodes[n].side);
                    if !apart && !self.rng.random_bool(self.loss) {
                        let latency = Duration::from_micros(self.rng.random_range(LATENCY));
                        self.schedule(now + latency, What::Arrives { from: own, to, datagram });
                    }
                }
                GossipEffect::Event { event, .. } => self.nodes[n].events.push((now, event)),
                GossipEffect::OtherNetwork(addr) => panic!("{addr} is of another network"),
            }
        }
        let node = &mut self.nodes[n];
        if let Some(at) = node.gossip.poll_timeout()
            && node.wakes.is_none_or(|wakes| at < wakes)
        {
            let at = at.max(now);
            node.wakes = Some(at);
            self.schedule(at, What::Wakes(n));
        }
    }

    fn schedule(&mut self, at: Instant, what: What) {
        self.sequence += 1;
        self.due.push(Reverse((at - self.start, self.sequence, what)));
    }
}

/// All members but one.
pub(crate) fn others(count: usize, but: usize) -> impl Iterator<Item = usize> {
    (0..count).filter(move |n| *n != but)
}
