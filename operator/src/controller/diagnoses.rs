//! What was looked up at the API server of several objects, and when: nothing is looked up more often
//! than is of use. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How often one is looked up, at most.
const OFTEN: Duration = Duration::from_secs(5);

/// What was found last, by name or uid; none where nothing was.
#[derive(Debug)]
pub struct Diagnoses<T>(BTreeMap<String, (Instant, Option<T>)>);

impl<T> Default for Diagnoses<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Clone> Diagnoses<T> {
    /// Keeps what was found of those that are `wanted`, and forgets all else.
    pub fn retain(&mut self, wanted: impl Fn(&str) -> bool) {
        self.0.retain(|key, _| wanted(key));
    }

    /// Whether it is time to look this one up.
    pub fn is_due(&self, key: &str, now: Instant) -> bool {
        self.0.get(key).is_none_or(|(at, _)| now.saturating_duration_since(*at) >= OFTEN)
    }

    /// What was found of it last.
    pub fn last(&self, key: &str) -> Option<T> {
        self.0.get(key)?.1.clone()
    }

    /// Takes in what was found of it.
    pub fn note(&mut self, key: &str, found: Option<T>, now: Instant) {
        self.0.insert(key.to_owned(), (now, found));
    }

    /// All that was found.
    pub fn all(&self) -> Vec<T> {
        self.0.values().filter_map(|(_, found)| found.clone()).collect()
    }
}
