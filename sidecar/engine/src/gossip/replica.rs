//! One member's keys: its own, or what another holds of them.
//!
//! Each change has a version, which grows by one. A holder that is at version `v` has all changes up
//! to `v` that later ones did not replace. An unset key leaves a tombstone for a while. Once it is
//! dropped, `collected` says so: a holder that is behind it may have keys that were unset since, and
//! starts from nothing.

pub(super) mod receipt;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::assembly::Assembly;
use super::limits::{GossipError, MAX_KEYS, MAX_STATE, check_lengths};
use super::message::{Body, Change, Delta, Key, Value};
use super::name::{MemberName, NAME_KEY};

/// How long a tombstone is kept.
pub(super) const TOMBSTONES_KEPT: Duration = Duration::from_secs(300);
/// Bytes that a key takes beside its own and its value's, about.
const OVERHEAD: usize = 112;
/// Between two states of its owner, a copy has keys of both.
const COPY: usize = 2;

/// A key's value, or that it has none any more.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) version: u64,
    pub(super) content: Content,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    Value { value: Value, expires: Option<Instant> },
    Tombstone { since: Instant },
}

impl Entry {
    /// The value, and when it expires.
    pub(super) fn value(&self) -> Option<(&Value, Option<Instant>)> {
        match &self.content {
            Content::Value { value, expires } => Some((value, *expires)),
            Content::Tombstone { .. } => None,
        }
    }
}

/// The keys of one member.
#[derive(Debug, Clone, Default)]
pub(super) struct Replica {
    entries: BTreeMap<Key, Entry>,
    version: u64,
    collected: u64,
    /// Of keys and values that are set.
    bytes: usize,
    /// Keys that are set.
    keys: usize,
    assembly: Option<Assembly>,
    /// Keys were left out: this copy must not be passed on as if it had all.
    incomplete: bool,
}

/// What became of a key, with when it expires and when it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) key: Key,
    pub(super) value: Option<Value>,
    pub(super) expires: Option<Instant>,
    pub(super) expired: Option<Instant>,
}

/// What a delta came to.
#[derive(Debug, Default)]
pub(super) struct Applied {
    pub(super) changed: Vec<Changed>,
    /// Changes before it are missing.
    pub(super) gap: bool,
    /// Keys that were left out.
    pub(super) left_out: u64,
}

impl Replica {
    /// Keys of our own: none yet, and a name.
    pub(super) fn named(name: &MemberName) -> Self {
        let mut own = Self { version: 1, ..Self::default() };
        let content = Content::Value { value: name.value(), expires: None };
        own.put(NAME_KEY.into(), Entry { version: own.version, content });
        own
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn collected(&self) -> u64 {
        self.collected
    }

    /// How many keys are set, without the name.
    pub(super) fn keys(&self) -> usize {
        self.keys - usize::from(self.name_value().is_some())
    }

    /// The member's name.
    pub(super) fn name(&self) -> Option<MemberName> {
        MemberName::of(self.name_value()?)
    }

    fn name_value(&self) -> Option<&Value> {
        Some(self.entries.get(NAME_KEY)?.value()?.0)
    }

    pub(super) fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    /// The bytes that it takes in memory, about.
    pub(super) fn cost(&self) -> usize {
        let assembly = self.assembly.as_ref().map_or(0, Assembly::cost);
        self.bytes + self.entries.len() * OVERHEAD + assembly
    }

    /// The version and the parts of a long value that is not whole yet.
    pub(super) fn parts(&self) -> Option<(u64, u8)> {
        self.assembly.as_ref().map(Assembly::parts)
    }

    /// The value of a key that is set.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        Some(self.entries.get(key)?.value()?.0)
    }

    /// All keys, unset ones among them.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&Key, &Entry)> {
        self.entries.iter()
    }

    /// Whether a value after this version is longer than that.
    pub(super) fn has_longer_than(&self, bytes: usize, version: u64) -> bool {
        let newer = self.entries.values().filter(|entry| entry.version > version);
        newer.filter_map(Entry::value).any(|(value, _)| value.len() > bytes)
    }

    /// Sets a key of our own. Returns when its last value would have expired.
    pub(super) fn set(
        &mut self,
        key: &str,
        value: Value,
        expires: Option<Instant>,
    ) -> Result<Option<Instant>, GossipError> {
        check_lengths(key, &value)?;
        let before = self.entries.get(key).and_then(|entry| Some(entry.value()?.0.len()));
        if before.is_none() && self.keys() >= MAX_KEYS {
            return Err(GossipError::Keys);
        }
        let freed = before.map_or(0, |length| key.len() + length);
        let name = self.name_value().map_or(0, |name| name.len());
        let bytes = self.bytes - name - freed + key.len() + value.len();
        if bytes > MAX_STATE {
            return Err(GossipError::State(bytes));
        }
        self.version = self.version.saturating_add(1);
        let entry = Entry { version: self.version, content: Content::Value { value, expires } };
        Ok(self.put(key.into(), entry))
    }

    /// Unsets a key of our own. Returns whether it was set.
    pub(super) fn unset(&mut self, key: &str, now: Instant) -> Option<Changed> {
        self.entries.get(key).filter(|_| key != NAME_KEY)?.value()?;
        self.version = self.version.saturating_add(1);
        let content = Content::Tombstone { since: now };
        let key = Key::from(key);
        let expired = self.put(key.clone(), Entry { version: self.version, content });
        self.bound_tombstones();
        Some(Changed { key, value: None, expires: None, expired })
    }

    /// Drops a key whose time is over. Returns whether there was one that expires then.
    pub(super) fn expire(&mut self, key: &str, at: Instant) -> bool {
        let expires = self.entries.get(key).and_then(|entry| entry.value()?.1);
        let over = expires == Some(at);
        if over {
            self.remove(key);
        }
        over
    }

    /// Puts an entry in the place of another. Returns when the other would have expired.
    fn put(&mut self, key: Key, entry: Entry) -> Option<Instant> {
        let length = key.len();
        if let Some((value, _)) = entry.value() {
            self.bytes += length + value.len();
            self.keys += 1;
        }
        let old = self.entries.insert(key, entry)?;
        let (value, expires) = old.value()?;
        self.bytes -= length + value.len();
        self.keys -= 1;
        expires
    }

    fn remove(&mut self, key: &str) {
        if let Some(old) = self.entries.remove(key)
            && let Some((value, _)) = old.value()
        {
            self.bytes -= key.len() + value.len();
            self.keys -= 1;
        }
    }

    /// Drops tombstones that are old.
    pub(super) fn collect(&mut self, now: Instant) {
        let old = |entry: &Entry| match entry.content {
            Content::Tombstone { since } => now.saturating_duration_since(since) >= TOMBSTONES_KEPT,
            Content::Value { .. } => false,
        };
        if self.entries.len() > self.keys {
            self.drop_tombstones(|entry| old(entry));
        }
    }

    /// Drops the oldest tombstones where there are too many.
    fn bound_tombstones(&mut self) {
        if self.entries.len() - self.keys <= MAX_KEYS {
            return;
        }
        let tombstones = self.entries.values().filter(|entry| entry.value().is_none());
        let oldest = tombstones.map(|entry| entry.version).min();
        self.drop_tombstones(|entry| entry.value().is_none() && Some(entry.version) == oldest);
    }

    fn drop_tombstones(&mut self, which: impl Fn(&Entry) -> bool) {
        let collected = &mut self.collected;
        self.entries.retain(|_, entry| {
            let dropped = which(entry);
            if dropped {
                *collected = entry.version.max(*collected);
            }
            !dropped
        });
    }

    /// Takes another member's changes in. `room` is how many bytes this copy may grow by.
    pub(super) fn apply(&mut self, delta: &Delta, room: usize, now: Instant) -> Applied {
        let mut applied = Applied::default();
        let outdated = delta.collected > self.version && delta.collected > self.collected;
        if delta.from > self.version || outdated && delta.from > 0 {
            applied.gap = true;
            return applied;
        }
        if outdated {
            self.start_over(delta, &mut applied);
        }
        let most = self.cost().saturating_add(room);
        if let [change @ Change { body: Body::Part { .. }, .. }] = &*delta.changes {
            self.take_part(change, most, now, &mut applied);
            return applied;
        }
        for change in &delta.changes {
            self.take(change, most, now, &mut applied);
        }
        self.advance(delta.to);
        self.bound_tombstones();
        applied
    }

    /// Forgets all, since keys of this copy may have been unset long ago.
    fn start_over(&mut self, delta: &Delta, applied: &mut Applied) {
        let old = std::mem::take(self);
        self.collected = delta.collected;
        for (key, entry) in old.entries {
            let Some((_, expired)) = entry.value() else { continue };
            let kept = |change: &Change| {
                let value = entry.value().map(|(value, _)| value);
                change.key == key && matches!(&change.body, Body::Set(new) if Some(new) == value)
            };
            if delta.changes.iter().any(kept) {
                // The key is as it was, and is not reported as unset.
                self.put(key, entry);
            } else {
                applied.changed.push(Changed { key, value: None, expires: None, expired });
            }
        }
    }

    fn take_part(&mut self, change: &Change, most: usize, now: Instant, applied: &mut Applied) {
        if change.version <= self.version || self.cost() + change.encoded_len() > most {
            return;
        }
        if self.assembly.as_ref().is_none_or(|assembly| assembly.is_before(change)) {
            self.assembly = Some(Assembly::new(change, now));
        }
        let whole = self.assembly.as_mut().and_then(|assembly| assembly.add(change));
        if let Some(whole) = whole {
            self.assembly = None;
            self.take(&whole, most, now, applied);
            self.advance(whole.version);
        }
    }

    /// All changes up to this version are known.
    fn advance(&mut self, version: u64) {
        self.version = self.version.max(version);
        if self.assembly.as_ref().is_some_and(|assembly| assembly.parts().0 <= self.version) {
            self.assembly = None;
        }
    }

    fn take(&mut self, change: &Change, most: usize, now: Instant, applied: &mut Applied) {
        let known = self.entries.get(&change.key);
        let reported = known.is_some_and(|entry| entry.version == change.version);
        if change.version <= self.version || reported {
            return;
        }
        self.version = change.version;
        let (content, value, expires) = match &change.body {
            Body::Set(value) => {
                let expires = change.expires_in.and_then(|left| now.checked_add(left));
                (Content::Value { value: value.clone(), expires }, Some(value.clone()), expires)
            }
            _ => (Content::Tombstone { since: now }, None, None),
        };
        let set = known.and_then(Entry::value);
        let freed = set.map_or(0, |(value, _)| change.key.len() + value.len());
        let was_set = set.is_some();
        if let Some(value) = &value {
            let bytes = self.bytes - freed + change.key.len() + value.len();
            let more_keys = self.keys + usize::from(!was_set);
            let cost = self.cost() + bytes + OVERHEAD - self.bytes;
            if bytes > COPY * MAX_STATE || more_keys > COPY * MAX_KEYS || cost > most {
                applied.left_out += 1;
                self.incomplete = true;
                return;
            }
        }
        let expired = self.put(change.key.clone(), Entry { version: change.version, content });
        if was_set || value.is_some() {
            applied.changed.push(Changed { key: change.key.clone(), value, expires, expired });
        }
    }
}

#[cfg(test)]
mod tests;
