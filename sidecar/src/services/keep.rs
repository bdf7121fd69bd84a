//! Keeps announces up to date: tries ports and conditions, and announces or withdraws in the DHT.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use futures_util::{StreamExt, stream};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::{info, warn};

use super::facts::GRACE;
use super::health::ProbeOutcome;
use super::register::{Changes, Renewal, Service};
use super::{CONCURRENCY, EACH, Reason, Services, State, probe};
use crate::clock;

/// Most services that one line of the log names.
const NAMED: usize = 5;

/// What is tried, and how that ended.
enum Tried {
    Port(u16, ProbeOutcome),
    Condition(usize, Result<(), String>),
}

fn port_answers(services: usize) -> &'static str {
    if services == 1 { "its port answers" } else { "their ports answer" }
}

impl Services {
    /// Tries ports and conditions, announces what a flag declares and what is still there, and
    /// withdraws what has gone. Never ends.
    pub(crate) async fn keep(&self) {
        if !self.declared.is_empty() {
            let services = listed(self.declared.iter());
            info!("will announce {services} as soon as {}", port_answers(self.declared.len()));
        }
        // A round of tries may take seconds where ports are slow: no announce may lapse meanwhile.
        tokio::join!(self.keep_trying(), self.keep_announced());
    }

    async fn keep_trying(&self) {
        let mut second = each_second();
        loop {
            second.tick().await;
            let (ports, conditions) = {
                let register = &mut self.lock().register;
                (register.ports_due(clock::now()), register.conditions_due())
            };
            let addresses = if ports.is_empty() { Vec::new() } else { self.addresses() };
            let ports = ports.into_iter().map(Ok);
            let mut tries = stream::iter(conditions.map(Err).chain(ports))
                .map(|what| self.attempt(what, &addresses))
                .buffer_unordered(CONCURRENCY);
            // A slow try does not delay the results of others.
            while let Some(tried) = tries.next().await {
                if self.note(tried) {
                    self.settle();
                }
            }
        }
    }

    async fn keep_announced(&self) {
        let mut second = each_second();
        loop {
            second.tick().await;
            self.settle();
            let mut state = self.lock();
            let now = clock::now();
            for (name, port) in state.register.again() {
                self.dht.renew(&name, port, now + self.max_age);
            }
            let renewals = state.register.renewals(now);
            for Renewal { service: (name, port), until, .. } in &renewals {
                self.dht.renew(name, *port, *until);
            }
            let State { register, overdue, .. } = &mut *state;
            for ((name, port), reason) in overdue.look(register.held_back(now), now) {
                let (name, why) = (String::from_utf8_lossy(&name), self.why(reason, port, &state));
                warn!(%name, port, %why, "not announced for 30 s, so lookups do not find it");
            }
            let first = renewals.iter().filter(|renewal| renewal.first);
            let first: Vec<&Service> = first.map(|renewal| &renewal.service).collect();
            if !first.is_empty() {
                info!(services = %listed(first.into_iter()), "keeps these services announced while their ports answer");
            }
        }
    }

    /// The addresses of this host at which services are tried: loopback, and the advertised
    /// address, if it is of this host. IPv4 comes first.
    fn addresses(&self) -> Vec<IpAddr> {
        let mut addresses = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        addresses.extend(self.dht.own_advertised());
        addresses.sort_by_key(IpAddr::is_ipv6);
        addresses.dedup();
        let advertised = self.advertise_ip.filter(|ip| addresses.contains(ip));
        self.lock().address = advertised.unwrap_or(Ipv4Addr::LOCALHOST.into());
        addresses
    }

    async fn attempt(&self, what: Result<u16, usize>, addresses: &[IpAddr]) -> Tried {
        match what {
            Ok(port) => Tried::Port(port, probe::port(addresses, port).await),
            Err(place) => Tried::Condition(place, probe::url(&self.conditions[place]).await),
        }
    }

    /// Notes how a try ended. Returns whether it changed anything.
    fn note(&self, tried: Tried) -> bool {
        let mut state = self.lock();
        match tried {
            Tried::Port(port, outcome) => state.register.tried(port, outcome, clock::now()),
            Tried::Condition(place, said) => {
                let outcome = if said.is_ok() { ProbeOutcome::Yes } else { ProbeOutcome::No };
                state.said[place] = said.err();
                state.register.asked(place, outcome)
            }
        }
    }

    /// Does what the register wants done by now.
    fn settle(&self) {
        let mut state = self.lock();
        let now = clock::now();
        let changes = state.register.changes(now);
        for (_, reason) in &changes.withdraw {
            state.withdrawals[reason.index()] += 1;
        }
        self.log(&changes, &state);
        for (name, port) in changes.announce {
            self.dht.renew(&name, port, now + self.max_age);
        }
        for ((name, port), _) in changes.withdraw {
            self.dht.retract(&name, port);
        }
    }

    fn log(&self, changes: &Changes, state: &State) {
        if !changes.announce.is_empty() {
            let services = listed(changes.announce.iter());
            info!(%services, "announced");
        }
        if !changes.ended.is_empty() {
            let services = listed(changes.ended.iter());
            let silent = GRACE.as_secs();
            info!(%services, "withdrawn: no announce for {silent} s, and the port never answered");
        }
        let mut by_cause: BTreeMap<String, Vec<&Service>> = BTreeMap::new();
        for (service, reason) in &changes.withdraw {
            by_cause.entry(self.why(*reason, service.1, state)).or_default().push(service);
        }
        for (why, services) in by_cause {
            warn!(services = %listed(services.into_iter()), %why, "withdrawn");
        }
    }

    /// Why a service at this port is held back or withdrawn, for people.
    pub(super) fn why(&self, reason: Reason, port: u16, state: &State) -> String {
        let address = SocketAddr::new(state.address, port);
        match reason {
            Reason::PortRefuses => format!("{address} refuses connections"),
            Reason::PortSilent => format!("{address} has not answered yet"),
            Reason::NotReady(place) => {
                state.said.get(place).cloned().flatten().unwrap_or_else(|| {
                    let asked = self.conditions.get(place).map(ToString::to_string);
                    format!("{} has not said yes yet", asked.unwrap_or_default())
                })
            }
            Reason::Withdrew => "it withdrew itself".to_owned(),
            Reason::Drained => "this Grape was drained; restart it to announce".to_owned(),
            Reason::TakenOver => format!("another service announces itself at port {port} instead"),
        }
    }
}

fn each_second() -> Interval {
    let mut second = interval(EACH);
    second.set_missed_tick_behavior(MissedTickBehavior::Skip);
    second
}

/// The first few of some services, for a line of the log.
fn listed<'a>(services: impl ExactSizeIterator<Item = &'a Service>) -> String {
    let more = services.len().saturating_sub(NAMED);
    let first = services.take(NAMED);
    let first = first.map(|(name, port)| format!("{}:{port}", String::from_utf8_lossy(name)));
    let first = first.collect::<Vec<_>>().join(", ");
    if more == 0 { first } else { format!("{first} and {more} more") }
}
