//! Lookups, and each answer beside the truth.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use grape_engine::{Answer, MAX_PEERS, Operation, Outcome, QUERY_METHODS};

use crate::fleet::{Fleet, Service};

/// A pod announced for this long is to be found, and one dead for this long no more.
const SETTLED: Duration = Duration::from_secs(5);

/// A lookup under way.
#[derive(Debug)]
struct ActiveLookup {
    asker: usize,
    service: usize,
    started: Instant,
    operation: Operation,
    /// Queries that the asker had sent before.
    queries: u64,
}

/// Lookups, and what became of them.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    under_way: Vec<ActiveLookup>,
    pub(super) tally: Tally,
}

/// What became of lookups.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Answers.
    pub(super) answered: u64,
    /// No answer came until the end of the phase.
    pub(super) unanswered: u64,
    /// Peers that were to be in the answers, those that did not come included.
    pub(super) expected: u64,
    /// Those of them that were.
    pub(super) found: u64,
    /// Peers in the answers.
    pub(super) shown: u64,
    /// Those of them that had been dead for longer than five seconds.
    pub(super) dead: u64,
    /// Answers in which a peer was missing.
    pub(super) incomplete: u64,
    /// What each lookup took that was not answered from memory.
    pub(super) times: Vec<Duration>,
    /// Queries that these sent.
    pub(super) queries: u64,
    /// What was in answers, where somebody wants to know.
    pub(super) answers: Option<Vec<SocketAddr>>,
}

impl Lookups {
    /// Lookups whose answers are kept.
    pub(super) fn with_answers() -> Self {
        let tally = Tally { answers: Some(Vec::new()), ..Tally::default() };
        Self { tally, ..Self::default() }
    }

    /// Looks a service up at a node.
    pub(super) fn start(&mut self, fleet: &mut Fleet, asker: usize, service: usize) {
        let started = fleet.network.now();
        let queries = queries(fleet, asker);
        let name = fleet.services[service].name.as_bytes();
        match fleet.network.start(asker, |engine, now| engine.lookup(name, now)) {
            None => {}
            Some(Answer::Now(peers)) => {
                self.tally.answer(&fleet.services[service], &peers, started, started);
            }
            Some(Answer::Later(operation)) => {
                self.under_way.push(ActiveLookup { asker, service, started, operation, queries });
            }
        }
    }

    /// Takes the answers that came.
    pub(super) fn collect(&mut self, fleet: &mut Fleet) {
        for asked in std::mem::take(&mut self.under_way) {
            match fleet.network.finished(asked.asker, asked.operation) {
                Some((at, Outcome::Peers { peers, .. })) => {
                    let service = &fleet.services[asked.service];
                    self.tally.answer(service, &peers, asked.started, at);
                    self.tally.times.push(at - asked.started);
                    self.tally.queries += queries(fleet, asked.asker) - asked.queries;
                }
                _ => self.under_way.push(asked),
            }
        }
    }

    /// What became of them. Those of askers that died are of no account.
    pub(super) fn end(mut self, fleet: &Fleet) -> Tally {
        self.under_way.retain(|asked| fleet.living.contains(&asked.asker));
        // What was to be found, and was not.
        let pods = self.under_way.iter().map(|asked| fleet.services[asked.service].pods.len());
        self.tally.expected += pods.map(|pods| pods.min(MAX_PEERS) as u64).sum::<u64>();
        self.tally.unanswered = self.under_way.len() as u64;
        self.tally
    }
}

impl Tally {
    fn answer(
        &mut self,
        service: &Service,
        peers: &[SocketAddr],
        started: Instant,
        answered: Instant,
    ) {
        let settled = |at: Instant, by: Instant| at + SETTLED <= by;
        let expected = service.pods.iter().filter(|pod| settled(pod.since, started));
        let (mut expected, mut found) = (expected.count(), 0);
        if service.pods.len() <= MAX_PEERS {
            let pods = service.pods.iter().filter(|pod| settled(pod.since, started));
            found += pods.filter(|pod| peers.contains(&pod.addr)).count();
        } else {
            expected = expected.min(MAX_PEERS);
            found = peers.len().min(expected);
        }
        let dead = |peer: &&SocketAddr| {
            service.dead.get(peer).is_some_and(|died| settled(*died, answered))
        };
        self.answered += 1;
        self.expected += expected as u64;
        self.found += found as u64;
        self.incomplete += u64::from(found < expected);
        self.shown += peers.len() as u64;
        self.dead += peers.iter().filter(dead).count() as u64;
        if let Some(answers) = &mut self.answers {
            answers.extend(peers);
        }
    }
}

/// The queries for peers that a node has sent.
fn queries(fleet: &mut Fleet, node: usize) -> u64 {
    let get_peers = QUERY_METHODS.iter().position(|method| *method == "get_peers");
    let sent = fleet.network.engine(node).stats().queries_sent;
    get_peers.map_or(0, |method| sent[method])
}
