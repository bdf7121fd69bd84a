//! Where the Grapes run: pools, how their pods are made, and the image in them.

mod schemas;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, EnvVar, HostAlias, LocalObjectReference, PodDNSConfig, PodSecurityContext,
    Toleration, TopologySpreadConstraint,
};
use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::limits;
use super::quantity::QuantityText;

/// A pool: a group of Grapes that are placed alike.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PoolSpec {
    /// The name of the pool, unique in the cluster: lower-case letters, digits and '-', 30 characters
    /// at most. The StatefulSet of the pool is CLUSTER-POOL, such as market-zone-1.
    #[schemars(length(max = limits::POOL_NAME_LENGTH))]
    #[x_kube(validation = limits::shape(limits::POOL_NAME_PATTERN, limits::POOL_NAME_EXPECTED))]
    pub name: String,

    /// How many Grapes the pool has, 0 to 1000, whatever spec.replicas is. Without it the pool gets
    /// its share of the Grapes that remain.
    #[schemars(range(min = *limits::POOL_REPLICAS.start(), max = *limits::POOL_REPLICAS.end()))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,

    /// How the pods of the pool are made. A field that is set here overrides the one in
    /// spec.template; labels, annotations and nodeSelector are merged key by key. dnsPolicy and
    /// dnsConfig go together: a pool that sets one of them takes neither from spec.template.
    #[serde(default)]
    pub template: PodTemplate,
}

/// How pods are made.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = limits::pods::dns_rule())]
pub struct PodTemplate {
    /// Labels of the pods; 64 at most.
    #[schemars(extend("maxProperties" = limits::ENTRIES))]
    #[x_kube(validation = Rule::new(limits::LABELS_RULE).message(&*limits::must_be(limits::LABELS_EXPECTED)))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,

    /// Annotations of the pods; 64 at most.
    #[schemars(extend("maxProperties" = limits::ENTRIES))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,

    /// Labels that a node must have; 64 at most.
    #[schemars(extend("maxProperties" = limits::ENTRIES))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,

    /// Taints of nodes that the pods tolerate; 32 at most.
    #[schemars(length(max = limits::PLACEMENTS_LENGTH))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerations: Option<Vec<Toleration>>,

    /// Which nodes the pods need or prefer, and which other pods they want beside them or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,

    /// How the pods spread over zones and nodes; 32 at most. A constraint without a labelSelector
    /// counts the cluster's Grapes. Defaults to spreading over zones and nodes where possible.
    #[schemars(length(max = limits::PLACEMENTS_LENGTH))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology_spread_constraints: Option<Vec<TopologySpreadConstraint>>,

    /// The PriorityClass of the pods.
    #[schemars(length(max = limits::PRIORITY_CLASS_LENGTH))]
    #[x_kube(
        validation = limits::shape(limits::PRIORITY_CLASS_PATTERN, limits::PRIORITY_CLASS_EXPECTED)
    )]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,

    /// CPU and memory of a Grape. Defaults to requests of 20m CPU and 32Mi memory, and a limit of
    /// 128Mi memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// More environment variables of the Grapes; 32 at most. POD_IP and names that start with GRAPE_
    /// are the operator's.
    #[schemars(schema_with = "schemas::env")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<EnvVar>>,

    /// Which name servers the pods ask. ClusterFirst: those of the Kubernetes cluster. None: those of
    /// dnsConfig, which must have nameservers. The Grapes find each other by the name
    /// CLUSTER.NAMESPACE.svc, so these name servers must know the names of the Kubernetes cluster.
    /// Defaults to ClusterFirst.
    #[schemars(schema_with = "schemas::dns_policy")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_policy: Option<DnsPolicy>,

    /// Name servers, search domains and resolver options of the pods. With dnsPolicy: None, the pods
    /// have nothing else: searches needs the domain of the Kubernetes cluster, such as cluster.local,
    /// and options needs ndots with a value of 3 or more.
    #[schemars(schema_with = "schemas::dns_config")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_config: Option<PodDNSConfig>,

    /// Names and addresses in the file /etc/hosts of the pods; 16 addresses at most.
    #[schemars(schema_with = "schemas::host_aliases")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_aliases: Option<Vec<HostAlias>>,

    /// The security context of the pods. A field that is set here overrides the operator's:
    /// runAsNonRoot: true, and seccompProfile with type: RuntimeDefault; sysctls are merged by name.
    /// Only what Pod Security restricted allows can be set.
    #[schemars(schema_with = "schemas::security_context")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_context: Option<PodSecurityContext>,
}

/// Which name servers pods ask.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsPolicy {
    /// Those of the Kubernetes cluster.
    ClusterFirst,
    /// Those of the template alone.
    None,
}

/// CPU and memory of a Grape.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// What Kubernetes reserves for it, such as cpu: 20m and memory: 32Mi.
    #[schemars(extend("maxProperties" = limits::ENTRIES))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, QuantityText>,

    /// What it may use at most, such as memory: 128Mi.
    #[schemars(extend("maxProperties" = limits::ENTRIES))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, QuantityText>,
}

/// The image that Grapes run.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ImageSpec {
    /// The image without tag and digest, such as grenache/grape. Defaults to the one that the operator
    /// was installed with.
    #[schemars(length(max = limits::REPOSITORY_LENGTH))]
    #[x_kube(validation = limits::shape(limits::REPOSITORY_PATTERN, limits::REPOSITORY_EXPECTED))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,

    /// The tag, such as 0.1.0. Without tag and digest, the tag that the operator was installed with.
    #[schemars(length(max = limits::TAG_LENGTH))]
    #[x_kube(validation = limits::shape(limits::TAG_PATTERN, limits::TAG_EXPECTED))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,

    /// The digest: sha256: and 64 hex digits. It overrides the tag.
    #[schemars(length(max = limits::DIGEST_LENGTH))]
    #[x_kube(validation = limits::shape(limits::DIGEST_PATTERN, limits::DIGEST_EXPECTED))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,

    /// When nodes pull the image. Defaults to Always for the tag latest, else IfNotPresent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_policy: Option<PullPolicy>,

    /// Secrets of type kubernetes.io/dockerconfigjson in the cluster's namespace, with which nodes pull
    /// the image; 16 at most.
    #[schemars(length(max = limits::PULL_SECRETS_LENGTH))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pull_secrets: Vec<LocalObjectReference>,
}

/// When nodes pull an image.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullPolicy {
    /// Whenever a pod starts.
    Always,
    /// When a node does not have the image.
    IfNotPresent,
    /// Never: the nodes must already have the image.
    Never,
}
