//! What holds on any link, and what the engine costs in messages and rounds.

use std::net::SocketAddr;
use std::time::Duration;

use ed25519_dalek::{Signer, SigningKey};
use grape_engine::{Item, PutError, Signed, Withdrawn, signable};
use grape_tests::simulation::{Link, MTU, Made, Network, PORT};
use proptest::prelude::*;

use super::{AGE, LATENCY, SECOND, addr, steady};

/// A text, as bencode.
fn text(text: &str) -> Vec<u8> {
    format!("{}:{text}", text.len()).into_bytes()
}

fn signed(seq: i64, value: &str) -> Item {
    let key = SigningKey::from_bytes(&[3; 32]);
    let value = text(value);
    let signature = key.sign(&signable(b"salt", seq, &value)).to_bytes();
    let key = key.verifying_key().to_bytes();
    Item::mutable(value, Signed { key, signature, seq, salt: b"salt".to_vec() }).unwrap()
}

#[derive(Debug, Clone)]
struct Weather {
    nodes: usize,
    /// For each node the earlier one that it joins through, modulo its number.
    seeds: Vec<usize>,
    services: Vec<usize>,
    killed: Vec<usize>,
    newcomers: usize,
    link: Link,
    seed: u64,
}

fn weather() -> impl Strategy<Value = Weather> {
    let link = (1u64..40, 0u64..80, 0.0..0.15f64, 0.0..0.1f64).prop_map(
        |(least, spread, loss, duplicates)| Link {
            latency: Duration::from_millis(least)..=Duration::from_millis(least + spread),
            loss,
            duplicates,
        },
    );
    (3usize..32, 0usize..4, link, any::<u64>()).prop_flat_map(|(nodes, newcomers, link, seed)| {
        let any_node = proptest::collection::vec(0..nodes, 1..6);
        (proptest::collection::vec(any::<usize>(), nodes), any_node.clone(), any_node).prop_map(
            move |(seeds, services, mut killed)| {
                killed.retain(|node| !services.contains(node));
                killed.dedup();
                let link = link.clone();
                Weather { nodes, seeds, services, killed, newcomers, link, seed }
            },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// Loss, reordering, duplicates and churn: once messages settle, every name that a living
    /// service announces is found by every living node.
    #[test]
    fn every_announced_name_is_found_by_every_live_node(weather in weather()) {
        let mut network = Network::new(weather.seed, weather.link.clone());
        for node in 0..weather.nodes {
            let seed = weather.seeds[node].checked_rem(node);
            network.add(AGE, seed.as_slice());
            network.run(Duration::from_millis(100));
        }
        let announce_all = |network: &mut Network, seconds: u32| {
            for _ in 0..seconds {
                for (n, node) in weather.services.iter().enumerate() {
                    let name = format!("service-{n}");
                    network.start(*node, |engine, now| {
                        engine.announce(name.as_bytes(), 7000 + n as u16, now)
                    });
                }
                network.run(SECOND);
            }
        };
        announce_all(&mut network, 10);
        for node in &weather.killed {
            network.kill(*node);
        }
        for newcomer in 0..weather.newcomers {
            // Discovery asks again while a node is alone: here its seeds are alive.
            let seed = weather.services[newcomer % weather.services.len()];
            network.add(AGE, &[seed]);
        }
        announce_all(&mut network, 20);
        // As discovery does: who does not know a bootstrap node joins through it again.
        network.set_link(Link { loss: 0.0, ..weather.link.clone() });
        let seed = weather.services[0];
        for node in network.alive() {
            if !network.engine(node).knows(&addr(seed, PORT)) {
                network.join(node, &[seed]);
            }
        }
        announce_all(&mut network, 30);
        for node in network.alive() {
            for (n, service) in weather.services.iter().enumerate() {
                let known = network.engine(node).stats().nodes;
                let found = network.lookup(node, &format!("service-{n}"));
                prop_assert_eq!(
                    found, Some(vec![addr(*service, 7000 + n as u16)]),
                    "node {}, which knows {} nodes, looks for service-{} of node {}", node, known, n, service
                );
            }
        }
        prop_assert!(network.longest() <= MTU, "a datagram of {} bytes", network.longest());
    }
}

#[test]
fn a_peer_expires_to_the_millisecond_everywhere() {
    let age = Duration::from_millis(200);
    let mut network = Network::of(1, steady(), 8, age);
    let announced = network.now();
    assert_eq!(network.announce(3, "rpc_test", 1337), Some(7));
    for node in 0..8 {
        assert_eq!(network.lookup(node, "rpc_test").unwrap(), [addr(3, 1337)]);
    }
    // Each of the eight lookups may be an iterative one: two latencies each.
    network.run(announced + age - network.now() - 20 * LATENCY);
    for node in 0..8 {
        assert_eq!(network.lookup(node, "rpc_test").unwrap(), [addr(3, 1337)], "still there");
    }
    // The announce was stored one latency after it was sent, after a lookup that took a round trip.
    network.run(announced + age - network.now());
    network.run(5 * LATENCY);
    for node in 0..8 {
        assert_eq!(network.lookup(node, "rpc_test").unwrap(), [], "node {node}");
    }
}

#[test]
fn announces_that_repeat_every_second_cost_a_store_now_and_then() {
    let mut network = Network::of(1, steady(), 3, AGE);
    network.announce(0, "rpc_test", 1337);
    network.run(4 * SECOND);
    let idle = {
        let before = network.sent();
        network.run(60 * SECOND);
        network.sent() - before
    };
    let before = network.sent();
    for _ in 0..60 {
        assert_eq!(network.announce(0, "rpc_test", 1337), Some(2));
        network.run(SECOND);
    }
    let announcing = network.sent() - before;
    // A lookup and a store at two nodes: eight messages, twice in a minute at most.
    assert!(announcing <= idle + 16, "{announcing} messages, and {idle} at rest");
}

/// A holder that dies leaves no gap, also where ages are short.
#[test]
fn a_service_that_is_announced_stays_known_when_a_holder_dies() {
    let mut network = Network::of(1, steady(), 3, 2 * SECOND);
    network.announce(0, "rpc_test", 1337);
    network.kill(2);
    for tenth in 0..100 {
        network.announce(0, "rpc_test", 1337);
        network.run(SECOND / 10);
        let found = network.lookup(1, "rpc_test").unwrap();
        assert_eq!(found, [addr(0, 1337)], "{tenth} tenths of a second after the death");
    }
}

#[test]
fn a_hot_lookup_costs_no_packet_and_stays_fresh() {
    let mut network = Network::of(1, steady(), 3, AGE);
    network.announce(0, "rpc_test", 1337);
    network.lookup(1, "rpc_test");
    let walked = network.engine(1).stats().lookups_from_dht;
    for _ in 0..2000 {
        assert_eq!(network.lookup(1, "rpc_test").unwrap(), [addr(0, 1337)]);
        network.run(Duration::from_millis(10));
    }
    let stats = network.engine(1).stats();
    assert_eq!(stats.lookups_from_dht, walked, "nobody waited for a walk");
    // 20 seconds, with a background lookup every 2.5 seconds.
    assert!(stats.queries_sent[2] <= 2 * 10, "{} get_peers", stats.queries_sent[2]);
}

#[test]
fn a_withdrawn_service_is_gone_everywhere_at_once() {
    let mut network = Network::of(1, steady(), 12, AGE);
    network.announce(4, "rpc_test", 1337);
    network.announce(4, "rpc_test", 1338);
    assert_eq!(network.withdraw(4, "rpc_test", 1337), Some(Withdrawn::Here(11)));
    for node in 0..12 {
        assert_eq!(network.lookup(node, "rpc_test").unwrap(), [addr(4, 1338)], "node {node}");
    }
}

#[test]
fn a_node_cannot_withdraw_a_service_of_another_host() {
    let mut network = Network::of(1, steady(), 4, AGE);
    network.announce(1, "rpc_test", 1337);
    let elsewhere = Withdrawn::Elsewhere(vec![addr(1, PORT)]);
    assert_eq!(network.withdraw(2, "rpc_test", 1337), Some(elsewhere));
    assert_eq!(network.withdraw(2, "rpc_test", 1338), Some(Withdrawn::Nowhere));
    for node in 0..4 {
        assert_eq!(network.lookup(node, "rpc_test").unwrap(), [addr(1, 1337)]);
    }
}

#[test]
fn announces_of_a_lone_node_reach_nodes_that_join_later() {
    let mut network = Network::new(1, steady());
    network.add(AGE, &[]);
    assert_eq!(network.announce(0, "rpc_test", 1337), Some(0));
    assert_eq!(network.lookup(0, "rpc_test").unwrap().len(), 1);
    network.add(AGE, &[0]);
    network.add(AGE, &[1]);
    network.run(SECOND);
    network.kill(0);
    for node in 1..3 {
        assert_eq!(network.lookup(node, "rpc_test").unwrap(), [addr(0, 1337)], "node {node}");
    }
}

/// One of three, and one of twenty, dies: from then on a lookup of a new name costs a message to
/// and from each live node, and one round trip. No time-out is waited for.
#[test]
fn a_dead_node_holds_no_lookup_up() {
    for count in [3, 20] {
        let mut network = Network::of(1, steady(), count, AGE);
        network.kill(count - 1);
        // The first lookups meet the silence; it is known after the first of them.
        network.lookup(0, "first").unwrap();
        network.run(Duration::from_millis(600));
        for n in 0..200 {
            let (before, began) = (network.engine(0).stats(), network.now());
            assert_eq!(network.lookup(0, &format!("name-{n}")).unwrap(), []);
            let stats = network.engine(0).stats();
            assert_eq!(network.now() - began, 2 * LATENCY, "one round, lookup {n} of {count}");
            let asked = stats.queries_sent[2] - before.queries_sent[2];
            let live = count as u64 - 2;
            assert!((live..=live + 1).contains(&asked), "{asked} queries to {live} nodes");
            network.run(Duration::from_millis(20));
        }
    }
}

/// The first lookup after a death waits for patience, not for a time-out of seconds.
#[test]
fn the_first_lookup_after_a_death_is_done_within_our_timeout() {
    for count in [3, 20] {
        let mut network = Network::of(1, steady(), count, AGE);
        network.announce(0, "known", 1);
        network.kill(count - 1);
        let began = network.now();
        assert_eq!(network.lookup(1, "unknown").unwrap(), []);
        assert!(network.now() - began <= Duration::from_millis(500));
        let mut network = Network::of(1, steady(), count, AGE);
        network.announce(0, "known", 1);
        network.kill(count - 1);
        let began = network.now();
        assert_eq!(network.lookup(1, "known").unwrap().len(), 1);
        assert!(network.now() - began <= Duration::from_millis(50), "{:?}", network.now() - began);
    }
}

#[test]
fn a_dead_node_leaves_the_tables_in_seconds() {
    let mut network = Network::of(1, steady(), 5, AGE);
    network.kill(4);
    network.run(15 * SECOND);
    for node in 0..4 {
        assert_eq!(network.engine(node).stats().nodes, 3, "node {node}");
    }
}

#[test]
fn a_network_cut_in_two_heals() {
    let mut network = Network::of(1, steady(), 6, AGE);
    network.cut(Some(&|node| node < 3));
    network.run(30 * SECOND);
    for node in 0..6 {
        assert_eq!(network.engine(node).stats().nodes, 2, "node {node} knows its side");
    }
    network.announce(0, "rpc_test", 1);
    assert_eq!(network.lookup(5, "rpc_test").unwrap(), []);
    network.cut(None);
    // As discovery does, which resolves the seeds again.
    network.join(5, &[0]);
    network.run(2 * SECOND);
    for node in 0..6 {
        assert_eq!(network.lookup(node, "rpc_test").unwrap(), [addr(0, 1)], "node {node}");
    }
}

#[test]
fn subscribers_are_notified_of_peers_that_come_and_go() {
    let mut network = Network::of(1, steady(), 3, AGE);
    network.act(2, |engine, now| engine.subscribe(b"rpc_test", now));
    network.run(SECOND);
    network.announce(0, "rpc_test", 1337);
    network.announce(1, "rpc_test", 1337);
    network.run(SECOND);
    network.withdraw(0, "rpc_test", 1337);
    network.run(AGE + 2 * SECOND);
    let (a, b) = (addr(0, 1337), addr(1, 1337));
    let told: Vec<_> = network.told(2).iter().map(|(_, peers)| peers.clone()).collect();
    assert_eq!(told, [vec![], vec![a], vec![a, b], vec![b], vec![]]);
}

#[test]
fn items_are_found_by_every_node_and_versions_go_up_only() {
    let mut network = Network::of(1, steady(), 8, AGE);
    let item = Item::immutable(text("hello")).unwrap();
    let id = network.put(2, item.clone(), None).unwrap().unwrap();
    for node in 0..8 {
        assert_eq!(network.get(node, id, b"").unwrap().unwrap().item, item, "node {node}");
    }
    let id = network.put(2, signed(1, "one"), None).unwrap().unwrap();
    network.put(3, signed(2, "two"), Some(1)).unwrap().unwrap();
    for node in 0..8 {
        let found = network.get(node, id, b"salt").unwrap().unwrap();
        assert_eq!(found.item, signed(2, "two"), "node {node} has the newest");
    }
    let refused = |code: i64, message: &str| {
        Some(Err(PutError::Refused { code, message: message.to_owned() }))
    };
    let cas = refused(301, "CAS mismatch, re-read and try again");
    let seq = refused(302, "sequence number less than current");
    assert_eq!(network.put(4, signed(3, "three"), Some(1)), cas);
    assert_eq!(network.put(4, signed(1, "one"), None), seq);
    assert_eq!(network.put(4, signed(2, "other"), None), seq, "an equal seq, another value");
}

#[test]
fn alone_a_node_stores_for_itself() {
    let mut network = Network::new(1, steady());
    network.add(AGE, &[]);
    assert_eq!(network.announce(0, "rpc_test", 1337), Some(0));
    let id = network.put(0, signed(5, "five"), None).unwrap().unwrap();
    assert_eq!(network.get(0, id, b"salt").unwrap().unwrap().item, signed(5, "five"));
    assert!(network.put(0, signed(4, "four"), None).unwrap().is_err());
}

/// A bootstrap node that comes late: what is asked meanwhile is answered, and the node joins.
#[test]
fn a_bootstrap_node_that_comes_late_is_joined() {
    let mut network = Network::new(1, steady());
    let late = network.add(AGE, &[]);
    network.cut(Some(&|node| node == late));
    let early = network.add(AGE, &[late]);
    network.cut(Some(&|node| node == late));
    let began = network.now();
    assert_eq!(network.announce(early, "rpc_test", 1337), Some(0));
    assert!(network.now() - began <= 2 * SECOND, "clients give up after 2.5 s");
    for _ in 0..10 {
        network.join(early, &[late]);
        network.run(SECOND / 2);
        assert_eq!(network.lookup(early, "rpc_test").unwrap().len(), 1);
        assert!(!network.engine(early).is_ready(), "neither joined nor the first");
    }
    network.cut(None);
    for _ in 0..3 {
        network.join(early, &[late]);
        network.run(SECOND);
    }
    assert!(network.engine(early).is_ready());
    assert_eq!(network.lookup(late, "rpc_test").unwrap(), [addr(early, 1337)]);
}

/// Clients give up after 2.5 seconds: every lookup is answered before, whichever nodes are silent.
#[test]
fn no_lookup_takes_longer_than_clients_wait() {
    let mut network = Network::of(1, steady(), 30, AGE);
    network.announce(0, "rpc_test", 1337);
    (1..29).for_each(|node| network.kill(node));
    let began = network.now();
    network.lookup(0, "new").unwrap();
    assert!(network.now() - began <= 2 * SECOND, "{:?}", network.now() - began);
}

/// Two whose bootstrap node is each other: the one that starts first is found by the second.
#[test]
fn nodes_that_bootstrap_to_each_other_are_ready_as_soon_as_both_run() {
    let mut network = Network::new(1, steady());
    network.cut(Some(&|_| true));
    let first = network.add(AGE, &[]);
    network.act(first, |engine, now| engine.join(vec![addr(1, PORT), addr(2, PORT)], true, now));
    network.run(SECOND / 10);
    network.add(AGE, &[first]);
    network.run(SECOND / 2);
    assert!(network.engine(first).is_ready());
}

/// 100 peers of a name fit one answer; of more, each asker gets a random choice up to 100.
#[test]
fn a_lookup_sees_all_peers_up_to_a_hundred() {
    let mut network = Network::of(1, steady(), 4, AGE);
    for port in 1..=100 {
        network.announce(0, "hundred", port);
    }
    assert_eq!(network.lookup(3, "hundred").unwrap().len(), 100);
    // A node that joined after the announces and stores none of them finds them as well.
    let newcomer = network.add(Duration::from_secs(120), &[2]);
    network.run(Duration::from_millis(20));
    assert_eq!(network.lookup(newcomer, "hundred").unwrap().len(), 100);
    for port in 1..=1000 {
        network.announce(1, "thousand", port);
    }
    assert_eq!(network.lookup(2, "thousand").unwrap().len(), 100);
    assert!(network.longest() <= MTU, "a datagram of {} bytes", network.longest());
}

#[test]
fn ipv6_alone_and_beside_ipv4() {
    let mut network = Network::new(1, steady());
    for node in 0..6 {
        // Two on IPv6 alone, two on IPv4 alone, two on both.
        let (ip, second_ip) = match node {
            0 | 1 => (Network::ip(node), Some(Network::ipv6(node))),
            2 | 3 => (Network::ip(node), None),
            _ => (Network::ipv6(node), None),
        };
        let seeds: &[usize] = if node == 0 { &[] } else { &[0] };
        network.add_made(Made { second_ip, ..Made::at(ip, AGE) }, seeds);
        network.run(SECOND);
    }
    network.announce(4, "six", 6);
    network.announce(2, "four", 4);
    network.announce(1, "both", 2);
    let v6 = |node, port| SocketAddr::new(Network::ipv6(node), port);
    for node in [0, 1, 5] {
        assert_eq!(network.lookup(node, "six").unwrap(), [v6(4, 6)], "node {node}");
    }
    for node in [0, 1, 3] {
        assert_eq!(network.lookup(node, "four").unwrap(), [addr(2, 4)], "node {node}");
    }
    assert_eq!(network.lookup(0, "both").unwrap(), [addr(1, 2)], "one service is shown once");
    assert_eq!(network.lookup(3, "both").unwrap(), [addr(1, 2)], "IPv4 sees IPv4");
    assert_eq!(network.lookup(5, "both").unwrap(), [v6(1, 2)], "IPv6 sees IPv6");
}
