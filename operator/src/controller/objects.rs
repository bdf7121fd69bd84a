//! All objects of a cluster: applies them, and removes those that are no longer wanted.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, DynamicObject, Preconditions};
use kube::runtime::reflector::{self, Store};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::info;

use super::apply::{Applier, ApplyResult, ObjectRef, Recreate, find, undeleted};
use super::error::Error;
use super::stores::{Stores, controlled_by};
use crate::desired::{Desired, monitoring};

/// The result of applying the objects of a cluster.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ObjectChanges {
    /// Whether a StatefulSet was created or changed, which its watch will report.
    pub changed: bool,
    /// StatefulSets that were created.
    pub created: Vec<String>,
    /// StatefulSets that are deleted in order to be recreated around their pods.
    pub recreated: Vec<String>,
    /// The ServiceMonitor that is wanted although nothing would read it.
    pub monitor_unknown: bool,
}

/// Access to the objects of a cluster.
pub struct ApplyContext<'a> {
    /// A client of the API server.
    pub client: &'a Client,
    /// The watched copies.
    pub stores: &'a Stores,
    /// The cluster's namespace.
    pub namespace: &'a str,
    /// The cluster whose objects they are.
    pub applier: Applier<'a>,
}

impl ApplyContext<'_> {
    /// Applies all objects of a cluster. The Service comes before the Grapes that find each other
    /// by its name, and the NetworkPolicy before the pods that it restricts.
    ///
    /// # Errors
    /// The first object that could not be applied.
    pub async fn apply(&mut self, desired: &Desired) -> Result<ObjectChanges, Error> {
        let Desired { service, account, pools, disruption, network, monitor } = desired;
        let stores = self.stores;
        let mut changes = ObjectChanges::default();
        self.one(&stores.accounts, account, Recreate::Whole).await?;
        self.one(&stores.services, service, Recreate::Whole).await?;
        if let Some(network) = network {
            self.one(&stores.networks, network, Recreate::Whole).await?;
        }
        for pool in pools {
            let name = || pool.set.name_any();
            let change = self.one(&stores.sets, &pool.set, Recreate::Orphaning).await?;
            changes.changed |= matches!(change, ApplyResult::Created | ApplyResult::Updated);
            match change {
                ApplyResult::Created => changes.created.push(name()),
                ApplyResult::Leaving => changes.recreated.push(name()),
                ApplyResult::None | ApplyResult::Updated => {}
            }
        }
        if let Some(disruption) = disruption {
            self.one(&stores.disruptions, disruption, Recreate::Whole).await?;
        }
        self.others_gone(&stores.networks, network.as_ref()).await?;
        self.others_gone(&stores.disruptions, disruption.as_ref()).await?;
        changes.monitor_unknown = self.monitor(monitor.as_ref()).await?;
        Ok(changes)
    }

    /// Removes the StatefulSet of a pool that the spec no longer has. Its Grapes drain.
    ///
    /// # Errors
    /// The API server cannot do it now.
    pub async fn remove(&mut self, set: &StatefulSet) -> Result<(), Error> {
        self.applier.prune((&self.api(), &kind::<StatefulSet>()), set).await
    }

    /// Deletes a pod, which its StatefulSet recreates.
    ///
    /// # Errors
    /// The API server cannot do it now.
    pub async fn replace(&mut self, pod: &Pod) -> Result<(), Error> {
        let preconditions = Preconditions { uid: pod.uid(), resource_version: None };
        let parameters = DeleteParams::default().preconditions(preconditions);
        info!(pod = pod.name_any(), "deleting the pod, which its StatefulSet recreates");
        match self.api::<Pod>().delete(&pod.name_any(), &parameters).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(refusal)) if matches!(refusal.code, 404 | 409) => Ok(()),
            Err(error) => Err(undeleted(&ObjectRef::of(&kind::<Pod>(), pod))(error)),
        }
    }

    async fn one<K>(
        &mut self,
        store: &Store<K>,
        object: &K,
        recreate: Recreate,
    ) -> Result<ApplyResult, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + Debug + Serialize + DeserializeOwned,
    {
        let live = store.get(&reflector::ObjectRef::new(&object.name_any()).within(self.namespace));
        self.applier.apply((&self.api(), &kind::<K>()), object, live, recreate).await
    }

    async fn others_gone<K>(&mut self, store: &Store<K>, wanted: Option<&K>) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + Debug + DeserializeOwned,
    {
        let wanted = wanted.map(ResourceExt::name_any);
        let others = controlled_by(store, &self.applier.owner.uid).into_iter();
        for other in others.filter(|other| Some(other.name_any()) != wanted) {
            self.applier.prune((&self.api(), &kind::<K>()), &*other).await?;
        }
        Ok(())
    }

    /// ServiceMonitors are not watched, because not every cluster has that kind. Returns whether
    /// one is wanted that nothing would read.
    async fn monitor(&mut self, wanted: Option<&DynamicObject>) -> Result<bool, Error> {
        if wanted.is_none() && self.applier.applied.no_monitor {
            return Ok(false);
        }
        let resource = monitoring::resource();
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), self.namespace, &resource);
        let target = (&api, &*resource.kind);
        let Some(wanted) = wanted else {
            let name = &self.applier.owner.name;
            let object_ref = format!("{} {name}", resource.kind);
            let there = find(&api, name).await.map_err(Error::failed("read", object_ref))?;
            let ours = there.filter(|there| self.applier.controls(there));
            if let Some(ours) = ours {
                self.applier.prune(target, &ours).await?;
            }
            self.applier.applied.no_monitor = true;
            return Ok(false);
        };
        self.applier.applied.no_monitor = false;
        match self.applier.apply(target, wanted, None, Recreate::Whole).await {
            Ok(_) => Ok(false),
            Err(Error::Failed { source: kube::Error::Api(refusal), .. }) if refusal.code == 404 => {
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), self.namespace)
    }
}

fn kind<K: Resource<DynamicType = ()>>() -> String {
    K::kind(&()).into_owned()
}
