//! The name of the network that a Grape belongs to.
//!
//! Grapes of different networks refuse each other, so that two networks do not merge when an
//! address passes from a pod of one to a pod of the other. The name is no secret: it prevents
//! mistakes, not attacks. A Grape without a name accepts every network, as npm's Grapes do.

use std::fmt;
use std::str::FromStr;

use crate::krpc::NetworkTag;

/// Most bytes of a network's name.
const LONGEST: usize = 253;

/// A network's name: 1 to 253 printable ASCII characters without spaces.
///
/// ```
/// use grape_engine::{InvalidNetworkName, NetworkName};
///
/// let name: NetworkName = "prod.market".parse()?;
/// assert_eq!(name.as_str(), "prod.market");
/// assert!("prod market".parse::<NetworkName>().is_err());
/// # Ok::<(), InvalidNetworkName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkName {
    name: String,
    tag: NetworkTag,
}

impl NetworkName {
    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// What messages say of it.
    pub fn tag(&self) -> NetworkTag {
        self.tag
    }
}

/// Why a text names no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a network's name has 1 to {LONGEST} printable ASCII characters and no spaces, as in prod.market"
)]
pub struct InvalidNetworkName;

impl FromStr for NetworkName {
    type Err = InvalidNetworkName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.is_empty() || text.len() > LONGEST || !printable {
            return Err(InvalidNetworkName);
        }
        let [a, b, c, d, e, f, g, h, ..] = sha1_smol::Sha1::from(text).digest().bytes();
        Ok(Self { name: text.to_owned(), tag: [a, b, c, d, e, f, g, h] })
    }
}

impl fmt::Display for NetworkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("prod.market")]
    #[case("x")]
    #[case("$(HOME)~!")]
    fn names_are_kept_as_they_are(#[case] text: &str) {
        assert_eq!(text.parse::<NetworkName>().unwrap().to_string(), text);
    }

    #[rstest]
    #[case("")]
    #[case("a b")]
    #[case("a\n")]
    #[case("é")]
    #[case(&"x".repeat(254))]
    fn invalid_names_are_refused(#[case] text: &str) {
        assert_eq!(text.parse::<NetworkName>(), Err(InvalidNetworkName));
    }

    /// Grapes of all versions have to agree on it.
    #[test]
    fn a_tag_is_the_beginning_of_the_sha1_of_the_name() {
        let tag = |text: &str| hex::encode(text.parse::<NetworkName>().unwrap().tag());
        assert_eq!(tag("abc"), "a9993e364706816a");
        assert_ne!(tag("prod.market"), tag("test.market"));
    }
}
