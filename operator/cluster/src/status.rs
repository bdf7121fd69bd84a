//! What the operator tells of a cluster. Every list is bounded.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube_derive::KubeSchema;
use serde::{Deserialize, Serialize};

use super::duration::DurationText;
use super::limits;

/// What the operator did and observed. The operator writes the status only when it changes.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct GrapeClusterStatus {
    /// The metadata.generation of the spec that this status describes; -1 until the operator has seen
    /// the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// How many Grapes there are, ready or not.
    #[serde(default)]
    pub replicas: i32,

    /// How many Grapes are ready: they have joined the others.
    #[serde(default)]
    pub ready_replicas: i32,

    /// How many Grapes run as the spec says.
    #[serde(default)]
    pub updated_replicas: i32,

    /// The label selector of the Grapes' pods. A HorizontalPodAutoscaler reads it.
    #[serde(default)]
    pub selector: String,

    /// Where other Grapes join the cluster, as HOST:PORT; the port is UDP.
    #[serde(default)]
    pub endpoint: String,

    /// The image that the spec asks for.
    #[serde(default)]
    pub image: String,

    /// The image of the last rollout that reached all Grapes. New pods of services get this image, so
    /// an image that does not start reaches one Grape and no service.
    #[serde(default)]
    pub rolled_out_image: String,

    /// The cluster in a few words, for people. Programs read the other fields.
    #[serde(default)]
    pub summary: Summary,

    /// The pools in the order of the spec, then the pools that are being removed.
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    #[serde(default)]
    pub pools: Vec<PoolStatus>,

    /// Which Grapes know each other. Absent until a Grape has answered the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology: Option<Topology>,

    /// The time that 95 of 100 test lookups stay within: 10ms, 50ms, 200ms, 1s or 2s. Absent until a
    /// test lookup has succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookup_latency_limit: Option<DurationText>,

    /// The pods that ask for a sidecar of this cluster. Absent while there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub injected: Option<InjectedStatus>,

    /// Ready, Progressing, Reconciling, Stalled, Bootstrapped, LookupHealthy and Partitioned; Injected
    /// if pods ask for sidecars; BootstrapReachable if spec.dht.bootstrap has names; OtherNetworks
    /// while Grapes of other networks send messages. Reconciling is True until the cluster is as the
    /// spec says. Stalled is True while nothing goes on until somebody changes something.
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// A cluster in a few words, for people.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Ready Grapes / wanted Grapes, such as 3/3.
    #[serde(default)]
    pub grapes: String,

    /// Ready Grapes / wanted Grapes of each pool, such as zone-1 4/4, zone-2 2/2.
    #[serde(default)]
    pub pools: String,

    /// The share of test lookups that succeeded, and the time that 95 of 100 stay under, such as
    /// 100% <10ms. The operator announces test names at one Grape of the cluster and looks them up at
    /// another.
    #[serde(default)]
    pub lookups: String,

    /// Ready sidecars / pods that ask for a sidecar, such as 12/12.
    #[serde(default)]
    pub sidecars: String,
}

/// A pool, and how many Grapes it has.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PoolStatus {
    /// The name of the pool.
    pub name: String,

    /// How many Grapes the pool should have.
    #[serde(default)]
    pub desired: i32,

    /// How many Grapes the pool has.
    #[serde(default)]
    pub replicas: i32,

    /// How many of its Grapes are ready.
    #[serde(default)]
    pub ready_replicas: i32,

    /// How many of its Grapes run as the spec says.
    #[serde(default)]
    pub updated_replicas: i32,
}

/// Which Grapes know each other.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Topology {
    /// How many Grapes of the cluster answered the operator.
    #[serde(default)]
    pub answered: i32,

    /// The largest number of other DHT nodes that a Grape of the cluster knows.
    #[serde(default)]
    pub max_known_nodes: i32,

    /// The smallest number of other DHT nodes that a Grape of the cluster knows.
    #[serde(default)]
    pub min_known_nodes: i32,

    /// The mean number of other DHT nodes that a Grape of the cluster knows, rounded.
    #[serde(default)]
    pub mean_known_nodes: i32,

    /// How many groups of Grapes there are that do not know each other. 1 means that all are
    /// connected.
    #[serde(default)]
    pub partitions: i32,

    /// These groups, the largest first. Absent while there is only one; 8 at most.
    #[schemars(length(max = limits::PARTITIONS_LENGTH))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partitions_named: Vec<Partition>,

    /// The pods of Grapes that did not answer the operator; 16 at most.
    #[schemars(length(max = limits::NAMED_LENGTH))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreachable: Vec<String>,
}

/// A group of Grapes that know each other, and no Grape outside the group.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Partition {
    /// How many Grapes the group has.
    pub size: i32,

    /// The pods of these Grapes; 16 at most.
    #[schemars(length(max = limits::NAMED_LENGTH))]
    #[serde(default)]
    pub grapes: Vec<String>,
}

/// The pods that ask for a sidecar of the cluster. Pods that are being deleted do not count.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct InjectedStatus {
    /// How many pods ask for a sidecar.
    #[serde(default)]
    pub pods: i32,

    /// How many of these pods have a sidecar that is ready.
    #[serde(default)]
    pub ready: i32,

    /// How many of these pods have a sidecar with another image than new pods get.
    #[serde(default)]
    pub outdated: i32,

    /// How many of these pods run without a sidecar.
    #[serde(default)]
    pub missing: i32,

    /// The pods that run without a sidecar, as NAMESPACE/NAME; 16 at most.
    #[schemars(length(max = limits::NAMED_LENGTH))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_named: Vec<String>,

    /// How many of these pods have a sidecar that is not connected with the cluster's own Grapes.
    #[serde(default, skip_serializing_if = "is_none")]
    pub disconnected: i32,

    /// The pods with such a sidecar, as NAMESPACE/NAME; 16 at most.
    #[schemars(length(max = limits::NAMED_LENGTH))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disconnected_named: Vec<String>,

    /// Controllers (Deployment, StatefulSet, …) for which an eviction did not help, as NAMESPACE/KIND
    /// NAME; 16 at most. The operator evicts no other pod of such a controller while one of its pods
    /// runs without a sidecar.
    #[schemars(length(max = limits::NAMED_LENGTH))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repair_failures: Vec<String>,
}

/// Whether the count is 0, and is left out.
fn is_none(count: &i32) -> bool {
    *count == 0
}
