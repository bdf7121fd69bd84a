//! What others may send: the machine never ends, keeps no more than its bounds, and sends no more
//! than it got to an address that has not proved itself.

mod floods;
mod receipts;

use std::time::Duration;

use super::encode::encode;
use super::message::{Body, Change, Delta, DigestEntry, ENOUGH, Header, Kind, Message, Suspect};
use super::*;

const GROUP: &str = "workers";
const START: u64 = 1_700_000_000_000;

fn addr(n: u32) -> SocketAddr {
    SocketAddr::from(((0x0a00_0000 + n).to_be_bytes(), 20001))
}

/// A machine with one honest key, which no other member knows yet.
fn machine(now: Instant) -> Gossip {
    let mut gossip = Gossip::new("prod.market".parse().ok(), START, [1; 32], now);
    gossip.set_own_address(Some(addr(0)), now);
    gossip.join(GROUP, [], now).unwrap();
    gossip.set(GROUP, "own", (*b"1").into(), None, now).unwrap();
    gossip
}

fn message(kind: Kind, yours: [u8; 8]) -> Message {
    let header = Header {
        kind,
        network: None,
        group: group::tag(GROUP),
        generation: START,
        heartbeat: 1,
        yours,
        mine: [9; 8],
    };
    Message { header, known: ENOUGH, digest: vec![], suspects: vec![], deltas: vec![] }
}

fn entry(addr: SocketAddr, generation: u64, version: u64) -> DigestEntry {
    DigestEntry { addr, generation, heartbeat: 7, version, collected: 0, parts: None }
}

fn delta(addr: SocketAddr, from: u64, changes: Vec<Change>) -> Delta {
    let to = changes.last().map_or(from, |change| change.version);
    Delta { addr, generation: START, from, to, collected: 0, fresh: true, changes }
}

fn set(key: &str, version: u64, length: usize) -> Change {
    let body = Body::Set(vec![7; length].into());
    Change { key: key.into(), version, expires_in: None, body }
}

/// All effects, and how many bytes were sent to an address.
fn drain(gossip: &mut Gossip, to: SocketAddr) -> (Vec<GossipEffect>, usize) {
    let effects: Vec<_> = std::iter::from_fn(|| gossip.poll_effect()).collect();
    let sent = effects.iter().map(|effect| match effect {
        GossipEffect::Send { to: receiver, datagram } if *receiver == to => datagram.len(),
        _ => 0,
    });
    let sent = sent.sum();
    (effects, sent)
}

fn events(effects: &[GossipEffect]) -> Vec<&GossipEvent> {
    let mut events = Vec::new();
    for effect in effects {
        if let GossipEffect::Event { event, .. } = effect {
            events.push(event);
        }
    }
    events
}

/// The cookie by which an address proves itself, if the machine has anything left to send.
fn challenge(gossip: &mut Gossip, from: SocketAddr, now: Instant) -> Option<[u8; 8]> {
    gossip.handle_datagram(from, &encode(&message(Kind::Syn, [0; 8])), now);
    drain(gossip, from).0.iter().find_map(|effect| match effect {
        GossipEffect::Send { datagram, .. } => Some(decode::decode(datagram).unwrap().header.mine),
        _ => None,
    })
}

/// A member that has proved its address. Returns the cookie that the machine expects of it.
fn enter(gossip: &mut Gossip, from: SocketAddr, now: Instant) -> [u8; 8] {
    let cookie = challenge(gossip, from, now).expect("a Syn is answered by a challenge");
    gossip.handle_datagram(from, &encode(&message(Kind::Syn, cookie)), now);
    let effects = drain(gossip, from).0;
    assert!(matches!(events(&effects)[..], [GossipEvent::NewPeer { .. }]));
    cookie
}

#[test]
fn an_address_that_has_not_proved_itself_gets_no_more_than_it_sends() {
    let now = crate::clock::now();
    let mut gossip = machine(now);
    (0..100).for_each(|n| {
        gossip.set(GROUP, &format!("key{n}"), vec![7; 70].into(), None, now).unwrap();
    });
    for n in 1..20 {
        enter(&mut gossip, addr(n), now);
    }
    let (victim, mut received, mut sent) = (addr(99), 0, 0);
    for kind in [Kind::Syn, Kind::SynAck, Kind::Challenge, Kind::Ack] {
        for entries in 0..20 {
            let mut forged = message(kind, [0; 8]);
            forged.known = 1;
            forged.digest = (0..entries).map(|n| entry(addr(n), START, 0)).collect();
            let datagram = encode(&forged);
            received += datagram.len();
            gossip.handle_datagram(victim, &datagram, now);
            sent += drain(&mut gossip, victim).1;
            assert!(sent <= received, "{sent} of {received}");
        }
    }
    assert!(sent > 0, "it is challenged");
    for _ in 0..600 {
        gossip.handle_timeout(gossip.poll_timeout().unwrap());
        assert_eq!(drain(&mut gossip, victim).1, 0, "nothing follows by itself");
    }
    assert!(gossip.peers(GROUP, now).unwrap().iter().all(|peer| peer.addr != victim));
}

#[test]
fn a_datagram_without_our_cookie_changes_nothing() {
    let now = crate::clock::now();
    let mut gossip = machine(now);
    enter(&mut gossip, addr(1), now);
    let mut forged = message(Kind::Ack, [3; 8]);
    forged.header.generation = START + 1;
    forged.digest = vec![entry(addr(0), START, 77), entry(addr(5), START, 1)];
    forged.deltas = vec![delta(addr(1), 0, vec![set("a", 1, 10)])];
    forged.suspects = vec![Suspect { addr: addr(1), generation: START, heartbeat: 1 }];
    gossip.handle_datagram(addr(1), &encode(&forged), now);
    assert_eq!(drain(&mut gossip, addr(1)), (vec![], 0));
    assert_eq!(gossip.state(GROUP, Some(addr(1)), now), Some(vec![]));
    assert_eq!(gossip.generation(GROUP), Some(START));
    assert_eq!(gossip.counters().unproved, 2, "this one, and the first Syn");
}

#[test]
fn members_that_others_invent_are_asked_a_few_times_and_never_announced() {
    let now = crate::clock::now();
    let mut gossip = machine(now);
    let cookie = enter(&mut gossip, addr(1), now);
    for n in 0..2000_u32 {
        let mut forged = message(Kind::Ack, cookie);
        forged.digest = (0..50).map(|i| entry(addr(1000 + n * 50 + i), u64::MAX, 1)).collect();
        gossip.handle_datagram(addr(1), &encode(&forged), now);
    }
    assert!(gossip.counters().candidates_left_out > 90_000);
    let (mut asked, mut time) = (0, now);
    while time < now + Duration::from_secs(60) {
        time = gossip.poll_timeout().unwrap();
        gossip.handle_timeout(time);
        let effects = drain(&mut gossip, addr(1)).0;
        let invented = |to: &SocketAddr| *to >= addr(1000);
        asked += effects
            .iter()
            .filter(|effect| matches!(effect, GossipEffect::Send { to, .. } if invented(to)))
            .count();
    }
    assert_eq!(asked, 512, "each of those that fit twice");
    assert_eq!(gossip.peers(GROUP, now).unwrap().len(), 1);
}

#[test]
fn a_full_group_leaves_further_members_out_but_takes_them_for_the_dead() {
    let start = crate::clock::now();
    let mut gossip = machine(start);
    let mut now = start;
    for n in 1..MAX_MEMBERS as u32 {
        now += Duration::from_millis(10);
        enter(&mut gossip, addr(n), now);
    }
    let late = addr(5000);
    let knock = |gossip: &mut Gossip, now| {
        gossip.handle_datagram(late, &encode(&message(Kind::Syn, [0; 8])), now);
        let cookie = gossip.cookies.of(late);
        gossip.handle_datagram(late, &encode(&message(Kind::Syn, cookie)), now);
        drain(gossip, late).0
    };
    assert_eq!(events(&knock(&mut gossip, now)).len(), 0);
    assert_eq!(gossip.counters().members_left_out, 1);
    assert_eq!(gossip.peers(GROUP, now).unwrap().len(), MAX_MEMBERS - 1);
    while gossip.peers(GROUP, now).unwrap().iter().all(|peer| peer.live) {
        now = gossip.poll_timeout().unwrap();
        gossip.handle_timeout(now);
    }
    assert!(events(&knock(&mut gossip, now)).iter().any(|event| matches!(event,
        GossipEvent::NewPeer { peer, .. } if *peer == late)));
    assert_eq!(gossip.peers(GROUP, now).unwrap().len(), MAX_MEMBERS - 1);
}

#[test]
fn a_forged_state_of_this_member_ends_with_a_higher_generation() {
    let now = crate::clock::now();
    let mut gossip = machine(now);
    let cookie = enter(&mut gossip, addr(1), now);
    let mut forged = message(Kind::Ack, cookie);
    forged.digest = vec![entry(addr(0), START, u64::MAX)];
    forged.deltas = vec![delta(addr(0), 0, vec![set("own", u64::MAX, 10)])];
    gossip.handle_datagram(addr(1), &encode(&forged), now);
    assert_eq!(gossip.generation(GROUP), Some(START + 1));
    let own = gossip.state(GROUP, None, now).unwrap();
    assert_eq!((own.len(), &*own[0].value), (1, &b"1"[..]), "its keys are as they were");
    forged.digest = vec![entry(addr(0), u64::MAX, u64::MAX)];
    gossip.handle_datagram(addr(1), &encode(&forged), now + Duration::from_secs(60));
    assert_eq!(gossip.generation(GROUP), Some(START + 1), "there is none above the highest");
    gossip.set(GROUP, "own", (*b"2").into(), None, now).unwrap();
}

#[test]
fn a_forged_state_of_another_member_is_gone_once_that_one_starts_over() {
    let now = crate::clock::now();
    let mut gossip = machine(now);
    let (forger, honest) = (enter(&mut gossip, addr(1), now), enter(&mut gossip, addr(2), now));
    let mut forged = message(Kind::Ack, forger);
    forged.deltas = vec![delta(addr(2), 0, vec![set("a", u64::MAX, 10)])];
    gossip.handle_datagram(addr(1), &encode(&forged), now);
    let mut told = message(Kind::Ack, honest);
    told.header.generation = START + 1;
    let changes = vec![set("b", 1, 10)];
    told.deltas = vec![Delta { generation: START + 1, ..delta(addr(2), 0, changes) }];
    gossip.handle_datagram(addr(2), &encode(&told), now);
    let keys = gossip.state(GROUP, Some(addr(2)), now).unwrap();
    assert_eq!(keys.iter().map(|item| &*item.key).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn a_forged_generation_of_another_member_does_not_displace_it() {
    let now = crate::clock::now();
    let mut gossip = machine(now);
    let (forger, honest) = (enter(&mut gossip, addr(1), now), enter(&mut gossip, addr(2), now));
    let mut forged = message(Kind::Ack, forger);
    forged.digest = vec![entry(addr(2), u64::MAX, u64::MAX)];
    let changes = vec![set("a", 7, 10)];
    forged.deltas = vec![Delta { generation: u64::MAX, ..delta(addr(2), 0, changes) }];
    gossip.handle_datagram(addr(1), &encode(&forged), now);
    let mut told = message(Kind::Ack, honest);
    told.deltas = vec![delta(addr(2), 0, vec![set("b", 1, 10)])];
    gossip.handle_datagram(addr(2), &encode(&told), now);
    let keys = gossip.state(GROUP, Some(addr(2)), now).unwrap();
    assert_eq!(keys.iter().map(|item| &*item.key).collect::<Vec<_>>(), ["b"]);
    let peers = gossip.peers(GROUP, now).unwrap();
    assert!(peers.iter().all(|peer| peer.live && peer.generation == START));
}

#[test]
fn keys_of_others_beyond_a_bound_are_left_out_and_counted() {
    let now = crate::clock::now();
    let mut gossip = machine(now);
    let cookie = enter(&mut gossip, addr(1), now);
    for version in 1..=2000 {
        let mut forged = message(Kind::Ack, cookie);
        let key = format!("key{version}");
        forged.deltas = vec![delta(addr(1), version - 1, vec![set(&key, version, 500)])];
        gossip.handle_datagram(addr(1), &encode(&forged), now);
    }
    let keys = gossip.state(GROUP, Some(addr(1)), now).unwrap();
    let bytes: usize = keys.iter().map(|item| item.key.len() + item.value.len()).sum();
    assert!((MAX_STATE..=2 * MAX_STATE).contains(&bytes), "{bytes}");
    assert_eq!(gossip.counters().keys_left_out as usize, 2000 - keys.len());
    for version in 2001..=9000 {
        let mut forged = message(Kind::Ack, cookie);
        let unset = Change { body: Body::Unset, ..set(&format!("gone{version}"), version, 0) };
        forged.deltas = vec![delta(addr(1), version - 1, vec![unset])];
        gossip.handle_datagram(addr(1), &encode(&forged), now);
    }
    let replica = &gossip.groups[0].members.get(&addr(1)).unwrap().replica;
    assert!(replica.entries().count() <= 3 * MAX_KEYS, "tombstones are bounded, too");
}

#[test]
fn all_states_together_are_bounded() {
    let now = crate::clock::now();
    let mut gossip = machine(now);
    gossip.groups[0].held = MAX_MEMORY - 1000;
    let cookie = enter(&mut gossip, addr(1), now);
    let mut forged = message(Kind::Ack, cookie);
    forged.deltas = vec![delta(addr(1), 0, vec![set("a", 1, 500), set("b", 2, 500)])];
    gossip.handle_datagram(addr(1), &encode(&forged), now);
    assert_eq!(gossip.state(GROUP, Some(addr(1)), now).unwrap().len(), 1);
    assert_eq!(gossip.counters().keys_left_out, 1);
    let error = gossip.set(GROUP, "more", vec![0; 900].into(), None, now);
    assert_eq!(error, Err(GossipError::Memory));
}

#[test]
fn a_suspicion_is_only_a_reason_to_ask() {
    let now = crate::clock::now();
    let mut gossip = machine(now);
    let (forger, honest) = (enter(&mut gossip, addr(1), now), enter(&mut gossip, addr(2), now));
    let mut time = now;
    while time < now + Duration::from_secs(30) {
        let mut forged = message(Kind::Ack, forger);
        let heartbeat = u32::MAX;
        forged.suspects = vec![Suspect { addr: addr(2), generation: START, heartbeat }];
        gossip.handle_datagram(addr(1), &encode(&forged), time);
        // The other answers what it is asked.
        let effects = drain(&mut gossip, addr(2)).0;
        let fails = |event: &&GossipEvent| **event == GossipEvent::PeerFailed { peer: addr(2) };
        assert!(!events(&effects).iter().any(fails));
        let asked = effects
            .iter()
            .any(|effect| matches!(effect, GossipEffect::Send { to, .. } if *to == addr(2)));
        if asked {
            gossip.handle_datagram(addr(2), &encode(&message(Kind::SynAck, honest)), time);
        }
        time = gossip.poll_timeout().unwrap();
        gossip.handle_timeout(time);
    }
}

#[test]
fn a_silent_member_fails_though_another_invents_heartbeats_of_it() {
    let now = crate::clock::now();
    let mut gossip = machine(now);
    let forger = enter(&mut gossip, addr(1), now);
    enter(&mut gossip, addr(2), now);
    let (mut time, mut failed) = (now, None);
    for heartbeat in 10.. {
        let mut forged = message(Kind::SynAck, forger);
        forged.digest = vec![DigestEntry { heartbeat, ..entry(addr(2), START, 0) }];
        gossip.handle_datagram(addr(1), &encode(&forged), time);
        time = gossip.poll_timeout().unwrap().max(time + Duration::from_millis(10));
        gossip.handle_timeout(time);
        let effects = drain(&mut gossip, addr(2)).0;
        let fails = GossipEvent::PeerFailed { peer: addr(2) };
        failed = failed.or(events(&effects).contains(&&fails).then_some(time - now));
        if time > now + Duration::from_secs(20) {
            break;
        }
    }
    let failed = failed.expect("it answers nothing");
    assert!(failed > Duration::from_secs(4) && failed < Duration::from_secs(8), "{failed:?}");
}

#[test]
fn another_network_is_refused_counted_and_reported_once() {
    let now = crate::clock::now();
    let mut gossip = machine(now);
    let mut other = message(Kind::Syn, [0; 8]);
    other.header.network = "test.market".parse::<NetworkName>().ok().map(|name| name.tag());
    for _ in 0..10 {
        gossip.handle_datagram(addr(1), &encode(&other), now);
    }
    assert_eq!(drain(&mut gossip, addr(1)).0, [GossipEffect::OtherNetwork(addr(1))]);
    (0..5000).for_each(|n| gossip.handle_datagram(addr(n), &encode(&other), now));
    assert_eq!(drain(&mut gossip, addr(1)).0.len(), MAX_REPORTED - 1);
    assert_eq!(gossip.counters().other_network, 5010);
}
