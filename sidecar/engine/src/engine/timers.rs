//! What is due when.
//!
//! Most timers are never needed: an answer comes long before its query has timed out. Those that
//! are set for the same time ahead each time come in order, so they wait in a queue, where setting
//! and shedding one costs the same however many there are; the others wait in a heap.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use crate::capacity::capacity;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// An answer takes longer than others should wait for.
    Timeout(u32),
    /// An answer will not come.
    TimedOut(u32),
    /// A lookup has taken as long as anybody waits for it.
    LookupEnds(u64),
    /// Services are to be stored again.
    StoreAgain,
    /// See `upkeep.rs`.
    Upkeep,
    /// A node that we monitor may have been silent too long.
    Monitored,
    /// A node that may be dead had time to answer.
    Probe(SocketAddr),
    /// Notices of withdrawals are due.
    Withdrawals,
}

type Due = (Instant, Timer);

/// The timers that are set.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<Due>>,
    timed_out: VecDeque<Due>,
    lookup_ends: VecDeque<Due>,
}

impl Timers {
    pub(super) fn set(&mut self, at: Instant, timer: Timer) {
        let queue = match timer {
            Timer::TimedOut(_) => &mut self.timed_out,
            Timer::LookupEnds(_) => &mut self.lookup_ends,
            _ => return self.heap.push(Reverse((at, timer))),
        };
        // Should time go back for once, order is kept otherwise.
        if queue.back().is_none_or(|(last, _)| *last <= at) {
            queue.push_back((at, timer));
        } else {
            self.heap.push(Reverse((at, timer)));
        }
    }

    /// When the first is due.
    pub(super) fn next(&self) -> Option<Instant> {
        let heap = self.heap.peek().map(|Reverse(due)| due);
        let queues = [self.timed_out.front(), self.lookup_ends.front()];
        queues.into_iter().chain([heap]).flatten().map(|(at, _)| *at).min()
    }

    /// Takes the first out, if it is due by `now`.
    pub(super) fn due(&mut self, now: Instant) -> Option<Timer> {
        let next = self.next().filter(|at| *at <= now)?;
        let is_next = |due: &Due| due.0 == next;
        for queue in [&mut self.timed_out, &mut self.lookup_ends] {
            if queue.front().is_some_and(is_next) {
                return queue.pop_front().map(|(_, timer)| timer);
            }
        }
        self.heap.pop().map(|Reverse((_, timer))| timer)
    }

    /// Gives back room that a burst took.
    pub(super) fn shrink(&mut self) {
        self.heap.shrink_to(capacity(self.heap.len()));
        for queue in [&mut self.timed_out, &mut self.lookup_ends] {
            queue.shrink_to(capacity(queue.len()));
        }
    }

    /// Takes out those that would be due first, as long as they are of no account any more.
    pub(super) fn shed(&mut self, needless: impl Fn(&Timer) -> bool) {
        for queue in [&mut self.timed_out, &mut self.lookup_ends] {
            while queue.front().is_some_and(|(_, timer)| needless(timer)) {
                queue.pop_front();
            }
        }
        while self.heap.peek().is_some_and(|Reverse((_, timer))| needless(timer)) {
            self.heap.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn timers_are_due_in_order_of_time() {
        let start = crate::clock::now();
        let at = |n: u64| start + Duration::from_millis(n);
        let mut timers = Timers::default();
        let set = [
            (5, Timer::TimedOut(1)),
            (9, Timer::TimedOut(2)),
            (7, Timer::TimedOut(3)),
            (1, Timer::Upkeep),
            (8, Timer::LookupEnds(4)),
            (6, Timer::Timeout(5)),
        ];
        for (n, timer) in set {
            timers.set(at(n), timer);
        }
        let mut taken = Vec::new();
        for n in 0..10 {
            assert!(timers.next().is_none_or(|next| next >= at(n)));
            taken.extend(timers.due(at(n)).map(|timer| (n, timer)));
            assert_eq!(timers.due(at(n)), None);
        }
        let mut sorted = set.to_vec();
        sorted.sort_by_key(|(n, _)| *n);
        assert_eq!(taken, sorted);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn needless_timers_are_dropped() {
        let start = crate::clock::now();
        let mut timers = Timers::default();
        for n in 0..1000 {
            timers.set(start + Duration::from_secs(2), Timer::TimedOut(n));
            timers.set(start + Duration::from_millis(25), Timer::Timeout(n));
            timers
                .shed(|timer| matches!(timer, Timer::TimedOut(of) | Timer::Timeout(of) if *of < n));
        }
        assert_eq!((timers.timed_out.len(), timers.heap.len()), (1, 1));
    }

    #[test]
    fn a_burst_leaves_no_room_behind() {
        let start = crate::clock::now();
        let mut timers = Timers::default();
        for n in 0..1000 {
            timers.set(start + Duration::from_secs(2), Timer::TimedOut(n));
            timers.set(start + Duration::from_millis(25), Timer::Timeout(n));
        }
        timers.shed(|timer| !matches!(timer, Timer::TimedOut(999) | Timer::Timeout(999)));
        timers.shrink();
        assert!(timers.timed_out.capacity() < 20 && timers.heap.capacity() < 20);
        assert_eq!(timers.due(start + Duration::from_secs(9)), Some(Timer::Timeout(999)));
        assert_eq!(timers.due(start + Duration::from_secs(9)), Some(Timer::TimedOut(999)));
    }
}
