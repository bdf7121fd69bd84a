//! What Grapes tell of bootstrap names that lead to no Grape. Pure.

use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Why a bootstrap name leads to no Grape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It does not resolve, for this reason; 200 characters at most.
    Unresolved(String),
    /// No Grape answers at these addresses, 4 at most.
    Unanswered(Vec<SocketAddr>),
}

impl Trouble {
    /// Whether it is of the same kind, whatever its words.
    pub fn is_like(&self, other: &Self) -> bool {
        matches!(self, Self::Unresolved(_)) == matches!(other, Self::Unresolved(_))
    }
}

/// What a Grape tells of its bootstrap names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootstrapReport {
    /// Its id: it has the same names as long as it has this one.
    pub id: String,
    /// The names in trouble, as `HOST:PORT`.
    pub troubles: BTreeMap<String, Trouble>,
}

/// What each Grape that answered tells, by its pod's name.
pub type Outside = BTreeMap<String, BootstrapReport>;
