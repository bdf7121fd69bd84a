//! Durations as Kubernetes writes them: `120s`, `5m`, `1h30m`, `200ms`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What a duration looks like: Go's format, without signs and without units under a millisecond.
pub const PATTERN: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$";

/// Most characters of a duration. It keeps the longest one far from overflow.
pub const MAX_LENGTH: usize = 14;

/// A duration as its author wrote it. It keeps the text, so that a manifest comes back unchanged
/// and a bad one is reported beside all other errors; [`DurationText::parse`] gives the value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DurationText(String);

impl DurationText {
    /// The value.
    ///
    /// # Errors
    ///
    /// The text is not a duration, such as `120`, `2 minutes` or `-5s`.
    pub fn parse(&self) -> Result<Duration, NotADuration> {
        parse(&self.0)
    }
}

impl From<&str> for DurationText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<Duration> for DurationText {
    fn from(duration: Duration) -> Self {
        Self(kube::core::Duration::from(duration).to_string())
    }
}

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotADuration {
    /// There is a number, and no unit after it.
    #[error("has no unit")]
    NoUnit,
    /// Anything else.
    #[error("is not a duration")]
    Malformed,
    /// It has more than [`MAX_LENGTH`] characters.
    #[error("is too long for a duration")]
    TooLong,
}

/// Reads a duration in the format of [`PATTERN`].
///
/// # Errors
///
/// See [`NotADuration`].
pub fn parse(text: &str) -> Result<Duration, NotADuration> {
    // Kubernetes' own parser takes signs, knows smaller units, and panics on overflow: only what
    // the schema lets pass may reach it.
    if text.len() > MAX_LENGTH {
        return Err(NotADuration::TooLong);
    }
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_digit()) {
        return Err(NotADuration::NoUnit);
    }
    let mut rest = text;
    while !rest.is_empty() || text.is_empty() {
        rest = after_number(rest).and_then(after_unit).ok_or(NotADuration::Malformed)?;
    }
    let duration: kube::core::Duration = text.parse().map_err(|_| NotADuration::Malformed)?;
    Ok(duration.into())
}

/// What follows a number such as `120` or `1.5` at the start of `text`.
fn after_number(text: &str) -> Option<&str> {
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).count();
    let (whole, rest) = text.split_at(digits(text));
    let Some(fraction) = rest.strip_prefix('.') else {
        return (!whole.is_empty()).then_some(rest);
    };
    let (part, rest) = fraction.split_at(digits(fraction));
    (!whole.is_empty() && !part.is_empty()).then_some(rest)
}

/// What follows a unit at the start of `text`.
fn after_unit(text: &str) -> Option<&str> {
    ["ms", "s", "m", "h"].iter().find_map(|unit| text.strip_prefix(unit))
}

impl JsonSchema for DurationText {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // No `format: duration`: it means ISO 8601.
        json_schema!({"type": "string", "maxLength": MAX_LENGTH})
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("120s", 120_000)]
    #[case("5m", 300_000)]
    #[case("1h30m", 5_400_000)]
    #[case("200ms", 200)]
    #[case("1.5s", 1_500)]
    #[case("0s", 0)]
    fn durations_are_read_as_kubernetes_reads_them(#[case] text: &str, #[case] millis: u64) {
        assert_eq!(parse(text), Ok(Duration::from_millis(millis)));
    }

    #[rstest]
    #[case("", NotADuration::Malformed)]
    #[case("0", NotADuration::NoUnit)]
    #[case("120", NotADuration::NoUnit)]
    #[case("-5s", NotADuration::Malformed)]
    #[case("2 minutes", NotADuration::Malformed)]
    #[case("1d", NotADuration::Malformed)]
    #[case("s", NotADuration::Malformed)]
    #[case(".5s", NotADuration::Malformed)]
    #[case("5.s", NotADuration::Malformed)]
    #[case("1h30", NotADuration::Malformed)]
    #[case("5µs", NotADuration::Malformed)]
    #[case("99999999999999999999h", NotADuration::TooLong)]
    fn invalid_durations_are_explained(#[case] text: &str, #[case] why: NotADuration) {
        assert_eq!(parse(text), Err(why));
    }

    #[rstest]
    #[case(10, "10ms")]
    #[case(1000, "1s")]
    fn a_duration_is_written_as_kubernetes_writes_it(#[case] millis: u64, #[case] text: &str) {
        let written = DurationText::from(Duration::from_millis(millis));
        assert_eq!(written.to_string(), text);
        assert_eq!(written.parse(), Ok(Duration::from_millis(millis)));
    }

    #[test]
    fn the_longest_durations_do_not_overflow() {
        assert!(parse("9999999999999h").is_ok());
        assert!(parse("9h9h9h9h9h9h9h").is_ok());
    }
}
