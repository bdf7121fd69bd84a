//! Withdrawals: how long until withdrawn peers disappear from lookups, cached ones included.

use std::net::SocketAddr;
use std::time::Duration;

use grape_engine::krpc::Method;
use grape_tests::figure;
use grape_tests::simulation::Made;
use rstest::rstest;

use super::fleet::{Fleet, SERVICE, ip, longest, some};
use super::notices::notice;
use super::{AGE, SECOND, far};

/// A drain, with the node gone right after it: lookups that were hot show nothing of it any more.
#[rstest]
#[case::three(3, 6)]
#[case::thirty(30, 3)]
fn a_withdrawn_service_is_gone_from_every_lookup(#[case] count: usize, #[case] seeds: u64) {
    let mut times = Vec::new();
    for seed in 0..seeds {
        let mut fleet = Fleet::new(seed, &far(0.05), count, 1, |_| false);
        fleet.stop_announcing();
        let leaver = (seed as usize + 1) % count;
        let others: Vec<_> = (0..count).filter(|node| *node != leaver).collect();
        let askers = some(&others, 30);
        // The lookups are hot, at different times.
        fleet.watch(3 * SECOND + Duration::from_millis(130 * seed), &askers, &[leaver]);
        let began = fleet.network.now();
        let name = fleet.name(leaver, 0);
        fleet.network.withdraw(leaver, &name, SERVICE);
        fleet.network.kill(leaver);
        let withdrawing = fleet.network.now() - began;
        let seen = fleet.watch(8 * SECOND, &askers, &[leaver]);
        times.extend(seen.shown.into_values().map(|time| withdrawing + time));
        let seen = fleet.watch(SECOND, &others, &[leaver]);
        assert!(seen.shown.is_empty(), "seed {seed}: still shown: {:?}", seen.shown);
    }
    let (max, _) = longest(times);
    figure::took(&format!("withdrawn at one of {count}, loss 0.05: gone from all lookups"), max);
    assert!(max <= 3 * SECOND, "{max:?}");
}

/// The announce is being sent to nodes that have just joined: they get its withdrawal too.
#[test]
fn nodes_that_are_getting_the_announce_get_its_withdrawal() {
    for pause in (500..1500).step_by(14).map(Duration::from_millis) {
        let mut fleet = Fleet::new(1, &far(0.0), 12, 1, |_| false);
        fleet.stop_announcing();
        let leaver = 1;
        let newcomers: Vec<_> =
            (0..12).map(|n| fleet.network.add_made(Made::at(ip(7, n), AGE), &[n])).collect();
        fleet.network.run(pause);
        let name = fleet.name(leaver, 0);
        fleet.network.withdraw(leaver, &name, SERVICE);
        fleet.run(8 * SECOND);
        let askers: Vec<_> = (0..12).chain(newcomers).collect();
        let seen = fleet.watch(2 * SECOND, &askers, &[leaver]);
        assert!(seen.shown.is_empty(), "after {pause:?}, still shown: {:?}", seen.shown);
    }
}

/// The withdrawing node had marked a node without CPU dead: this one is notified too.
#[rstest]
fn a_slow_node_gets_the_withdrawal(
    #[values(1, 3, 5, 10)] stall: u32,
    #[values(0, 2, 4, 8)] before: u32,
) {
    let mut fleet = Fleet::new(1, &far(0.0), 12, 1, |_| false);
    fleet.stop_announcing();
    let leaver = 1;
    for slow in [4, 7, 10] {
        fleet.network.stall(slow, SECOND * stall);
    }
    fleet.run(SECOND * before);
    let name = fleet.name(leaver, 0);
    fleet.network.withdraw(leaver, &name, SERVICE);
    fleet.run(SECOND * stall + 8 * SECOND);
    let seen = fleet.watch(2 * SECOND, &(0..12).collect::<Vec<_>>(), &[leaver]);
    assert!(seen.shown.is_empty(), "still shown: {:?}", seen.shown);
}

/// A service that ends and starts again at once stays.
#[test]
fn a_service_announced_again_stays() {
    let mut fleet = Fleet::new(1, &far(0.05), 30, 1, |_| false);
    let all: Vec<_> = (0..30).collect();
    let name = fleet.name(7, 0);
    for pause in [0, 100, 400] {
        fleet.watch(3 * SECOND, &all, &[7]);
        fleet.network.withdraw(7, &name, SERVICE);
        fleet.network.run(Duration::from_millis(pause));
        fleet.network.announce(7, &name, SERVICE);
        fleet.watch(4 * SECOND, &all, &[7]);
        let seen = fleet.watch(2 * SECOND, &all, &[7]);
        assert!(seen.missed.is_empty(), "after {pause} ms: {:?}", seen.missed);
    }
}

/// Others see to it that a forged notice has them ask, and nothing else.
#[test]
fn a_forged_notice_withdraws_nothing() {
    for loss in [0.0, 0.05] {
        let mut fleet = Fleet::new(1, &far(loss), 30, 1, |_| false);
        let all: Vec<_> = (0..30).collect();
        fleet.watch(3 * SECOND, &all, &[7]);
        let (name, peer) = (fleet.name(7, 0), fleet.announced(7));
        for second in 0..10 {
            let info_hash = name.as_bytes().into();
            let forged = notice(Method::Withdrawn { info_hash, addr: peer, depth: 0 });
            let stranger = SocketAddr::from(([10, 9, 9, 9], 20001));
            fleet.network.forge(stranger, 3 + second, forged);
            let seen = fleet.watch(SECOND, &all, &[7]);
            assert!(seen.missed.is_empty(), "loss {loss}, second {second}: {:?}", seen.missed);
        }
    }
}
