//! Keys that are set, unset, and that expire.

use std::time::Duration;

use grape_engine::gossip::{
    Gossip, GossipError, GossipEvent, MAX_GOSSIP_VALUE, MAX_GROUPS, MAX_KEY, MAX_KEYS, Value,
};

use crate::network::{GROUP, Network, START, addr, others};

const COUNT: usize = 12;

fn update(of: usize, key: &str, value: Option<&[u8]>) -> GossipEvent {
    GossipEvent::Update { peer: addr(of), key: key.into(), value: value.map(Value::from) }
}

#[test]
fn an_update_reaches_all_with_one_event_each() {
    let mut network = Network::of(COUNT, 1);
    network.set(3, "a", b"1");
    network.run(Duration::from_secs(5));
    network.set(3, "a", b"2");
    network.run(Duration::from_secs(30));
    for n in others(COUNT, 3) {
        let events: Vec<_> = network.nodes[n].events.iter().map(|(_, event)| event).collect();
        assert_eq!(events, [&update(3, "a", Some(b"1")), &update(3, "a", Some(b"2"))]);
    }
    assert!(network.nodes[3].events.is_empty(), "a member knows what it set itself");
}

#[test]
fn a_late_member_gets_all_keys_of_all() {
    let mut network = Network::of(COUNT, 2);
    for n in 0..COUNT {
        (0..100).for_each(|key| network.set(n, &format!("key{key}"), &[n as u8; 60]));
    }
    network.add(addr(COUNT), &[addr(0)]);
    network.run(Duration::from_secs(10));
    for n in 0..COUNT {
        let state = network.nodes[COUNT].gossip.state(GROUP, Some(addr(n)), network.now);
        assert_eq!(state.map(|items| items.len()), Some(100), "of {n}");
        let seen = |event: &GossipEvent| matches!(event, GossipEvent::Update { peer, .. } if *peer == addr(n));
        assert_eq!(network.count(COUNT, seen), 100, "of {n}");
    }
}

#[test]
fn a_key_expires_everywhere_at_its_time_with_one_event_each() {
    let mut network = Network::of(COUNT, 3);
    let (set, time) = (network.now, Duration::from_secs(3));
    network.act(3, |gossip, now| {
        gossip.set(GROUP, "a", (*b"1").into(), Some(now + time), now).expect("it is short")
    });
    network.run(Duration::from_secs(2));
    assert!(others(COUNT, 3).all(|n| network.value(n, 3, "a").is_some()));
    network.run(Duration::from_secs(30));
    for n in others(COUNT, 3) {
        let expired = GossipEvent::Expire { peer: addr(3), key: "a".into() };
        assert_eq!(network.count(n, |event| *event == expired), 1, "{n}");
        assert_eq!(network.nodes[n].events.len(), 2, "{n}: an update, and its end");
        let (at, _) = network.nodes[n].events[1];
        let off = (at - set).abs_diff(time);
        assert!(off < Duration::from_millis(50), "{n}: {off:?} off");
        assert_eq!(network.value(n, 3, "a"), None);
    }
    let own = network.nodes[3].gossip.state(GROUP, None, network.now);
    assert_eq!(own, Some(Vec::new()));
}

#[test]
fn a_key_set_again_before_its_time_lives_on() {
    let mut network = Network::of(5, 4);
    network.act(3, |gossip, now| {
        let soon = now + Duration::from_secs(2);
        gossip.set(GROUP, "a", (*b"1").into(), Some(soon), now).expect("it is short")
    });
    network.run(Duration::from_secs(1));
    network.set(3, "a", b"2");
    network.run(Duration::from_secs(10));
    for n in others(5, 3) {
        assert_eq!(network.value(n, 3, "a"), Some(b"2".to_vec()));
        assert_eq!(network.count(n, |event| matches!(event, GossipEvent::Expire { .. })), 0);
    }
}

#[test]
fn an_unset_key_is_gone_everywhere_and_stays_so() {
    let mut network = Network::of(COUNT, 5);
    network.set(3, "a", b"1");
    network.run(Duration::from_secs(2));
    // One member misses it, and the time in which tombstones are kept.
    network.set_sides(|n| u8::from(n == 7));
    network.run(Duration::from_secs(5));
    network.act(3, |gossip, now| assert_eq!(gossip.unset(GROUP, "a", now), Ok(true)));
    network.run(Duration::from_secs(400));
    network.set(3, "b", b"2");
    network.set_sides(|_| 0);
    network.run(Duration::from_secs(60));
    for n in others(COUNT, 3) {
        assert_eq!(network.value(n, 3, "a"), None, "{n}");
        assert_eq!(network.value(n, 3, "b"), Some(b"2".to_vec()), "{n}");
        assert_eq!(network.count(n, |event| *event == update(3, "a", None)), 1, "{n}");
        assert_eq!(network.count(n, |event| *event == update(3, "a", Some(b"1"))), 1, "{n}");
    }
    network.act(3, |gossip, now| assert_eq!(gossip.unset(GROUP, "a", now), Ok(false)));
}

#[test]
fn long_values_arrive_whole_where_a_fifth_of_all_datagrams_is_lost() {
    let mut network = Network::of(COUNT, 6);
    network.loss = 0.2;
    let value = |seed: u8| (0..MAX_GOSSIP_VALUE).map(|n| n as u8 ^ seed).collect::<Vec<_>>();
    for seed in 0..5 {
        network.set(3, "long", &value(seed));
        network.set(3, "short", &[seed]);
        network.run(Duration::from_secs(10));
        for n in others(COUNT, 3) {
            assert_eq!(network.value(n, 3, "long"), Some(value(seed)), "{n}, {seed}");
            assert_eq!(network.value(n, 3, "short"), Some(vec![seed]), "{n}, {seed}");
        }
    }
}

#[test]
fn many_changes_under_loss_leave_all_with_the_same() {
    let mut network = Network::of(COUNT, 7);
    network.loss = 0.1;
    for change in 0..300_u32 {
        let n = change as usize % 4;
        let key = format!("key{}", change % 17);
        if change % 5 == 0 {
            network.act(n, |gossip, now| gossip.unset(GROUP, &key, now).expect("it is joined"));
        } else {
            network.set(n, &key, &change.to_be_bytes().repeat(1 + change as usize % 100));
        }
        network.run(Duration::from_millis(20));
    }
    network.run(Duration::from_secs(20));
    for of in 0..4 {
        let own = network.nodes[of].gossip.state(GROUP, None, network.now);
        for n in others(COUNT, of) {
            let seen = network.nodes[n].gossip.state(GROUP, Some(addr(of)), network.now);
            assert_eq!(seen, own, "{n} of {of}");
        }
    }
}

#[test]
fn own_keys_beyond_a_bound_are_refused_with_the_bound() {
    let network = Network::new(8);
    let now = network.now;
    let mut gossip = Gossip::new(None, START, [1; 32], now);
    let set = |gossip: &mut Gossip, group: &str, key: &str, length: usize| {
        gossip.set(group, key, vec![0; length].into(), None, now)
    };
    assert_eq!(set(&mut gossip, GROUP, "a", 1), Err(GossipError::NotJoined));
    for n in 0..MAX_GROUPS {
        assert_eq!(gossip.join(&format!("group{n}"), [], now), Ok(()));
    }
    assert_eq!(gossip.join("one more", [], now), Err(GossipError::Groups));
    assert_eq!(gossip.join("group3", [addr(1)], now), Ok(()), "it is joined already");
    assert_eq!(gossip.join("", [], now), Err(GossipError::GroupName));
    let long = "x".repeat(MAX_KEY + 1);
    assert_eq!(set(&mut gossip, "group0", &long, 1), Err(GossipError::Key(MAX_KEY + 1)));
    let error = set(&mut gossip, "group0", "a", MAX_GOSSIP_VALUE + 1);
    assert_eq!(error, Err(GossipError::Value(MAX_GOSSIP_VALUE + 1)));
    assert_eq!(set(&mut gossip, "group0", "a", 4095), Ok(1));
    assert_eq!(set(&mut gossip, "group0", "b", 4095), Ok(2));
    assert_eq!(set(&mut gossip, "group0", "c", 0), Err(GossipError::State(8193)));
    assert_eq!(set(&mut gossip, "group0", "b", 4000), Ok(3), "a shorter one in its place");
    for key in 0..MAX_KEYS {
        assert!(set(&mut gossip, "group1", &format!("key{key}"), 1).is_ok());
    }
    assert_eq!(set(&mut gossip, "group1", "one more", 1), Err(GossipError::Keys));
    assert!(set(&mut gossip, "group1", "key7", 2).is_ok(), "the same key again");
}

#[test]
fn groups_are_apart() {
    let mut network = Network::of(3, 9);
    for n in 0..2 {
        network.act(n, |gossip, now| gossip.join("others", [addr(0)], now).expect("there is room"));
    }
    network.act(0, |gossip, now| {
        gossip.set("others", "a", (*b"1").into(), None, now).expect("it is short")
    });
    network.run(Duration::from_secs(5));
    let keys = |n: usize, group: &str| {
        let state = network.nodes[n].gossip.state(group, Some(addr(0)), network.now);
        state.map(|items| items.len())
    };
    assert_eq!((keys(1, "others"), keys(1, GROUP), keys(2, GROUP)), (Some(1), Some(0), Some(0)));
    assert_eq!(keys(2, "others"), None);
    assert!(network.nodes[0].gossip.counters().other_group == 0);
}
