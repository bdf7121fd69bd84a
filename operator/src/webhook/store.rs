//! A copy of the clusters and namespaces. A pod that would be refused for what the watch has not
//! delivered yet is judged by a fresh read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::stream::{SelectAll, StreamExt};
use grape_cluster::validate::ValidatedCluster;
use k8s_openapi::api::core::v1::{Namespace, ObjectReference};
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use tokio::sync::watch;
use tracing::warn;

use super::joinable::Joinable;
use crate::api_client::is_refusal;
use crate::controller::stores;
use crate::controller::unwatched::Unwatched;
use crate::inject::Named;
use crate::metrics::Metrics;

/// A cluster's namespace and name.
pub type ClusterName = (String, String);

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;

/// Copies of what there is.
#[derive(Clone)]
pub struct AdmissionStore {
    client: Client,
    clusters: Vec<Watched>,
    namespaces: Store<PartialObjectMeta<Namespace>>,
}

/// The clusters of one namespace, or of all.
#[derive(Clone)]
struct Watched {
    /// `None` for all.
    namespace: Option<String>,
    store: Store<Joinable>,
    /// Whether they may not be watched, as in a namespace that is gone.
    refused: watch::Receiver<bool>,
}

/// A fresh read of a namespace and some clusters.
pub struct FreshState {
    /// Labels of the namespace; none where it is no more.
    pub labels: Labels,
    /// The clusters that there are, and can run.
    pub clusters: BTreeMap<ClusterName, Arc<ValidatedCluster>>,
}

impl AdmissionStore {
    /// Begins to watch clusters in these namespaces, or in all if there are none, and all
    /// namespaces. The copies are filled while the future is polled, which does not end.
    pub fn watch(
        client: &Client,
        namespaces: &[String],
        metrics: &Arc<Metrics>,
    ) -> (Self, impl Future<Output = ()> + use<>) {
        let mut changes = SelectAll::new();
        let all = namespaces.is_empty().then_some(None);
        let each = all.into_iter().chain(namespaces.iter().cloned().map(Some));
        let clusters = each.map(|namespace| {
            let (store, writer) = reflector::store();
            let api = stores::api::<Joinable>(client, namespace.as_deref());
            let watched = watcher(api, watcher::Config::default());
            let watched = watched.default_backoff().reflect(writer);
            let mut unwatched = Unwatched::new(namespace.as_deref(), Arc::clone(metrics));
            let (told, refused) = watch::channel(false);
            let watched = watched.map(move |change| {
                unwatched.note(&change);
                match &change {
                    Ok(Event::Init) => {}
                    change => {
                        told.send_replace(change.as_ref().is_err_and(is_refusal));
                    }
                }
            });
            changes.push(watched.boxed());
            Watched { namespace, store, refused }
        });
        let clusters = clusters.collect();
        let (store, writer) = reflector::store();
        let api: Api<PartialObjectMeta<Namespace>> = Api::all(client.clone());
        let watched = watcher(api, watcher::Config::default()).modify(|namespace| {
            namespace.managed_fields_mut().clear();
            namespace.annotations_mut().clear();
        });
        let watched = watched.default_backoff().reflect(writer).map(|change| {
            if let Err(error) = change {
                warn!(%error, "the webhook cannot watch namespaces; trying again");
            }
        });
        changes.push(watched.boxed());
        let known = Self { client: client.clone(), clusters, namespaces: store };
        (known, changes.for_each(|()| async {}))
    }

    /// Completes when all copies are whole, but for those of namespaces that may not be watched:
    /// nobody else waits for these. `false` when they never will be, for their watch ended.
    pub async fn is_whole(&self) -> bool {
        for Watched { store, refused, .. } in &self.clusters {
            let mut refused = refused.clone();
            let known = tokio::select! {
                ready = store.wait_until_ready() => ready.is_ok(),
                refused = refused.wait_for(|refused| *refused) => refused.is_ok(),
            };
            if !known {
                return false;
            }
        }
        self.namespaces.wait_until_ready().await.is_ok()
    }

    /// A cluster that there is and that can run.
    pub fn cluster(&self, namespace: &str, name: &str) -> Option<Arc<ValidatedCluster>> {
        let store = self.watched(namespace)?;
        store.get(&ObjectRef::new(name).within(namespace))?.cluster.clone()
    }

    /// All clusters that there are and that can run.
    pub fn clusters(&self) -> Vec<Named> {
        let all = self.clusters.iter().flat_map(|it| it.store.state());
        let named = all.filter_map(|it| {
            let name = (it.namespace()?, it.name_any());
            Some((name, it.cluster.clone()?))
        });
        named.collect()
    }

    /// A cluster or, without a name, a namespace, as events tell of it.
    pub fn reference(&self, namespace: &str, name: Option<&str>) -> Option<ObjectReference> {
        let reference = match name {
            Some(name) => {
                let store = self.watched(namespace)?;
                store.get(&ObjectRef::new(name).within(namespace))?.object_ref(&())
            }
            None => self.namespaces.get(&ObjectRef::new(namespace))?.object_ref(&()),
        };
        // An event of a namespace is in it.
        Some(ObjectReference { namespace: Some(namespace.to_owned()), ..reference })
    }

    /// The labels of a namespace; none where it is not known.
    pub fn labels(&self, namespace: &str) -> Labels {
        let known = self.namespaces.get(&ObjectRef::new(namespace));
        known.map(|known| known.labels().clone()).unwrap_or_default()
    }

    /// Asks the API server for a namespace and some clusters.
    ///
    /// # Errors
    /// It cannot tell now.
    pub async fn refresh(
        &self,
        namespace: &str,
        clusters: BTreeSet<ClusterName>,
    ) -> kube::Result<FreshState> {
        let namespaces: Api<PartialObjectMeta<Namespace>> = Api::all(self.client.clone());
        let found = namespaces.get_opt(namespace).await?;
        let labels = found.map(|found| found.labels().clone()).unwrap_or_default();
        let mut there = BTreeMap::new();
        for (namespace, name) in clusters {
            if self.watched(&namespace).is_none() {
                continue;
            }
            let api: Api<Joinable> = Api::namespaced(self.client.clone(), &namespace);
            let found = api.get_opt(&name).await?;
            if let Some(cluster) = found.and_then(|found| found.cluster) {
                there.insert((namespace, name), cluster);
            }
        }
        Ok(FreshState { labels, clusters: there })
    }

    fn watched(&self, namespace: &str) -> Option<&Store<Joinable>> {
        let is = |it: &&Watched| it.namespace.as_ref().is_none_or(|it| it == namespace);
        self.clusters.iter().find(is).map(|it| &it.store)
    }
}
