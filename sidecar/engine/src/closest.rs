//! A node close to a target, with the write token that it gave.

use std::time::{Duration, Instant};

use crate::krpc::Contact;

/// Nodes accept their tokens for five minutes at least. None is used for longer than this.
pub(crate) const TOKENS_LAST: Duration = Duration::from_secs(280);

/// A node that answered, with the token that it gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Closest {
    pub(crate) contact: Contact,
    pub(crate) token: Box<[u8]>,
    /// When it gave the token, or a few seconds later.
    pub(crate) token_since: Instant,
}

impl Closest {
    /// Whether the node accepts its token still.
    pub(crate) fn has_good_token(&self, now: Instant) -> bool {
        is_good_token(self.token_since, now)
    }
}

/// Whether a token that was given at a time is accepted still.
pub(crate) fn is_good_token(since: Instant, now: Instant) -> bool {
    now.duration_since(since) < TOKENS_LAST
}
