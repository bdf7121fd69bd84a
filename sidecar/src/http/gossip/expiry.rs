//! When a key expires: after a time, or at one. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::clock;

/// In how long a key expires whose request says `text`.
pub(super) fn read(text: &[u8]) -> Result<Duration, String> {
    let text = String::from_utf8_lossy(text);
    let now = i64::try_from(clock::unix_millis()).unwrap_or(i64::MAX);
    after(&text, now)
        .ok_or_else(|| format!("expires is {text:?}; expected a time from now on, as in 10s or 1h30m, or 2030-01-31T12:00:00Z"))
}

/// The same, at `now` in milliseconds since 1970. None for what is no time, or is over.
fn after(text: &str, now: i64) -> Option<Duration> {
    // In a query, a plus that is not encoded is a space.
    let time = text.parse::<Timestamp>().or_else(|_| text.replace(' ', "+").parse());
    let left = match time {
        Ok(at) => Duration::from_millis(u64::try_from(at.as_millisecond().checked_sub(now)?).ok()?),
        Err(_) => text.parse::<SignedDuration>().ok()?.try_into().ok()?,
    };
    (!left.is_zero()).then_some(left)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("10s", Some(Duration::from_secs(10)))]
    #[case("1h30m", Some(Duration::from_secs(5400)))]
    #[case("250ms", Some(Duration::from_millis(250)))]
    #[case("1970-01-01T00:00:05Z", Some(Duration::from_secs(4)))]
    #[case("1970-01-01T01:00:05.5+01:00", Some(Duration::from_millis(4500)))]
    #[case("1970-01-01T01:00:05 01:00", Some(Duration::from_secs(4)))]
    #[case("1970-01-01 00:00:05Z", Some(Duration::from_secs(4)))]
    #[case("1970-01-01T00:00:00Z", None)]
    #[case("0s", None)]
    #[case("-5s", None)]
    #[case("10", None)]
    #[case("soon", None)]
    #[case("", None)]
    fn a_key_expires_after_a_time_or_at_one(#[case] text: &str, #[case] left: Option<Duration>) {
        assert_eq!(after(text, 1000), left);
    }

    #[test]
    fn another_text_is_refused_with_one_that_is_right() {
        assert!(read(b"soon").unwrap_err().contains("\"soon\"; expected a time from now on"));
    }
}
