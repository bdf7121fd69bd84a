//! Which Grape is replaced next when the pods of a cluster have to change. Pure.
//!
//! A StatefulSet replaces pods from the highest ordinal down to its `partition`, and recreates a
//! lost pod below it from the former template. So the partition is held above all pods, and lowered
//! one pod at a time, over all pools together: the next one when the last is ready and lookups
//! succeed. A template that is changed by hand replaces nothing either.
//!
//! A pod below the partition that cannot be created from the former template would stay away,
//! whatever the new template says. No partition helps: the StatefulSet would at once replace a
//! running pod. So while such a pod is missing the strategy is `OnDelete`, by which the StatefulSet
//! replaces no pod and creates missing ones from the newest template. Then the partition is above
//! all pods again, and the rollout continues.

use std::collections::BTreeMap;
use std::time::Duration;

use super::failing::Failing;

/// How long a StatefulSet may take to recreate a pod. A pod that is missing after that is refused,
/// or waits for another try.
pub const MADE: Duration = Duration::from_secs(3);

/// The current state of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// The name of its StatefulSet.
    pub set_name: String,
    /// The wanted number of Grapes.
    pub desired: i32,
    /// Its StatefulSet; none before its creation.
    pub set: Option<Set>,
    /// Its pods, by ordinal.
    pub grapes: BTreeMap<i32, GrapePod>,
    /// The ordinals of wanted pods that do not exist, and for how long.
    pub absent: BTreeMap<i32, Duration>,
}

/// The current state of a StatefulSet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// Whether its template is the wanted one.
    pub template_is_current: bool,
    /// Whether its controller has seen the latest change.
    pub observed: bool,
    /// The wanted number of pods.
    pub replicas: i32,
    /// How it brings the update revision to its pods.
    pub strategy: Strategy,
    /// The revision by which a lost pod below the partition is recreated.
    pub current_revision: String,
    /// The revision of its template.
    pub update_revision: String,
}

/// How a StatefulSet brings its newest template to its pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// `RollingUpdate`: it replaces the pods from this ordinal up, and creates missing ones below
    /// it from the former template.
    Partition(i32),
    /// `OnDelete`: it replaces none, and creates missing ones from the newest template.
    OnDelete,
}

/// The current state of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrapePod {
    /// Its name.
    pub pod: String,
    /// The revision of its template.
    pub revision: String,
    /// Whether it is ready and does not terminate.
    pub ready: bool,
    /// Whether it terminates.
    pub leaving: bool,
    /// Why it does not become ready by waiting; none if it may.
    pub failing: Option<Failing>,
}

/// Whether lookups are healthy, so that one Grape can be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookups {
    /// They are connected and found all canaries since the last replacement.
    Healthy,
    /// They are not, or it is not known yet.
    NotYet,
}

/// The next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The strategy of each pool.
    pub strategies: BTreeMap<String, Strategy>,
    /// A pod that its StatefulSet does not replace by itself.
    pub delete: Option<String>,
    /// The state of the rollout.
    pub phase: Phase,
}

/// The state of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// No pod has to change.
    Settled,
    /// In progress: this many of all pods are as they should be.
    Rolling(Wait),
    /// A pod of the new template does not start: no other is replaced.
    Stalled {
        /// The pod.
        pod: String,
        /// The cause.
        why: String,
    },
}

/// What the rollout waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// A StatefulSet's controller has not seen the change.
    Observed,
    /// A pod is being replaced, or is not ready.
    Ready(String),
    /// Lookups have to succeed before the next pod, this one.
    Lookups(String),
}

/// Whether the wanted template has reached all Grapes, and they are ready.
pub fn is_done(pools: &[Pool], phase: &Phase) -> bool {
    *phase == Phase::Settled && pools.iter().all(Pool::is_ready)
}

/// The next step.
pub fn plan(pools: &[Pool], lookups: Lookups) -> Plan {
    let mut plan = Plan {
        strategies: pools.iter().map(|pool| (pool.name.clone(), pool.kept())).collect(),
        delete: None,
        phase: Phase::Settled,
    };
    if pools.iter().all(Pool::is_settled) {
        return plan;
    }
    plan.phase = Phase::Rolling(match next(pools, lookups) {
        Next::Stalled { pod, why } => {
            plan.phase = Phase::Stalled { pod, why };
            return plan;
        }
        Next::Wait(wait) => wait,
        Next::Replace { pool, ordinal, grape } => {
            let to = Strategy::Partition(ordinal);
            let lowered = plan.strategies.insert(pool, to) == Some(to);
            // A StatefulSet replaces nothing while one of its pods is not ready (MaxUnavailable).
            // And before it has seen the partition, it would recreate the pod from the former
            // template.
            let stuck = pools.iter().flat_map(|pool| pool.grapes.values()).any(|any| !any.ready);
            let by_hand = lowered && stuck && !grape.leaving;
            plan.delete = by_hand.then(|| grape.pod.clone());
            Wait::Ready(grape.pod.clone())
        }
    });
    plan
}

enum Next<'a> {
    Stalled { pod: String, why: String },
    Wait(Wait),
    Replace { pool: String, ordinal: i32, grape: &'a GrapePod },
}

fn next(pools: &[Pool], lookups: Lookups) -> Next<'_> {
    if pools.iter().any(|pool| !pool.is_observed()) {
        return Next::Wait(Wait::Observed);
    }
    let all = || pools.iter().flat_map(Pool::updated_or_not);
    // After a Grape of the new template that does not start, others like it would follow.
    let started = |(grape, updated): &(&GrapePod, bool)| !updated || grape.ready;
    if let Some((grape, _)) = all().find(|grape| !started(grape)) {
        return match &grape.failing {
            Some(why) => Next::Stalled { pod: grape.pod.clone(), why: why.to_string() },
            // The new Grape may know nobody only because the former ones do not start. Those serve
            // nobody, and the rollout may mend them.
            None => match candidate(pools)
                .filter(|(.., other)| !other.ready && other.failing.is_some())
            {
                Some((pool, ordinal, grape)) => {
                    Next::Replace { pool: pool.name.clone(), ordinal, grape }
                }
                None => Next::Wait(Wait::Ready(grape.pod.clone())),
            },
        };
    }
    let missing = |pool: &Pool| Some(pool.pod_name(pool.missing().next()?));
    if let Some(missing) = pools.iter().find_map(missing) {
        return Next::Wait(Wait::Ready(missing));
    }
    let Some((pool, ordinal, grape)) = candidate(pools) else {
        // All pods are as they should be, and the StatefulSets are about to say so.
        return Next::Wait(Wait::Observed);
    };
    // A Grape that cannot start as it is may be mended by the rollout. Another one may come back by
    // itself, and until then no second one is replaced.
    let unready = all()
        .map(|(other, _)| other)
        .find(|other| !other.ready && other.failing.is_none() && other.pod != grape.pod);
    if let Some(unready) = unready {
        return Next::Wait(Wait::Ready(unready.pod.clone()));
    }
    if grape.ready && lookups == Lookups::NotYet && all().any(|(other, _)| other.pod != grape.pod) {
        return Next::Wait(Wait::Lookups(grape.pod.clone()));
    }
    Next::Replace { pool: pool.name.clone(), ordinal, grape }
}

/// The pod to replace next: the highest of a pool, one that is not ready before others, and else in
/// the order of the pools.
fn candidate(pools: &[Pool]) -> Option<(&Pool, i32, &GrapePod)> {
    let highest = pools.iter().filter_map(|pool| {
        let (ordinal, grape) = pool.outdated().next_back()?;
        Some((pool, *ordinal, grape))
    });
    highest.min_by_key(|(_, _, grape)| grape.ready)
}

impl Pool {
    /// Its strategy, if no step is taken.
    fn kept(&self) -> Strategy {
        let Some(set) = &self.set else { return Strategy::Partition(self.desired) };
        if self.wants_newest(set) {
            return Strategy::OnDelete;
        }
        // Above all pods, however many there are.
        let above = self.desired.max(set.replicas);
        // An added pod is created like the others: until the rollout has reached all, it is not
        // known whether the new template starts.
        let adds = self.desired > set.replicas;
        match set.strategy {
            Strategy::Partition(partition)
                if set.template_is_current && !self.is_complete(set) && !adds =>
            {
                Strategy::Partition(partition.min(above))
            }
            _ => Strategy::Partition(above),
        }
    }

    /// Whether a pod is missing that its StatefulSet would create from a former template.
    fn wants_newest(&self, set: &Set) -> bool {
        let Strategy::Partition(partition) = set.strategy else {
            // Until each exists.
            return self.missing().next().is_some();
        };
        // Before its controller has seen the change, it could not create a pod.
        let differs = set.observed
            && (!set.template_is_current || set.current_revision != set.update_revision);
        let is_stuck = |(ordinal, time): (&i32, &Duration)| {
            *time >= MADE && (!set.template_is_current || *ordinal < partition)
        };
        differs && self.absent.iter().any(is_stuck)
    }

    fn is_observed(&self) -> bool {
        self.set.as_ref().is_some_and(|set| {
            set.template_is_current && set.observed && set.replicas == self.desired
        })
    }

    fn is_complete(&self, set: &Set) -> bool {
        set.observed && set.current_revision == set.update_revision && self.outdated().count() == 0
    }

    /// Whether no pod of the pool has to change; a missing pod will be right.
    fn is_settled(&self) -> bool {
        match &self.set {
            Some(set) if !self.grapes.is_empty() => {
                set.template_is_current && self.is_complete(set)
            }
            _ => true,
        }
    }

    /// Whether the pool has all its Grapes, and they are ready.
    pub fn is_ready(&self) -> bool {
        let ready = self.grapes.values().filter(|grape| grape.ready).count();
        i64::try_from(ready).ok() == Some(i64::from(self.desired))
    }

    /// Pods of another template than the wanted one.
    fn outdated(&self) -> impl DoubleEndedIterator<Item = (&i32, &GrapePod)> {
        self.grapes.iter().filter(|(_, grape)| !self.is_updated(grape))
    }

    /// Whether a pod has the wanted template.
    pub fn is_updated(&self, grape: &GrapePod) -> bool {
        let set = self.set.as_ref().filter(|set| set.template_is_current);
        set.is_some_and(|set| set.update_revision == grape.revision)
    }

    fn updated_or_not(&self) -> impl Iterator<Item = (&GrapePod, bool)> {
        self.grapes.values().map(|grape| (grape, self.is_updated(grape)))
    }

    /// The ordinals of wanted pods that do not exist.
    pub fn missing(&self) -> impl Iterator<Item = i32> {
        let replicas = self.set.as_ref().map_or(0, |set| set.replicas.min(self.desired));
        (0..replicas).filter(|ordinal| !self.grapes.contains_key(ordinal))
    }

    /// The name of the pod with this ordinal.
    pub fn pod_name(&self, ordinal: i32) -> String {
        format!("{}-{ordinal}", self.set_name)
    }
}

#[cfg(test)]
mod tests;
