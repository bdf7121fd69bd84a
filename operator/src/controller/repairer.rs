//! The repair of pods without their sidecar: a controller of its own, beside that of clusters. It
//! evicts pods, and writes no status: how it goes is in the cluster's state, and whenever that
//! changes the cluster is reconciled.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, Shared};
use grape_cluster::GrapeCluster;
use grape_cluster::validate::validate;
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
use super::stores::Stored;

/// What all repairs share.
pub struct Repairer {
    /// The way to the API server. Nothing is tried again: that an eviction is forbidden is an answer.
    pub once: Client,
    /// The pods of services.
    pub sidecars: Sidecars,
    /// Completes when all that is watched was listed once.
    pub whole: Shared<BoxFuture<'static, bool>>,
    /// What is remembered of clusters.
    pub states: ClusterStates,
    /// Where events go.
    pub events: Arc<Events>,
    /// Starts a reconciliation of a cluster whose repair goes on.
    pub changed: mpsc::UnboundedSender<ObjectRef<Stored>>,
    /// The image of Grapes where a cluster names none.
    pub grape_image: String,
    /// Ends repairs that have not begun.
    pub stop: CancellationToken,
}

/// Repairs the pods of a cluster: evicts one of them, where that is asked for and it is time to.
///
/// # Errors
/// None: what cannot be evicted is noted, and tried again later.
pub async fn repair(stored: Arc<Stored>, repairer: Arc<Repairer>) -> Result<Action, Infallible> {
    tokio::select! {
        _ = repairer.whole.clone() => {}
        () = repairer.stop.cancelled() => return Ok(Action::await_change()),
    }
    let wait = match &stored.0 {
        Ok(cluster) if cluster.metadata.deletion_timestamp.is_none() => {
            repairer.repair(cluster).await
        }
        Ok(_) | Err(_) => None,
    };
    Ok(wait.map_or_else(Action::await_change, Action::requeue))
}

impl Repairer {
    /// In how long to see again.
    async fn repair(&self, cluster: &GrapeCluster) -> Option<Duration> {
        let now = Timestamp::now();
        let uid = cluster.metadata.uid.as_deref()?;
        let valid = Arc::new(validate(cluster).ok()?);
        if !valid.injection.repair {
            // When repair is asked for again, it starts over.
            self.states.known(uid, |state| state.repair = Repair::default());
            return None;
        }
        if valid.paused {
            return None;
        }
        let namespace = cluster.namespace()?;
        let made = cluster.creation_timestamp().map(|time| time.0);
        let members = self.sidecars.of(&namespace, (&valid, made), &self.grape_image)?;
        let failed_before = report::repair_failures(cluster.status.as_ref());
        // Of a cluster that no reconciliation has begun for nothing is known: it comes first, and
        // then this again.
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
                    // Another one may be next.
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
