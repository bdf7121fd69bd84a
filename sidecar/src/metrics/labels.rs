//! Labels of what the HTTP API counts.

use crate::http::Verb;

/// What a request asks for, as a label. The values are fixed, so that clients cannot add series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// A verb, over HTTP or a WebSocket.
    Verb(Verb),
    /// A watch.
    Watch,
    /// A group, its members or their keys.
    Gossip,
    /// A drain.
    Drain,
    /// An introduction to other Grapes.
    Introduction,
    /// A page for operators.
    Admin,
    /// A path or frame that names nothing.
    Unknown,
}

impl Endpoint {
    pub(super) const ALL: [Self; 11] = [
        Self::Verb(Verb::Lookup),
        Self::Verb(Verb::Announce),
        Self::Verb(Verb::Withdraw),
        Self::Verb(Verb::Put),
        Self::Verb(Verb::Get),
        Self::Watch,
        Self::Drain,
        Self::Introduction,
        Self::Admin,
        Self::Unknown,
        Self::Gossip,
    ];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Verb(verb) => verb.name(),
            Self::Watch => "watch",
            Self::Gossip => "gossip",
            Self::Drain => "drain",
            Self::Introduction => "introduce",
            Self::Admin => "admin",
            Self::Unknown => "unknown",
        }
    }

    pub(super) fn index(self) -> usize {
        match self {
            Self::Verb(verb) => verb as usize,
            Self::Watch => 5,
            Self::Drain => 6,
            Self::Introduction => 7,
            Self::Admin => 8,
            Self::Unknown => 9,
            Self::Gossip => 10,
        }
    }
}

/// What became of an introduction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Introduced {
    /// The addresses were pinged.
    Taken,
    /// It is no introduction, or one of its addresses is impossible.
    Invalid,
    /// Another one came just before.
    TooSoon,
}

impl Introduced {
    pub(super) const ALL: [Self; 3] = [Self::Taken, Self::Invalid, Self::TooSoon];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Invalid => "invalid",
            Self::TooSoon => "too_soon",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_positions() {
        for (position, asked) in Endpoint::ALL.into_iter().enumerate() {
            assert_eq!(asked.index(), position, "{asked:?}");
        }
    }
}
