use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use mainline::Id;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::distance::target_of;
use crate::krpc::{self, Body, Message, Peer};
use crate::peer_record::Announcer;
use crate::routing::K;
use crate::{Answer, Effect, MAX_PEERS, Settings};

const NAME: &[u8] = b"rpc_test";
/// Peers of the name, beside the nodes on the way.
const PEERS: u16 = 2000;
const LOOKUPS: usize = 300;

/// What a node answers when it is asked for peers.
struct Node {
    id: Id,
    nodes: Vec<Contact>,
    peers: Vec<SocketAddr>,
}

fn contact(n: u8, close: bool) -> Contact {
    let mut id = *target_of(NAME).as_bytes();
    (id[0], id[19]) = (if close { id[0] } else { !id[0] }, n);
    Contact { id: Id::from(id), addr: SocketAddr::from(([10, 0, u8::from(close), n], 1)) }
}

/// The K closest nodes to the name hold all of its peers; as many on the way know who they are,
/// and of peers know each itself.
fn nodes() -> HashMap<SocketAddr, Node> {
    let closest: Vec<_> = (0..K as u8).map(|n| contact(n, true)).collect();
    let on_the_way: Vec<_> = (0..K as u8).map(|n| contact(n, false)).collect();
    let own = |contact: &Contact| SocketAddr::new(contact.addr.ip(), 80);
    let peers = (1..=PEERS).map(u16::to_be_bytes);
    let peers = peers.map(|[high, low]| SocketAddr::from(([10, 1, high, low], 1000)));
    let peers: Vec<_> = peers.chain(on_the_way.iter().map(own)).collect();
    let close = |c: &Contact| (c.addr, Node { id: c.id, nodes: vec![], peers: peers.clone() });
    let far =
        |c: &Contact| (c.addr, Node { id: c.id, nodes: closest.clone(), peers: vec![own(c)] });
    closest.iter().map(close).chain(on_the_way.iter().map(far)).collect()
}

/// Has all queries answered at once; returns what operations came to.
fn settle(
    engine: &mut Engine,
    nodes: &HashMap<SocketAddr, Node>,
    rng: &mut StdRng,
    now: Instant,
) -> Vec<Outcome> {
    let (mut outcomes, mut answers) = (Vec::new(), VecDeque::new());
    loop {
        while let Some(effect) = engine.poll_effect() {
            match effect {
                Effect::Send { to, datagram } => {
                    let query = krpc::decode(&datagram).unwrap();
                    let node = &nodes[&to];
                    let mut response = Response::new(node.id);
                    if matches!(&query.body, Body::Query(query) if query.method.name() == b"get_peers")
                    {
                        let lies = node.peers.len() > 2 * usize::from(PEERS);
                        // As many as fit the longest datagram that is read.
                        let most = if lies { 2 * MAX_PEERS } else { MAX_PEERS };
                        let chosen = node.peers.iter().copied().sample(rng, most);
                        response.peers = chosen.into_iter().map(Peer::new).collect();
                        response.nodes = node.nodes.clone();
                        response.token = Some(Cow::Borrowed(b"t"));
                    }
                    let answer = Message {
                        transaction_id: query.transaction_id,
                        version: None,
                        network: None,
                        body: Body::Response(Box::new(response)),
                    };
                    answers.push_back((to, krpc::encode(&answer).unwrap()));
                }
                Effect::Done { outcome, .. } => outcomes.push(outcome),
                Effect::Changed { .. } | Effect::Neighbour(_) | Effect::FoundBy(_) => {}
            }
        }
        let Some((from, datagram)) = answers.pop_front() else { return outcomes };
        engine.handle_datagram(from, &datagram, now);
    }
}

/// A node with an empty routing table.
fn asker(rng: &mut StdRng, now: Instant) -> Engine {
    let id = Id::from(rng.random::<[u8; 20]>());
    let settings = Settings { awaits_seeds: true, ..Settings::new(id, 1) };
    Engine::new(settings, rng.random(), now)
}

#[test]
fn nodes_on_the_way_are_shown_no_more_often_than_other_peers() {
    let (nodes, now) = (nodes(), crate::clock::now());
    let rng = &mut StdRng::seed_from_u64(1);
    let mut of_the_way = 0;
    for _ in 0..LOOKUPS {
        let mut engine = asker(rng, now);
        // Who asks announces the name as well, and is one of the peers.
        engine.announce(NAME, 81, now);
        engine.join((0..K as u8).map(|n| contact(n, false).addr).collect(), true, now);
        settle(&mut engine, &nodes, rng, now);
        let from_memory = engine.lookup(NAME, now);
        let Answer::Now(shown) = from_memory else { panic!("{from_memory:?}") };
        assert_eq!(shown.len(), MAX_PEERS);
        of_the_way += shown.iter().filter(|peer| peer.port() == 80).count();
        let own = shown.iter().filter(|peer| peer.port() == 81).count();
        assert_eq!(own, 0, "nobody else knows it");
    }
    // 20 of 2020 peers, which even lookups show 297 times, give or take 17.
    assert!((229..=365).contains(&of_the_way), "{of_the_way} times");
}

#[test]
fn a_holder_of_all_peers_of_a_name_returns_all_of_them() {
    let (nodes, now) = (nodes(), crate::clock::now());
    let rng = &mut StdRng::seed_from_u64(2);
    let mut engine = asker(rng, now);
    let until = now + Duration::from_secs(120);
    let closest = &nodes[&contact(0, true).addr];
    for peer in &closest.peers {
        let by = Announcer { addr: contact(0, true).addr, until, alt: false };
        engine.storage.add_peer(NAME, *peer, by, rng);
    }
    engine.join((0..K as u8).map(|n| contact(n, false).addr).collect(), true, now);
    settle(&mut engine, &nodes, rng, now);
    engine.lookup(NAME, now);
    settle(&mut engine, &nodes, rng, now);
    let mut shown = HashSet::new();
    for _ in 0..LOOKUPS {
        let from_memory = engine.lookup(NAME, now);
        let Answer::Now(peers) = from_memory else { panic!("{from_memory:?}") };
        assert_eq!(peers.len(), MAX_PEERS);
        shown.extend(peers);
    }
    assert_eq!(shown.len(), closest.peers.len(), "from memory, without another lookup");
}

/// One of the closest nodes returns thousands of peers that nobody else knows.
#[test]
fn one_lying_node_hides_no_peer() {
    let (mut nodes, now) = (nodes(), crate::clock::now());
    let rng = &mut StdRng::seed_from_u64(3);
    let honest: Vec<_> = (1..=9).map(|n| SocketAddr::from(([10, 9, 0, n], 1337))).collect();
    for node in nodes.values_mut() {
        node.peers = honest.clone();
    }
    let invented = (0..7500_u16).map(u16::to_be_bytes);
    let invented = invented.map(|[high, low]| SocketAddr::from(([10, 6, high, low], 1000)));
    nodes.get_mut(&contact(7, true).addr).unwrap().peers = invented.collect();
    for _ in 0..50 {
        let mut engine = asker(rng, now);
        engine.join((0..K as u8).map(|n| contact(n, false).addr).collect(), true, now);
        engine.lookup(NAME, now);
        settle(&mut engine, &nodes, rng, now);
        let from_memory = engine.lookup(NAME, now);
        let Answer::Now(shown) = from_memory else { panic!("{from_memory:?}") };
        assert!(honest.iter().all(|peer| shown.contains(peer)), "{shown:?}");
    }
}
