//! Receipts: what a holder's copy of a member's keys comes to. The holder sends it to the member, which
//! compares: another may have told the holder keys that are not the member's, at a version that the
//! member has.
//!
//! A receipt is a delta to the member about itself, with its latest version alone, and the empty key: a
//! member that knows no receipts finds nothing new in that.

use std::net::SocketAddr;

use sha1_smol::Sha1;

use super::super::message::{Body, Change, Delta, Value};
use super::super::name::NAME_KEY;
use super::{Entry, Replica};

/// Bytes of a digest that are compared, as hex digits: a name must be one of DNS.
const BYTES: usize = 8;

impl Replica {
    /// What it comes to: versions and values of all keys but those that expire, which are gone here a
    /// little sooner or later than there. `None` if not all of it is there.
    /// Only a change, which has a version of its own, makes it another.
    pub(in super::super) fn receipt(&self) -> Option<Value> {
        if self.version == 0 || self.incomplete || self.assembly.is_some() {
            return None;
        }
        let mut digest = Sha1::new();
        for (key, entry) in &self.entries {
            if let Some((value, None)) = entry.value() {
                let lengths = [key.len() as u64, value.len() as u64, entry.version];
                lengths.iter().for_each(|number| digest.update(&number.to_be_bytes()));
                digest.update(key.as_bytes());
                digest.update(value);
            }
        }
        Some(hex::encode(&digest.digest().bytes()[..BYTES]).into_bytes().into())
    }

    /// The receipt for this copy, to the member of which it is.
    pub(in super::super) fn receipt_to(&self, addr: SocketAddr, generation: u64) -> Option<Delta> {
        let (body, to) = (Body::Set(self.receipt()?), self.version);
        let change = Change { key: NAME_KEY.into(), version: to, expires_in: None, body };
        let (from, collected, changes) = (to - 1, self.collected, vec![change]);
        Some(Delta { addr, generation, from, to, collected, fresh: false, changes })
    }

    /// Another holds keys that are not these. All get new versions, and every copy starts from nothing.
    pub(in super::super) fn renew(&mut self) {
        self.entries.retain(|_, entry| entry.value().is_some());
        self.version = self.version.saturating_add(1);
        self.collected = self.version;
        let mut entries: Vec<&mut Entry> = self.entries.values_mut().collect();
        entries.sort_unstable_by_key(|entry| entry.version);
        for entry in entries {
            self.version = self.version.saturating_add(1);
            entry.version = self.version;
        }
    }
}

/// The receipt that a delta is, if it is one.
pub(in super::super) fn receipt_of(delta: &Delta) -> Option<&Value> {
    let [Change { key, body: Body::Set(receipt), .. }] = &*delta.changes else { return None };
    (**key == *NAME_KEY && receipt.len() == 2 * BYTES).then_some(receipt)
}
