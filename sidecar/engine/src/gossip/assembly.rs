//! A long value that comes in parts, until it is whole.

use std::time::Instant;

use super::message::{Body, Change, Key, MAX_PARTS, PART};

/// The parts of one value that have come.
#[derive(Debug, Clone)]
pub(super) struct Assembly {
    key: Key,
    version: u64,
    expires: Option<Instant>,
    began: Instant,
    bytes: Vec<u8>,
    /// A bit for each part that is there, the lowest for the first.
    there: u8,
}

impl Assembly {
    /// Waits for the parts of the value that `part` belongs to.
    pub(super) fn new(part: &Change, now: Instant) -> Self {
        let total = match part.body {
            Body::Part { total, .. } => usize::from(total),
            _ => 0,
        };
        Self {
            key: part.key.clone(),
            version: part.version,
            expires: part.expires_in.and_then(|left| now.checked_add(left)),
            began: now,
            bytes: vec![0; total],
            there: 0,
        }
    }

    /// The bytes that it takes in memory, about.
    pub(super) fn cost(&self) -> usize {
        self.bytes.len() + self.key.len()
    }

    /// The value's version, and the parts that are there.
    pub(super) fn parts(&self) -> (u64, u8) {
        (self.version, self.there)
    }

    /// Whether a part belongs to another value, which takes the place of this one: a newer one, or
    /// the same version in another form, of which only one can be the owner's.
    pub(super) fn is_before(&self, part: &Change) -> bool {
        let Body::Part { total, .. } = part.body else { return false };
        let same = self.key == part.key && self.bytes.len() == usize::from(total);
        part.version > self.version || part.version == self.version && !same
    }

    /// Takes a part in. Returns the change that it makes whole.
    pub(super) fn add(&mut self, part: &Change) -> Option<Change> {
        let Body::Part { index, bytes, .. } = &part.body else { return None };
        if part.version != self.version {
            return None;
        }
        let start = usize::from(*index) * PART;
        self.bytes.get_mut(start..start + bytes.len())?.copy_from_slice(bytes);
        self.there |= 1_u8.checked_shl((*index).into())?;
        let parts = self.bytes.len().div_ceil(PART);
        let all = (1_u16 << parts.min(MAX_PARTS)) - 1;
        if u16::from(self.there) != all {
            return None;
        }
        Some(Change {
            key: self.key.clone(),
            version: self.version,
            expires_in: self.expires.map(|at| at.saturating_duration_since(self.began)),
            body: Body::Set(std::mem::take(&mut self.bytes).into()),
        })
    }
}
