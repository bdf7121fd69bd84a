//! What each Grape does: its DHT node and its HTTP API.

use kube_derive::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{DurationText, defaults, limits};

/// The DHT that the Grapes form among themselves, over UDP.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = limits::network_stays_rule())]
pub struct DhtSpec {
    /// UDP port of the DHT, 1 to 65535. Immutable: Grapes with the old port and Grapes with the new
    /// port could not find each other. Defaults to 20001.
    #[schemars(range(min = *limits::PORT.start(), max = *limits::PORT.end()))]
    #[x_kube(validation = Rule::new(limits::FINAL_RULE).message(limits::FINAL_PORT))]
    #[serde(default = "defaults::dht_port")]
    pub port: i32,

    /// How many queries one lookup may have in flight, 1 to 1024. Defaults to 24.
    #[schemars(range(min = *limits::CONCURRENCY.start(), max = *limits::CONCURRENCY.end()))]
    #[serde(default = "defaults::concurrency")]
    pub concurrency: i32,

    /// How long an announce is valid, 1s to 24h. Services announce every second. A shorter time
    /// removes a dead service from lookups sooner. Defaults to 120s.
    #[x_kube(validation = limits::AGE.rule())]
    #[serde(default = "defaults::peer_max_age")]
    pub peer_max_age: DurationText,

    /// How often a Grape refreshes its routing table by a lookup through the DHT, 1s to 24h. Defaults
    /// to 300s.
    #[x_kube(validation = limits::AGE.rule())]
    #[serde(default = "defaults::node_liveness")]
    pub node_liveness: DurationText,

    /// How many service names a Grape stores for the network, and how many lookup results it caches,
    /// 1 to 1000000. Beyond it the address with the most stored peers makes room. Defaults to 5000.
    #[schemars(range(min = *limits::TABLES.start(), max = *limits::TABLES.end()))]
    #[serde(default = "defaults::max_tables")]
    pub max_tables: i32,

    /// How many items (`/put` and `/get`) a Grape stores, 1 to 1000000. Beyond it the address that put
    /// the most makes room. Defaults to 5000.
    #[schemars(range(min = *limits::VALUES.start(), max = *limits::VALUES.end()))]
    #[serde(default = "defaults::max_values")]
    pub max_values: i32,

    /// Grapes outside this cluster to join, as `HOST:PORT` with the UDP port of their DHT, such as
    /// old-grape.prod:20001; Node.js Grapes too; 64 at most. The Grapes of this cluster find each
    /// other without it. If such a Grape has a network name, it must be the one of this cluster: see
    /// the field network. Defaults to none.
    #[schemars(
        length(max = limits::BOOTSTRAP_LENGTH),
        extend("items" = {
            "type": "string",
            "maxLength": limits::HOST_PORT_LENGTH,
            "x-kubernetes-validations": [limits::host_port_rule()],
        })
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[serde(default)]
    pub bootstrap: Vec<String>,

    /// Networks, as `IP/PREFIX`, in which Grapes of one address are independent of each other: a public
    /// network of pods, a NAT, a host of many Grapes; 64 at most. Once a Grape knows more than 40 others,
    /// it lets at most 2 of one address stand near a name, and at most 5 of one public /24 of IPv4 or /64
    /// of IPv6, so that one host cannot take the name over. Networks in this list are exempt. Defaults
    /// to none, which fits pods with private addresses.
    #[schemars(
        length(max = limits::TRUST_NETS_LENGTH),
        extend("items" = {
            "type": "string",
            "maxLength": limits::SUBNET_LENGTH,
            "x-kubernetes-validations": [limits::shape(limits::SUBNET_PATTERN, limits::SUBNET_EXPECTED)],
        })
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trust_nets: Vec<String>,

    /// The name of the network that the Grapes and the sidecars belong to, 253 characters at most.
    /// Grapes of different networks refuse each other, so two clusters stay apart even when a pod
    /// gets an address that a pod of the other cluster had before. Grapes without a network name,
    /// such as Node.js ones, belong to every network. Give two clusters the same name to join them.
    /// Immutable. Defaults to NAMESPACE.NAME of this GrapeCluster; with spec.dht.bootstrap, to no
    /// name.
    #[schemars(length(max = limits::NETWORK_LENGTH))]
    #[x_kube(
        validation = limits::shape(limits::NETWORK_PATTERN, limits::NETWORK_EXPECTED),
        validation = Rule::new(limits::FINAL_RULE).message(limits::FINAL_NETWORK),
    )]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
}

impl Default for DhtSpec {
    fn default() -> Self {
        Self {
            port: defaults::dht_port(),
            concurrency: defaults::concurrency(),
            peer_max_age: defaults::peer_max_age(),
            node_liveness: defaults::node_liveness(),
            max_tables: defaults::max_tables(),
            max_values: defaults::max_values(),
            bootstrap: Vec::new(),
            trust_nets: Vec::new(),
            network: None,
        }
    }
}

/// The HTTP API that services call.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ApiSpec {
    /// TCP port of the API, 1 to 65535, but not 9091, the port of a Grape's admin pages. For a port
    /// under 1024, pods get the sysctl net.ipv4.ip_unprivileged_port_start=0. Defaults to 30001.
    #[schemars(range(min = *limits::PORT.start(), max = *limits::PORT.end()))]
    #[x_kube(validation = Rule::new(limits::API_PORT_RULE).message(&*limits::must_be(limits::API_PORT_EXPECTED)))]
    #[serde(default = "defaults::api_port")]
    pub port: i32,

    /// Largest body of a request in bytes, 1024 to 1048576. A Grape answers a larger request with
    /// status 413. Defaults to 8192.
    #[schemars(range(min = *limits::PAYLOAD.start(), max = *limits::PAYLOAD.end()))]
    #[serde(default = "defaults::max_payload_size")]
    pub max_payload_size: i32,
}

impl Default for ApiSpec {
    fn default() -> Self {
        Self { port: defaults::api_port(), max_payload_size: defaults::max_payload_size() }
    }
}
