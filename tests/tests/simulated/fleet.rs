//! Grapes whose services announce themselves every second, and whose lookups are hot.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use grape_engine::{Answer, Operation, Outcome, QUERY_METHODS};
use grape_tests::simulation::{Link, Made, Network};

use super::{AGE, SECOND};

/// The service's port at every node.
pub(super) const SERVICE: u16 = 7000;
/// How often each name is looked up.
const LOOKS: Duration = Duration::from_millis(100);
/// Nodes of a subnet, if a test does not say otherwise.
const SUBNET: usize = 30;

/// A fleet.
pub(super) struct Fleet {
    pub(super) network: Network,
    /// Names that each node announces.
    names: usize,
    announces: bool,
    ips: Vec<IpAddr>,
    count: usize,
    pending: Vec<(usize, usize, Operation)>,
}

/// When lookups at one node last showed something of another, and last did not.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// By the node that asked, and the one that announced.
    pub(super) shown: HashMap<(usize, usize), Duration>,
    pub(super) missed: HashMap<(usize, usize), Duration>,
}

impl Fleet {
    /// `count` nodes that have joined, those for which `plain` holds without our extensions, each
    /// with `names` names announced.
    pub(super) fn new(
        seed: u64,
        link: &Link,
        count: usize,
        names: usize,
        plain: impl Fn(usize) -> bool,
    ) -> Self {
        let mut network = Network::new(seed, Link { loss: 0.0, ..link.clone() });
        let ips: Vec<IpAddr> = (0..count).map(|node| ip(node / SUBNET, node % SUBNET)).collect();
        for (node, ip) in ips.iter().enumerate() {
            let made = Made { plain: plain(node), ..Made::at(*ip, AGE) };
            let seeds = [node / 2];
            network.add_made(made, if node == 0 { &[] } else { &seeds });
            network.run(Duration::from_millis(20));
        }
        network.run(2 * SECOND);
        let mut fleet = Self { network, names, announces: true, ips, count, pending: Vec::new() };
        fleet.announce_all();
        fleet.run(5 * SECOND);
        fleet.network.set_link(link.clone());
        fleet.run(3 * SECOND);
        fleet
    }

    /// A node that takes the address of a dead one, with a new id.
    pub(super) fn restart(&mut self, node: usize) -> usize {
        let ip = self.ips[node];
        let made = Made::at(ip, AGE);
        let seed = self.network.alive()[0];
        self.ips.push(ip);
        self.network.add_made(made, &[seed])
    }

    /// No service announces itself again from now on.
    pub(super) fn stop_announcing(&mut self) {
        self.announces = false;
    }

    fn announce_all(&mut self) {
        for node in self.network.alive() {
            for n in 0..self.names {
                let name = self.name(node, n);
                self.network
                    .start(node, |engine, now| engine.announce(name.as_bytes(), SERVICE, now));
            }
        }
    }

    /// Two nodes share a name, so that a lookup of it is answered from memory also after a death.
    /// One that restarted has the names of the one that it was.
    pub(super) fn name(&self, node: usize, n: usize) -> String {
        let node = self.ips.iter().position(|ip| *ip == self.ips[node]).unwrap_or(node);
        format!("{}:service:{n}", node % self.count.div_ceil(2))
    }

    pub(super) fn announced(&self, node: usize) -> SocketAddr {
        SocketAddr::new(self.ips[node], SERVICE)
    }

    /// Lets time pass, with announces every second.
    pub(super) fn run(&mut self, time: Duration) {
        self.watch(time, &[], &[]);
    }

    /// Lets time pass, while `askers` look up what `announcers` announced. Returns when, from the
    /// start, each last found it, and last did not.
    pub(super) fn watch(&mut self, time: Duration, askers: &[usize], announcers: &[usize]) -> Seen {
        self.pending.clear();
        let start = self.network.now();
        let mut seen = Seen::default();
        let steps = time.as_millis() / LOOKS.as_millis();
        for step in 0..steps {
            if self.announces && step % 10 == 0 {
                self.announce_all();
            }
            let alive = self.network.alive();
            for asker in askers.iter().filter(|asker| alive.contains(asker)) {
                for announcer in announcers {
                    let name = self.name(*announcer, 0);
                    let look = self.network.start(*asker, |e, now| e.lookup(name.as_bytes(), now));
                    match look {
                        Some(Answer::Now(peers)) => {
                            let at = self.network.now() - start;
                            self.note(&mut seen, *asker, *announcer, &peers, at);
                        }
                        Some(Answer::Later(operation)) => {
                            self.pending.push((*asker, *announcer, operation));
                        }
                        None => {}
                    }
                }
            }
            self.network.run(LOOKS);
            let at = self.network.now() - start;
            for (asker, announcer, operation) in std::mem::take(&mut self.pending) {
                match self.network.outcome(asker, operation) {
                    Some(Outcome::Peers { peers, .. }) => {
                        self.note(&mut seen, asker, announcer, &peers, at);
                    }
                    _ => self.pending.push((asker, announcer, operation)),
                }
            }
        }
        seen
    }

    fn note(
        &self,
        seen: &mut Seen,
        asker: usize,
        announcer: usize,
        peers: &[SocketAddr],
        at: Duration,
    ) {
        let shown = peers.contains(&self.announced(announcer));
        let times = if shown { &mut seen.shown } else { &mut seen.missed };
        times.insert((asker, announcer), at);
    }

    /// How many queries of a method all nodes have sent.
    pub(super) fn sent(&mut self, method: &str) -> u64 {
        let index = QUERY_METHODS.iter().position(|known| *known == method).unwrap();
        let nodes = 0..self.network.len();
        nodes.map(|node| self.network.engine(node).stats().queries_sent[index]).sum()
    }
}

/// Node `host` of a subnet.
pub(super) fn ip(subnet: usize, host: usize) -> IpAddr {
    let [.., a, b] = u32::try_from(subnet).unwrap().to_be_bytes();
    Ipv4Addr::new(10, a, b, u8::try_from(host + 1).unwrap()).into()
}

/// The longest of these times, and what 99 % of them do not exceed.
pub(super) fn longest(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    let at = (times.len() * 99).div_ceil(100).saturating_sub(1);
    (times.last().copied().unwrap_or_default(), times.get(at).copied().unwrap_or_default())
}

/// At most this many nodes, evenly chosen.
pub(super) fn some(nodes: &[usize], count: usize) -> Vec<usize> {
    nodes.iter().copied().step_by(nodes.len().div_ceil(count)).collect()
}
