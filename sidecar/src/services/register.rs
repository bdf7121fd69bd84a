//! What is known of the services here: which are announced, for how long, which are held back, and
//! why. Tries and time come in, changes go out; no I/O.

use std::collections::{BTreeMap, HashSet};
use std::mem::replace;
use std::net::IpAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use ahash::RandomState;
use grape_engine::Name;
use lru::LruCache;

use super::announcers::{Announcers, Claim};
use super::facts::{ByFlag, Facts, Port, Reason};
use super::health::{Health, ProbeOutcome};

/// A service: its name and its port.
pub(super) type Service = (Name, u16);

/// Most ports that are tried at a time. Of more, each has its turn.
pub(super) const MAX_PORTS: usize = 256;

/// What the register is made with.
#[derive(Debug, Clone, Default)]
pub(super) struct RegisterConfig {
    /// Services that the Grape announces by itself.
    pub(super) declared: Vec<Service>,
    /// How many conditions these wait for, beside their ports.
    pub(super) conditions: usize,
    /// Whether the ports of services that announce themselves are tried.
    pub(super) check_announced: bool,
    /// Most services that announce themselves that are remembered; 1 or more.
    pub(super) max_services: usize,
    /// How long one announce is valid.
    pub(super) max_age: Duration,
}

/// What is to be done for a change.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// To be announced (again).
    pub(super) announce: Vec<Service>,
    /// To be withdrawn, each with its reason.
    pub(super) withdraw: Vec<(Service, Reason)>,
    /// Were kept announced, and have expired.
    pub(super) ended: Vec<Service>,
}

/// An announce to be made again for a service that said nothing lately.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Renewal {
    pub(super) service: Service,
    /// When the renewed announce expires.
    pub(super) until: Instant,
    /// Whether it is the first since the service came.
    pub(super) first: bool,
}

/// A service that announces itself.
#[derive(Debug)]
struct Own {
    /// When it last announced itself.
    announced: Instant,
    /// When its announce expires, unless it is held back.
    until: Instant,
    held: bool,
    /// Whether it announced itself while it was held back.
    asked: bool,
    /// Whether its announce was ever renewed without its doing.
    kept: bool,
    by: Announcers,
}

/// The services here.
#[derive(Debug)]
pub(super) struct Register {
    check_announced: bool,
    max_services: usize,
    facts: Facts,
    declared: BTreeMap<Service, ByFlag>,
    /// In the order in which they were last announced, by themselves or for them: the oldest makes
    /// room first.
    own: LruCache<Service, Own, RandomState>,
}

impl Register {
    pub(super) fn new(settings: RegisterConfig) -> Self {
        let ports = settings.declared.iter().map(|(_, port)| (*port, Port::default()));
        Self {
            check_announced: settings.check_announced,
            max_services: settings.max_services.max(1),
            facts: Facts {
                ports: ports.collect(),
                conditions: vec![Health::Unknown; settings.conditions],
                drained: false,
                max_age: settings.max_age,
            },
            declared: settings.declared.into_iter().map(|s| (s, ByFlag::default())).collect(),
            own: LruCache::unbounded_with_hasher(RandomState::new()),
        }
    }

    /// A service announces itself. Returns whether it is to be announced, not held back.
    pub(super) fn announced(&mut self, service: &Service, now: Instant) -> bool {
        if let Some(declared) = self.declared.get_mut(service) {
            declared.withdrew = None;
            declared.announced = self.facts.reason(service.1, Some(declared), now).is_none();
            return declared.announced;
        }
        let held = self.facts.reason(service.1, None, now).is_some();
        // Between two rounds a client may name any number of ports.
        if self.check_announced && self.facts.ports.len() < self.max_services {
            self.facts.ports.entry(service.1).or_default();
        }
        let until = now + self.facts.max_age;
        if let Some(own) = self.own.get_mut(service) {
            let before = replace(&mut own.announced, now);
            (own.until, own.held, own.asked) = (until, held, held);
            if let Some(port) = self.facts.ports.get_mut(&service.1) {
                port.repeated = port.repeated.max(Some(before));
            }
        } else {
            let by = Announcers::default();
            let own = Own { announced: now, until, held, asked: held, kept: false, by };
            self.own.put(service.clone(), own);
            if self.own.len() > self.max_services {
                self.own.pop_lru();
            }
        }
        !held
    }

    /// An announce of a service, of just now, came from this address.
    pub(super) fn announced_from(&mut self, service: &Service, from: IpAddr, now: Instant) {
        // It was promoted, or came, with the announce.
        if let Some(own) = self.own.peek_mut(service) {
            own.by.add(from, now);
        }
    }

    /// What the withdrawal of a service comes to that is asked for from this address. What a flag declares
    /// is withdrawn from this host alone.
    pub(super) fn claim(&mut self, service: &Service, from: IpAddr, now: Instant) -> Claim {
        if from.is_loopback() {
            return Claim::Last;
        }
        let max_age = self.facts.max_age;
        let own = self.own.peek_mut(service);
        own.map_or(Claim::None, |own| own.by.withdraw(from, max_age, now))
    }

    /// A service withdraws itself. Returns whether it was known here.
    pub(super) fn withdrew(&mut self, service: &Service, now: Instant) -> bool {
        let own = self.own.pop(service).is_some();
        let Some(declared) = self.declared.get_mut(service) else { return own };
        *declared = ByFlag { announced: false, withdrew: Some(now) };
        true
    }

    /// Holds everything back from now on. What was announced is withdrawn elsewhere.
    pub(super) fn drain(&mut self) {
        self.facts.drained = true;
        for declared in self.declared.values_mut() {
            declared.announced = false;
        }
        for (_, own) in self.own.iter_mut() {
            own.held = true;
        }
    }

    /// The ports to try now, each once, at most [`MAX_PORTS`]. Forgets those of no service.
    pub(super) fn ports_due(&mut self, now: Instant) -> Vec<u16> {
        let facts = &self.facts;
        let own = self.own.iter().filter(|_| self.check_announced);
        let own = own.filter(|((_, port), own)| facts.remembered_until(*port, own.announced) > now);
        let used: HashSet<u16, RandomState> =
            self.declared.keys().chain(own.map(|(service, _)| service)).map(|s| s.1).collect();
        let ports = &mut self.facts.ports;
        ports.retain(|port, _| used.contains(port));
        for port in used {
            ports.entry(port).or_default();
        }
        if self.facts.drained {
            return Vec::new();
        }
        let mut due: Vec<u16> = ports.keys().copied().collect();
        if due.len() > MAX_PORTS {
            // One that refused once is tried again before others have their turn: whether it has
            // ended should be known soon.
            due.sort_by_cached_key(|port| {
                let port = ports.get(port);
                let failing = port.is_some_and(|port| port.health == Health::Failing);
                (!failing, port.and_then(|port| port.tried))
            });
            due.truncate(MAX_PORTS);
        }
        due
    }

    /// The places of the conditions to ask now.
    pub(super) fn conditions_due(&self) -> Range<usize> {
        let needless = self.facts.drained || self.declared.is_empty();
        0..if needless { 0 } else { self.facts.conditions.len() }
    }

    /// A port was tried. Returns whether that changed anything.
    pub(super) fn tried(&mut self, port: u16, outcome: ProbeOutcome, now: Instant) -> bool {
        let Some(port) = self.facts.ports.get_mut(&port) else { return false };
        port.tried = Some(now);
        if outcome == ProbeOutcome::Yes {
            port.answered = Some(now);
        }
        let health = port.health.after(outcome);
        replace(&mut port.health, health) != health
    }

    /// The condition at this place was tried. Returns whether that changed anything.
    pub(super) fn asked(&mut self, condition: usize, outcome: ProbeOutcome) -> bool {
        let Some(health) = self.facts.conditions.get_mut(condition) else { return false };
        let after = health.after(outcome);
        replace(health, after) != after
    }

    /// What is to be done for the services to be as they should by now; once done, nothing is.
    pub(super) fn changes(&mut self, now: Instant) -> Changes {
        let mut changes = Changes::default();
        for (service, declared) in &mut self.declared {
            let reason = self.facts.reason(service.1, Some(declared), now);
            let announced = replace(&mut declared.announced, reason.is_none());
            match (announced, reason) {
                (false, None) => changes.announce.push(service.clone()),
                (true, Some(reason)) => changes.withdraw.push((service.clone(), reason)),
                _ => {}
            }
        }
        let mut forgotten = Vec::new();
        for (service, own) in &mut self.own {
            if self.facts.remembered_until(service.1, own.announced) <= now {
                forgotten.push(service.clone());
                if !own.held && own.until > now {
                    changes.withdraw.push((service.clone(), Reason::TakenOver));
                } else if !own.held && own.kept {
                    changes.ended.push(service.clone());
                }
                continue;
            }
            let reason = self.facts.reason(service.1, None, now);
            let held = replace(&mut own.held, reason.is_some());
            match (held, reason) {
                (true, None) if own.asked => {
                    own.until = now + self.facts.max_age;
                    changes.announce.push(service.clone());
                }
                // What answers there now has not said that it is this service.
                (true, None) => forgotten.push(service.clone()),
                (false, Some(reason)) => {
                    own.asked = false;
                    changes.withdraw.push((service.clone(), reason));
                }
                _ => {}
            }
        }
        for service in &forgotten {
            self.own.pop(service);
        }
        changes
    }

    /// The announces to be made again now, so that no service that should be announced is ever not.
    /// To be called once a second. Those that are due at the same time are spread over many calls.
    pub(super) fn renewals(&mut self, now: Instant) -> Vec<Renewal> {
        let max_age = self.facts.max_age;
        // A third of the age after the last announce they may be renewed, after half they must be:
        // in the sixth between, each has its turn.
        let calls = usize::try_from((max_age / 6).as_secs()).unwrap_or(usize::MAX).max(1);
        let mut turns = self.own.len() / calls + 1;
        let mut renewals = Vec::new();
        for (service, own) in self.own.iter_mut().rev() {
            let left = own.until.saturating_duration_since(now);
            if own.held || left > max_age * 2 / 3 {
                continue;
            }
            let remembered_until = self.facts.remembered_until(service.1, own.announced);
            let until = remembered_until.min(now + max_age);
            if until <= own.until || left > max_age / 2 && turns == 0 {
                continue;
            }
            turns = turns.saturating_sub(1);
            own.until = until;
            let first = !replace(&mut own.kept, true);
            renewals.push(Renewal { service: service.clone(), until, first });
        }
        for renewal in &renewals {
            self.own.promote(&renewal.service);
        }
        renewals
    }

    /// The services that a flag declares and that are announced, to be announced again.
    pub(super) fn again(&self) -> Vec<Service> {
        let announced = self.declared.iter().filter(|(_, declared)| declared.announced);
        announced.map(|(service, _)| service.clone()).collect()
    }

    /// Whether a service is to be announced, as far as is known here.
    #[cfg(test)]
    pub(super) fn is_free(&self, service: &Service) -> bool {
        match (self.declared.get(service), self.own.peek(service)) {
            (Some(declared), _) => declared.announced,
            (None, Some(own)) => !own.held,
            (None, None) => false,
        }
    }

    /// The services that are held back, with their reasons.
    pub(super) fn held_back(&self, now: Instant) -> impl Iterator<Item = (&Service, Reason)> {
        let declared = self.declared.iter().map(|(service, declared)| (service, Some(declared)));
        let own = self.own.iter().filter(move |((_, port), own)| {
            self.facts.remembered_until(*port, own.announced) > now
        });
        let all = declared.chain(own.map(|(service, _)| (service, None)));
        all.filter_map(move |(service, declared)| {
            Some((service, self.facts.reason(service.1, declared, now)?))
        })
    }
}
