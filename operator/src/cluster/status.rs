//! What the operator tells of a cluster. Every list is bounded.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::limits;

/// What the operator has done and seen. It is written when it changes, and at no other time.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct GrapeClusterStatus {
    /// The metadata.generation of the spec that all else here is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// How many Grapes there are, whether they are ready or not.
    #[serde(default)]
    pub replicas: i32,

    /// How many are ready: joined to the others.
    #[serde(default)]
    pub ready_replicas: i32,

    /// How many are as the spec wants them.
    #[serde(default)]
    pub updated_replicas: i32,

    /// The label selector of the Grapes' pods, for a HorizontalPodAutoscaler.
    #[serde(default)]
    pub selector: String,

    /// Where other Grapes join the cluster, as HOST:PORT with a UDP port.
    #[serde(default)]
    pub endpoint: String,

    /// The image that the Grapes are to run.
    #[serde(default)]
    pub image: String,

    /// The image of the last change that reached all Grapes. Pods of services that are made get it, so
    /// that an image which does not start reaches one Grape and no service.
    #[serde(default)]
    pub rolled_out_image: String,

    /// The cluster in a few words, for people.
    #[serde(default)]
    pub summary: Summary,

    /// The pools in the order of the spec, and then those that are on their way out.
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    #[serde(default)]
    pub pools: Vec<PoolStatus>,

    /// Which Grapes see each other. Without it none has answered yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology: Option<Topology>,

    /// The pods of services that are to have a Grape of the cluster. Without it there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub injected: Option<InjectedStatus>,

    /// Ready, Progressing, Stalled, Bootstrapped, LookupHealthy and Partitioned; Injected, where
    /// pods of services are to have a Grape; BootstrapReachable, where spec.dht.bootstrap has names;
    /// and OtherNetworks, while Grapes of other networks are heard. Stalled is True while something is
    /// refused, or a change stops, until somebody changes something.
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// A cluster in a few words.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Grapes that are ready, of those wanted, as in 3/3.
    #[serde(default)]
    pub grapes: String,

    /// The same for each pool, as in zone-1 4/4, zone-2 2/2.
    #[serde(default)]
    pub pools: String,

    /// Canary lookups among the cluster's own Grapes that found their peer, and the bound that 95 of 100 stay under, as in
    /// 100% <10ms.
    #[serde(default)]
    pub lookups: String,

    /// Grapes in pods of services that run, of those that should, as in 12/12.
    #[serde(default)]
    pub sidecars: String,
}

/// What there is of a pool.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PoolStatus {
    /// Its name.
    pub name: String,

    /// How many Grapes it is to have.
    #[serde(default)]
    pub desired: i32,

    /// How many it has.
    #[serde(default)]
    pub replicas: i32,

    /// How many of them are ready.
    #[serde(default)]
    pub ready_replicas: i32,

    /// How many are as the spec wants them.
    #[serde(default)]
    pub updated_replicas: i32,
}

/// Which Grapes see each other.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Topology {
    /// How many Grapes of the cluster answered the operator.
    #[serde(default)]
    pub answered: i32,

    /// How many other nodes of the DHT the Grape that knows most of them knows.
    #[serde(default)]
    pub most_known: i32,

    /// How many the Grape that knows fewest knows.
    #[serde(default)]
    pub least_known: i32,

    /// How many they know on the average, rounded.
    #[serde(default)]
    pub mean_known: i32,

    /// How many groups of Grapes there are that do not see each other; 1 is well.
    #[serde(default)]
    pub islands: i32,

    /// These groups, the largest first, if there is more than one; 8 at most.
    #[schemars(length(max = limits::ISLANDS_LENGTH))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub islands_named: Vec<Island>,

    /// Grapes that did not answer; 16 at most.
    #[schemars(length(max = limits::NAMED_LENGTH))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreachable: Vec<String>,
}

/// Grapes that see each other, and no others.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Island {
    /// How many Grapes.
    pub size: i32,

    /// Their pods; 16 at most.
    #[schemars(length(max = limits::NAMED_LENGTH))]
    #[serde(default)]
    pub grapes: Vec<String>,
}

/// The pods of services that are to have a Grape of the cluster, those on their way out left out.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct InjectedStatus {
    /// How many there are.
    #[serde(default)]
    pub pods: i32,

    /// In how many the Grape runs.
    #[serde(default)]
    pub ready: i32,

    /// In how many it was made with another image than pods get that are made now.
    #[serde(default)]
    pub outdated: i32,

    /// How many run without their Grape.
    #[serde(default)]
    pub missing: i32,

    /// These, as NAMESPACE/NAME; 16 at most.
    #[schemars(length(max = limits::NAMED_LENGTH))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_named: Vec<String>,

    /// How many have a Grape that is connected with none of the cluster's own.
    #[serde(default, skip_serializing_if = "is_none")]
    pub disconnected: i32,

    /// These, as NAMESPACE/NAME; 16 at most.
    #[schemars(length(max = limits::NAMED_LENGTH))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disconnected_named: Vec<String>,

    /// Controllers of which a pod was evicted and came back no better, as NAMESPACE/KIND NAME; 16 at
    /// most. No pod of theirs is evicted while one of them runs without its Grape.
    #[schemars(length(max = limits::NAMED_LENGTH))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repaired_in_vain: Vec<String>,
}

/// Whether there is none to tell of.
fn is_none(count: &i32) -> bool {
    *count == 0
}
