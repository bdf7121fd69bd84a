//! What else a cluster has around its Grapes.

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{defaults, limits};

/// Who may reach the Grapes.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicySpec {
    /// Makes a NetworkPolicy: the DHT is open to the cluster's Grapes and to pods labelled
    /// grenache.dev/cluster, of its namespace and of those in spec.injection.namespaces; the admin
    /// pages to the operator and Prometheus; the API to the operator. With spec.dht.bootstrap the
    /// DHT is open to all. A NetworkPolicy of your own adds to it. Defaults to true.
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
    /// Makes a ServiceMonitor, for the Prometheus operator. Defaults to false.
    #[serde(default)]
    pub service_monitor: bool,

    /// Labels of the ServiceMonitor, by which a Prometheus selects it, such as release: prometheus; 64
    /// at most.
    #[schemars(extend("maxProperties" = limits::ENTRIES))]
    #[x_kube(validation = Rule::new(limits::LABELS_RULE).message(&*limits::must_be(limits::LABELS_EXPECTED)))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}
