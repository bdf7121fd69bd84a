//! What is passed on at once: changes, members that joined, members that do not answer.
//!
//! Beside the exchanges, which repair, each member pushes what is new to it to a few random members
//! a few times. Some logarithm of the group's size is enough to reach nearly all (Demers et al.,
//! "Epidemic algorithms for replicated database maintenance", 1987).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::message::Suspect;

/// Time between pushes.
const EVERY: Duration = Duration::from_millis(50);
/// To how many members each push goes.
pub(super) const FAN_OUT: usize = 3;
/// Most members of each kind that are pushed at a time. Exchanges bring the others.
const CAPACITY: usize = 64;

/// What is passed on at once.
#[derive(Debug)]
pub(super) struct Fresh {
    changes: BTreeMap<SocketAddr, Pushed<Option<u64>>>,
    suspects: BTreeMap<SocketAddr, Pushed<Suspect>>,
    last: Instant,
}

#[derive(Debug)]
struct Pushed<T> {
    what: T,
    /// How often it is still pushed.
    left: u8,
}

impl Fresh {
    pub(super) fn new(now: Instant) -> Self {
        Self { changes: BTreeMap::new(), suspects: BTreeMap::new(), last: now }
    }

    /// A member changed after version `from`; none where others are only to hear of it.
    pub(super) fn change(&mut self, addr: SocketAddr, from: Option<u64>, live: usize) {
        let known = self.changes.get(&addr).and_then(|pushed| pushed.what);
        let what = match (known, from) {
            (Some(known), Some(from)) => Some(known.min(from)),
            (known, from) => known.or(from),
        };
        insert(&mut self.changes, addr, Pushed { what, left: pushes(live) });
    }

    /// A member does not answer.
    pub(super) fn suspect(&mut self, suspect: Suspect, live: usize) {
        insert(&mut self.suspects, suspect.addr, Pushed { what: suspect, left: pushes(live) });
    }

    /// A member answered, failed, or is gone.
    pub(super) fn settle(&mut self, addr: &SocketAddr) {
        self.suspects.remove(addr);
    }

    /// The member's old state is gone, and with it what was to be said of it.
    pub(super) fn forget(&mut self, addr: &SocketAddr) {
        self.changes.remove(addr);
        self.suspects.remove(addr);
    }

    /// Whether a member's change is passed on.
    pub(super) fn is_fresh(&self, addr: &SocketAddr) -> bool {
        self.changes.get(addr).is_some_and(|pushed| pushed.what.is_some())
    }

    /// The members that changed, for digests.
    pub(super) fn changed(&self) -> impl Iterator<Item = &SocketAddr> {
        self.changes.keys()
    }

    /// When the next push is due.
    pub(super) fn next(&self) -> Option<Instant> {
        let idle = self.changes.is_empty() && self.suspects.is_empty();
        (!idle).then_some(self.last + EVERY)
    }

    /// What is pushed now.
    pub(super) fn take(&mut self, now: Instant) -> (Vec<(SocketAddr, Option<u64>)>, Vec<Suspect>) {
        self.last = now;
        let changes = take_from(&mut self.changes).into_iter();
        let suspects = take_from(&mut self.suspects).into_iter();
        (changes.collect(), suspects.map(|(_, suspect)| suspect).collect())
    }
}

fn insert<T>(map: &mut BTreeMap<SocketAddr, Pushed<T>>, addr: SocketAddr, pushed: Pushed<T>) {
    if map.len() < CAPACITY || map.contains_key(&addr) {
        map.insert(addr, pushed);
    }
}

fn take_from<T: Copy>(map: &mut BTreeMap<SocketAddr, Pushed<T>>) -> Vec<(SocketAddr, T)> {
    let taken = map.iter().map(|(addr, pushed)| (*addr, pushed.what)).collect();
    map.retain(|_, pushed| {
        pushed.left -= 1;
        pushed.left > 0
    });
    taken
}

/// How often each member pushes what is new, in a group of so many.
fn pushes(live: usize) -> u8 {
    let doublings = (live + 1).ilog2() as u8 + 1;
    3 + doublings.div_ceil(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_pushed_some_times_and_no_more() {
        let now = crate::clock::now();
        let addr = SocketAddr::from(([10, 0, 0, 1], 1));
        let mut fresh = Fresh::new(now);
        assert_eq!(fresh.next(), None);
        fresh.change(addr, Some(7), 20);
        fresh.change(addr, Some(9), 20);
        assert_eq!(fresh.next(), Some(now + EVERY));
        for _ in 0..pushes(20) {
            assert_eq!(fresh.take(now).0, [(addr, Some(7))]);
        }
        assert_eq!(fresh.next(), None);
    }

    #[test]
    fn memory_is_bounded() {
        let now = crate::clock::now();
        let mut fresh = Fresh::new(now);
        (1..5000).for_each(|port| fresh.change(([10, 0, 0, 1], port).into(), None, 1000));
        assert_eq!(fresh.changed().count(), CAPACITY);
    }
}
