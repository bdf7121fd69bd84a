//! From a cluster that can run to the Kubernetes objects that it needs. Pure.
//!
//! | module | object |
//! |---|---|
//! | [`statefulset`] | the StatefulSet of each pool |
//! | [`pod`] | the pods in it: their placement and their one container |
//! | [`container`] | that container |
//! | `grape` | what every Grape has: its flags, ports and probes; those beside services too |
//! | [`service`] | the headless Service under whose name Grapes find each other |
//! | [`account`] | the ServiceAccount of the pods |
//! | [`disruption`] | the PodDisruptionBudget |
//! | [`network`] | the NetworkPolicy |
//! | [`monitoring`] | the ServiceMonitor |
//! | [`labels`], [`names`] | what several of them share |
//!
//! The objects are made for server-side apply, which owns what it is sent and leaves the rest to
//! others. So they hold no status and nothing empty, and they do hold what the API server would
//! fill in from another field of theirs: a default of that kind stays when its origin changes.

pub mod account;
pub mod container;
pub mod disruption;
pub(crate) mod grape;
pub mod labels;
pub mod monitoring;
pub mod names;
pub mod network;
pub mod pod;
pub mod service;
pub mod statefulset;

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetUpdateStrategy};
use k8s_openapi::api::core::v1::{Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::DynamicObject;

use grape_cluster::validate::ValidatedCluster;

/// What the builders know beside the cluster itself.
#[derive(Debug, Clone, PartialEq)]
pub struct BuildContext {
    /// The namespace of the cluster and all its objects.
    pub namespace: String,
    /// The cluster as the owner of its objects, which go when it does.
    pub owner: OwnerReference,
    /// The image of Grapes where a cluster names none, as `REPOSITORY[:TAG][@DIGEST]`.
    pub grape_image: String,
    /// The namespace of the operator's own pods.
    pub operator_namespace: String,
}

/// All objects of a cluster. Those that are `None` are not to exist.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// Under whose name the Grapes find each other.
    pub service: Service,
    /// Of the Grapes' pods.
    pub account: ServiceAccount,
    /// The Grapes, in the order of the spec's pools.
    pub pools: Vec<PoolSet>,
    /// Keeps evictions to one Grape at a time.
    pub disruption: Option<PodDisruptionBudget>,
    /// Says who may reach the Grapes.
    pub network: Option<NetworkPolicy>,
    /// A ServiceMonitor, of the kind [`monitoring::resource`].
    pub monitor: Option<DynamicObject>,
}

/// The StatefulSet of a pool.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolSet {
    /// The pool's name.
    pub pool: String,
    /// How many Grapes it is to have, 0 to 1000.
    pub replicas: i32,
    /// The StatefulSet with that many.
    pub set: StatefulSet,
}

impl PoolSet {
    /// Lets the set replace pods from the ordinal `partition` up, and no others.
    pub fn set_partition(&mut self, partition: i32) {
        self.set_strategy(statefulset::rolling(partition));
    }

    /// Lets the set replace no pod, and make those that are missing from the newest template.
    pub fn set_on_delete(&mut self) {
        self.set_strategy(statefulset::on_delete());
    }

    /// Makes the StatefulSet controller retry what it could not do: it reconciles a set at every
    /// change. `mark` must differ from the last one.
    pub fn mark_retried(&mut self, mark: String) {
        let annotations = self.set.metadata.annotations.get_or_insert_default();
        annotations.insert(statefulset::RETRIED.to_owned(), mark);
    }

    fn set_strategy(&mut self, strategy: StatefulSetUpdateStrategy) {
        if let Some(spec) = &mut self.set.spec {
            spec.update_strategy = Some(strategy);
        }
    }
}

/// The objects that a cluster needs.
pub fn desired(cluster: &ValidatedCluster, context: &BuildContext) -> Desired {
    let set = |pool| statefulset::build(cluster, pool, context);
    Desired {
        service: service::build(cluster, context),
        account: account::build(cluster, context),
        pools: cluster.pools.iter().map(set).collect(),
        disruption: disruption::build(cluster, context),
        network: network::build(cluster, context),
        monitor: monitoring::build(cluster, context),
    }
}

/// The metadata that each object has.
fn metadata(name: &str, labels: BTreeMap<String, String>, context: &BuildContext) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(context.namespace.clone()),
        labels: Some(labels),
        owner_references: Some(vec![context.owner.clone()]),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
mod tests;
