//! What is wrong, gathered; and the checks of single values.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Invalid;
use crate::limits::{self, Ages};
use crate::{DurationText, pattern};

/// Collects mistakes. A bad value is noted and read as a default, which is never used:
/// [`Check::finish`] returns the notes instead.
#[derive(Default)]
pub(super) struct Check {
    invalid: Vec<Invalid>,
}

impl Check {
    /// What was checked, if nothing is wrong with it.
    pub(super) fn finish<T>(self, checked: T) -> Result<T, Vec<Invalid>> {
        if self.invalid.is_empty() { Ok(checked) } else { Err(self.invalid) }
    }

    /// A text of no more than `most` characters that looks like `shape`.
    pub(super) fn text(
        &mut self,
        field: &str,
        text: &str,
        (shape, most): (&'static str, usize),
        expected: &str,
    ) {
        let alike = pattern::is_like(text, shape);
        if text.is_empty() {
            self.note(field, "is missing", expected);
        } else if !alike || text.len() > most {
            self.note(field, format!("{text:?} cannot be used"), expected);
        }
    }

    /// No more than `most` entries.
    pub(super) fn count(&mut self, field: &str, count: usize, most: usize) {
        if count > most {
            self.note(field, format!("has {count} entries"), format!("{most} at most"));
        }
    }

    pub(super) fn number<T: TryFrom<i32> + Default>(
        &mut self,
        field: &str,
        value: i32,
        range: RangeInclusive<i32>,
    ) -> T {
        let problem = if value < *range.start() {
            format!("{value} is too small")
        } else if value > *range.end() {
            format!("{value} is too large")
        } else if let Ok(value) = T::try_from(value) {
            return value;
        } else {
            format!("{value} cannot be used")
        };
        self.note(field, problem, limits::expected_number(&range));
        T::default()
    }

    pub(super) fn duration(&mut self, field: &str, text: &DurationText, bounds: Ages) -> Duration {
        let problem = match text.parse() {
            Ok(duration) if bounds.contains(duration) => return duration,
            Ok(_) => "is out of bounds".to_owned(),
            Err(why) => why.to_string(),
        };
        self.note(field, format!("{:?} {problem}", text.to_string()), bounds.expected());
        Duration::default()
    }

    pub(super) fn note(
        &mut self,
        field: &str,
        problem: impl Into<String>,
        expected: impl Into<String>,
    ) {
        self.invalid.push(Invalid {
            field: field.to_owned(),
            problem: problem.into(),
            expected: expected.into(),
        });
    }
}
