//! What probes of a cluster's Grapes have shown, and when the next one is due. Pure.

mod sidecars;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::bootstrap::{Bootstrap, DeadEnds};
use super::rollout::Lookups;
use crate::observe::Observation;
use crate::observe::band::P95Band;
use crate::observe::topology::Topology;
use crate::observe::window::Window;

pub use sidecars::Connectivity;
use sidecars::OddSidecars;

/// How many canaries it takes for another band of latencies to be shown: of fewer, 95 of 100 are
/// all.
const ENOUGH_PROBES: usize = 20;

/// How soon a change is looked at.
const SOON: Duration = Duration::from_secs(1);
/// Longer than any look takes. One that has not ended by then never will.
const MAX_PROBE_TIME: Duration = Duration::from_secs(180);

/// When to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Now: the look with this number is begun.
    Now(u64),
    /// In a while.
    In(Duration),
    /// A look goes on, whose end will be told.
    Probing,
}

/// What probes of a cluster's Grapes have shown.
#[derive(Clone, Default)]
pub struct Observations {
    /// How many looks were begun.
    rounds: u64,
    /// When the look was begun that goes on.
    probing: Option<Instant>,
    /// The mark of its pods, and since when it is that.
    mark: Option<(u64, Instant)>,
    /// The last look.
    last: Option<Observation>,
    /// What is shown of who sees whom: an odd look shows after a second one like it.
    shown: Option<Topology>,
    /// Odd looks in a row.
    odd: usize,
    /// The canaries of the last ones.
    pub window: Window,
    /// The Grapes at which canaries were lost.
    lost_at: Vec<String>,
    /// The band of latencies that is shown.
    band: Option<P95Band>,
    /// Grapes of services that were not as they should be when they were last asked.
    sidecars: OddSidecars,
    /// What was told of bootstrap names.
    bootstrap: Bootstrap,
    /// Where Grapes of other networks were heard, in the last look, and in the one before too.
    other_networks: [BTreeSet<SocketAddr>; 2],
}

/// What was seen of a cluster's Grapes.
#[derive(Debug, Clone, Copy, Default)]
pub struct HealthSnapshot<'a> {
    /// Who sees whom; none before the first look.
    pub topology: Option<&'a Topology>,
    /// The share of canaries that were found; none without any.
    pub success: Option<f64>,
    /// The Grapes at which others were lost.
    pub lost_at: &'a [String],
    /// The band that 95 of 100 lookups are in.
    pub band: Option<P95Band>,
    /// Bootstrap names that lead to no Grape; none while that is not known.
    pub dead_ends: Option<&'a DeadEnds>,
    /// Addresses at which Grapes of other networks are heard; none before the first look.
    pub other_networks: Option<&'a BTreeSet<SocketAddr>>,
}

impl Observations {
    /// Takes in a look that has ended.
    ///
    /// A Grape takes another for lost, for a moment, when one datagram was: what is told of the
    /// cluster does not follow that.
    pub fn take(&mut self, observation: Observation, now: Instant) {
        self.probing = None;
        self.odd = if is_odd(&observation.topology) { self.odd + 1 } else { 0 };
        if self.odd != 1 || self.shown.is_none() {
            self.shown = Some(observation.topology.clone());
        }
        self.window.record(observation.probes.clone(), now);
        // Of few, the slowest would tell alone.
        let enough = self.band.is_none() || self.window.probes() >= ENOUGH_PROBES;
        self.band = P95Band::follow(self.band, self.window.p95().filter(|_| enough));
        self.sidecars.take(&observation.sidecars, &observation.unresolved);
        self.bootstrap.take(&observation.outside, now);
        let [last, lasting] = &mut self.other_networks;
        // Whoever has an address that was another's before is asked there for a moment.
        *lasting = last.intersection(&observation.other_networks).copied().collect();
        last.clone_from(&observation.other_networks);
        self.last = Some(observation);
    }

    /// How many looks were begun.
    pub fn rounds(&self) -> u64 {
        self.rounds
    }

    /// Whether no look has ended yet.
    pub fn is_new(&self) -> bool {
        self.last.is_none()
    }

    /// Before the first look, the band that an operator before this one has shown goes on.
    pub fn resume(&mut self, band: Option<P95Band>) {
        if self.is_new() {
            self.band = band;
        }
    }

    /// Takes note of the `mark` of the Grapes that are ready, which changes when they do. Whether
    /// they can spare one of them, after what was seen since then.
    pub fn lookups(&mut self, mark: u64, now: Instant) -> Lookups {
        let since = match self.mark {
            Some((known, since)) if known == mark => since,
            _ => {
                self.mark = Some((mark, now));
                now
            }
        };
        let probed = self.last.as_ref().is_some_and(|last| last.at >= since);
        if probed && self.odd == 0 && self.window.is_well_since(since) {
            Lookups::Healthy
        } else {
            Lookups::NotYet
        }
    }

    /// When to look at Grapes that are looked at every `interval`. A change is looked at soon,
    /// however lately there was a look; and what is odd, again.
    pub fn due(&mut self, interval: Duration, now: Instant) -> Due {
        let ago = |then: Instant| now.saturating_duration_since(then);
        if self.probing.is_some_and(|since| ago(since) < MAX_PROBE_TIME) {
            return Due::Probing;
        }
        if let Some(last) = &self.last {
            let changed = self.mark.is_some_and(|(_, since)| last.at < since);
            let interval = if changed || self.odd == 1 { interval.min(SOON) } else { interval };
            if let Some(wait) = interval.checked_sub(ago(last.at)).filter(|wait| !wait.is_zero()) {
                return Due::In(wait);
            }
        }
        self.probing = Some(now);
        self.rounds += 1;
        Due::Now(self.rounds)
    }

    /// Forgets the canaries of Grapes that are not `wanted` any more.
    pub fn keep(&mut self, wanted: &BTreeSet<String>) {
        self.window.keep(wanted);
        self.lost_at = self.window.lost_at().into_iter().map(str::to_owned).collect();
    }

    /// What a status tells of it.
    pub fn snapshot(&self) -> HealthSnapshot<'_> {
        HealthSnapshot {
            success: self.window.success_ratio(),
            lost_at: &self.lost_at,
            topology: self.shown.as_ref(),
            band: self.band,
            dead_ends: self.bootstrap.dead_ends(),
            other_networks: Some(&self.other_networks[1]),
        }
    }

    /// Forgets the Grapes of services that are not among `present` any more; those of the others that
    /// are to be asked again.
    pub fn odd_sidecars(&mut self, present: &BTreeSet<&str>) -> BTreeSet<String> {
        self.sidecars.keep(present)
    }

    /// Grapes of services that are not where they should be.
    pub fn connectivity(&self) -> Connectivity {
        self.sidecars.connectivity()
    }

    /// Forgets what was seen: it was of Grapes that are no more.
    pub fn forget(&mut self) {
        let Self { rounds, probing, mark, .. } = *self;
        *self = Self { rounds, probing, mark, ..Self::default() };
    }
}

fn is_odd(topology: &Topology) -> bool {
    topology.is_partitioned()
        || !topology.unreachable.is_empty()
        || !topology.sees_too_few.is_empty()
}

#[cfg(test)]
mod tests;
