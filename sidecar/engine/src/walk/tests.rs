use super::*;

fn contact(first: u8) -> Contact {
    let mut id = [0; 20];
    (id[0], id[19]) = (first, 1);
    Contact { id: Id::from(id), addr: SocketAddr::from(([10, 0, 0, first], 1)) }
}

fn walk(contacts: impl IntoIterator<Item = u8>) -> Walk {
    let point = Id::from([0; 20]);
    let mut walk = Walk::new(Id::from([0xff; 20]), point, 24);
    for n in contacts {
        walk.add(contact(n));
    }
    walk
}

fn good(_: &SocketAddr) -> Standing {
    Standing::Good
}

fn ask_all(walk: &mut Walk, standing: impl Fn(&SocketAddr) -> Standing) -> Vec<u8> {
    std::iter::from_fn(|| walk.next(&standing))
        .map(|ask| ask.id.map_or(0, |id| id.as_bytes()[0]))
        .collect()
}

fn answer(walk: &mut Walk, n: u8) {
    walk.answered(Some(contact(n).id), contact(n), Some(b"t"));
}

#[test]
fn only_the_k_closest_are_asked_and_all_of_them_settle_it() {
    let mut walk = walk(1..=30);
    let asked = ask_all(&mut walk, good);
    assert_eq!(asked, (1..=20).collect::<Vec<_>>());
    for n in asked {
        assert!(!walk.is_settled());
        answer(&mut walk, n);
    }
    assert!(walk.is_settled() && walk.is_finished());
    assert_eq!(walk.closest(crate::clock::now()).len(), 20);
}

#[test]
fn a_silent_node_gives_its_place_to_the_next() {
    let mut walk = walk(1..=21);
    ask_all(&mut walk, good);
    (2..=20).for_each(|n| answer(&mut walk, n));
    assert!(!walk.is_settled());
    walk.slow(Some(contact(1).id), contact(1).addr);
    assert_eq!(ask_all(&mut walk, good), [21]);
    answer(&mut walk, 21);
    assert!(walk.is_settled() && !walk.is_finished());
    answer(&mut walk, 1);
    assert!(walk.is_finished());
    assert_eq!(walk.closest(crate::clock::now())[0].contact, contact(1), "a late answer counts");
}

#[test]
fn silent_nodes_take_nobodys_place() {
    let mut walk = walk(1..=60);
    assert!(!walk.add(contact(61)), "60 are closer");
    let asked = ask_all(&mut walk, good);
    assert_eq!(walk.lacks(false), 0);
    for n in &asked {
        walk.late(Some(contact(*n).id), contact(*n).addr);
    }
    assert_eq!(walk.lacks(false), 20, "late ones are replaced");
    assert!(walk.add(contact(61)) && walk.has(&contact(61).addr));
    assert_eq!(ask_all(&mut walk, good), (21..=40).collect::<Vec<_>>());
    (21..=40).for_each(|n| answer(&mut walk, n));
    assert_eq!(walk.lacks(false), 0);
}

#[test]
fn whom_a_walk_asks_in_vain_is_bounded() {
    let mut walk = walk([]);
    let far = |n: u32| {
        let mut id = [0; 20];
        id[..4].copy_from_slice(&n.to_be_bytes());
        Contact { id: Id::from(id), addr: SocketAddr::from(([10, 0, 0, 1], 1)) }
    };
    let mut asked = 0;
    for round in 0..100 {
        for n in 0..100 {
            walk.add(far(1 + round * 100 + n));
        }
        while let Some(ask) = walk.next(good) {
            asked += 1;
            walk.failed(ask.id, ask.addr);
        }
    }
    assert_eq!(asked, MEMORY + MOST_SILENT);
}

#[test]
fn a_suspect_is_asked_but_holds_nothing_up() {
    let mut walk = walk([1, 2]);
    let doubt = |addr: &SocketAddr| {
        if *addr == contact(1).addr { Standing::Doubtful } else { Standing::Good }
    };
    assert_eq!(ask_all(&mut walk, doubt), [1, 2]);
    answer(&mut walk, 2);
    assert!(walk.is_settled());
}

#[test]
fn where_all_are_suspects_they_are_waited_for() {
    let mut walk = walk([1, 2]);
    assert_eq!(ask_all(&mut walk, |_| Standing::Silent), [1, 2]);
    assert!(!walk.is_settled());
    walk.slow(Some(contact(1).id), contact(1).addr);
    walk.slow(Some(contact(2).id), contact(2).addr);
    assert!(!walk.is_settled(), "somebody may still answer");
    walk.failed(Some(contact(1).id), contact(1).addr);
    answer(&mut walk, 2);
    assert!(walk.is_settled());
}

#[test]
fn a_walk_without_nodes_is_over_at_once() {
    let mut walk = walk([]);
    assert_eq!(walk.next(good), None);
    assert!(walk.is_settled() && walk.is_finished());
}

#[test]
fn a_seed_is_known_by_its_answer() {
    let mut walk = walk([]);
    walk.add_seed(contact(7).addr);
    assert_eq!(walk.next(good), Some(Ask { addr: contact(7).addr, id: None, waited_for: true }));
    assert!(!walk.is_settled());
    walk.answered(None, contact(7), Some(b"t"));
    assert_eq!(walk.next(good), None);
    assert!(walk.is_settled());
    assert_eq!(walk.closest(crate::clock::now())[0].contact, contact(7));
}

#[test]
fn a_node_asked_by_name_and_by_address_is_waited_for_once() {
    let mut walk = walk([7]);
    walk.add_seed(contact(7).addr);
    assert_eq!(std::iter::from_fn(|| walk.next(good)).count(), 2);
    walk.answered(None, contact(7), Some(b"t"));
    assert!(walk.is_settled() && !walk.is_finished());
    walk.failed(Some(contact(7).id), contact(7).addr);
    assert!(walk.is_settled() && walk.is_finished());
    assert_eq!(walk.closest(crate::clock::now()).len(), 1);
}

#[test]
fn a_seed_that_is_added_again_is_asked_once_until_it_fails() {
    let mut walk = walk([]);
    let addr = contact(7).addr;
    walk.add_seed(addr);
    walk.add_seed(addr);
    assert_eq!(std::iter::from_fn(|| walk.next(good)).count(), 1);
    walk.add_seed(addr);
    assert_eq!(walk.next(good), None);
    for _ in 1..SEED_TRIES {
        walk.slow(None, addr);
        assert_eq!(std::iter::from_fn(|| walk.next(good)).count(), 1, "asked again");
    }
    walk.slow(None, addr);
    assert_eq!(walk.next(good), None);
    assert!(!walk.is_settled());
    for _ in 0..SEED_TRIES {
        walk.failed(None, addr);
    }
    assert!(walk.is_settled());
    walk.add_seed(addr);
    assert!(walk.next(good).is_some());
}

#[test]
fn a_node_that_changed_its_id_is_taken_as_it_is() {
    let mut walk = walk([1]);
    ask_all(&mut walk, good);
    let other = Contact { id: Id::from([9; 20]), addr: contact(1).addr };
    walk.answered(Some(contact(1).id), other, Some(b"t"));
    assert!(walk.is_settled());
    assert_eq!(walk.closest(crate::clock::now()).len(), 1);
    assert_eq!(walk.closest(crate::clock::now())[0].contact, other);
}

#[test]
fn dead_seeds_hold_up_neither_each_other_nor_nodes() {
    let mut walk = Walk::new(Id::from([0xff; 20]), Id::from([0; 20]), 1);
    let dead = |n: u16| SocketAddr::from(([10, 1, 0, 0], n));
    (1..=60).for_each(|n| walk.add_seed(dead(n)));
    walk.add_seed(contact(7).addr);
    assert_eq!(std::iter::from_fn(|| walk.next(good)).count(), 61, "all at once");
    walk.answered(None, contact(7), None);
    walk.add(contact(1));
    assert_eq!(ask_all(&mut walk, good), [1]);
    answer(&mut walk, 1);
    assert!(!walk.is_settled());
    (1..=60).for_each(|n| walk.slow(None, dead(n)));
    assert!(walk.is_settled());
}

#[test]
fn seeds_beyond_those_at_once_are_asked_as_others_are_given_up() {
    let mut walk = walk([]);
    let seed = |n: usize| SocketAddr::from(([10, 1, 0, 0], n as u16));
    let count = SEEDS_AT_ONCE + 3;
    (0..count).for_each(|n| walk.add_seed(seed(n)));
    let ask = |walk: &mut Walk| -> Vec<_> {
        std::iter::from_fn(|| walk.next(good)).map(|ask| ask.addr).collect()
    };
    assert_eq!(ask(&mut walk).len(), SEEDS_AT_ONCE);
    assert!(walk.has_seeds_left());
    walk.slow(None, seed(0));
    assert_eq!(ask(&mut walk), [seed(SEEDS_AT_ONCE)], "who was not asked before who was");
    walk.failed(None, seed(1));
    walk.failed(None, seed(2));
    assert_eq!(ask(&mut walk), [seed(SEEDS_AT_ONCE + 1), seed(SEEDS_AT_ONCE + 2)]);
    walk.failed(None, seed(3));
    assert_eq!(ask(&mut walk), [seed(0)], "and once more");
    assert!(!walk.has_seeds_left());
}

#[test]
fn a_late_node_is_waited_for_while_the_next_is_asked() {
    let mut walk = walk(1..=21);
    ask_all(&mut walk, good);
    (2..=20).for_each(|n| answer(&mut walk, n));
    walk.late(Some(contact(1).id), contact(1).addr);
    assert_eq!(ask_all(&mut walk, good), [21]);
    answer(&mut walk, 21);
    assert!(!walk.is_settled(), "the closest may have what nobody else has");
    walk.slow(Some(contact(1).id), contact(1).addr);
    assert!(walk.is_settled() && !walk.is_finished());
}
