//! Networks so small that everybody is among the closest to every name.

use grape_engine::Item;
use grape_tests::simulation::{Made, Network};

use super::{AGE, SECOND, addr, steady};

/// Nodes whose tokens the first has, from a lookup.
fn acquainted(count: usize) -> Network {
    let mut network = Network::of(7, steady(), count, AGE);
    network.lookup(0, "nobody").unwrap();
    network
}

/// Datagrams that the network sent meanwhile, at rest otherwise: less than a second is looked at.
fn sent<T>(network: &mut Network, act: impl FnOnce(&mut Network) -> T) -> (u64, T) {
    // Past the keep-alives and heartbeats of this second.
    let before = network.sent();
    let result = act(network);
    (network.sent() - before, result)
}

fn item(text: &str) -> Item {
    Item::immutable(format!("{}:{text}", text.len()).into_bytes()).unwrap()
}

#[test]
fn a_new_name_is_stored_and_an_item_put_without_a_lookup() {
    let mut network = acquainted(3);
    // The first announce has the others asked to watch us, too.
    assert_eq!(network.announce(0, "first", 7000), Some(2));
    network.run(2 * SECOND);
    let (mut announces, mut puts) = (Vec::new(), Vec::new());
    for n in 0..5 {
        let (cost, held_by) = sent(&mut network, |n_| n_.announce(0, &format!("name {n}"), 7000));
        assert_eq!(held_by, Some(2));
        announces.push(cost);
        let (cost, stored) = sent(&mut network, |n_| n_.put(0, item(&format!("item {n}")), None));
        assert!(matches!(stored, Some(Ok(_))), "{stored:?}");
        puts.push(cost);
    }
    // Two queries and their answers; something else may fall into the same millisecond.
    assert_eq!((announces.iter().min(), puts.iter().min()), (Some(&4), Some(&4)));
    for node in [1, 2] {
        assert_eq!(network.lookup(node, "name 4"), Some(vec![addr(0, 7000)]));
        let found = network.get(node, item("item 4").id(), &[]);
        assert!(matches!(found, Some(Some(_))), "{found:?}");
    }
}

#[test]
fn an_old_token_that_is_refused_is_renewed_by_a_lookup() {
    let mut network = acquainted(2);
    // Another node takes the other's address, and says nothing.
    let made = || Made::at(Network::ip(1), AGE);
    network.kill(1);
    let newcomer = network.add_made(made(), &[]);
    assert_eq!(network.announce(0, "name", 7000), Some(1));
    assert_eq!(network.lookup(newcomer, "name"), Some(vec![addr(0, 7000)]));

    let mut network = acquainted(2);
    network.kill(1);
    let newcomer = network.add_made(made(), &[]);
    assert!(matches!(network.put(0, item("item"), None), Some(Ok(_))));
    assert!(matches!(network.get(newcomer, item("item").id(), &[]), Some(Some(_))));
}

#[test]
fn a_node_that_just_joined_is_notified_too() {
    let mut network = acquainted(3);
    let newcomer = network.add(AGE, &[2]);
    network.run(SECOND);
    network.kill(1);
    network.kill(2);
    assert!(network.announce(0, "name", 7000).is_some_and(|held_by| held_by >= 1));
    assert_eq!(network.lookup(newcomer, "name"), Some(vec![addr(0, 7000)]));
}
