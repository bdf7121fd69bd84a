//! What is going to happen in a network, in order of time, and in the order in which it was
//! scheduled where the time is the same.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// One thing that happens.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A datagram comes to its end.
    Arrives(Arrival),
    /// The time of the node at this place is to pass.
    Ticks(u32),
}

/// A datagram on its way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) datagram: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// A place in `arrivals`.
    Arrives(u32),
    Ticks(u32),
}

/// The events that are due. What the heap moves about is small; datagrams stay in their places.
#[derive(Debug)]
pub(super) struct Events {
    start: Instant,
    /// In nanoseconds since the start, and numbered.
    due: BinaryHeap<Reverse<(u64, u64, What)>>,
    arrivals: Vec<Option<Arrival>>,
    free: Vec<u32>,
    sequence: u64,
}

impl Events {
    /// None yet; none will be due before `start`.
    pub(super) fn new(start: Instant) -> Self {
        Self { start, due: BinaryHeap::new(), arrivals: Vec::new(), free: Vec::new(), sequence: 0 }
    }

    pub(super) fn push(&mut self, at: Instant, event: Event) {
        let what = match event {
            Event::Ticks(node) => What::Ticks(node),
            Event::Arrives(arrival) => match self.free.pop() {
                Some(place) => {
                    self.arrivals[place as usize] = Some(arrival);
                    What::Arrives(place)
                }
                None => {
                    self.arrivals.push(Some(arrival));
                    What::Arrives(u32::try_from(self.arrivals.len() - 1).unwrap_or(u32::MAX))
                }
            },
        };
        self.sequence += 1;
        // 64 bits of nanoseconds are 584 years.
        let at = u64::try_from((at - self.start).as_nanos()).unwrap_or(u64::MAX);
        self.due.push(Reverse((at, self.sequence, what)));
    }

    /// When the next event is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((at, ..))| self.start + Duration::from_nanos(*at))
    }

    /// The next event, if it is due by `end`.
    pub(super) fn pop(&mut self, end: Instant) -> Option<(Instant, Event)> {
        let Reverse((at, _, what)) = *self.due.peek()?;
        let at = self.start + Duration::from_nanos(at);
        if at > end {
            return None;
        }
        self.due.pop();
        let event = match what {
            What::Ticks(node) => Event::Ticks(node),
            What::Arrives(place) => {
                self.free.push(place);
                Event::Arrives(self.arrivals[place as usize].take()?)
            }
        };
        Some((at, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_their_order_and_places_serve_again() {
        let start = grape::clock::now();
        let later = |ms| start + Duration::from_millis(ms);
        let addr = SocketAddr::from(([10, 0, 0, 1], 1));
        let arrives =
            |n: u8| Event::Arrives(Arrival { from: addr, to: addr, datagram: vec![n; 3] });
        let mut events = Events::new(start);
        events.push(later(2), arrives(1));
        events.push(later(2), Event::Ticks(7));
        events.push(later(1), arrives(2));
        assert_eq!(events.pop(start), None);
        assert_eq!(events.pop(later(9)), Some((later(1), arrives(2))));
        events.push(later(2), arrives(3));
        assert_eq!(events.arrivals.len(), 2);
        assert_eq!(events.pop(later(9)), Some((later(2), arrives(1))));
        assert_eq!(events.pop(later(9)), Some((later(2), Event::Ticks(7))));
        assert_eq!(events.pop(later(9)), Some((later(2), arrives(3))));
        assert_eq!(events.pop(later(9)), None);
    }
}
