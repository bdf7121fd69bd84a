//! Digests: what a member sends of those that it knows.
//!
//! A digest names this member, the one that it is sent to, those that changed lately, and random
//! others, as many as fit. Each exchange so covers others of them.

use std::net::SocketAddr;

use rand::Rng;

use super::group::Group;
use super::message::{DigestEntry, ENOUGH, MAX_LIST};
use super::replica::Replica;
use crate::addresses::means_the_same_to;

/// Bytes of the digest of a small group: all of 20 members …
const LEAST: usize = 400;
/// … and of the largest.
const MOST: usize = 800;

/// A digest that is filled up to some length.
#[derive(Debug)]
pub(super) struct Digest {
    entries: Vec<DigestEntry>,
    to: SocketAddr,
    room: usize,
}

impl Digest {
    pub(super) fn new(to: SocketAddr, room: usize) -> Self {
        Self { entries: Vec::new(), to, room }
    }

    /// Adds an entry. Returns whether there is still room.
    pub(super) fn add(&mut self, entry: DigestEntry) -> bool {
        if !means_the_same_to(&self.to, &entry.addr) {
            return true;
        }
        let length = entry.encoded_len();
        let fits = length <= self.room && self.entries.len() < MAX_LIST;
        if fits {
            self.room -= length;
            self.entries.push(entry);
        }
        fits
    }

    fn has(&self, addr: &SocketAddr) -> bool {
        self.entries.iter().any(|entry| entry.addr == *addr)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn into_entries(self) -> Vec<DigestEntry> {
        self.entries
    }
}

impl Group {
    /// How long digests are.
    pub(super) fn digest_room(&self) -> usize {
        (LEAST + self.members.live() * 2 / 5).min(MOST)
    }

    /// What is known of a live member, or of this one, with where it is kept.
    pub(super) fn known(
        &self,
        addr: &SocketAddr,
        own: Option<SocketAddr>,
    ) -> Option<(DigestEntry, &Replica)> {
        if Some(*addr) == own {
            return Some((self.own_entry(*addr), &self.own));
        }
        let member = self.members.get(addr).filter(|member| member.live)?;
        Some((member.entry(*addr), &member.replica))
    }

    fn own_entry(&self, own: SocketAddr) -> DigestEntry {
        DigestEntry {
            addr: own,
            generation: self.generation,
            heartbeat: self.heartbeat,
            version: self.own.version(),
            collected: self.own.collected(),
            parts: None,
        }
    }

    /// How many members are known, as it is said in a message: this one and all live ones.
    pub(super) fn known_count(&self) -> u16 {
        u16::try_from(self.members.live() + 1).unwrap_or(ENOUGH - 1)
    }

    /// What a member and this one know of each other.
    pub(super) fn mutual_digest(&self, own: SocketAddr, to: SocketAddr) -> Digest {
        let mut digest = Digest::new(to, self.digest_room());
        for addr in [own, to] {
            if let Some((entry, _)) = self.known(&addr, Some(own)) {
                digest.add(entry);
            }
        }
        digest
    }

    /// A digest of this member, the other, and as many as fit.
    pub(super) fn full_digest(
        &self,
        own: SocketAddr,
        to: SocketAddr,
        rng: &mut impl Rng,
    ) -> Digest {
        let mut digest = self.mutual_digest(own, to);
        for addr in self.fresh.changed().filter(|addr| **addr != own && **addr != to) {
            if let Some((entry, _)) = self.known(addr, Some(own)) {
                digest.add(entry);
            }
        }
        self.add_random(&mut digest, &[], rng);
        digest
    }

    /// Adds random live members that neither the digest nor `without` has.
    pub(super) fn add_random(
        &self,
        digest: &mut Digest,
        without: &[DigestEntry],
        rng: &mut impl Rng,
    ) {
        // An entry has some 15 bytes at least.
        let count = digest.room / 15 + digest.len() + without.len();
        for (addr, member) in self.members.some_live(count, rng) {
            if digest.has(addr) || without.iter().any(|entry| entry.addr == *addr) {
                continue;
            }
            if !digest.add(member.entry(*addr)) {
                return;
            }
        }
    }
}
