//! What lookups may answer, as a model of a few lines, against networks of engines: nodes announce,
//! withdraw, crash and start again, links lose datagrams, and some nodes lie.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::{Duration, Instant};

use grape_engine::krpc::Contact;
use grape_tests::simulation::{Lie, Link, Made, Network, PORT};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::{SECOND, far};

/// How long announces are valid.
const AGE: Duration = Duration::from_secs(40);
/// After so long all honest nodes know of an announce, a withdrawal, or a node that started, where no
/// datagram is lost.
const SETTLED: Duration = Duration::from_secs(10);
/// Where some are lost: a node stores its announces again when a third of their age is over.
const SETTLED_WITH_LOSS: Duration = Duration::from_secs(40 / 3 + 10);
/// After so long they know of a crash, if nobody lies.
const GONE: Duration = Duration::from_secs(8);
/// Services announce themselves so often.
const EVERY: Duration = SECOND;
/// Names that there are.
const NAMES: usize = 3;
/// The port of every service.
const SERVICE: u16 = 7000;

/// Most false peers, the same of all liars: with those of all honest nodes they fit an answer. Beyond
/// that each host has its share, and a true peer may be left out.
const FALSE_PEERS: u8 = 88;

/// One thing that happens. Honest nodes and names are counted from 0, modulo how many there are.
#[derive(Debug, Clone)]
enum Deed {
    Announce { node: usize, name: usize },
    Withdraw { node: usize, name: usize },
    Crash { node: usize },
    Restart { node: usize },
    LookUp { node: usize, name: usize },
    Wait { ms: u64 },
}

/// How a liar lies; the numbers are as in [`Deed`].
#[derive(Debug, Clone)]
enum Liar {
    Silent,
    WithoutPeers,
    /// Names so many peers that are none, and services of honest nodes.
    FalsePeers {
        many: u8,
        services: Vec<usize>,
    },
    FalseNodes {
        many: u8,
    },
    AnotherId {
        node: usize,
    },
}

#[derive(Debug, Clone)]
struct Schedule {
    honest: usize,
    liars: Vec<Liar>,
    loss: f64,
    deeds: Vec<Deed>,
    seed: u64,
}

fn deed() -> impl Strategy<Value = Deed> {
    let pair = || (0usize..12, 0..NAMES);
    prop_oneof![
        4 => pair().prop_map(|(node, name)| Deed::Announce { node, name }),
        2 => pair().prop_map(|(node, name)| Deed::Withdraw { node, name }),
        1 => (0usize..12).prop_map(|node| Deed::Crash { node }),
        1 => (0usize..12).prop_map(|node| Deed::Restart { node }),
        4 => pair().prop_map(|(node, name)| Deed::LookUp { node, name }),
        4 => (0u64..15_000).prop_map(|ms| Deed::Wait { ms }),
    ]
}

fn liar() -> impl Strategy<Value = Liar> {
    prop_oneof![
        Just(Liar::Silent),
        Just(Liar::WithoutPeers),
        (1..=FALSE_PEERS, vec(0usize..12, 0..2))
            .prop_map(|(many, services)| Liar::FalsePeers { many, services }),
        (1u8..40).prop_map(|many| Liar::FalseNodes { many }),
        (0usize..12).prop_map(|node| Liar::AnotherId { node }),
    ]
}

prop_compose! {
    /// Liars are fewer than honest nodes.
    fn schedule()(honest in 4usize..=12)(
        honest in Just(honest),
        liars in vec(liar(), 0..=(honest - 1) / 2),
        loss in prop_oneof![Just(0.0), Just(0.05)],
        deeds in vec(deed(), 1..40),
        seed in any::<u64>(),
    ) -> Schedule {
        Schedule { honest, liars, loss, deeds, seed }
    }
}

/// What an honest node did with a name, and since when.
#[derive(Debug, Clone, Copy)]
enum Service {
    Announced(Instant),
    Withdrawn(Instant),
    /// Its node crashed, and may have started again since; nothing is announced.
    Crashed(Instant),
}

/// A network, and what is so of it.
struct Model {
    network: Network,
    /// For each honest node its number in the network, and since when it runs.
    honest: Vec<(usize, Option<Instant>)>,
    /// By honest node and name.
    services: BTreeMap<(usize, usize), Service>,
    /// Addresses that liars name.
    claimed: BTreeSet<SocketAddr>,
    lies: bool,
    /// Datagrams are lost: a lookup in a network of two or three may miss the one node that knows.
    may_miss: bool,
    settled: Duration,
    announces_at: Instant,
}

fn name(name: usize) -> String {
    format!("service-{name}")
}

fn service(node: usize) -> SocketAddr {
    SocketAddr::new(Network::ip(node), SERVICE)
}

/// The `n`-th address of liar number `liar`, where nobody is.
fn nobody(liar: usize, n: usize) -> SocketAddr {
    let [liar, n] = [liar, n].map(|number| u8::try_from(number).unwrap());
    SocketAddr::new(Ipv4Addr::new(10, 99, liar, n).into(), PORT)
}

impl Model {
    fn new(schedule: &Schedule) -> Self {
        let mut network = Network::new(schedule.seed, far(0.0));
        for node in 0..schedule.honest {
            network.add(AGE, if node == 0 { &[] } else { &[0] });
            network.run(Duration::from_millis(100));
        }
        let start = network.now();
        let mut claimed = BTreeSet::new();
        for (number, liar) in schedule.liars.iter().enumerate() {
            let lie = match liar {
                Liar::Silent => Lie::Silence,
                Liar::WithoutPeers => Lie::NoPeers,
                Liar::FalsePeers { many, services } => {
                    let none = (0..usize::from(*many)).map(|n| nobody(0, n));
                    let honest = services.iter().map(|node| service(node % schedule.honest));
                    Lie::Peers(honest.chain(none).collect())
                }
                Liar::FalseNodes { many } => {
                    let nodes = (0..*many)
                        .map(|n| Contact { id: [n; 20].into(), addr: nobody(number, n.into()) });
                    Lie::Nodes(nodes.collect())
                }
                Liar::AnotherId { node } => Lie::Id(network.engine(node % schedule.honest).id()),
            };
            if let Lie::Peers(peers) = &lie {
                claimed.extend(peers);
            }
            let ip = Network::ip(network.len());
            network.add_made(Made { lie: Some(lie), ..Made::at(ip, AGE) }, &[0]);
            network.run(Duration::from_millis(100));
        }
        network.set_link(Link { loss: schedule.loss, ..far(0.0) });
        let honest = (0..schedule.honest).map(|node| (node, Some(start))).collect();
        let (services, lies) = (BTreeMap::new(), !schedule.liars.is_empty());
        let settled = if schedule.loss > 0.0 { SETTLED_WITH_LOSS } else { SETTLED };
        let may_miss = schedule.loss > 0.0;
        let announces_at = network.now();
        Self { network, honest, services, claimed, lies, may_miss, settled, announces_at }
    }

    fn happens(&mut self, deed: &Deed) {
        let count = self.honest.len();
        let now = self.network.now();
        match *deed {
            Deed::Announce { node, name } => {
                let node = node % count;
                if self.honest[node].1.is_some() {
                    let service =
                        self.services.entry((node, name)).or_insert(Service::Withdrawn(now));
                    if !matches!(service, Service::Announced(_)) {
                        *service = Service::Announced(now);
                    }
                    self.announce(node, name);
                }
            }
            Deed::Withdraw { node, name: of } => {
                let node = node % count;
                if let Some(service) = self.services.get_mut(&(node, of))
                    && matches!(service, Service::Announced(_))
                {
                    *service = Service::Withdrawn(now);
                    let (number, name) = (self.honest[node].0, name(of));
                    self.network.start(number, |engine, now| {
                        engine.withdraw(name.as_bytes(), SERVICE, now)
                    });
                }
            }
            Deed::Crash { node } => {
                let node = node % count;
                let running = self.honest.iter().filter(|(_, since)| since.is_some()).count();
                if running > 2 && self.honest[node].1.take().is_some() {
                    self.network.kill(self.honest[node].0);
                    for ((of, _), service) in &mut self.services {
                        if *of == node && matches!(service, Service::Announced(_)) {
                            *service = Service::Crashed(now);
                        }
                    }
                }
            }
            Deed::Restart { node } => {
                let node = node % count;
                let seed = self.honest.iter().find(|(_, since)| since.is_some()).unwrap().0;
                if self.honest[node].1.is_none() {
                    let made = Made::at(Network::ip(node), AGE);
                    self.honest[node] = (self.network.add_made(made, &[seed]), Some(now));
                }
            }
            Deed::LookUp { node, name } => self.check(node % count, name),
            Deed::Wait { ms } => self.wait(Duration::from_millis(ms)),
        }
    }

    fn announce(&mut self, node: usize, of: usize) {
        let (number, name) = (self.honest[node].0, name(of));
        self.network.start(number, |engine, now| engine.announce(name.as_bytes(), SERVICE, now));
    }

    /// Lets time pass. Services announce themselves meanwhile.
    fn wait(&mut self, time: Duration) {
        let end = self.network.now() + time;
        while self.announces_at <= end {
            self.network.run(self.announces_at.saturating_duration_since(self.network.now()));
            self.announces_at += EVERY;
            let announced = self
                .services
                .iter()
                .filter(|(_, service)| matches!(service, Service::Announced(_)));
            for (node, name) in announced.map(|(of, _)| *of).collect::<Vec<_>>() {
                self.announce(node, name);
            }
        }
        self.network.run(end.saturating_duration_since(self.network.now()));
    }

    /// Looks a name up at an honest node that knows the others, and holds the answer to the model.
    fn check(&mut self, asker: usize, of: usize) {
        let now = self.network.now();
        let (number, since) = self.honest[asker];
        if since.is_none_or(|since| now - since < self.settled) {
            return;
        }
        let found = self.network.lookup(number, &name(of)).expect("every lookup ends");
        for ((node, name), state) in &self.services {
            if *name != of {
                continue;
            }
            let addr = service(*node);
            let what =
                || format!("node {asker} found {found:?} of {:?}: node {node}, {state:?}", of);
            match *state {
                Service::Announced(since) if now - since >= self.settled && !self.may_miss => {
                    let runs =
                        self.honest[*node].1.is_some_and(|since| now - since >= self.settled);
                    assert!(!runs || found.contains(&addr), "missing: {} ", what());
                }
                Service::Withdrawn(since) if now - since >= self.settled => {
                    let claimed = self.claimed.contains(&addr);
                    assert!(claimed || !found.contains(&addr), "withdrawn: {}", what());
                }
                Service::Crashed(since) => {
                    // Liars may be those that were to report the crash, and a node that started
                    // again answers at the address of the old one.
                    let unclear = self.lies || self.honest[*node].1.is_some();
                    let gone = now - since >= if unclear { AGE + SECOND } else { GONE };
                    let claimed = self.claimed.contains(&addr);
                    assert!(!gone || claimed || !found.contains(&addr), "crashed: {}", what());
                }
                Service::Announced(_) | Service::Withdrawn(_) => {}
            }
        }
    }
}

fn runs(schedule: &Schedule) {
    let mut model = Model::new(schedule);
    model.wait(model.settled);
    for deed in &schedule.deeds {
        model.happens(deed);
    }
    model.wait(model.settled);
    for node in 0..schedule.honest {
        for name in 0..NAMES {
            model.check(node, name);
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn lookups_answer_what_is_announced_and_nothing_else(schedule in schedule()) {
        runs(&schedule);
    }
}

/// The same few schedules each time. `PROPTEST_CASES` sets how many, `PROPTEST_RNG_SEED` which.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: given("PROPTEST_CASES").unwrap_or(24),
        rng_seed: RngSeed::Fixed(given("PROPTEST_RNG_SEED").unwrap_or(19)),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// The number in an environment variable.
fn given<N: FromStr>(variable: &str) -> Option<N> {
    std::env::var(variable).ok()?.parse().ok()
}
