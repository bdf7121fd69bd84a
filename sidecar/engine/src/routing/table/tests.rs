use super::*;

fn contact(first: u8, last: u8) -> Contact {
    let mut id = [0; 20];
    (id[0], id[19]) = (first, last);
    let addr = SocketAddr::from(([10, 0, first, last], 1));
    Contact { id: Id::from(id), addr }
}

fn table(own: Id) -> Table {
    Table::new(own, Diversity::default())
}

#[test]
fn a_node_that_only_asks_is_not_in_the_table() {
    let now = crate::clock::now();
    let mut table = table(Id::from([0xff; 20]));
    assert_eq!(table.asked_by(contact(1, 1), true, now), Heard::New);
    assert_eq!((table.len(), table.nodes().count()), (0, 0));
    assert_eq!(table.heard(contact(1, 1), true, now), Heard::New);
    assert_eq!(table.asked_by(contact(1, 1), true, now), Heard::Known);
    assert_eq!(table.len(), 1);
}

#[test]
fn closest_first_by_xor() {
    let now = crate::clock::now();
    let mut table = table(Id::from([0xff; 20]));
    for i in 30..50 {
        table.heard(contact(i, i), false, now);
    }
    let target = contact(33, 0).id;
    let closest: Vec<_> =
        table.closest(&target, 3, |_| false).iter().map(|c| c.id.as_bytes()[0]).collect();
    assert_eq!(closest, [33, 32, 35]);
    let all = table.closest(&target, 100, |_| false);
    assert!(all.is_sorted_by_key(|c| c.id.xor(&target)));
    assert_eq!(all.len(), table.len());
}

#[test]
fn no_nearer_one_is_passed_over() {
    use rand::{RngExt, SeedableRng};
    let mut rng = rand::rngs::StdRng::seed_from_u64(1);
    let now = crate::clock::now();
    for nodes in [0usize, 1, 19, 20, 60, 1000] {
        let own = Id::from(rng.random::<[u8; 20]>());
        let mut table = table(own);
        for n in 0..nodes {
            // Some share many leading bits with us, as in a large network.
            let mut id: [u8; 20] = rng.random();
            let shared = n % 4;
            id[..shared].copy_from_slice(&own.as_bytes()[..shared]);
            let [.., high, low] = n.to_be_bytes();
            table.heard(Contact { id: Id::from(id), ..contact(high, low) }, false, now);
        }
        for n in 0..50 {
            let mut target: [u8; 20] = rng.random();
            let shared = n % 5;
            target[..shared].copy_from_slice(&own.as_bytes()[..shared]);
            let target = if n == 49 { own } else { Id::from(target) };
            let mut all: Vec<Contact> = table.nodes().map(|node| node.contact).collect();
            all.sort_by_key(|contact| contact.id.xor(&target));
            all.truncate(K);
            assert_eq!(table.closest(&target, K, |_| false), all);
        }
    }
}

#[test]
fn a_full_bucket_keeps_its_nodes_and_caches_replacements() {
    let now = crate::clock::now();
    let mut table = table(Id::from([0xff; 20]));
    for i in 0..20 {
        assert_eq!(table.heard(contact(0, i), false, now), Heard::New);
    }
    assert_eq!(table.heard(contact(0, 99), false, now), Heard::Full);
    assert_eq!(table.len(), 20);
    assert_eq!(table.buckets[0].nodes.capacity(), K);
    let removed = table.remove(&contact(0, 0));
    assert_eq!((removed.removed, removed.replacement), (true, Some(contact(0, 99))));
    assert_eq!(table.len(), 19);
}

#[test]
fn who_claims_another_nodes_id_stands_beside_it() {
    let now = crate::clock::now();
    let mut table = table(Id::from([0xff; 20]));
    let first = contact(1, 1);
    table.heard(first, false, now);
    let at = |ip: [u8; 4]| Contact { addr: SocketAddr::from((ip, 6)), ..first };
    let same_host = Contact { addr: SocketAddr::new(first.addr.ip(), 6), ..first };
    assert_eq!(table.heard(same_host, false, now), Heard::Crowded);
    let (second, third) = (at([6, 6, 6, 6]), at([7, 7, 7, 7]));
    assert_eq!(table.heard(second, false, now), Heard::New);
    assert_eq!(table.heard(third, false, now), Heard::Crowded);
    assert_eq!(table.closest(&first.id, 9, |_| false), [first, second]);
    assert!(!table.remove(&third).removed && table.remove(&first).removed);
    assert_eq!(table.nodes().map(|node| node.contact).collect::<Vec<_>>(), [second]);
    assert_eq!(table.heard(first, false, now), Heard::New, "it is back");
}

/// The port is the number of a node of one host.
fn of_one_host(n: u8) -> Contact {
    Contact { addr: SocketAddr::from(([10, 9, 9, 9], n.into())), ..contact(0, n) }
}

#[test]
fn one_host_fills_no_bucket_of_others() {
    let now = crate::clock::now();
    let mut table = table(Id::from([0xff; 20]));
    for n in 1..=20 {
        assert_eq!(table.heard(of_one_host(n), true, now), Heard::New);
    }
    assert_eq!(table.makes_room_for(&of_one_host(21)), None);
    assert_eq!(table.heard(of_one_host(21), true, now), Heard::Full);
    for n in 101..=118 {
        let other = contact(0, n);
        assert_eq!(table.asked_by(other, true, now), Heard::New, "it may prove itself");
        let beyond = table.makes_room_for(&other).unwrap();
        assert_eq!(beyond.addr.ip(), of_one_host(1).addr.ip());
        table.remove(&beyond);
        assert_eq!(table.heard(other, true, now), Heard::New);
    }
    assert_eq!(table.makes_room_for(&contact(0, 119)), None, "nobody has too much");
    assert_eq!(table.heard(contact(0, 119), true, now), Heard::Full);
    let of_host = table.nodes().filter(|node| node.contact.addr.ip() == of_one_host(1).addr.ip());
    assert_eq!((table.len(), of_host.count()), (20, 2));
}

#[test]
fn where_nodes_are_many_those_beyond_the_most_have_no_place() {
    let now = crate::clock::now();
    let mut table = table(Id::from([0xff; 20]));
    for n in 1..=5 {
        table.heard(of_one_host(n), true, now);
    }
    let beyond = table.set_strict(true);
    assert_eq!(beyond, [3, 4, 5].map(of_one_host));
    beyond.iter().for_each(|contact| assert!(table.remove(contact).removed));
    assert_eq!(table.heard(of_one_host(6), true, now), Heard::Crowded);
    assert_eq!(table.asked_by(of_one_host(6), true, now), Heard::Crowded);
    assert!(!table.has_place_for(&of_one_host(6)) && table.has_place_for(&contact(0, 6)));
    let elsewhere = Contact { id: contact(0x80, 6).id, ..of_one_host(6) };
    assert_eq!(table.heard(elsewhere, true, now), Heard::New, "in another bucket");
    assert_eq!(table.set_strict(false), []);
    assert_eq!(table.heard(of_one_host(6), true, now), Heard::New);
}

#[test]
fn one_host_hides_no_other_from_those_who_ask() {
    let now = crate::clock::now();
    let mut table = table(Id::from([0xff; 20]));
    // Two buckets: 20 of one host near the target, 12 others.
    (1..=20).for_each(|n| assert_eq!(table.heard(of_one_host(n), true, now), Heard::New));
    (1..=12).for_each(|n| assert_eq!(table.heard(contact(0x80, n), true, now), Heard::New));
    let closest = |table: &Table| {
        let closest = table.closest(&Id::from([0; 20]), K, |_| false);
        assert!(closest.is_sorted_by_key(|contact| contact.id));
        let of_host = closest.iter().filter(|c| c.addr.ip() == of_one_host(1).addr.ip()).count();
        (of_host, closest.len() - of_host)
    };
    assert_eq!(closest(&table), (8, 12));
    table.set_strict(true);
    assert_eq!(closest(&table), (2, 12));
}

/// A claim that is refused takes nobody out.
#[test]
fn nobody_makes_room_for_a_third_claimant_of_an_id() {
    let now = crate::clock::now();
    let mut table = table(Id::from([0xff; 20]));
    (1..=18).for_each(|n| assert_eq!(table.heard(of_one_host(n), true, now), Heard::New));
    let claimed = contact(0, 99);
    let at = |n: u8| Contact { addr: SocketAddr::from(([10, 1, 1, n], 1)), ..claimed };
    (1..=2).for_each(|n| assert_eq!(table.heard(at(n), true, now), Heard::New));
    assert_eq!(table.makes_room_for(&at(3)), None);
    assert!(table.makes_room_for(&contact(0, 100)).is_some());
}
