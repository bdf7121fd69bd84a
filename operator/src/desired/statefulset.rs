//! The StatefulSet of a pool.

use grape_cluster::validate::{Pool, ValidatedCluster};
use k8s_openapi::api::apps::v1::{
    RollingUpdateStatefulSetStrategy, StatefulSet, StatefulSetSpec, StatefulSetUpdateStrategy,
};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use serde_json::json;
use sha1_smol::Sha1;

use super::{BuildContext, PoolSet, labels, metadata, names, pod};

/// The annotation of a StatefulSet with the hash of its pod template, by which the controller sees
/// whether the live set has that template already.
pub const TEMPLATE_HASH: &str = "grenache.dev/template-hash";
/// The annotation of a StatefulSet with the time when its controller was last made to retry pods
/// that were refused.
pub const RETRIED: &str = "grenache.dev/retried-at";
/// The type of the update strategy by which a StatefulSet replaces no pod, and makes one that is
/// missing from its newest template.
pub const ON_DELETE: &str = "OnDelete";
/// Characters of that hash.
const HASH_LENGTH: usize = 16;

/// The set of a pool.
///
/// Its partition is its number of replicas, so that a new template reaches no pod by itself: the
/// controller lowers the partition, Grape by Grape, while the cluster is well. A pod at or above
/// the partition that is lost during such a roll comes back with the new template, and one below it
/// as it was, unless it cannot be made so any more: see [`PoolSet::set_on_delete`].
pub(super) fn build(cluster: &ValidatedCluster, pool: &Pool, context: &BuildContext) -> PoolSet {
    // At most limits::REPLICAS.
    let replicas = i32::try_from(pool.replicas).unwrap_or(i32::MAX);
    let template = pod::template(cluster, pool, context);
    let name = names::set(&cluster.name, &pool.name);
    let mut metadata = metadata(&name, labels::of_pool(&cluster.name, &pool.name), context);
    metadata.annotations = Some(labels::map([(TEMPLATE_HASH, &hash(&template))]));
    let set = StatefulSet {
        metadata,
        spec: Some(StatefulSetSpec {
            replicas: Some(replicas),
            service_name: Some(cluster.name.clone()),
            selector: labels::having(labels::pool_selector(&cluster.name, &pool.name)),
            template,
            // A Grape needs no earlier Grape, and many start sooner in parallel.
            pod_management_policy: Some("Parallel".to_owned()),
            update_strategy: Some(rolling(replicas)),
            revision_history_limit: Some(5),
            min_ready_seconds: Some(0),
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    };
    PoolSet { pool: pool.name.clone(), replicas, set }
}

/// The strategy that replaces pods from the ordinal `partition` up.
pub(super) fn rolling(partition: i32) -> StatefulSetUpdateStrategy {
    StatefulSetUpdateStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateStatefulSetStrategy {
            partition: Some(partition),
            ..RollingUpdateStatefulSetStrategy::default()
        }),
    }
}

/// The strategy that replaces no pod.
pub(super) fn on_delete() -> StatefulSetUpdateStrategy {
    StatefulSetUpdateStrategy { type_: Some(ON_DELETE.to_owned()), rolling_update: None }
}

/// A hash of a pod template: the same for the same template, in whichever run of the operator.
fn hash(template: &PodTemplateSpec) -> String {
    // As a value, whose keys are sorted. It is a mark, and keeps no secret.
    let json = json!(template).to_string();
    let mut hash = Sha1::from(json).digest().to_string();
    hash.truncate(HASH_LENGTH);
    hash
}
