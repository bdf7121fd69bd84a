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

/// The names in trouble, as `HOST:PORT`, by the pod whose Grape tells of them; one entry for each
/// Grape that answered.
pub type Troubles = BTreeMap<String, BTreeMap<String, Trouble>>;
