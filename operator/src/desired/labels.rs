//! The labels by which the operator, Services and policies select a cluster's objects.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// The kind of a pod or object: [`GRAPE`], or [`OPERATOR`] for the operator's own.
pub const NAME: &str = "app.kubernetes.io/name";
/// The cluster.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// The manager: [`OPERATOR`].
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The pool, on StatefulSets and pods.
pub const POOL: &str = "grenache.dev/pool";
/// On pods of services that have a Grape of their own in this cluster's DHT, and on namespaces whose
/// pods have: `CLUSTER` or `NAMESPACE.CLUSTER`.
pub const CLUSTER: &str = "grenache.dev/cluster";
/// On pods of services, with the value [`INJECTED`]: the operator injected their Grape.
pub const SIDECAR: &str = "grenache.dev/grape";
/// See [`SIDECAR`].
pub const INJECTED: &str = "injected";

/// [`NAME`] of Grapes.
pub const GRAPE: &str = "grape";
/// [`NAME`] of the operator, and [`MANAGED_BY`] of its objects.
pub const OPERATOR: &str = "grape-operator";

/// The labels of each object of a cluster.
pub fn of_cluster(cluster: &str) -> BTreeMap<String, String> {
    let mut labels = lasting_selector(cluster);
    labels.insert(MANAGED_BY.to_owned(), OPERATOR.to_owned());
    labels
}

/// The labels of a pool's StatefulSet and pods.
pub fn of_pool(cluster: &str, pool: &str) -> BTreeMap<String, String> {
    let mut labels = of_cluster(cluster);
    labels.insert(POOL.to_owned(), pool.to_owned());
    labels
}

/// Labels that all pods of a cluster have, and no others: [`MANAGED_BY`] is among them. The other
/// two labels are also on a Helm release with the cluster's name, of a chart called `grape`.
pub fn selector(cluster: &str) -> BTreeMap<String, String> {
    of_cluster(cluster)
}

/// The selector of a cluster's pods where it cannot change, or where a change would replace every
/// Grape: in StatefulSets and in their pods' template. Pods of others may match it, too.
pub(super) fn lasting_selector(cluster: &str) -> BTreeMap<String, String> {
    map([(NAME, GRAPE), (INSTANCE, cluster)])
}

/// The selector of a StatefulSet, which cannot change. The StatefulSet adopts only pods with its
/// own names.
pub fn pool_selector(cluster: &str, pool: &str) -> BTreeMap<String, String> {
    let mut labels = lasting_selector(cluster);
    labels.insert(POOL.to_owned(), pool.to_owned());
    labels
}

/// [`selector`] as a text, for `status.selector` and for lists of pods.
pub fn selector_text(cluster: &str) -> String {
    let pairs = selector(cluster);
    pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// The given labels.
pub(super) fn map<const N: usize>(entries: [(&str, &str); N]) -> BTreeMap<String, String> {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Those that have all of `labels`.
pub(super) fn having(labels: BTreeMap<String, String>) -> LabelSelector {
    LabelSelector { match_labels: Some(labels), ..LabelSelector::default() }
}
