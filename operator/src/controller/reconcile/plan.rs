//! Stage 3: the next step. Pure.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;

use super::observe::Observed;
use super::validate::Subject;
use crate::controller::rollout::{self, Lookups, Phase, Strategy};
use crate::desired::Desired;

/// The next step, and the state of the rollout.
pub(super) struct Plan {
    /// What is written; nothing for a paused cluster.
    pub(super) writes: Option<Writes>,
    /// The state of the rollout.
    pub(super) phase: Phase,
    /// The image of the last rollout that reached all Grapes.
    pub(super) rolled_out: String,
}

/// What is written.
pub(super) struct Writes {
    /// The objects, as they should be now.
    pub(super) desired: Desired,
    /// A pod that its StatefulSet does not replace by itself.
    pub(super) replace: Option<Arc<Pod>>,
    /// StatefulSets of pools that the spec no longer has.
    pub(super) remove: Vec<Arc<StatefulSet>>,
}

/// Plans the next step of a cluster.
pub(super) fn plan(subject: &Subject<'_>, observed: &Observed) -> Plan {
    let Observed { actual, lookups, retry_marks, .. } = observed;
    let rollout::Plan { strategies, delete, phase } = rollout::plan(&actual.pools, *lookups);
    let rolled_out = match rollout::is_done(&actual.pools, &phase) {
        true => &subject.image,
        false => &subject.sidecar_image,
    };
    let rolled_out = rolled_out.clone();
    if subject.valid.paused {
        return Plan { writes: None, phase, rolled_out };
    }
    let mut desired = subject.desired.clone();
    for pool in &mut desired.pools {
        match strategies.get(&pool.pool) {
            Some(Strategy::Partition(partition)) => pool.set_partition(*partition),
            Some(Strategy::OnDelete) => pool.set_on_delete(),
            None => {}
        }
        if let Some(mark) = retry_marks.get(&pool.pool) {
            pool.mark_retried(mark.clone());
        }
    }
    let is_ready = actual.pools.iter().all(rollout::Pool::is_ready);
    let can_shrink = is_ready && phase == Phase::Settled && *lookups == Lookups::Healthy;
    let writes = Writes {
        desired,
        replace: delete.and_then(|name| actual.pods.get(&name).cloned()),
        remove: if can_shrink { actual.leaving_sets.clone() } else { Vec::new() },
    };
    Plan { writes: Some(writes), phase, rolled_out }
}
