//! How large the groups are, and how long they are watched.

use std::time::Duration;

/// The sizes and lengths of all measurements.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Members of the groups beside npm's, with the goals for all of them: an update, a death, in
    /// milliseconds.
    pub crowds: &'static [(usize, f64, f64)],
    /// Updates of each of these groups.
    pub updates: usize,
    /// Deaths in each: npm's, ours. One at npm's takes half a minute.
    pub deaths: [usize; 2],
    /// Members of the small and of the large group that are simulated.
    pub members: [usize; 2],
    /// Virtual time in which datagrams get lost.
    pub loss: Duration,
    /// Members of the group whose memory is measured.
    pub resident: usize,
}

impl Plan {
    /// What figures are taken from: about seven minutes.
    pub const FULL: Self = Self {
        crowds: &[(21, 600.0, 3000.0), (61, 800.0, 4000.0)],
        updates: 10,
        deaths: [1, 5],
        members: [100, 1000],
        loss: Duration::from_secs(60),
        resident: 100,
    };

    /// An hour of virtual time under loss, which takes an hour or longer.
    pub const HOUR: Self = Self { loss: Duration::from_secs(3600), ..Self::FULL };

    /// Everything once. Its figures mean nothing.
    pub const SHORT: Self = Self {
        crowds: &[(3, 600.0, 3000.0)],
        updates: 1,
        deaths: [1, 1],
        members: [20, 60],
        loss: Duration::from_secs(5),
        resident: 5,
    };
}
