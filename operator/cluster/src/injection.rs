//! Services whose pods get a Grape of the cluster as a sidecar.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube_derive::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::limits;
use super::pods::Resources;

/// Which services get a Grape of this cluster as a sidecar in their pods, and how. A pod asks for a
/// sidecar by the label grenache.dev/cluster, of the pod or of its namespace.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct InjectionSpec {
    /// The namespaces whose pods may have a sidecar of this cluster.
    #[serde(default)]
    pub namespaces: InjectionNamespaces,

    /// CPU and memory of each sidecar. Defaults to requests of 10m CPU and 16Mi memory and a limit of
    /// 64Mi memory; in a pod of the QoS class Guaranteed, to values that keep the pod in that class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// TCP port of the admin pages of each sidecar, 1024 to 65535. Change it if services use 9091
    /// themselves. The annotation grenache.dev/admin-port of a pod overrides it. Defaults to 9091.
    #[schemars(range(min = *limits::SIDECAR_PORT.start(), max = *limits::SIDECAR_PORT.end()))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_port: Option<i32>,

    /// UDP port of the DHT of each sidecar, 1024 to 65535. The annotation grenache.dev/dht-port of a
    /// pod overrides it. Defaults to spec.dht.port.
    #[schemars(range(min = *limits::SIDECAR_PORT.start(), max = *limits::SIDECAR_PORT.end()))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dht_port: Option<i32>,

    /// While true, the operator evicts pods that ask for a sidecar and run without one, such as pods
    /// that started while the operator was down. It evicts only pods whose controller creates them
    /// again. Defaults to false.
    #[serde(default)]
    pub repair: bool,
}

/// The namespaces whose pods may have a sidecar of this cluster.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = limits::selector_rule())]
pub struct InjectionNamespaces {
    /// Same: the cluster's own namespace. All: every namespace. Selector: namespaces that match the
    /// field selector; the cluster's own namespace must match too. Defaults to Same.
    #[serde(default)]
    pub from: NamespacesFrom,

    /// Labels of the namespaces. Set it only with from: Selector. 16 labels and 16 expressions at
    /// most. An empty selector matches every namespace.
    #[schemars(schema_with = "selector_schema")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// Which namespaces.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NamespacesFrom {
    /// The cluster's own.
    #[default]
    Same,
    /// Every one.
    All,
    /// Those with labels.
    Selector,
}

/// Kubernetes' own schema knows no bounds, and takes operators that there are not.
fn selector_schema(_: &mut SchemaGenerator) -> Schema {
    let text = json_schema!({"type": "string", "maxLength": limits::LABEL_KEY_LENGTH});
    json_schema!({
        "type": "object",
        "nullable": true,
        "properties": {
            "matchLabels": {
                "description": "Labels that a namespace must have.",
                "type": "object",
                "nullable": true,
                "maxProperties": limits::SELECTOR_LENGTH,
                "additionalProperties": text,
            },
            "matchExpressions": {
                "description": "What else must be so of its labels, all of it.",
                "type": "array",
                "nullable": true,
                "maxItems": limits::SELECTOR_LENGTH,
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "x-kubernetes-validations": [limits::expression_rule()],
                    "properties": {
                        "key": {
                            "description": "The key of a label.",
                            "type": "string",
                            "minLength": 1,
                            "maxLength": limits::LABEL_KEY_LENGTH,
                        },
                        "operator": {
                            "description": "In and NotIn compare the label's value with values, \
                                Exists and DoesNotExist tell whether there is such a label.",
                            "type": "string",
                            "enum": limits::SELECTOR_OPERATORS,
                        },
                        "values": {
                            "description": "Values to compare with, for In and NotIn; 16 at most.",
                            "type": "array",
                            "nullable": true,
                            "maxItems": limits::SELECTOR_LENGTH,
                            "x-kubernetes-list-type": "atomic",
                            "items": text,
                        },
                    },
                },
            },
        },
    })
}
