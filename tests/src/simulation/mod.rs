//! Networks of engines under virtual time: the production engine, with links that lose, repeat and
//! reorder as a test wants, and the same each time from a seed.

mod events;
mod plain;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use ahash::HashMap;
use grape::engine::{Answer, Effect, Engine, Found, Item, Operation, Outcome, PutError, Settings};
use mainline::Id;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use events::{Arrival, Event, Events};
use plain::{is_plain, plain};

/// The UDP port of every node.
pub const PORT: u16 = 20001;
/// Longest datagram but for BEP 44 values, in bytes.
pub const MTU: usize = 1200;

/// What links do to datagrams.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// One way, drawn anew for each datagram: a wide range reorders them.
    pub latency: RangeInclusive<Duration>,
    /// The share of datagrams that are lost, 0 to 1.
    pub loss: f64,
    /// The share of datagrams that come twice, 0 to 1.
    pub duplicates: f64,
}

impl Link {
    /// A link that loses nothing, with this latency each way.
    pub fn steady(latency: Duration) -> Self {
        Self { latency: latency..=latency, loss: 0.0, duplicates: 0.0 }
    }
}

/// How a node is made.
#[derive(Debug, Clone)]
pub struct Made {
    /// How long announces are believed.
    pub peer_max_age: Duration,
    /// Where it runs.
    pub ip: IpAddr,
    /// A second address, of the other family.
    pub second_ip: Option<IpAddr>,
    /// It knows no extensions, as the Node.js Grape.
    pub plain: bool,
}

struct Node {
    engine: Engine,
    ips: Vec<IpAddr>,
    plain: bool,
    alive: bool,
    ticks_at: Option<Instant>,
    /// What followers of names were told, in order.
    told: Vec<(String, Vec<SocketAddr>)>,
}

/// A network of Grapes under virtual time.
pub struct Network {
    now: Instant,
    link: Link,
    nodes: Vec<Node>,
    by_ip: HashMap<IpAddr, usize>,
    events: Events,
    outcomes: HashMap<(usize, Operation), (Instant, Outcome)>,
    rng: StdRng,
    cut: Option<Vec<bool>>,
    /// Datagrams that were sent.
    pub sent: u64,
    /// The longest datagram that was sent, in bytes.
    pub longest: usize,
}

impl Network {
    /// A network without nodes. The same `seed` gives the same run.
    pub fn new(seed: u64, link: Link) -> Self {
        // Only differences matter.
        let now = grape::clock::now();
        Self {
            now,
            link,
            nodes: Vec::new(),
            by_ip: HashMap::default(),
            events: Events::new(now),
            outcomes: HashMap::default(),
            rng: StdRng::seed_from_u64(seed),
            cut: None,
            sent: 0,
            longest: 0,
        }
    }

    /// The IPv4 address of node `n`, counted from 0.
    pub fn ip(n: usize) -> IpAddr {
        let [.., a, b, c] = u32::try_from(n + 1).unwrap_or(u32::MAX).to_be_bytes();
        Ipv4Addr::new(10, a, b, c).into()
    }

    /// The IPv6 address of node `n`, counted from 0.
    pub fn ipv6(n: usize) -> IpAddr {
        Ipv6Addr::from(0xfd00_u128 << 112 | (n as u128 + 1)).into()
    }

    /// Adds a node on IPv4 that joins through the nodes `seeds`. Returns its number.
    pub fn add(&mut self, peer_max_age: Duration, seeds: &[usize]) -> usize {
        let ip = Self::ip(self.nodes.len());
        self.add_made(Made { peer_max_age, ip, second_ip: None, plain: false }, seeds)
    }

    /// Adds a node that joins through the nodes `seeds`. Returns its number.
    pub fn add_made(&mut self, made: Made, seeds: &[usize]) -> usize {
        let number = self.nodes.len();
        let settings = Settings {
            id: Id::from(self.rng.random::<[u8; 20]>()),
            port: PORT,
            concurrency: 24,
            max_names: 5000,
            max_items: 5000,
            peer_max_age: made.peer_max_age,
            node_liveness: Duration::from_secs(300),
            advertise: None,
            awaits_seeds: true,
        };
        let engine = Engine::new(settings, self.rng.random(), self.now);
        let ips: Vec<IpAddr> = std::iter::once(made.ip).chain(made.second_ip).collect();
        self.by_ip.extend(ips.iter().map(|ip| (*ip, number)));
        let (plain, told) = (made.plain, Vec::new());
        self.nodes.push(Node { engine, ips, plain, alive: true, ticks_at: None, told });
        self.join(number, seeds);
        number
    }

    /// A network of `count` nodes that have joined through the first.
    pub fn of(seed: u64, link: Link, count: usize, peer_max_age: Duration) -> Self {
        let mut network = Self::new(seed, link);
        for number in 0..count {
            network.add(peer_max_age, if number == 0 { &[] } else { &[0] });
            network.run(Duration::from_millis(50));
        }
        network.run(Duration::from_secs(5));
        network
    }

    /// Has a node join through others, as its discovery does.
    pub fn join(&mut self, node: usize, seeds: &[usize]) {
        let seeds: Vec<_> = seeds
            .iter()
            .flat_map(|seed| self.nodes[*seed].ips.iter().map(|ip| SocketAddr::new(*ip, PORT)))
            .collect();
        self.act(node, |engine, now| engine.join(seeds, true, now));
    }

    /// How many nodes were added.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether no node was added.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The nodes that are alive.
    pub fn alive(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| self.nodes[*node].alive).collect()
    }

    /// The present.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// A node's engine.
    pub fn engine(&mut self, node: usize) -> &mut Engine {
        &mut self.nodes[node].engine
    }

    /// What followers of names at a node were told, in order.
    pub fn told(&self, node: usize) -> &[(String, Vec<SocketAddr>)] {
        &self.nodes[node].told
    }

    /// Changes what links do.
    pub fn set_link(&mut self, link: Link) {
        self.link = link;
    }

    /// Ends a node without a word, as `kill -9` does.
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].alive = false;
    }

    /// Cuts the network in two: the nodes for which `side` holds, and the others. `None` heals it.
    pub fn cut(&mut self, side: Option<&dyn Fn(usize) -> bool>) {
        self.cut = side.map(|side| (0..self.nodes.len()).map(side).collect());
    }

    /// Lets time pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    /// Does the next thing, if it is due before `end`.
    fn step(&mut self, end: Instant) -> bool {
        let Some((at, event)) = self.events.pop(end) else { return false };
        self.now = at;
        match event {
            Event::Ticks(node) => {
                let node = node as usize;
                // Where it is not due, it was set to an earlier time, and has passed since.
                if self.nodes[node].ticks_at == Some(at) {
                    self.nodes[node].ticks_at = None;
                    self.act(node, |engine, now| engine.tick(now));
                }
            }
            Event::Arrives(Arrival { from, to, datagram }) => {
                let node = self.by_ip.get(&to.ip()).copied().filter(|_| to.port() == PORT);
                let knows = |node: &usize| !self.nodes[*node].plain || is_plain(&datagram);
                if let Some(node) = node.filter(knows) {
                    self.act(node, |engine, now| engine.handle(from, &datagram, now));
                }
            }
        }
        true
    }

    /// Sends a datagram to a node as if it came from `from`.
    pub fn forge(&mut self, from: SocketAddr, node: usize, datagram: Vec<u8>) {
        let to = SocketAddr::new(self.nodes[node].ips[0], PORT);
        self.events.push(self.now, Event::Arrives(Arrival { from, to, datagram }));
    }

    /// What an operation came to, once, if it is done.
    pub fn outcome(&mut self, node: usize, operation: Operation) -> Option<Outcome> {
        self.finished(node, operation).map(|(_, outcome)| outcome)
    }

    /// What an operation came to, once, if it is done, and when.
    pub fn finished(&mut self, node: usize, operation: Operation) -> Option<(Instant, Outcome)> {
        self.outcomes.remove(&(node, operation))
    }

    /// Does something with a node's engine, and all that it wants done for it.
    pub fn act<T>(
        &mut self,
        node: usize,
        act: impl FnOnce(&mut Engine, Instant) -> T,
    ) -> Option<T> {
        if !self.nodes[node].alive {
            return None;
        }
        let now = self.now;
        let result = act(&mut self.nodes[node].engine, now);
        while let Some(effect) = self.nodes[node].engine.poll() {
            match effect {
                Effect::Send { to, datagram } => self.send(node, to, datagram),
                Effect::Done { operation, outcome } => {
                    self.outcomes.insert((node, operation), (now, outcome));
                }
                Effect::Changed { name, peers } => {
                    let name = String::from_utf8_lossy(&name).into_owned();
                    self.nodes[node].told.push((name, peers));
                }
                Effect::Neighbour(_) => {
                    let ip = self.nodes[node].ips[0];
                    self.nodes[node].engine.set_external(ip, now);
                }
            }
        }
        if let Some(next) = self.nodes[node].engine.next_tick()
            && self.nodes[node].ticks_at.is_none_or(|at| next < at)
        {
            self.nodes[node].ticks_at = Some(next.max(now));
            let node = u32::try_from(node).unwrap_or(u32::MAX);
            self.events.push(next.max(now), Event::Ticks(node));
        }
        Some(result)
    }

    fn send(&mut self, node: usize, to: SocketAddr, datagram: Vec<u8>) {
        self.sent += 1;
        self.longest = self.longest.max(datagram.len());
        let datagram = match self.nodes[node].plain {
            true if !is_plain(&datagram) => return,
            true => plain(&datagram),
            false => datagram,
        };
        let ips = &self.nodes[node].ips;
        let Some(ip) = ips.iter().find(|ip| ip.is_ipv4() == to.is_ipv4()) else { return };
        let from = SocketAddr::new(*ip, PORT);
        if let (Some(cut), Some(other)) = (&self.cut, self.by_ip.get(&to.ip()))
            && cut.get(node) != cut.get(*other)
        {
            return;
        }
        if self.rng.random_bool(self.link.loss) {
            return;
        }
        if self.rng.random_bool(self.link.duplicates) {
            self.deliver(Arrival { from, to, datagram: datagram.clone() });
        }
        self.deliver(Arrival { from, to, datagram });
    }

    fn deliver(&mut self, arrival: Arrival) {
        let latency = self.rng.random_range(self.link.latency.clone());
        self.events.push(self.now + latency, Event::Arrives(arrival));
    }

    /// Runs until an operation is done, at most 30 seconds.
    fn wait(&mut self, node: usize, operation: Operation) -> Option<Outcome> {
        let end = self.now + Duration::from_secs(30);
        loop {
            if let Some(outcome) = self.outcome(node, operation) {
                return Some(outcome);
            }
            if !self.step(end) {
                return None;
            }
        }
    }

    /// Starts an operation and leaves it to itself.
    pub fn start<T>(
        &mut self,
        node: usize,
        start: impl FnOnce(&mut Engine, Instant) -> Answer<T>,
    ) -> Option<Answer<T>> {
        self.act(node, start)
    }

    /// Looks a name up at a node, sorted. None when no answer comes in 30 seconds.
    pub fn lookup(&mut self, node: usize, name: &str) -> Option<Vec<SocketAddr>> {
        let mut peers = match self.act(node, |engine, now| engine.lookup(name.as_bytes(), now))? {
            Answer::Now(peers) => peers,
            Answer::Later(operation) => match self.wait(node, operation)? {
                Outcome::Peers(peers) => peers,
                _ => return None,
            },
        };
        peers.sort_unstable();
        Some(peers)
    }

    /// Announces a service at a node; how many other nodes hold it.
    pub fn announce(&mut self, node: usize, name: &str, port: u16) -> Option<usize> {
        let answer = self.act(node, |engine, now| engine.announce(name.as_bytes(), port, now))?;
        self.confirmed(node, answer)
    }

    /// Withdraws a service at a node; how many other nodes confirmed.
    pub fn withdraw(&mut self, node: usize, name: &str, port: u16) -> Option<usize> {
        let answer = self.act(node, |engine, now| engine.withdraw(name.as_bytes(), port, now))?;
        self.confirmed(node, answer)
    }

    fn confirmed(&mut self, node: usize, answer: Answer<usize>) -> Option<usize> {
        match answer {
            Answer::Now(count) => Some(count),
            Answer::Later(operation) => match self.wait(node, operation)? {
                Outcome::Confirmed(count) => Some(count),
                _ => None,
            },
        }
    }

    /// Puts an item at a node.
    pub fn put(
        &mut self,
        node: usize,
        item: Item,
        cas: Option<i64>,
    ) -> Option<Result<Id, PutError>> {
        match self.act(node, |engine, now| engine.put(item, cas, now))? {
            Answer::Now(stored) => Some(stored),
            Answer::Later(operation) => match self.wait(node, operation)? {
                Outcome::Put(stored) => Some(stored),
                _ => None,
            },
        }
    }

    /// Gets an item at a node. The outer `None` says that no answer came.
    pub fn get(&mut self, node: usize, target: Id, salt: &[u8]) -> Option<Option<Box<Found>>> {
        match self.act(node, |engine, now| engine.get(target, salt, true, now))? {
            Answer::Now(found) => Some(found),
            Answer::Later(operation) => match self.wait(node, operation)? {
                Outcome::Got(found) => Some(found),
                _ => None,
            },
        }
    }
}
