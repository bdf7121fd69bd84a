//! What services asked for and were refused, kept for people: the answer is one of status 200, and
//! clients take it for success.

use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;
use serde::{Deserialize, Serialize};
use tracing::{debug, warn};

use crate::clock;

/// Most causes that are kept; of more, the one that was last seen longest ago goes.
const MAX_CAUSES: usize = 32;

/// Most causes in a brief status.
const MAX_BRIEF: usize = 8;

/// Most characters of a text that a client sent.
const MAX_TEXT: usize = 64;

/// A new cause is logged at once. Beyond [`MAX_CAUSES`] of them, one is logged this often.
const LOGGED_EACH: Duration = Duration::from_secs(60);

/// Requests that were refused for one cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// What was asked, as in `announce`.
    pub verb: String,
    /// The service's name, at most 64 characters; empty where it has none that could be read.
    pub name: String,
    /// What is wrong.
    pub reason: String,
    /// What would be right.
    pub hint: String,
    /// How many requests, since the start.
    pub count: u64,
}

/// One request that was refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused<'a> {
    /// The service's name, where there is one.
    pub(crate) name: Cow<'a, str>,
    /// What is wrong. With the verb and the name it makes the cause.
    pub(crate) reason: Cow<'static, str>,
    /// What would be right.
    pub(crate) hint: Cow<'static, str>,
}

/// What makes a cause: verb, name, reason.
type Cause = (&'static str, String, String);

/// The causes for which requests were refused.
#[derive(Debug)]
pub(crate) struct Refusals {
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    /// With what would be right, and how many requests.
    causes: LruCache<Cause, (String, u64)>,
    /// How many causes were logged.
    logged: usize,
    last_logged: Option<Instant>,
}

impl Default for Refusals {
    fn default() -> Self {
        let known = Known { causes: LruCache::unbounded(), logged: 0, last_logged: None };
        Self { known: Mutex::new(known) }
    }
}

impl Refusals {
    /// Notes a request that was refused, and logs its cause once.
    pub(crate) fn note(&self, verb: &'static str, refused: &Refused<'_>) {
        let (name, reason) = (shown(&refused.name), shown_whole(&refused.reason));
        if self.is_to_be_logged((verb, name.clone(), reason.clone()), &refused.hint, clock::now()) {
            let hint = &*refused.hint;
            warn!(
                verb,
                name, reason, hint, "refused a request; the client may take the answer for success"
            );
        } else {
            debug!(verb, name, reason, "refused");
        }
    }

    fn is_to_be_logged(&self, cause: Cause, hint: &str, now: Instant) -> bool {
        let mut known = self.lock();
        if let Some((_, count)) = known.causes.get_mut(&cause) {
            *count = count.saturating_add(1);
            return false;
        }
        known.causes.put(cause, (hint.to_owned(), 1));
        if known.causes.len() > MAX_CAUSES {
            known.causes.pop_lru();
        }
        let quiet = |last| now.saturating_duration_since(last) >= LOGGED_EACH;
        let logs = known.logged < MAX_CAUSES || known.last_logged.is_none_or(quiet);
        if logs {
            known.logged += 1;
            known.last_logged = Some(now);
        }
        logs
    }

    /// The causes, the one that was last seen first: all that are kept, or for a brief status a few.
    pub(crate) fn list(&self, brief: bool) -> Vec<Refusal> {
        let known = self.lock();
        let causes = known.causes.iter().take(if brief { MAX_BRIEF } else { MAX_CAUSES });
        let refusal = |((verb, name, reason), (hint, count)): (&Cause, &(String, u64))| Refusal {
            verb: (*verb).to_owned(),
            name: name.clone(),
            reason: reason.clone(),
            hint: hint.clone(),
            count: *count,
        };
        causes.map(refusal).collect()
    }

    /// Never left half-changed: see [`super::Services`].
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A text that a client sent, fit to be shown: cut, and without control characters.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_TEXT).map(printable).collect();
    if text.chars().nth(MAX_TEXT).is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}

/// A sentence of ours that may have a client's text in it.
pub(super) fn shown_whole(text: &str) -> String {
    text.chars().take(4 * MAX_TEXT).map(printable).collect()
}

fn printable(c: char) -> char {
    // Control characters steer terminals; those that turn the direction of writing deceive readers.
    let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if c.is_control() || turns { char::REPLACEMENT_CHARACTER } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(name: &str) -> Cause {
        ("announce", name.to_owned(), "the port is a text".to_owned())
    }

    #[test]
    fn each_cause_is_logged_once_and_counted() {
        let refusals = Refusals::default();
        let now = clock::now();
        assert!(refusals.is_to_be_logged(cause("a"), "hint", now));
        assert!(!refusals.is_to_be_logged(cause("a"), "hint", now + LOGGED_EACH * 100));
        assert!(refusals.is_to_be_logged(cause("b"), "hint", now));
        let counts: Vec<_> =
            refusals.list(true).into_iter().map(|one| (one.name, one.count)).collect();
        assert_eq!(counts, [("b".to_owned(), 1), ("a".to_owned(), 2)]);
    }

    #[test]
    fn a_client_that_makes_up_causes_fills_neither_memory_nor_log() {
        let refusals = Refusals::default();
        let start = clock::now();
        let each = Duration::from_millis(10);
        let logged = (0..30_000_u32)
            .filter(|n| refusals.is_to_be_logged(cause(&n.to_string()), "hint", start + each * *n))
            .count();
        assert_eq!(logged, MAX_CAUSES + 4, "in five minutes");
        assert_eq!(
            (refusals.list(false).len(), refusals.list(true).len()),
            (MAX_CAUSES, MAX_BRIEF)
        );
    }

    #[test]
    fn texts_of_clients_are_cut_and_printable() {
        assert_eq!(shown("rpc:é"), "rpc:é");
        assert_eq!(shown("a\u{1b}[2J\nb\u{202e}"), "a\u{fffd}[2J\u{fffd}b\u{fffd}");
        assert_eq!(shown(&"é".repeat(64)), "é".repeat(64));
        assert_eq!(shown(&"é".repeat(65)), "é".repeat(63) + "…");
    }
}
