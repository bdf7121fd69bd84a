//! Pods that StatefulSets are to make and that are not there, and since when. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::rollout::{MADE, Pool};

/// How long a pod is missing before the reason is reported.
const LATE: Duration = Duration::from_secs(10);
/// How often the StatefulSet of such a pod is asked to try again. Its controller waits ever longer
/// after each pod that is refused, up to 1,000 s, unless the StatefulSet changes.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);
/// How often a cluster is looked at that has such a pod.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The pods of one cluster that are missing.
#[derive(Debug, Default)]
pub struct Missing {
    /// Since when, by the pod's name.
    since: BTreeMap<String, Instant>,
    /// When StatefulSets were asked to try again, and the mark of that, by their names.
    tried: BTreeMap<String, (Instant, String)>,
    /// Whether a pod is late.
    late: bool,
    /// Whether pools were noted before.
    begun: bool,
}

impl Missing {
    /// Takes note of pools as they are, and sets for how long the pods of each are missing. An
    /// operator that starts continues from what the one before it reported: `was_late`.
    pub fn note(&mut self, pools: &mut [Pool], now: Instant, was_late: bool) {
        let resumed = now.checked_sub(LATE).filter(|_| was_late && !self.begun);
        let first = resumed.unwrap_or(now);
        self.begun = true;
        let mut since = BTreeMap::new();
        for pool in pools {
            for ordinal in pool.missing().collect::<Vec<_>>() {
                let name = pool.pod_name(ordinal);
                // Before its controller has seen it, it has had no occasion to make one.
                let new = is_observed(pool).then_some(first);
                let Some(begun) = self.since.get(&name).copied().or(new) else { continue };
                pool.absent.insert(ordinal, now.saturating_duration_since(begun));
                since.insert(name, begun);
            }
        }
        self.since = since;
        self.late = false;
    }

    /// Of the pools those whose StatefulSets were to make a pod long ago. One whose controller has not
    /// seen it as it is now has had no occasion to.
    pub fn late<'a>(&mut self, pools: &'a [Pool]) -> Vec<&'a Pool> {
        let late: Vec<_> = pools.iter().filter(|pool| is_late(pool) && is_observed(pool)).collect();
        self.late = !late.is_empty();
        late
    }

    /// The mark that a pool's StatefulSet is to have, another one whenever it is to try again; none
    /// where no pod is late.
    pub fn mark(&mut self, pool: &Pool, now: Instant, time: Timestamp) -> Option<String> {
        if !is_late(pool) {
            self.tried.remove(&pool.set_name);
            return None;
        }
        let known = self.tried.get(&pool.set_name);
        let again =
            known.is_none_or(|(at, _)| now.saturating_duration_since(*at) >= RETRY_INTERVAL);
        if again && is_observed(pool) {
            let seconds = Timestamp::from_second(time.as_second()).unwrap_or(time);
            self.tried.insert(pool.set_name.clone(), (now, seconds.to_string()));
        }
        self.tried.get(&pool.set_name).map(|(_, mark)| mark.clone())
    }

    /// In how long a pod will have been missing for so long that something is to be done; none while
    /// all are there.
    pub fn next(&self, now: Instant) -> Option<Duration> {
        let ages = self.since.values().map(|since| now.saturating_duration_since(*since));
        let waits = ages.flat_map(|age| [MADE, LATE].map(|time| time.checked_sub(age)));
        let waits = waits.flatten().filter(|wait| !wait.is_zero());
        waits.chain(self.late.then_some(CHECK_INTERVAL)).min()
    }
}

fn is_late(pool: &Pool) -> bool {
    pool.absent.values().any(|time| *time >= LATE)
}

fn is_observed(pool: &Pool) -> bool {
    pool.set.as_ref().is_some_and(|set| set.observed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::rollout::{Set, Strategy};

    fn pool() -> Pool {
        let revision = || "a".to_owned();
        Pool {
            name: "default".to_owned(),
            set_name: "market-default".to_owned(),
            desired: 2,
            set: Some(Set {
                template_is_current: true,
                observed: true,
                replicas: 3,
                strategy: Strategy::Partition(3),
                current_revision: revision(),
                update_revision: revision(),
            }),
            grapes: BTreeMap::new(),
            absent: BTreeMap::new(),
        }
    }

    #[test]
    fn a_pod_is_missing_since_it_was_first_not_there() {
        let start = grape::clock::now();
        let mut missing = Missing::default();
        let mut absent = |seconds, made: bool| {
            let now = start + Duration::from_secs(seconds);
            let mut pool = pool();
            if made {
                pool.desired = 0;
            }
            missing.note(std::slice::from_mut(&mut pool), now, false);
            let absent = pool.absent.into_iter().map(|(at, time)| (at, time.as_secs()));
            (absent.collect::<Vec<_>>(), missing.next(now).map(|wait| wait.as_secs()))
        };
        assert_eq!(absent(0, false), (vec![(0, 0), (1, 0)], Some(3)), "the third is to go");
        assert_eq!(absent(2, false), (vec![(0, 2), (1, 2)], Some(1)));
        assert_eq!(absent(3, false), (vec![(0, 3), (1, 3)], Some(7)));
        assert_eq!(absent(4, true), (vec![], None));
        assert_eq!(absent(5, false), (vec![(0, 0), (1, 0)], Some(3)), "they were there");
    }

    #[test]
    fn a_set_whose_pod_is_late_is_asked_again_every_ten_seconds() {
        let start = grape::clock::now();
        let mut missing = Missing::default();
        let mut mark = |seconds: u64, observed: bool| {
            let now = start + Duration::from_secs(seconds);
            let mut pool = pool();
            pool.set.as_mut().unwrap().observed = observed;
            missing.note(std::slice::from_mut(&mut pool), now, false);
            let time = Timestamp::UNIX_EPOCH + Duration::from_secs(seconds);
            missing.mark(&pool, now, time).map(|mark| mark[17..19].to_owned())
        };
        assert_eq!(mark(0, false), None);
        assert_eq!(mark(1, true), None, "it was not seen before");
        assert_eq!(mark(10, true), None);
        assert_eq!(mark(11, false), None, "its controller has not seen it yet");
        assert_eq!(mark(12, true).as_deref(), Some("12"));
        assert_eq!(mark(21, true).as_deref(), Some("12"));
        assert_eq!(mark(22, true).as_deref(), Some("22"));
        assert_eq!(mark(32, false).as_deref(), Some("22"), "it is about to try");
    }

    #[test]
    fn an_operator_that_starts_goes_on() {
        let now = grape::clock::now() + LATE;
        for (was_late, seconds) in [(true, 10), (false, 0)] {
            let (mut missing, mut pool) = (Missing::default(), pool());
            missing.note(std::slice::from_mut(&mut pool), now, was_late);
            assert_eq!(pool.absent[&0], Duration::from_secs(seconds));
            missing.note(&mut [], now, true);
            missing.note(std::slice::from_mut(&mut pool), now, true);
            assert_eq!(pool.absent[&0], Duration::ZERO, "only once");
        }
    }
}
