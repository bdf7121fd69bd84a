//! Bootstrap names to addresses, again and again: the addresses behind a name change when pods come
//! and go. While the routing table is short, the node joins through them; later it still asks some
//! of them now and then, because all nodes that it knows may be in a partition that has lost the
//! rest.
//!
//! All names are resolved side by side, each by a lookup that goes on until the system's resolver
//! has answered: it may try a dead name server for many seconds before it asks the next.

mod known;
mod silence;

use std::collections::BTreeSet;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use rand::RngExt;
use tokio::net::lookup_host;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

pub use known::{BootstrapNames, MAX_NAMES, Unanswered, Unresolved};
pub use silence::warn_of_silence;

use crate::config::HostPort;
use crate::dht::{Dht, has_interface};

/// The first operations wait so long for names to resolve. Grenache's clients give up after 2.5 s.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(2);
/// The pauses while the node has not found the others.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause once it has, and the share of it that may be left out, so that many that joined
/// together do not go on asking together.
const AT_REST: Duration = Duration::from_secs(20);
const AT_REST_JITTER: f64 = 0.25;
/// A table of this many nodes finds the rest by itself.
const ENOUGH: usize = 20;
/// Most shared addresses behind which other nodes are looked for at a time.
const LOOKED_BEHIND: usize = 8;

/// Joins the network through these names, and does so again when the node has lost the others, or a
/// name has a new address. Asks the addresses again after joining. Reports names that do not
/// resolve. Never ends.
pub async fn keep_joined(dht: Dht, bootstrap: Vec<HostPort>, known: BootstrapNames) {
    let pauses = ExponentialBuilder::new()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .with_factor(1.5)
        .with_jitter()
        .without_max_times();
    let mut names = Names::new(bootstrap, known);
    let mut looks = JoinSet::new();
    let mut first = true;
    let mut pause = pauses.build();
    loop {
        names.ask();
        let until = Instant::now() + RESOLVE_TIMEOUT;
        while names.lead_nowhere(&dht) && timeout_at(until, names.answer()).await.is_ok() {}
        names.tell_slow();
        let mut seeds = names.addresses();
        let mut complete = names.all_resolved();
        let well = !is_short(&dht, &seeds) && complete;
        if first || is_short(&dht, &seeds) {
            join(&dht, &seeds, complete);
        } else {
            dht.ask_seeds_again(seeds.iter().copied().collect(), complete);
        }
        while looks.try_join_next().is_some() {}
        for seed in dht.seeds_that_lead_home().into_iter().take(LOOKED_BEHIND) {
            let dht = dht.clone();
            looks.spawn(async move { dht.join_behind(seed).await });
        }
        first = false;
        let rest = if well {
            pause = pauses.build();
            AT_REST.mul_f64(1.0 - rand::rng().random_range(0.0..AT_REST_JITTER))
        } else {
            pause.next().unwrap_or(LONGEST_PAUSE)
        };
        let next = Instant::now() + rest;
        // What resolves later joins later.
        while timeout_at(next, names.answer()).await.is_ok() {
            let (more, all) = (names.addresses(), names.all_resolved());
            if (!more.is_subset(&seeds) || all != complete) && is_short(&dht, &more) {
                join(&dht, &more, all);
            }
            (seeds, complete) = (more, all);
        }
    }
}

/// Whether there may be others that the node does not know. Knowing somebody is not enough: two who
/// joined through each other while their bootstrap Grape was away would stay a partition.
fn is_short(dht: &Dht, seeds: &BTreeSet<SocketAddr>) -> bool {
    let nodes = dht.stats().nodes;
    nodes == 0 || nodes < ENOUGH && seeds.iter().any(|seed| !dht.knows(seed))
}

fn join(dht: &Dht, seeds: &BTreeSet<SocketAddr>, complete: bool) {
    tracing::debug!(?seeds, complete, "joining");
    dht.join(seeds.iter().copied().collect(), complete);
}

/// A bootstrap name, and what is known of it.
struct Name {
    name: HostPort,
    /// What the last lookup found; none when it failed, or none has ended yet.
    addresses: Option<Vec<SocketAddr>>,
    /// When the lookup that is under way began.
    asked: Option<Instant>,
    /// The last lookup was begun in this round.
    is_fresh: bool,
    /// Why it does not resolve, as it was logged.
    problem: Option<String>,
}

/// What a lookup found, and which name's it is.
type Answer = (usize, io::Result<Vec<SocketAddr>>);

/// The bootstrap names.
struct Names {
    names: Vec<Name>,
    /// One a name at most.
    lookups: FuturesUnordered<BoxFuture<'static, Answer>>,
    /// Where the status of the names is kept.
    known: BootstrapNames,
}

impl Names {
    fn new(names: Vec<HostPort>, known: BootstrapNames) -> Self {
        let name =
            |name| Name { name, addresses: None, asked: None, is_fresh: false, problem: None };
        let names = names.into_iter().map(name).collect();
        Self { names, lookups: FuturesUnordered::new(), known }
    }

    /// Begins a round: asks for all names, but for those whose lookup is under way.
    fn ask(&mut self) {
        for (index, name) in self.names.iter_mut().enumerate() {
            name.is_fresh = false;
            if name.asked.is_none() {
                name.asked = Some(Instant::now());
                let name = name.name.clone();
                let lookup = async move { (index, resolve(&name).await) };
                self.lookups.push(Box::pin(lookup));
            }
        }
    }

    /// Waits for the next answer, and takes it. Never ends while no lookup is under way.
    async fn answer(&mut self) {
        let Some((index, answer)) = self.lookups.next().await else { return pending().await };
        let Some(name) = self.names.get_mut(index) else { return };
        (name.asked, name.is_fresh) = (None, true);
        match &answer {
            Ok(_) => name.problem = None,
            Err(error) => name.tell(&error.to_string()),
        }
        name.addresses = answer.ok();
        self.tell_status();
    }

    /// Whether no lookup of this round has found another node yet, and one still may.
    fn lead_nowhere(&self, dht: &Dht) -> bool {
        let fresh = self.names.iter().filter(|name| name.is_fresh);
        let mut found = fresh.flat_map(|name| name.addresses.iter().flatten());
        !self.lookups.is_empty() && !found.any(|addr| !dht.is_itself(addr))
    }

    /// Logs names that take long.
    fn tell_slow(&mut self) {
        for name in &mut self.names {
            if name.asked.is_some_and(|asked| asked.elapsed() >= RESOLVE_TIMEOUT) {
                name.tell("no answer from the name server yet");
            }
        }
        self.tell_status();
    }

    /// Updates what the status shows.
    fn tell_status(&self) {
        let names = self.names.iter().map(|Name { name, problem, addresses, .. }| known::Name {
            name: name.to_string(),
            problem: problem.clone(),
            addresses: addresses.clone().unwrap_or_default(),
        });
        self.known.set(names.collect());
    }

    /// All addresses of all names.
    fn addresses(&self) -> BTreeSet<SocketAddr> {
        self.names.iter().flat_map(|name| name.addresses.iter().flatten()).copied().collect()
    }

    /// Whether there are no other addresses.
    fn all_resolved(&self) -> bool {
        self.names.iter().all(|name| name.addresses.is_some())
    }
}

impl Name {
    /// Warns once, until it resolves.
    fn tell(&mut self, error: &str) {
        let name = &self.name;
        if self.problem.replace(error.to_owned()).is_some() {
            tracing::debug!(%name, %error, "bootstrap name still does not resolve");
        } else {
            tracing::warn!(%name, %error, "bootstrap name does not resolve; trying again");
        }
    }
}

async fn resolve(name: &HostPort) -> io::Result<Vec<SocketAddr>> {
    let unfit = |reason: &str| io::Error::new(io::ErrorKind::NotFound, reason);
    let found = lookup_host((name.host.as_str(), name.port)).await;
    let found = found.map_err(|error| missing_interface(name).unwrap_or(error))?;
    let addresses: Vec<_> = found.filter_map(|addr| grape_engine::seed(addr).ok()).collect();
    if addresses.is_empty() {
        return Err(unfit("it has no address that a host can have"));
    }
    let reachable: Vec<_> = addresses.into_iter().filter(has_interface).collect();
    if reachable.is_empty() {
        return Err(missing_interface(name).unwrap_or_else(|| unfit("this host has no such link")));
    }
    Ok(reachable)
}

/// What is wrong with an address of a link that does not resolve: names do not have zones.
fn missing_interface(name: &HostPort) -> Option<io::Error> {
    let (_, zone) = name.host.split_once('%')?;
    let reason = format!("this host has no interface {zone:?} now");
    Some(io::Error::new(io::ErrorKind::NotFound, reason))
}
