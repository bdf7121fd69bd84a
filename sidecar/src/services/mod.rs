//! What the Grape knows of the services beside it, and what it therefore announces.
//!
//! A service that dies without a word stays known for its announce's age, two minutes as a rule,
//! and each client that looks it up calls nobody. The Grape is on the same host and can see it: it
//! tries the port of each service every second, and withdraws those that have gone.
//!
//! | who announces | is announced | is held back |
//! |---|---|---|
//! | the Grape, for a flag | once the port answers and every condition says yes | when one of these fails twice in a row |
//! | the service, by the API | at once | when a port that answered before refuses twice in a row |
//!
//! A port that has never answered is left alone where the service announced itself: it may be one
//! of UDP. A time-out is no refusal: at an address of this host it tells of a queue that is full.
//! What is held back is answered as ever, and is announced again when its port answers again.
//!
//! | file | concern |
//! |---|---|
//! | `register.rs` | which services are announced and which are held back; pure |
//! | `health.rs` | what one try after another tells; pure |
//! | `probe.rs` | tries a port, asks a URL |
//! | `family.rs` | which services are reached over IPv6 alone |
//! | `declared.rs`, `ready_when.rs` | what the flags say |

mod declared;
mod family;
mod health;
mod probe;
mod ready_when;
mod register;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{info, warn};

use crate::clock;
use crate::config::Config;
use crate::dht::Dht;
use crate::engine::MAX_LISTED;

pub use declared::{Declared, DeclaredList, InvalidDeclared};
pub use ready_when::{InvalidReadyWhen, ReadyWhen, ReadyWhenList};
pub(crate) use register::Reason;

use family::Families;
use health::Outcome;
use register::{Changes, Register, Service, Settings};

/// How often each port and each condition is tried, and what a flag declares is announced, as often
/// as npm's clients do.
const EACH: Duration = Duration::from_secs(1);

/// Most tries at a time.
const CONCURRENCY: usize = 32;

/// Most services that one line of the log names.
const NAMED: usize = 5;

/// A service of this host that is not announced, or no longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldBack {
    /// The service's name; bytes that are not UTF-8 are replaced.
    pub name: String,
    /// The service's port.
    pub port: u16,
    /// Why, for people.
    pub reason: String,
}

/// What a drain withdrew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Withdrawal {
    /// How many services.
    pub withdrawn: usize,
    /// Whether each of the Grapes that held them has confirmed, or is known not to answer. Else
    /// the time was up before.
    pub complete: bool,
}

/// Numbers for metrics, by [`Reason::LABELS`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) held_back: [u64; Reason::LABELS.len()],
    /// Since the start.
    pub(crate) withdrawals: [u64; Reason::LABELS.len()],
}

/// The services beside a Grape. What they announce and withdraw goes through here.
pub(crate) struct Services {
    dht: Dht,
    /// Where their ports are tried.
    address: IpAddr,
    declared: Vec<Service>,
    conditions: Vec<ReadyWhen>,
    check_announced: bool,
    families: Families,
    state: Mutex<State>,
}

struct State {
    register: Register,
    /// What each condition said last, unless that was yes.
    said: Vec<Option<String>>,
    withdrawals: [u64; Reason::LABELS.len()],
}

/// What is tried, and how that ended.
enum Tried {
    Port(u16, Outcome),
    Condition(usize, Result<(), String>),
}

impl Services {
    /// No services yet, but those that the configuration declares.
    pub(crate) fn new(dht: Dht, config: &Config) -> Self {
        let declared = config.announce.iter();
        let declared = declared.map(|Declared { name, port }| (name.as_bytes().into(), *port));
        let declared: Vec<Service> = declared.collect();
        let register = Register::new(Settings {
            declared: declared.clone(),
            conditions: config.ready_when.len(),
            check_announced: config.check_announced,
            max_services: config.dht_max_tables,
            max_age: config.peer_max_age,
        });
        let said = vec![None; config.ready_when.len()];
        Self {
            families: Families::new(dht.clone()),
            dht,
            address: config.advertise_ip.unwrap_or(Ipv4Addr::LOCALHOST.into()),
            declared,
            conditions: config.ready_when.clone(),
            check_announced: config.check_announced,
            state: Mutex::new(State { register, said, withdrawals: Default::default() }),
        }
    }

    /// The DHT in which they are found.
    pub(crate) fn dht(&self) -> &Dht {
        &self.dht
    }

    /// Whether there is anything for [`Services::keep`] to do.
    pub(crate) fn are_watched(&self) -> bool {
        self.check_announced || !self.declared.is_empty()
    }

    /// A service announces itself. Returns how many other nodes hold the announce: none while it
    /// is held back.
    pub(crate) async fn announce(&self, name: &[u8], port: u16) -> usize {
        let service = self.service(name, port);
        self.families.look(service.1).await;
        // The node starts on it before anything else runs: what is decided here still holds.
        if self.lock().register.announced(&service, clock::now()) {
            self.dht.announce(name, port).await
        } else {
            0
        }
    }

    /// A service withdraws itself. Returns how many other nodes confirmed.
    pub(crate) async fn withdraw(&self, name: &[u8], port: u16) -> usize {
        let service = self.service(name, port);
        self.lock().register.withdrew(&service, clock::now());
        self.dht.withdraw(name, port).await
    }

    /// Takes back all that was announced here, and holds back what is announced from now on.
    /// Waits for the other nodes for at most `patience`.
    pub(crate) async fn drain(&self, patience: Duration) -> Withdrawal {
        // As many as are about to be withdrawn: nothing runs in between.
        let withdrawn = self.dht.stats().announced;
        {
            let mut state = self.lock();
            state.register.drain();
            state.withdrawals[Reason::Drained.index()] +=
                u64::try_from(withdrawn).unwrap_or(u64::MAX);
        }
        let complete = timeout(patience, self.dht.withdraw_all()).await.is_ok();
        Withdrawal { withdrawn, complete }
    }

    /// The services that are not announced, or no longer: at most [`MAX_LISTED`].
    pub(crate) fn held_back(&self) -> Vec<HeldBack> {
        let state = self.lock();
        let held_back = state.register.held_back(clock::now()).take(MAX_LISTED);
        held_back
            .map(|((name, port), reason)| HeldBack {
                name: String::from_utf8_lossy(name).into_owned(),
                port: *port,
                reason: self.why(reason, *port, &state.said),
            })
            .collect()
    }

    /// Numbers for metrics.
    pub(crate) fn counts(&self) -> Counts {
        let state = self.lock();
        let mut counts = Counts { withdrawals: state.withdrawals, ..Counts::default() };
        for (_, reason) in state.register.held_back(clock::now()) {
            counts.held_back[reason.index()] += 1;
        }
        counts
    }

    /// Follows over which address family services are reached. Never ends.
    pub(crate) async fn follow_families(self: Arc<Self>) {
        self.families.follow().await;
    }

    /// Tries ports and conditions, announces what a flag declares, and withdraws what has gone.
    /// Never ends.
    pub(crate) async fn keep(self: Arc<Self>) {
        let mut second = interval(EACH);
        if !self.declared.is_empty() {
            let services = listed(self.declared.iter());
            info!(%services, "to be announced while they are there");
        }
        second.set_missed_tick_behavior(MissedTickBehavior::Skip);
        // Each ends when a walk does: there are never many more than there are services.
        let mut told = JoinSet::new();
        loop {
            second.tick().await;
            let (ports, conditions) = {
                let register = &mut self.lock().register;
                (register.ports_due(clock::now()), register.conditions_due())
            };
            let ports = ports.into_iter().map(Ok);
            let mut tries = stream::iter(conditions.map(Err).chain(ports))
                .map(|what| self.attempt(what))
                .buffer_unordered(CONCURRENCY);
            // One that takes its time keeps the others' news from nobody.
            while let Some(tried) = tries.next().await {
                self.note(tried);
                self.settle(&mut told);
            }
            self.settle(&mut told);
            let again = self.lock().register.again();
            for service in again {
                told.spawn(Arc::clone(&self).tell(service));
            }
            while told.try_join_next().is_some() {}
        }
    }

    async fn attempt(&self, what: Result<u16, usize>) -> Tried {
        match what {
            Ok(port) => Tried::Port(port, probe::port(SocketAddr::new(self.address, port)).await),
            Err(place) => Tried::Condition(place, probe::url(&self.conditions[place]).await),
        }
    }

    fn note(&self, tried: Tried) {
        let mut state = self.lock();
        match tried {
            Tried::Port(port, outcome) => state.register.tried(port, outcome),
            Tried::Condition(place, said) => {
                let outcome = if said.is_ok() { Outcome::Yes } else { Outcome::No };
                state.said[place] = said.err();
                state.register.asked(place, outcome);
            }
        }
    }

    /// Does what the register wants done by now.
    fn settle(self: &Arc<Self>, told: &mut JoinSet<()>) {
        let Changes { announce, withdraw } = {
            let mut state = self.lock();
            let changes = state.register.changes(clock::now());
            for (_, reason) in &changes.withdraw {
                state.withdrawals[reason.index()] += 1;
            }
            self.log(&changes, &state.said);
            changes
        };
        for service in announce.into_iter().chain(withdraw.into_iter().map(|(service, _)| service))
        {
            told.spawn(Arc::clone(self).tell(service));
        }
    }

    /// Announces a service, or withdraws it: what should be by the time that this runs.
    async fn tell(self: Arc<Self>, service: Service) {
        self.families.look(service.1).await;
        let is_free = self.lock().register.is_free(&service);
        let (name, port) = service;
        if is_free {
            self.dht.announce(&name, port).await;
        } else {
            self.dht.withdraw(&name, port).await;
        }
    }

    fn log(&self, changes: &Changes, said: &[Option<String>]) {
        if !changes.announce.is_empty() {
            let services = listed(changes.announce.iter());
            info!(%services, "announced");
        }
        let mut by_cause: BTreeMap<String, Vec<&Service>> = BTreeMap::new();
        for (service, reason) in &changes.withdraw {
            by_cause.entry(self.why(*reason, service.1, said)).or_default().push(service);
        }
        for (why, services) in by_cause {
            warn!(services = %listed(services.into_iter()), %why, "withdrawn");
        }
    }

    fn why(&self, reason: Reason, port: u16, said: &[Option<String>]) -> String {
        let address = SocketAddr::new(self.address, port);
        match reason {
            Reason::PortRefuses => format!("{address} refuses connections"),
            Reason::PortSilent => format!("{address} has not answered yet"),
            Reason::NotReady(place) => said.get(place).cloned().flatten().unwrap_or_else(|| {
                let asked = self.conditions.get(place).map(ToString::to_string);
                format!("{} has not said yes yet", asked.unwrap_or_default())
            }),
            Reason::Withdrew => "it withdrew itself".to_owned(),
            Reason::Drained => "the Grape was drained".to_owned(),
        }
    }

    /// Port 0 stands for the DHT's own.
    fn service(&self, name: &[u8], port: u16) -> Service {
        (name.into(), if port == 0 { self.dht.addr().port() } else { port })
    }

    /// The register is never left half-changed: it does not panic, and if it did, serving on is
    /// better than to panic in every task.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first few of some services, for a line of the log.
fn listed<'a>(services: impl ExactSizeIterator<Item = &'a Service>) -> String {
    let more = services.len().saturating_sub(NAMED);
    let first = services.take(NAMED);
    let first = first.map(|(name, port)| format!("{}:{port}", String::from_utf8_lossy(name)));
    let first = first.collect::<Vec<_>>().join(", ");
    if more == 0 { first } else { format!("{first} and {more} more") }
}
