//! `GrapeCluster`, version `v1alpha1`: the only place where the API is defined.
//!
//! [`manifest`] reads and writes files of it; [`validate`] turns a spec into values that can run. The
//! crate knows no API server, so local mode compiles no client of one.
//!
//! The types here are what the CRD's schema is generated from, so their documentation is what
//! `kubectl explain` prints. What a schema can say of a value is said here, by [`limits`] and CEL
//! rules.
//!
//! | module | fields |
//! |---|---|
//! | [`node`] | `spec.dht`, `spec.api` |
//! | [`pods`] | `spec.pools`, `spec.template`, `spec.image` |
//! | [`integrations`] | `spec.networkPolicy`, `spec.monitoring` |
//! | [`injection`] | `spec.injection` |
//! | [`status`] | `status` |

#![cfg_attr(test, allow(clippy::unwrap_used))]

// The derives of `kube-derive` name the crate `kube`, whose client local mode would have to compile.
extern crate self as kube;

pub mod crd;
mod defaults;
pub mod describe;
pub mod duration;
pub mod image;
pub mod injection;
pub mod integrations;
pub mod limits;
pub mod manifest;
pub mod nearest;
pub mod node;
pub mod pattern;
pub mod pods;
pub mod quantity;
pub mod status;
pub mod validate;

#[doc(hidden)]
pub use kube_core as core;
use kube_derive::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

pub use duration::DurationText;
pub use injection::{InjectionNamespaces, InjectionSpec, NamespacesFrom};
pub use integrations::{MonitoringSpec, NetworkPolicySpec};
pub use node::{ApiSpec, DhtSpec};
pub use pods::{DnsPolicy, ImageSpec, PodTemplate, PoolSpec};
pub use status::GrapeClusterStatus;

/// Which Grapes a cluster has, and how they work. Every field has a default, so that `spec: {}` is
/// a good cluster of three.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[kube(
    group = "grenache.dev",
    version = "v1alpha1",
    kind = "GrapeCluster",
    plural = "grapeclusters",
    singular = "grapecluster",
    shortname = "grapes",
    shortname = "gcl",
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
        description = "Whether all Grapes are ready and connected, and lookups succeed.",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Grapes",
        type_ = "string",
        description = "Ready Grapes / wanted Grapes.",
        json_path = ".status.summary.grapes"
    ),
    printcolumn(
        name = "Pools",
        type_ = "string",
        description = "Ready Grapes / wanted Grapes of each pool.",
        json_path = ".status.summary.pools"
    ),
    printcolumn(
        name = "Lookups",
        type_ = "string",
        description = "Share of test lookups that succeeded, and the time that 95 % of them stay under.",
        json_path = ".status.summary.lookups"
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        description = "The reason of the condition Ready.",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Endpoint",
        type_ = "string",
        priority = 1,
        description = "Where other Grapes join the cluster: HOST:PORT (UDP).",
        json_path = ".status.endpoint"
    ),
    printcolumn(
        name = "Sidecars",
        type_ = "string",
        priority = 1,
        description = "Ready sidecars / pods that ask for a sidecar.",
        json_path = ".status.summary.sidecars"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        priority = 1,
        description = "The message of the condition Ready.",
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
    /// How many Grapes run in all pools together, 1 to 1000. `kubectl scale` and a
    /// HorizontalPodAutoscaler set it. Defaults to 3, so that the DHT works on while one of them
    /// restarts.
    #[schemars(range(min = *limits::REPLICAS.start(), max = *limits::REPLICAS.end()))]
    #[serde(default = "defaults::replicas")]
    pub replicas: i32,

    /// Groups of Grapes that are placed differently, such as one in each zone; 32 at most. Pools
    /// without replicas split the remaining Grapes evenly; earlier pools get the extra ones. An empty
    /// list means one pool, called default. Each pool needs two or more nodes that its Grapes may run
    /// on: when a node is drained, its Grape starts on another node, and drains of other nodes wait
    /// until this Grape is ready. Defaults to none.
    #[schemars(length(max = limits::POOLS_LENGTH))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    #[serde(default)]
    pub pools: Vec<PoolSpec>,

    /// The image of the Grapes. A field that is left out has the value that the operator was installed
    /// with.
    #[serde(default)]
    pub image: ImageSpec,

    /// The DHT that the Grapes form among themselves, over UDP.
    #[serde(default)]
    pub dht: DhtSpec,

    /// The HTTP API that services call.
    #[serde(default)]
    pub api: ApiSpec,

    /// How the pods of all pools are made. A pool's own template overrides it.
    #[serde(default)]
    pub template: PodTemplate,

    /// Who may reach the Grapes.
    #[serde(default)]
    pub network_policy: NetworkPolicySpec,

    /// How Prometheus finds the Grapes.
    #[serde(default)]
    pub monitoring: MonitoringSpec,

    /// Which services get a Grape of this cluster as a sidecar in their pods, and how.
    #[serde(default)]
    pub injection: InjectionSpec,

    /// While true, the operator changes no object of the cluster, but still observes the cluster.
    /// Defaults to false.
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
