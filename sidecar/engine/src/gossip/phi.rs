//! How surprising a silence is: the phi accrual failure detector (Hayashibara et al., "The φ
//! accrual failure detector", 2004).
//!
//! φ = −log₁₀ P(a heartbeat comes later than now), where the intervals between heartbeats are taken
//! as normally distributed, with the mean and deviation of the last of them. φ = 1 means that one in
//! ten silences is longer, φ = 8 one in a hundred million.

use std::time::{Duration, Instant};

/// Intervals that are remembered.
const WINDOW: usize = 32;
/// The first interval of a window, before one was seen.
const FIRST: Duration = Duration::from_millis(1000);
/// Least deviation, in milliseconds: regular heartbeats must not make a short delay a surprise.
const LEAST_DEVIATION: f64 = 100.0;
/// Highest φ: what a computation of 64 bits can tell from infinity.
const HIGHEST: f64 = 300.0;

/// The last intervals between heartbeats.
#[derive(Debug, Clone)]
pub(super) struct Phi {
    /// Milliseconds, 65,535 at most.
    intervals: [u16; WINDOW],
    next: u8,
    filled: u8,
    /// Of the intervals.
    sum: u32,
    /// Of the intervals' squares.
    squares: u64,
    last: Instant,
}

impl Phi {
    /// The first heartbeat comes now.
    pub(super) fn new(now: Instant) -> Self {
        let mut phi =
            Self { intervals: [0; WINDOW], next: 0, filled: 0, sum: 0, squares: 0, last: now };
        phi.push(FIRST);
        phi
    }

    /// A heartbeat came.
    pub(super) fn heartbeat(&mut self, now: Instant) {
        self.push(now.saturating_duration_since(self.last));
        self.last = now;
    }

    /// The time until now counts neither for nor against the member: this process was stopped.
    pub(super) fn skip(&mut self, now: Instant) {
        self.last = now;
    }

    /// When the last heartbeat came.
    pub(super) fn last(&self) -> Instant {
        self.last
    }

    /// φ, from 0 to 300.
    pub(super) fn value(&self, now: Instant) -> f64 {
        let silence = now.saturating_duration_since(self.last).as_secs_f64() * 1000.0;
        let mean = self.mean();
        if silence <= mean {
            // No more than an even chance is no surprise: φ is at most 0.3 here.
            return 0.0;
        }
        let later = upper_tail((silence - mean) / self.deviation(mean));
        (-libm::log10(later)).clamp(0.0, HIGHEST)
    }

    fn push(&mut self, interval: Duration) {
        let millis = u16::try_from(interval.as_millis()).unwrap_or(u16::MAX);
        let old = std::mem::replace(&mut self.intervals[usize::from(self.next)], millis);
        self.sum = self.sum - u32::from(old) + u32::from(millis);
        self.squares = self.squares - u64::from(old).pow(2) + u64::from(millis).pow(2);
        self.next = (self.next + 1) % WINDOW as u8;
        self.filled = self.filled.saturating_add(1).min(WINDOW as u8);
    }

    /// Mean of the intervals in milliseconds.
    fn mean(&self) -> f64 {
        f64::from(self.sum) / f64::from(self.filled)
    }

    /// Standard deviation of the intervals in milliseconds.
    fn deviation(&self, mean: f64) -> f64 {
        let variance = self.squares as f64 / f64::from(self.filled) - mean * mean;
        variance.max(0.0).sqrt().max(mean / 4.0).max(LEAST_DEVIATION)
    }
}

/// The probability that a standard normal variable is above `z`, for z ≥ 0: the logistic
/// approximation of Bowling et al. (2009), whose error is below 0.00014.
fn upper_tail(z: f64) -> f64 {
    let e = libm::exp(-z * (1.5976 + 0.070_566 * z * z));
    e / (1.0 + e)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regular(interval: u64, count: u64) -> (Phi, Instant) {
        let start = crate::clock::now();
        let mut phi = Phi::new(start);
        let mut now = start;
        for _ in 0..count {
            now += Duration::from_millis(interval);
            phi.heartbeat(now);
        }
        (phi, now)
    }

    #[test]
    fn phi_grows_with_silence() {
        let (phi, now) = regular(500, 100);
        let after = |millis| phi.value(now + Duration::from_millis(millis));
        assert_eq!(after(400), 0.0);
        assert!(after(800) < after(1000) && after(1000) < after(2000));
        assert!(after(700) < 2.0 && after(1500) > 8.0);
        assert_eq!(after(3_600_000), HIGHEST);
    }

    #[test]
    fn a_member_that_is_heard_seldom_may_be_silent_longer() {
        let ((often, a), (seldom, b)) = (regular(200, 100), regular(3000, 100));
        let silence = Duration::from_millis(3500);
        assert!(often.value(a + silence) > 8.0);
        assert!(seldom.value(b + silence) < 1.0);
    }

    #[test]
    fn one_in_ten_is_phi_1() {
        assert!((-upper_tail(1.2816).log10() - 1.0).abs() < 0.01);
        assert!((-upper_tail(3.0902).log10() - 3.0).abs() < 0.1);
    }

    #[test]
    fn a_time_in_which_nobody_listened_does_not_count() {
        let (mut phi, now) = regular(500, 100);
        let later = now + Duration::from_secs(60);
        phi.skip(later);
        assert_eq!(phi.value(later), 0.0);
    }
}
