//! Whom a reconciliation looks at, and introduces to each other. Both go on beside it. And what it
//! looks up itself: why nodes do not start Grapes.

use std::time::Duration;

use grape::clock;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use super::{Reconciler, Subject};
use crate::cluster::limits;
use crate::controller::actual_state::ActualState;
use crate::controller::grapes;
use crate::controller::observations::Due;
use crate::controller::sidecars::member::Member;
use crate::controller::stuck;
use crate::desired::names;
use crate::observe::Target;
use crate::observe::sidecars::{self, InjectedSidecar};

/// How often Grapes that have started lately are introduced to others, until they are ready …
const WELCOME: Duration = Duration::from_secs(1);
/// … and such as started longer ago than [`YOUNG`].
const WELCOME_AGAIN: Duration = Duration::from_secs(15);
const YOUNG: SignedDuration = SignedDuration::from_secs(60);

/// How often a cluster is reconciled that has no Grape to look at: that one does not start shows by
/// the time that it takes.
const STARTING: Duration = Duration::from_secs(30);

impl Reconciler {
    /// Lets Grapes that their nodes do not start fail for the cause that those tell.
    pub(super) async fn ask_nodes(
        &self,
        subject: &Subject<'_>,
        actual: &mut ActualState,
        now: Timestamp,
    ) {
        let Subject { namespace, owner, .. } = subject;
        let stuck = actual.pods.values().filter(|pod| grapes::is_stuck(pod, now));
        let stuck: Vec<_> = stuck
            .filter_map(|pod| Some((pod.name_any(), pod.uid()?)))
            .take(stuck::MAX_PODS)
            .collect();
        self.states.of(&owner.uid, |state| {
            state.stuck.retain(|uid| stuck.iter().any(|(_, known)| known == uid));
        });
        for (pod, uid) in stuck {
            let at = clock::now();
            let is_due = self.states.of(&owner.uid, |state| state.stuck.is_due(&uid, at));
            if is_due {
                let found = stuck::probe(&self.once, namespace, &uid).await;
                self.states.of(&owner.uid, |state| state.stuck.note(&uid, found, at));
            }
            let failing = self.states.of(&owner.uid, |state| state.stuck.last(&uid));
            let mut pools = actual.pools.iter_mut().chain(&mut actual.leaving);
            let grape = pools.find_map(|pool| pool.grapes.values_mut().find(|it| it.pod == pod));
            if let Some(grape) = grape.filter(|_| failing.is_some()) {
                grape.failing = failing;
            }
        }
    }

    /// Introduces Grapes that run and are not ready to others, so that they need not wait for what
    /// their name server has cached. In how long to do so again, while there are any.
    pub(super) fn welcome(
        &self,
        subject: &Subject<'_>,
        actual: &ActualState,
        (ready, sidecars): (&[Target], &[InjectedSidecar]),
        members: Option<&[Member]>,
        now: Timestamp,
    ) -> Option<Duration> {
        let valid = &subject.valid;
        let newcomers = actual.newcomers(valid, now);
        let youngest = newcomers.iter().map(|(_, since)| *since).min()?;
        let pace = if youngest < YOUNG { WELCOME } else { WELCOME_AGAIN };
        let (uid, at) = (&subject.owner.uid, clock::now());
        let wait = self.states.of(uid, |state| {
            let last = state.welcomed.map(|last| at.saturating_duration_since(last));
            let wait = last.and_then(|ago| pace.checked_sub(ago)).filter(|wait| !wait.is_zero());
            state.welcomed = if wait.is_none() { Some(at) } else { state.welcomed };
            wait
        });
        if wait.is_some() {
            return wait;
        }
        let lacks_sidecars = |members: &[Member]| {
            members.iter().all(|it| it.is_left_out || it.pod.sidecar().is_none())
        };
        let sole = valid.replicas == 1
            && actual.pods.len() == 1
            && valid.dht.bootstrap.is_empty()
            && members.is_some_and(lacks_sidecars);
        let newcomers: Vec<_> = newcomers.into_iter().map(|(target, _)| target).collect();
        let (observer, ready, sidecars) =
            (self.observer.clone(), ready.to_vec(), sidecars.to_vec());
        tokio::spawn(async move { observer.welcome(&newcomers, &ready, &sidecars, sole).await });
        Some(pace)
    }

    /// The Grapes of services to ask in the next look.
    pub(super) fn sidecars(
        &self,
        subject: &Subject<'_>,
        all: Vec<InjectedSidecar>,
    ) -> Vec<InjectedSidecar> {
        let present = all.iter().map(|sidecar| &*sidecar.name).collect();
        let (again, round) = self.states.of(&subject.owner.uid, |state| {
            (state.observations.odd_sidecars(&present), state.observations.rounds())
        });
        sidecars::sample(all, &again, round)
    }

    /// Begins a look at the Grapes when it is time for one; in how long it will be, else. None
    /// while one goes on, whose end is told.
    pub(super) fn start_probe(
        &self,
        subject: &Subject<'_>,
        targets: Vec<Target>,
        sidecars: Vec<InjectedSidecar>,
        interval: Duration,
    ) -> Option<Duration> {
        if targets.is_empty() {
            return Some(STARTING);
        }
        let uid = subject.owner.uid.clone();
        let round =
            match self.states.of(&uid, |state| state.observations.due(interval, clock::now())) {
                Due::Now(round) => round,
                Due::In(wait) => return Some(wait),
                Due::Probing => return None,
            };
        let probed = self.probed.clone();
        let observer = self.observer.clone();
        let cluster = ObjectRef::new(&subject.valid.name).within(&subject.namespace);
        let state = self.states.clone();
        tokio::spawn(async move {
            let mut observation = observer.observe(&targets, &sidecars, round).await;
            state.known(&uid, |state| {
                let now = clock::now();
                let complaints = std::mem::take(&mut observation.complaints);
                state.complaints.note(complaints, now);
                state.observations.take(observation, now);
            });
            // Nobody listens when the operator ends.
            let _ = probed.send(cluster);
        });
        None
    }
}

/// The Grapes of services that run.
pub(super) fn sidecars_of(subject: &Subject<'_>, members: &[Member]) -> Vec<InjectedSidecar> {
    let seed = names::endpoint(&subject.valid.name, &subject.namespace, subject.valid.dht.port);
    let sidecar = |Member { pod, .. }: &Member| {
        let grape = pod.sidecar().filter(|grape| grape.ready)?;
        Some(InjectedSidecar {
            name: pod.title(),
            ip: pod.ip?,
            admin_port: grape.admin_port.unwrap_or(limits::ADMIN_PORT),
            dht_port: grape.dht_port.unwrap_or(subject.valid.dht.port),
            seed: seed.to_string(),
        })
    };
    // Of those that are not let in nobody is to learn.
    members.iter().filter(|member| !member.is_left_out).filter_map(sidecar).collect()
}
