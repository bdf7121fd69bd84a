//! The name by which a member says who it is, as that of its pod.
//!
//! It travels as the value of the empty key, which no key of a user can be. It is not among the
//! member's keys, counts among none of their bounds, and is set once, when the member joins.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::message::{Body, Change, Value};

/// The key whose value is the name.
pub(super) const NAME_KEY: &str = "";
/// Most bytes of a name.
pub const MAX_MEMBER_NAME: usize = 253;

/// The name of a member: a DNS subdomain of RFC 1123, as pods have. At most 253 bytes.
///
/// ```
/// use grape_engine::gossip::{InvalidMemberName, MemberName};
///
/// let name: MemberName = "workers-7d4f-x2x8p".parse()?;
/// assert_eq!(name.as_str(), "workers-7d4f-x2x8p");
/// assert!("Workers".parse::<MemberName>().is_err());
/// # Ok::<(), InvalidMemberName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberName(Arc<str>);

/// Why a text names no member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a member's name has 1 to {MAX_MEMBER_NAME} characters: a to z, 0 to 9, - and ., and begins and ends \
     with a letter or a digit, as in workers-0"
)]
pub struct InvalidMemberName;

impl MemberName {
    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the empty key says.
    pub(super) fn value(&self) -> Value {
        self.0.as_bytes().into()
    }

    /// The name that a member's empty key says.
    pub(super) fn of(value: &Value) -> Option<Self> {
        str::from_utf8(value).ok()?.parse().ok()
    }
}

impl FromStr for MemberName {
    type Err = InvalidMemberName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let label = |label: &str| {
            let bytes = label.as_bytes();
            bytes.first().is_some_and(|byte| plain(*byte))
                && bytes.last().is_some_and(|byte| plain(*byte))
                && bytes.iter().all(|byte| plain(*byte) || *byte == b'-')
        };
        let fits = text.len() <= MAX_MEMBER_NAME && text.split('.').all(label);
        if fits { Ok(Self(text.into())) } else { Err(InvalidMemberName) }
    }
}

impl fmt::Display for MemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a change of the empty key is one of a name. Such a change is neither unset nor expires.
pub(super) fn is_name(change: &Change) -> bool {
    let name = matches!(&change.body, Body::Set(value) if MemberName::of(value).is_some());
    name && change.expires_in.is_none()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("workers-7d4f-x2x8p")]
    #[case("0")]
    #[case("a.b-c.1")]
    #[case(&"x".repeat(253))]
    fn names_of_pods_are_taken(#[case] text: &str) {
        assert_eq!(text.parse::<MemberName>().unwrap().to_string(), text);
    }

    #[rstest]
    #[case("")]
    #[case("Workers")]
    #[case("a b")]
    #[case("a\n")]
    #[case("é")]
    #[case("-a")]
    #[case("a-")]
    #[case("a..b")]
    #[case("a.")]
    #[case(&"x".repeat(254))]
    fn other_names_are_refused(#[case] text: &str) {
        assert_eq!(text.parse::<MemberName>(), Err(InvalidMemberName));
    }
}
