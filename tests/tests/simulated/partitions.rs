//! Networks that are cut, and heal: no live node stays marked dead.

use std::time::Duration;

use rstest::rstest;

use super::fleet::{Fleet, longest};
use super::{SECOND, far};

/// A cut of half a minute, along subnets or across them: each side drops the other's, and both find each
/// other again without help.
#[rstest]
#[case::six(6, false, 0.0)]
#[case::six_across_subnets(6, true, 0.05)]
#[case::forty_five(45, false, 0.0)]
#[case::forty_five_across_subnets(45, true, 0.05)]
fn both_sides_drop_and_find_each_other(
    #[case] count: usize,
    #[case] across: bool,
    #[case] loss: f64,
) {
    let mut fleet = Fleet::new(3, &far(loss), count, 1, |_| false);
    let side = move |node: usize| if across { node.is_multiple_of(2) } else { node < count / 3 };
    let all: Vec<_> = (0..count).collect();
    let step = count.div_ceil(6);
    let some: Vec<_> = all.into_iter().skip(1).step_by(step | 1).collect();
    fleet.watch(3 * SECOND, &some, &some);
    fleet.network.cut(Some(&side));
    let seen = fleet.watch(30 * SECOND, &some, &some);
    let other = |(asker, asked): &(usize, usize)| side(*asker) != side(*asked);
    let times = seen.shown.iter().filter(|(pair, _)| other(pair)).map(|(_, at)| *at).collect();
    let (gone, p99) = longest(times);
    let lost: Vec<_> = seen.missed.iter().filter(|(pair, _)| !other(pair)).collect();
    fleet.network.cut(None);
    let seen = fleet.watch(12 * SECOND, &some, &some);
    let (back, _) = longest(seen.missed.values().copied().collect());
    eprintln!(
        "{count} Grapes cut, across subnets: {across}, loss {loss}: gone within {gone:.1?} \
         (p99 {p99:.1?}), back within {back:.1?}"
    );
    assert!(lost.is_empty(), "one's own side vanished: {lost:?}");
    assert!(gone <= 5 * SECOND, "gone within {gone:?}");
    assert!(back <= 5 * SECOND, "back within {back:?}");
}

/// One that stands still for a while, as a paused process does, is found again by itself.
#[rstest]
fn one_that_was_cut_off_comes_back(#[values(0.0, 0.05)] loss: f64) {
    let mut fleet = Fleet::new(1, &far(loss), 30, 1, |_| false);
    let others: Vec<_> = (0..30).filter(|node| *node != 7).collect();
    fleet.watch(3 * SECOND, &others, &[7]);
    fleet.network.cut(Some(&|node| node == 7));
    let seen = fleet.watch(15 * SECOND, &others, &[7]);
    let (gone, _) = longest(seen.shown.into_values().collect());
    assert!(gone <= Duration::from_secs(5), "{gone:?}");
    fleet.network.cut(None);
    let seen = fleet.watch(10 * SECOND, &others, &[7]);
    let (back, _) = longest(seen.missed.into_values().collect());
    eprintln!("one of 30 cut off, loss {loss}: gone within {gone:.1?}, back within {back:.1?}");
    assert!(back <= Duration::from_secs(5), "{back:?}");
}
