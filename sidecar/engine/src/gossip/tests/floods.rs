//! Much of what others may send, at a time.

use std::net::IpAddr;

use rand::RngExt;

use super::*;

#[test]
fn random_and_changed_datagrams_end_nothing() {
    let now = crate::clock::now();
    let mut gossip = machine(now);
    let cookie = enter(&mut gossip, addr(1), now);
    enter(&mut gossip, addr(2), now);
    let mut rng = StdRng::seed_from_u64(1);
    let mut real = message(Kind::Syn, cookie);
    real.digest = vec![entry(addr(2), START, 4), entry(addr(0), START, 1)];
    real.suspects = vec![Suspect { addr: addr(2), generation: START, heartbeat: 1 }];
    real.deltas = vec![delta(addr(2), 0, vec![set("a", 1, 100), set("b", 3, 10)])];
    let (real, mut time) = (encode(&real), now);
    for _ in 0..20_000 {
        let mut datagram = real.clone();
        for _ in 0..rng.random_range(1..4) {
            // The proof of the address is left as it is.
            let at = rng.random_range(48..datagram.len());
            datagram[at] = rng.random();
        }
        datagram.truncate(rng.random_range(0..=2 * datagram.len()).max(40));
        gossip.handle_datagram(addr(1), &datagram, time);
        let noise: [u8; 64] = rng.random();
        gossip.handle_datagram(addr(3), &noise, time);
        time += Duration::from_millis(rng.random_range(0..20));
        gossip.handle_timeout(time);
        drain(&mut gossip, addr(1));
    }
    assert!(gossip.counters().malformed > 20_000);
    assert!(gossip.peers(GROUP, time).unwrap().len() <= 2);
    gossip.set(GROUP, "still", (*b"there").into(), None, time).unwrap();
}

#[test]
fn nothing_is_kept_of_the_keys_of_a_member_that_is_removed() {
    let now = crate::clock::now();
    let mut gossip = machine(now);
    for n in 0..3 {
        let cookie = enter(&mut gossip, addr(1), now);
        let mut keys = message(Kind::Ack, cookie);
        let expires_in = Some(Duration::from_secs(3600 + n));
        keys.deltas = vec![delta(addr(1), 0, vec![Change { expires_in, ..set("a", 1, 10) }])];
        gossip.handle_datagram(addr(1), &encode(&keys), now);
        assert_eq!(events(&drain(&mut gossip, addr(1)).0).len(), 1, "the key is set");
        // With our own cookie in it, the message is taken for one of ours.
        let mut ours = message(Kind::Ack, [0; 8]);
        ours.header.mine = cookie;
        gossip.handle_datagram(addr(1), &encode(&ours), now);
        assert_eq!(gossip.peers(GROUP, now).unwrap(), []);
    }
    gossip.set_own_address(None, now);
    assert_eq!(gossip.poll_timeout(), None, "no key is left that expires");
}

#[test]
fn a_flood_keeps_no_member_from_its_answer() {
    let now = crate::clock::now();
    let mut gossip = machine(now);
    for n in 0..2 {
        gossip.set(GROUP, &format!("long{n}"), vec![7; 4000].into(), None, now).unwrap();
    }
    let cookies = [1, 2].map(|n| enter(&mut gossip, addr(n), now));
    let mut greedy = message(Kind::Syn, cookies[0]);
    greedy.digest = vec![DigestEntry { heartbeat: 0, ..entry(addr(0), START, 0) }];
    let (greedy, stranger) = (encode(&greedy), encode(&message(Kind::Syn, [0; 8])));
    for millis in 0..3000_u32 {
        let now = now + Duration::from_millis(millis.into());
        for n in 0..10 {
            gossip.handle_datagram(addr(1), &greedy, now);
            gossip.handle_datagram(addr(1000 + n), &stranger, now);
        }
        drain(&mut gossip, addr(2));
        if millis % 150 == 0 {
            gossip.handle_datagram(addr(2), &encode(&message(Kind::Syn, cookies[1])), now);
            assert!(drain(&mut gossip, addr(2)).1 > 0, "after {millis} ms");
        }
    }
    assert!(gossip.counters().throttled > 10_000);
}

#[test]
fn the_bytes_of_a_second_are_bounded_whatever_others_ask_for() {
    let now = crate::clock::now();
    let mut gossip = machine(now);
    for n in 0..2 {
        gossip.set(GROUP, &format!("long{n}"), vec![7; 4000].into(), None, now).unwrap();
    }
    let cookie = enter(&mut gossip, addr(1), now);
    let mut greedy = message(Kind::Syn, cookie);
    greedy.digest = vec![DigestEntry { heartbeat: 0, ..entry(addr(0), START, 0) }];
    let (greedy, before) = (encode(&greedy), gossip.counters().bytes_sent);
    for n in 0..10_000 {
        gossip.handle_datagram(addr(1), &greedy, now + Duration::from_millis(n));
        drain(&mut gossip, addr(1));
    }
    let a_second = (gossip.counters().bytes_sent - before) / 10;
    assert!(a_second < 320 << 10, "{a_second}");
    assert!(gossip.counters().throttled > 0);
}

/// One host has as many ports as it likes, and each of its members as many keys.
#[test]
fn one_host_takes_its_share_of_memory_and_of_places() {
    let now = crate::clock::now();
    let mut gossip = machine(now);
    let host = |n: u16| SocketAddr::from(([10, 9, 9, 9], n));
    for n in 1..=1200 {
        let Some(cookie) = challenge(&mut gossip, host(n), now) else { continue };
        for version in 0..40 {
            let mut filling = message(Kind::Ack, cookie);
            let change = set(&format!("key{version}"), version + 1, 800);
            filling.deltas = vec![delta(host(n), version, vec![change])];
            gossip.handle_datagram(host(n), &encode(&filling), now);
        }
        drain(&mut gossip, host(n));
    }
    let held = gossip.memory().used;
    assert!((1 << 20..3 << 20).contains(&held), "{held}");
    assert_eq!(gossip.peers(GROUP, now).unwrap().len(), MAX_MEMBERS - 1);

    // Others have their places, and what they say is kept.
    for n in 1..=100 {
        let cookie = enter_full(&mut gossip, addr(n), now);
        let mut told = message(Kind::Ack, cookie);
        told.deltas = vec![delta(addr(n), 0, vec![set("load", 1, 500)])];
        gossip.handle_datagram(addr(n), &encode(&told), now);
        assert_eq!(gossip.state(GROUP, Some(addr(n)), now).unwrap().len(), 1, "{n}");
    }
}

/// As [`enter`], where another makes room.
fn enter_full(gossip: &mut Gossip, from: SocketAddr, now: Instant) -> [u8; 8] {
    let cookie = challenge(gossip, from, now).expect("a Syn is answered by a challenge");
    gossip.handle_datagram(from, &encode(&message(Kind::Syn, cookie)), now);
    let effects = drain(gossip, from).0;
    let [GossipEvent::PeerFailed { peer }, GossipEvent::NewPeer { .. }] = events(&effects)[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!(peer.ip(), IpAddr::from([10, 9, 9, 9]));
    cookie
}
