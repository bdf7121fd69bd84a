//! Grapes that crash: how long until their announces disappear from lookups.

use std::net::SocketAddr;
use std::time::Duration;

use grape_engine::krpc::{self, Method, Want};
use grape_tests::figure;
use grape_tests::simulation::{Link, PORT};
use mainline::Id;
use rstest::rstest;

use super::fleet::{Fleet, SERVICE, longest, some};
use super::{SECOND, far, steady};

const GONE_WITHIN: Duration = Duration::from_secs(5);

#[rstest]
#[case::three(3, 1, 8, 0)]
#[case::ten(10, 2, 8, 0)]
#[case::ten_with_four_plain_ones(10, 2, 4, 4)]
#[case::sixty(60, 2, 1, 0)]
#[case::sixty_with_a_third_plain(60, 1, 1, 20)]
fn the_announces_of_a_dead_grape_disappear_everywhere(
    #[case] count: usize,
    #[case] names: usize,
    #[case] seeds: u64,
    #[case] plain: usize,
    #[values(0.0, 0.05)] loss: f64,
) {
    let mut times = Vec::new();
    for seed in 0..seeds {
        // Plain ones are spread among the others; the first is ours.
        let is_plain = |node: usize| node % 3 == 1 && node / 3 < plain;
        let mut fleet = Fleet::new(seed, &far(loss), count, names, is_plain);
        let ours: Vec<_> = (0..count).filter(|node| !is_plain(*node)).collect();
        let dead = ours[(seed as usize + 1) % ours.len()];
        let living: Vec<_> = ours.into_iter().filter(|node| *node != dead).collect();
        // The lookups are hot, at different times.
        fleet.watch(3 * SECOND + Duration::from_millis(130 * seed), &living, &[dead]);
        fleet.network.kill(dead);
        let seen = fleet.watch(8 * SECOND, &living, &[dead]);
        times.extend(living.iter().filter_map(|node| seen.shown.get(&(*node, dead)).copied()));
        let others = some(&living, 10);
        let seen = fleet.watch(2 * SECOND, &others, &others);
        assert!(seen.missed.is_empty(), "seed {seed}: the living vanished: {:?}", seen.missed);
    }
    let (max, p99) = longest(times);
    eprintln!("{count} Grapes, {plain} plain, loss {loss}: gone within {max:.1?}, p99 {p99:.1?}");
    assert!(max <= GONE_WITHIN, "{max:?}");
}

/// Hot lookups at some of them, and one at many others after it: a withdrawal, and a death.
#[test]
fn of_three_hundred_one_takes_leave_and_one_dies() {
    let mut fleet = Fleet::new(1, &far(0.05), 300, 1, |_| false);
    let (leaver, dead) = (70, 150);
    let all: Vec<_> = (0..300).filter(|node| ![leaver, dead].contains(node)).collect();
    let (askers, others) = (some(&all, 20), some(&all, 60));
    fleet.watch(3 * SECOND, &askers, &[leaver, dead]);
    fleet.network.kill(dead);
    let seen = fleet.watch(GONE_WITHIN, &askers, &[dead]);
    let (max, _) = longest(seen.shown.into_values().collect());
    figure::took("one of 300 dead, loss 0.05: gone from all lookups", max);
    let seen = fleet.watch(SECOND, &others, &[dead]);
    assert!(seen.shown.is_empty(), "{:?}", seen.shown);

    // These lookups are hot no more.
    fleet.watch(3 * SECOND, &askers, &[leaver]);
    fleet.stop_announcing();
    let name = fleet.name(leaver, 0);
    let began = fleet.network.now();
    fleet.network.withdraw(leaver, &name, SERVICE);
    let withdrawing = fleet.network.now() - began;
    fleet.network.kill(leaver);
    let seen = fleet.watch(4 * SECOND, &askers, &[leaver]);
    let (max, _) = longest(seen.shown.into_values().map(|time| withdrawing + time).collect());
    figure::took("withdrawn at one of 300, loss 0.05: gone from all lookups", max);
    assert!(max <= GONE_WITHIN, "{max:?}");
    let seen = fleet.watch(SECOND, &others, &[leaver]);
    assert!(seen.shown.is_empty(), "{:?}", seen.shown);
}

/// A host with a third of all Grapes dies.
#[rstest]
fn a_third_dies_at_once(#[values(30, 60)] count: usize, #[values(0.05)] loss: f64) {
    let mut times = Vec::new();
    for seed in 0..1 + u64::from(count == 30) {
        // Subnets of 30: of 30 Grapes, ten are in one subnet, without others to monitor them.
        let mut fleet = Fleet::new(seed, &far(loss), count, 1, |_| false);
        let third = count / 3;
        let dead: Vec<_> = (third..2 * third).collect();
        let living: Vec<_> = (0..count).filter(|node| !dead.contains(node)).collect();
        let (askers, asked) = (some(&living, 12), some(&dead, 10));
        fleet.watch(3 * SECOND, &askers, &asked);
        dead.iter().for_each(|node| fleet.network.kill(*node));
        let seen = fleet.watch(8 * SECOND, &askers, &asked);
        times.extend(seen.shown.into_values());
        let others = some(&living, 10);
        let seen = fleet.watch(2 * SECOND, &others, &others);
        assert!(seen.missed.is_empty(), "seed {seed}: the living vanished: {:?}", seen.missed);
    }
    let (max, p99) = longest(times);
    eprintln!("a third of {count} Grapes, loss {loss}: gone within {max:.1?}, p99 {p99:.1?}");
    assert!(max <= GONE_WITHIN, "{max:?}");
}

/// Loss and latency are no deaths.
#[rstest]
fn the_living_stay(#[values(10, 30)] count: usize) {
    let mut fleet = Fleet::new(1, &far(0.05), count, 1, |_| false);
    let all: Vec<_> = (0..count).collect();
    let some = some(&all, 8);
    // What was looked up before is hot.
    fleet.watch(3 * SECOND, &some, &some);
    let seen = fleet.watch(100 * SECOND, &some, &some);
    assert!(seen.missed.is_empty(), "{:?}", seen.missed);
    assert_eq!(fleet.sent("dead"), 0, "notices");
}

/// Somebody sends pings in the name of the dead: heartbeats, their end, and those of another id; ten times a
/// second, or each once to each of the others.
#[rstest]
fn queries_in_its_name_keep_no_dead_grape(
    #[values(3, 10)] count: usize,
    #[values(0.0, 0.05)] loss: f64,
    #[values(true, false)] often: bool,
) {
    let mut longest = Duration::ZERO;
    for seed in 0..8 {
        let mut fleet = Fleet::new(seed, &far(loss), count, 1, |_| false);
        let dead = (seed as usize + 1) % count;
        let living: Vec<_> = (0..count).filter(|node| *node != dead).collect();
        fleet.watch(3 * SECOND + Duration::from_millis(130 * seed), &living, &[dead]);
        let id = fleet.network.engine(dead).id();
        let another = Id::from(id.as_bytes().map(|byte| !byte));
        let from = SocketAddr::new(fleet.announced(dead).ip(), PORT);
        fleet.network.kill(dead);
        let step = SECOND / 10;
        for past in 1..=80 {
            for node in living.iter().filter(|_| often || past == 1 + 4 * seed as u32) {
                let forged =
                    [(id, None), (id, Some(true)), (id, Some(false)), (another, Some(true))];
                for (id, watch) in forged {
                    fleet.network.forge(from, *node, ping(id, watch));
                }
            }
            let seen = fleet.watch(step, &living, &[dead]);
            if !seen.shown.is_empty() {
                longest = longest.max(step * past);
            }
        }
    }
    eprintln!("{count} Grapes, loss {loss}: gone within {longest:.1?}");
    assert!(longest <= GONE_WITHIN, "{longest:?}");
}

fn ping(id: Id, watch: Option<bool>) -> Vec<u8> {
    let query = krpc::Query {
        sender: Some(id),
        read_only: false,
        want: Want::default(),
        method: Method::Ping { watch },
    };
    let message = krpc::Message {
        transaction_id: b"ping".as_slice().into(),
        version: Some(krpc::VERSION),
        network: None,
        body: krpc::Body::Query(query),
    };
    krpc::encode(&message).unwrap()
}

#[test]
fn subscribers_are_notified_of_a_death() {
    let mut fleet = Fleet::new(1, &far(0.0), 10, 1, |_| false);
    fleet.network.act(4, |engine, now| engine.subscribe(b"2:service:0", now));
    fleet.run(SECOND);
    assert_eq!(fleet.network.told(4).last().unwrap().1, [fleet.announced(2), fleet.announced(7)]);
    fleet.network.kill(7);
    fleet.run(GONE_WITHIN);
    assert_eq!(fleet.network.told(4).last().unwrap().1, [fleet.announced(2)]);
}

#[test]
fn a_drain_is_no_death() {
    let mut fleet = Fleet::new(1, &steady(), 12, 2, |_| false);
    fleet.stop_announcing();
    let services = fleet.network.act(5, |engine, _| engine.drain()).unwrap();
    assert_eq!(services.len(), 2);
    for (name, port) in services {
        fleet.network.withdraw(5, std::str::from_utf8(&name).unwrap(), port);
    }
    fleet.network.leave(5);
    fleet.network.kill(5);
    let all: Vec<_> = (0..12).collect();
    let seen = fleet.watch(90 * SECOND, &all, &[5]);
    assert!(seen.shown.is_empty(), "{:?}", seen.shown);
    assert_eq!(fleet.sent("dead"), 11, "notices: its own, that it leaves");
}

/// With a new id, at the address of one that was, or was not yet, found dead.
#[rstest]
fn one_that_restarts_is_found_at_once(#[values(1, 10)] pause: u32) {
    let link = Link { loss: 0.05, ..steady() };
    let mut fleet = Fleet::new(1, &link, 30, 1, |_| false);
    let living: Vec<_> = (0..30).filter(|node| *node != 7).collect();
    fleet.watch(3 * SECOND, &living, &[7]);
    fleet.network.kill(7);
    fleet.run(pause * SECOND);
    let again = fleet.restart(7);
    fleet.watch(3 * SECOND, &living, &[again]);
    let seen = fleet.watch(2 * SECOND, &living, &[again]);
    assert!(seen.missed.is_empty(), "{:?}", seen.missed);
}
