//! Grapes that die without a word: how long until nobody shows what they announced.

use std::time::Duration;

use grape_tests::simulation::Link;
use rstest::rstest;

use super::fleet::{Fleet, longest, some};
use super::{SECOND, far, steady};

const GONE_WITHIN: Duration = Duration::from_secs(5);

#[rstest]
#[case::three(3, 1, 8, 0)]
#[case::ten(10, 2, 8, 0)]
#[case::ten_with_four_plain_ones(10, 2, 4, 4)]
#[case::hundred(100, 3, 1, 0)]
#[case::hundred_with_a_third_plain(100, 1, 1, 33)]
fn what_a_dead_grape_announced_is_gone_everywhere(
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

/// Hot lookups at some, and one lookup at everybody after five seconds.
#[test]
fn of_three_hundred_one_dies() {
    let mut fleet = Fleet::new(1, &far(0.05), 300, 1, |_| false);
    let all: Vec<_> = (0..300).filter(|node| *node != 150).collect();
    let some = some(&all, 20);
    fleet.watch(3 * SECOND, &some, &[150]);
    fleet.network.kill(150);
    let seen = fleet.watch(GONE_WITHIN, &some, &[150]);
    let (max, p99) = longest(seen.shown.into_values().collect());
    eprintln!("300 Grapes, loss 0.05: gone within {max:.1?}, p99 {p99:.1?}");
    let seen = fleet.watch(SECOND, &all, &[150]);
    assert!(seen.shown.is_empty(), "{:?}", seen.shown);
}

/// A host with a third of all Grapes dies.
#[rstest]
fn a_third_dies_at_once(#[values(30, 90)] count: usize, #[values(0.05)] loss: f64) {
    let mut times = Vec::new();
    for seed in 0..2 {
        // Subnets of 30: of 30 Grapes, ten are in one with nobody else to watch them.
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
fn the_living_stay(#[values(10, 40)] count: usize) {
    let mut fleet = Fleet::new(1, &far(0.05), count, 1, |_| false);
    let all: Vec<_> = (0..count).collect();
    let some = some(&all, 8);
    // What was looked up before is hot.
    fleet.watch(3 * SECOND, &some, &some);
    let seen = fleet.watch(180 * SECOND, &some, &some);
    assert!(seen.missed.is_empty(), "{:?}", seen.missed);
    assert_eq!(fleet.sent("dead"), 0, "notices");
}

#[test]
fn followers_are_told_of_a_death() {
    let mut fleet = Fleet::new(1, &far(0.0), 10, 1, |_| false);
    fleet.network.act(4, |engine, now| engine.watch(b"2:service:0", now));
    fleet.run(SECOND);
    assert_eq!(fleet.network.told(4).last().unwrap().1, [fleet.announced(2), fleet.announced(7)]);
    fleet.network.kill(7);
    fleet.run(GONE_WITHIN);
    assert_eq!(fleet.network.told(4).last().unwrap().1, [fleet.announced(2)]);
}

#[test]
fn who_drains_is_no_death() {
    let mut fleet = Fleet::new(1, &steady(), 12, 2, |_| false);
    fleet.stop_announcing();
    let services = fleet.network.act(5, |engine, _| engine.drain()).unwrap();
    assert_eq!(services.len(), 2);
    for (name, port) in services {
        fleet.network.withdraw(5, std::str::from_utf8(&name).unwrap(), port);
    }
    fleet.network.kill(5);
    let all: Vec<_> = (0..12).collect();
    let seen = fleet.watch(90 * SECOND, &all, &[5]);
    assert!(seen.shown.is_empty(), "{:?}", seen.shown);
    assert_eq!(fleet.sent("dead"), 0, "notices");
}

/// With a new id, at the address of one that was, or was not yet, found dead.
#[rstest]
fn one_that_restarts_is_found_at_once(#[values(1, 10)] pause: u32) {
    let link = Link { loss: 0.05, ..steady() };
    let mut fleet = Fleet::new(1, &link, 40, 1, |_| false);
    let living: Vec<_> = (0..40).filter(|node| *node != 7).collect();
    fleet.watch(3 * SECOND, &living, &[7]);
    fleet.network.kill(7);
    fleet.run(pause * SECOND);
    let again = fleet.restart(7);
    fleet.watch(3 * SECOND, &living, &[again]);
    let seen = fleet.watch(2 * SECOND, &living, &[again]);
    assert!(seen.missed.is_empty(), "{:?}", seen.missed);
}
