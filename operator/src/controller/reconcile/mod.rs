//! One reconciliation of one cluster, in stages. Each stage takes what the stages before it gave,
//! and nothing else; each locks the state of the cluster when it begins, or ends, and not between.
//!
//! | stage | takes | gives | |
//! |---|---|---|---|
//! | `validate` | a stored GrapeCluster | `Subject` | pure |
//! | `observe` | `Subject` | `Observed` | reads |
//! | `plan` | `Subject`, `Observed` | `Plan` | pure |
//! | `apply` | `Subject`, `Plan` | `Applied` | writes objects |
//! | `status` | `Subject`, `Observed`, `Applied` | `Report` | pure |
//! | `record` | `Report` | | writes the status, events and figures |
//!
//! `probe` starts work beside it. A reconciliation starts from the current state, and remembers
//! nothing that it could not find out again, so that it may end at any point.

mod apply;
mod observe;
mod plan;
mod probe;
mod record;
mod status;
mod validate;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, Shared};
use grape::clock;
use jiff::Timestamp;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::Event;
use kube::{Client, Resource};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::cluster_state::ClusterStates;
use super::cluster_store::{ClusterId, ClusterStore};
use super::error::Error;
use super::events::Events;
use super::queue::Queue;
use super::report;
use super::rollout::Phase;
use super::sidecars::Sidecars;
use super::stores::Stores;
use crate::config::OperatorConfig;
use crate::informers::stored::Stored;
use crate::metrics::{Metrics, ReconcileResult};
use crate::observe::Observer;
use apply::Applied;
use validate::Validated;

/// How soon a cluster with refused objects is tried again: the cause, such as a quota, may change
/// without a sign.
pub(super) const REFUSED_INTERVAL: Duration = Duration::from_secs(10);
/// How often a cluster is probed while its Grapes are replaced.
const ROLLOUT_INTERVAL: Duration = Duration::from_secs(1);
/// How soon a cluster with a changed StatefulSet is reconciled again, if the watch is late.
const STATUS_WAIT: Duration = Duration::from_secs(1);
/// How often a cluster with a problem is probed, at most.
const UNWELL_INTERVAL: Duration = Duration::from_secs(5);

/// What all reconciliations in one namespace, or in all, share.
pub struct Reconciler {
    /// A client of the API server.
    pub client: Client,
    /// A client that repeats no request.
    pub once: Client,
    /// The watched copies of the operator's objects.
    pub stores: Stores,
    /// The pods of services, in all watched namespaces.
    pub sidecars: Sidecars,
    /// Completes when these copies are complete. One future for all reconciliations: of several
    /// tasks that wait for one store, only the last is woken.
    pub whole: Shared<BoxFuture<'static, bool>>,
    /// What is remembered of clusters.
    pub states: ClusterStates,
    /// The existing clusters.
    pub cluster_store: Mutex<ClusterStore>,
    /// The clusters that wait.
    pub queue: Queue,
    /// Probes Grapes.
    pub observer: Observer,
    /// Publishes events.
    pub events: Arc<Events>,
    /// The operator's metrics.
    pub metrics: Arc<Metrics>,
    /// Starts a reconciliation of a cluster after a change that no watch reports.
    pub changed: mpsc::UnboundedSender<ObjectRef<Stored>>,
    /// Starts a repair of the pods of a cluster.
    pub repair_due: mpsc::UnboundedSender<ObjectRef<Stored>>,
    /// The operator's settings.
    pub config: Arc<OperatorConfig>,
    /// The namespace of the operator's own pods.
    pub namespace: String,
    /// Ends reconciliations that have not begun.
    pub stop: CancellationToken,
}

/// Reconciles a cluster.
///
/// # Errors
/// Why it failed for now: it is tried again.
pub async fn reconcile(stored: Arc<Stored>, reconciler: Arc<Reconciler>) -> Result<Action, Error> {
    // Until the first full list, an absent object may only be one that was not listed yet.
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
        // The cluster was deleted meanwhile, and forgotten before.
        reconciler.states.forget(uid);
        return Ok(Action::await_change());
    }
    result.map(|(action, _)| action)
}

impl Reconciler {
    /// Takes note of an event of GrapeClusters: forgets those that are gone by it.
    pub fn note(&self, event: &Event<Arc<Stored>>) {
        for ClusterId { uid, namespace, name } in self.cluster_store().note(event) {
            self.queue.leave(&ObjectRef::new(&name).within(&namespace));
            self.metrics.forget(&namespace, &name);
            self.states.forget(&uid);
            self.events.forget(&uid);
        }
    }

    /// Whether any reconciliation can have begun: the first list of clusters has ended.
    pub fn has_begun(&self) -> bool {
        self.cluster_store().is_whole()
    }

    fn cluster_store(&self) -> MutexGuard<'_, ClusterStore> {
        self.cluster_store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn reconcile(&self, stored: &Stored) -> Result<(Action, ReconcileResult), Error> {
        let now = Timestamp::now();
        let subject = match self.validate(stored) {
            Validated::Runnable(subject) => *subject,
            Validated::Leaving => return Ok((Action::await_change(), ReconcileResult::Ok)),
            Validated::Unreadable(why) => {
                self.events.unreadable(stored, why).await;
                return Ok((Action::await_change(), ReconcileResult::Invalid));
            }
            Validated::Invalid { cluster, problems } => {
                let generation = cluster.metadata.generation;
                let status = report::invalid(&problems, cluster.status.as_ref(), generation, now);
                self.write_status(&cluster, status).await?;
                return Ok((Action::await_change(), ReconcileResult::Invalid));
            }
        };
        let observed = self.observe(&subject, now).await;
        // The receiver is gone when the operator ends.
        let _ = self.repair_due.send(ObjectRef::from_obj(stored));
        let plan = plan::plan(&subject, &observed);
        let applied = self.apply(&subject, plan).await?;
        let introduce_in = self.introduce(&subject, &observed, now);
        let report = status::report(&subject, &observed, &applied, now);
        let is_held = report.as_ref().is_some_and(|it| status::is_held(it, &subject, &observed));
        let report = report.filter(|_| !is_held);
        let is_well = report.as_ref().is_some_and(|report| report::is_ready(&report.status));
        self.record(&subject, &observed, report, applied.status_waits).await?;

        let missing_in = observed.missing_in;
        let settled = applied.phase == Phase::Settled && observed.actual.leaving.is_empty();
        let interval = self.interval(&applied, is_well);
        let probe_in = self.start_probe(&subject, observed, interval, is_well && settled);
        let status_in = applied.status_waits.then_some(STATUS_WAIT);
        let next = [probe_in, introduce_in, missing_in, status_in].into_iter().flatten().min();
        match applied.trouble {
            Some(_) => {
                let soon = next.map_or(REFUSED_INTERVAL, |next| next.min(REFUSED_INTERVAL));
                Ok((Action::requeue(soon), ReconcileResult::Invalid))
            }
            None => {
                let action = next.map_or_else(Action::await_change, Action::requeue);
                Ok((action, ReconcileResult::Ok))
            }
        }
    }

    /// How often a cluster is probed now.
    fn interval(&self, applied: &Applied, is_well: bool) -> Duration {
        match applied.phase {
            Phase::Rolling(_) => ROLLOUT_INTERVAL,
            _ if is_well => self.config.observe_interval,
            _ => UNWELL_INTERVAL.min(self.config.observe_interval),
        }
    }
}
