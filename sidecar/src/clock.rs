//! The clock, read at the edge only: the engine takes `now` as an argument, so that tests and
//! simulations run it under virtual time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The present, on the monotonic clock.
#[expect(clippy::disallowed_methods, reason = "this is the edge where the clock is read")]
pub fn now() -> Instant {
    Instant::now()
}

/// Milliseconds since 1970 by the wall clock; 0 if it is before.
#[expect(clippy::disallowed_methods, reason = "this is the edge where the clock is read")]
pub fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
