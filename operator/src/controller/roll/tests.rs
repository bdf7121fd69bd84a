//! The plan against a StatefulSet controller in miniature, which does what the real one does.

use super::*;

/// Pods of a cluster, a StatefulSet a pool, and the controller that acts on them.
struct World {
    pools: Vec<Pool>,
    /// Revisions whose pods never become ready.
    bad: Vec<&'static str>,
}

impl World {
    fn new(sizes: &[i32], revision: &str) -> Self {
        let pool = |(index, size): (usize, &i32)| {
            let name = format!("p{index}");
            let set = Set {
                template_is_current: true,
                observed: true,
                replicas: *size,
                partition: *size,
                current_revision: revision.to_owned(),
                update_revision: revision.to_owned(),
            };
            let grapes = (0..*size).map(|ordinal| (ordinal, grape(&name, ordinal, revision)));
            Pool {
                grapes: grapes.collect(),
                set_name: format!("market-{name}"),
                desired: *size,
                set: Some(set),
                name,
            }
        };
        Self { pools: sizes.iter().enumerate().map(pool).collect(), bad: Vec::new() }
    }

    /// The template changes: the plan is applied with it, as the reconciler does.
    fn change(&mut self, revision: &str) {
        self.sets().for_each(|set| set.template_is_current = false);
        let plan = plan(&self.pools, Lookups::Healthy);
        self.apply(&plan);
        for set in self.sets() {
            set.template_is_current = true;
            set.observed = false;
            set.update_revision = revision.to_owned();
        }
    }

    fn sets(&mut self) -> impl Iterator<Item = &mut Set> {
        self.pools.iter_mut().filter_map(|pool| pool.set.as_mut())
    }

    fn apply(&mut self, plan: &Plan) {
        for pool in &mut self.pools {
            let set = pool.set.as_mut().unwrap();
            let partition = plan.partitions[&pool.name];
            set.observed &= set.partition == partition;
            set.partition = partition;
            pool.grapes.retain(|_, grape| plan.delete.as_ref() != Some(&grape.pod));
        }
    }

    /// What the controllers and kubelets of a cluster do in a while.
    fn pass(&mut self) {
        for pool in &mut self.pools {
            let set = pool.set.as_mut().unwrap();
            set.observed = true;
            let unavailable =
                (0..set.replicas).any(|at| pool.grapes.get(&at).is_none_or(|grape| !grape.ready));
            for ordinal in 0..set.replicas {
                let below = ordinal < set.partition;
                let revision = if below { &set.current_revision } else { &set.update_revision };
                let bad = self.bad.contains(&&**revision);
                let grape = pool.grapes.entry(ordinal).or_insert_with(|| Grape {
                    ready: false,
                    failing: bad.then(|| "ImagePullBackOff".to_owned()),
                    ..grape(&pool.name, ordinal, revision)
                });
                grape.ready |= grape.failing.is_none();
            }
            // It replaces no pod while another is not available (MaxUnavailableStatefulSet).
            let outdated = |(ordinal, grape): &(&i32, &Grape)| {
                **ordinal >= set.partition && grape.revision != set.update_revision
            };
            let next = pool.grapes.iter().rev().find(outdated).map(|(ordinal, _)| *ordinal);
            if let Some(ordinal) = next.filter(|_| !unavailable) {
                pool.grapes.remove(&ordinal);
            }
            let done = |grape: &Grape| grape.ready && grape.revision == set.update_revision;
            if pool.grapes.len() == set.replicas as usize && pool.grapes.values().all(done) {
                set.current_revision = set.update_revision.clone();
            }
        }
    }

    fn ready(&self) -> usize {
        self.grapes().filter(|grape| grape.ready).count()
    }

    fn of(&self, revision: &str) -> usize {
        self.grapes().filter(|grape| grape.revision == revision).count()
    }

    fn grapes(&self) -> impl Iterator<Item = &Grape> {
        self.pools.iter().flat_map(|pool| pool.grapes.values())
    }

    /// Until nothing happens any more; the fewest Grapes that were ready, and the last phase.
    fn settle(&mut self) -> (usize, Phase) {
        let mut fewest = self.ready();
        for _ in 0..200 {
            let plan = plan(&self.pools, Lookups::Healthy);
            let before = self.pools.clone();
            self.apply(&plan);
            fewest = fewest.min(self.ready());
            self.pass();
            fewest = fewest.min(self.ready());
            if self.pools == before && plan.delete.is_none() {
                return (fewest, plan.phase);
            }
        }
        panic!("it does not end: {:?}", self.pools);
    }
}

fn grape(pool: &str, ordinal: i32, revision: &str) -> Grape {
    Grape {
        pod: format!("market-{pool}-{ordinal}"),
        revision: revision.to_owned(),
        ready: true,
        leaving: false,
        failing: None,
    }
}

#[test]
fn at_rest_the_partition_is_above_all_pods() {
    let world = World::new(&[4, 2], "a");
    let plan = plan(&world.pools, Lookups::NotYet);
    assert_eq!(plan.partitions, BTreeMap::from([("p0".to_owned(), 4), ("p1".to_owned(), 2)]));
    assert_eq!((plan.delete, plan.phase), (None, Phase::Settled));
}

#[test]
fn one_grape_at_a_time_over_all_pools() {
    let mut world = World::new(&[4, 2, 3], "a");
    world.change("b");
    let (fewest, phase) = world.settle();
    assert_eq!((fewest, world.of("b"), phase), (8, 9, Phase::Settled));
    assert!(world.sets().all(|set| set.partition == set.replicas), "held again");
}

#[test]
fn a_bad_template_stops_after_one_grape_and_is_mended() {
    let mut world = World::new(&[3, 2], "a");
    world.bad.push("bad");
    world.change("bad");
    let (fewest, phase) = world.settle();
    assert_eq!((fewest, world.of("bad"), world.of("a")), (4, 1, 4));
    let Phase::Stalled { pod, why } = phase else { panic!("{phase:?}") };
    assert_eq!((&*pod, &*why), ("market-p0-2", "ImagePullBackOff"));

    world.change("c");
    let (fewest, phase) = world.settle();
    assert_eq!((fewest, world.of("c"), phase), (4, 5, Phase::Settled));
}

#[test]
fn a_bad_template_is_taken_back() {
    let mut world = World::new(&[3], "a");
    world.bad.push("bad");
    world.change("bad");
    world.settle();
    world.change("a");
    let (fewest, phase) = world.settle();
    assert_eq!((fewest, world.of("a"), phase), (2, 3, Phase::Settled));
}

#[test]
fn a_cluster_that_never_started_is_mended() {
    let mut world = World::new(&[3], "bad");
    for grape in world.pools[0].grapes.values_mut() {
        grape.ready = false;
        grape.failing = Some("ImagePullBackOff".to_owned());
    }
    world.change("good");
    let (_, phase) = world.settle();
    assert_eq!((world.of("good"), world.ready(), phase), (3, 3, Phase::Settled));
}

#[test]
fn the_next_one_waits_for_lookups() {
    let mut world = World::new(&[3], "a");
    world.change("b");
    world.pass();
    let waiting = plan(&world.pools, Lookups::NotYet);
    assert_eq!(waiting.phase, Phase::Rolling(Wait::Lookups("market-p0-2".to_owned())));
    assert_eq!(waiting.partitions["p0"], 3);
    assert_eq!(plan(&world.pools, Lookups::Healthy).partitions["p0"], 2);
}

#[test]
fn a_single_grape_waits_for_no_lookup() {
    let mut world = World::new(&[1], "a");
    world.change("b");
    world.pass();
    assert_eq!(plan(&world.pools, Lookups::NotYet).partitions["p0"], 0);
}

#[test]
fn a_grape_that_may_come_back_is_waited_for() {
    let mut world = World::new(&[3], "a");
    world.change("b");
    world.pass();
    world.pools[0].grapes.get_mut(&0).unwrap().ready = false;
    let plan = plan(&world.pools, Lookups::Healthy);
    assert_eq!(plan.phase, Phase::Rolling(Wait::Ready("market-p0-0".to_owned())));
    assert_eq!(plan.partitions["p0"], 3);
}

#[test]
fn one_that_fails_as_it_is_does_not_hold_up_what_may_mend_it() {
    let mut world = World::new(&[3], "a");
    world.change("b");
    world.pass();
    let lowest = world.pools[0].grapes.get_mut(&0).unwrap();
    lowest.ready = false;
    lowest.failing = Some("it was killed for its memory".to_owned());
    let (fewest, phase) = world.settle();
    assert_eq!((fewest, world.of("b"), phase), (1, 3, Phase::Settled));
}

#[test]
fn a_pod_that_leaves_is_not_deleted_again() {
    let mut world = World::new(&[3], "a");
    world.change("b");
    world.pass();
    let leaving = world.pools[0].grapes.get_mut(&2).unwrap();
    (leaving.ready, leaving.leaving) = (false, true);
    world.pools[0].set.as_mut().unwrap().partition = 2;
    let plan = plan(&world.pools, Lookups::Healthy);
    assert_eq!(plan.delete, None);
    assert_eq!(plan.phase, Phase::Rolling(Wait::Ready("market-p0-2".to_owned())));
}
