use super::super::delta::{Request, fill};
use super::super::message::{DigestEntry, ROOM};
use super::*;

fn value(byte: u8, length: usize) -> Value {
    vec![byte; length].into()
}

/// What a copy says of itself.
fn entry(copy: &Replica) -> DigestEntry {
    DigestEntry {
        addr: ([10, 0, 0, 1], 1).into(),
        generation: 1,
        heartbeat: 1,
        version: copy.version(),
        collected: copy.collected(),
        parts: copy.parts(),
    }
}

/// The datagrams' deltas that bring a copy up to date.
fn deltas(from: &Replica, to: &Replica, datagrams: usize, now: Instant) -> Vec<Delta> {
    let request = Request { replica: from, entry: entry(to), fresh: false };
    fill(vec![request], ROOM, datagrams, now).concat()
}

fn keys(replica: &Replica) -> Vec<(&str, u64, Option<&[u8]>)> {
    let all = replica.entries();
    all.map(|(key, entry)| (&**key, entry.version, entry.value().map(|(value, _)| &**value)))
        .collect()
}

#[test]
fn a_copy_that_gets_one_datagram_at_a_time_never_lacks_an_older_change() {
    let now = crate::clock::now();
    let (mut own, mut copy) = (Replica::default(), Replica::default());
    for n in 0..200_u8 {
        own.set(&format!("key{}", n % 60), value(n, 100), None).unwrap();
    }
    own.unset("key7", now);
    let mut rounds = 0;
    while copy.version() < own.version() {
        for delta in deltas(&own, &copy, 1, now) {
            copy.apply(&delta, 1 << 20, now);
        }
        let older = own.entries().filter(|(_, entry)| entry.version <= copy.version());
        assert!(older.into_iter().all(|(key, _)| copy.entries.contains_key(key)));
        rounds += 1;
    }
    assert!(rounds > 5, "it did not fit one datagram");
    assert_eq!(keys(&copy), keys(&own));
}

#[test]
fn a_delta_after_a_gap_is_not_applied() {
    let now = crate::clock::now();
    let (mut own, mut copy) = (Replica::default(), Replica::default());
    own.set("a", value(1, 1), None).unwrap();
    let first = deltas(&own, &copy, 1, now);
    let mut ahead = Replica::default();
    ahead.apply(&first[0], 1000, now);
    own.set("b", value(2, 1), None).unwrap();
    let second = deltas(&own, &ahead, 1, now);
    assert!(copy.apply(&second[0], 1000, now).gap);
    assert_eq!(copy.version(), 0);
    copy.apply(&first[0], 1000, now);
    assert!(!copy.apply(&second[0], 1000, now).gap);
    assert!(copy.apply(&second[0], 1000, now).changed.is_empty(), "the second time is no news");
    assert_eq!(keys(&copy), keys(&own));
}

#[test]
fn a_copy_that_missed_a_tombstone_starts_over() {
    let now = crate::clock::now();
    let (mut own, mut copy) = (Replica::default(), Replica::default());
    own.set("gone", value(1, 1), None).unwrap();
    own.set("kept", value(2, 1), None).unwrap();
    deltas(&own, &copy, 1, now).iter().for_each(|delta| drop(copy.apply(delta, 1000, now)));
    own.unset("gone", now);
    own.collect(now + TOMBSTONES_KEPT);
    assert_eq!(own.entries.len(), 1, "nothing tells of the key any more");
    own.set("new", value(3, 1), None).unwrap();
    let mut changed = Vec::new();
    for delta in deltas(&own, &copy, 1, now) {
        changed.extend(copy.apply(&delta, 1000, now).changed);
    }
    assert_eq!(keys(&copy), keys(&own));
    let changed: Vec<_> = changed.iter().map(|c| (&*c.key, c.value.is_some())).collect();
    assert_eq!(changed, [("gone", false), ("new", true)], "of the kept one there is no news");
    // A copy that never knew it does not bring it back.
    let stale = Replica { version: 2, ..Replica::default() };
    assert!(deltas(&stale, &copy, 1, now).is_empty());
}

#[test]
fn a_copy_that_starts_over_in_several_datagrams_comes_to_an_end() {
    let now = crate::clock::now();
    let (mut own, mut copy) = (Replica::default(), Replica::default());
    own.set("gone", value(1, 1), None).unwrap();
    deltas(&own, &copy, 1, now).iter().for_each(|delta| drop(copy.apply(delta, 1 << 20, now)));
    own.set("other", value(1, 1), None).unwrap();
    for n in 0..40 {
        own.set(&format!("key{n}"), value(n, 150), None).unwrap();
    }
    own.unset("gone", now);
    own.unset("other", now);
    own.collect(now + TOMBSTONES_KEPT);
    let mut rounds = 0;
    while copy.version() < own.version() {
        deltas(&own, &copy, 1, now).iter().for_each(|d| drop(copy.apply(d, 1 << 20, now)));
        rounds += 1;
        assert!(rounds < 20, "it starts over each time");
    }
    assert_eq!(keys(&copy), keys(&own));
}

#[test]
fn only_missing_parts_are_sent_again() {
    let now = crate::clock::now();
    let (mut own, mut copy) = (Replica::default(), Replica::default());
    own.set("long", (0..4096).map(|n| n as u8).collect(), None).unwrap();
    own.set("short", value(1, 1), None).unwrap();
    let all = deltas(&own, &copy, 8, now);
    assert_eq!(all.len(), 6, "five parts, and the short one");
    for delta in [&all[0], &all[3]] {
        assert!(copy.apply(delta, 1 << 20, now).changed.is_empty(), "not whole yet");
    }
    assert!(copy.apply(&all[5], 1 << 20, now).gap);
    let rest = deltas(&own, &copy, 8, now);
    assert_eq!(rest.len(), 4);
    rest.iter().for_each(|delta| drop(copy.apply(delta, 1 << 20, now)));
    assert_eq!(keys(&copy), keys(&own));
    assert_eq!(copy.parts(), None);
}

#[test]
fn what_a_copy_left_out_it_does_not_pass_on() {
    let now = crate::clock::now();
    let (mut own, mut copy) = (Replica::default(), Replica::default());
    own.set("a", value(1, 800), None).unwrap();
    own.set("b", value(1, 10), None).unwrap();
    let applied = copy.apply(&deltas(&own, &copy, 1, now)[0], 500, now);
    assert_eq!((applied.left_out, applied.changed.len()), (1, 1));
    assert!(copy.is_incomplete() && copy.version() == 2);
}
