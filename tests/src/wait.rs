//! Waiting until something holds, and telling what was last seen when it never does.

use std::fmt::Display;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep, timeout_at};

/// How long anything may take before a test gives up. Far beyond what is expected: a test fails
/// for a wrong answer, never for a slow machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(50);

/// Asks again and again until the answer is `Ok`, and returns it. `Err` is what is seen until
/// then.
///
/// # Errors
/// When [`DEADLINE`] has passed: what was waited for, and what was last seen.
pub async fn until<T, E: Display>(what: &str, ask: impl AsyncFnMut() -> Result<T, E>) -> Result<T> {
    until_within(DEADLINE, what, ask).await
}

/// As [`until`], with a deadline of one's own.
///
/// # Errors
/// When the deadline has passed: what was waited for, and what was last seen.
pub async fn until_within<T, E: Display>(
    deadline: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T> {
    let end = Instant::now() + deadline;
    let mut seen = String::from("no answer at all");
    loop {
        match timeout_at(end, ask()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(other)) => seen = other.to_string(),
            Err(_) => bail!("{what}: not within {deadline:?}; last seen: {seen}"),
        }
        if Instant::now() >= end {
            bail!("{what}: not within {deadline:?}; last seen: {seen}");
        }
        sleep(PAUSE).await;
    }
}
