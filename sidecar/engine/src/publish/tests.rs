use mainline::Id;

use super::*;
use crate::distance::target_of;

const AGE: Duration = Duration::from_secs(120);

fn service() -> Service {
    (b"rpc_test".as_slice().into(), 1337)
}

fn holder(n: u8) -> Closest {
    let contact = Contact { id: Id::from([n; 20]), addr: SocketAddr::from(([10, 0, 0, n], 1)) };
    let token_since = crate::clock::now();
    Closest { contact, token: Box::from(b"t".as_slice()), token_since }
}

fn stored(publish: &mut Publish, holders: &[Closest], now: Instant) -> bool {
    let addrs: Vec<_> = holders.iter().map(|holder| holder.contact.addr).collect();
    publish.store_began(&service(), holders, now + AGE, now);
    publish.stored(&service(), holders, &addrs, now + AGE)
}

#[test]
fn only_the_first_announce_waits_and_few_of_the_others_store() {
    let start = crate::clock::now();
    let mut publish = Publish::new(10, AGE, start);
    let (due, _) = publish.announced(&service(), start + AGE, start);
    assert_eq!(due, Due { held_by: 0, store: true, wait: true, at: None });
    publish.storing(&service());
    stored(&mut publish, &[holder(1), holder(2)], start);
    let (mut stores, mut lookups) = (0, 0);
    for second in 1..=600 {
        let now = start + Duration::from_secs(second);
        let (due, _) = publish.announced(&service(), now + AGE, now);
        assert!(!due.wait);
        assert_eq!(due.held_by, 2);
        if due.store {
            stores += 1;
            lookups += u32::from(due.at.is_none());
            publish.storing(&service());
            let looked_up = || [1, 2].map(|n| Closest { token_since: now, ..holder(n) }).to_vec();
            stored(&mut publish, &due.at.unwrap_or_else(looked_up), now);
        }
    }
    assert_eq!((stores, lookups), (600 / 41, 3));
}

#[test]
fn a_node_that_joins_or_comes_back_is_stored_at() {
    let now = crate::clock::now();
    let mut publish = Publish::new(10, AGE, now);
    publish.announced(&service(), now + AGE, now);
    stored(&mut publish, &[holder(1)], now);
    assert!(publish.joined(&holder(2).contact, now));
    assert_eq!(publish.take_due(now), []);
    assert_eq!(publish.take_due(now + SETTLE), [service()]);
    publish.storing(&service());
    assert_eq!(publish.take_due(now + SETTLE), []);
    assert!(!stored(&mut publish, &[holder(1), holder(2)], now));
    publish.storing(&service());
    assert!(publish.joined(&holder(1).contact, now), "it restarted");
    assert!(stored(&mut publish, &[holder(1), holder(2)], now));
}

#[test]
fn who_dropped_an_announce_is_sent_it_again_and_nobody_else_is() {
    let now = crate::clock::now();
    let mut publish = Publish::new(10, AGE, now);
    publish.announced(&service(), now + AGE, now);
    let node = holder(1);
    stored(&mut publish, &[node.clone(), holder(2)], now);
    assert!(!publish.dropped_by(&holder(9).contact, now), "it was told of nothing");
    assert_eq!((publish.next_due(now), publish.take_dropped(now)), (None, vec![]));
    assert!(publish.dropped_by(&holder(1).contact, now));
    assert_eq!(publish.next_due(now), Some(now + SETTLE));
    assert_eq!(publish.take_due(now + SETTLE), [], "no lookup is needed");
    let dropped = publish.take_dropped(now + SETTLE);
    assert_eq!(dropped, [(service(), node.clone())]);
    publish.store_began(&service(), &[node], now + AGE, now);
    assert_eq!((publish.next_due(now), publish.take_dropped(now)), (None, vec![]));
}

#[test]
fn who_says_without_end_that_it_dropped_announces_is_sent_few() {
    let start = crate::clock::now();
    let mut publish = Publish::new(2000, AGE, start);
    for port in 1..=1000 {
        let service = (service().0, port);
        publish.announced(&service, start + AGE, start);
        publish.store_began(&service, &[holder(1), holder(2)], start + AGE, start);
    }
    let mut sent = [0; 2];
    for tick in 0..100 {
        let now = start + SETTLE * tick;
        assert!(publish.dropped_by(&holder(1).contact, now));
        if tick == 50 {
            assert!(publish.dropped_by(&holder(2).contact, now));
        }
        for (service, node) in publish.take_dropped(now) {
            sent[usize::from(node.contact == holder(2).contact)] += 1;
            publish.store_began(&service, &[node], start + AGE, now);
        }
    }
    assert!((1000..=256 + 50 * 20).contains(&sent[0]), "{sent:?}");
    assert!((256 + 50 * 8..1000).contains(&sent[1]), "another host has its own share: {sent:?}");
}

/// All own announces are looked through for each.
#[test]
fn who_says_too_often_that_it_dropped_announces_is_not_listened_to() {
    let start = crate::clock::now();
    let mut publish = Publish::new(10, AGE, start);
    publish.announced(&service(), start + AGE, start);
    stored(&mut publish, &[holder(1), holder(2)], start);
    let mut heard = |node, now| {
        let times = (0..10_000).filter(|_| publish.dropped_by(&holder(node).contact, now));
        times.count()
    };
    assert_eq!((heard(1, start), heard(1, start)), (32, 0));
    assert_eq!(heard(2, start), 32, "another host has its own share");
    assert_eq!(heard(1, start + Duration::from_secs(2)), 16);
}

#[test]
fn far_nodes_do_not_matter_where_k_closer_ones_hold_it() {
    let now = crate::clock::now();
    let mut publish = Publish::new(10, AGE, now);
    publish.announced(&service(), now + AGE, now);
    let name_like = |n: u8| {
        let mut id = *target_of(b"rpc_test").as_bytes();
        id[19] = n;
        let addr = SocketAddr::from(([10, 0, 1, n], 1));
        Closest { contact: Contact { id: Id::from(id), addr }, ..holder(n) }
    };
    stored(&mut publish, &(1..=20).map(name_like).collect::<Vec<_>>(), now);
    assert!(!publish.joined(&holder(200).contact, now));
    assert!(publish.joined(&name_like(0).contact, now));
    assert!(publish.left(&name_like(3).contact, now), "a place is free");
}

#[test]
fn a_short_renewal_expires_in_time_and_is_stored_once() {
    let now = crate::clock::now();
    let mut publish = Publish::new(10, AGE, now);
    let other: Service = (b"other".as_slice().into(), 1);
    publish.announced(&other, now + AGE, now);
    let until = now + AGE / 3;
    publish.announced(&service(), until, now);
    publish.store_began(&service(), &[holder(1)], until, now);
    publish.stored(&service(), &[holder(1)], &[holder(1).contact.addr], until);
    let (due, _) = publish.announced(&service(), until, now + AGE / 6);
    assert!(!due.store, "its holders believe it for as long as it is announced");
    publish.expire(until);
    assert_eq!(publish.expires_at(&service(), now), None);
    assert_eq!(publish.len(), 1, "the older one is announced for longer");
}

#[test]
fn services_age_and_make_room() {
    let now = crate::clock::now();
    let mut publish = Publish::new(1, AGE, now);
    publish.announced(&service(), now + AGE, now);
    let shown_at = SocketAddr::from(([10, 0, 0, 1], 1337));
    assert_eq!(publish.show_at(&service(), shown_at), None);
    let other: Service = (b"other".as_slice().into(), 1);
    let (_, dropped) = publish.announced(&other, now + AGE, now);
    assert_eq!(dropped, Some((service().0, shown_at)));
    assert_eq!(publish.expires_at(&other, now + AGE), None);
    publish.expire(now + AGE);
    assert_eq!(publish.len(), 0);
}

/// Nodes without end join, each close to every name.
#[test]
fn nodes_that_join_without_end_cost_little_and_hold_nothing_up() {
    let start = crate::clock::now();
    let mut publish = Publish::new(1000, AGE, start);
    let service = |n: u16| -> Service { (n.to_be_bytes().as_slice().into(), 1337) };
    let announced = |publish: &mut Publish, n, now| {
        publish.announced(&service(n), now + AGE, now);
        publish.store_began(&service(n), &[holder(1)], now + AGE, now);
        publish.stored(&service(n), &[holder(1)], &[holder(1).contact.addr], now + AGE);
    };
    (0..1000).for_each(|n| announced(&mut publish, n, start));
    let (mut at_first, mut all) = (0, 0);
    for tenth in 0..600_u16 {
        let now = start + Duration::from_millis(100) * u32::from(tenth);
        let [high, low] = tenth.to_be_bytes();
        let addr = SocketAddr::from(([10, 1, high, low], 1));
        publish.joined(&Contact { id: Id::from([low; 20]), addr }, now);
        let due = publish.take_due(now);
        all += due.len();
        at_first += if tenth < 5 { due.len() } else { 0 };
        for (name, _) in due {
            announced(&mut publish, u16::from_be_bytes([name[0], name[1]]), now);
        }
    }
    assert!((200..=300).contains(&at_first), "{at_first} at once");
    // 50 a second.
    assert!((3000..=3300).contains(&all), "{all} in a minute");
}
