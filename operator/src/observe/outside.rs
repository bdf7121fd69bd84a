//! What Grapes report about bootstrap names without a Grape. Pure.

use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Why no Grape is reached by a bootstrap name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It does not resolve, for this reason; 200 characters at most.
    Unresolved(String),
    /// No Grape answers at these addresses, 4 at most.
    Unanswered(Vec<SocketAddr>),
}

impl Trouble {
    /// Whether it is of the same kind, in whatever words.
    pub fn is_like(&self, other: &Self) -> bool {
        matches!(self, Self::Unresolved(_)) == matches!(other, Self::Unresolved(_))
    }
}

/// A Grape's report about its bootstrap names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootstrapReport {
    /// The Grape's id: its bootstrap names do not change while it has this id.
    pub id: String,
    /// The names with a problem, as `HOST:PORT`.
    pub troubles: BTreeMap<String, Trouble>,
}

/// The report of each Grape that answered, by its pod's name.
pub type Outside = BTreeMap<String, BootstrapReport>;
