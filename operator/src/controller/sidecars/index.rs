//! An index of the pods that should have a sidecar, by the clusters that they select; and which
//! watches it needs. Pure.
//!
//! One watch reports the pods with a label of their own. The webhook labels what it injects, so
//! injected pods are among them. If a namespace's label asks for a Grape, the webhook may have
//! missed pods without a label: each such namespace needs a watch of those, which ends with the
//! label.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kube::runtime::watcher::Event;

use super::pod::ServicePod;
use super::reach::Reach;
use crate::controller::diff_store::{DiffStore, StoreChange};
use crate::desired::labels;

/// Labels of a namespace.
pub type Labels = BTreeMap<String, String>;

/// A cluster's namespace and name.
pub type ClusterName = (String, String);

/// A watch of pods.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Pods with a label of their own, in one namespace or in all.
    Labelled(Option<String>),
    /// Pods without a label, in a namespace whose label has this value.
    Inherited {
        /// The namespace.
        namespace: String,
        /// The value of its label.
        value: String,
    },
}

/// An event of a watch.
#[derive(Debug)]
pub enum WatchEvent {
    /// Namespaces, by name.
    Namespaces(Event<(String, Option<Arc<Labels>>)>),
    /// Pods, by `NAMESPACE/NAME`.
    Pods(Source, Event<(String, Option<Arc<ServicePod>>)>),
    /// These pods may not be watched, so they are not waited for.
    Refused(Source),
    /// Which pods API servers send to the webhook.
    Webhook(Reach),
}

/// The consequences of an event.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Clusters whose pods have changed.
    pub touched: BTreeSet<ClusterName>,
    /// Watches to begin.
    pub begin: Vec<Source>,
    /// Watches to end.
    pub end: Vec<Source>,
}

/// All pods that should have a Grape, as the watches have reported them.
#[derive(Debug, Default)]
pub struct PodIndex {
    namespaces: DiffStore<String, Arc<Labels>>,
    pods: BTreeMap<Source, DiffStore<String, Arc<ServicePod>>>,
    reach: Arc<Reach>,
    whole: bool,
}

impl PodIndex {
    /// An index that begins with these watches. `reach`: which pods API servers send to the
    /// webhook.
    pub fn new(sources: impl IntoIterator<Item = Source>, reach: Reach) -> Self {
        let pods = sources.into_iter().map(|source| (source, DiffStore::default())).collect();
        Self { pods, reach: Arc::new(reach), ..Self::default() }
    }

    /// Which pods API servers send to the webhook.
    pub fn reach(&self) -> Arc<Reach> {
        Arc::clone(&self.reach)
    }

    /// The watches that the index needs.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.pods.keys()
    }

    /// Whether all first lists have ended.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// The pods that select a cluster, in no order, each with the labels of its namespace; none
    /// before all first lists have ended.
    pub fn pods_of(
        &self,
        namespace: &str,
        name: &str,
    ) -> Option<Vec<(Arc<ServicePod>, Arc<Labels>)>> {
        let is = |pod: &&Arc<ServicePod>| {
            pod.selected.name == name && pod.selected.namespace == namespace
        };
        let labelled = |pod: &Arc<ServicePod>| {
            let labels = self.namespaces.get(&pod.namespace).cloned().unwrap_or_default();
            (Arc::clone(pod), labels)
        };
        self.whole.then(|| self.all().filter(is).map(labelled).collect())
    }

    /// Takes note of an event.
    pub fn note(&mut self, event: WatchEvent) -> Effects {
        let mut effects = Effects::default();
        match event {
            WatchEvent::Namespaces(event) => {
                for change in self.namespaces.note(event) {
                    self.follow(&change, &mut effects);
                }
            }
            WatchEvent::Pods(source, event) => {
                // A watch that has ended may still deliver events.
                let changes = self.pods.get_mut(&source).map(|pods| pods.note(event));
                for StoreChange { before, after, .. } in changes.into_iter().flatten() {
                    effects
                        .touched
                        .extend(before.into_iter().chain(after).map(|pod| selected(&pod)));
                }
            }
            WatchEvent::Refused(source) => {
                if let Some(pods) = self.pods.get_mut(&source) {
                    pods.refused();
                }
            }
            WatchEvent::Webhook(reach) => {
                if *self.reach != reach {
                    self.reach = Arc::new(reach);
                    effects.touched.extend(self.all().map(|pod| selected(pod)));
                }
            }
        }
        // Only at the start: a watch that begins later reports its pods when it has them.
        if !self.whole && self.namespaces.is_whole() && self.pods.values().all(DiffStore::is_whole)
        {
            self.whole = true;
            effects.touched.extend(self.all().map(|pod| selected(pod)));
        }
        effects
    }

    fn follow(&mut self, change: &StoreChange<String, Arc<Labels>>, effects: &mut Effects) {
        let StoreChange { key: namespace, before, after } = change;
        let source = |labels: &Option<Arc<Labels>>| {
            let value = labels.as_ref()?.get(labels::CLUSTER)?.clone();
            Some(Source::Inherited { namespace: namespace.clone(), value })
        };
        // A cluster admits pods by the labels of their namespace.
        let pods = self.all().filter(|pod| pod.namespace == *namespace);
        effects.touched.extend(pods.map(|pod| selected(pod)));
        let (before, after) = (source(before), source(after));
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.pods.remove(&before);
            effects.end.push(before);
        }
        if let Some(after) = after {
            self.pods.insert(after.clone(), DiffStore::default());
            effects.begin.push(after);
        }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<ServicePod>> {
        self.pods.values().flat_map(DiffStore::values)
    }
}

fn selected(pod: &ServicePod) -> ClusterName {
    (pod.selected.namespace.clone(), pod.selected.name.clone())
}

#[cfg(test)]
mod tests;
