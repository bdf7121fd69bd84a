//! Causes that were looked up at the API server, by object, and when: nothing is looked up more
//! often than is useful. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How often an object is looked up, at most.
const OFTEN: Duration = Duration::from_secs(5);

/// The last results, by name or uid.
#[derive(Debug)]
pub struct Diagnoses<T>(BTreeMap<String, (Instant, Option<T>)>);

impl<T> Default for Diagnoses<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Clone> Diagnoses<T> {
    /// Keeps the results of the `wanted` objects, and forgets all others.
    pub fn retain(&mut self, wanted: impl Fn(&str) -> bool) {
        self.0.retain(|key, _| wanted(key));
    }

    /// Whether it is time to look this object up.
    pub fn is_due(&self, key: &str, now: Instant) -> bool {
        self.0.get(key).is_none_or(|(at, _)| now.saturating_duration_since(*at) >= OFTEN)
    }

    /// The last result for an object.
    pub fn last(&self, key: &str) -> Option<T> {
        self.0.get(key)?.1.clone()
    }

    /// Takes a result.
    pub fn note(&mut self, key: &str, found: Option<T>, now: Instant) {
        self.0.insert(key.to_owned(), (now, found));
    }

    /// All results.
    pub fn all(&self) -> Vec<T> {
        self.0.values().filter_map(|(_, found)| found.clone()).collect()
    }
}
