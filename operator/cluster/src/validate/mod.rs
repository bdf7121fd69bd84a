//! From a spec, as its author wrote it, to a cluster that can run. Pure.
//!
//! On a cluster the API server has held a spec to the schema already. A file in local mode has
//! met no API server, and a cluster may have been stored under an older schema, so that all of it
//! is checked here: [`ValidatedCluster`] is the only input to what runs.

mod check;
mod injection;
mod node;
mod pods;
mod pools;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use grape::config::HostPort;
use ipnet::IpNet;
use kube_core::{Selector, SelectorExt};

use crate::image;
use crate::limits;
use crate::pods::Resources;
use crate::{GrapeCluster, GrapeClusterSpec, ImageSpec, PodTemplate};
use check::Check;

/// A cluster whose every value is within its bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidatedCluster {
    /// Its name, a DNS label that starts with a letter.
    pub name: String,
    /// How many Grapes it has, at least one: the sum of its pools.
    pub replicas: usize,
    /// Its pools, at least one, in the order of the spec.
    pub pools: Vec<Pool>,
    /// What is known of the image.
    pub image: ImageSpec,
    /// The image of the last rollout that reached all Grapes, from the status; `None` before the
    /// first.
    pub rolled_out: Option<String>,
    /// The DHT of its Grapes.
    pub dht: Dht,
    /// The API of each of its Grapes.
    pub api: Api,
    /// Whether it has a NetworkPolicy.
    pub network_policy: bool,
    /// The labels of its ServiceMonitor, if it has one.
    pub service_monitor: Option<BTreeMap<String, String>>,
    /// Which pods of services have a Grape of it.
    pub injection: Injection,
    /// Whether the operator leaves it as it is.
    pub paused: bool,
}

/// A pool with its share of the cluster's Grapes.
#[derive(Debug, Clone, PartialEq)]
pub struct Pool {
    /// Its name, unique in the cluster.
    pub name: String,
    /// How many Grapes it has; none is possible.
    pub replicas: usize,
    /// How its pods are made: its own template over the cluster's.
    pub template: PodTemplate,
}

/// See [`DhtSpec`](crate::DhtSpec).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dht {
    /// UDP port, 1 to 65535.
    pub port: u16,
    /// Most queries in flight of one lookup.
    pub concurrency: usize,
    /// How long an announce is valid.
    pub peer_max_age: Duration,
    /// How often a Grape looks for others.
    pub node_liveness: Duration,
    /// Most names held, and most lookups kept.
    pub max_tables: usize,
    /// Most items held.
    pub max_values: usize,
    /// Grapes outside the cluster to join.
    pub bootstrap: Vec<HostPort>,
    /// Where Grapes of one address are independent of each other.
    pub trust_nets: Vec<IpNet>,
    /// The name of their network, where the spec has one.
    pub network: Option<String>,
}

/// See [`ApiSpec`](crate::ApiSpec).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// TCP port, 1 to 65535.
    pub port: u16,
    /// Largest body of a request in bytes.
    pub max_payload_size: usize,
}

/// See [`InjectionSpec`](crate::InjectionSpec).
#[derive(Debug, Clone, PartialEq)]
pub struct Injection {
    /// The namespaces whose pods may have a Grape.
    pub namespaces: From,
    /// What such a Grape has of a node, where the spec says so.
    pub resources: Option<Resources>,
    /// TCP port of the admin pages of such a Grape, where its pod names none; 1024 to 65535.
    pub admin_port: u16,
    /// UDP port of the DHT of such a Grape, where its pod names none; 1 to 65535.
    pub dht_port: u16,
    /// Whether pods that lack their Grape are evicted.
    pub repair: bool,
}

/// Namespaces whose pods may have a Grape of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// The cluster's own.
    Same,
    /// Every one.
    All,
    /// Those whose labels it finds.
    Selector(Selector),
}

impl From {
    /// Whether pods of `namespace`, which has these labels, may have a Grape of a cluster in the
    /// namespace `own`.
    pub fn allows(&self, namespace: &str, labels: &BTreeMap<String, String>, own: &str) -> bool {
        match self {
            Self::Same => namespace == own,
            Self::All => true,
            Self::Selector(selector) => selector.matches(labels),
        }
    }
}

/// A field whose value cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// Its path, as in `spec.dht.peerMaxAge`.
    pub field: String,
    /// What is wrong, as in `"2 minutes" is not a duration`.
    pub problem: String,
    /// What would be right, as a phrase.
    pub expected: String,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, problem, expected } = self;
        write!(f, "{field}: {problem}; expected {expected}")
    }
}

/// Turns a cluster into values that can run.
///
/// # Errors
///
/// All fields that cannot be used, in the order of the API.
pub fn validate(cluster: &GrapeCluster) -> Result<ValidatedCluster, Vec<Invalid>> {
    let GrapeClusterSpec {
        replicas,
        pools,
        image,
        dht,
        api,
        template,
        network_policy,
        monitoring,
        injection,
        paused,
    } = &cluster.spec;
    let mut check = Check::default();
    let name = check.name(cluster.metadata.name.as_deref());
    let replicas = check.number("spec.replicas", *replicas, limits::REPLICAS);
    check.template("spec.template", template);
    let validated = ValidatedCluster {
        pools: check.pools(&name, replicas, pools, template),
        name,
        replicas,
        image: check.image(image),
        rolled_out: rolled_out(cluster),
        dht: check.dht(dht),
        api: check.api(api),
        network_policy: network_policy.enabled,
        service_monitor: check.monitoring(monitoring),
        injection: check.injection(injection, dht.port, api.port),
        paused: *paused,
    };
    check.finish(validated)
}

/// What a status says may have been written by others.
fn rolled_out(cluster: &GrapeCluster) -> Option<String> {
    let told = &cluster.status.as_ref()?.rolled_out_image;
    image::is_one(told).then(|| told.clone())
}

impl ValidatedCluster {
    /// The image that the Grape gets in a pod of a service that is made now, where `default` is the
    /// image of a cluster that names none.
    pub fn sidecar_image(&self, default: &str) -> String {
        self.rolled_out.clone().unwrap_or_else(|| image::resolve(&self.image, default))
    }
}

#[cfg(test)]
mod tests;
