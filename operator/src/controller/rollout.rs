//! Which Grape is replaced next when the pods of a cluster are to change. Pure.
//!
//! A StatefulSet replaces pods from the highest ordinal down to its `partition`, and a pod below it
//! that is lost comes back as it was. So the partition is held above all pods, and lowered one pod
//! at a time, over all pools together: the next one when the last is ready and lookups are well. A
//! template that somebody changes by hand replaces no pod either.
//!
//! A missing pod below the partition is made from the former template. If that template cannot
//! work, a new one would not help, and with a lower partition the StatefulSet would at once replace
//! a pod that runs. So while such a pod is missing the strategy is `OnDelete`: the StatefulSet
//! replaces no pod, and makes a missing one from the newest template. Then the partition is above
//! all pods again, and the rollout goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use super::failing::Failing;

/// How long a StatefulSet may take to make a pod in the place of one that is gone. One that is not
/// there by then is refused, or waits for another try.
pub const MADE: Duration = Duration::from_secs(3);

/// A pool as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// The name of its StatefulSet.
    pub set_name: String,
    /// How many Grapes it is to have.
    pub desired: i32,
    /// Its StatefulSet; none before it is made.
    pub set: Option<Set>,
    /// Its pods, by ordinal.
    pub grapes: BTreeMap<i32, GrapePod>,
    /// The ordinals of pods that it is to have and that are not there, and for how long.
    pub absent: BTreeMap<i32, Duration>,
}

/// A StatefulSet as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// Whether its template is the one that is wanted.
    pub template_is_current: bool,
    /// Whether its controller has seen it as it is now.
    pub observed: bool,
    /// How many pods it is to have.
    pub replicas: i32,
    /// How it brings the update revision to its pods.
    pub strategy: Strategy,
    /// The revision of a pod that is lost below the partition.
    pub current_revision: String,
    /// The revision of its template.
    pub update_revision: String,
}

/// How a StatefulSet brings its newest template to its pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// It replaces the pods from this ordinal up, and makes those that are missing below it from the
    /// former template: `RollingUpdate`.
    Partition(i32),
    /// It replaces none, and makes those that are missing from the newest template: `OnDelete`.
    OnDelete,
}

/// A pod as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrapePod {
    /// Its name.
    pub pod: String,
    /// The revision it was made from.
    pub revision: String,
    /// Ready, and not on its way out.
    pub ready: bool,
    /// On its way out.
    pub leaving: bool,
    /// Why it will not become ready by waiting; none if it may.
    pub failing: Option<Failing>,
}

/// Whether the Grapes can spare one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookups {
    /// They see each other and find what was announced, observed since the last one was replaced.
    Healthy,
    /// They do not, or it is not known yet.
    NotYet,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The strategy of each pool.
    pub strategies: BTreeMap<String, Strategy>,
    /// A pod that its StatefulSet will not replace by itself.
    pub delete: Option<String>,
    /// Where the change stands.
    pub phase: Phase,
}

/// Where a change of the pods stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// No pod is to change.
    Settled,
    /// Under way: so many of all are as they should be.
    Rolling(Wait),
    /// A pod of the new template does not start: no other is replaced.
    Stalled {
        /// The pod.
        pod: String,
        /// Why it does not start.
        why: String,
    },
}

/// What the change waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// A StatefulSet's controller has to see the change.
    Observed,
    /// A pod is being replaced, or has to become ready.
    Ready(String),
    /// Lookups have to be well before the next pod, this one.
    Lookups(String),
}

/// Whether the template that is wanted has reached all Grapes, and they are ready.
pub fn is_done(pools: &[Pool], phase: &Phase) -> bool {
    *phase == Phase::Settled && pools.iter().all(Pool::is_ready)
}

/// What to do next.
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
            // A StatefulSet replaces nothing while a pod of it is not ready (MaxUnavailable). And
            // before it knows of the partition the pod would come back as it was.
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
    // A Grape of the new template that does not start would be followed by others like it.
    let started = |(grape, updated): &(&GrapePod, bool)| !updated || grape.ready;
    if let Some((grape, _)) = all().find(|grape| !started(grape)) {
        return match &grape.failing {
            Some(why) => Next::Stalled { pod: grape.pod.clone(), why: why.to_string() },
            // It may be a Grape that finds no others because these do not start with the former
            // template. They serve no client, and the change may fix them.
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
        // All are as they should be, and the StatefulSets are about to say so.
        return Next::Wait(Wait::Observed);
    };
    // One that cannot start as it is, the change may mend; another may come back by itself, and
    // until then no second one goes.
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

/// The pod to replace next: the highest of a pool, one that is not ready before others, and else
/// in the order of the pools.
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
        // Above all pods, whichever number of them is there.
        let above = self.desired.max(set.replicas);
        // A pod that is added is made from the former template: until the change has reached all
        // pods, it is not known whether the new template starts.
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

    /// Whether a pod is missing that its StatefulSet goes on making from a former template.
    fn wants_newest(&self, set: &Set) -> bool {
        let Strategy::Partition(partition) = set.strategy else {
            // Until each is there.
            return self.missing().next().is_some();
        };
        // Before its controller has seen it, it has had no occasion to make one.
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

    /// Whether no pod of it is to change; one that is not there yet will be right.
    fn is_settled(&self) -> bool {
        match &self.set {
            Some(set) if !self.grapes.is_empty() => {
                set.template_is_current && self.is_complete(set)
            }
            _ => true,
        }
    }

    /// Whether it has all its Grapes, and they are ready.
    pub fn is_ready(&self) -> bool {
        let ready = self.grapes.values().filter(|grape| grape.ready).count();
        i64::try_from(ready).ok() == Some(i64::from(self.desired))
    }

    /// Pods that are not of the template that is wanted.
    fn outdated(&self) -> impl DoubleEndedIterator<Item = (&i32, &GrapePod)> {
        self.grapes.iter().filter(|(_, grape)| !self.is_updated(grape))
    }

    /// Whether a pod is of the template that is wanted.
    pub fn is_updated(&self, grape: &GrapePod) -> bool {
        let set = self.set.as_ref().filter(|set| set.template_is_current);
        set.is_some_and(|set| set.update_revision == grape.revision)
    }

    fn updated_or_not(&self) -> impl Iterator<Item = (&GrapePod, bool)> {
        self.grapes.values().map(|grape| (grape, self.is_updated(grape)))
    }

    /// The ordinals of pods that are wanted and not there.
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
