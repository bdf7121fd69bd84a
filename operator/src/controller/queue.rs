//! Which clusters wait to be reconciled, or are being so: counted for the metrics.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::runtime::reflector::ObjectRef;

use super::stores::Stored;
use crate::metrics::Metrics;

/// The clusters that something was told of since they were last reconciled.
pub struct Queue {
    metrics: Arc<Metrics>,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    waiting: HashSet<ObjectRef<Stored>>,
    at_work: usize,
}

/// A reconciliation that goes on.
pub struct AtWork<'a>(&'a Queue);

impl Queue {
    /// One with nobody in it.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, inside: Mutex::default() }
    }

    /// Something was told of a cluster.
    pub fn join(&self, cluster: ObjectRef<Stored>) {
        self.change(|inside| {
            inside.waiting.insert(cluster);
        });
    }

    /// A cluster is gone: nobody will reconcile it.
    pub fn leave(&self, cluster: &ObjectRef<Stored>) {
        self.change(|inside| {
            inside.waiting.remove(cluster);
        });
    }

    /// A cluster is being reconciled, until what is returned is dropped.
    pub fn begin(&self, cluster: &ObjectRef<Stored>) -> AtWork<'_> {
        self.change(|inside| {
            inside.waiting.remove(cluster);
            inside.at_work += 1;
        });
        AtWork(self)
    }

    fn change(&self, change: impl FnOnce(&mut Inside)) {
        let mut inside: MutexGuard<'_, Inside> =
            self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut inside);
        self.metrics.queue(inside.waiting.len() + inside.at_work);
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.change(|inside| inside.at_work -= 1);
    }
}
