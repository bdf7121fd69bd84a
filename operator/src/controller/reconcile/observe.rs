//! Stage 2: the current state of a cluster. It reads, and changes nothing in Kubernetes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use grape::clock;
use grape_cluster::limits;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use super::Reconciler;
use super::validate::Subject;
use crate::controller::actual_state::ActualState;
use crate::controller::blocked::{self, Blocked};
use crate::controller::cluster_state::ClusterState;
use crate::controller::failing::Failing;
use crate::controller::observations::Observations;
use crate::controller::rollout::{Lookups, Pool};
use crate::controller::sidecars::member::Member;
use crate::controller::sidecars::repair::RepairProgress;
use crate::controller::{grapes, report, stuck};
use crate::desired::names;
use crate::observe::Target;
use crate::observe::seeds::UnresolvedSeeds;
use crate::observe::sidecars::InjectedSidecar;

/// The state of a cluster at one moment.
pub(super) struct Observed {
    /// Its pools and pods.
    pub(super) actual: ActualState,
    /// Pods that StatefulSets cannot create.
    pub(super) blocked: Vec<Blocked>,
    /// The marks that ask StatefulSets to try again, by pool.
    pub(super) retry_marks: BTreeMap<String, String>,
    /// In how long a missing pod will be late.
    pub(super) missing_in: Option<Duration>,
    /// The Grapes that should answer.
    pub(super) targets: Vec<Target>,
    /// The results of probes.
    pub(super) observations: Arc<Observations>,
    /// Names that do not resolve in the pods of Grapes that are not ready.
    pub(super) unresolved: UnresolvedSeeds,
    /// Whether lookups are healthy, so that one Grape can be replaced.
    pub(super) lookups: Lookups,
    /// The pods that should have a sidecar; none before all are known.
    pub(super) members: Option<Vec<Member>>,
    /// The sidecars that run.
    pub(super) sidecars: Vec<InjectedSidecar>,
    /// The sidecars that are asked again.
    pub(super) odd_sidecars: BTreeSet<String>,
    /// The progress of the repair of pods; none if it is not asked for.
    pub(super) repair: Option<RepairProgress>,
}

/// What is looked up at the API server.
struct Questions<'a> {
    /// Pods that their nodes do not start, by name and uid.
    stuck: Vec<(String, String)>,
    /// Pools with late pods, each with the cause found before.
    late: Vec<(&'a Pool, Option<Blocked>)>,
}

/// The results, by the pod's uid and by the StatefulSet's name.
#[derive(Default)]
struct Answers {
    stuck: Vec<(String, Option<Failing>)>,
    blocked: Vec<(String, Option<Blocked>)>,
}

impl Reconciler {
    /// Observes a cluster.
    pub(super) async fn observe(&self, subject: &Subject<'_>, now: Timestamp) -> Observed {
        let Subject { cluster, valid, namespace, owner, desired, .. } = subject;
        let mut actual = ActualState::read(&self.stores, &owner.uid, namespace, desired, now);
        let stuck = &*stuck_pods(&actual, now);
        let was_late = cluster.status.as_ref().is_some_and(report::is_blocked);
        let pools = &mut actual.pools;
        let questions = self.states.of(&owner.uid, move |state| {
            state.missing.note(pools, clock::now(), was_late);
            questions(state, pools, stuck)
        });
        let answers = self.ask(subject, questions).await;

        let targets = actual.targets(valid);
        let made = cluster.creation_timestamp().map(|time| time.0);
        let members = self.sidecars.of(namespace, (valid, made), &self.config.grape_image);
        let sidecars = running_sidecars(subject, members.as_deref().unwrap_or_default());
        let before = cluster.status.as_ref();
        self.states.of(&owner.uid, |state| {
            state.note(&mut actual, stuck, answers);
            let at = clock::now();
            let observations = Arc::make_mut(&mut state.observations);
            observations.resume(before.and_then(report::band));
            observations.keep(&actual.wanted());
            if targets.is_empty() {
                observations.forget();
            }
            let lookups = observations.lookups(actual.mark(), at);
            let present = sidecars.iter().map(|sidecar| &*sidecar.name).collect();
            let odd_sidecars = observations.odd_sidecars(&present);
            let repair = members.as_deref().filter(|_| valid.injection.repair);
            let repair = repair.map(|members| match valid.paused {
                true => RepairProgress::default(),
                false => {
                    state.repair.resume(report::repair_failures(before));
                    state.repair.progress(members)
                }
            });
            let marks = actual.pools.iter().filter(|_| !valid.paused).filter_map(|pool| {
                let mark = state.missing.mark(pool, at, Timestamp::now())?;
                Some((pool.name.clone(), mark))
            });
            Observed {
                blocked: state.blocked.all(),
                retry_marks: marks.collect(),
                missing_in: state.missing.next(at),
                observations: Arc::clone(&state.observations),
                unresolved: state.unready.seeds().clone(),
                lookups,
                odd_sidecars,
                repair,
                actual,
                targets,
                members,
                sidecars,
            }
        })
    }

    /// Asks the API server why pods do not start, or are not created.
    async fn ask(&self, subject: &Subject<'_>, questions: Questions<'_>) -> Answers {
        let mut answers = Answers::default();
        for (_, uid) in questions.stuck {
            let found = stuck::probe(&self.once, &subject.namespace, &uid).await;
            answers.stuck.push((uid, found));
        }
        for (pool, before) in questions.late {
            let Some((set, uid)) = self.set_of(subject, &pool.set_name) else { continue };
            let found = blocked::probe(&self.once, (set, &uid), pool, before.as_ref()).await;
            answers.blocked.push((pool.set_name.clone(), found));
        }
        answers
    }

    /// A StatefulSet as it should be, and the uid of the live one.
    fn set_of<'a>(
        &self,
        subject: &'a Subject<'_>,
        name: &str,
    ) -> Option<(&'a StatefulSet, String)> {
        let live = self.stores.sets.get(&ObjectRef::new(name).within(&subject.namespace))?;
        let mut wanted = subject.desired.pools.iter().map(|wanted| &wanted.set);
        Some((wanted.find(|set| set.name_any() == name)?, live.uid()?))
    }
}

/// Pods that their nodes do not start, by name and uid: as many as are looked up.
fn stuck_pods(actual: &ActualState, now: Timestamp) -> Vec<(String, String)> {
    let stuck = actual.pods.values().filter(|pod| grapes::is_stuck(pod, now));
    stuck.filter_map(|pod| Some((pod.name_any(), pod.uid()?))).take(stuck::MAX_PODS).collect()
}

fn questions<'a>(
    state: &mut ClusterState,
    pools: &'a [Pool],
    stuck: &[(String, String)],
) -> Questions<'a> {
    let now = clock::now();
    state.stuck.retain(|uid| stuck.iter().any(|(_, known)| known == uid));
    let late = state.missing.late(pools);
    state.blocked.retain(|set| late.iter().any(|pool| pool.set_name == set));
    let due = |(_, uid): &&(String, String)| state.stuck.is_due(uid, now);
    Questions {
        stuck: stuck.iter().filter(due).cloned().collect(),
        late: late
            .into_iter()
            .filter(|pool| state.blocked.is_due(&pool.set_name, now))
            .map(|pool| (pool, state.blocked.last(&pool.set_name)))
            .collect(),
    }
}

impl ClusterState {
    /// Takes the results, and gives Grapes that their nodes do not start the cause that was found
    /// last.
    fn note(&mut self, actual: &mut ActualState, stuck: &[(String, String)], answers: Answers) {
        let now = clock::now();
        for (uid, found) in answers.stuck {
            self.stuck.note(&uid, found, now);
        }
        for (set, found) in answers.blocked {
            self.blocked.note(&set, found, now);
        }
        for (pod, uid) in stuck {
            let mut pools = actual.pools.iter_mut().chain(&mut actual.leaving);
            let grape = pools.find_map(|pool| pool.grapes.values_mut().find(|it| it.pod == *pod));
            if let (Some(grape), Some(failing)) = (grape, self.stuck.last(uid)) {
                grape.failing = Some(failing);
            }
        }
        self.failing.settle(&mut actual.pools);
    }
}

/// The running sidecars. Those whose namespace is not admitted any more are introduced to nobody.
fn running_sidecars(subject: &Subject<'_>, members: &[Member]) -> Vec<InjectedSidecar> {
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
    members.iter().filter(|member| !member.is_left_out).filter_map(sidecar).collect()
}
