//! The repair of pods without their sidecar: a controller of its own, beside that of clusters. It
//! evicts pods, and writes no status: its progress is in the cluster's state, and each change of it
//! starts a reconciliation.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, Shared};
use grape_cluster::GrapeCluster;
use grape_cluster::validate::ValidatedCluster;
use jiff::Timestamp;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Client, ResourceExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::cluster_state::ClusterStates;
use super::events::Events;
use super::report;
use super::sidecars::Sidecars;
use super::sidecars::evict::try_evict;
use super::sidecars::repair::{Repair, Step, Tried};
use crate::informers::stored::Stored;

/// What all repairs share.
pub struct Repairer {
    /// A client that repeats no request: a forbidden eviction is an answer.
    pub once: Client,
    /// The pods of services.
    pub sidecars: Sidecars,
    /// Completes when all first lists have ended.
    pub whole: Shared<BoxFuture<'static, bool>>,
    /// What is remembered of clusters.
    pub states: ClusterStates,
    /// Publishes events.
    pub events: Arc<Events>,
    /// Starts a reconciliation of a cluster after progress of its repair.
    pub changed: mpsc::UnboundedSender<ObjectRef<Stored>>,
    /// The image of Grapes if a cluster names none.
    pub grape_image: String,
    /// Ends repairs that have not begun.
    pub stop: CancellationToken,
}

/// Repairs the pods of a cluster: evicts one of them, if the spec asks for it and it is time.
///
/// # Errors
/// None: a failed eviction is noted, and tried again later.
pub async fn repair(stored: Arc<Stored>, repairer: Arc<Repairer>) -> Result<Action, Infallible> {
    tokio::select! {
        _ = repairer.whole.clone() => {}
        () = repairer.stop.cancelled() => return Ok(Action::await_change()),
    }
    let wait = match (stored.cluster(), stored.validated()) {
        (Ok(cluster), Ok(valid)) if cluster.metadata.deletion_timestamp.is_none() => {
            repairer.repair(cluster, valid).await
        }
        _ => None,
    };
    Ok(wait.map_or_else(Action::await_change, Action::requeue))
}

impl Repairer {
    /// Returns in how long to check again.
    async fn repair(
        &self,
        cluster: &GrapeCluster,
        valid: &Arc<ValidatedCluster>,
    ) -> Option<Duration> {
        let now = Timestamp::now();
        let uid = cluster.metadata.uid.as_deref()?;
        if !valid.injection.repair {
            // If it is asked for again, it starts from the beginning.
            self.states.known(uid, |state| state.repair = Repair::default());
            return None;
        }
        if valid.paused {
            return None;
        }
        let namespace = cluster.namespace()?;
        let made = cluster.creation_timestamp().map(|time| time.0);
        let members = self.sidecars.of(&namespace, (valid, made), &self.grape_image)?;
        let failed_before = report::repair_failures(cluster.status.as_ref());
        // Without a state, no reconciliation of the cluster has begun: it comes first, and starts
        // this again.
        let (before, (step, failed)) = self.states.known(uid, |state| {
            let before = state.repair.progress(&members);
            state.repair.resume(failed_before);
            (before, state.repair.next(&members, now))
        })?;
        for controller in failed {
            self.events.repair_failed(cluster, &controller).await;
        }
        let wait = match step {
            Step::Rest => None,
            Step::Wait(time) => Some(time),
            Step::Evict(pod) => {
                let own = members.iter().find(|member| member.pod.uid == pod.uid);
                let lack = own.and_then(|member| member.lack);
                let tried = try_evict(&self.once, &pod, lack).await;
                if tried == Tried::Evicted {
                    self.events.repaired(cluster, &pod.title()).await;
                }
                let next = self.states.known(uid, |state| {
                    state.repair.tried(&pod, tried, &members, now);
                    // Another pod may be next.
                    state.repair.next(&members, now).0
                });
                match next? {
                    Step::Rest => None,
                    Step::Wait(time) => Some(time),
                    Step::Evict(_) => Some(Duration::ZERO),
                }
            }
        };
        let after = self.states.known(uid, |state| state.repair.progress(&members));
        if after.is_some_and(|after| after != before) {
            // The receiver is gone when the operator ends.
            let _ = self.changed.send(ObjectRef::new(&cluster.name_any()).within(&namespace));
        }
        wait
    }
}
