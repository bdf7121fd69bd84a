//! Networks of engines under virtual time: the production engine, with links that lose, repeat and
//! reorder as a test wants, and the same each time from a seed.
//!
//! | file | concern |
//! |---|---|
//! | `events.rs` | what happens when |
//! | `part.rs` | some of the nodes, and what happens to them |
//! | `parallel.rs` | several such parts, on a thread each |
//! | `plain.rs` | nodes that know no extensions |
//! | `liar.rs` | nodes that lie |

mod events;
mod liar;
mod parallel;
mod part;
mod plain;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use ahash::HashMap;
use grape_engine::{
    Answer, Engine, Found, IpNet, Item, NetworkName, Operation, Outcome, PutError, Settings,
    Withdrawn, id_at,
};
use mainline::Id;
use rand::RngExt;

use events::{Arrival, Event};
pub use liar::Lie;
use part::{Node, Part};

/// The UDP port of every node.
pub const PORT: u16 = 20001;
/// Longest datagram but for BEP 44 values, in bytes.
pub const MTU: usize = 1200;

/// What links do to datagrams.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// One way, drawn for each datagram: a wide range reorders them.
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
    /// How long announces are valid.
    pub peer_max_age: Duration,
    /// Where it runs.
    pub ip: IpAddr,
    /// A second address, of the other family.
    pub second_ip: Option<IpAddr>,
    /// It knows no extensions, as the Node.js Grape.
    pub plain: bool,
    /// The network that it names, if any.
    pub network: Option<NetworkName>,
    /// Networks in which hosts share addresses.
    pub trusted_networks: Vec<IpNet>,
    /// How it lies, if it does.
    pub lie: Option<Lie>,
    /// The id that it chooses. Otherwise it has a random one, that fits its address if that is public
    /// and it knows extensions.
    pub id: Option<Id>,
}

impl Made {
    /// A node on IPv4 that knows all extensions, and names no network.
    pub fn at(ip: IpAddr, peer_max_age: Duration) -> Self {
        Self {
            peer_max_age,
            ip,
            second_ip: None,
            plain: false,
            network: None,
            trusted_networks: Vec::new(),
            lie: None,
            id: None,
        }
    }
}

/// What all nodes share.
struct World {
    link: Link,
    by_ip: HashMap<IpAddr, usize>,
    /// On which side of a cut each node is.
    cut: Option<Vec<bool>>,
    /// Nodes are dealt to so many parts in turn.
    parts: usize,
}

impl World {
    /// The part that a node is in, and its place there.
    fn place(&self, node: usize) -> (usize, usize) {
        (node % self.parts, node / self.parts)
    }
}

/// A network of Grapes under virtual time.
pub struct Network {
    now: Instant,
    world: World,
    parts: Vec<Part>,
}

impl Network {
    /// A network without nodes. The same `seed` gives the same run.
    pub fn new(seed: u64, link: Link) -> Self {
        Self::parallel(seed, link, 1)
    }

    /// The same, but time passes on so many threads at once ([`Network::run`]). Another number of
    /// them makes another run of the same seed. No datagram may arrive at the moment it is sent.
    pub fn parallel(seed: u64, link: Link, threads: usize) -> Self {
        // Only differences matter.
        let now = grape::clock::now();
        let parts = (0..threads).map(|number| Part::new(seed, number, threads, now)).collect();
        let world = World { link, by_ip: HashMap::default(), cut: None, parts: threads };
        Self { now, world, parts }
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

    /// Where a service of this node is reached.
    pub fn address(&self, node: usize, port: u16) -> SocketAddr {
        SocketAddr::new(self.node(node).ips[0], port)
    }

    /// Adds a node on IPv4 that joins through the nodes `seeds`. Returns its number.
    pub fn add(&mut self, peer_max_age: Duration, seeds: &[usize]) -> usize {
        let ip = Self::ip(self.len());
        self.add_made(Made::at(ip, peer_max_age), seeds)
    }

    /// As [`Network::add`], with a node whose services are reached at another IP than its own.
    pub fn add_behind(&mut self, ip: IpAddr, peer_max_age: Duration, seeds: &[usize]) -> usize {
        let own = Self::ip(self.len());
        self.add_advertising(Made::at(own, peer_max_age), Some(ip), seeds)
    }

    /// Adds a node that joins through the nodes `seeds`. Returns its number.
    pub fn add_made(&mut self, made: Made, seeds: &[usize]) -> usize {
        self.add_advertising(made, None, seeds)
    }

    fn add_advertising(&mut self, made: Made, advertise: Option<IpAddr>, seeds: &[usize]) -> usize {
        let number = self.len();
        let (part, _) = self.world.place(number);
        let rng = &mut self.parts[part].rng;
        let random = Id::from(rng.random::<[u8; 20]>());
        let own = if made.plain { random } else { id_at(made.ip, random) };
        let settings = Settings {
            id: made.id.unwrap_or(own),
            port: PORT,
            concurrency: 24,
            max_names: 5000,
            max_items: 5000,
            peer_max_age: made.peer_max_age,
            node_liveness: Duration::from_secs(300),
            advertise,
            bound_to_all: false,
            awaits_seeds: true,
            trusted_networks: made.trusted_networks,
            network: made.network,
        };
        let mut engine = Engine::new(settings, rng.random(), self.now);
        let ips: Vec<IpAddr> = std::iter::once(made.ip).chain(made.second_ip).collect();
        engine.set_host_addresses(ips.clone());
        self.world.by_ip.extend(ips.iter().map(|ip| (*ip, number)));
        self.parts[part].nodes.push(Node::new(engine, ips, made.plain, made.lie));
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
            .flat_map(|seed| self.node(*seed).ips.iter().map(|ip| SocketAddr::new(*ip, PORT)))
            .collect();
        self.act(node, |engine, now| engine.join(seeds, true, now));
    }

    fn node(&self, node: usize) -> &Node {
        let (part, place) = self.world.place(node);
        &self.parts[part].nodes[place]
    }

    fn node_mut(&mut self, node: usize) -> &mut Node {
        let (part, place) = self.world.place(node);
        &mut self.parts[part].nodes[place]
    }

    /// How many nodes were added.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.nodes.len()).sum()
    }

    /// Whether no node was added.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The nodes that are alive.
    pub fn alive(&self) -> Vec<usize> {
        (0..self.len()).filter(|node| self.node(*node).alive).collect()
    }

    /// The present.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// How many datagrams were sent.
    pub fn sent(&self) -> u64 {
        self.parts.iter().map(|part| part.sent).sum()
    }

    /// The longest datagram that was sent, in bytes.
    pub fn longest(&self) -> usize {
        self.parts.iter().map(|part| part.longest).max().unwrap_or_default()
    }

    /// A node's engine.
    pub fn engine(&mut self, node: usize) -> &mut Engine {
        &mut self.node_mut(node).engine
    }

    /// What the subscribers of names at a node were notified of, in order.
    pub fn told(&self, node: usize) -> &[(String, Vec<SocketAddr>)] {
        &self.node(node).told
    }

    /// Changes what links do.
    pub fn set_link(&mut self, link: Link) {
        self.world.link = link;
    }

    /// Ends a node without a word, as `kill -9` does.
    pub fn kill(&mut self, node: usize) {
        self.node_mut(node).alive = false;
    }

    /// A node gets no CPU for so long. What is sent to it waits, in its order.
    pub fn stall(&mut self, node: usize, time: Duration) {
        self.node_mut(node).stalled_until = Some(self.now + time);
    }

    /// A node's host loses its IPv4 address, and has this one instead, if any. The node learns of it
    /// by [`Network::tell_addresses`].
    pub fn change_ip(&mut self, node: usize, ip: Option<IpAddr>) {
        self.world.by_ip.retain(|known, of| *of != node || known.is_ipv6());
        self.world.by_ip.extend(ip.map(|ip| (ip, node)));
        let ips = &mut self.node_mut(node).ips;
        ips.retain(IpAddr::is_ipv6);
        ips.splice(0..0, ip);
    }

    /// Gives a node the addresses of its host, as its driver does every 2 seconds.
    pub fn tell_addresses(&mut self, node: usize) {
        let mut addresses = self.node(node).ips.clone();
        addresses.push(Ipv4Addr::LOCALHOST.into());
        self.act(node, |engine, _| engine.set_host_addresses(addresses));
    }

    /// Cuts the network in two: the nodes for which `side` holds, and the others. `None` heals it.
    pub fn cut(&mut self, side: Option<&dyn Fn(usize) -> bool>) {
        self.world.cut = side.map(|side| (0..self.len()).map(side).collect());
    }

    /// Lets time pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        match &mut self.parts[..] {
            [only] => only.run(&self.world, end),
            several => parallel::run(several, &self.world, self.now, end),
        }
        self.now = end;
    }

    /// Does the next thing, if it is due by `end`.
    fn step(&mut self, end: Instant) -> bool {
        let next = |part: &&mut Part| part.events.next();
        let first = self.parts.iter_mut().filter(|part| next(part).is_some()).min_by_key(next);
        let Some(at) = first.and_then(|part| part.step(&self.world, end)) else { return false };
        self.now = at;
        parallel::exchange(&mut self.parts);
        true
    }

    /// Sends a datagram to a node as if it came from `from`.
    pub fn forge(&mut self, from: SocketAddr, node: usize, datagram: Vec<u8>) {
        let to = SocketAddr::new(self.node(node).ips[0], PORT);
        let (part, _) = self.world.place(node);
        self.parts[part].events.push(self.now, Event::Arrives(Arrival { from, to, datagram }));
    }

    /// What an operation came to, once, if it is done.
    pub fn outcome(&mut self, node: usize, operation: Operation) -> Option<Outcome> {
        self.finished(node, operation).map(|(_, outcome)| outcome)
    }

    /// What an operation came to, once, if it is done, and when.
    pub fn finished(&mut self, node: usize, operation: Operation) -> Option<(Instant, Outcome)> {
        let (part, place) = self.world.place(node);
        self.parts[part].outcomes.remove(&(place, operation))
    }

    /// Does something with a node's engine, and all that it wants done for it.
    pub fn act<T>(
        &mut self,
        node: usize,
        act: impl FnOnce(&mut Engine, Instant) -> T,
    ) -> Option<T> {
        let (part, place) = self.world.place(node);
        let result = self.parts[part].act(&self.world, place, self.now, act);
        parallel::exchange(&mut self.parts);
        result
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
                Outcome::Peers { peers, .. } => peers,
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

    /// Withdraws a service at a node.
    pub fn withdraw(&mut self, node: usize, name: &str, port: u16) -> Option<Withdrawn> {
        match self.act(node, |engine, now| engine.withdraw(name.as_bytes(), port, now))? {
            Answer::Now(withdrawn) => Some(withdrawn),
            Answer::Later(operation) => match self.wait(node, operation)? {
                Outcome::Withdrawn(withdrawn) => Some(withdrawn),
                _ => None,
            },
        }
    }

    /// A node leaves, and is gone; how many others confirmed.
    pub fn leave(&mut self, node: usize) -> Option<usize> {
        let answer = self.act(node, Engine::leave)?;
        let confirmed = self.confirmed(node, answer);
        self.kill(node);
        confirmed
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
