//! Which other operators there are, and whether one of them works where this one would. Pure: the
//! time is an argument.
//!
//! The clocks of other machines are never trusted. An operator is there as long as its Lease
//! changes, which a leader's does every few seconds; a Lease that is seen for the first time has
//! just changed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;

use super::claim::{Claim, Scope, Shared};

/// How long a Lease may stay the same before its operator is gone: longer than a leader's pod takes
/// to be replaced.
const MIN_EXPIRY: Duration = Duration::from_secs(30);

/// The longest, for Leases that say that they last for longer.
const MAX_EXPIRY: Duration = Duration::from_secs(300);

/// Most operators that are known. Others are passed over.
const MAX_OPERATORS: usize = 256;

/// A Lease's namespace and name.
pub type LeaseName = (String, String);

/// The operators that there are, by their Leases.
#[derive(Debug)]
pub struct OperatorIndex {
    own: LeaseName,
    scope: Scope,
    seen: BTreeMap<LeaseName, Sighting>,
}

#[derive(Debug)]
struct Sighting {
    claim: Claim,
    version: Option<String>,
    /// Until when it is there, if it does not change before.
    until: Instant,
    lasts: Duration,
}

/// Who works where this operator would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    /// Its Lease's namespace and name.
    pub name: LeaseName,
    /// Where both would work.
    pub shared: Shared,
}

impl OperatorIndex {
    /// The index of an operator with this Lease, without other operators.
    pub fn new(own: LeaseName, scope: Scope) -> Self {
        Self { own, scope, seen: BTreeMap::new() }
    }

    /// Whether a Lease is this operator's own.
    pub fn is_own(&self, claim: &Claim) -> bool {
        self.own == (claim.namespace.clone(), claim.name.clone())
    }

    /// A Lease as it is now; of another operator only if that one is trusted.
    pub fn saw(&mut self, lease: &Lease, mut claim: Claim, now: Instant) {
        let name = (claim.namespace.clone(), claim.name.clone());
        let version = lease.resource_version();
        let spec = lease.spec.as_ref();
        let duration = spec.and_then(|spec| spec.lease_duration_seconds).unwrap_or(0);
        let duration = Duration::from_secs(duration.try_into().unwrap_or(0));
        let lasts = (2 * duration).clamp(MIN_EXPIRY, MAX_EXPIRY);
        let has_room = self.seen.len() < MAX_OPERATORS || name == self.own;
        match self.seen.get_mut(&name) {
            Some(seen) if seen.version == version => seen.claim = claim,
            Some(seen) => {
                // The list may be newer than an event of the watch; turns only rise.
                claim.turn = claim.turn.max(seen.claim.turn);
                *seen = Sighting { claim, version, until: now + lasts, lasts };
            }
            None if has_room => {
                self.seen.insert(name, Sighting { claim, version, until: now + lasts, lasts });
            }
            None => {}
        }
    }

    /// A Lease is gone, or is no longer trusted.
    pub fn gone(&mut self, name: &LeaseName) {
        self.seen.remove(name);
    }

    /// All Leases but these are gone.
    pub fn retain(&mut self, there: impl Fn(&LeaseName) -> bool) {
        self.seen.retain(|name, _| there(name));
    }

    /// Leases were not to be seen for a while: what did not change meanwhile may have done so.
    pub fn sees_again(&mut self, now: Instant) {
        for seen in self.seen.values_mut() {
            seen.until = now + seen.lasts;
        }
    }

    /// The operator that works where this one would, as of now.
    pub fn works_before(&self, now: Instant) -> Option<Other> {
        let own = self.seen.get(&self.own).map(|seen| &seen.claim);
        let there = self.others().filter(|(_, seen, _)| seen.until > now);
        let before = there.filter(|(_, seen, _)| own.is_none_or(|own| seen.claim.is_before(own)));
        let first =
            before.reduce(|one, two| if two.1.claim.is_before(&one.1.claim) { two } else { one });
        first.map(|(name, _, shared)| Other { name: name.clone(), shared })
    }

    /// The turn that this operator has to take before it works; `None` when it has it.
    pub fn turn_to_take(&self) -> Option<u64> {
        let own = self.seen.get(&self.own).map_or(0, |seen| seen.claim.turn);
        let highest = self.others().map(|(_, seen, _)| seen.claim.turn).max().unwrap_or(0);
        (own == 0 || own <= highest).then(|| own.max(highest).saturating_add(1))
    }

    /// When somebody will be gone who is there now, unless its Lease changes.
    pub fn next_end(&self, now: Instant) -> Option<Instant> {
        self.others().map(|(_, seen, _)| seen.until).filter(|until| *until > now).min()
    }

    /// Those that would work where this one would.
    fn others(&self) -> impl Iterator<Item = (&LeaseName, &Sighting, Shared)> {
        let others = self.seen.iter().filter(|(name, _)| **name != self.own);
        others.filter_map(|(name, seen)| {
            Some((name, seen, self.scope.shared_with(&seen.claim.scope)?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::claim::tests::lease;
    use super::*;

    fn index(scope: &[&str]) -> OperatorIndex {
        let scope: Vec<_> = scope.iter().map(|&it| it.to_owned()).collect();
        OperatorIndex::new(name("own"), Scope::of(&scope))
    }

    fn name(namespace: &str) -> LeaseName {
        (namespace.to_owned(), "grape-operator".to_owned())
    }

    fn see(index: &mut OperatorIndex, lease: &Lease, now: Instant) {
        index.saw(lease, Claim::of(lease).unwrap(), now);
    }

    fn before(index: &OperatorIndex, now: Instant) -> Option<String> {
        index.works_before(now).map(|other| other.name.0)
    }

    #[test]
    fn one_that_is_alone_takes_the_first_turn_once() {
        let now = grape::clock::now();
        let mut index = index(&[]);
        see(&mut index, &lease("own", "*", 0, 1), now);
        assert_eq!((before(&index, now), index.turn_to_take()), (None, Some(1)));
        see(&mut index, &lease("own", "*", 1, 2), now);
        assert_eq!((before(&index, now + MAX_EXPIRY), index.turn_to_take()), (None, None));
        assert_eq!(index.next_end(now), None);
    }

    #[test]
    fn one_that_works_is_waited_for_until_its_lease_stays_the_same() {
        let start = grape::clock::now();
        let mut index = index(&[]);
        see(&mut index, &lease("own", "*", 0, 1), start);
        see(&mut index, &lease("other", "*", 1, 1), start);
        assert_eq!(before(&index, start).as_deref(), Some("other"));
        // Its Lease is renewed, and later no more.
        let renewed = start + MIN_EXPIRY / 2;
        see(&mut index, &lease("other", "*", 1, 2), renewed);
        let last = renewed + MIN_EXPIRY - Duration::from_nanos(1);
        see(&mut index, &lease("other", "*", 1, 2), last);
        assert_eq!(before(&index, last).as_deref(), Some("other"));
        assert_eq!(index.next_end(last), Some(renewed + MIN_EXPIRY));
        let gone = renewed + MIN_EXPIRY;
        assert_eq!((before(&index, gone), index.turn_to_take()), (None, Some(2)));

        // It comes back, and now waits itself.
        see(&mut index, &lease("own", "*", 2, 2), gone);
        see(&mut index, &lease("other", "*", 1, 3), gone);
        assert_eq!((before(&index, gone), index.turn_to_take()), (None, None));
    }

    #[test]
    fn who_could_not_see_takes_nobody_for_gone() {
        let start = grape::clock::now();
        let mut index = index(&[]);
        see(&mut index, &lease("own", "*", 0, 1), start);
        see(&mut index, &lease("other", "*", 1, 1), start);
        let late = start + 10 * MIN_EXPIRY;
        index.sees_again(late);
        assert_eq!(before(&index, late).as_deref(), Some("other"));
        assert_eq!(before(&index, late + MIN_EXPIRY), None);
    }

    #[test]
    fn other_namespaces_are_nobodys_business() {
        let now = grape::clock::now();
        let mut index = index(&["a", "b"]);
        see(&mut index, &lease("own", "a,b", 0, 1), now);
        see(&mut index, &lease("other", "c,d", 9, 1), now);
        assert_eq!((before(&index, now), index.turn_to_take()), (None, Some(1)));
        see(&mut index, &lease("third", "b,c", 9, 1), now);
        let found = index.works_before(now).unwrap();
        assert_eq!(found.name, name("third"));
        assert_eq!(found.shared.to_string(), "the namespace b");
        index.gone(&name("third"));
        assert_eq!(before(&index, now), None);
    }

    #[test]
    fn before_its_own_lease_is_there_it_waits_for_whoever_is() {
        let now = grape::clock::now();
        let mut index = index(&[]);
        see(&mut index, &lease("other", "*", 0, 1), now);
        assert_eq!(before(&index, now).as_deref(), Some("other"));
        index.retain(|_| false);
        assert_eq!(before(&index, now), None);
    }

    #[test]
    fn no_more_are_known_than_a_bound_and_its_own_is_always() {
        let now = grape::clock::now();
        let mut index = index(&[]);
        for number in 0..2 * MAX_OPERATORS {
            see(&mut index, &lease(&format!("other-{number}"), "*", 0, 1), now);
        }
        see(&mut index, &lease("own", "*", 1, 1), now);
        assert_eq!(index.seen.len(), MAX_OPERATORS + 1);
        assert_eq!(before(&index, now), None);
    }
}
