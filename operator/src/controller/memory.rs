//! What the operator remembers of each GrapeCluster between two reconciliations. Nothing of it has
//! to outlive the process: a new one finds out again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::seen::Seen;
use super::sidecars::repair::Repair;
use super::sidecars::tally::Told;

/// The memory of all clusters, by the uid of each.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<HashMap<String, Remembered>>>);

/// What is remembered of one cluster.
#[derive(Default)]
pub struct Remembered {
    /// What was applied, by kind and name.
    pub applied: BTreeMap<(String, String), Stamp>,
    /// Whether it is known to have no ServiceMonitor.
    pub no_monitor: bool,
    /// Reconciliations that failed since the last one that did not.
    pub failures: usize,
    /// What was seen of its Grapes.
    pub seen: Seen,
    /// Which pods of services were told of.
    pub told: Told,
    /// How pods of services are repaired.
    pub repair: Repair,
}

/// An object as it was when it was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// A hash of what was sent.
    pub sent: u64,
    /// The resourceVersion that came of it.
    pub version: Option<String>,
}

impl Memory {
    /// Works on what is remembered of the cluster with this uid.
    pub fn of<T>(&self, uid: &str, work: impl FnOnce(&mut Remembered) -> T) -> T {
        work(self.all().entry(uid.to_owned()).or_default())
    }

    /// Works on it, if anything is remembered.
    pub fn known<T>(&self, uid: &str, work: impl FnOnce(&mut Remembered) -> T) -> Option<T> {
        self.all().get_mut(uid).map(work)
    }

    /// Forgets a cluster that is gone.
    pub fn forget(&self, uid: &str) {
        self.all().remove(uid);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Remembered>> {
        // No work on it leaves it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
