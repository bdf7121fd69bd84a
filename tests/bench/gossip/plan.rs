//! How large the groups are, and how long they are watched.

use std::time::Duration;

/// The sizes and lengths of all measurements.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Members of the small and of the large group that are simulated.
    pub members: [usize; 2],
    /// Virtual time in which datagrams get lost.
    pub loss: Duration,
    /// Members of the group whose memory is measured.
    pub resident: usize,
}

impl Plan {
    /// What figures are taken from: about three minutes.
    pub const FULL: Self =
        Self { members: [100, 1000], loss: Duration::from_secs(60), resident: 100 };

    /// An hour of virtual time under loss, which takes an hour or longer.
    pub const HOUR: Self = Self { loss: Duration::from_secs(3600), ..Self::FULL };

    /// Everything once. Its figures mean nothing.
    pub const SHORT: Self = Self { members: [20, 60], loss: Duration::from_secs(5), resident: 5 };
}
