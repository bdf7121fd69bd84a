//! Deltas: what of a member's changes goes into datagrams, in the order of versions.
//!
//! The member of which most is lacking comes first (scuttle-depth of van Renesse et al., 2008), so that
//! copies are complete sooner than if each got one change at a time.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use super::message::{Body, Change, Delta, DigestEntry, MAX_LIST, PART, ROOM, Value};
use super::replica::{Content, Entry, Replica};

/// What a holder has of a member, and where all of it comes from.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) replica: &'a Replica,
    pub(super) entry: DigestEntry,
    pub(super) fresh: bool,
}

impl Request<'_> {
    /// How many versions are lacking.
    fn depth(&self) -> u64 {
        self.replica.version().saturating_sub(self.from())
    }

    /// The version after which the delta begins: from nothing where tombstones are gone that the
    /// holder has not seen.
    fn from(&self) -> u64 {
        let collected = self.replica.collected();
        let outdated = self.entry.version < collected && self.entry.collected < collected;
        if outdated { 0 } else { self.entry.version }
    }
}

/// Whether a holder of so much lacks something that this copy can give.
pub(super) fn lacks(entry: &DigestEntry, replica: &Replica) -> bool {
    entry.version < replica.version() && !replica.is_incomplete()
}

/// Deltas for several members, in so many datagrams at most: the first has `first_room` bytes for
/// them, the others all.
pub(super) fn fill(
    mut requests: Vec<Request<'_>>,
    first_room: usize,
    datagrams: usize,
    now: Instant,
) -> Vec<Vec<Delta>> {
    requests.sort_by_key(|request| Reverse(request.depth()));
    let mut packer = Packer { full: Vec::new(), open: Vec::new(), room: first_room, datagrams };
    for request in requests {
        if !packer.add(&request, now) {
            break;
        }
    }
    packer.full.push(packer.open);
    packer.full
}

/// Datagrams that are filled one after the other.
struct Packer {
    full: Vec<Vec<Delta>>,
    open: Vec<Delta>,
    room: usize,
    datagrams: usize,
}

impl Packer {
    /// Adds a member's changes. Returns whether there is still room.
    fn add(&mut self, request: &Request<'_>, now: Instant) -> bool {
        let from = request.from();
        let mut newer: Vec<_> =
            request.replica.entries().filter(|(_, entry)| entry.version > from).collect();
        newer.sort_unstable_by_key(|(_, entry)| entry.version);
        let DigestEntry { addr, generation, .. } = request.entry;
        let (collected, fresh) = (request.replica.collected(), request.fresh);
        let empty = |from| Delta {
            addr,
            generation,
            from,
            to: from,
            collected,
            fresh,
            changes: Vec::new(),
        };
        let mut delta = empty(from);
        for (key, entry) in newer {
            let change = |body| Change {
                key: key.clone(),
                version: entry.version,
                expires_in: entry.expires_in(now),
                body,
            };
            if let Some(value) = entry.long() {
                let before = delta.to;
                if !self.close(delta) {
                    return false;
                }
                for part in missing(value, entry.version, request.entry.parts) {
                    let changes = vec![change(part)];
                    if !self.close(Delta { changes, ..empty(before) }) {
                        return false;
                    }
                }
                delta = empty(entry.version);
                continue;
            }
            let change = change(entry.body());
            if delta.encoded_len() + change.encoded_len() > self.room
                || delta.changes.len() == MAX_LIST
            {
                let rest = empty(delta.to);
                if !self.close(delta) || !self.next() {
                    return false;
                }
                delta = rest;
            }
            delta.to = entry.version;
            delta.changes.push(change);
        }
        // What later changes replaced or what expired is no more, but the holder is up to date.
        delta.to = delta.to.max(request.replica.version());
        self.close(delta)
    }

    /// Puts a delta into a datagram, if it says anything.
    fn close(&mut self, delta: Delta) -> bool {
        if delta.to == delta.from && delta.changes.is_empty() {
            return true;
        }
        let length = delta.encoded_len();
        if (length > self.room || self.open.len() == MAX_LIST) && !self.next() {
            return false;
        }
        self.room = self.room.saturating_sub(length);
        self.open.push(delta);
        true
    }

    /// Begins another datagram, if there may be one.
    fn next(&mut self) -> bool {
        if self.full.len() + 1 >= self.datagrams {
            return false;
        }
        self.full.push(std::mem::take(&mut self.open));
        self.room = ROOM;
        true
    }
}

impl Entry {
    fn expires_in(&self, now: Instant) -> Option<Duration> {
        self.value()?.1.map(|at| at.saturating_duration_since(now))
    }

    /// The value, if it goes in parts.
    fn long(&self) -> Option<&Value> {
        self.value().map(|(value, _)| value).filter(|value| value.len() > PART)
    }

    fn body(&self) -> Body {
        match &self.content {
            Content::Value { value, .. } => Body::Set(value.clone()),
            Content::Tombstone { .. } => Body::Unset,
        }
    }
}

/// The parts of a long value that a holder lacks.
fn missing(value: &Value, version: u64, there: Option<(u64, u8)>) -> Vec<Body> {
    let bits = there.filter(|(of, _)| *of == version).map_or(0, |(_, bits)| bits);
    let total = u16::try_from(value.len()).unwrap_or(u16::MAX);
    let parts = value.chunks(PART).zip(0_u8..);
    let lacking =
        parts.filter(|(_, index)| bits & 1_u8.checked_shl((*index).into()).unwrap_or(0) == 0);
    lacking.map(|(bytes, index)| Body::Part { total, index, bytes: bytes.into() }).collect()
}
