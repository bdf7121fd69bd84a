//! A moment for tests to begin at. The engine itself reads no clock.

use std::time::Instant;

/// The present: tests only add to it.
#[expect(clippy::disallowed_methods, reason = "only differences matter in tests")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
