//! The PodDisruptionBudget: evictions take one Grape at a time.

use grape_cluster::validate::ValidatedCluster;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{BuildContext, labels, metadata};

/// The budget of all pools together; none for a single Grape, whose eviction it would not keep off.
pub(super) fn build(
    cluster: &ValidatedCluster,
    context: &BuildContext,
) -> Option<PodDisruptionBudget> {
    (cluster.replicas >= 2).then(|| PodDisruptionBudget {
        metadata: metadata(&cluster.name, labels::of_cluster(&cluster.name), context),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(labels::having(labels::selector(&cluster.name))),
            // A Grape that is not ready serves no clients, and must not hold up the drain of a
            // node.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    })
}
