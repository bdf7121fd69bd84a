//! The last events of each group, so that a reader can go on from where it was. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use grape_engine::gossip::GossipEvent;

/// Most events that are kept of a group.
const MAX_EVENTS: usize = 256;
/// Most bytes of keys and values in them.
const MAX_BYTES: usize = 256 << 10;

/// An event with its number. Numbers grow over all groups of a Grape.
#[derive(Debug, Clone)]
pub(crate) struct LoggedEvent {
    pub(crate) number: u64,
    pub(crate) event: GossipEvent,
}

/// The events of all groups.
#[derive(Debug, Default)]
pub(crate) struct EventLog {
    groups: BTreeMap<Arc<str>, GroupLog>,
    /// All numbers are higher.
    base: u64,
    last: u64,
}

#[derive(Debug, Default)]
struct GroupLog {
    events: VecDeque<LoggedEvent>,
    bytes: usize,
    /// The number of the last event that is not kept any more.
    dropped: u64,
}

/// What a reader gets.
#[derive(Debug)]
pub(crate) struct News {
    /// Whether events before these were dropped.
    pub(crate) gap: bool,
    pub(crate) events: Vec<LoggedEvent>,
}

impl EventLog {
    /// A log whose numbers are higher than `base`. With the time in milliseconds, a reader's number
    /// from before a restart is lower: no group has a thousand events a second for long.
    pub(crate) fn after_number(base: u64) -> Self {
        Self { groups: BTreeMap::new(), base, last: base }
    }

    /// The number of the last event.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    pub(crate) fn push(&mut self, group: Arc<str>, event: GossipEvent) {
        self.last += 1;
        let log = self.groups.entry(group).or_default();
        log.bytes += bytes(&event);
        log.events.push_back(LoggedEvent { number: self.last, event });
        while log.events.len() > MAX_EVENTS || log.bytes > MAX_BYTES {
            let Some(oldest) = log.events.pop_front() else { break };
            log.bytes -= bytes(&oldest.event);
            log.dropped = oldest.number;
        }
    }

    /// The events of a group after the one with the number `since`; with 0, all that are kept.
    /// Another number that this log has not given is from before a restart of this Grape.
    pub(crate) fn after(&self, group: &str, since: u64) -> News {
        let given = since == 0 || (self.base..=self.last).contains(&since);
        let (restarted, since) = if given { (false, since) } else { (true, 0) };
        let Some(log) = self.groups.get(group) else {
            return News { gap: restarted, events: Vec::new() };
        };
        let events = log.events.iter().filter(|logged| logged.number > since).cloned();
        News { gap: restarted || since < log.dropped, events: events.collect() }
    }
}

/// The bytes of an event's key and value.
fn bytes(event: &GossipEvent) -> usize {
    match event {
        GossipEvent::Update { key, value, .. } => {
            key.len() + value.as_ref().map_or(0, |value| value.len())
        }
        GossipEvent::Expire { key, .. } => key.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(value: &[u8]) -> GossipEvent {
        let peer = ([10, 0, 0, 1], 20001).into();
        GossipEvent::Update { peer, key: "key".into(), value: Some(value.into()) }
    }

    fn numbers(news: &News) -> Vec<u64> {
        news.events.iter().map(|logged| logged.number).collect()
    }

    #[test]
    fn a_reader_gets_the_events_of_its_group_after_the_last_one_that_it_has() {
        let mut log = EventLog::default();
        for group in ["a", "b", "a", "a"] {
            log.push(group.into(), update(b"1"));
        }
        assert_eq!(numbers(&log.after("a", 0)), [1, 3, 4]);
        assert_eq!(numbers(&log.after("a", 3)), [4]);
        assert_eq!(numbers(&log.after("b", 2)), [0; 0]);
        assert_eq!(numbers(&log.after("c", 0)), [0; 0]);
        assert_eq!(log.last(), 4);
        let restarted = log.after("b", 5);
        assert!(restarted.gap);
        assert_eq!(numbers(&restarted), [2]);
    }

    #[test]
    fn a_reader_from_before_a_restart_learns_of_the_gap() {
        let mut before = EventLog::after_number(1000);
        (0..5).for_each(|_| before.push("a".into(), update(b"1")));
        let known = before.last();
        for (started, clock) in [(2000, "right"), (900, "set back")] {
            let mut log = EventLog::after_number(started);
            (0..20).for_each(|_| log.push("a".into(), update(b"2")));
            let news = log.after("a", known);
            assert!(news.gap, "the clock is {clock}");
            assert_eq!(news.events.len(), 20, "the clock is {clock}");
        }
        assert!(!before.after("a", 1000).gap, "from the beginning");
        assert!(!before.after("a", 0).gap);
    }

    #[test]
    fn a_reader_that_is_too_late_learns_of_the_gap() {
        let mut log = EventLog::default();
        (0..300).for_each(|_| log.push("a".into(), update(b"1")));
        let late = log.after("a", 7);
        assert!(late.gap);
        assert_eq!((late.events.len(), late.events[0].number), (MAX_EVENTS, 45));
        assert!(!log.after("a", 44).gap);
        let long = [b'1'; 4096];
        (0..300).for_each(|_| log.push("a".into(), update(&long)));
        assert_eq!(log.after("a", 0).events.len(), MAX_BYTES / (4096 + 3));
    }
}
