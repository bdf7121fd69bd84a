//! Addresses that others name: each is asked before it counts as a member's.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Most addresses that wait.
const CAPACITY: usize = 256;
/// How often each is asked.
const TRIES: u8 = 2;
/// How long after it was asked an address may be named again.
const PAUSE: Duration = Duration::from_secs(2);

/// Addresses that are to be asked, in the order in which they were named.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    waiting: VecDeque<(SocketAddr, u8)>,
    /// All that wait, or were asked lately: when for the last time.
    known: BTreeMap<SocketAddr, Option<Instant>>,
}

impl Candidates {
    /// An address was named. Returns whether there is room for it.
    pub(super) fn add(&mut self, addr: SocketAddr) -> bool {
        if self.known.contains_key(&addr) {
            return true;
        }
        let room = self.known.len() < CAPACITY;
        if room {
            self.known.insert(addr, None);
            self.waiting.push_back((addr, TRIES));
        }
        room
    }

    /// It proved itself, or is our own.
    pub(super) fn settle(&mut self, addr: &SocketAddr) {
        if !self.known.is_empty() && self.known.remove(addr).is_some() {
            self.waiting.retain(|(waiting, _)| waiting != addr);
        }
    }

    /// The next that are to be asked.
    pub(super) fn take(&mut self, count: usize, now: Instant) -> Vec<SocketAddr> {
        let mut taken = Vec::new();
        for _ in 0..self.waiting.len() {
            if taken.len() == count {
                break;
            }
            let Some((addr, tries)) = self.waiting.pop_front() else { break };
            if self.asked_lately(&addr, now) {
                self.waiting.push_back((addr, tries));
                continue;
            }
            self.known.insert(addr, Some(now));
            taken.push(addr);
            if tries > 1 {
                self.waiting.push_back((addr, tries - 1));
            }
        }
        taken
    }

    /// Forgets those that were asked and did not answer.
    pub(super) fn expire(&mut self, now: Instant) {
        let waiting = &self.waiting;
        self.known.retain(|addr, asked| {
            let over = asked.is_some_and(|at| now.saturating_duration_since(at) >= PAUSE);
            !over || waiting.iter().any(|(waits, _)| waits == addr)
        });
    }

    fn asked_lately(&self, addr: &SocketAddr, now: Instant) -> bool {
        let asked = self.known.get(addr).copied().flatten();
        asked.is_some_and(|at| now.saturating_duration_since(at) < PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_addresses_take_bounded_memory_and_end() {
        let now = crate::clock::now();
        let addr = |n: u32| SocketAddr::from((n.to_be_bytes(), 1));
        let mut candidates = Candidates::default();
        let added = (1..100_000).filter(|n| candidates.add(addr(*n))).count();
        assert_eq!(added, CAPACITY);
        let asked = |candidates: &mut Candidates, now| candidates.take(10_000, now).len();
        assert_eq!(asked(&mut candidates, now), CAPACITY);
        assert_eq!(asked(&mut candidates, now), 0);
        assert_eq!(asked(&mut candidates, now + PAUSE), CAPACITY);
        assert_eq!(asked(&mut candidates, now + 2 * PAUSE), 0);
        candidates.expire(now + 2 * PAUSE);
        assert!(candidates.known.is_empty() && candidates.waiting.is_empty());
    }
}
