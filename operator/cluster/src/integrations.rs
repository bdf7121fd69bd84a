//! What else a cluster has around its Grapes.

use std::collections::BTreeMap;

use kube_derive::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{defaults, limits};

/// Who may reach the Grapes.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicySpec {
    /// While true, the operator makes a NetworkPolicy for the cluster's Grapes. It opens the DHT to
    /// the cluster's Grapes, and to pods with the label grenache.dev/cluster in its namespace and in
    /// the namespaces of spec.injection.namespaces; with spec.dht.bootstrap it opens the DHT to all.
    /// It opens the admin pages to the operator and Prometheus, and the API to the operator. Your own
    /// NetworkPolicies add to it. Defaults to true.
    #[serde(default = "defaults::enabled")]
    pub enabled: bool,
}

impl Default for NetworkPolicySpec {
    fn default() -> Self {
        Self { enabled: defaults::enabled() }
    }
}

/// How Prometheus finds the Grapes.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct MonitoringSpec {
    /// While true, the operator makes a ServiceMonitor for the Prometheus operator. Defaults to false.
    #[serde(default)]
    pub service_monitor: bool,

    /// Labels of the ServiceMonitor, such as release: prometheus. Prometheus selects ServiceMonitors by
    /// labels. 64 at most.
    #[schemars(extend("maxProperties" = limits::ENTRIES))]
    #[x_kube(validation = Rule::new(limits::LABELS_RULE).message(&*limits::must_be(limits::LABELS_EXPECTED)))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}
