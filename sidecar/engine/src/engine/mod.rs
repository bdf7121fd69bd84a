//! The node: the machines that it is made of, and how datagrams, time and operations go from one to
//! another.
//!
//! | file | concern |
//! |---|---|
//! | `operations.rs`, `followed.rs` | what services ask for |
//! | `queries.rs`, `serve.rs` | queries of ours, and answers to those of other nodes |
//! | `lookups.rs`, `stores.rs`, `withdrawals.rs` | lookups and stores under way, and what follows them |
//! | `join.rs`, `seeds.rs`, `introductions.rs`, `leave.rs` | how the node joins the others, and how it leaves them |
//! | `liveness.rs`, `newcomers.rs`, `other_networks.rs` | which nodes answer, and which are silent |
//! | `heartbeats.rs`, `deaths.rs` | which nodes die, and which others are notified |
//! | `named_addresses.rs`, `family.rs`, `moves.rs` | addresses that others send, and those of this host |
//! | `timers.rs`, `upkeep.rs` | what is due when, and every second |
//! | `report.rs` | the node's status |

mod deaths;
mod family;
mod followed;
mod heartbeats;
mod introductions;
mod join;
mod leave;
mod liveness;
mod lookups;
mod moves;
mod named_addresses;
mod newcomers;
mod operations;
mod other_networks;
mod queries;
mod report;
mod seeds;
mod serve;
mod stores;
mod timers;
mod upkeep;
mod withdrawals;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mainline::Id;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use crate::addresses::canonical;
use crate::bootstrap::Bootstrap;
use crate::capacity::capacity;
use crate::distance::target_of;
use crate::diversity::Diversity;
use crate::errors::Errors;
use crate::failure_detector::FailureDetector;
use crate::krpc::{self, Body, Contact, Message, NetworkTag, Query};
use crate::lookup::Lookups;
use crate::own_addresses::OwnAddresses;
use crate::publish::Publish;
use crate::routing::Routing;
use crate::rpc::Rpc;
use crate::status::{Stats, method_index};
use crate::storage::Storage;
use crate::subscriptions::Subscriptions;
use crate::unproven::Unproven;
use crate::{Effect, Operation, Outcome, Settings};
pub use introductions::ImpossibleIntroduction;
pub use other_networks::OTHER_NETWORK_MESSAGES;
use other_networks::OtherNetworks;
use timers::{Timer, Timers};

/// Most bytes of a datagram that is read. No message of BEP 5 and 44, and none of ours, is as long.
const LONGEST_DATAGRAM: usize = 2048;

/// A node of the DHT, without I/O.
///
/// ```
/// use std::time::Instant;
///
/// use grape_engine::{Answer, Engine, Settings};
///
/// let now = Instant::now();
/// let mut node = Engine::new(Settings::new([1; 20].into(), 20001), [7; 32], now);
/// // No seeds, and no more to come: the first node of its network.
/// node.join(Vec::new(), true, now);
/// assert!(node.is_ready());
/// // A lookup goes out to other nodes. There are none, so it ends with the next effects.
/// assert!(matches!(node.lookup(b"rpc_test", now), Answer::Later(_)));
/// ```
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    rng: StdRng,
    routing: Routing,
    rpc: Rpc,
    lookups: Lookups,
    publish: Publish,
    storage: Storage,
    subscriptions: Subscriptions,
    failure_detector: FailureDetector,
    bootstrap: Bootstrap,
    own: OwnAddresses,
    other_networks: OtherNetworks,
    /// It has notified the others that it ends.
    has_left: bool,
    unproven: Unproven,
    /// When the announces are looked at that wait for their turn to be stored again.
    stores_again: Option<Instant>,
    stats: Stats,
    errors: Errors,
    timers: Timers,
    effects: VecDeque<Effect>,
    next_number: u64,
}

impl Engine {
    /// A node with an empty routing table. `seed` determines everything random in it: production
    /// takes the seed from the system; simulations choose it, so that each run is the same.
    pub fn new(settings: Settings, seed: [u8; 32], now: Instant) -> Self {
        let mut rng = StdRng::from_seed(seed);
        // Nobody can guess it, nor tell the seed by it.
        let secret = target_of(&seed);
        let mut timers = Timers::default();
        // Nodes that start together do not wake together.
        let first = Duration::from_millis(rng.random_range(0..1000));
        timers.set(now + first, Timer::Upkeep);
        Self {
            routing: Routing::new(
                settings.id,
                settings.node_liveness,
                Diversity::new(settings.trusted_networks.as_slice().into()),
                now,
            ),
            rpc: Rpc::new(),
            lookups: Lookups::new(&settings),
            publish: Publish::new(settings.max_names, settings.peer_max_age, now),
            storage: Storage::new(&settings, &mut rng, now),
            subscriptions: Subscriptions::default(),
            failure_detector: FailureDetector::new(settings.peer_max_age, secret, now),
            bootstrap: Bootstrap::new(settings.awaits_seeds),
            own: OwnAddresses::new(&settings),
            other_networks: OtherNetworks::new(),
            has_left: false,
            unproven: Unproven::new(now),
            stores_again: None,
            stats: Stats::default(),
            errors: Errors::default(),
            timers,
            effects: VecDeque::new(),
            next_number: 0,
            rng,
            settings,
        }
    }

    /// The node's id.
    pub fn id(&self) -> Id {
        self.settings.id
    }

    /// What the node's messages say of its network.
    pub fn network(&self) -> Option<NetworkTag> {
        self.settings.network.as_ref().map(|network| network.tag())
    }

    /// Joined to other nodes, or knowingly the first. Once it holds, it holds.
    pub fn is_ready(&self) -> bool {
        self.bootstrap.is_ready()
    }

    /// Takes a datagram in.
    pub fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) {
        self.stats.packets_received += 1;
        self.stats.bytes_received += datagram.len() as u64;
        let from = canonical(from);
        if datagram.len() > LONGEST_DATAGRAM {
            self.stats.malformed += 1;
            return;
        }
        // Nothing that it says could be answered.
        let Ok(from) = self.admit(from, &from) else { return };
        match krpc::decode(datagram) {
            Err(malformed) => {
                self.stats.malformed += 1;
                self.errors.note(format_args!("datagram from {from}: {malformed}"), now);
            }
            Ok(message) if self.is_of_another(message.network) => {
                self.on_other_network(from, &message, now);
            }
            Ok(message) => {
                let (id, ours) = (&*message.transaction_id, message.is_ours());
                match message.body {
                    Body::Query(_) if self.has_left => {}
                    Body::Query(query) => {
                        self.on_query(from, id, query, ours, datagram.len(), now);
                    }
                    Body::Response(response) => self.on_response(from, id, &response, ours, now),
                    Body::Error { code, message } => self.on_error(from, id, code, &message, now),
                }
            }
        }
        self.notify_subscribers(now);
        self.shed_timers();
    }

    /// Lets time pass: to be called at [`Engine::poll_timeout`], or later.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.due(now) {
            match timer {
                Timer::Timeout(id) => self.on_timeout(id, now),
                Timer::TimedOut(id) => self.on_timed_out(id, now),
                Timer::LookupEnds(lookup) => self.end_lookup(lookup, now),
                // Any query would be a sign of life.
                Timer::Monitored
                | Timer::Probe(_)
                | Timer::Withdrawals
                | Timer::StoreAgain
                | Timer::Upkeep
                    if self.has_left => {}
                Timer::Monitored => self.check_monitored(now),
                Timer::Probe(addr) => self.on_probe(addr, now),
                Timer::Withdrawals => self.notify_of_withdrawals(now),
                Timer::StoreAgain => self.store_again(now),
                Timer::Upkeep => {
                    self.upkeep(now);
                    self.set_timer(now + upkeep::INTERVAL, Timer::Upkeep);
                }
            }
        }
        self.notify_subscribers(now);
    }

    /// When [`Engine::handle_timeout`] has something to do next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Queries that were answered, and lookups that ended, are not waited for.
    fn shed_timers(&mut self) {
        let (rpc, lookups) = (&self.rpc, &self.lookups);
        self.timers.shed(|timer| match timer {
            Timer::Timeout(id) | Timer::TimedOut(id) => rpc.pending(*id).is_none(),
            Timer::LookupEnds(lookup) => !lookups.is_active(*lookup),
            _ => false,
        });
    }

    /// Gives back room that a burst took, as joining is one.
    fn shrink(&mut self) {
        self.rpc.shrink();
        self.timers.shrink();
        self.lookups.shrink();
        self.publish.shrink();
        self.effects.shrink_to(capacity(self.effects.len()));
    }

    /// The next thing to be done, in order; none when all is done.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    fn effect(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    fn done(&mut self, operation: Operation, outcome: Outcome) {
        self.effect(Effect::Done { operation, outcome });
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn operation(&mut self) -> Operation {
        Operation(self.number())
    }

    fn set_timer(&mut self, at: Instant, timer: Timer) {
        self.timers.set(at, timer);
    }

    fn on_query(
        &mut self,
        from: SocketAddr,
        id: &[u8],
        query: Query<'_>,
        ours: bool,
        length: usize,
        now: Instant,
    ) {
        self.stats.queries_received[method_index(&query.method)] += 1;
        // Our own id in another's query proves nothing: anyone can know it.
        let sender = query.sender.filter(|id| !query.read_only && *id != self.settings.id);
        let sender = sender.map(|id| Contact { id, addr: from });
        let newcomer = sender.filter(|contact| self.asked_by(*contact, ours, now));
        let most = self.most_bytes(from, &query.method, length, now);
        let body = self.answer(from, id, &query, ours, most, now);
        self.send(from, id, body, now);
        // After the answer, by which the other knows us when the ping comes.
        if let Some(contact) = newcomer.or(sender.filter(|_| most.is_some())) {
            self.ask_for_proof(contact, now);
        }
    }

    fn send(&mut self, to: SocketAddr, transaction: &[u8], body: Body<'_>, now: Instant) {
        let message = Message {
            transaction_id: transaction.into(),
            version: Some(krpc::VERSION),
            network: self.network(),
            body,
        };
        match krpc::encode(&message) {
            Ok(datagram) => {
                self.stats.packets_sent += 1;
                self.stats.bytes_sent += datagram.len() as u64;
                self.effect(Effect::Send { to, datagram });
            }
            Err(error) => self.errors.note(format_args!("to {to}: {error}"), now),
        }
    }

    fn random_id(&mut self) -> Id {
        let mut bytes = [0; 20];
        self.rng.fill_bytes(&mut bytes);
        Id::from(bytes)
    }
}
