//! Round trips, smoothed, and how long to wait for an answer (RFC 6298's estimator).

use std::time::Duration;

/// Never less than this with a node that is known to answer.
const LEAST: Duration = Duration::from_millis(25);
/// Never more than this.
const MOST: Duration = Duration::from_secs(1);
/// With a node that has not answered yet.
const UNKNOWN: Duration = Duration::from_millis(500);

/// The measured round trip to a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RoundTrip {
    smoothed: Duration,
    variation: Duration,
}

impl RoundTrip {
    pub(crate) fn smoothed(&self) -> Duration {
        self.smoothed
    }

    /// Takes a further measurement in.
    pub(crate) fn measure(known: Option<Self>, sample: Duration) -> Self {
        match known {
            None => Self { smoothed: sample, variation: sample / 2 },
            Some(Self { smoothed, variation }) => Self {
                variation: (variation * 3 + smoothed.abs_diff(sample)) / 4,
                smoothed: (smoothed * 7 + sample) / 8,
            },
        }
    }

    /// How long an answer may take before others need not wait for it.
    pub(super) fn timeout(known: Option<Self>) -> Duration {
        match known {
            None => UNKNOWN,
            Some(Self { smoothed, variation }) => (smoothed + variation * 4).clamp(LEAST, MOST),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_follow_the_round_trips() {
        let of = |samples: &[u64]| {
            let measured = samples.iter().fold(None, |known, ms| {
                Some(RoundTrip::measure(known, Duration::from_millis(*ms)))
            });
            RoundTrip::timeout(measured)
        };
        assert_eq!(of(&[]), UNKNOWN);
        assert_eq!(of(&[1, 1, 1]), LEAST);
        assert!(of(&[80; 20]) > Duration::from_millis(79));
        assert!(of(&[80; 20]) < Duration::from_millis(100), "steady: {:?}", of(&[80; 20]));
        assert!(of(&[20, 200, 20, 200]) > Duration::from_millis(200), "unsteady");
        assert_eq!(of(&[5000]), MOST);
    }
}
