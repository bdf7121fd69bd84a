//! The services on the Grape's host: which of them the Grape announces.
//!
//! A client of Grenache announces its service every minute or two, or only once. An announce
//! expires after two minutes by default: without help, a running service would be missing now and
//! then, and a dead one would be found for minutes. The Grape is on the same host: it connects to
//! the port of each service every second, renews the announces of services that answer, and
//! withdraws those that do not.
//!
//! | who announces | is announced | is held back |
//! |---|---|---|
//! | the Grape, for a flag | once the port answers and every condition says yes | when one of these fails twice in a row |
//! | the service, by the API | at once | when a port that answered before refuses twice in a row |
//!
//! A service that announced itself stays announced while its port answers. If the port has never
//! answered, or cannot be tried, the service stays for four minutes after its last announce: the
//! port may be one of UDP. So does a service at whose port another service announces itself
//! instead. An age that is configured below ten seconds is exact, and no announce is renewed.
//!
//! A time-out is no refusal: at an address of this host it means that the service's queue is full.
//! A service that is held back gets the usual answers to its announces. It is announced again when
//! its port answers again, if the service announced itself meanwhile: otherwise another service may
//! be at the port.
//!
//! | file | concern |
//! |---|---|
//! | `register.rs` | which services are announced, until when, and which are held back; pure |
//! | `announcers.rs` | from where a service was announced, and who may withdraw it; pure |
//! | `facts.rs`, `health.rs` | what the tries so far show; pure |
//! | `keep.rs` | does what the register wants, every second |
//! | `probe.rs` | tries a port, asks a URL |
//! | `overdue.rs` | which services have been held back for too long; pure |
//! | `refusals.rs` | what services asked for and were refused |
//! | `family.rs` | which services are reached over IPv6 alone |
//! | `declared.rs`, `ready_when.rs` | what the flags say |

mod announcers;
mod declared;
mod facts;
mod family;
mod health;
mod keep;
mod overdue;
mod probe;
mod ready_when;
mod refusals;
mod register;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use grape_engine::{MAX_LISTED, Withdrawn};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::clock;
use crate::config::Config;
use crate::dht::Dht;

pub use declared::{Declared, DeclaredList, InvalidDeclared};
pub(crate) use facts::Reason;
pub use ready_when::{InvalidReadyWhen, ReadyWhen, ReadyWhenList};
pub use refusals::Refusal;
use refusals::shown_whole;
pub(crate) use refusals::{Refusals, Refused, shown};

use announcers::Claim;
use family::Families;
use overdue::Overdue;
use register::{Register, RegisterConfig, Service};

/// How often each port and each condition is tried, and what a flag declares is announced, as often
/// as npm's clients do.
const EACH: Duration = Duration::from_secs(1);

/// Most services in a brief status.
const MAX_OVERDUE: usize = 8;

/// Most tries at a time.
const CONCURRENCY: usize = 32;

/// A service of this host that is not announced, or no longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HeldBack {
    /// The service's name; bytes that are not UTF-8 are replaced.
    pub name: String,
    /// The service's port.
    pub port: u16,
    /// Why, for people.
    pub reason: String,
}

/// A withdrawal of what somebody else announced, asked for from another host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ERR_GRAPE_WITHDRAW: a program on another host withdraws only what it announced here")]
pub(crate) struct NotTheirs;

/// What a drain withdrew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    advertise_ip: Option<IpAddr>,
    declared: Vec<Service>,
    conditions: Vec<ReadyWhen>,
    max_age: Duration,
    refusals: Refusals,
    families: Families,
    state: Mutex<State>,
}

struct State {
    register: Register,
    overdue: Overdue,
    /// The address that messages about ports show: one of those where they are tried.
    address: IpAddr,
    /// What each condition said last, unless that was yes.
    said: Vec<Option<String>>,
    withdrawals: [u64; Reason::LABELS.len()],
}

impl Services {
    /// No services yet, but those that the configuration declares.
    pub(crate) fn new(dht: Dht, config: &Config) -> Self {
        let declared = config.announce.iter();
        let declared = declared.map(|Declared { name, port }| (name.as_bytes().into(), *port));
        let declared: Vec<Service> = declared.collect();
        let register = Register::new(RegisterConfig {
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
            advertise_ip: config.advertise_ip,
            declared,
            conditions: config.ready_when.clone(),
            max_age: config.peer_max_age,
            refusals: Refusals::default(),
            state: Mutex::new(State {
                register,
                overdue: Overdue::default(),
                address: Ipv4Addr::LOCALHOST.into(),
                said,
                withdrawals: Default::default(),
            }),
        }
    }

    /// The DHT in which they are found.
    pub(crate) fn dht(&self) -> &Dht {
        &self.dht
    }

    /// What services asked for and were refused.
    pub(crate) fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// A service announces itself, from this address. Returns how many other nodes hold the announce:
    /// none while it is held back.
    pub(crate) async fn announce(&self, name: &[u8], port: u16, from: IpAddr) -> usize {
        let service = self.service(name, port);
        self.families.look(service.1).await;
        // The node starts on it before anything else runs: what is decided here still holds.
        let announced = {
            let (mut state, now) = (self.lock(), clock::now());
            let announced = state.register.announced(&service, now);
            state.register.announced_from(&service, from.to_canonical(), now);
            announced
        };
        if announced { self.dht.announce(name, port).await } else { 0 }
    }

    /// A service withdraws itself, from this address. Nothing is withdrawn while others announce it too.
    ///
    /// # Errors
    /// When who asks is on another host, and has not announced the service here.
    pub(crate) async fn withdraw(
        &self,
        name: &[u8],
        port: u16,
        from: IpAddr,
    ) -> Result<Option<Withdrawn>, NotTheirs> {
        let service = self.service(name, port);
        let was_known = {
            let (mut state, now) = (self.lock(), clock::now());
            match state.register.claim(&service, from.to_canonical(), now) {
                Claim::Last => state.register.withdrew(&service, now),
                Claim::Shared => return Ok(None),
                Claim::None => return Err(NotTheirs),
            }
        };
        Ok(Some(match self.dht.withdraw(name, port).await {
            // It was held back, and is forgotten.
            Withdrawn::Elsewhere(_) | Withdrawn::Nowhere if was_known => Withdrawn::Here(0),
            withdrawn => withdrawn,
        }))
    }

    /// Takes back all that was announced here, and holds back what is announced from now on.
    /// Waits for the other nodes for at most `deadlines`.
    pub(crate) async fn drain(&self, within: Duration) -> Withdrawal {
        // As many as are about to be withdrawn: nothing runs in between.
        let withdrawn = self.dht.stats().announced;
        {
            let mut state = self.lock();
            state.register.drain();
            state.withdrawals[Reason::Drained.index()] +=
                u64::try_from(withdrawn).unwrap_or(u64::MAX);
        }
        let complete = timeout(within, self.dht.withdraw_all()).await.is_ok();
        Withdrawal { withdrawn, complete }
    }

    /// The services that are not announced, or no longer: at most [`MAX_LISTED`].
    pub(crate) fn held_back(&self) -> Vec<HeldBack> {
        let state = self.lock();
        let held_back = state.register.held_back(clock::now()).take(MAX_LISTED);
        let held = |((name, port), reason): (&Service, Reason)| HeldBack {
            name: String::from_utf8_lossy(name).into_owned(),
            port: *port,
            reason: self.why(reason, *port, &state),
        };
        held_back.map(held).collect()
    }

    /// Those that have been held back for 30 s without being asked to be, with shortened texts: 8
    /// at most.
    pub(crate) fn overdue(&self) -> Vec<HeldBack> {
        let state = self.lock();
        let overdue = state.overdue.list(clock::now()).into_iter().take(MAX_OVERDUE);
        let held = |((name, port), reason): (&Service, Reason)| HeldBack {
            name: shown(&String::from_utf8_lossy(name)),
            port: *port,
            reason: shown_whole(&self.why(reason, *port, &state)),
        };
        overdue.map(held).collect()
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
    pub(crate) async fn follow_families(&self) {
        self.families.follow().await;
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
