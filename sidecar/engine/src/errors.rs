//! The last errors, for people: when, what was asked, and what went wrong.

use std::collections::VecDeque;
use std::fmt::{self, Arguments};
use std::time::Instant;

use mainline::Id;

/// Most errors that are remembered.
const CAPACITY: usize = 10;
/// Most characters of one: others send texts of any length.
const MAX_TEXT: usize = 200;
/// Most characters of a service's name.
const MAX_NAME: usize = 64;

/// The last errors, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Errors(VecDeque<(Instant, String)>);

impl Errors {
    pub(super) fn note(&mut self, error: Arguments<'_>, now: Instant) {
        if self.0.len() == CAPACITY {
            self.0.pop_front();
        }
        self.0.push_back((now, error.to_string().chars().take(MAX_TEXT).collect()));
    }

    /// Each with how long ago it was.
    pub(super) fn list(&self, now: Instant) -> Vec<String> {
        let line = |(at, error): &(Instant, String)| {
            format!("{} s ago: {error}", now.saturating_duration_since(*at).as_secs())
        };
        self.0.iter().map(line).collect()
    }
}

/// What a query was sent for, as in `put of 0123…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand<'a> {
    Join,
    Lookup(&'a [u8]),
    Announce(&'a [u8]),
    Withdraw(&'a [u8]),
    Put(Id),
    Get(Id),
    Leave,
}

impl fmt::Display for Errand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, key) = match self {
            Self::Join => return f.write_str("find_node"),
            Self::Leave => return f.write_str("leave"),
            Self::Lookup(name) => ("lookup", text(name)),
            Self::Announce(name) => ("announce", text(name)),
            Self::Withdraw(name) => ("withdraw", text(name)),
            Self::Put(id) => ("put", hex::encode(id.as_bytes())),
            Self::Get(id) => ("get", hex::encode(id.as_bytes())),
        };
        write!(f, "{verb} of {key}")
    }
}

fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().take(MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_last_errors_are_shown_with_their_ages() {
        let start = crate::clock::now();
        let mut errors = Errors::default();
        for n in 0..15 {
            errors.note(format_args!("error {n}"), start + Duration::from_secs(n));
        }
        let lines = errors.list(start + Duration::from_secs(20));
        assert_eq!(lines.len(), CAPACITY);
        assert_eq!((&*lines[0], &*lines[9]), ("15 s ago: error 5", "6 s ago: error 14"));
    }

    #[test]
    fn texts_of_others_are_cut() {
        let now = crate::clock::now();
        let mut errors = Errors::default();
        let errand = Errand::Lookup(&[b'n'; 5000]);
        errors.note(format_args!("{errand}: {}", "é".repeat(60_000)), now);
        let line = &errors.list(now)[0];
        assert!(line.starts_with(&format!("0 s ago: lookup of {}: é", "n".repeat(MAX_NAME))));
        assert_eq!(line.chars().count(), "0 s ago: ".len() + MAX_TEXT);
    }
}
