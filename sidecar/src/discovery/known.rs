//! What is known of the bootstrap names, for the status.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// Most bootstrap names that are listed, the first ones.
pub const MAX_NAMES: usize = 16;
/// Most characters of the reason why one does not resolve.
const MAX_REASON: usize = 200;
/// Most addresses of one name that are listed.
const MAX_ADDRESSES: usize = 4;

/// A bootstrap name that does not resolve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Unresolved {
    /// The name, as `HOST:PORT`.
    pub name: String,
    /// Why, in 200 characters at most.
    pub reason: String,
}

/// A bootstrap name that resolves, at whose addresses no Grape answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Unanswered {
    /// The name, as `HOST:PORT`.
    pub name: String,
    /// Its addresses, 4 at most.
    pub addresses: Vec<SocketAddr>,
}

/// What is known of one name.
#[derive(Debug, Clone)]
pub(super) struct Name {
    pub(super) name: String,
    /// Why it does not resolve.
    pub(super) problem: Option<String>,
    /// The addresses that it has.
    pub(super) addresses: Vec<SocketAddr>,
}

/// What is known of the bootstrap names now. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct BootstrapNames(Arc<Mutex<Vec<Name>>>);

impl BootstrapNames {
    /// Those that do not resolve, 16 at most, in their order.
    pub fn unresolved(&self) -> Vec<Unresolved> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unresolved = names.iter().filter_map(|name| {
            let reason = name.problem.as_ref()?.chars().take(MAX_REASON).collect();
            Some(Unresolved { name: name.name.clone(), reason })
        });
        unresolved.take(MAX_NAMES).collect()
    }

    /// Those all of whose addresses are among the `silent` ones, 16 at most, in their order.
    pub fn unanswered(&self, silent: &[SocketAddr]) -> Vec<Unanswered> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unanswered = names.iter().filter(|name| {
            !name.addresses.is_empty() && name.addresses.iter().all(|addr| silent.contains(addr))
        });
        let reports = unanswered.map(|name| Unanswered {
            name: name.name.clone(),
            addresses: name.addresses.iter().copied().take(MAX_ADDRESSES).collect(),
        });
        reports.take(MAX_NAMES).collect()
    }

    pub(super) fn set(&self, names: Vec<Name>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = names;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addrs(ports: &[u16]) -> Vec<SocketAddr> {
        ports.iter().map(|port| SocketAddr::from(([127, 0, 0, 1], *port))).collect()
    }

    fn name(name: &str, problem: Option<&str>, ports: &[u16]) -> Name {
        let problem = problem.map(str::to_owned);
        Name { name: name.to_owned(), problem, addresses: addrs(ports) }
    }

    fn unanswered(names: &BootstrapNames, silent: &[u16]) -> Vec<String> {
        names.unanswered(&addrs(silent)).into_iter().map(|it| it.name).collect()
    }

    #[test]
    fn a_name_is_unanswered_when_none_of_its_addresses_answers() {
        let names = BootstrapNames::default();
        names.set(vec![name("one", None, &[1]), name("two", None, &[1, 2])]);
        assert_eq!(unanswered(&names, &[]), [""; 0]);
        assert_eq!(unanswered(&names, &[1]), ["one"]);
        assert_eq!(unanswered(&names, &[2]), [""; 0]);
        assert_eq!(unanswered(&names, &[2, 1]), ["one", "two"]);
    }

    #[test]
    fn a_name_without_an_address_is_unresolved_and_not_unanswered() {
        let names = BootstrapNames::default();
        names.set(vec![name("gone", Some(&"x".repeat(300)), &[]), name("asked", None, &[])]);
        let wanted = Unresolved { name: "gone".to_owned(), reason: "x".repeat(200) };
        assert_eq!(names.unresolved(), [wanted]);
        assert_eq!(unanswered(&names, &[1]), [""; 0]);
    }

    #[test]
    fn lists_are_bounded() {
        let names = BootstrapNames::default();
        let many: Vec<u16> = (1..=20).collect();
        names.set(many.iter().map(|port| name(&port.to_string(), Some("why"), &many)).collect());
        let silent = addrs(&many);
        assert_eq!((names.unresolved().len(), names.unanswered(&silent).len()), (16, 16));
        assert_eq!(names.unanswered(&silent)[0].addresses, addrs(&[1, 2, 3, 4]));
    }
}
