//! The recent canaries: how many were found, how fast, and whether all were found since an instant.
//! Pure.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::canary::{Probe, ProbeResult};

/// Most probes that are kept, the latest.
pub const MOST: usize = 64;

/// How long a probe is kept: an older failure says little about the present.
pub const MEMORY: Duration = Duration::from_secs(5 * 60);

/// The last [`MOST`] probes, none older than [`MEMORY`].
#[derive(Debug, Clone, Default)]
pub struct Window {
    /// Each with the number of its round, in the order of arrival.
    probes: VecDeque<(u64, Probe)>,
    rounds: u64,
}

impl Window {
    /// Takes the probes of a round that ended at `now`, and forgets those that are too old or too
    /// many. A round without probes only forgets.
    pub fn record(&mut self, probes: Vec<Probe>, now: Instant) {
        self.rounds += 1;
        let round = self.rounds;
        self.probes.extend(probes.into_iter().map(|probe| (round, probe)));
        let excess = self.probes.len().saturating_sub(MOST);
        self.probes.drain(..excess);
        self.probes.retain(|(_, probe)| now.saturating_duration_since(probe.begun) <= MEMORY);
    }

    /// Forgets the probes of Grapes that are not among `wanted`: a Grape that was removed need not
    /// answer.
    pub fn keep(&mut self, wanted: &BTreeSet<String>) {
        let is_wanted =
            |probe: &Probe| [&probe.announcer, &probe.looker].iter().all(|it| wanted.contains(*it));
        self.probes.retain(|(_, probe)| is_wanted(probe));
    }

    /// The Grapes at which canaries were lost: they did not find one, or gave a wrong answer, or
    /// none; in order.
    pub fn lost_at(&self) -> BTreeSet<&str> {
        let probes = self.probes.iter();
        let lost = probes.filter_map(|(_, probe)| match &probe.result {
            ProbeResult::Found(_) => None,
            ProbeResult::NotFound => Some(&*probe.looker),
            ProbeResult::Failed { at, .. } => Some(&**at),
        });
        lost.collect()
    }

    /// The number of kept probes.
    pub fn probes(&self) -> usize {
        self.probes.len()
    }

    /// The share of probes that found their canary, 0 to 1; none without a probe.
    pub fn success_ratio(&self) -> Option<f64> {
        let all = self.probes.len();
        (all > 0).then(|| self.found().len() as f64 / all as f64)
    }

    /// The median duration of the lookups that found their canary; none without any.
    pub fn p50(&self) -> Option<Duration> {
        self.quantile(50)
    }

    /// The duration within which 95 % of the lookups found their canary; none without any.
    pub fn p95(&self) -> Option<Duration> {
        self.quantile(95)
    }

    /// The probes begun at `since` or later that did not find their canary, in order.
    pub fn failures_since(&self, since: Instant) -> impl Iterator<Item = &Probe> {
        let late = self.probes.iter().map(|(_, probe)| probe);
        late.filter(move |probe| probe.begun >= since && !is_found(probe))
    }

    /// The number of rounds whose probes all began at `since` or later.
    pub fn rounds_since(&self, since: Instant) -> usize {
        let rounds = |late: bool| -> BTreeSet<u64> {
            let some = self.probes.iter().filter(|(_, probe)| (probe.begun >= since) == late);
            some.map(|(round, _)| *round).collect()
        };
        rounds(true).difference(&rounds(false)).count()
    }

    /// Whether there was a round since an instant, and each probe begun since then found its
    /// canary: a rolling change waits for this before its next step.
    pub fn is_well_since(&self, since: Instant) -> bool {
        self.rounds_since(since) > 0 && self.failures_since(since).next().is_none()
    }

    /// By the nearest rank: one of the measured durations.
    fn quantile(&self, percent: usize) -> Option<Duration> {
        let mut found = self.found();
        found.sort_unstable();
        let rank = (found.len() * percent).div_ceil(100);
        found.get(rank.checked_sub(1)?).copied()
    }

    fn found(&self) -> Vec<Duration> {
        let found = |(_, probe): &(u64, Probe)| match probe.result {
            ProbeResult::Found(took) => Some(took),
            ProbeResult::NotFound | ProbeResult::Failed { .. } => None,
        };
        self.probes.iter().filter_map(found).collect()
    }
}

fn is_found(probe: &Probe) -> bool {
    matches!(probe.result, ProbeResult::Found(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::call::CallError;

    const SECOND: Duration = Duration::from_secs(1);

    fn found(begun: Instant, ms: u64) -> Probe {
        probe(begun, ProbeResult::Found(Duration::from_millis(ms)))
    }

    fn probe(begun: Instant, result: ProbeResult) -> Probe {
        Probe { announcer: "market-0".to_owned(), looker: "market-1".to_owned(), begun, result }
    }

    fn ms(ms: u64) -> Option<Duration> {
        Some(Duration::from_millis(ms))
    }

    #[test]
    fn an_empty_window_claims_nothing() {
        let now = grape::clock::now();
        let mut window = Window::default();
        window.record(Vec::new(), now);
        assert_eq!((window.success_ratio(), window.p50(), window.p95()), (None, None, None));
        assert!(!window.is_well_since(now - SECOND));
    }

    #[test]
    fn canaries_of_a_grape_that_was_taken_away_are_forgotten() {
        let now = grape::clock::now();
        let wanted = ["market-0", "market-1"].map(str::to_owned).into();
        let mut window = Window::default();
        let why = CallError::Refused;
        let failed = ProbeResult::Failed { at: "market-2".to_owned(), why };
        let away = Probe { looker: "market-2".to_owned(), ..probe(now, failed) };
        window.record(vec![found(now, 1), away], now);
        assert_eq!(window.success_ratio(), Some(0.5));
        assert_eq!(window.lost_at(), BTreeSet::from(["market-2"]));
        window.keep(&wanted);
        assert_eq!((window.success_ratio(), window.lost_at()), (Some(1.0), BTreeSet::new()));
        window.record(vec![probe(now, ProbeResult::NotFound)], now);
        window.keep(&wanted);
        assert_eq!(window.success_ratio(), Some(0.5), "these two are to find each other");
        assert_eq!(window.lost_at(), BTreeSet::from(["market-1"]));
    }

    #[test]
    fn quantiles_are_of_those_that_were_found() {
        let now = grape::clock::now();
        let mut window = Window::default();
        window.record(vec![probe(now, ProbeResult::NotFound)], now);
        assert_eq!((window.success_ratio(), window.p50()), (Some(0.0), None));
        window.record((1..=19).rev().map(|took| found(now, took)).collect(), now);
        assert_eq!(window.success_ratio(), Some(0.95));
        assert_eq!((window.p50(), window.p95()), (ms(10), ms(19)));
        window.record(vec![found(now, 1000)], now);
        assert_eq!((window.p50(), window.p95()), (ms(10), ms(19)), "one of twenty is beyond p95");
        window.record(vec![found(now, 2000)], now);
        assert_eq!(window.p95(), ms(1000));
    }

    #[test]
    fn the_number_of_probes_is_bounded() {
        let now = grape::clock::now();
        let mut window = Window::default();
        window.record(vec![probe(now, ProbeResult::NotFound)], now);
        for _ in 0..8 {
            assert_ne!(window.success_ratio(), Some(1.0));
            window.record(vec![found(now, 1); 8], now);
        }
        assert_eq!(window.success_ratio(), Some(1.0));
        assert_eq!(window.rounds_since(now), 8);
    }

    #[test]
    fn an_old_failure_is_forgotten() {
        let now = grape::clock::now();
        let why = CallError::Refused;
        let mut window = Window::default();
        let failed = ProbeResult::Failed { at: "market-1".to_owned(), why };
        window.record(vec![probe(now, failed)], now);
        window.record(Vec::new(), now + MEMORY);
        assert_eq!(window.success_ratio(), Some(0.0));
        window.record(Vec::new(), now + MEMORY + SECOND);
        assert_eq!(window.success_ratio(), None);
    }

    #[test]
    fn a_change_waits_for_a_whole_round_that_is_well() {
        let before = grape::clock::now();
        let change = before + SECOND;
        let after = change + SECOND;
        let mut window = Window::default();
        window.record(vec![probe(before, ProbeResult::NotFound)], before);
        assert!(!window.is_well_since(change), "there was no round since");
        window.record(vec![found(before, 1), found(after, 1)], after);
        assert!(!window.is_well_since(change), "that round was begun before");
        window.record(vec![found(change, 1), found(after, 1)], after);
        assert!(window.is_well_since(change));
        assert!(!window.is_well_since(before));
        assert_eq!((window.rounds_since(before), window.rounds_since(change)), (3, 1));

        window.record(vec![found(after, 1), probe(after, ProbeResult::NotFound)], after);
        assert!(!window.is_well_since(change));
        assert_eq!(window.failures_since(change).count(), 1);
        assert_eq!(window.failures_since(before).count(), 2);
        assert!(!window.is_well_since(after + SECOND));
    }
}
