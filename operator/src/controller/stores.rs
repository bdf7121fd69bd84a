//! The objects that the operator made, watched: a copy in memory of each kind, and a signal to the
//! GrapeCluster of each object that changes.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use futures_util::stream::{BoxStream, SelectAll, StreamExt};
use grape_cluster::GrapeCluster;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{
    Container, Pod, PodSpec, PodTemplateSpec, Service, ServiceAccount,
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, watcher};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tracing::warn;

use crate::api_client::scoped;
use crate::desired::labels;
use crate::informers::stored::Stored;

/// A signal that something about a GrapeCluster has changed.
pub type Signals = SelectAll<BoxStream<'static, ObjectRef<Stored>>>;

/// Copies of the objects in one namespace, or in all. The resourceVersion shows whether an object
/// is as the operator applied it, so for most kinds the metadata is enough.
#[derive(Clone)]
pub struct Stores {
    /// StatefulSets that the operator made, without their pods' template.
    pub sets: Store<StatefulSet>,
    /// Services that the operator made, without their spec.
    pub services: Store<Service>,
    /// ServiceAccounts that the operator made.
    pub accounts: Store<ServiceAccount>,
    /// PodDisruptionBudgets that the operator made, without their spec and status.
    pub disruptions: Store<PodDisruptionBudget>,
    /// NetworkPolicies that the operator made, without their spec.
    pub networks: Store<NetworkPolicy>,
    /// Pods of StatefulSets that the operator made; of their spec only the node's name, and the names
    /// and ports of their containers.
    pub pods: Store<Pod>,
}

impl Stores {
    /// Begins to watch one namespace, or all. The copies are filled while the signals are read.
    pub fn watch(client: &Client, namespace: Option<&str>) -> (Self, Signals) {
        let mut signals = SelectAll::new();
        let stores = Self {
            sets: watch(client, namespace, &mut signals, |set: &mut StatefulSet| {
                if let Some(spec) = &mut set.spec {
                    spec.template = PodTemplateSpec::default();
                }
            }),
            services: watch(client, namespace, &mut signals, |service: &mut Service| {
                service.spec = None;
            }),
            accounts: watch(client, namespace, &mut signals, |_| {}),
            disruptions: watch(client, namespace, &mut signals, |it: &mut PodDisruptionBudget| {
                (it.spec, it.status) = (None, None);
            }),
            networks: watch(client, namespace, &mut signals, |policy: &mut NetworkPolicy| {
                policy.spec = None;
            }),
            pods: watch(client, namespace, &mut signals, |pod: &mut Pod| {
                let spec = pod.spec.take().unwrap_or_default();
                let bare =
                    |Container { name, ports, .. }| Container { name, ports, ..<_>::default() };
                pod.spec = Some(PodSpec {
                    node_name: spec.node_name,
                    containers: spec.containers.into_iter().map(bare).collect(),
                    ..PodSpec::default()
                });
            }),
        };
        (stores, signals)
    }

    /// Completes when all copies are complete; `false` when they never will be, because a watch
    /// ended.
    pub async fn are_whole(&self) -> bool {
        let Self { sets, services, accounts, disruptions, networks, pods } = self;
        sets.wait_until_ready().await.is_ok()
            && services.wait_until_ready().await.is_ok()
            && accounts.wait_until_ready().await.is_ok()
            && disruptions.wait_until_ready().await.is_ok()
            && networks.wait_until_ready().await.is_ok()
            && pods.wait_until_ready().await.is_ok()
    }
}

fn watch<K>(
    client: &Client,
    namespace: Option<&str>,
    signals: &mut Signals,
    trim: impl Fn(&mut K) + Send + 'static,
) -> Store<K>
where
    K: Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    K: Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    let (store, writer) = reflector::store();
    let mut failing = false;
    let config =
        watcher::Config::default().labels(&format!("{}={}", labels::MANAGED_BY, labels::OPERATOR));
    let changes = watcher(scoped::<K>(client, namespace), config)
        .modify(move |object| {
            object.managed_fields_mut().clear();
            trim(object);
        })
        .default_backoff()
        .reflect(writer)
        .touched_objects()
        .inspect(move |change| {
            // Once: a deleted namespace may stay so for long.
            if let Err(error) = change
                && !std::mem::replace(&mut failing, true)
            {
                warn!(kind = %K::kind(&()), %error, "cannot watch; trying again");
            } else if change.is_ok() {
                failing = false;
            }
        })
        .filter_map(|change| std::future::ready(cluster_of(change)));
    signals.push(changes.boxed());
    store
}

/// The GrapeCluster that a change is about.
fn cluster_of<K>(change: watcher::Result<K>) -> Option<ObjectRef<Stored>>
where
    K: Resource<DynamicType = ()>,
{
    match change {
        Ok(object) => {
            // Others may have removed the owner reference or the label: either one is enough.
            let mut owners = object.owner_references().iter();
            let owner = owners.find(|by| by.kind == GrapeCluster::kind(&()));
            let owner = owner.map(|by| &by.name);
            let name = owner.or_else(|| object.labels().get(labels::INSTANCE))?;
            Some(ObjectRef::new(name).within(&object.namespace()?))
        }
        Err(_) => None,
    }
}

/// The objects of a store that a GrapeCluster controls.
pub fn controlled_by<K>(store: &Store<K>, owner: &str) -> Vec<Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone,
{
    store.state_filter(|object| {
        object.owner_references().iter().any(|by| by.uid == owner && by.controller == Some(true))
    })
}
