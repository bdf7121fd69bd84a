//! An index of the pods that are to have a sidecar, by the clusters that they select; and which
//! watches that takes. Pure.
//!
//! Pods with a label of their own are told by one watch, those that the webhook injected among them:
//! it labels them. In a namespace whose label asks for a Grape, pods without one may have been missed,
//! so each such namespace takes a watch of those, which goes with its label.

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
    /// Pods without one, in a namespace whose label has this value.
    Inherited {
        /// The namespace.
        namespace: String,
        /// The value of its label.
        value: String,
    },
}

/// What a watch told.
#[derive(Debug)]
pub enum WatchEvent {
    /// Of namespaces, by name.
    Namespaces(Event<(String, Option<Arc<Labels>>)>),
    /// Of pods, by `NAMESPACE/NAME`.
    Pods(Source, Event<(String, Option<Arc<ServicePod>>)>),
    /// These pods may not be watched: nobody waits for what is not to be known.
    Refused(Source),
    /// Which pods the webhook is asked about.
    Webhook(Reach),
}

/// What comes of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Clusters whose pods are others now.
    pub touched: BTreeSet<ClusterName>,
    /// Watches to begin.
    pub begin: Vec<Source>,
    /// Watches to end.
    pub end: Vec<Source>,
}

/// All pods that are to have a Grape, as far as watches have told.
#[derive(Debug, Default)]
pub struct PodIndex {
    namespaces: DiffStore<String, Arc<Labels>>,
    pods: BTreeMap<Source, DiffStore<String, Arc<ServicePod>>>,
    reach: Arc<Reach>,
    whole: bool,
}

impl PodIndex {
    /// One that these watches begin to tell, where the webhook is asked about those pods.
    pub fn new(sources: impl IntoIterator<Item = Source>, reach: Reach) -> Self {
        let pods = sources.into_iter().map(|source| (source, DiffStore::default())).collect();
        Self { pods, reach: Arc::new(reach), ..Self::default() }
    }

    /// Which pods the webhook is asked about.
    pub fn reach(&self) -> Arc<Reach> {
        Arc::clone(&self.reach)
    }

    /// The watches that tell it.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.pods.keys()
    }

    /// Whether all that was there at the beginning is known.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// The pods that wish a Grape of a cluster, in no order, each with the labels of its namespace;
    /// none before all that were there at the beginning are known.
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

    /// Takes note of what a watch told.
    pub fn note(&mut self, told: WatchEvent) -> Effects {
        let mut effects = Effects::default();
        match told {
            WatchEvent::Namespaces(event) => {
                for change in self.namespaces.note(event) {
                    self.follow(&change, &mut effects);
                }
            }
            WatchEvent::Pods(source, event) => {
                // One that has ended may have had something to tell yet.
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
        // Only of the beginning: a watch that comes later tells when it knows.
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
        // By its labels a cluster takes its pods, or does not.
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
