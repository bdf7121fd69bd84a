//! How long everything is measured.

use std::time::Duration;

/// The lengths of all measurements.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Measurements of each case and each kind, in turn; the median counts.
    pub rounds: usize,
    /// How long each of them is under load: whole seconds, which is what `wrk` takes.
    pub round: Duration,
    /// Lookups that are timed one by one: of names announced elsewhere, and after a death.
    pub lookups: usize,
    /// The same at npm's Grapes after a death, where each takes more than two seconds.
    pub npm_lookups: usize,
    /// Starts of each kind.
    pub starts: usize,
    /// Peers of the name that has many.
    pub crowd: u16,
    /// Lookups by which the choice of its peers is judged.
    pub draws: usize,
    /// Grapes in the cluster at rest.
    pub cluster: usize,
    /// How long that cluster is left alone before it is watched …
    pub settle: Duration,
    /// … and how long it is watched. Grapes of a hundred ask each neighbour about every 50 s.
    pub watch: Duration,
}

impl Plan {
    /// What figures are taken from: about four minutes.
    pub const FULL: Self = Self {
        rounds: 5,
        round: Duration::from_secs(1),
        lookups: 2000,
        npm_lookups: 5,
        starts: 21,
        crowd: 10_000,
        draws: 2000,
        cluster: 100,
        settle: Duration::from_secs(20),
        watch: Duration::from_secs(60),
    };

    /// Everything once, in half a minute. Its figures mean nothing.
    pub const SHORT: Self = Self {
        rounds: 1,
        round: Duration::from_secs(1),
        lookups: 50,
        npm_lookups: 1,
        starts: 1,
        crowd: 500,
        draws: 20,
        cluster: 5,
        settle: Duration::from_millis(100),
        watch: Duration::from_millis(500),
    };
}
