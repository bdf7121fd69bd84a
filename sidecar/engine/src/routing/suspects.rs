//! Addresses that left a query unanswered: nothing waits for them until they send something again.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use lru::LruCache;

/// Most addresses that are remembered; the least recently suspected goes first.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// The first pause between two questions to a suspect; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A node is dead when this many queries stayed unanswered …
const DEADLY_MISSES: u32 = 3;
/// … over at least this time.
const DEADLY_SILENCE: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy)]
struct Suspect {
    since: Instant,
    misses: u32,
    ask_again: Instant,
}

/// What a missed answer says of its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Suspect,
    Dead,
}

/// The silent ones.
#[derive(Debug)]
pub(super) struct Suspects {
    silent: LruCache<SocketAddr, Suspect>,
}

impl Suspects {
    pub(super) fn new() -> Self {
        // Unbounded with a bound of our own, so that an empty one takes no memory.
        Self { silent: LruCache::unbounded() }
    }

    /// An answer did not come, or not in time.
    pub(super) fn missed(&mut self, addr: SocketAddr, now: Instant) -> Verdict {
        let suspect = self.silent.get_or_insert_mut(addr, || Suspect {
            since: now,
            misses: 0,
            ask_again: now,
        });
        suspect.misses = suspect.misses.saturating_add(1);
        suspect.ask_again = now + pause(suspect.misses);
        let dead =
            suspect.misses >= DEADLY_MISSES && now.duration_since(suspect.since) >= DEADLY_SILENCE;
        if self.silent.len() > CAPACITY.get() {
            self.silent.pop_lru();
        }
        if dead { Verdict::Dead } else { Verdict::Suspect }
    }

    /// A suspect is asked once more: others need not do so at the same time.
    pub(super) fn asked(&mut self, addr: &SocketAddr, now: Instant) {
        if let Some(suspect) = self.silent.peek_mut(addr) {
            suspect.ask_again = now + pause(suspect.misses);
        }
    }

    /// The address sent something: it is no suspect any more.
    pub(super) fn heard(&mut self, addr: &SocketAddr) {
        if !self.silent.is_empty() {
            self.silent.pop(addr);
        }
    }

    pub(super) fn contains(&self, addr: &SocketAddr) -> bool {
        !self.silent.is_empty() && self.silent.contains(addr)
    }

    /// Whether the address was silent more than once: after a first miss, which may be a lost
    /// datagram or a slow moment, the node is still returned to others.
    pub(super) fn is_repeated(&self, addr: &SocketAddr) -> bool {
        self.silent.peek(addr).is_some_and(|suspect| suspect.misses > 1)
    }

    /// Whether it is time to try this address once more.
    pub(super) fn may_ask(&self, addr: &SocketAddr, now: Instant) -> bool {
        self.silent.peek(addr).is_none_or(|suspect| suspect.ask_again <= now)
    }
}

fn pause(misses: u32) -> Duration {
    let doublings = misses.saturating_sub(1).min(6);
    (FIRST_PAUSE * 2u32.pow(doublings)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_suspected_then_deadly_and_forgiven() {
        let start = crate::clock::now();
        let addr = SocketAddr::from(([10, 0, 0, 1], 1));
        let mut suspects = Suspects::new();
        assert!(suspects.may_ask(&addr, start));
        assert_eq!(suspects.missed(addr, start), Verdict::Suspect);
        assert!(suspects.contains(&addr) && !suspects.is_repeated(&addr));
        assert!(!suspects.may_ask(&addr, start));
        assert!(suspects.may_ask(&addr, start + FIRST_PAUSE));
        let later = start + DEADLY_SILENCE;
        assert_eq!(suspects.missed(addr, later), Verdict::Suspect, "two misses kill nobody");
        assert!(suspects.is_repeated(&addr));
        assert_eq!(suspects.missed(addr, later), Verdict::Dead);
        suspects.heard(&addr);
        assert!(!suspects.contains(&addr));
    }

    #[test]
    fn many_misses_at_once_are_no_death() {
        let start = crate::clock::now();
        let addr = SocketAddr::from(([10, 0, 0, 1], 1));
        let mut suspects = Suspects::new();
        for _ in 0..20 {
            assert_eq!(suspects.missed(addr, start), Verdict::Suspect);
        }
    }

    #[test]
    fn memory_is_bounded() {
        let start = crate::clock::now();
        let mut suspects = Suspects::new();
        for port in 1..5000 {
            suspects.missed(SocketAddr::from(([10, 0, 0, 1], port)), start);
        }
        assert_eq!(suspects.silent.len(), CAPACITY.get());
    }
}
