//! Work beside reconciliations: probes of Grapes, and introductions of newly started ones.

use std::sync::Arc;
use std::time::Duration;

use grape::clock;
use jiff::{SignedDuration, Timestamp};
use kube::runtime::reflector::ObjectRef;

use super::Reconciler;
use super::observe::Observed;
use super::validate::Subject;
use crate::controller::observations::Due;
use crate::controller::sidecars::member::Member;
use crate::informers::stored::Stored;
use crate::observe::sidecars;

/// How often newly started Grapes are introduced to others, until they are ready …
const INTRODUCE_INTERVAL: Duration = Duration::from_secs(1);
/// … and Grapes that started longer ago than [`YOUNG`].
const LATER_INTERVAL: Duration = Duration::from_secs(15);
const YOUNG: SignedDuration = SignedDuration::from_secs(60);

/// How long a Grape runs without being ready before it is asked for names that do not resolve. In the
/// first seconds of a cluster, the name of its Service may not resolve yet.
const ASKED_AFTER: SignedDuration = SignedDuration::from_secs(25);
/// Most Grapes of a cluster that are asked so.
const MAX_ASKED: usize = 32;

/// How often a cluster without a Grape to probe is reconciled: only time shows that a Grape does
/// not start.
const STARTING_INTERVAL: Duration = Duration::from_secs(30);

impl Reconciler {
    /// Introduces Grapes that run and are not ready to others, so that they need not wait for their
    /// name server's cache. Returns in how long to do so again, while there are any.
    pub(super) fn introduce(
        &self,
        subject: &Subject<'_>,
        observed: &Observed,
        now: Timestamp,
    ) -> Option<Duration> {
        let valid = &subject.valid;
        let newcomers = observed.actual.newcomers(valid, now);
        let unready = newcomers.iter().map(|(target, _)| &*target.name).collect();
        self.states.of(&subject.owner.uid, |state| state.unready.keep(&unready));
        let youngest = newcomers.iter().map(|(_, since)| *since).min()?;
        let pace = if youngest < YOUNG { INTRODUCE_INTERVAL } else { LATER_INTERVAL };
        let at = clock::now();
        let wait = self.states.of(&subject.owner.uid, |state| {
            let last = state.introduced.map(|last| at.saturating_duration_since(last));
            let wait = last.and_then(|ago| pace.checked_sub(ago)).filter(|wait| !wait.is_zero());
            state.introduced = if wait.is_none() { Some(at) } else { state.introduced };
            wait
        });
        if wait.is_some() {
            return wait;
        }
        let lacks_sidecars = |members: &[Member]| {
            members.iter().all(|it| it.is_left_out || it.pod.sidecar().is_none())
        };
        let sole = valid.replicas == 1
            && observed.actual.pods.len() == 1
            && valid.dht.bootstrap.is_empty()
            && observed.members.as_deref().is_some_and(lacks_sidecars);
        let late = newcomers.iter().filter(|(_, since)| *since >= ASKED_AFTER).take(MAX_ASKED);
        let late: Vec<_> = late.map(|(target, _)| target.clone()).collect();
        let newcomers: Vec<_> = newcomers.into_iter().map(|(target, _)| target).collect();
        let (observer, ready, sidecars) =
            (self.observer.clone(), observed.targets.clone(), observed.sidecars.clone());
        let (states, uid) = (self.states.clone(), subject.owner.uid.clone());
        let (changed, cluster) = (self.changed.clone(), reference(subject));
        tokio::spawn(async move {
            observer.welcome(&newcomers, &ready, &sidecars, sole).await;
            if late.is_empty() {
                return;
            }
            let seeds = observer.unresolved_seeds(&late).await;
            if states.known(&uid, |state| state.unready.take(seeds)) == Some(true) {
                // The receiver is gone when the operator ends.
                let _ = changed.send(cluster);
            }
        });
        Some(pace)
    }

    /// Starts a probe of the Grapes if one is due, or returns in how long it will be. None while
    /// one is running: its end starts a reconciliation. `may_glance`: what Grapes say of each other may
    /// spare some of them the question.
    pub(super) fn start_probe(
        &self,
        subject: &Subject<'_>,
        observed: Observed,
        interval: Duration,
        may_glance: bool,
    ) -> Option<Duration> {
        let Observed { targets, sidecars, odd_sidecars, observations, .. } = observed;
        // Shared data would be copied on a change.
        drop(observations);
        if targets.is_empty() {
            return Some(STARTING_INTERVAL);
        }
        let uid = subject.owner.uid.clone();
        let (rounds, known, due) = self.states.of(&uid, |state| {
            let observations = Arc::make_mut(&mut state.observations);
            let known = observations.known_grapes().filter(|_| may_glance);
            // A change waits for a probe of all Grapes.
            let waits = !may_glance && observations.rests_on_hints();
            let interval = if waits { Duration::ZERO } else { interval };
            (observations.rounds(), known, observations.due(interval, clock::now()))
        });
        let round = match due {
            Due::Now(round) => round,
            Due::In(wait) => return Some(wait),
            Due::Probing => return None,
        };
        let sidecars = sidecars::sample(sidecars, &odd_sidecars, rounds);
        let changed = self.changed.clone();
        let observer = self.observer.clone();
        let cluster = reference(subject);
        let states = self.states.clone();
        tokio::spawn(async move {
            let mut observation = match known {
                Some(known) => observer.glance(&targets, &sidecars, round, &known).await,
                None => observer.observe(&targets, &sidecars, round).await,
            };
            states.known(&uid, |state| {
                let now = clock::now();
                let complaints = std::mem::take(&mut observation.complaints);
                state.complaints.note(complaints, now);
                Arc::make_mut(&mut state.observations).take(observation, now);
            });
            // The receiver is gone when the operator ends.
            let _ = changed.send(cluster);
        });
        None
    }
}

fn reference(subject: &Subject<'_>) -> ObjectRef<Stored> {
    ObjectRef::new(&subject.valid.name).within(&subject.namespace)
}
