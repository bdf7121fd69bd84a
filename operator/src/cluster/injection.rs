//! Services whose pods get a Grape of the cluster as a sidecar.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::limits;
use super::pods::Resources;

/// Which services get a Grape of the cluster into their pods, and what kind of one. A pod asks for
/// it by the label grenache.dev/cluster, of its own or of its namespace.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct InjectionSpec {
    /// The namespaces whose pods may have one.
    #[serde(default)]
    pub namespaces: InjectionNamespaces,

    /// CPU and memory of each such Grape. Without it, it asks for 10m of CPU and 16Mi of memory, and
    /// may have 64Mi; in a pod of the class Guaranteed as much as keeps it in that class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// TCP port of the admin pages of each such Grape, 1024 to 65535, for services that have 9091
    /// themselves. The annotation grenache.dev/admin-port of a pod goes before it. Defaults to 9091.
    #[schemars(range(min = *limits::SIDECAR_PORT.start(), max = *limits::SIDECAR_PORT.end()))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_port: Option<i32>,

    /// UDP port of the DHT of each such Grape, 1024 to 65535. The annotation grenache.dev/dht-port of
    /// a pod goes before it. Defaults to spec.dht.port.
    #[schemars(range(min = *limits::SIDECAR_PORT.start(), max = *limits::SIDECAR_PORT.end()))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dht_port: Option<i32>,

    /// Evicts pods that ask for a Grape and run without one, such as those that started while the
    /// operator could not be reached. Only those with a controller, which makes them anew. Defaults
    /// to false.
    #[serde(default)]
    pub repair: bool,
}

/// The namespaces whose pods may have a Grape of the cluster.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = limits::selector_rule())]
pub struct InjectionNamespaces {
    /// Same is the cluster's own namespace, All is every namespace, Selector those that the selector
    /// finds: the cluster's own too only if it is among them. Defaults to Same.
    #[serde(default)]
    pub from: NamespacesFrom,

    /// The labels of the namespaces, with from: Selector; 16 labels and 16 expressions at most. An
    /// empty one finds all.
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
