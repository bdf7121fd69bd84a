//! The other operators, and whether one of them works where this one would. Pure: the time is an
//! argument.
//!
//! Clocks of others do not count. An operator exists as long as its Lease changes, which a leader's
//! does every few seconds; a Lease that is seen for the first time has just changed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;

use super::claim::{Claim, Scope, Shared};

/// How long a Lease may stay unchanged before its operator counts as gone: longer than the
/// replacement of a leader's pod takes.
const MIN_EXPIRY: Duration = Duration::from_secs(30);

/// The same for Leases that state a longer duration, at most.
const MAX_EXPIRY: Duration = Duration::from_secs(300);

/// Most operators that are known. Further ones are ignored.
const MAX_OPERATORS: usize = 256;

/// A Lease's namespace and name.
pub type LeaseName = (String, String);

/// The existing operators, by their Leases.
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
    /// Until when the operator exists without a further change.
    until: Instant,
    lasts: Duration,
}

/// The operator that works where this one would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    /// Its Lease's namespace and name.
    pub name: LeaseName,
    /// Where both would work.
    pub shared: Shared,
}

impl OperatorIndex {
    /// The index of an operator with this Lease, without any other.
    pub fn new(own: LeaseName, scope: Scope) -> Self {
        Self { own, scope, seen: BTreeMap::new() }
    }

    /// Whether a Lease is this operator's own.
    pub fn is_own(&self, claim: &Claim) -> bool {
        self.own == (claim.namespace.clone(), claim.name.clone())
    }

    /// Takes the current state of a Lease; of another operator only if that may run GrapeClusters.
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
                // A list may be newer than the event of a watch; turns only rise.
                claim.turn = claim.turn.max(seen.claim.turn);
                *seen = Sighting { claim, version, until: now + lasts, lasts };
            }
            None if has_room => {
                self.seen.insert(name, Sighting { claim, version, until: now + lasts, lasts });
            }
            None => {}
        }
    }

    /// A Lease was deleted, or its operator may not run GrapeClusters any more.
    pub fn gone(&mut self, name: &LeaseName) {
        self.seen.remove(name);
    }

    /// All Leases but these were deleted.
    pub fn retain(&mut self, there: impl Fn(&LeaseName) -> bool) {
        self.seen.retain(|name, _| there(name));
    }

    /// Leases could not be read for a while: an unchanged one may have changed meanwhile.
    pub fn sees_again(&mut self, now: Instant) {
        for seen in self.seen.values_mut() {
            seen.until = now + seen.lasts;
        }
    }

    /// The operator that works where this one would, at this time.
    pub fn works_before(&self, now: Instant) -> Option<Other> {
        let own = self.seen.get(&self.own).map(|seen| &seen.claim);
        let there = self.others().filter(|(_, seen, _)| seen.until > now);
        let before = there.filter(|(_, seen, _)| own.is_none_or(|own| seen.claim.is_before(own)));
        let first =
            before.reduce(|one, two| if two.1.claim.is_before(&one.1.claim) { two } else { one });
        first.map(|(name, _, shared)| Other { name: name.clone(), shared })
    }

    /// The turn that this operator has to take before it works; `None` if it has it.
    pub fn turn_to_take(&self) -> Option<u64> {
        let own = self.seen.get(&self.own).map_or(0, |seen| seen.claim.turn);
        let highest = self.others().map(|(_, seen, _)| seen.claim.turn).max().unwrap_or(0);
        (own == 0 || own <= highest).then(|| own.max(highest).saturating_add(1))
    }

    /// When the next operator counts as gone, unless its Lease changes.
    pub fn next_end(&self, now: Instant) -> Option<Instant> {
        self.others().map(|(_, seen, _)| seen.until).filter(|until| *until > now).min()
    }

    /// The operators that would work where this one would.
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
    fn an_operator_that_could_not_watch_takes_no_other_for_gone() {
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
    fn operators_of_other_namespaces_are_ignored() {
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
    fn before_its_own_lease_exists_it_waits_for_every_other_operator() {
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
