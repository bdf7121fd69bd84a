//! Much of what others may send, at a time.

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
