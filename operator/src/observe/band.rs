//! A latency as one of a few bands, so that a status at rest is not written again with each round.
//! Pure.

use std::time::Duration;

/// The limits of the bands, in milliseconds. A lookup that takes longer than the last is no more
/// waited for.
const LIMITS: [u64; 5] = [10, 50, 200, 1000, 2000];

/// A band of latencies: the lookups took this long or less. Only its limit is reported, so that an
/// operator that restarts can go on from what a status has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct P95Band {
    index: usize,
}

impl P95Band {
    /// The lowest band that `p95` is in; the highest one for all beyond 2 s. A band's limit is in
    /// that band.
    pub fn of(p95: Duration) -> Self {
        let within = |limit: &u64| p95 <= Duration::from_millis(*limit);
        Self { index: LIMITS.iter().position(within).unwrap_or(LIMITS.len() - 1) }
    }

    /// The band to show now, after `present`. Another band is taken up only where `p95` is beyond
    /// the limit of the present one, or below half of the limit of the next lower one. Without a
    /// `p95` the present one stays.
    pub fn follow(present: Option<Self>, p95: Option<Duration>) -> Option<Self> {
        let Some(p95) = p95 else { return present };
        let stays = |band: &Self| {
            let below = band.index.checked_sub(1).map(|lower| limit(lower) / 2);
            p95 <= band.limit() && below.is_none_or(|below| p95 >= below)
        };
        Some(present.filter(stays).unwrap_or_else(|| Self::of(p95)))
    }

    /// The most that a latency in this band is.
    pub fn limit(self) -> Duration {
        limit(self.index)
    }
}

fn limit(index: usize) -> Duration {
    Duration::from_millis(LIMITS[index])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn us(us: u64) -> Duration {
        Duration::from_micros(us)
    }

    #[rstest]
    #[case(0, 10)]
    #[case(10_000, 10)]
    #[case(10_001, 50)]
    #[case(60_000, 200)]
    #[case(2_000_000, 2000)]
    #[case(9_000_000, 2000)]
    fn a_latency_is_in_the_lowest_band_that_holds_it(#[case] p95: u64, #[case] limit: u64) {
        assert_eq!(P95Band::of(us(p95)).limit(), Duration::from_millis(limit));
    }

    #[rstest]
    #[case(50, 50_000, 50)]
    #[case(50, 50_001, 200)]
    #[case(50, 5000, 50)]
    #[case(50, 4999, 10)]
    #[case(10, 0, 10)]
    #[case(2000, 9_000_000, 2000)]
    #[case(2000, 499_999, 1000)]
    #[case(2000, 500_000, 2000)]
    fn the_present_band_is_left_only_for_a_reason(
        #[case] present: u64,
        #[case] p95: u64,
        #[case] next: u64,
    ) {
        let present = P95Band::of(Duration::from_millis(present));
        let next = P95Band::of(Duration::from_millis(next));
        assert_eq!(P95Band::follow(Some(present), Some(us(p95))), Some(next));
    }

    #[test]
    fn without_a_latency_nothing_changes() {
        let band = P95Band::of(us(7000));
        assert_eq!(P95Band::follow(Some(band), None), Some(band));
        assert_eq!(P95Band::follow(None, None), None);
        assert_eq!(P95Band::follow(None, Some(us(7000))), Some(band));
    }

    proptest! {
        #[test]
        fn a_band_comes_back_from_its_limit(p95 in 0_u64..3_000_000) {
            let band = P95Band::of(us(p95));
            prop_assert_eq!(P95Band::of(band.limit()), band);
        }

        /// Latencies that swing by less than half round any point move the band once at most, up.
        #[test]
        fn a_swing_round_a_limit_does_not_flap(
            middle in 0_u64..2_500_000,
            swings in proptest::collection::vec(75_u64..=125, 1..50),
        ) {
            let mut band = None;
            let mut changes = 0;
            for percent in swings {
                let next = P95Band::follow(band, Some(us(middle * percent / 100)));
                changes += usize::from(band.is_some() && next != band);
                prop_assert!(next >= band);
                band = next;
            }
            prop_assert!(changes <= 1, "{} changes", changes);
        }
    }
}
