//! What an operator publishes on its Lease: where it runs GrapeClusters, and since when.

use std::collections::BTreeSet;
use std::fmt;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use serde_json::{Value, json};

/// The label by which Leases of operators are found, and its value.
pub const LABEL: (&str, &str) = ("app.kubernetes.io/name", "grape-operator");

/// The namespaces, separated by commas; `*` for all.
const NAMESPACES: &str = "grenache.dev/watch-namespaces";

/// The operator's ServiceAccount, in the Lease's own namespace.
const ACCOUNT: &str = "grenache.dev/service-account";

/// A number from 1: an operator that takes its turn adds one to the highest number that exists.
const TURN: &str = "grenache.dev/turn";

/// Where an operator runs GrapeClusters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// In all namespaces.
    All,
    /// In these namespaces.
    Some(BTreeSet<String>),
}

impl Scope {
    /// The scope of `--watch-namespaces`: all namespaces if there are none.
    pub fn of(namespaces: &[String]) -> Self {
        if namespaces.is_empty() {
            Self::All
        } else {
            Self::Some(namespaces.iter().cloned().collect())
        }
    }

    /// A namespace that both scopes have.
    pub fn shared_with(&self, other: &Self) -> Option<Shared> {
        match (self, other) {
            (Self::All, Self::All) => Some(Shared::All),
            (Self::All, Self::Some(some)) | (Self::Some(some), Self::All) => {
                some.first().cloned().map(Shared::Namespace)
            }
            (Self::Some(one), Self::Some(two)) => {
                one.intersection(two).next().cloned().map(Shared::Namespace)
            }
        }
    }

    fn parse(text: &str) -> Self {
        if text.trim() == "*" {
            return Self::All;
        }
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        Self::Some(names.map(str::to_owned).collect())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Some(some) => {
                f.write_str(&some.iter().map(String::as_str).collect::<Vec<_>>().join(","))
            }
        }
    }
}

/// Where two operators would both work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shared {
    /// Everywhere.
    All,
    /// In this namespace, and perhaps in others.
    Namespace(String),
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all namespaces"),
            Self::Namespace(namespace) => write!(f, "the namespace {namespace}"),
        }
    }
}

/// The claim of a Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The Lease's namespace.
    pub namespace: String,
    /// The Lease's name.
    pub name: String,
    /// Where the operator runs GrapeClusters.
    pub scope: Scope,
    /// The ServiceAccount that the operator names; none outside of Kubernetes.
    pub account: Option<String>,
    /// The turn that the operator took; 0 for none.
    pub turn: u64,
    created: Option<Time>,
    uid: String,
}

impl Claim {
    /// The claim of a Lease; `None` if it is no operator's, or is not stored.
    pub fn of(lease: &Lease) -> Option<Self> {
        let (label, value) = LABEL;
        if lease.labels().get(label).is_none_or(|it| it != value) {
            return None;
        }
        let annotations = lease.annotations();
        let account = annotations.get(ACCOUNT).filter(|account| !account.is_empty());
        Some(Self {
            namespace: lease.namespace()?,
            name: lease.name_any(),
            scope: Scope::parse(annotations.get(NAMESPACES)?),
            account: account.cloned(),
            turn: annotations.get(TURN).and_then(|turn| turn.parse().ok()).unwrap_or(0),
            created: lease.creation_timestamp(),
            uid: lease.uid()?,
        })
    }

    /// Whether this operator works rather than the other. The later turn wins, because its operator
    /// waited until no other one worked. Without any turn the older Lease wins.
    pub fn is_before(&self, other: &Self) -> bool {
        let rank = |claim: &Self| {
            let created = claim.created.as_ref().map(|time| time.0);
            (std::cmp::Reverse(claim.turn), created, claim.uid.clone())
        };
        rank(self) < rank(other)
    }
}

/// Publishes the operator's scope: a merge patch.
pub fn announcement(scope: &Scope, account: Option<&str>) -> Value {
    let (label, value) = LABEL;
    json!({"metadata": {
        "labels": {label: value},
        "annotations": {NAMESPACES: scope.to_string(), ACCOUNT: account},
    }})
}

/// Publishes the operator's turn: a merge patch.
pub fn turn(turn: u64) -> Value {
    json!({"metadata": {"annotations": {TURN: turn.to_string()}}})
}

#[cfg(test)]
pub(super) mod tests {
    use rstest::rstest;

    use super::*;

    /// A Lease `NAMESPACE/grape-operator` that was renewed as this version says.
    pub(in crate::turn) fn lease(namespace: &str, scope: &str, turn: u64, version: u32) -> Lease {
        let json = json!({
            "metadata": {
                "name": "grape-operator", "namespace": namespace, "uid": namespace,
                "resourceVersion": version.to_string(),
                "labels": {"app.kubernetes.io/name": "grape-operator"},
                "annotations": {
                    "grenache.dev/watch-namespaces": scope,
                    "grenache.dev/service-account": "grape-operator",
                    "grenache.dev/turn": turn.to_string(),
                },
            },
            "spec": {"holderIdentity": "pod", "leaseDurationSeconds": 15},
        });
        serde_json::from_value(json).unwrap()
    }

    #[rstest]
    #[case("*", "*", Some("all namespaces"))]
    #[case("*", "a,b", Some("the namespace a"))]
    #[case("b", "*", Some("the namespace b"))]
    #[case("a,b", "b, c", Some("the namespace b"))]
    #[case("a,b", "c", None)]
    #[case("*", "", None)]
    fn scopes_meet(#[case] one: &str, #[case] two: &str, #[case] shared: Option<&str>) {
        let found = Scope::parse(one).shared_with(&Scope::parse(two));
        assert_eq!(found.map(|shared| shared.to_string()).as_deref(), shared);
    }

    #[test]
    fn an_announced_claim_is_read_back() {
        let scope = Scope::of(&["b".to_owned(), "a".to_owned()]);
        let mut lease = lease("ops", "*", 0, 1);
        let patch = announcement(&scope, Some("account"));
        merge(&mut lease, &patch);
        merge(&mut lease, &turn(7));
        let claim = Claim::of(&lease).unwrap();
        assert_eq!((claim.scope, claim.turn), (scope, 7));
        assert_eq!(claim.account.as_deref(), Some("account"));
    }

    #[test]
    fn a_lease_of_somebody_else_is_none() {
        let mut other = lease("ops", "*", 0, 1);
        other.labels_mut().clear();
        assert_eq!(Claim::of(&other), None);
        let mut old = lease("ops", "*", 0, 1);
        old.annotations_mut().clear();
        assert_eq!(Claim::of(&old), None);
        let mut odd = lease("ops", "*", 0, 1);
        odd.annotations_mut().insert("grenache.dev/turn".to_owned(), "-1".to_owned());
        assert_eq!(Claim::of(&odd).unwrap().turn, 0);
    }

    #[test]
    fn the_later_turn_works_and_before_any_the_older_lease() {
        let claim = |namespace: &str, turn, second: i64| {
            let mut lease = lease(namespace, "*", turn, 1);
            let at = jiff::Timestamp::from_second(second).unwrap();
            lease.metadata.creation_timestamp = Some(Time(at));
            Claim::of(&lease).unwrap()
        };
        assert!(claim("b", 2, 9).is_before(&claim("a", 1, 1)));
        assert!(claim("b", 0, 1).is_before(&claim("a", 0, 2)));
        assert!(claim("a", 0, 1).is_before(&claim("b", 0, 1)));
        assert!(!claim("a", 0, 1).is_before(&claim("a", 0, 1)));
    }

    /// As the API server merges a patch.
    fn merge(lease: &mut Lease, patch: &Value) {
        let mut value = serde_json::to_value(&*lease).unwrap();
        json_patch::merge(&mut value, patch);
        *lease = serde_json::from_value(value).unwrap();
    }
}
