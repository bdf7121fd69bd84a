//! The schemas of what a template says of the pods themselves. The types are Kubernetes' own; its
//! schemas know no bounds, and allow what Pod Security restricted does not.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::limits::pods as limits;
use crate::quantity;

/// `env`.
pub(super) fn env(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": limits::ENV_LENGTH,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": {
            "type": "object",
            "required": ["name"],
            "x-kubernetes-validations": [limits::env_source_rule()],
            "properties": {
                "name": {
                    "description": "The name of the variable.",
                    "type": "string",
                    "maxLength": limits::ENV_NAME_LENGTH,
                    "x-kubernetes-validations": [limits::env_name_rule()],
                },
                "value": {
                    "description": "The value of the variable. Kubernetes replaces $(NAME) by the value \
                        of the variable NAME, if NAME stands before it in the list.",
                    "type": "string",
                    "maxLength": limits::ENV_VALUE_LENGTH,
                },
                "valueFrom": value_from(),
            },
        },
    })
}

fn value_from() -> Value {
    let key_of = |what: &str| {
        json!({
            "description": format!("A key of a {what} in the namespace of the cluster."),
            "type": "object",
            "required": ["name", "key"],
            "properties": {
                "name": text(&format!("The name of the {what}.")),
                "key": text("The key whose value the variable gets."),
                "optional": {
                    "description": format!("While true, the pods start without the {what} or the key."),
                    "type": "boolean",
                },
            },
        })
    };
    json!({
        "description": "Where the value comes from: exactly one of configMapKeyRef, fieldRef, \
            resourceFieldRef and secretKeyRef.",
        "type": "object",
        "x-kubernetes-validations": [limits::env_from_rule()],
        "properties": {
            "configMapKeyRef": key_of("ConfigMap"),
            "secretKeyRef": key_of("Secret"),
            "fieldRef": {
                "description": "A field of the pod.",
                "type": "object",
                "required": ["fieldPath"],
                "properties": {
                    "apiVersion": text("The version of the API that has the field. Defaults to v1."),
                    "fieldPath": text("The path of the field, such as spec.nodeName."),
                },
            },
            "resourceFieldRef": {
                "description": "CPU or memory of a container of the pod.",
                "type": "object",
                "required": ["resource"],
                "properties": {
                    "containerName": text("The name of the container: grape."),
                    "resource": text("What of it, such as limits.memory."),
                    "divisor": {
                        "description": "The unit of the value, such as 1Mi. Defaults to 1.",
                        "type": "string",
                        "maxLength": quantity::MAX_LENGTH,
                        "pattern": quantity::PATTERN,
                    },
                },
            },
        },
    })
}

/// `hostAliases`.
pub(super) fn host_aliases(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": limits::HOST_ALIASES_LENGTH,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["ip"],
        "items": {
            "type": "object",
            "required": ["ip"],
            "properties": {
                "ip": address("The address of the host."),
                "hostnames": {
                    "description": "The names of the host; 8 at most.",
                    "type": "array",
                    "maxItems": limits::HOSTNAMES_LENGTH,
                    "x-kubernetes-list-type": "atomic",
                    "items": domain(),
                },
            },
        },
    })
}

/// `dnsPolicy`.
pub(super) fn dns_policy(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["ClusterFirst", "None"] })
}

/// `dnsConfig`.
pub(super) fn dns_config(_: &mut SchemaGenerator) -> Schema {
    let option = |description: &str| {
        json!({
            "description": description,
            "type": "string",
            "maxLength": limits::DNS_OPTION_LENGTH,
        })
    };
    json_schema!({
        "type": "object",
        "properties": {
            "nameservers": {
                "description": "Addresses of name servers; 3 at most. With dnsPolicy: ClusterFirst \
                    they are asked after the cluster's.",
                "type": "array",
                "maxItems": limits::NAMESERVERS_LENGTH,
                "x-kubernetes-list-type": "atomic",
                "items": address("The address of a name server."),
            },
            "searches": {
                "description": "Domains in which names are searched; 32 at most. With dnsPolicy: None, \
                    one of them must be the domain of the Kubernetes cluster, such as cluster.local.",
                "type": "array",
                "maxItems": limits::SEARCHES_LENGTH,
                "x-kubernetes-list-type": "atomic",
                "x-kubernetes-validations": [limits::searches_rule()],
                "items": domain(),
            },
            "options": {
                "description": "Options of the resolver; 16 at most. With dnsPolicy: None, ndots must be \
                    3 or more.",
                "type": "array",
                "maxItems": limits::DNS_OPTIONS_LENGTH,
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": option("The name of the option, such as ndots."),
                        "value": option("The value of the option, such as \"5\"."),
                    },
                },
            },
        },
    })
}

/// `securityContext`.
pub(super) fn security_context(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "runAsNonRoot": {
                "description": "Whether nodes refuse to run the pods as root; true or left out. \
                    Defaults to true.",
                "type": "boolean",
                "x-kubernetes-validations": [limits::non_root_rule()],
            },
            "runAsUser": {
                "description": "The ID of the user that runs the Grapes, 1 to 2147483647.",
                "type": "integer",
                "format": "int64",
                "x-kubernetes-validations": [limits::user_rule()],
            },
            "runAsGroup": group("The ID of the group that runs the Grapes."),
            "fsGroup": group("The ID of the group that owns the volumes of the pods."),
            "fsGroupChangePolicy": one_of(
                "When the owner of volumes is changed to fsGroup: OnRootMismatch or Always.",
                &limits::FS_GROUP_POLICIES,
            ),
            "supplementalGroups": {
                "description": "IDs of more groups that run the Grapes; 32 at most.",
                "type": "array",
                "maxItems": limits::GROUPS_LENGTH,
                "x-kubernetes-list-type": "atomic",
                "items": group("The ID of a group."),
            },
            "supplementalGroupsPolicy": one_of(
                "Whether the groups that the image names are added: Merge or Strict.",
                &limits::GROUPS_POLICIES,
            ),
            "seccompProfile": profile("seccomp", " Defaults to type: RuntimeDefault."),
            "appArmorProfile": profile("AppArmor", ""),
            "seLinuxChangePolicy": one_of(
                "How volumes get the SELinux label: MountOption or Recursive.",
                &limits::SE_LINUX_POLICIES,
            ),
            "seLinuxOptions": {
                "description": "The SELinux label of the Grapes.",
                "type": "object",
                "properties": {
                    "level": text("The SELinux level."),
                    "type": one_of("The SELinux type.", &limits::SE_LINUX_TYPES),
                    "user": unset("The SELinux user; empty or left out."),
                    "role": unset("The SELinux role; empty or left out."),
                },
            },
            "sysctls": {
                "description": "Kernel settings of the pods; 12 at most, of those that Pod Security \
                    restricted allows.",
                "type": "array",
                "maxItems": limits::SYSCTLS_LENGTH,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
                "items": {
                    "type": "object",
                    "required": ["name", "value"],
                    "properties": {
                        "name": one_of("The name of the setting.", &limits::SYSCTLS),
                        "value": text("The value of the setting."),
                    },
                },
            },
            "windowsOptions": {
                "description": "Must be left out: Grapes run on Linux.",
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": true,
                "x-kubernetes-validations": [limits::windows_rule()],
            },
        },
    })
}

fn profile(of: &str, default: &str) -> Value {
    json!({
        "description": format!("The {of} profile of the Grapes.{default}"),
        "type": "object",
        "required": ["type"],
        "x-kubernetes-validations": [limits::profile_rule()],
        "properties": {
            "type": one_of(
                "RuntimeDefault: the profile of the container runtime. Localhost: the profile \
                 localhostProfile on the node.",
                &limits::PROFILES,
            ),
            "localhostProfile": text("The name of a profile on the node."),
        },
    })
}

fn text(description: &str) -> Value {
    json!({
        "description": description,
        "type": "string",
        "maxLength": limits::TEXT_LENGTH,
    })
}

fn unset(description: &str) -> Value {
    json!({
        "description": description,
        "type": "string",
        "maxLength": limits::TEXT_LENGTH,
        "x-kubernetes-validations": [limits::se_linux_rule()],
    })
}

fn one_of(description: &str, values: &[&str]) -> Value {
    json!({ "description": description, "type": "string", "enum": values })
}

fn group(description: &str) -> Value {
    json!({
        "description": description,
        "type": "integer",
        "format": "int64",
        "x-kubernetes-validations": [limits::group_rule()],
    })
}

fn address(description: &str) -> Value {
    json!({
        "description": description,
        "type": "string",
        "maxLength": limits::ADDRESS_LENGTH,
        "x-kubernetes-validations": [limits::address_rule()],
    })
}

fn domain() -> Value {
    json!({
        "type": "string",
        "maxLength": limits::DOMAIN_LENGTH,
        "x-kubernetes-validations": [crate::limits::shape(
            limits::DOMAIN_PATTERN,
            limits::DOMAIN_EXPECTED,
        )],
    })
}
