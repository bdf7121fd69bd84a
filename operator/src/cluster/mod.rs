//! `GrapeCluster`, version `v1alpha1`: the only place where the API is defined.
//!
//! The types here are what the CRD's schema is generated from, so their documentation is what
//! `kubectl explain` prints. What a schema can say of a value is said here, by [`limits`] and CEL
//! rules; [`crate::validate`] turns a spec into values that can run.
//!
//! | module | fields |
//! |---|---|
//! | [`node`] | `spec.dht`, `spec.api` |
//! | [`pods`] | `spec.pools`, `spec.template`, `spec.image` |
//! | [`surroundings`] | `spec.networkPolicy`, `spec.monitoring` |
//! | [`injection`] | `spec.injection` |
//! | [`status`] | `status` |

mod defaults;
pub mod definition;
pub mod describe;
pub mod duration;
pub mod injection;
pub mod limits;
pub mod node;
pub mod pattern;
pub mod pods;
pub mod quantity;
pub mod status;
pub mod surroundings;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

pub use duration::DurationText;
pub use injection::{InjectionNamespaces, InjectionSpec, NamespacesFrom};
pub use node::{ApiSpec, DhtSpec};
pub use pods::{ImageSpec, PodTemplate, PoolSpec};
pub use status::GrapeClusterStatus;
pub use surroundings::{MonitoringSpec, NetworkPolicySpec};

/// Which Grapes a cluster has, and how they work. Every field has a default, so that `spec: {}` is
/// a good cluster of three.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[kube(
    group = "grenache.dev",
    version = "v1alpha1",
    kind = "GrapeCluster",
    plural = "grapeclusters",
    singular = "grapecluster",
    shortname = "gc",
    category = "grenache",
    namespaced,
    status = "GrapeClusterStatus",
    derive = "PartialEq",
    doc = "A cluster of Grapes: the DHT through which Grenache services find each other.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        description = "Whether all Grapes are ready and see each other.",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Grapes",
        type_ = "string",
        description = "Grapes that are ready, of those wanted.",
        json_path = ".status.summary.grapes"
    ),
    printcolumn(
        name = "Pools",
        type_ = "string",
        description = "The same, for each pool.",
        json_path = ".status.summary.pools"
    ),
    printcolumn(
        name = "Lookups",
        type_ = "string",
        description = "Canary lookups that found their peer, and how fast.",
        json_path = ".status.summary.lookups"
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        description = "What it does, or what it lacks.",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Endpoint",
        type_ = "string",
        priority = 1,
        description = "Where other Grapes join it.",
        json_path = ".status.endpoint"
    ),
    printcolumn(
        name = "Sidecars",
        type_ = "string",
        priority = 1,
        description = "Grapes in pods of services that run, of those that should.",
        json_path = ".status.summary.sidecars"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        priority = 1,
        description = "The status, as a sentence.",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message"
    ),
    validation = limits::name_rule(),
    validation = limits::names_rule()
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = limits::fixed_rule(),
    validation = limits::rest_rule(),
    validation = limits::sidecar_admin_port_rule(),
    validation = limits::sidecar_dht_port_rule()
)]
pub struct GrapeClusterSpec {
    /// How many Grapes run in all pools together, 1 to 1000; `kubectl scale` and a
    /// HorizontalPodAutoscaler set it. Defaults to 3, which keep the DHT whole while one of them
    /// restarts.
    #[schemars(range(min = *limits::REPLICAS.start(), max = *limits::REPLICAS.end()))]
    #[serde(default = "defaults::replicas")]
    pub replicas: i32,

    /// Groups of Grapes that are placed differently, such as one a zone; 32 at most. Those without
    /// replicas of their own share what is left, evenly and in this order. Without any there is one
    /// pool, called default. Let each pool have two nodes or more that its Grapes may run on: the
    /// Grape of a node that is drained starts on another one, and until it is ready the drain of any
    /// other node waits. Defaults to none.
    #[schemars(length(max = limits::POOLS_LENGTH))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    #[serde(default)]
    pub pools: Vec<PoolSpec>,

    /// The image that Grapes run. What is left out is as the operator was installed.
    #[serde(default)]
    pub image: ImageSpec,

    /// The DHT that the Grapes form among themselves, over UDP.
    #[serde(default)]
    pub dht: DhtSpec,

    /// The HTTP API that services call.
    #[serde(default)]
    pub api: ApiSpec,

    /// How the pods of all pools are made; a pool's own template goes before it.
    #[serde(default)]
    pub template: PodTemplate,

    /// Who may reach the Grapes.
    #[serde(default)]
    pub network_policy: NetworkPolicySpec,

    /// How Prometheus finds the Grapes.
    #[serde(default)]
    pub monitoring: MonitoringSpec,

    /// Services that get a Grape of this cluster into their pods, as a sidecar.
    #[serde(default)]
    pub injection: InjectionSpec,

    /// Leaves everything as it is: the operator changes no object of the cluster, and goes on
    /// observing it. Defaults to false.
    #[serde(default)]
    pub paused: bool,
}

impl Default for GrapeClusterSpec {
    fn default() -> Self {
        Self {
            replicas: defaults::replicas(),
            pools: Vec::new(),
            image: ImageSpec::default(),
            dht: DhtSpec::default(),
            api: ApiSpec::default(),
            template: PodTemplate::default(),
            network_policy: NetworkPolicySpec::default(),
            monitoring: MonitoringSpec::default(),
            injection: InjectionSpec::default(),
            paused: false,
        }
    }
}

#[cfg(test)]
mod tests;
