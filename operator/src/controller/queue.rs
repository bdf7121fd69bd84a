//! Which clusters wait to be reconciled, or are being so: counted for the metrics.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::runtime::reflector::ObjectRef;

use super::stores::Stored;
use crate::metrics::Metrics;

/// The clusters that an event came for since they were last reconciled.
pub struct Queue {
    metrics: Arc<Metrics>,
    state: Mutex<QueueState>,
}

#[derive(Default)]
struct QueueState {
    waiting: HashSet<ObjectRef<Stored>>,
    at_work: usize,
}

/// A reconciliation that goes on.
pub struct AtWork<'a>(&'a Queue);

impl Queue {
    /// An empty queue.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, state: Mutex::default() }
    }

    /// An event came for a cluster.
    pub fn join(&self, cluster: ObjectRef<Stored>) {
        self.change(|state| {
            state.waiting.insert(cluster);
        });
    }

    /// A cluster is gone: it will not be reconciled.
    pub fn leave(&self, cluster: &ObjectRef<Stored>) {
        self.change(|state| {
            state.waiting.remove(cluster);
        });
    }

    /// A cluster is being reconciled, until what is returned is dropped.
    pub fn begin(&self, cluster: &ObjectRef<Stored>) -> AtWork<'_> {
        self.change(|state| {
            state.waiting.remove(cluster);
            state.at_work += 1;
        });
        AtWork(self)
    }

    fn change(&self, change: impl FnOnce(&mut QueueState)) {
        let mut state: MutexGuard<'_, QueueState> =
            self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        self.metrics.queue(state.waiting.len() + state.at_work);
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.at_work -= 1);
    }
}
