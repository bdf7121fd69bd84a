//! What is known of ports and conditions, and what that means for a service: whether it is held
//! back, and how long it is remembered; no I/O.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ahash::RandomState;

use super::health::Health;

/// How long a service stays announced after it last announced itself, or its port last answered.
/// Grenache's clients announce every 60 to 180 s, at random, by default.
pub(super) const GRACE: Duration = Duration::from_secs(240);

/// A configured age below this holds exactly: nothing is announced for longer.
const RENEWED_FROM: Duration = Duration::from_secs(10);

/// A service that a flag declares and that withdraws itself has this long to close its port;
/// if it still answers then, the flag holds again.
const LEAVE: Duration = Duration::from_secs(30);

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
    /// All that is announced here was withdrawn, until the Grape restarts.
    Drained,
    /// Another service announced itself at its port since, more than once.
    TakenOver,
}

impl Reason {
    /// The reasons in metrics, by [`Reason::index`].
    pub(crate) const LABELS: [&'static str; 6] =
        ["port_refuses", "port_silent", "not_ready", "withdrew", "drained", "taken_over"];

    /// The place among [`Reason::LABELS`].
    pub(crate) fn index(self) -> usize {
        match self {
            Self::PortRefuses => 0,
            Self::PortSilent => 1,
            Self::NotReady(_) => 2,
            Self::Withdrew => 3,
            Self::Drained => 4,
            Self::TakenOver => 5,
        }
    }
}

/// A service that a flag declares.
#[derive(Debug, Default)]
pub(super) struct ByFlag {
    pub(super) announced: bool,
    pub(super) withdrew: Option<Instant>,
}

/// What is known of a port.
#[derive(Debug, Default)]
pub(super) struct Port {
    pub(super) health: Health,
    /// When it was last tried.
    pub(super) tried: Option<Instant>,
    /// When it last answered.
    pub(super) answered: Option<Instant>,
    /// The latest announce at this port that was followed by another of the same service.
    pub(super) repeated: Option<Instant>,
}

/// What holds for all services at a port.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) ports: HashMap<u16, Port, RandomState>,
    pub(super) conditions: Vec<Health>,
    pub(super) drained: bool,
    pub(super) max_age: Duration,
}

impl Facts {
    /// Why a service at `port` is held back, if it is.
    pub(super) fn reason(
        &self,
        port: u16,
        declared: Option<&ByFlag>,
        now: Instant,
    ) -> Option<Reason> {
        if self.drained {
            return Some(Reason::Drained);
        }
        let health = self.ports.get(&port).map_or(Health::Unknown, |port| port.health);
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

    /// Until when a service that last announced itself then is remembered, as far as is known now.
    pub(super) fn remembered_until(&self, port: u16, announced: Instant) -> Instant {
        if self.max_age < RENEWED_FROM {
            return announced + self.max_age;
        }
        let port = self.ports.get(&port);
        // It was another service: what came before `repeated` did not announce itself since.
        if port.and_then(|port| port.repeated).is_some_and(|repeated| repeated > announced) {
            return announced + GRACE;
        }
        let seen = port.and_then(|port| port.answered).map_or(announced, |at| at.max(announced));
        seen + GRACE.max(self.max_age)
    }
}
