//! The ServiceMonitor, by which the Prometheus operator finds the Grapes.

use grape_cluster::validate::ValidatedCluster;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::json;

use super::{BuildContext, container, labels, metadata};

/// The kind ServiceMonitor, which a cluster without the Prometheus operator does not have.
pub fn resource() -> ApiResource {
    let kind = GroupVersionKind::gvk("monitoring.coreos.com", "v1", "ServiceMonitor");
    ApiResource::from_gvk_with_plural(&kind, "servicemonitors")
}

/// The monitor of a cluster, if it wants one. All Grapes are the job `grape`; the label
/// `app_kubernetes_io_instance` of a series is its cluster, and `grenache_dev_pool` its pool.
///
/// Without `honorLabels`: what a Grape says of itself does not go before what Prometheus knows.
pub(super) fn build(cluster: &ValidatedCluster, context: &BuildContext) -> Option<DynamicObject> {
    let more = cluster.service_monitor.as_ref()?;
    let own = labels::of_cluster(&cluster.name);
    let spec = json!({
        "selector": {"matchLabels": &own},
        "endpoints": [{"port": container::ADMIN, "path": "/metrics", "interval": "30s"}],
        "jobLabel": labels::NAME,
        "targetLabels": [labels::INSTANCE],
        "podTargetLabels": [labels::POOL],
    });
    let mut monitor = DynamicObject::new(&cluster.name, &resource()).data(json!({"spec": spec}));
    let labels = more.clone().into_iter().chain(own).collect();
    monitor.metadata = metadata(&cluster.name, labels, context);
    Some(monitor)
}
