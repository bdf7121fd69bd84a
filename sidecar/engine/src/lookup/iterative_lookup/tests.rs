use super::*;
use crate::routing::K;

fn contact(first: u8) -> Contact {
    let mut id = [0; 20];
    (id[0], id[19]) = (first, 1);
    Contact { id: Id::from(id), addr: SocketAddr::from(([10, 0, 0, first], 1)) }
}

fn diversity() -> Diversity {
    Diversity::default()
}

fn lookup(contacts: impl IntoIterator<Item = u8>) -> IterativeLookup {
    let target = Id::from([0; 20]);
    let mut lookup = IterativeLookup::new(Id::from([0xff; 20]), target, 24, &diversity());
    for n in contacts {
        lookup.add(contact(n));
    }
    lookup
}

fn good(_: &SocketAddr) -> Standing {
    Standing::Good
}

fn ask_all(lookup: &mut IterativeLookup, standing: impl Fn(&SocketAddr) -> Standing) -> Vec<u8> {
    std::iter::from_fn(|| lookup.next(&standing))
        .map(|ask| ask.id.map_or(0, |id| id.as_bytes()[0]))
        .collect()
}

fn answer(lookup: &mut IterativeLookup, n: u8) {
    lookup.answered(Some(contact(n).id), contact(n), Some(b"t"));
}

#[test]
fn only_the_k_closest_are_asked_and_all_of_them_settle_it() {
    let mut lookup = lookup(1..=30);
    let asked = ask_all(&mut lookup, good);
    assert_eq!(asked, (1..=20).collect::<Vec<_>>());
    for n in asked {
        assert!(!lookup.is_settled());
        answer(&mut lookup, n);
    }
    assert!(lookup.is_settled() && lookup.is_finished());
    assert_eq!(lookup.closest(crate::clock::now()).len(), 20);
}

#[test]
fn a_silent_node_gives_its_place_to_the_next() {
    let mut lookup = lookup(1..=21);
    ask_all(&mut lookup, good);
    (2..=20).for_each(|n| answer(&mut lookup, n));
    assert!(!lookup.is_settled());
    lookup.slow(Some(contact(1).id), contact(1).addr);
    assert_eq!(ask_all(&mut lookup, good), [21]);
    answer(&mut lookup, 21);
    assert!(lookup.is_settled() && !lookup.is_finished());
    answer(&mut lookup, 1);
    assert!(lookup.is_finished());
    assert_eq!(lookup.closest(crate::clock::now())[0].contact, contact(1), "a late answer counts");
}

#[test]
fn silent_nodes_take_no_place() {
    let mut lookup = lookup(1..=60);
    assert!(!lookup.add(contact(61)), "60 are closer");
    let asked = ask_all(&mut lookup, good);
    assert_eq!(lookup.lacks(false), 0);
    for n in &asked {
        lookup.late(Some(contact(*n).id), contact(*n).addr);
    }
    assert_eq!(lookup.lacks(false), 20, "late ones are replaced");
    assert!(lookup.add(contact(61)) && lookup.has(&contact(61).addr));
    assert_eq!(ask_all(&mut lookup, good), (21..=40).collect::<Vec<_>>());
    (21..=40).for_each(|n| answer(&mut lookup, n));
    assert_eq!(lookup.lacks(false), 0);
}

#[test]
fn futile_queries_of_a_lookup_are_bounded() {
    let mut lookup = lookup([]);
    let far = |n: u32| {
        let mut id = [0; 20];
        id[..4].copy_from_slice(&n.to_be_bytes());
        let [_, b, c, d] = n.to_be_bytes();
        Contact { id: Id::from(id), addr: SocketAddr::from(([10, b, c, d], 1)) }
    };
    let mut asked = 0;
    for round in 0..100 {
        for n in 0..100 {
            lookup.add(far(1 + round * 100 + n));
        }
        while let Some(ask) = lookup.next(good) {
            asked += 1;
            lookup.failed(ask.id, ask.addr);
        }
    }
    assert_eq!(asked, shortlist::MEMORY + shortlist::MOST_SILENT);
}

#[test]
fn a_suspect_is_asked_but_holds_nothing_up() {
    let mut lookup = lookup([1, 2]);
    let doubt = |addr: &SocketAddr| {
        if *addr == contact(1).addr { Standing::Doubtful } else { Standing::Good }
    };
    assert_eq!(ask_all(&mut lookup, doubt), [1, 2]);
    answer(&mut lookup, 2);
    assert!(lookup.is_settled());
}

#[test]
fn where_all_are_suspects_they_are_waited_for() {
    let mut lookup = lookup([1, 2]);
    assert_eq!(ask_all(&mut lookup, |_| Standing::Silent), [1, 2]);
    assert!(!lookup.is_settled());
    lookup.slow(Some(contact(1).id), contact(1).addr);
    lookup.slow(Some(contact(2).id), contact(2).addr);
    assert!(!lookup.is_settled(), "somebody may still answer");
    lookup.failed(Some(contact(1).id), contact(1).addr);
    answer(&mut lookup, 2);
    assert!(lookup.is_settled());
}

#[test]
fn a_lookup_without_nodes_is_over_at_once() {
    let mut lookup = lookup([]);
    assert_eq!(lookup.next(good), None);
    assert!(lookup.is_settled() && lookup.is_finished());
}

#[test]
fn a_seed_is_known_by_its_answer() {
    let mut lookup = lookup([]);
    lookup.add_seed(contact(7).addr);
    assert_eq!(lookup.next(good), Some(Ask { addr: contact(7).addr, id: None, waited_for: true }));
    assert!(!lookup.is_settled());
    lookup.answered(None, contact(7), Some(b"t"));
    assert_eq!(lookup.next(good), None);
    assert!(lookup.is_settled());
    assert_eq!(lookup.closest(crate::clock::now())[0].contact, contact(7));
}

#[test]
fn a_node_asked_by_name_and_by_address_is_waited_for_once() {
    let mut lookup = lookup([7]);
    lookup.add_seed(contact(7).addr);
    assert_eq!(std::iter::from_fn(|| lookup.next(good)).count(), 2);
    lookup.answered(None, contact(7), Some(b"t"));
    assert!(lookup.is_settled() && !lookup.is_finished());
    lookup.failed(Some(contact(7).id), contact(7).addr);
    assert!(lookup.is_settled() && lookup.is_finished());
    assert_eq!(lookup.closest(crate::clock::now()).len(), 1);
}

#[test]
fn a_seed_that_is_added_again_is_asked_once_until_it_fails() {
    let mut lookup = lookup([]);
    let addr = contact(7).addr;
    lookup.add_seed(addr);
    lookup.add_seed(addr);
    assert_eq!(std::iter::from_fn(|| lookup.next(good)).count(), 1);
    lookup.add_seed(addr);
    assert_eq!(lookup.next(good), None);
    for _ in 1..SEED_TRIES {
        lookup.slow(None, addr);
        assert_eq!(std::iter::from_fn(|| lookup.next(good)).count(), 1, "asked again");
    }
    lookup.slow(None, addr);
    assert_eq!(lookup.next(good), None);
    assert!(!lookup.is_settled());
    for _ in 0..SEED_TRIES {
        lookup.failed(None, addr);
    }
    assert!(lookup.is_settled());
    lookup.add_seed(addr);
    assert!(lookup.next(good).is_some());
}

#[test]
fn a_node_that_changed_its_id_is_taken_as_it_is() {
    let mut lookup = lookup([1]);
    ask_all(&mut lookup, good);
    let other = Contact { id: Id::from([9; 20]), addr: contact(1).addr };
    lookup.answered(Some(contact(1).id), other, Some(b"t"));
    assert!(lookup.is_settled());
    assert_eq!(lookup.closest(crate::clock::now()).len(), 1);
    assert_eq!(lookup.closest(crate::clock::now())[0].contact, other);
}

#[test]
fn dead_seeds_hold_up_neither_each_other_nor_nodes() {
    let mut lookup = IterativeLookup::new(Id::from([0xff; 20]), Id::from([0; 20]), 1, &diversity());
    let dead = |n: u16| SocketAddr::from(([10, 1, 0, 0], n));
    (1..=60).for_each(|n| lookup.add_seed(dead(n)));
    lookup.add_seed(contact(7).addr);
    assert_eq!(std::iter::from_fn(|| lookup.next(good)).count(), 61, "all at once");
    lookup.answered(None, contact(7), None);
    lookup.add(contact(1));
    assert_eq!(ask_all(&mut lookup, good), [1]);
    answer(&mut lookup, 1);
    assert!(!lookup.is_settled());
    (1..=60).for_each(|n| lookup.slow(None, dead(n)));
    assert!(lookup.is_settled());
}

#[test]
fn seeds_beyond_those_at_once_are_asked_as_others_are_given_up() {
    let mut lookup = lookup([]);
    let seed = |n: usize| SocketAddr::from(([10, 1, 0, 0], n as u16));
    let count = SEEDS_AT_ONCE + 3;
    (0..count).for_each(|n| lookup.add_seed(seed(n)));
    let ask = |lookup: &mut IterativeLookup| -> Vec<_> {
        std::iter::from_fn(|| lookup.next(good)).map(|ask| ask.addr).collect()
    };
    assert_eq!(ask(&mut lookup).len(), SEEDS_AT_ONCE);
    assert!(lookup.has_seeds_left());
    lookup.slow(None, seed(0));
    assert_eq!(ask(&mut lookup), [seed(SEEDS_AT_ONCE)], "who was not asked before who was");
    lookup.failed(None, seed(1));
    lookup.failed(None, seed(2));
    assert_eq!(ask(&mut lookup), [seed(SEEDS_AT_ONCE + 1), seed(SEEDS_AT_ONCE + 2)]);
    lookup.failed(None, seed(3));
    assert_eq!(ask(&mut lookup), [seed(0)], "and once more");
    assert!(!lookup.has_seeds_left());
}

#[test]
fn a_late_node_is_waited_for_while_the_next_is_asked() {
    let mut lookup = lookup(1..=21);
    ask_all(&mut lookup, good);
    (2..=20).for_each(|n| answer(&mut lookup, n));
    lookup.late(Some(contact(1).id), contact(1).addr);
    assert_eq!(ask_all(&mut lookup, good), [21]);
    answer(&mut lookup, 21);
    assert!(!lookup.is_settled(), "the closest may have what nobody else has");
    lookup.slow(Some(contact(1).id), contact(1).addr);
    assert!(lookup.is_settled() && !lookup.is_finished());
}

/// A lookup that knows twenty honest nodes and a liar. The liar, asked as a node at any of its addresses,
/// answers as that node, with forty that are closer still, at addresses of its choice. Returns how many
/// queries were sent to the liar.
fn lied_to(addr_of: impl Fn(u32) -> SocketAddr, answers: bool) -> usize {
    let mut lookup = lookup(100..120);
    let liar = |n: u32| {
        let mut id = [0; 20];
        // Ever closer to zero.
        id[1..5].copy_from_slice(&(u32::MAX - n).to_be_bytes());
        Contact { id: Id::from(id), addr: addr_of(n) }
    };
    lookup.add(liar(0));
    let (mut lies, mut asked, mut honest) = (0, 0, 0);
    while let Some(ask) = lookup.next(good) {
        assert!(asked + honest < 10_000, "it does not end");
        if ask.addr.port() == 1 {
            honest += 1;
            answer(&mut lookup, ask.id.unwrap().as_bytes()[0]);
            continue;
        }
        asked += 1;
        if answers {
            lookup.answered(ask.id, Contact { id: ask.id.unwrap(), addr: ask.addr }, Some(b"t"));
        } else {
            lookup.failed(ask.id, ask.addr);
        }
        for _ in 0..2 * K {
            lies += 1;
            lookup.add(liar(lies));
        }
        let known = lookup.v4.iter().count();
        assert!(known <= shortlist::MOST_ASKED + K, "{known} are kept");
    }
    assert!(lookup.is_settled());
    asked
}

#[test]
fn ever_closer_nodes_at_one_address_are_one_node() {
    assert_eq!(lied_to(|_| SocketAddr::from(([10, 0, 1, 1], 2)), true), 1);
}

#[test]
fn ever_closer_nodes_of_one_host_are_asked_up_to_a_bound() {
    let of_host = |n: u32| SocketAddr::from(([10, 0, 1, 1], 2 + (n % 60_000) as u16));
    let asked = lied_to(of_host, true);
    assert!(asked <= shortlist::MOST_ASKED, "{asked}");
}

#[test]
fn ever_closer_nodes_of_all_hosts_are_asked_up_to_a_bound() {
    let anywhere = |n: u32| SocketAddr::from(([10, 1, (n >> 8) as u8, n as u8], 2));
    for answers in [true, false] {
        let asked = lied_to(anywhere, answers);
        assert!(asked <= shortlist::MOST_ASKED, "{asked}");
    }
}

/// A node that is told under a false id is found by its true one.
#[test]
fn a_false_id_hides_no_node() {
    let mut lookup = lookup([2, 3]);
    let mut id = [0; 20];
    id[1] = 7;
    lookup.add(Contact { id: Id::from(id), addr: contact(2).addr });
    let asked: Vec<_> = std::iter::from_fn(|| lookup.next(good)).map(|ask| ask.addr).collect();
    assert_eq!(asked, [contact(2).addr, contact(3).addr]);
    lookup.answered(Some(Id::from(id)), contact(2), Some(b"t"));
    answer(&mut lookup, 3);
    assert!(lookup.next(good).is_none() && lookup.is_settled());
    let found: Vec<_> = lookup.closest(crate::clock::now()).iter().map(|c| c.contact).collect();
    assert_eq!(found, [contact(2), contact(3)]);
}

/// One host has many nodes, each nearer to the target than any other. Returns which others, and how many of
/// the host's, are the closest in the end.
fn beside_one_host(
    others: u8,
    strict: bool,
    of_host: impl Fn(u8) -> SocketAddr,
) -> (Vec<u8>, usize) {
    let mut diversity = Diversity::default();
    diversity.set_strict(strict);
    let mut lookup = IterativeLookup::new(Id::from([0xff; 20]), Id::from([0; 20]), 24, &diversity);
    for n in 1..=100 {
        let mut id = [0; 20];
        id[1] = n;
        lookup.add(Contact { id: Id::from(id), addr: of_host(n) });
    }
    (1..=others).for_each(|n| assert!(lookup.add(contact(n)), "there is no room for {n}"));
    while let Some(ask) = lookup.next(good) {
        lookup.answered(ask.id, Contact { id: ask.id.unwrap(), addr: ask.addr }, Some(b"t"));
    }
    assert!(lookup.is_settled());
    let closest = lookup.closest(crate::clock::now());
    let ids = closest.iter().map(|node| node.contact.id.as_bytes()[0]);
    let (of_others, of_host): (Vec<_>, Vec<_>) = ids.partition(|first| *first > 0);
    (of_others, of_host.len())
}

#[test]
fn many_nodes_of_one_host_take_few_places() {
    let one_host = |n: u8| SocketAddr::from(([10, 0, 1, 1], u16::from(n)));
    let public = |n: u8| SocketAddr::from(([203, 0, 113, n], 1));
    assert_eq!(beside_one_host(30, true, one_host), ((1..=18).collect(), 2));
    assert_eq!(beside_one_host(30, true, public), ((1..=15).collect(), 5));
    let cluster = |n: u8| SocketAddr::from(([10, 1, 0, n], 1));
    assert_eq!(beside_one_host(0, true, cluster), (vec![], 20));
}

/// In a small network they may be all that there is, as Node.js Grapes on one host.
#[test]
fn in_a_small_network_many_nodes_of_one_host_stand_beside_the_others() {
    let one_host = |n: u8| SocketAddr::from(([10, 0, 1, 1], u16::from(n)));
    assert_eq!(beside_one_host(12, false, one_host), ((1..=12).collect(), 2 + K));
    assert_eq!(beside_one_host(0, false, one_host), (vec![], 2 + K));
}

/// A node that restarts may find its id taken. Both are asked, and the first claimant does not decide.
#[test]
fn who_claims_anothers_id_is_asked_beside_it() {
    let mut lookup = lookup([2]);
    let claimant = Contact { addr: contact(9).addr, ..contact(2) };
    assert!(lookup.add(claimant) && !lookup.add(claimant));
    assert!(!lookup.add(Contact { addr: contact(8).addr, ..contact(2) }), "two are enough");
    let asked: Vec<_> = std::iter::from_fn(|| lookup.next(good)).map(|ask| ask.addr).collect();
    assert_eq!(asked, [contact(2).addr, claimant.addr]);
    lookup.failed(Some(claimant.id), claimant.addr);
    assert!(!lookup.is_settled(), "the other may answer");
    answer(&mut lookup, 2);
    assert!(lookup.is_settled() && lookup.is_finished());
    let found: Vec<_> = lookup.closest(crate::clock::now()).iter().map(|c| c.contact).collect();
    assert_eq!(found, [contact(2)]);
}
