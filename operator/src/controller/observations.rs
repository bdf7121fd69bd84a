//! What probes of a cluster's Grapes have shown, and when the next one is due. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::bootstrap::{Bootstrap, DeadEnds};
use super::rollout::Lookups;
use crate::observe::Observation;
use crate::observe::band::P95Band;
use crate::observe::sidecars::SidecarConnection;
use crate::observe::topology::Topology;
use crate::observe::window::Window;

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
    /// Grapes of services that were not as they should be when they were last asked, by their pods'
    /// names.
    sidecars: BTreeMap<String, OddSidecar>,
    /// What was told of bootstrap names.
    bootstrap: Bootstrap,
    /// Where Grapes of other networks were heard, in the last look, and in the one before too.
    other_networks: [BTreeSet<SocketAddr>; 2],
}

/// A Grape of a service that was not as it should be.
#[derive(Clone)]
struct OddSidecar {
    connection: SidecarConnection,
    /// Whether the name by which it joins does not resolve.
    unresolved: bool,
    /// How many times in a row it was odd.
    times: usize,
}

/// Grapes of services that are not where they should be: it shows after a second look that is so, as
/// that of a cluster's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connectivity {
    /// Pods whose Grapes are not connected with the cluster's own.
    pub disconnected: Vec<String>,
    /// Pods whose Grapes nobody sees.
    pub silent: Vec<String>,
    /// Pods in which the name does not resolve by which their Grapes join, whether these are
    /// connected, by another way, or not.
    pub unresolved: Vec<String>,
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
        for (name, connection) in &observation.sidecars {
            let times = self.sidecars.remove(name).map_or(0, |before| before.times) + 1;
            let unresolved = observation.unresolved.contains(name);
            if *connection != SidecarConnection::Joined || unresolved {
                let odd = OddSidecar { connection: connection.clone(), unresolved, times };
                self.sidecars.insert(name.clone(), odd);
            }
        }
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
        self.sidecars.retain(|name, _| present.contains(&**name));
        self.sidecars.keys().cloned().collect()
    }

    /// Grapes of services that are not where they should be.
    pub fn connectivity(&self) -> Connectivity {
        let mut connectivity = Connectivity::default();
        for (name, OddSidecar { connection, unresolved, .. }) in
            self.sidecars.iter().filter(|(_, odd)| odd.times > 1)
        {
            match connection {
                SidecarConnection::Disconnected => connectivity.disconnected.push(name.clone()),
                SidecarConnection::Silent(_) => connectivity.silent.push(name.clone()),
                SidecarConnection::Joined => {}
            }
            if *unresolved {
                connectivity.unresolved.push(name.clone());
            }
        }
        connectivity
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
mod tests {
    use super::*;
    use crate::observe::canary::{Probe, ProbeResult};
    use crate::observe::topology::View;

    /// A look at two Grapes that see each other, or not.
    fn observation(together: bool) -> Observation {
        let addresses = ["10.0.0.1:1", "10.0.0.2:1"].map(|address| address.parse().unwrap());
        let view = |own: usize| View {
            name: format!("market-default-{own}"),
            address: addresses[own],
            live: Ok(if together { vec![addresses[1 - own]] } else { Vec::new() }),
        };
        Observation {
            complaints: BTreeMap::new(),
            at: grape::clock::now(),
            topology: Topology::of(&[view(0), view(1)]),
            answers: BTreeMap::new(),
            probes: Vec::new(),
            sidecars: BTreeMap::new(),
            unresolved: BTreeSet::new(),
            outside: BTreeMap::new(),
            other_networks: BTreeSet::new(),
        }
    }

    #[test]
    fn a_grape_of_a_service_is_told_of_when_it_is_odd_twice_in_a_row() {
        let now = grape::clock::now();
        let mut observations = Observations::default();
        let gone = || SidecarConnection::Silent(crate::observe::call::CallError::Refused);
        let mut reported = |sidecars: [Option<SidecarConnection>; 2]| {
            let named = ["web/a", "web/b"].into_iter().zip(sidecars);
            let sidecars =
                named.filter_map(|(name, connection)| Some((name.to_owned(), connection?)));
            observations
                .take(Observation { sidecars: sidecars.collect(), ..observation(true) }, now);
            let Connectivity { disconnected, silent, .. } = observations.connectivity();
            (disconnected.join(" "), silent.join(" "))
        };
        let is = |disconnected: &str, silent: &str| (disconnected.to_owned(), silent.to_owned());
        assert_eq!(reported([Some(SidecarConnection::Disconnected), Some(gone())]), is("", ""));
        assert_eq!(reported([None, Some(gone())]), is("", "web/b"), "the other was not asked");
        assert_eq!(reported([Some(SidecarConnection::Disconnected), None]), is("web/a", "web/b"));
        assert_eq!(reported([None, Some(SidecarConnection::Disconnected)]), is("web/a web/b", ""));
        assert_eq!(reported([Some(SidecarConnection::Joined), None]), is("web/b", ""));
        assert_eq!(reported([Some(SidecarConnection::Disconnected), None]), is("web/b", ""));

        let present = BTreeSet::from(["web/a", "web/c"]);
        assert_eq!(observations.odd_sidecars(&present), BTreeSet::from(["web/a".to_owned()]));
        assert_eq!(observations.connectivity(), Connectivity::default());
    }

    #[test]
    fn a_seed_that_does_not_resolve_is_told_of_while_it_does_not() {
        let now = grape::clock::now();
        let mut observations = Observations::default();
        let mut reported = |connection: SidecarConnection, unresolved: bool| {
            let sidecars = BTreeMap::from([("web/a".to_owned(), connection)]);
            let unresolved = unresolved.then(|| "web/a".to_owned()).into_iter().collect();
            observations.take(Observation { sidecars, unresolved, ..observation(true) }, now);
            let Connectivity { disconnected, unresolved, .. } = observations.connectivity();
            (disconnected.len(), unresolved.len())
        };
        assert_eq!(
            reported(SidecarConnection::Disconnected, true),
            (0, 0),
            "it may only have started"
        );
        assert_eq!(reported(SidecarConnection::Disconnected, true), (1, 1));
        assert_eq!(reported(SidecarConnection::Joined, true), (0, 1), "somebody else led it there");
        assert_eq!(reported(SidecarConnection::Joined, false), (0, 0));
    }

    #[test]
    fn another_network_is_told_of_when_it_is_heard_twice_in_a_row() {
        let now = grape::clock::now();
        let mut observations = Observations::default();
        let mut reported = |heard: &[&str]| {
            let other_networks = heard.iter().map(|at| at.parse().unwrap()).collect();
            observations.take(Observation { other_networks, ..observation(true) }, now);
            let reported =
                observations.snapshot().other_networks.unwrap().iter().map(ToString::to_string);
            reported.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(reported(&["10.0.0.1:1", "10.0.0.2:1"]), "");
        assert_eq!(reported(&["10.0.0.2:1", "10.0.0.3:1"]), "10.0.0.2:1");
        assert_eq!(reported(&[]), "");
    }

    #[test]
    fn one_odd_look_is_not_shown() {
        let mut observations = Observations::default();
        let partitions =
            |observations: &Observations| observations.shown.as_ref().map(|it| it.partitions.len());
        let now = grape::clock::now();
        for (together, shown) in
            [(true, 1), (false, 1), (true, 1), (false, 1), (false, 2), (true, 1)]
        {
            observations.take(observation(together), now);
            assert_eq!(partitions(&observations), Some(shown));
        }
    }

    #[test]
    fn one_slow_canary_of_few_shows_no_other_band() {
        let now = grape::clock::now();
        let probe = |ms| Probe {
            announcer: String::new(),
            looker: String::new(),
            begun: now,
            result: ProbeResult::Found(Duration::from_millis(ms)),
        };
        let mut observations = Observations {
            band: Some(P95Band::of(Duration::from_millis(10))),
            ..Observations::default()
        };
        let limits = (0..20).map(|_| {
            observations.take(Observation { probes: vec![probe(40)], ..observation(true) }, now);
            observations.band.map(|band| band.limit().as_millis())
        });
        let limits: Vec<_> = limits.collect();
        assert_eq!(limits[..19], [Some(10); 19]);
        assert_eq!(limits[19], Some(50));
    }

    #[test]
    fn a_look_is_due_by_the_interval_and_soon_after_a_change() {
        let start = grape::clock::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let interval = Duration::from_secs(15);
        let mut observations = Observations::default();
        observations.lookups(1, start);
        assert_eq!(observations.due(interval, start), Due::Now(1));
        assert_eq!(observations.due(interval, at(1)), Due::Probing);
        assert_eq!(observations.due(interval, at(180)), Due::Now(2), "that one never ended");
        observations.take(Observation { at: at(200), ..observation(true) }, at(200));
        assert_eq!(observations.due(interval, at(201)), Due::In(Duration::from_secs(14)));
        assert_eq!(observations.lookups(2, at(202)), Lookups::NotYet);
        assert_eq!(observations.due(interval, at(203)), Due::Now(3), "other Grapes are ready");
    }

    #[test]
    fn the_grapes_can_spare_one_when_all_was_well_since_they_changed() {
        let start = grape::clock::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let probe = |begun| Probe {
            announcer: String::new(),
            looker: String::new(),
            begun,
            result: ProbeResult::Found(Duration::from_millis(1)),
        };
        let well =
            |begun| Observation { at: begun, probes: vec![probe(begun)], ..observation(true) };
        let mut observations = Observations::default();
        assert_eq!(observations.lookups(1, at(1)), Lookups::NotYet, "nothing was seen");
        observations.take(well(at(2)), at(2));
        assert_eq!(observations.lookups(1, at(3)), Lookups::Healthy);
        assert_eq!(observations.lookups(2, at(4)), Lookups::NotYet, "it was before the change");
        observations.take(
            Observation { at: at(5), probes: vec![probe(at(5))], ..observation(false) },
            at(5),
        );
        assert_eq!(observations.lookups(2, at(6)), Lookups::NotYet, "they do not see each other");
        observations.take(well(at(7)), at(7));
        assert_eq!(observations.lookups(2, at(8)), Lookups::Healthy);
    }

    #[test]
    fn the_first_look_is_shown_whatever_it_is() {
        let mut observations = Observations::default();
        observations.take(observation(false), grape::clock::now());
        assert_eq!(observations.shown.unwrap().partitions.len(), 2);
    }
}
