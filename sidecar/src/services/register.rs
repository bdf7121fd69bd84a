//! What is known of the services here: which are announced, which are held back, and why. Tries
//! and time come in, changes go out; no I/O.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::time::{Duration, Instant};

use lru::LruCache;

use super::health::{Health, Outcome};
use crate::engine::Name;

/// A service: its name and its port.
pub(super) type Service = (Name, u16);

/// Most ports of services that announce themselves that are tried. Those beyond are left alone.
pub(super) const MAX_PORTS: usize = 256;

/// A service that a flag declares and that withdraws itself has this long to close its port;
/// if it still answers then, the flag holds again.
const LEAVE: Duration = Duration::from_secs(30);

/// What the register is made with.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    /// Services that the Grape announces by itself.
    pub(super) declared: Vec<Service>,
    /// How many conditions these wait for, beside their ports.
    pub(super) conditions: usize,
    /// Whether the ports of services that announce themselves are tried.
    pub(super) check_announced: bool,
    /// Most services that announce themselves that are remembered; 1 or more.
    pub(super) max_services: usize,
    /// How long an announce is believed.
    pub(super) max_age: Duration,
}

/// Why a service is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    /// Its port answered once, and refuses connections now.
    PortRefuses,
    /// A flag declares it, and its port has not answered yet.
    PortSilent,
    /// A flag declares it, and this condition, by its place, does not hold.
    NotReady(usize),
    /// A flag declares it, and it withdrew itself a moment ago.
    Withdrew,
    /// All that is announced here was withdrawn for good.
    Drained,
}

impl Reason {
    /// The reasons in metrics, by [`Reason::index`].
    pub(crate) const LABELS: [&'static str; 5] =
        ["port_refuses", "port_silent", "not_ready", "withdrew", "drained"];

    /// The place among [`Reason::LABELS`].
    pub(crate) fn index(self) -> usize {
        match self {
            Self::PortRefuses => 0,
            Self::PortSilent => 1,
            Self::NotReady(_) => 2,
            Self::Withdrew => 3,
            Self::Drained => 4,
        }
    }
}

/// What is to be done for a change.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// To be announced (again).
    pub(super) announce: Vec<Service>,
    /// To be withdrawn, each with its reason.
    pub(super) withdraw: Vec<(Service, Reason)>,
}

/// A service that a flag declares.
#[derive(Debug, Default)]
struct ByFlag {
    announced: bool,
    withdrew: Option<Instant>,
}

/// A service that announces itself.
#[derive(Debug)]
struct Own {
    expires: Instant,
    held: bool,
    /// Whether it announced itself while it was held back.
    asked: bool,
}

/// What holds for all services at a port.
#[derive(Debug)]
struct Facts {
    ports: HashMap<u16, Health>,
    conditions: Vec<Health>,
    drained: bool,
}

impl Facts {
    /// Why a service at `port` is held back, if it is.
    fn reason(&self, port: u16, declared: Option<&ByFlag>, now: Instant) -> Option<Reason> {
        if self.drained {
            return Some(Reason::Drained);
        }
        let health = self.ports.get(&port).copied().unwrap_or(Health::Unknown);
        if health == Health::Down {
            return Some(Reason::PortRefuses);
        }
        let declared = declared?;
        if health == Health::Unknown {
            return Some(Reason::PortSilent);
        }
        if let Some(condition) = self.conditions.iter().position(|health| !health.is_up()) {
            return Some(Reason::NotReady(condition));
        }
        let leaves = |since| now.saturating_duration_since(since) < LEAVE;
        declared.withdrew.is_some_and(leaves).then_some(Reason::Withdrew)
    }
}

/// The services here.
#[derive(Debug)]
pub(super) struct Register {
    check_announced: bool,
    max_services: usize,
    max_age: Duration,
    facts: Facts,
    declared: BTreeMap<Service, ByFlag>,
    /// In the order in which they were last announced: the oldest makes room first.
    own: LruCache<Service, Own>,
}

impl Register {
    pub(super) fn new(settings: Settings) -> Self {
        let ports = settings.declared.iter().map(|(_, port)| (*port, Health::Unknown));
        Self {
            check_announced: settings.check_announced,
            max_services: settings.max_services.max(1),
            max_age: settings.max_age,
            facts: Facts {
                ports: ports.collect(),
                conditions: vec![Health::Unknown; settings.conditions],
                drained: false,
            },
            declared: settings.declared.into_iter().map(|s| (s, ByFlag::default())).collect(),
            own: LruCache::unbounded(),
        }
    }

    /// A service announces itself. Returns whether it is to be announced, not held back.
    pub(super) fn announced(&mut self, service: &Service, now: Instant) -> bool {
        if let Some(declared) = self.declared.get_mut(service) {
            declared.withdrew = None;
            declared.announced = self.facts.reason(service.1, Some(declared), now).is_none();
            return declared.announced;
        }
        if !self.check_announced && !self.facts.drained {
            return true;
        }
        if self.check_announced && self.facts.ports.len() < MAX_PORTS {
            self.facts.ports.entry(service.1).or_insert(Health::Unknown);
        }
        let held = self.facts.reason(service.1, None, now).is_some();
        let own = Own { expires: now + self.max_age, held, asked: held };
        self.own.put(service.clone(), own);
        if self.own.len() > self.max_services {
            self.own.pop_lru();
        }
        !held
    }

    /// A service withdraws itself.
    pub(super) fn withdrew(&mut self, service: &Service, now: Instant) {
        self.own.pop(service);
        if let Some(declared) = self.declared.get_mut(service) {
            *declared = ByFlag { announced: false, withdrew: Some(now) };
        }
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

    /// The ports to try now, each once. Forgets the services that announced nothing for as long as
    /// they are believed, and the ports of none.
    pub(super) fn ports_due(&mut self, now: Instant) -> Vec<u16> {
        while self.own.peek_lru().is_some_and(|(_, own)| own.expires <= now) {
            self.own.pop_lru();
        }
        let own = self.own.iter().map(|((_, port), _)| *port);
        let used: HashSet<u16> = self.declared.keys().map(|(_, port)| *port).chain(own).collect();
        self.facts.ports.retain(|port, _| used.contains(port));
        if self.facts.drained {
            return Vec::new();
        }
        self.facts.ports.keys().copied().collect()
    }

    /// The places of the conditions to ask now.
    pub(super) fn conditions_due(&self) -> Range<usize> {
        let needless = self.facts.drained || self.declared.is_empty();
        0..if needless { 0 } else { self.facts.conditions.len() }
    }

    /// A port was tried.
    pub(super) fn tried(&mut self, port: u16, outcome: Outcome) {
        if let Some(health) = self.facts.ports.get_mut(&port) {
            *health = health.after(outcome);
        }
    }

    /// The condition at this place was asked.
    pub(super) fn asked(&mut self, condition: usize, outcome: Outcome) {
        if let Some(health) = self.facts.conditions.get_mut(condition) {
            *health = health.after(outcome);
        }
    }

    /// What is to be done for the services to be as they should by now; once done, nothing is.
    pub(super) fn changes(&mut self, now: Instant) -> Changes {
        let mut changes = Changes::default();
        for (service, declared) in &mut self.declared {
            let reason = self.facts.reason(service.1, Some(declared), now);
            let announced = std::mem::replace(&mut declared.announced, reason.is_none());
            match (announced, reason) {
                (false, None) => changes.announce.push(service.clone()),
                (true, Some(reason)) => changes.withdraw.push((service.clone(), reason)),
                _ => {}
            }
        }
        let mut forgotten = Vec::new();
        for (service, own) in &mut self.own {
            let reason = self.facts.reason(service.1, None, now);
            let held = std::mem::replace(&mut own.held, reason.is_some());
            match (held, reason) {
                (true, None) if own.asked => changes.announce.push(service.clone()),
                // Whoever answers there now has not said that it is this service.
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

    /// The services that a flag declares and that are announced, to be announced again.
    pub(super) fn again(&self) -> Vec<Service> {
        let announced = self.declared.iter().filter(|(_, declared)| declared.announced);
        announced.map(|(service, _)| service.clone()).collect()
    }

    /// Whether a service is to be announced, as far as is known here.
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
        let own = self.own.iter().filter(move |(_, own)| own.expires > now);
        let all = declared.chain(own.map(|(service, _)| (service, None)));
        all.filter_map(move |(service, declared)| {
            Some((service, self.facts.reason(service.1, declared, now)?))
        })
    }
}
