//! What reviews are judged by: the GrapeClusters and namespaces of the informers. A pod that would be
//! refused for what the watch has not delivered yet is judged by a fresh read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use grape_cluster::validate::ValidatedCluster;
use k8s_openapi::api::core::v1::{Namespace, ObjectReference};
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, Resource, ResourceExt};

use crate::informers::Informers;
use crate::informers::stored::Stored;
use crate::inject::Named;

/// A cluster's namespace and name.
pub type ClusterName = (String, String);

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;

/// What the informers have, and the way to ask the API server itself.
#[derive(Clone)]
pub struct AdmissionStore {
    client: Client,
    informers: Informers,
}

/// A fresh read of a namespace and some clusters.
pub struct FreshState {
    /// Labels of the namespace; none where it is no more.
    pub labels: Labels,
    /// The clusters that there are, and can run.
    pub clusters: BTreeMap<ClusterName, Arc<ValidatedCluster>>,
}

impl AdmissionStore {
    /// What these informers have.
    pub fn new(client: Client, informers: Informers) -> Self {
        Self { client, informers }
    }

    /// Whether reviews can be judged: all is known but for namespaces whose clusters may not be
    /// watched, whose pods alone depend on them.
    pub fn is_complete(&self) -> bool {
        self.informers.are_settled()
    }

    /// Completes when [it is complete](Self::is_complete); `false` when it never will be, because the
    /// watches ended.
    pub async fn completed(&self) -> bool {
        self.informers.settled().await
    }

    /// A cluster that exists and that can run.
    pub fn cluster(&self, namespace: &str, name: &str) -> Option<Arc<ValidatedCluster>> {
        self.stored(namespace, name)?.validated().ok().cloned()
    }

    /// All clusters that exist and that can run.
    pub fn clusters(&self) -> Vec<Named> {
        let all = self.informers.clusters().iter().flat_map(|it| it.informer.store().state());
        let named = all.filter_map(|it| {
            let name = (it.namespace()?, it.name_any());
            Some((name, Arc::clone(it.validated().ok()?)))
        });
        named.collect()
    }

    /// A cluster or, without a name, a namespace, as events refer to it.
    pub fn reference(&self, namespace: &str, name: Option<&str>) -> Option<ObjectReference> {
        let reference = match name {
            Some(name) => self.stored(namespace, name)?.object_ref(&()),
            None => self.namespace(namespace)?.object_ref(&()),
        };
        // An event of a namespace is in it.
        Some(ObjectReference { namespace: Some(namespace.to_owned()), ..reference })
    }

    /// The labels of a namespace; none where it is not known.
    pub fn labels(&self, namespace: &str) -> Labels {
        self.namespace(namespace).map(|it| it.labels().clone()).unwrap_or_default()
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
            if self.informers.clusters_of(&namespace).is_none() {
                continue;
            }
            let api: Api<Stored> = Api::namespaced(self.client.clone(), &namespace);
            let found = api.get_opt(&name).await?;
            if let Some(cluster) = found.and_then(|found| found.validated().ok().cloned()) {
                there.insert((namespace, name), cluster);
            }
        }
        Ok(FreshState { labels, clusters: there })
    }

    fn stored(&self, namespace: &str, name: &str) -> Option<Arc<Stored>> {
        let informer = self.informers.clusters_of(namespace)?;
        informer.store().get(&ObjectRef::new(name).within(namespace))
    }

    fn namespace(&self, name: &str) -> Option<Arc<PartialObjectMeta<Namespace>>> {
        self.informers.namespaces().store().get(&ObjectRef::new(name))
    }
}
