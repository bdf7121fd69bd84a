//! How long a Lease lasts and how often it is renewed, held to what makes an election safe.

use std::time::Duration;

/// Longest `--lease-duration`: after a leader was killed, no replica leads for that long.
const MAX_LEASE_DURATION: Duration = Duration::from_secs(60 * 60);

/// Shortest `--lease-duration`: a Lease counts in whole seconds.
const SHORTEST: Duration = Duration::from_secs(1);

/// Shortest `--retry-period`: the API server is written to this often.
const SHORTEST_RETRY: Duration = Duration::from_millis(100);

/// The times of an election, where retry period < renew deadline < lease duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timings {
    lease_duration: Duration,
    renew_deadline: Duration,
    retry_period: Duration,
}

/// Times that no election can work with. The message names the flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTimings {
    /// The lease duration is out of its bounds.
    #[error(
        "--lease-duration is {0:?}; expected a duration from {SHORTEST:?} to {MAX_LEASE_DURATION:?}"
    )]
    LeaseDuration(Duration),
    /// The retry period is too short.
    #[error("--retry-period is {0:?}; expected a duration of at least {SHORTEST_RETRY:?}")]
    RetryPeriod(Duration),
    /// A leader would go on while others may lead already.
    #[error(
        "--renew-deadline is {renew_deadline:?}; expected a duration below --lease-duration, \
         which is {lease_duration:?}"
    )]
    RenewDeadline {
        /// The renew deadline.
        renew_deadline: Duration,
        /// The lease duration, which is not longer.
        lease_duration: Duration,
    },
    /// A leader would give up before it has tried again.
    #[error(
        "--retry-period is {retry_period:?}; expected a duration below --renew-deadline, which is \
         {renew_deadline:?}"
    )]
    Retries {
        /// The retry period.
        retry_period: Duration,
        /// The renew deadline, which is not longer.
        renew_deadline: Duration,
    },
}

impl Timings {
    /// Checks the times.
    ///
    /// # Errors
    ///
    /// See [`BadTimings`].
    pub fn new(
        lease_duration: Duration,
        renew_deadline: Duration,
        retry_period: Duration,
    ) -> Result<Self, BadTimings> {
        if !(SHORTEST..=MAX_LEASE_DURATION).contains(&lease_duration) {
            return Err(BadTimings::LeaseDuration(lease_duration));
        }
        if retry_period < SHORTEST_RETRY {
            return Err(BadTimings::RetryPeriod(retry_period));
        }
        if renew_deadline >= lease_duration {
            return Err(BadTimings::RenewDeadline { renew_deadline, lease_duration });
        }
        if retry_period >= renew_deadline {
            return Err(BadTimings::Retries { retry_period, renew_deadline });
        }
        Ok(Self { lease_duration, renew_deadline, retry_period })
    }

    /// How long others wait for a leader that does not renew the Lease.
    pub fn lease_duration(&self) -> Duration {
        self.lease_duration
    }

    /// How long after its last renewal a leader still leads.
    pub fn renew_deadline(&self) -> Duration {
        self.renew_deadline
    }

    /// How often a leader renews the Lease, and a candidate retries.
    pub fn retry_period(&self) -> Duration {
        self.retry_period
    }

    /// The lease duration as a Lease has it, in whole seconds, rounded up: others may wait longer
    /// than they need to, never shorter.
    pub(super) fn lease_seconds(&self) -> i32 {
        let partial = u64::from(self.lease_duration.subsec_nanos() > 0);
        i32::try_from(self.lease_duration.as_secs() + partial).unwrap_or(i32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn timings(lease: u64, renew: u64, retry: u64) -> Result<Timings, BadTimings> {
        let [lease, renew, retry] = [lease, renew, retry].map(Duration::from_millis);
        Timings::new(lease, renew, retry)
    }

    #[rstest]
    #[case(15_000, 10_000, 2_000, 15)]
    #[case(1_000, 999, 998, 1)]
    #[case(1_001, 1_000, 100, 2)]
    #[case(3_600_000, 10_000, 2_000, 3600)]
    fn the_seconds_of_a_lease_are_rounded_up(
        #[case] lease: u64,
        #[case] renew: u64,
        #[case] retry: u64,
        #[case] seconds: i32,
    ) {
        assert_eq!(timings(lease, renew, retry).unwrap().lease_seconds(), seconds);
    }

    #[rstest]
    #[case(
        10_000,
        10_000,
        2_000,
        "--renew-deadline is 10s; expected a duration below --lease-duration, which is 10s"
    )]
    #[case(
        15_000,
        2_000,
        2_000,
        "--retry-period is 2s; expected a duration below --renew-deadline, which is 2s"
    )]
    #[case(999, 500, 200, "--lease-duration is 999ms; expected a duration from 1s to 3600s")]
    #[case(3_600_001, 5, 2, "--lease-duration is 3600.001s; expected a duration from 1s to 3600s")]
    #[case(15_000, 10_000, 99, "--retry-period is 99ms; expected a duration of at least 100ms")]
    fn times_that_cannot_work_are_refused_with_their_flag(
        #[case] lease: u64,
        #[case] renew: u64,
        #[case] retry: u64,
        #[case] message: &str,
    ) {
        assert_eq!(timings(lease, renew, retry).unwrap_err().to_string(), message);
    }
}
