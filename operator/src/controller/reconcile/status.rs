//! Stage 5: the status of a cluster, and its figures. Pure.

use grape_cluster::GrapeClusterStatus;
use jiff::Timestamp;

use super::apply::Applied;
use super::observe::Observed;
use super::validate::Subject;
use crate::controller::report::{self, Facts, Services};
use crate::controller::sidecars::counts::Counts;
use crate::metrics::Health;

/// The report on a cluster.
pub(super) struct Report {
    /// The status.
    pub(super) status: GrapeClusterStatus,
    /// The figures.
    pub(super) health: Health,
    /// The pods that ask for a sidecar; none while they are not known.
    pub(super) counts: Option<Counts>,
}

/// The report on a cluster. None before the first probe of this process has ended, unless there is
/// something else to report: until then the last status stays.
pub(super) fn report(
    subject: &Subject<'_>,
    observed: &Observed,
    applied: &Applied,
    now: Timestamp,
) -> Option<Report> {
    let Observed { actual, blocked, targets, observations, members, repair, .. } = observed;
    let Applied { trouble, phase, rolled_out, .. } = applied;
    if !targets.is_empty() && observations.is_new() && trouble.is_none() {
        return None;
    }
    let services = members.as_deref().map(|members| Services {
        counts: Counts::of(members, rolled_out),
        connectivity: observations.connectivity(),
        repair: repair.clone(),
    });
    let facts = Facts {
        cluster: &subject.valid,
        namespace: &subject.namespace,
        generation: subject.cluster.metadata.generation,
        image: &subject.image,
        rolled_out,
        pools: &actual.pools,
        leaving: &actual.leaving,
        phase,
        snapshot: observations.snapshot(),
        unresolved: &observed.unresolved,
        trouble: trouble.as_ref(),
        blocked,
        services: services.as_ref(),
    };
    let status = report::status(&facts, subject.cluster.status.as_ref(), now);
    let health = report::health(&facts, &status, &observations.window);
    Some(Report { status, health, counts: services.map(|services| services.counts) })
}

/// Whether a report waits until every Grape was asked itself: it says something else than before of
/// whether the cluster is healthy or partitioned, and the last probe asked fewer Grapes.
pub(super) fn is_held(report: &Report, subject: &Subject<'_>, observed: &Observed) -> bool {
    let before = subject.cluster.status.as_ref();
    !observed.targets.is_empty()
        && observed.observations.rests_on_hints()
        && report::changes_verdict(&report.status, before)
}
