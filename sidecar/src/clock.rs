//! The clock, read at the edge only: the engine takes `now` as an argument, so that tests and
//! simulations run it under virtual time.

use std::time::Instant;

/// The present, on the monotonic clock.
#[expect(clippy::disallowed_methods, reason = "this is the edge where the clock is read")]
pub fn now() -> Instant {
    Instant::now()
}
