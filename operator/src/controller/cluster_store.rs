//! Which clusters there are, so that what is known of one goes when it does. Pure.

use kube::ResourceExt;
use kube::runtime::watcher::Event;

use super::diff_store::{DiffStore, map};
use super::stores::Stored;

/// Clusters by uid, as far as a watch has told.
#[derive(Debug, Default)]
pub struct ClusterStore(DiffStore<String, ClusterId>);

/// A cluster's name, and its namespace.
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
    /// Whether the cluster with this uid is there.
    pub fn knows(&self, uid: &str) -> bool {
        self.0.get(uid).is_some()
    }

    /// Whether all that were there at the beginning are known.
    pub fn is_whole(&self) -> bool {
        self.0.is_whole()
    }

    /// Takes note of an event; the clusters that are gone by it. A watch that broke off tells of
    /// those that went meanwhile by not naming them in its next list.
    pub fn note(&mut self, event: &Event<Stored>) -> Vec<ClusterId> {
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

    fn cluster(name: &str) -> Stored {
        let mut cluster = GrapeCluster::new(name, GrapeClusterSpec::default());
        cluster.metadata.uid = Some(format!("uid of {name}"));
        DeserializeGuard(Ok(cluster))
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
