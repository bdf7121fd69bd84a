//! The DHT as services use it: an async handle over the engine and its UDP sockets.

mod behind;
mod driver;
mod gossip;
mod interfaces;
mod neighbours;
mod segmentation_offload;
mod sockets;
mod sources;
mod watch;

use std::collections::BTreeSet;
use std::fmt::{self, Display, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use futures_util::future::join_all;
use grape_engine::{
    Answer, Engine, Found, ImpossibleIntroduction, Item, Outcome, PutError, Settings, Stats,
    Status, Withdrawn, id_at,
};
use mainline::Id;
use rand::RngExt;
use tracing::debug;

pub use driver::Driver;
pub use interfaces::has_interface;
pub use sockets::BindError;
pub use watch::Watch;

use crate::config::Config;
use driver::Shared;
use sockets::Sockets;

/// Where an answer is from, as the log and the metrics have it.
const MEMORY: &str = "memory";
const FROM_DHT: &str = "walk";

/// A name for the log: not longer than a line.
fn text(name: &[u8]) -> impl Display {
    fmt::from_fn(move |f| {
        String::from_utf8_lossy(name).chars().take(MAX_NAME).try_for_each(|c| f.write_char(c))
    })
}

/// Most characters of a name in the log.
const MAX_NAME: usize = 100;

/// A node of the DHT that runs. Cheap to clone: all clones are one node.
#[derive(Clone)]
pub struct Dht {
    shared: Arc<Shared>,
}

impl Dht {
    /// Binds the node's UDP sockets. The node lives while its [`Driver`] is run.
    ///
    /// # Errors
    /// When a socket cannot be bound.
    pub fn bind(config: &Config) -> Result<(Self, Driver), BindError> {
        let sockets = Sockets::bind(config.dht_bind, config.dht_port)?;
        let mut rng = rand::rng();
        let specific = |ip: &IpAddr| !ip.is_unspecified();
        let served_at = config.dht_bind.filter(specific).or(config.bind.filter(specific));
        let host_addresses = sockets.host_addresses();
        let known = config.advertise_ip.into_iter().chain(served_at);
        let random = Id::from(rng.random::<[u8; 20]>());
        // The first public address that it is known to have binds its id.
        let ids = known.chain(host_addresses.iter().copied()).map(|ip| id_at(ip, random));
        let settings = Settings {
            id: ids.into_iter().find(|id| *id != random).unwrap_or(random),
            port: sockets.addr().port(),
            concurrency: config.dht_concurrency,
            max_names: config.dht_max_tables,
            max_items: config.dht_max_values,
            peer_max_age: config.peer_max_age,
            node_liveness: config.node_liveness,
            advertise: config.advertise_ip,
            bound_to_all: sockets.addr().ip().is_unspecified(),
            awaits_seeds: !config.bootstrap.is_empty(),
            trusted_networks: config.trust_nets.clone(),
            network: config.network.clone(),
        };
        let now = crate::clock::now();
        let mut engine = Engine::new(settings, rng.random(), now);
        // Until a neighbour shows which of our addresses others see, the one that we serve at.
        if let Some(ip) = served_at {
            engine.set_external(ip, now);
        }
        engine.set_host_addresses(host_addresses);
        let shared = Arc::new(Shared::new(engine, config, sockets));
        Ok((Self { shared: shared.clone() }, Driver::new(shared)))
    }

    /// The UDP address of the node; the IPv4 one where it has both.
    pub fn addr(&self) -> SocketAddr {
        self.shared.sockets.addr()
    }

    /// All UDP addresses of the node.
    pub fn addrs(&self) -> Vec<SocketAddr> {
        self.shared.sockets.addrs()
    }

    /// The peers that announced `name` and are alive: at most 100, in random order. At
    /// once from memory where the name was looked up lately; after asking other nodes else.
    pub async fn lookup(&self, name: &[u8]) -> Vec<SocketAddr> {
        let (peers, source, asked) = match self.shared.start(|engine, now| engine.lookup(name, now))
        {
            Ok(peers) => (peers, MEMORY, 0),
            Err(later) => match later.await {
                Ok(Outcome::Peers { peers, asked }) => (peers, FROM_DHT, asked),
                _ => (Vec::new(), FROM_DHT, 0),
            },
        };
        debug!(name = %text(name), peers = peers.len(), %source, asked, "lookup");
        peers
    }

    /// Announces `name` at `port` of this host, until `peer_max_age` has passed. Returns how many
    /// other nodes hold the announce. Port 0 means the node's own UDP port.
    pub async fn announce(&self, name: &[u8], port: u16) -> usize {
        let (holders, source) =
            self.confirmed(|engine, now| engine.announce(name, port, now)).await;
        debug!(name = %text(name), port, holders, %source, "announce");
        holders
    }

    /// Announces `name` again until `until`: at most `peer_max_age` from now. Does not wait.
    pub(crate) fn renew(&self, name: &[u8], port: u16, until: Instant) {
        // An operation goes on without a task that waits for it.
        self.shared.with(|engine, now| {
            engine.announce_until(name, port, until, now);
        });
    }

    /// As [`Dht::withdraw`], but does not wait.
    pub(crate) fn retract(&self, name: &[u8], port: u16) {
        self.shared.with(|engine, now| {
            engine.withdraw(name, port, now);
        });
    }

    /// Takes an announce back, here and at the nodes that hold it. One that was not made here stays
    /// as it is.
    pub async fn withdraw(&self, name: &[u8], port: u16) -> Withdrawn {
        let withdrawn = match self.shared.start(|engine, now| engine.withdraw(name, port, now)) {
            Ok(withdrawn) => withdrawn,
            Err(later) => match later.await {
                Ok(Outcome::Withdrawn(withdrawn)) => withdrawn,
                _ => Withdrawn::Here(0),
            },
        };
        debug!(name = %text(name), port, ?withdrawn, "withdraw");
        withdrawn
    }

    /// Notifies the other nodes that this one ends, and waits until they have confirmed. The node
    /// is of no use afterwards.
    pub async fn leave(&self) -> usize {
        self.confirmed(Engine::leave).await.0
    }

    /// Takes back all that was announced here, and announces nothing more. Returns how many
    /// services that were.
    pub async fn withdraw_all(&self) -> usize {
        let services = self.shared.with(|engine, _| engine.drain());
        join_all(services.iter().map(|(name, port)| self.withdraw(name, *port))).await.len()
    }

    /// Whether there are other nodes on both address families, so that it matters over which of
    /// them a service is reached.
    pub fn has_both_families(&self) -> bool {
        self.shared.both_families.load(Ordering::Relaxed)
    }

    /// The ports of the services that were announced here, each once.
    pub fn announced_ports(&self) -> BTreeSet<u16> {
        self.shared.with(|engine, _| engine.announced_ports())
    }

    /// The addresses of this host that other nodes see, as far as they are known.
    pub fn external(&self) -> Vec<IpAddr> {
        self.shared.with(|engine, _| engine.external())
    }

    /// Sets at which ports of this host services are reached over IPv6 alone. Services at these
    /// ports are shown under the IPv6 address, all others under the IPv4 address.
    pub fn set_ipv6_ports(&self, ports: BTreeSet<u16>) {
        self.shared.with(|engine, now| engine.set_ipv6_ports(ports, now));
    }

    /// How many nodes confirmed, and where the answer is from.
    async fn confirmed(
        &self,
        start: impl FnOnce(&mut Engine, Instant) -> Answer<usize>,
    ) -> (usize, &'static str) {
        match self.shared.start(start) {
            Ok(count) => (count, MEMORY),
            Err(later) => match later.await {
                Ok(Outcome::Confirmed(count)) => (count, FROM_DHT),
                _ => (0, FROM_DHT),
            },
        }
    }

    /// Stores an item at the closest nodes, and here. `cas` is the `seq` that a stored mutable
    /// item must have.
    ///
    /// # Errors
    /// When every node that answered refused it, or none answered.
    pub async fn put(&self, item: Item, cas: Option<i64>) -> Result<Id, PutError> {
        let (id, seq) = (item.id(), item.seq());
        let stored = match self.shared.start(|engine, now| engine.put(item, cas, now)) {
            Ok(stored) => stored,
            Err(later) => match later.await {
                Ok(Outcome::Put(stored)) => stored,
                _ => Err(PutError::Unanswered),
            },
        };
        match &stored {
            Ok(_) => debug!(%id, seq, "put"),
            Err(error) => debug!(%id, seq, %error, "put refused"),
        }
        stored
    }

    /// The item stored under `target`; of a mutable one the newest that the closest nodes hold.
    /// `salt` is what it was put with. `cached` allows an answer from what this node holds itself.
    pub async fn get(&self, target: Id, salt: &[u8], cached: bool) -> Option<Box<Found>> {
        let (found, source) =
            match self.shared.start(|engine, now| engine.get(target, salt, cached, now)) {
                Ok(found) => (found, MEMORY),
                Err(later) => match later.await {
                    Ok(Outcome::Got(found)) => (found, FROM_DHT),
                    _ => (None, FROM_DHT),
                },
            };
        let seq = found.as_ref().and_then(|found| found.item.seq());
        debug!(id = %target, found = found.is_some(), seq, %source, "get");
        found
    }

    /// Follows the peers of `name`.
    pub fn watch(&self, name: &[u8]) -> Watch {
        Watch::start(self.shared.clone(), name)
    }

    /// Joins the network through these addresses. `complete` says that there are no others: with
    /// no address but our own, the node is then the first. See [`crate::discovery`].
    pub fn join(&self, seeds: Vec<SocketAddr>, complete: bool) {
        self.shared.with(|engine, now| engine.join(seeds, complete, now));
    }

    /// Asks some of these addresses, of a node that has joined; see [`Engine::ask_seeds_again`].
    pub fn ask_seeds_again(&self, seeds: Vec<SocketAddr>, complete: bool) {
        self.shared.with(|engine, now| engine.ask_seeds_again(seeds, complete, now));
    }

    /// Pings the nodes at these addresses, which `by` sent; see [`Engine::introduce`].
    ///
    /// # Errors
    /// When one of them is impossible.
    pub fn introduce(
        &self,
        addrs: &[SocketAddr],
        by: SocketAddr,
    ) -> Result<usize, ImpossibleIntroduction> {
        self.shared.with(|engine, now| engine.introduce(addrs, by, now))
    }

    /// The bootstrap addresses that led back to this node when they were last asked: those of a
    /// load balancer, as a rule.
    pub fn seeds_that_lead_home(&self) -> Vec<SocketAddr> {
        self.shared.with(|engine, _| engine.seeds_that_lead_home())
    }

    /// Looks for another node behind a bootstrap address that led back to this node, and joins
    /// through those that it knows. Takes a second at most.
    pub async fn join_behind(&self, seed: SocketAddr) {
        let (id, network) = self.shared.with(|engine, _| (engine.id(), engine.network()));
        let of_family = |addr: &SocketAddr| addr.is_ipv4() == seed.is_ipv4();
        let Some(bound) = self.addrs().into_iter().find(of_family) else { return };
        match behind::others(bound.ip(), seed, id, network).await {
            Ok(Some(nodes)) => {
                tracing::debug!(%seed, ?nodes, "another node is behind this bootstrap address");
                self.shared.with(|engine, now| engine.join_behind(seed, &nodes, now));
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(%seed, %error, "cannot look who is behind this address"),
        }
    }

    /// The bootstrap addresses that did not answer when they were last asked, and at which no node
    /// is known.
    pub fn silent_seeds(&self) -> Vec<SocketAddr> {
        self.shared.with(|engine, _| engine.silent_seeds())
    }

    /// Whether a bootstrap address is an address of this node.
    pub fn is_itself(&self, addr: &SocketAddr) -> bool {
        self.shared.with(|engine, _| engine.is_itself(addr))
    }

    /// Whether a bootstrap address is a node that we know, or this node itself.
    pub fn knows(&self, addr: &SocketAddr) -> bool {
        self.shared.with(|engine, _| engine.knows(addr))
    }

    /// Joined to other nodes, or knowingly the first.
    pub fn is_ready(&self) -> bool {
        *self.shared.ready.borrow()
    }

    /// Completes when [`Dht::is_ready`] first holds.
    pub async fn ready(&self) {
        let mut ready = self.shared.ready.subscribe();
        // The sender lives as long as we do.
        let _ = ready.wait_for(|ready| *ready).await;
    }

    /// The IP under which other nodes show services of this host, if this host has it: then the
    /// services are reached there from this host too. `None` if it is the address of a NAT.
    pub(crate) fn own_advertised(&self) -> Option<IpAddr> {
        let advertised = self.shared.with(|engine, _| engine.advertised())?;
        // Services bind to addresses that the DHT is not bound to. Of loopback's, interfaces show
        // one, and the host has all.
        let is_own = advertised.is_loopback()
            || interfaces::addresses().is_ok_and(|own| own.binary_search(&advertised).is_ok());
        is_own.then_some(advertised)
    }

    /// A picture of the node for people.
    pub fn status(&self) -> Status {
        self.shared.with(|engine, now| engine.status(now))
    }

    /// A picture of the node without what services and strangers fill: `announced`, `peers` and
    /// `errors` are empty.
    pub fn brief_status(&self) -> Status {
        self.shared.with(|engine, now| engine.brief_status(now))
    }

    /// Counters since the start, and gauges of now.
    pub fn stats(&self) -> Stats {
        self.shared.with(|engine, _| engine.stats())
    }
}
