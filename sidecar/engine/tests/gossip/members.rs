//! Who is found, who fails, and who is back.

use std::time::Duration;

use grape_engine::gossip::{Gossip, GossipEvent};

use crate::network::{GROUP, Network, START, addr, addr_v6, others};

const COUNT: usize = 12;

fn is_new(event: &GossipEvent, n: usize) -> bool {
    matches!(event, GossipEvent::NewPeer { peer, .. } if *peer == addr(n))
}

fn is_alive(event: &GossipEvent, n: usize) -> bool {
    matches!(event, GossipEvent::PeerAlive { peer, .. } if *peer == addr(n))
}

fn is_failed(event: &GossipEvent, n: usize) -> bool {
    matches!(event, GossipEvent::PeerFailed { peer } if *peer == addr(n))
}

/// Events of any kind of members that come and go.
fn changes(network: &Network, at: usize) -> usize {
    network.count(at, |event| {
        !matches!(event, GossipEvent::Update { .. } | GossipEvent::Expire { .. })
    })
}

#[test]
fn members_find_each_other_through_one_seed_with_one_event_each() {
    let mut network = Network::new(1);
    (0..COUNT).for_each(|n| network.add(addr(n), &[addr(0)]));
    network.run(Duration::from_secs(10));
    for n in 0..COUNT {
        assert_eq!(network.live(n), COUNT - 1, "{n}");
        for other in others(COUNT, n) {
            assert_eq!(network.count(n, |event| is_new(event, other)), 1, "{n} of {other}");
        }
        assert_eq!(changes(&network, n), COUNT - 1, "nothing else happens");
    }
}

#[test]
fn members_find_each_other_over_ipv6() {
    let mut network = Network::new(2);
    (0..5).for_each(|n| network.add(addr_v6(n), &[addr_v6(0)]));
    network.set(1, "key", &[7; 4096]);
    network.run(Duration::from_secs(5));
    for n in others(5, 1) {
        assert_eq!(network.live(n), 4);
        assert_eq!(network.value(n, 1, "key"), Some(vec![7; 4096]));
    }
}

#[test]
fn a_member_that_dies_and_comes_back_causes_one_event_each_at_each_other() {
    let mut network = Network::of(COUNT, 3);
    network.kill(5);
    network.run(Duration::from_secs(10));
    for n in others(COUNT, 5) {
        assert_eq!(network.count(n, |event| is_failed(event, 5)), 1, "{n}");
        assert_eq!(changes(&network, n), 1, "{n}");
    }
    network.forget_events();
    network.restart(5, START + network.millis());
    network.run(Duration::from_secs(10));
    for n in others(COUNT, 5) {
        assert_eq!(network.count(n, |event| is_alive(event, 5)), 1, "{n}");
        assert_eq!(changes(&network, n), 1, "{n}");
    }
}

#[test]
fn a_member_cut_off_for_a_while_comes_back_with_its_generation_and_keys() {
    let mut network = Network::of(COUNT, 4);
    network.set(5, "before", b"1");
    network.set_sides(|n| u8::from(n == 5));
    network.run(Duration::from_secs(10));
    network.set(5, "meanwhile", b"2");
    network.set_sides(|_| 0);
    network.run(Duration::from_secs(20));
    for n in others(COUNT, 5) {
        assert_eq!(network.count(n, |event| is_failed(event, 5)), 1, "{n}");
        assert_eq!(network.count(n, |event| is_alive(event, 5)), 1, "{n}");
        assert_eq!(network.value(n, 5, "before"), Some(b"1".to_vec()));
        assert_eq!(network.value(n, 5, "meanwhile"), Some(b"2".to_vec()));
    }
}

#[test]
fn a_restart_within_a_second_is_noticed_and_old_keys_are_gone() {
    let mut network = Network::of(COUNT, 5);
    network.set(5, "old", b"1");
    network.run(Duration::from_secs(2));
    network.forget_events();
    network.kill(5);
    network.run(Duration::from_millis(500));
    let generation = START + network.millis();
    network.restart(5, generation);
    network.set(5, "new", b"2");
    network.run(Duration::from_secs(3));
    for n in others(COUNT, 5) {
        let fresh =
            |event: &GossipEvent| *event == GossipEvent::NewPeer { peer: addr(5), generation };
        assert_eq!(network.count(n, fresh), 1, "{n}");
        assert_eq!(changes(&network, n), 1, "{n} takes nobody for dead");
        assert_eq!(network.value(n, 5, "old"), None);
        assert_eq!(network.value(n, 5, "new"), Some(b"2".to_vec()));
    }
}

#[test]
fn a_restart_with_a_clock_in_the_past_takes_a_generation_above_the_last() {
    let mut network = Network::of(COUNT, 6);
    network.set(5, "old", b"1");
    network.run(Duration::from_secs(2));
    let before = network.nodes[5].gossip.generation(GROUP).expect("it is joined");
    network.forget_events();
    network.kill(5);
    network.run(Duration::from_millis(500));
    network.restart(5, 1000);
    network.set(5, "new", b"2");
    network.run(Duration::from_secs(5));
    assert_eq!(network.nodes[5].gossip.generation(GROUP), Some(before + 1));
    for n in others(COUNT, 5) {
        assert_eq!(network.count(n, |event| is_new(event, 5)), 1, "{n}");
        assert_eq!(network.value(n, 5, "old"), None);
        assert_eq!(network.value(n, 5, "new"), Some(b"2".to_vec()));
    }
}

#[test]
fn a_member_restarted_with_the_highest_generation_is_not_locked_out_for_good() {
    let mut network = Network::of(5, 7);
    network.kill(3);
    network.restart(3, u64::MAX);
    network.run(Duration::from_secs(5));
    network.kill(3);
    network.restart(3, START + network.millis());
    network.set(3, "key", b"1");
    network.run(Duration::from_secs(40));
    for n in others(5, 3) {
        assert_eq!(network.value(n, 3, "key"), Some(b"1".to_vec()), "{n}");
    }
}

#[test]
fn a_member_stopped_for_a_second_is_not_taken_for_dead() {
    for count in [12, 40] {
        let mut network = Network::of(count, 8);
        for n in 0..5 {
            network.stop(n, Duration::from_secs(1));
            network.run(Duration::from_secs(4));
        }
        for n in 0..count {
            assert_eq!(changes(&network, n), 0, "{n} of {count}");
        }
    }
}

#[test]
fn a_member_that_was_stopped_for_long_takes_nobody_for_dead() {
    let mut network = Network::of(COUNT, 9);
    network.stop(5, Duration::from_secs(30));
    network.run(Duration::from_secs(45));
    assert_eq!(changes(&network, 5), 0);
    for n in others(COUNT, 5) {
        assert_eq!(network.count(n, |event| is_failed(event, 5)), 1, "{n}");
        assert_eq!(network.count(n, |event| is_alive(event, 5)), 1, "{n}");
    }
}

#[test]
fn parts_of_a_cut_network_go_on_and_find_each_other() {
    let mut network = Network::of(COUNT, 10);
    network.set_sides(|n| u8::from(n < 5));
    network.run(Duration::from_secs(30));
    assert_eq!((network.live(0), network.live(COUNT - 1)), (4, COUNT - 6));
    network.set(0, "left", b"1");
    network.set(COUNT - 1, "right", b"2");
    network.set_sides(|_| 0);
    network.run(Duration::from_secs(20));
    for n in 0..COUNT {
        assert_eq!(network.live(n), COUNT - 1, "{n}");
        assert_eq!(network.count(n, |event| matches!(event, GossipEvent::NewPeer { .. })), 0);
    }
    assert_eq!(network.value(COUNT - 1, 0, "left"), Some(b"1".to_vec()));
    assert_eq!(network.value(0, COUNT - 1, "right"), Some(b"2".to_vec()));
}

#[test]
fn a_group_cut_for_so_long_that_its_parts_forgot_each_other_is_one_again_by_its_seeds() {
    let mut network = Network::of(6, 11);
    network.set_sides(|n| u8::from(n < 3));
    network.run(Duration::from_secs(1500));
    let peers = network.nodes[5].gossip.peers(GROUP, network.now).expect("it is joined");
    assert_eq!(peers.len(), 2, "the other part is forgotten");
    network.set_sides(|_| 0);
    network.run(Duration::from_secs(120));
    assert!((0..6).all(|n| network.live(n) == 5));
}

#[test]
fn a_dead_member_is_forgotten_after_a_while_and_nobody_names_it_again() {
    let mut network = Network::of(6, 12);
    network.kill(5);
    network.run(Duration::from_secs(700));
    for n in 0..5 {
        let peers = network.nodes[n].gossip.peers(GROUP, network.now).expect("it is joined");
        assert_eq!(peers.len(), 4);
        assert_eq!(changes(&network, n), 1);
    }
}

#[test]
fn a_member_of_two_addresses_does_not_meet_itself() {
    let mut network = Network::new(13);
    network.add(addr(0), &[addr(0)]);
    let mut gossip = Gossip::new(None, START, [7; 32], network.now);
    gossip.set_own_address(Some(addr(50)), network.now);
    gossip.join(GROUP, [addr(0), addr(1)], network.now).expect("there is room");
    // Others see it at another address than it was given.
    network.add_machine(addr(1), gossip);
    network.run(Duration::from_secs(20));
    assert_eq!((network.live(0), network.live(1)), (1, 1));
}

#[test]
fn a_machine_without_a_group_has_no_timer_and_one_without_an_address_is_silent() {
    let network = Network::new(14);
    let mut gossip = Gossip::new(None, START, [1; 32], network.now);
    gossip.set_own_address(Some(addr(0)), network.now);
    assert_eq!(gossip.poll_timeout(), None);
    gossip.join(GROUP, [addr(1)], network.now).expect("there is room");
    assert!(gossip.poll_timeout().is_some());
    gossip.set_own_address(None, network.now);
    gossip.handle_timeout(network.now + Duration::from_secs(60));
    assert_eq!((gossip.poll_effect(), gossip.poll_timeout()), (None, None));
    assert!(gossip.leave(GROUP) && !gossip.leave(GROUP));
}

#[test]
fn a_member_whose_address_comes_late_is_found_then() {
    let mut network = Network::new(15);
    network.add(addr(0), &[]);
    let mut gossip = Gossip::new(None, START, [7; 32], network.now);
    gossip.join(GROUP, [addr(0)], network.now).expect("there is room");
    gossip.set(GROUP, "key", (*b"1").into(), None, network.now).expect("it is short");
    network.add_machine(addr(1), gossip);
    network.run(Duration::from_secs(10));
    assert_eq!(network.live(0), 0);
    network.act(1, |gossip, now| gossip.set_own_address(Some(addr(1)), now));
    network.run(Duration::from_secs(5));
    assert_eq!(network.value(0, 1, "key"), Some(b"1".to_vec()));
}

#[test]
fn a_member_that_left_has_failed_for_the_others() {
    let mut network = Network::of(5, 16);
    assert!(network.act(2, |gossip, _| gossip.leave(GROUP)));
    network.run(Duration::from_secs(10));
    for n in others(5, 2) {
        assert_eq!(network.count(n, |event| is_failed(event, 2)), 1);
    }
}

#[test]
fn a_member_that_leaves_and_joins_again_at_once_shares_its_new_keys() {
    let mut network = Network::of(5, 17);
    (0..9_u8).for_each(|n| network.set(2, "old", &[n]));
    network.run(Duration::from_secs(1));
    network.act(2, |gossip, now| {
        assert!(gossip.leave(GROUP));
        gossip.join(GROUP, [addr(0)], now).expect("there is room");
    });
    network.set(2, "new", b"1");
    network.run(Duration::from_secs(5));
    for n in others(5, 2) {
        assert_eq!(network.value(n, 2, "old"), None, "{n}");
        assert_eq!(network.value(n, 2, "new"), Some(b"1".to_vec()), "{n}");
    }
}

#[test]
fn members_that_come_and_go_under_loss_end_with_one_view() {
    let mut network = Network::of(20, 18);
    network.loss = 0.1;
    for round in 0..30 {
        let n = 1 + (round * 7) % 19;
        network.kill(n);
        network.run(Duration::from_millis(200 * (round as u64 % 20)));
        network.restart(n, START + network.millis());
        network.set(n, "round", &[round as u8]);
    }
    network.run(Duration::from_secs(30));
    for of in 0..20 {
        let own = network.nodes[of].gossip.state(GROUP, None, network.now);
        for n in others(20, of) {
            assert_eq!(network.live(n), 19, "{n}");
            let seen = network.nodes[n].gossip.state(GROUP, Some(addr(of)), network.now);
            assert_eq!(seen, own, "{n} of {of}");
        }
    }
}

#[test]
fn members_that_start_at_once_find_each_other_though_their_seed_is_crowded() {
    let mut network = Network::new(19);
    (0..250).for_each(|n| network.add(addr(n), &[addr(0)]));
    network.run_until(Duration::from_secs(20), |network| (0..250).all(|n| network.live(n) == 249));
}
