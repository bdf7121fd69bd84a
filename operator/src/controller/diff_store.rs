//! A copy of the objects of a watch, and what each event changes in it. Pure.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use kube::runtime::watcher::Event;

/// The objects of a watch, by key.
#[derive(Debug)]
pub struct DiffStore<K, V> {
    known: BTreeMap<K, V>,
    /// What a new list has named so far.
    listed: Option<BTreeMap<K, V>>,
    /// Whether a list has come to its end.
    whole: bool,
}

/// An event of a watch, with something else in the place of its object.
pub fn map<T, U>(event: Event<T>, change: impl FnOnce(T) -> U) -> Event<U> {
    match event {
        Event::Apply(object) => Event::Apply(change(object)),
        Event::Delete(object) => Event::Delete(change(object)),
        Event::InitApply(object) => Event::InitApply(change(object)),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    }
}

/// Something that was not as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreChange<K, V> {
    /// Which.
    pub key: K,
    /// How it was; none if it is new.
    pub before: Option<V>,
    /// How it is; none if it is gone.
    pub after: Option<V>,
}

impl<K, V> Default for DiffStore<K, V> {
    fn default() -> Self {
        Self { known: BTreeMap::new(), listed: None, whole: false }
    }
}

impl<K: Ord + Clone, V: Clone + PartialEq> DiffStore<K, V> {
    /// Whether all that was there at the beginning is known.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// What is known of one.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.known.get(key)
    }

    /// All that is known.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.known.values()
    }

    /// There is nothing to know: what was known stands, and nothing more is waited for.
    pub fn refused(&mut self) {
        self.whole = true;
    }

    /// Takes in an event, and returns what it changed. While a broken watch lists again, the former
    /// objects stay. An object that does not belong here comes as an event without a value.
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
    fn what_is_told_as_it_was_is_no_change() {
        let mut diff_store = DiffStore::default();
        assert_eq!(diff_store.note(Event::Apply(("a", Some(1)))), [change("a", None, Some(1))]);
        assert_eq!(diff_store.note(Event::Apply(("a", Some(1)))), []);
        assert_eq!(diff_store.note(Event::Apply(("a", Some(2)))), [change("a", Some(1), Some(2))]);
        assert_eq!(diff_store.note(Event::Delete(("a", Some(9)))), [change("a", Some(2), None)]);
        assert_eq!(diff_store.note(Event::Delete(("a", Some(9)))), []);
    }

    #[test]
    fn what_is_none_of_those_that_are_meant_goes() {
        let mut diff_store = DiffStore::default();
        diff_store.note(Event::Apply(("a", Some(1))));
        assert_eq!(diff_store.note(Event::Apply(("a", None))), [change("a", Some(1), None)]);
        for event in [Event::Init, Event::InitApply(("b", None)), Event::InitDone] {
            assert_eq!(diff_store.note(event), []);
        }
    }

    #[test]
    fn a_new_list_changes_what_differs_when_it_is_whole() {
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
