//! The node, and what those around it know of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use grape_engine::krpc::{self, Body, NetworkTag, Want};
use grape_engine::{Answer, Effect, Engine, MAX_PEERS, Outcome, Settings, canonical};

use crate::bounds::{Bounds, LONGEST_OPERATION};
use crate::messages;
use crate::steps::{Ident, NodeSettings, Operation, Place, Step};

/// Most queries of the node that may still be answered.
const ASKED: usize = 256;
/// Most times that a timer goes off in one wait: more would be a loop.
const TIMEOUTS: usize = 100_000;

/// A node and its surroundings.
pub struct World {
    engine: Engine,
    now: Instant,
    bounds: Bounds,
    network: Option<NetworkTag>,
    max: usize,
    /// The write token that each address was given last.
    tokens: BTreeMap<SocketAddr, Vec<u8>>,
    /// Queries that the node has sent: to whom, and their transaction ids.
    asked: VecDeque<(SocketAddr, Vec<u8>)>,
    /// What is under way, and since when.
    operations: BTreeMap<grape_engine::Operation, Instant>,
    longest_in: usize,
    has_left: bool,
}

impl World {
    pub fn new(node: &NodeSettings) -> Self {
        let now = grape::clock::now();
        let max = usize::from(node.capacity) + 1;
        let network = node.names_its_network.then(|| "fuzz".parse().expect("it is a name"));
        let settings = Settings {
            max_names: max,
            max_items: max,
            advertise: node.advertises.then(|| [10, 0, 0, 99].into()),
            bound_to_all: node.bound_to_all,
            awaits_seeds: node.awaits_seeds,
            network,
            ..Settings::new(Ident(0).id(), 20001)
        };
        let engine = Engine::new(settings, [7; 32], now);
        Self {
            network: engine.network(),
            engine,
            now,
            bounds: Bounds::new(now),
            max,
            tokens: BTreeMap::new(),
            asked: VecDeque::new(),
            operations: BTreeMap::new(),
            longest_in: 0,
            has_left: false,
        }
    }

    pub fn step(&mut self, step: &Step) {
        match step {
            Step::Raw { from, bytes } => self.datagram(from.addr(), bytes),
            Step::Query { from, query } => {
                let token = self.tokens.get(&canonical(from.addr()));
                let datagram = messages::query(query, token.map(Vec::as_slice), self.network);
                if let Some(datagram) = datagram {
                    self.datagram(from.addr(), &datagram);
                }
            }
            Step::Answer { nth, answer } => {
                let Some((from, transaction)) = self.take_asked(*nth) else { return };
                let datagram = messages::answer(answer, from, &transaction, self.network);
                self.answers(from, datagram);
            }
            Step::Error { nth, code } => {
                let Some((from, transaction)) = self.take_asked(*nth) else { return };
                let datagram = messages::error(*code, &transaction, self.network);
                self.answers(from, datagram);
            }
            Step::Wait(ms) => self.wait(Duration::from_millis((*ms).into())),
            Step::Sleep(seconds) => {
                self.now += Duration::from_secs((*seconds).into());
                self.engine.handle_timeout(self.now);
                self.effects();
            }
            Step::Operation(operation) => self.operate(operation),
        }
        Bounds::held(&self.engine, self.max, self.max);
    }

    /// Whatever happened, operations end, and a ping is answered.
    pub fn end(&mut self) {
        self.engine.join(Vec::new(), true, self.now);
        self.effects();
        let end = self.now + LONGEST_OPERATION;
        while !self.operations.is_empty() && self.now < end && !self.has_left {
            self.wait(Duration::from_secs(1));
        }
        if self.has_left {
            return;
        }
        let since: Vec<_> = self.operations.values().map(|at| self.now - *at).collect();
        assert!(since.is_empty(), "operations do not end: {since:?}");
        let from = SocketAddr::from(([10, 0, 9, 9], 20001));
        let query = krpc::Query {
            sender: None,
            read_only: false,
            want: Want::default(),
            method: krpc::Method::Ping { watch: None },
        };
        let ping = krpc::Message {
            transaction_id: b"last".as_slice().into(),
            version: None,
            network: self.network,
            body: Body::Query(query),
        };
        let ping = krpc::encode(&ping).expect("a ping can be written");
        self.engine.handle_datagram(from, &ping, self.now);
        let sent = self.effects();
        let answer = sent.iter().find(|(to, _)| *to == from).expect("a ping is answered");
        let answer = krpc::decode(&answer.1).expect("an answer can be read");
        assert_eq!(&*answer.transaction_id, b"last");
        assert!(matches!(answer.body, Body::Response(response) if response.id == self.engine.id()));
        let status = self.engine.status(self.now);
        assert!(status.names_held <= self.max && status.items_held <= self.max);
    }

    fn datagram(&mut self, from: SocketAddr, datagram: &[u8]) {
        self.longest_in = self.longest_in.max(datagram.len());
        self.engine.handle_datagram(from, datagram, self.now);
        let sent = self.effects();
        self.bounds.datagram(from, datagram, &sent, self.now);
    }

    fn take_asked(&mut self, nth: u8) -> Option<(SocketAddr, Vec<u8>)> {
        let last = self.asked.len().checked_sub(1)?;
        self.asked.remove(last - usize::from(nth).min(last))
    }

    fn answers(&mut self, from: SocketAddr, datagram: Option<Vec<u8>>) {
        let Some(datagram) = datagram else { return };
        self.bounds.answers(from);
        self.datagram(from, &datagram);
    }

    /// Lets timers go off, each at its time.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..TIMEOUTS {
            let Some(next) = self.engine.poll_timeout().filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            self.engine.handle_timeout(self.now);
            self.effects();
            let next = self.engine.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "a timer stays due");
        }
        panic!("timers go off {TIMEOUTS} times in {time:?}");
    }

    fn operate(&mut self, operation: &Operation) {
        let (engine, now) = (&mut self.engine, self.now);
        let addrs = |places: &[Place]| places.iter().map(|place| place.addr()).collect::<Vec<_>>();
        let later = match operation {
            Operation::Lookup(name) => match engine.lookup(&name.bytes(), now) {
                Answer::Now(peers) => {
                    check_peers(&peers);
                    None
                }
                Answer::Later(operation) => Some(operation),
            },
            Operation::Announce(name, port) => {
                later(engine.announce(&name.bytes(), (*port).into(), now))
            }
            Operation::Withdraw(name, port) => {
                later(engine.withdraw(&name.bytes(), (*port).into(), now))
            }
            Operation::Put(choice, cas) => {
                later(engine.put(choice.item().clone(), cas.map(i64::from), now))
            }
            Operation::Get(choice, cached) => {
                later(engine.get(choice.item().id(), choice.salt(), *cached, now))
            }
            Operation::Leave => {
                self.has_left = true;
                later(engine.leave(now))
            }
            Operation::Subscribe(name) => {
                engine.subscribe(&name.bytes(), now);
                None
            }
            Operation::Unsubscribe(name) => {
                engine.unsubscribe(&name.bytes());
                None
            }
            Operation::Join(seeds, complete) => {
                engine.join(addrs(seeds), *complete, now);
                None
            }
            Operation::AskSeedsAgain(seeds, complete) => {
                engine.ask_seeds_again(addrs(seeds), *complete, now);
                None
            }
            Operation::Introduce(places) => {
                let by = Place(1).addr();
                let _ = engine.introduce(&addrs(places), by, now);
                None
            }
            Operation::SetHostAddresses(places) => {
                let ips = places.iter().map(|place| place.addr().ip());
                engine.set_host_addresses(ips.collect());
                None
            }
            Operation::SetExternal(place) => {
                engine.set_external(place.addr().ip(), now);
                None
            }
            Operation::MoveTo(place) => {
                engine.move_to(place.addr().ip(), now);
                None
            }
            Operation::Drain => {
                engine.drain();
                None
            }
        };
        self.operations.extend(later.map(|operation| (operation, now)));
        self.effects();
    }

    /// What the node wants done: returns what it sends.
    fn effects(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut sent = Vec::new();
        while let Some(effect) = self.engine.poll_effect() {
            match effect {
                Effect::Send { to, datagram } => {
                    Bounds::sent(to, &datagram, self.longest_in);
                    self.note(to, &datagram);
                    sent.push((to, datagram));
                }
                Effect::Done { operation, outcome } => {
                    let since = self.operations.remove(&operation);
                    assert!(since.is_some(), "{operation:?} ends, and was not under way");
                    if let Outcome::Peers { peers, .. } = outcome {
                        check_peers(&peers);
                    }
                }
                Effect::Changed { peers, .. } => {
                    assert!(peers.is_sorted());
                }
                Effect::Neighbour(_) | Effect::FoundBy(_) => {}
            }
        }
        sent
    }

    /// Keeps what the receiver of a datagram learns.
    fn note(&mut self, to: SocketAddr, datagram: &[u8]) {
        let message = krpc::decode(datagram).expect("what the node sends can be read");
        match message.body {
            Body::Query(_) => {
                self.asked.push_back((to, message.transaction_id.into_owned()));
                if self.asked.len() > ASKED {
                    self.asked.pop_front();
                }
            }
            Body::Response(response) => {
                if let Some(token) = response.token {
                    self.tokens.insert(to, token.into_owned());
                }
            }
            Body::Error { .. } => {}
        }
    }
}

fn later<T>(answer: Answer<T>) -> Option<grape_engine::Operation> {
    match answer {
        Answer::Now(_) => None,
        Answer::Later(operation) => Some(operation),
    }
}

/// What a lookup answers.
fn check_peers(peers: &[SocketAddr]) {
    assert!(peers.len() <= MAX_PEERS, "{} peers", peers.len());
    let distinct: BTreeSet<_> = peers.iter().collect();
    assert_eq!(distinct.len(), peers.len(), "a peer is there twice: {peers:?}");
}
