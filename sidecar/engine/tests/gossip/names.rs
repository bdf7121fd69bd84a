//! The names under which members are seen.

use std::time::Duration;

use grape_engine::gossip::{Gossip, GossipError, MAX_KEYS, MAX_MEMBER_NAME, MAX_STATE};

use crate::network::{GROUP, Network, START, addr};

/// A machine with a name, which has joined the group.
fn named(network: &Network, n: usize, generation: u64, name: &str) -> Gossip {
    let seed = [n as u8; 32];
    let gossip = Gossip::new(None, generation, seed, network.now);
    let mut gossip = gossip.named(name.parse().expect("it is a name"));
    gossip.set_own_address(Some(addr(n)), network.now);
    gossip.join(GROUP, [addr(0)], network.now).expect("there is room");
    gossip
}

/// The name of a machine as another sees it, and how many keys it sees there.
fn seen(network: &Network, at: usize, of: usize) -> (Option<String>, usize) {
    let peers = network.nodes[at].gossip.peers(GROUP, network.now).unwrap_or_default();
    let peer = peers.into_iter().find(|peer| peer.addr == addr(of)).expect("it is known");
    (peer.name.map(|name| name.to_string()), peer.keys)
}

#[test]
fn a_name_is_seen_by_all_and_is_no_key() {
    let mut network = Network::new(20);
    (0..3).for_each(|n| network.add(addr(n), &[addr(0)]));
    let gossip = named(&network, 3, START, "workers-0");
    network.add_machine(addr(3), gossip);
    network.run(Duration::from_secs(10));
    network.set(3, "a", b"1");
    network.run(Duration::from_secs(10));
    for n in 0..3 {
        assert_eq!(seen(&network, n, 3), (Some("workers-0".to_owned()), 1), "{n}");
        assert_eq!(seen(&network, n, (n + 1) % 3), (None, 0), "{n}");
        let state = network.nodes[n].gossip.state(GROUP, Some(addr(3)), network.now);
        let keys: Vec<_> = state.into_iter().flatten().map(|item| item.key).collect();
        assert_eq!(keys, ["a".into()], "{n}");
        assert_eq!(network.nodes[n].events.len(), 4, "{n}: three members and one key");
    }

    let again = named(&network, 3, START + 1_000_000, "workers-1");
    network.nodes[3].gossip = again;
    network.act(3, |_, _| {});
    network.run(Duration::from_secs(10));
    (0..3).for_each(|n| assert_eq!(seen(&network, n, 3), (Some("workers-1".to_owned()), 0)));
}

#[test]
fn a_name_takes_none_of_the_room_for_keys() {
    let network = Network::new(21);
    let mut gossip = named(&network, 1, START, &"x".repeat(MAX_MEMBER_NAME));
    let now = network.now;
    for key in 0..MAX_KEYS {
        let key = format!("{key:04}");
        assert!(gossip.set(GROUP, &key, [0; MAX_STATE / MAX_KEYS - 4].into(), None, now).is_ok());
    }
    let longer = gossip.set(GROUP, "0000", [0; MAX_STATE / MAX_KEYS - 3].into(), None, now);
    assert_eq!(longer, Err(GossipError::State(MAX_STATE + 1)));
    assert_eq!(gossip.set(GROUP, "more", [].into(), None, now), Err(GossipError::Keys));
    assert_eq!(gossip.state(GROUP, None, now).map(|items| items.len()), Some(MAX_KEYS));
}

#[test]
fn no_user_changes_a_name() {
    let mut network = Network::new(22);
    network.add(addr(0), &[]);
    let gossip = named(&network, 1, START, "workers-0");
    network.add_machine(addr(1), gossip);
    network.act(1, |gossip, now| {
        assert_eq!(gossip.set(GROUP, "", [1].into(), None, now), Err(GossipError::Key(0)));
        assert_eq!(gossip.unset(GROUP, "", now), Ok(false));
    });
    network.run(Duration::from_secs(5));
    assert_eq!(seen(&network, 0, 1), (Some("workers-0".to_owned()), 0));
}
