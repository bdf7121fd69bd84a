//! What probes of a cluster's Grapes have shown, and when the next one is due. Pure.

mod sidecars;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bootstrap::{Bootstrap, DeadEnds};
use super::rollout::Lookups;
use crate::observe::Observation;
use crate::observe::band::P95Band;
use crate::observe::hint::KnownGrapes;
use crate::observe::topology::Topology;
use crate::observe::window::Window;

pub use sidecars::Connectivity;
use sidecars::OddSidecars;

/// How many canaries it takes for another band of latencies to be shown: of fewer than 20, the 95th
/// percentile is the slowest.
const ENOUGH_PROBES: usize = 20;

/// How soon the Grapes are probed after a change.
const SOON: Duration = Duration::from_secs(1);
/// Longer than any probe takes. One that has not ended by then never will.
const MAX_PROBE_TIME: Duration = Duration::from_secs(180);

/// When to probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Now: the probe with this number begins.
    Now(u64),
    /// In a while.
    In(Duration),
    /// A probe is under way, and its end will be reported.
    Probing,
}

/// What probes of a cluster's Grapes have shown.
#[derive(Clone, Default)]
pub struct Observations {
    /// How many probes were begun.
    rounds: u64,
    /// When the probe that is under way was begun.
    probing: Option<Instant>,
    /// The mark of the pods, and since when it has this value.
    mark: Option<(u64, Instant)>,
    /// The last probe's result.
    last: Option<Observation>,
    /// The topology that is shown: an odd one is shown only after a second odd one.
    shown: Option<Topology>,
    /// How many odd probes came in a row.
    odd: usize,
    /// The canaries of the last probes.
    pub window: Window,
    /// The Grapes at which canaries were lost.
    lost_at: Vec<String>,
    /// The band of latencies that is shown.
    band: Option<P95Band>,
    /// Grapes of services that were not as they should be when they were last asked.
    sidecars: OddSidecars,
    /// What Grapes reported of bootstrap names.
    bootstrap: Bootstrap,
    /// Addresses of Grapes of other networks: those of the last probe, and those that the one
    /// before had too.
    other_networks: [BTreeSet<SocketAddr>; 2],
}

/// What was seen of a cluster's Grapes.
#[derive(Debug, Clone, Copy, Default)]
pub struct HealthSnapshot<'a> {
    /// Which Grapes know each other; `None` before the first probe.
    pub topology: Option<&'a Topology>,
    /// The share of canaries that were found; `None` without any.
    pub success: Option<f64>,
    /// The Grapes at which others were lost.
    pub lost_at: &'a [String],
    /// The band that 95 of 100 lookups are in.
    pub band: Option<P95Band>,
    /// Bootstrap names that lead to no Grape; `None` while that is not known.
    pub dead_ends: Option<&'a DeadEnds>,
    /// Addresses of Grapes of other networks; `None` before the first probe.
    pub other_networks: Option<&'a BTreeSet<SocketAddr>>,
}

impl Observations {
    /// Takes in a probe that has ended.
    ///
    /// A single lost datagram makes a Grape miss another for a moment. The cluster's status does
    /// not follow that.
    pub fn take(&mut self, observation: Observation, now: Instant) {
        self.probing = None;
        self.odd = if observation.topology.is_odd() { self.odd + 1 } else { 0 };
        if self.odd != 1 || self.shown.is_none() {
            self.shown = Some(observation.topology.clone());
        }
        self.window.record(observation.probes.clone(), now);
        // Of few canaries, the slowest alone would decide.
        let enough = self.band.is_none() || self.window.probes() >= ENOUGH_PROBES;
        self.band = P95Band::follow(self.band, self.window.p95().filter(|_| enough));
        self.sidecars.take(&observation.sidecars, &observation.unresolved);
        self.bootstrap.take(&observation.outside, now);
        let [last, lasting] = &mut self.other_networks;
        // For a moment, nodes still ask at the former address of a Grape, where a Grape of another
        // network may be now.
        *lasting = last.intersection(&observation.other_networks).copied().collect();
        last.clone_from(&observation.other_networks);
        self.last = Some(observation);
    }

    /// How many probes were begun.
    pub fn rounds(&self) -> u64 {
        self.rounds
    }

    /// Whether no probe has ended yet.
    pub fn is_new(&self) -> bool {
        self.last.is_none()
    }

    /// Until the first probe, the band stays that an operator before this one has shown.
    pub fn resume(&mut self, band: Option<P95Band>) {
        if self.is_new() {
            self.band = band;
        }
    }

    /// Takes note of the `mark` of the Grapes that are ready, which changes when they do. Returns
    /// whether lookups have been healthy since then, so that one Grape can be replaced.
    pub fn lookups(&mut self, mark: u64, now: Instant) -> Lookups {
        let since = match self.mark {
            Some((known, since)) if known == mark => since,
            _ => {
                self.mark = Some((mark, now));
                now
            }
        };
        let probed = self.last.as_ref().is_some_and(|last| last.at >= since && last.is_whole);
        if probed && self.odd == 0 && self.window.is_well_since(since) {
            Lookups::Healthy
        } else {
            Lookups::NotYet
        }
    }

    /// Whether the last probe did not ask every Grape itself, because of what others said of some.
    pub fn rests_on_hints(&self) -> bool {
        self.last.as_ref().is_some_and(|last| !last.is_whole)
    }

    /// The last reports of Grapes, by which fewer of them need be asked; none if all are to be asked,
    /// because of the last probe or of a change since.
    pub fn known_grapes(&self) -> Option<Arc<KnownGrapes>> {
        let last = self.last.as_ref().filter(|_| self.odd == 0)?;
        let changed = self.mark.is_some_and(|(_, since)| last.at < since);
        (!changed && last.known.are_enough()).then(|| Arc::clone(&last.known))
    }

    /// When to probe Grapes that are probed every `interval`. After a change they are probed soon,
    /// and after an odd probe again.
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

    /// What a status shows of it.
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

    /// Forgets what was observed, because those Grapes are gone.
    pub fn forget(&mut self) {
        let Self { rounds, probing, mark, .. } = *self;
        *self = Self { rounds, probing, mark, ..Self::default() };
    }
}

#[cfg(test)]
mod tests;
