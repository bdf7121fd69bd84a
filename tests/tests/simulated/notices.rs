//! Forged notices of deaths.

use std::net::SocketAddr;

use grape_engine::krpc::{self, Body, Message, Method, Query, VERSION, Want};
use grape_tests::simulation::PORT;
use mainline::Id;

use super::fleet::{Fleet, ip};
use super::{SECOND, far, steady};

fn dead(addr: SocketAddr) -> Vec<u8> {
    notice(Method::Dead { addr, depth: 0 })
}

/// A query of a stranger.
pub(super) fn notice(method: Method<'_>) -> Vec<u8> {
    let sender = Some(Id::from([9; 20]));
    let query = Query { sender, read_only: false, want: Want::default(), method };
    let transaction_id = b"aaaa".as_slice().into();
    krpc::encode(&Message {
        transaction_id,
        version: Some(VERSION),
        network: None,
        body: Body::Query(query),
    })
    .unwrap()
}

#[test]
fn a_forged_notice_removes_nothing() {
    for loss in [0.0, 0.05] {
        let mut fleet = Fleet::new(1, &far(loss), 20, 1, |_| false);
        let all: Vec<_> = (0..20).collect();
        fleet.watch(3 * SECOND, &all, &[7]);
        let addr = SocketAddr::new(ip(0, 7), PORT);
        for second in 0..10 {
            let stranger = SocketAddr::from(([10, 9, 9, 9], PORT));
            fleet.network.forge(stranger, 3 + second, dead(addr));
            let seen = fleet.watch(SECOND, &all, &[7]);
            assert!(seen.missed.is_empty(), "second {second}: {:?}", seen.missed);
        }
    }
}

/// Two thousand a second, of nodes that never were: each of 20 Grapes pays with so many packets.
#[test]
fn a_flood_of_forged_notices_is_bounded() {
    let mut fleet = Fleet::new(1, &steady(), 20, 1, |_| false);
    let stranger = SocketAddr::from(([10, 9, 9, 9], PORT));
    let flood = |fleet: &mut Fleet, second: u8| {
        for n in 0..2000u16 {
            let addr = SocketAddr::from(([10, 8, second, (n % 250) as u8], 1000 + n));
            fleet.network.forge(stranger, usize::from(n % 20), dead(addr));
        }
        let before = fleet.network.sent();
        fleet.run(SECOND);
        (fleet.network.sent() - before) / 20
    };
    let first = flood(&mut fleet, 0);
    let each: Vec<_> = (1..5).map(|second| flood(&mut fleet, second)).collect();
    let later = each[2..].iter().max().unwrap();
    eprintln!("2000 forged notices a second: packets of each Grape: first {first}, then {each:?}");
    assert!(first <= 5000, "{first} packets in the first second");
    assert!(*later <= 800, "{later} packets a second");
    let all: Vec<_> = (0..20).collect();
    let seen = fleet.watch(3 * SECOND, &all, &all[..5]);
    assert!(seen.missed.is_empty(), "{:?}", seen.missed);
}

/// A forged notice makes no node probe an address outside the network.
#[test]
fn forged_notices_make_no_node_probe_a_stranger() {
    let mut fleet = Fleet::new(1, &steady(), 20, 1, |_| false);
    let mut pings = |forged: u16| {
        let before = fleet.sent("ping");
        let stranger = SocketAddr::from(([10, 9, 9, 9], PORT));
        for n in 0..forged {
            let addr = SocketAddr::from(([10, 8, 0, 1], 1000 + n));
            fleet.network.forge(stranger, usize::from(n % 20), dead(addr));
        }
        fleet.run(3 * SECOND);
        fleet.sent("ping") - before
    };
    let (at_rest, forged) = (pings(0), pings(100));
    // Each of 20 Grapes receives each of a hundred notices.
    assert!(forged < at_rest + 100, "{forged} pings, {at_rest} at rest");
}
