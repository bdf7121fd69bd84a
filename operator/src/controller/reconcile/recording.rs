//! What a reconciliation tells: the status, events and figures.

use kube::{Resource, ResourceExt};

use super::{Reconciler, Subject};
use crate::cluster::{GrapeCluster, GrapeClusterStatus};
use crate::controller::actual_state::ActualState;
use crate::controller::cluster_state::Written;
use crate::controller::complaints::NewComplaint;
use crate::controller::error::Error;
use crate::controller::sidecars::counts::Counts;
use crate::controller::sidecars::member::Member;
use crate::controller::write;
use crate::metrics::Health;
use crate::observe::complaint::Complaint;

impl Reconciler {
    /// Tells the figures of a cluster, unless it went meanwhile: nobody would take them back.
    pub(super) fn show(&self, subject: &Subject<'_>, health: &Health) {
        let cluster_store = self.cluster_store();
        if cluster_store.knows(&subject.owner.uid) {
            self.metrics.cluster(&subject.namespace, &subject.valid.name, health);
        }
    }

    /// Writes a status that is new, and tells of what has changed with it.
    pub(super) async fn report(
        &self,
        cluster: &GrapeCluster,
        status: GrapeClusterStatus,
    ) -> Result<(), Error> {
        if cluster.status.as_ref() == Some(&status) {
            return Ok(());
        }
        if let Err(error) = write::status(&self.client, cluster, &status).await {
            if error.is_refusal() {
                self.events.status_refused(cluster, &error).await;
            }
            return Err(error);
        }
        self.events.status_written(cluster);
        let uid = cluster.metadata.uid.as_deref().unwrap_or_default();
        let written = Written { over: cluster.resource_version(), status: status.clone() };
        self.states.of(uid, |state| state.written = Some(written));
        self.events.status(cluster, &status).await;
        Ok(())
    }

    /// Tells of pods that newly run without their Grape.
    pub(super) async fn tell(&self, subject: &Subject<'_>, counts: &Counts) {
        let before = subject.cluster.status.as_ref().and_then(|status| status.injected.as_ref());
        let unreported = self
            .states
            .of(&subject.owner.uid, |state| state.reported.unreported(&counts.missing, before));
        for (lack, pods) in counts.by_lack(&unreported) {
            self.events.without_grape(subject.cluster, &pods, lack).await;
        }
    }

    /// Tells of complaints of Grapes, at the pods whose Grapes they are.
    pub(super) async fn tell_complaints(
        &self,
        subject: &Subject<'_>,
        actual: &ActualState,
        members: &[Member],
    ) {
        let unreported = self.states.of(&subject.owner.uid, |state| state.complaints.take());
        for NewComplaint { pod, complaint } in unreported {
            let own = actual.pods.get(&pod).map(|pod| pod.object_ref(&()));
            let member = || members.iter().find(|member| member.pod.title() == pod);
            // A pod that is gone meanwhile needs no event.
            if let Some(pod) = own.or_else(|| Some(member()?.pod.reference())) {
                let (events, cluster) = (&self.events, subject.cluster);
                match complaint {
                    Complaint::Refused(what) => events.refused(cluster, &pod, &what).await,
                    Complaint::HeldBack(what) => events.held_back(cluster, &pod, &what).await,
                }
            }
        }
    }
}
