//! The clusters that exist, so that what is remembered of a deleted one is forgotten. Pure.

use std::sync::Arc;

use kube::ResourceExt;
use kube::runtime::watcher::Event;

use super::diff_store::{DiffStore, map};
use crate::informers::stored::Stored;

/// Clusters by uid, as the watch has reported them.
#[derive(Debug, Default)]
pub struct ClusterStore(DiffStore<String, ClusterId>);

/// A cluster's uid, namespace and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterId {
    /// Its uid.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ClusterStore {
    /// Whether the cluster with this uid exists.
    pub fn knows(&self, uid: &str) -> bool {
        self.0.get(uid).is_some()
    }

    /// Whether the first list has ended.
    pub fn is_whole(&self) -> bool {
        self.0.is_whole()
    }

    /// Takes note of an event; returns the clusters that are gone by it. After an interruption the
    /// watch reports deleted clusters only by leaving them out of its next list.
    pub fn note(&mut self, event: &Event<Arc<Stored>>) -> Vec<ClusterId> {
        let event = map(by_reference(event), |cluster| {
            let id = ClusterId::of(cluster);
            (id.uid.clone(), Some(id))
        });
        let changes = self.0.note(event).into_iter();
        changes.filter(|change| change.after.is_none()).filter_map(|change| change.before).collect()
    }
}

fn by_reference<T>(event: &Event<T>) -> Event<&T> {
    match event {
        Event::Apply(object) => Event::Apply(object),
        Event::Delete(object) => Event::Delete(object),
        Event::InitApply(object) => Event::InitApply(object),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    }
}

impl ClusterId {
    fn of(cluster: &Stored) -> Self {
        Self {
            uid: cluster.uid().unwrap_or_default(),
            namespace: cluster.namespace().unwrap_or_default(),
            name: cluster.name_any(),
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::DeserializeGuard;

    use super::*;
    use grape_cluster::{GrapeCluster, GrapeClusterSpec};

    fn cluster(name: &str) -> Arc<Stored> {
        let mut cluster = GrapeCluster::new(name, GrapeClusterSpec::default());
        cluster.metadata.uid = Some(format!("uid of {name}"));
        Arc::new(DeserializeGuard(Ok(cluster)).into())
    }

    fn names(gone: Vec<ClusterId>) -> Vec<String> {
        gone.into_iter().map(|gone| gone.name).collect()
    }

    #[test]
    fn one_that_is_deleted_is_gone_once() {
        let mut cluster_store = ClusterStore::default();
        cluster_store.note(&Event::Apply(cluster("a")));
        assert!(cluster_store.knows("uid of a"));
        assert_eq!(names(cluster_store.note(&Event::Delete(cluster("a")))), ["a"]);
        assert!(!cluster_store.knows("uid of a"));
        assert!(cluster_store.note(&Event::Delete(cluster("a"))).is_empty());
    }

    #[test]
    fn one_that_a_new_list_does_not_name_is_gone() {
        let mut cluster_store = ClusterStore::default();
        cluster_store.note(&Event::Apply(cluster("a")));
        cluster_store.note(&Event::Apply(cluster("b")));
        cluster_store.note(&Event::Init);
        cluster_store.note(&Event::InitApply(cluster("b")));
        assert!(!cluster_store.is_whole());
        assert_eq!(names(cluster_store.note(&Event::InitDone)), ["a"]);
        assert!(cluster_store.is_whole());
        assert_eq!(names(cluster_store.note(&Event::Delete(cluster("b")))), ["b"]);
    }
}
