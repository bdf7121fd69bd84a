//! One reconciliation of one cluster: validate → build → apply → observe → report.
//!
//! It starts from what is there, and remembers nothing that it could not find out again, so that it
//! may end at any point.

mod applying;
mod probing;
mod recording;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, Shared};
use grape::clock;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::Event;
use kube::{Client, Resource, ResourceExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::actual_state::ActualState;
use super::cluster_state::ClusterStates;
use super::cluster_store::{ClusterId, ClusterStore};
use super::error::Error;
use super::events::Events;
use super::objects::Applied;
use super::queue::Queue;
use super::report::{self, Facts, Services};
use super::rollout::{self, Phase};
use super::sidecars::Sidecars;
use super::sidecars::counts::Counts;
use super::stores::{Stored, Stores};
use crate::cluster::GrapeCluster;
use crate::desired::{BuildContext, desired, image};
use crate::metrics::{Metrics, ReconcileResult};
use crate::observe::Observer;
use crate::validate::{ValidatedCluster, validate};

/// How soon a cluster whose objects are refused is tried again: what refuses them, such as a quota,
/// may change without a sign.
pub(super) const REFUSED: Duration = Duration::from_secs(10);
/// How often a cluster is looked at while its Grapes are replaced.
const ROLLING: Duration = Duration::from_secs(1);
/// How soon a cluster is reconciled again whose StatefulSet was changed, if its watch does not tell
/// of it before.
const TOLD: Duration = Duration::from_secs(1);
/// How often it is looked at while it is not well, at most.
const UNWELL: Duration = Duration::from_secs(5);

/// What all reconciliations in one namespace, or in all, share.
pub struct Reconciler {
    /// The way to the API server.
    pub client: Client,
    /// The same, but that nothing is tried again.
    pub once: Client,
    /// What is watched.
    pub stores: Stores,
    /// The pods of services, of all namespaces that are watched.
    pub sidecars: Sidecars,
    /// Completes when the copies of that are whole. It is one future for all reconciliations: of
    /// several that wait for a copy by themselves only the last is woken.
    pub whole: Shared<BoxFuture<'static, bool>>,
    /// What is remembered.
    pub states: ClusterStates,
    /// Which clusters there are.
    pub cluster_store: Mutex<ClusterStore>,
    /// Who waits.
    pub queue: Queue,
    /// Looks at Grapes.
    pub observer: Observer,
    /// Where events go.
    pub events: Events,
    /// Where figures go.
    pub metrics: Arc<Metrics>,
    /// Tells that a look at a cluster has ended.
    pub probed: mpsc::UnboundedSender<ObjectRef<Stored>>,
    /// What the operator was started with.
    pub settings: Settings,
    /// Ends reconciliations that have not begun.
    pub stop: CancellationToken,
}

/// What the operator was started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The image of Grapes where a cluster names none.
    pub grape_image: String,
    /// The operator's own namespace.
    pub namespace: String,
    /// How often a cluster at rest is looked at.
    pub observe_interval: Duration,
}

/// Reconciles a cluster. It is named by what is watched; see [`Stored`].
///
/// # Errors
/// What keeps it from its end for now: it is tried again.
pub async fn reconcile(stored: Arc<Stored>, reconciler: Arc<Reconciler>) -> Result<Action, Error> {
    // What is not yet known to be there is not missing.
    tokio::select! {
        _ = reconciler.whole.clone() => {}
        () = reconciler.stop.cancelled() => return Ok(Action::await_change()),
    }
    let at_work = reconciler.queue.begin(&ObjectRef::from_obj(&*stored));
    let begun = clock::now();
    let result = reconciler.reconcile(&stored).await;
    let outcome = match &result {
        Ok((_, outcome)) => *outcome,
        Err(_) => ReconcileResult::Error,
    };
    reconciler.metrics.reconciled(outcome, clock::now().duration_since(begun));
    drop(at_work);
    let uid = stored.meta().uid.as_deref().unwrap_or_default();
    if result.is_ok() {
        reconciler.states.known(uid, |state| state.failures = 0);
    }
    if !reconciler.cluster_store().knows(uid) {
        // It went meanwhile, and was forgotten before.
        reconciler.states.forget(uid);
        return Ok(Action::await_change());
    }
    result.map(|(action, _)| action)
}

/// A cluster that can run, and all that says which one it is.
struct Subject<'a> {
    cluster: &'a GrapeCluster,
    valid: Arc<ValidatedCluster>,
    namespace: String,
    owner: OwnerReference,
    image: String,
}

impl Reconciler {
    /// Takes note of what is told of clusters: that one waits, or is gone, and all that is known of
    /// it with it.
    pub fn noted(&self, event: &Event<Stored>) {
        if let Event::Apply(cluster) | Event::InitApply(cluster) = event {
            self.queue.join(ObjectRef::from_obj(cluster));
        }
        for ClusterId { uid, namespace, name } in self.cluster_store().note(event) {
            self.queue.leave(&ObjectRef::new(&name).within(&namespace));
            self.metrics.forget(&namespace, &name);
            self.states.forget(&uid);
            self.events.forget(&uid);
        }
    }

    /// Whether any reconciliation can have begun: all clusters were listed once.
    pub fn has_begun(&self) -> bool {
        self.cluster_store().is_whole()
    }

    fn cluster_store(&self) -> MutexGuard<'_, ClusterStore> {
        self.cluster_store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn reconcile(&self, stored: &Stored) -> Result<(Action, ReconcileResult), Error> {
        // What is deleted goes with its owner: there is nothing to do.
        let rest = (Action::await_change(), ReconcileResult::Ok);
        if stored.meta().deletion_timestamp.is_some() {
            return Ok(rest);
        }
        let now = Timestamp::now();
        let cluster = match &stored.0 {
            Ok(cluster) => self.states.caught_up(cluster),
            Err(unreadable) => {
                self.events.unreadable(stored, &unreadable.error).await;
                return Ok((Action::await_change(), ReconcileResult::Invalid));
            }
        };
        let cluster = &*cluster;
        let (Some(namespace), Some(owner)) =
            (cluster.namespace(), cluster.controller_owner_ref(&()))
        else {
            return Ok(rest);
        };
        let valid = match validate(cluster) {
            Ok(valid) => Arc::new(valid),
            Err(invalid) => {
                let before = cluster.status.as_ref();
                let generation = cluster.metadata.generation;
                let status = report::invalid(&invalid, before, generation, now);
                self.report(cluster, status).await?;
                return Ok((Action::await_change(), ReconcileResult::Invalid));
            }
        };
        // A deletion in the foreground waits for the objects.
        let owner = OwnerReference { block_owner_deletion: Some(true), ..owner };
        let image = image::resolve(&valid.image, &self.settings.grape_image);
        let subject = Subject { cluster, valid, namespace, owner, image };
        self.reconcile_valid(&subject, now).await
    }

    async fn reconcile_valid(
        &self,
        subject: &Subject<'_>,
        now: Timestamp,
    ) -> Result<(Action, ReconcileResult), Error> {
        let Subject { cluster, valid, namespace, owner, image } = subject;
        let context = BuildContext {
            namespace: namespace.clone(),
            owner: owner.clone(),
            grape_image: self.settings.grape_image.clone(),
            operator_namespace: self.settings.namespace.clone(),
        };
        let mut desired = desired(valid, &context);
        let mut actual = ActualState::read(&self.stores, &owner.uid, namespace, &desired, now);
        self.ask_nodes(subject, &mut actual, now).await;
        self.states.of(&owner.uid, |state| {
            state.failing.settle(&mut actual.pools);
            let was_late = cluster.status.as_ref().is_some_and(report::is_blocked);
            state.missing.note(&mut actual.pools, clock::now(), was_late);
        });
        let blocked = self.blocked(subject, &desired, &actual).await;
        let missing_in = self.states.of(&owner.uid, |state| state.missing.next(clock::now()));
        let targets = actual.targets(valid);
        let lookups = self.states.of(&owner.uid, |state| {
            state.observations.resume(cluster.status.as_ref().and_then(report::band));
            state.observations.keep(&actual.wanted());
            if targets.is_empty() {
                state.observations.forget();
            }
            state.observations.lookups(actual.mark(), clock::now())
        });
        let plan = rollout::plan(&actual.pools, lookups);
        let rolled_out = match rollout::is_done(&actual.pools, &plan.phase) {
            true => image.clone(),
            false => valid.sidecar_image(&self.settings.grape_image),
        };

        let applied = match valid.paused {
            true => Ok(Applied::default()),
            false => self.apply(subject, &mut desired, &actual, &plan, lookups).await,
        };
        let (trouble, applied) = match applied {
            Ok(applied) => (None, applied),
            Err(error) if error.is_lasting() => (Some(error), Applied::default()),
            Err(error) => return Err(error),
        };
        self.events.applied(cluster, &applied).await;

        let made = cluster.creation_timestamp().map(|time| time.0);
        let members = self.sidecars.of(namespace, (valid, made), &self.settings.grape_image);
        let (progress, repair_in) = match &members {
            Some(members) => self.repair(subject, members, now).await,
            None => (None, None),
        };
        let all_sidecars = probing::sidecars_of(subject, members.as_deref().unwrap_or_default());
        let welcome_in =
            self.welcome(subject, &actual, (&targets, &all_sidecars), members.as_deref(), now);
        let sidecars = self.sidecars(subject, all_sidecars);

        let unseen = !targets.is_empty();
        // What a StatefulSet is after a change, its watch tells at once: to write the status before that
        // would be to write it twice. Where the watch is late, it is written without.
        let waits = self.states.of(&owner.uid, |state| {
            state.waits = applied.changed && !state.waits;
            state.waits
        });
        let told = self.states.of(&owner.uid, |state| {
            if unseen && state.observations.is_new() && trouble.is_none() {
                // What was seen before this process began stands until it has looked itself.
                return None;
            }
            let services = members.as_deref().map(|members| Services {
                counts: Counts::of(members, &rolled_out),
                connectivity: state.observations.connectivity(),
                repair: progress,
            });
            let facts = Facts {
                cluster: valid,
                namespace,
                generation: cluster.metadata.generation,
                image,
                rolled_out: &rolled_out,
                pools: &actual.pools,
                leaving: &actual.leaving,
                phase: &plan.phase,
                snapshot: state.observations.snapshot(),
                trouble: trouble.as_ref(),
                blocked: &blocked,
                services: services.as_ref(),
            };
            let status = report::status(&facts, cluster.status.as_ref(), now);
            let health = report::health(&facts, &status, &state.observations.window);
            let counts = services.map(|services| services.counts).unwrap_or_default();
            Some((status, health, counts))
        });
        let well = told.as_ref().is_some_and(|(status, ..)| report::is_ready(status));
        if let Some((status, health, counts)) = told {
            self.show(subject, &health);
            if !waits {
                self.report(cluster, status).await?;
            }
            if members.is_some() {
                self.tell(subject, &counts).await;
            }
        }
        self.tell_complaints(subject, &actual, members.as_deref().unwrap_or_default()).await;

        let interval = match plan.phase {
            Phase::Rolling(_) => ROLLING,
            _ if well => self.settings.observe_interval,
            _ => UNWELL.min(self.settings.observe_interval),
        };
        let next = self.start_probe(subject, targets, sidecars, interval);
        let next = next.into_iter().chain(repair_in).chain(welcome_in).chain(missing_in);
        let next = next.chain(waits.then_some(TOLD)).min();
        match trouble {
            Some(_) => {
                let soon = next.map_or(REFUSED, |next| next.min(REFUSED));
                Ok((Action::requeue(soon), ReconcileResult::Invalid))
            }
            None => {
                Ok((next.map_or_else(Action::await_change, Action::requeue), ReconcileResult::Ok))
            }
        }
    }
}
