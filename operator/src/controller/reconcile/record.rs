//! What follows from a report: figures, the status and events, written.

use grape_cluster::{GrapeCluster, GrapeClusterStatus};
use kube::{Resource, ResourceExt};

use super::Reconciler;
use super::observe::Observed;
use super::status::Report;
use super::validate::Subject;
use crate::controller::cluster_state::Written;
use crate::controller::complaints::NewComplaint;
use crate::controller::error::Error;
use crate::controller::write;
use crate::metrics::Health;
use crate::observe::complaint::Complaint;

impl Reconciler {
    /// Writes a report. `status_waits`: the status is written by the next reconciliation.
    ///
    /// # Errors
    /// The status cannot be written now.
    pub(super) async fn record(
        &self,
        subject: &Subject<'_>,
        observed: &Observed,
        report: Option<Report>,
        status_waits: bool,
    ) -> Result<(), Error> {
        let mut counts = None;
        if let Some(report) = report {
            self.show(subject, &report.health);
            if !status_waits {
                self.write_status(&subject.cluster, report.status).await?;
            }
            counts = report.counts;
        }
        let before = subject.cluster.status.as_ref().and_then(|status| status.injected.as_ref());
        let (without_grape, complaints) = self.states.of(&subject.owner.uid, |state| {
            let counts = counts.as_ref();
            let pods = counts.map(|counts| state.reported.unreported(&counts.missing, before));
            (pods.unwrap_or_default(), state.complaints.take())
        });
        for (lack, pods) in counts.iter().flat_map(|counts| counts.by_lack(&without_grape)) {
            self.events.without_grape(&subject.cluster, &pods, lack).await;
        }
        self.record_complaints(subject, observed, complaints).await;
        Ok(())
    }

    /// Sets the metrics of a cluster, unless the cluster was deleted meanwhile: then nothing would
    /// remove them.
    fn show(&self, subject: &Subject<'_>, health: &Health) {
        let cluster_store = self.cluster_store();
        if cluster_store.knows(&subject.owner.uid) {
            self.metrics.cluster(&subject.namespace, &subject.valid.name, health);
        }
    }

    /// Writes a status that is new, and an event of what has changed with it.
    pub(super) async fn write_status(
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

    /// Writes events of complaints, at the pods whose Grapes complain.
    async fn record_complaints(
        &self,
        subject: &Subject<'_>,
        observed: &Observed,
        complaints: Vec<NewComplaint>,
    ) {
        let members = observed.members.as_deref().unwrap_or_default();
        for NewComplaint { pod, complaint } in complaints {
            let own = observed.actual.pods.get(&pod).map(|pod| pod.object_ref(&()));
            let member = || members.iter().find(|member| member.pod.title() == pod);
            // A pod that is gone meanwhile needs no event.
            if let Some(pod) = own.or_else(|| Some(member()?.pod.reference())) {
                let (events, cluster) = (&self.events, &subject.cluster);
                match complaint {
                    Complaint::Refused(what) => events.refused(cluster, &pod, &what).await,
                    Complaint::HeldBack(what) => events.held_back(cluster, &pod, &what).await,
                }
            }
        }
    }
}
