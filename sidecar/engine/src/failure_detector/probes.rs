//! Is it dead? A node that may be is asked a few times. Only an answer shows that it lives: anyone can
//! send queries in its name. While there are such queries, it is asked more often, in shorter
//! intervals: if they are its own, packets were lost, and one answer of many will come.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::Bound;

/// Most nodes that are asked at a time.
const MAX_PROBES: usize = 1024;
/// Time for an answer; more where answers take longer.
pub(crate) const PROBE_TIMEOUT: Duration = Duration::from_millis(300);
/// How much more often a node is asked while queries come in its name.
const MORE_TRIES: u8 = 5;

/// Whether the others are to be told of a death.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tell {
    /// Who told us tells them as well.
    Never,
    /// When it announced anything that we know of.
    IfItAnnounced,
    Always,
}

#[derive(Debug)]
struct Probe {
    tries_left: u8,
    /// Queries came in its name since it was asked first.
    asks: bool,
    decided: Instant,
    tell: Tell,
}

/// The nodes that are asked.
#[derive(Debug, Default)]
pub(super) struct Probes {
    asked: HashMap<SocketAddr, Probe>,
}

/// What is to be done about a node that may be dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Try {
    /// It is asked, and has until then to answer.
    Ask(Instant),
    /// It is dead.
    Dead(Tell),
}

impl Probes {
    pub(super) fn bound(&self) -> Bound {
        Bound { used: self.asked.len(), most: MAX_PROBES }
    }

    /// A query came in the name of who is at this address.
    pub(super) fn asks(&mut self, addr: &SocketAddr) {
        if let Some(probe) = self.asked.get_mut(addr).filter(|probe| !probe.asks) {
            probe.asks = true;
            probe.tries_left += MORE_TRIES;
        }
    }

    /// Ends the questions to an address: it answered, or they are answered otherwise. Returns who
    /// was to be told, if it was asked.
    pub(super) fn settle(&mut self, addr: &SocketAddr) -> Option<Tell> {
        if self.asked.is_empty() {
            return None;
        }
        self.asked.remove(addr).map(|probe| probe.tell)
    }

    /// A node is to be asked up to `tries` times whether it is there. Returns whether that begins
    /// now.
    pub(super) fn begin(&mut self, addr: SocketAddr, tries: u8, tell: Tell, now: Instant) -> bool {
        if let Some(probe) = self.asked.get_mut(&addr) {
            probe.tell = probe.tell.max(tell);
            return false;
        }
        if self.asked.len() >= MAX_PROBES {
            return false;
        }
        self.asked.insert(addr, Probe { tries_left: tries, asks: false, decided: now, tell });
        true
    }

    /// Time for an answer is over: the next try, which has this timeout, or none. Nothing where the
    /// node is not asked, or has time still.
    pub(super) fn next_try(
        &mut self,
        addr: &SocketAddr,
        timeout: Duration,
        now: Instant,
    ) -> Option<Try> {
        // A timer may be that of an earlier probe.
        let probe = self.asked.get_mut(addr).filter(|probe| probe.decided <= now)?;
        if let Some(left) = probe.tries_left.checked_sub(1) {
            probe.tries_left = left;
            let is_last = left == 0;
            probe.decided = now + if probe.asks && !is_last { timeout / 2 } else { timeout };
            return Some(Try::Ask(probe.decided));
        }
        self.settle(addr).map(Try::Dead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_asked_so_often_and_is_dead_then() {
        let now = crate::clock::now();
        let addr = SocketAddr::from(([10, 0, 0, 1], 1));
        let mut probes = Probes::default();
        assert_eq!(probes.next_try(&addr, PROBE_TIMEOUT, now), None);
        assert!(probes.begin(addr, 2, Tell::Never, now));
        assert!(!probes.begin(addr, 9, Tell::IfItAnnounced, now), "it is asked already");
        let (second, end) = (now + PROBE_TIMEOUT, now + 2 * PROBE_TIMEOUT);
        assert_eq!(probes.next_try(&addr, PROBE_TIMEOUT, now), Some(Try::Ask(second)));
        assert_eq!(probes.next_try(&addr, PROBE_TIMEOUT, now), None, "it has time still");
        assert_eq!(probes.next_try(&addr, PROBE_TIMEOUT, second), Some(Try::Ask(end)));
        let dead = Some(Try::Dead(Tell::IfItAnnounced));
        assert_eq!(probes.next_try(&addr, PROBE_TIMEOUT, end), dead);
        assert_eq!(probes.settle(&addr), None);
    }

    #[test]
    fn queries_in_its_name_have_a_node_asked_more_often_and_no_longer_than_for_seconds() {
        let start = crate::clock::now();
        let addr = SocketAddr::from(([10, 0, 0, 1], 1));
        let mut probes = Probes::default();
        probes.begin(addr, 3, Tell::Always, start);
        let (mut now, mut asked) = (start, 0);
        while let Some(Try::Ask(next)) = probes.next_try(&addr, PROBE_TIMEOUT, now) {
            (now, asked) = (next, asked + 1);
            probes.asks(&addr);
        }
        assert_eq!(asked, 3 + MORE_TRIES);
        assert!(now - start < 6 * PROBE_TIMEOUT, "{:?}", now - start);
        assert_eq!(probes.settle(&addr), None, "it is dead, whatever comes in its name");
    }
}
