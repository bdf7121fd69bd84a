//! Pods that StatefulSets are to make and that are not there, and since when. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::roll::{MADE, Pool};

/// The pods of one cluster that are missing.
#[derive(Debug, Default)]
pub struct Missing {
    /// Since when, by the pod's name.
    since: BTreeMap<String, Instant>,
}

impl Missing {
    /// Takes note of pools as they are, and tells each of them for how long its pods are missing.
    pub fn note(&mut self, pools: &mut [Pool], now: Instant) {
        let mut since = BTreeMap::new();
        for pool in pools {
            for ordinal in pool.missing().collect::<Vec<_>>() {
                let name = pool.pod_name(ordinal);
                let begun = self.since.get(&name).copied().unwrap_or(now);
                pool.absent.insert(ordinal, now.saturating_duration_since(begun));
                since.insert(name, begun);
            }
        }
        self.since = since;
    }

    /// In how long a pod will have been missing for so long that something is to be done; none while
    /// all are there.
    pub fn next(&self, now: Instant) -> Option<Duration> {
        let ages = self.since.values().map(|since| now.saturating_duration_since(*since));
        ages.filter_map(|age| MADE.checked_sub(age).filter(|wait| !wait.is_zero())).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::roll::{Set, Strategy};

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
            missing.note(std::slice::from_mut(&mut pool), now);
            let absent = pool.absent.into_iter().map(|(at, time)| (at, time.as_secs()));
            (absent.collect::<Vec<_>>(), missing.next(now).map(|wait| wait.as_secs()))
        };
        assert_eq!(absent(0, false), (vec![(0, 0), (1, 0)], Some(3)), "the third is to go");
        assert_eq!(absent(2, false), (vec![(0, 2), (1, 2)], Some(1)));
        assert_eq!(absent(3, false), (vec![(0, 3), (1, 3)], None));
        assert_eq!(absent(4, true), (vec![], None));
        assert_eq!(absent(5, false), (vec![(0, 0), (1, 0)], Some(3)), "they were there");
    }
}
