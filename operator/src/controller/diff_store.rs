//! A copy of watched objects that returns what each event changes. Pure.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use kube::runtime::watcher::Event;

/// The objects by key, as the watch has reported them.
#[derive(Debug)]
pub struct DiffStore<K, V> {
    known: BTreeMap<K, V>,
    /// The objects of a list that has not ended.
    listed: Option<BTreeMap<K, V>>,
    /// Whether a list has ended.
    whole: bool,
}

/// An event with another value in the place of its object.
pub fn map<T, U>(event: Event<T>, change: impl FnOnce(T) -> U) -> Event<U> {
    match event {
        Event::Apply(object) => Event::Apply(change(object)),
        Event::Delete(object) => Event::Delete(change(object)),
        Event::InitApply(object) => Event::InitApply(change(object)),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    }
}

/// An object that has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreChange<K, V> {
    /// Its key.
    pub key: K,
    /// The value before; none of a new object.
    pub before: Option<V>,
    /// The value now; none of a deleted object.
    pub after: Option<V>,
}

impl<K, V> Default for DiffStore<K, V> {
    fn default() -> Self {
        Self { known: BTreeMap::new(), listed: None, whole: false }
    }
}

impl<K: Ord + Clone, V: Clone + PartialEq> DiffStore<K, V> {
    /// Whether the first list has ended.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.known.get(key)
    }

    /// All values.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.known.values()
    }

    /// The objects may not be watched: the copy counts as complete as it is.
    pub fn refused(&mut self) {
        self.whole = true;
    }

    /// Takes note of an event; returns what it changed. During a new list the former values stay.
    /// An object that exists but does not belong here has no value.
    pub fn note(&mut self, event: Event<(K, Option<V>)>) -> Vec<StoreChange<K, V>> {
        match event {
            Event::Apply((key, Some(after))) => {
                let before = self.known.insert(key.clone(), after.clone());
                let changed = before.as_ref() != Some(&after);
                let change = changed.then_some(StoreChange { key, before, after: Some(after) });
                change.into_iter().collect()
            }
            Event::Delete((key, _)) | Event::Apply((key, None)) => {
                let gone = self.known.remove(&key);
                let change = gone.map(|was| StoreChange { key, before: Some(was), after: None });
                change.into_iter().collect()
            }
            Event::Init => {
                self.listed = Some(BTreeMap::new());
                Vec::new()
            }
            Event::InitApply((key, value)) => {
                let listed = self.listed.get_or_insert_default();
                listed.extend(value.map(|value| (key, value)));
                Vec::new()
            }
            Event::InitDone => {
                self.whole = true;
                let listed = self.listed.take().unwrap_or_default();
                let mut former = std::mem::replace(&mut self.known, listed);
                let mut changes = Vec::new();
                for (key, after) in &self.known {
                    let before = former.remove(key);
                    if before.as_ref() != Some(after) {
                        changes.push(StoreChange {
                            key: key.clone(),
                            before,
                            after: Some(after.clone()),
                        });
                    }
                }
                let gone = former.into_iter();
                changes.extend(gone.map(|(key, was)| StoreChange {
                    key,
                    before: Some(was),
                    after: None,
                }));
                changes
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(
        key: &'static str,
        before: Option<u8>,
        after: Option<u8>,
    ) -> StoreChange<&'static str, u8> {
        StoreChange { key, before, after }
    }

    #[test]
    fn an_unchanged_object_is_no_change() {
        let mut diff_store = DiffStore::default();
        assert_eq!(diff_store.note(Event::Apply(("a", Some(1)))), [change("a", None, Some(1))]);
        assert_eq!(diff_store.note(Event::Apply(("a", Some(1)))), []);
        assert_eq!(diff_store.note(Event::Apply(("a", Some(2)))), [change("a", Some(1), Some(2))]);
        assert_eq!(diff_store.note(Event::Delete(("a", Some(9)))), [change("a", Some(2), None)]);
        assert_eq!(diff_store.note(Event::Delete(("a", Some(9)))), []);
    }

    #[test]
    fn an_object_that_no_longer_belongs_here_is_removed() {
        let mut diff_store = DiffStore::default();
        diff_store.note(Event::Apply(("a", Some(1))));
        assert_eq!(diff_store.note(Event::Apply(("a", None))), [change("a", Some(1), None)]);
        for event in [Event::Init, Event::InitApply(("b", None)), Event::InitDone] {
            assert_eq!(diff_store.note(event), []);
        }
    }

    #[test]
    fn a_new_list_counts_once_it_is_complete() {
        let mut diff_store = DiffStore::default();
        for key in ["a", "b", "c"] {
            diff_store.note(Event::Apply((key, Some(1))));
        }
        let list =
            [Event::Init, Event::InitApply(("a", Some(1))), Event::InitApply(("b", Some(2)))];
        for event in list {
            assert_eq!(diff_store.note(event), []);
        }
        assert!(!diff_store.is_whole() && diff_store.get(&"c").is_some(), "what was known stands");
        let changes = diff_store.note(Event::InitDone);
        assert_eq!(changes, [change("b", Some(1), Some(2)), change("c", Some(1), None)]);
        assert!(diff_store.is_whole());
        assert_eq!(diff_store.values().collect::<Vec<_>>(), [&1, &2]);
    }
}
