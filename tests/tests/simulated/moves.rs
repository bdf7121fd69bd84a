//! Hosts whose address changes while their Grapes run.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use grape_tests::figure;
use grape_tests::simulation::{Network, PORT};
use rstest::rstest;

use super::{AGE, SECOND, addr, steady};

const NAME: &str = "rpc_test";
const SERVICE: u16 = 7000;
/// The host's addresses are read every 2 seconds.
const READ: Duration = Duration::from_secs(2);
/// The new address is shown, and the old one is not.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(6);

fn elsewhere(n: u8) -> IpAddr {
    [10, 200, 0, n].into()
}

/// A network whose node 0 serves a name that all others look up.
fn served(count: usize) -> Network {
    let mut network = Network::of(1, steady(), count, AGE);
    network.tell_addresses(0);
    network.announce(0, NAME, SERVICE);
    for _ in 0..5 {
        pass_a_second(&mut network);
    }
    for node in 0..count {
        assert_eq!(network.lookup(node, NAME), Some(vec![addr(0, SERVICE)]), "node {node}");
    }
    network
}

/// The service announces itself every second, and lookups are hot.
fn pass_a_second(network: &mut Network) {
    for _ in 0..4 {
        network.run(SECOND / 4);
        for node in network.alive() {
            network.start(node, |engine, now| engine.lookup(NAME.as_bytes(), now));
        }
    }
    network.start(0, |engine, now| engine.announce(NAME.as_bytes(), SERVICE, now));
}

/// How long until all nodes show the service at this address alone; it stays so.
fn shown_alone_at(network: &mut Network, ip: IpAddr) -> Duration {
    let (began, expected) = (network.now(), vec![SocketAddr::new(ip, SERVICE)]);
    let mut since = began;
    while network.now() < began + 20 * SECOND {
        network.run(SECOND / 10);
        if (network.now() - began).as_millis().is_multiple_of(1000) {
            network.start(0, |engine, now| engine.announce(NAME.as_bytes(), SERVICE, now));
        }
        for node in network.alive() {
            if network.lookup(node, NAME).as_ref() != Some(&expected) {
                since = network.now();
            }
        }
    }
    for node in network.alive() {
        assert_eq!(network.lookup(node, NAME), Some(expected.clone()), "node {node}");
    }
    since - began
}

#[rstest]
fn a_grape_whose_host_has_a_new_address_is_found_there_alone(#[values(2, 3, 10, 60)] count: usize) {
    let mut network = served(count);
    network.change_ip(0, Some(elsewhere(1)));
    network.run(READ);
    network.tell_addresses(0);
    let took = READ + shown_alone_at(&mut network, elsewhere(1));
    figure::took(&format!("11: new address, {count} Grapes: found there alone after"), took);
    assert!(took <= FOLLOWED_WITHIN, "{took:?}");
    // It is watched there as it was before.
    network.kill(0);
    let began = network.now();
    let mut gone = Duration::ZERO;
    while network.now() < began + 8 * SECOND {
        network.run(SECOND / 10);
        for node in network.alive() {
            if network.lookup(node, NAME) != Some(vec![]) {
                gone = network.now() - began;
            }
        }
    }
    assert!(gone <= 5 * SECOND, "its death is noticed after {gone:?}");
}

#[rstest]
fn a_host_without_an_address_for_a_while_is_found_at_its_next_one(
    #[values(2, 10)] count: usize,
    #[values(5, 60)] seconds: u32,
) {
    let mut network = served(count);
    network.change_ip(0, None);
    for second in 0..seconds {
        pass_a_second(&mut network);
        if second % 2 == 0 {
            network.tell_addresses(0);
        }
    }
    network.change_ip(0, Some(elsewhere(1)));
    network.run(READ);
    // Its discovery knows its bootstrap nodes.
    network.join(0, &[1]);
    network.tell_addresses(0);
    let took = READ + shown_alone_at(&mut network, elsewhere(1));
    figure::took(&format!("11: {seconds} s without an address: found after"), took);
    assert!(took <= FOLLOWED_WITHIN, "{took:?}");
}

#[test]
fn an_address_that_comes_back_is_shown_again() {
    let mut network = served(5);
    for ip in [elsewhere(1), Network::ip(0), elsewhere(1)] {
        network.change_ip(0, Some(ip));
        network.run(READ);
        network.tell_addresses(0);
        let took = READ + shown_alone_at(&mut network, ip);
        assert!(took <= FOLLOWED_WITHIN, "{ip}: {took:?}");
    }
}

/// The route to the others leaves from another address, and stays there.
#[test]
fn a_grape_that_is_seen_at_another_address_announces_from_there() {
    let mut network = served(5);
    // The node does not answer at the old address any more, though the host still has it.
    network.change_ip(0, Some(elsewhere(1)));
    network.act(0, |engine, now| {
        let both = vec![Network::ip(0), elsewhere(1), [127, 0, 0, 1].into()];
        engine.set_host_addresses(both);
        assert_eq!(engine.move_to(elsewhere(1), now), Some(Network::ip(0)));
    });
    let took = shown_alone_at(&mut network, elsewhere(1));
    assert!(took <= FOLLOWED_WITHIN, "{took:?}");
}

#[test]
fn addresses_that_come_and_go_beside_the_one_in_use_change_nothing() {
    let mut network = served(3);
    let sent = network.sent();
    network.run(10 * SECOND);
    let usual = network.sent() - sent;
    let sent = network.sent();
    for second in 0..10 {
        // A privacy address, each second another.
        let other = elsewhere(second);
        network.act(0, |engine, _| {
            engine.set_host_addresses(vec![Network::ip(0), other, [127, 0, 0, 1].into()]);
        });
        network.run(SECOND);
    }
    let more = network.sent() - sent;
    assert!(more <= usual + usual / 2, "{more} datagrams, and {usual} before");
    for node in 0..3 {
        assert_eq!(network.lookup(node, NAME), Some(vec![addr(0, SERVICE)]));
    }
    let known = SocketAddr::new(Network::ip(0), PORT);
    assert!(network.engine(1).knows(&known), "it is not taken for dead");
}
