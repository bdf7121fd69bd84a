//! What the operator remembers of each GrapeCluster between two reconciliations. A new process
//! finds all of it out again.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use grape_cluster::{GrapeCluster, GrapeClusterStatus};
use kube::ResourceExt;

use super::apply::AppliedObjects;
use super::blocked::Blocked;
use super::complaints::Complaints;
use super::diagnoses::Diagnoses;
use super::failing::Failing;
use super::missing::Missing;
use super::observations::Observations;
use super::previous_failures::PreviousFailures;
use super::sidecars::counts::ReportedPods;
use super::sidecars::repair::Repair;
use super::unready::Unready;

/// The states of all clusters, by uid. Clones share them.
#[derive(Clone, Default)]
pub struct ClusterStates(Arc<Mutex<HashMap<String, ClusterState>>>);

/// What is remembered of one cluster.
#[derive(Default)]
pub struct ClusterState {
    /// The applied objects.
    pub objects: AppliedObjects,
    /// The status that was written, until the watch delivers it.
    pub written: Option<Written>,
    /// Whether the status waits for the watch of a StatefulSet.
    pub status_waits: bool,
    /// Failed reconciliations since the last successful one.
    pub failures: usize,
    /// Its missing pods.
    pub missing: Missing,
    /// Why they are missing.
    pub blocked: Diagnoses<Blocked>,
    /// Why nodes do not start its Grapes.
    pub stuck: Diagnoses<Failing>,
    /// The former failures of its Grapes.
    pub failing: PreviousFailures,
    /// The results of probes.
    pub observations: Arc<Observations>,
    /// Why its Grapes that run are not ready.
    pub unready: Unready,
    /// Which pods without their sidecar have an event.
    pub reported: ReportedPods,
    /// Which complaints of Grapes have an event.
    pub complaints: Complaints,
    /// The repair of pods of services.
    pub repair: Repair,
    /// When newly started Grapes were introduced last.
    pub introduced: Option<Instant>,
}

/// A status that was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The resourceVersion of the cluster before the write.
    pub over: Option<String>,
    /// The status.
    pub status: GrapeClusterStatus,
}

impl ClusterStates {
    /// A cluster as the watch delivered it, with a status that was written since. Otherwise that
    /// status would be written, and published as events, again.
    pub fn caught_up<'a>(&self, cluster: &'a GrapeCluster) -> Cow<'a, GrapeCluster> {
        let uid = cluster.metadata.uid.as_deref().unwrap_or_default();
        let written = self.known(uid, |state| {
            let since = |written: &mut Written| written.over == cluster.resource_version();
            // Another version contains the status, or others wrote first.
            state.written = state.written.take_if(since);
            state.written.as_ref().map(|written| written.status.clone())
        });
        match written.flatten() {
            Some(status) => Cow::Owned(GrapeCluster { status: Some(status), ..cluster.clone() }),
            None => Cow::Borrowed(cluster),
        }
    }

    /// Works on the state of the cluster with this uid.
    pub fn of<T>(&self, uid: &str, work: impl FnOnce(&mut ClusterState) -> T) -> T {
        work(self.all().entry(uid.to_owned()).or_default())
    }

    /// Works on the state, if there is one.
    pub fn known<T>(&self, uid: &str, work: impl FnOnce(&mut ClusterState) -> T) -> Option<T> {
        self.all().get_mut(uid).map(work)
    }

    /// Forgets a deleted cluster.
    pub fn forget(&self, uid: &str) {
        self.all().remove(uid);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, ClusterState>> {
        // No work on it leaves it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_was_written_counts_until_the_watch_has_another_version() {
        let status = |replicas| Some(GrapeClusterStatus { replicas, ..<_>::default() });
        let watched = |version: &str, replicas| {
            let mut cluster = GrapeCluster::new("market", <_>::default());
            cluster.metadata.uid = Some("1".to_owned());
            cluster.metadata.resource_version = Some(version.to_owned());
            GrapeCluster { status: status(replicas), ..cluster }
        };
        let state = ClusterStates::default();
        let reported = |version, replicas| {
            let cluster = watched(version, replicas);
            state.caught_up(&cluster).status.as_ref().map(|status| status.replicas)
        };
        assert_eq!(reported("5", 1), Some(1), "nothing was written");

        let status = GrapeClusterStatus { replicas: 2, ..<_>::default() };
        let written = Written { over: Some("5".to_owned()), status };
        state.of("1", |state| state.written = Some(written));
        assert_eq!(reported("5", 1), Some(2), "the watch has not told of it yet");
        assert_eq!(reported("5", 1), Some(2));
        assert_eq!(reported("6", 3), Some(3), "somebody else wrote");
        assert_eq!(reported("5", 1), Some(1), "what was written is forgotten");
    }
}
