//! The plan against a StatefulSet controller in miniature, which does what the real one does.

use rstest::rstest;

use super::*;

/// Pods of a cluster, a StatefulSet a pool, and the controller that acts on them.
struct World {
    pools: Vec<Pool>,
    /// Revisions whose pods never become ready.
    bad: Vec<&'static str>,
    /// Revisions whose pods are refused by the API server.
    refused: Vec<&'static str>,
}

impl World {
    fn new(sizes: &[i32], revision: &str) -> Self {
        let pool = |(index, size): (usize, &i32)| {
            let name = format!("p{index}");
            let set = Set {
                template_is_current: true,
                observed: true,
                replicas: *size,
                strategy: Strategy::Partition(*size),
                current_revision: revision.to_owned(),
                update_revision: revision.to_owned(),
            };
            let grapes = (0..*size).map(|ordinal| (ordinal, grape(&name, ordinal, revision)));
            Pool {
                grapes: grapes.collect(),
                set_name: format!("market-{name}"),
                desired: *size,
                set: Some(set),
                absent: BTreeMap::new(),
                name,
            }
        };
        let pools = sizes.iter().enumerate().map(pool).collect();
        Self { pools, bad: Vec::new(), refused: Vec::new() }
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

    /// Another number of Grapes is wanted of a pool, and applied with the plan.
    fn scale(&mut self, pool: usize, size: i32) {
        self.pools[pool].desired = size;
        let plan = plan(&self.pools, Lookups::Healthy);
        self.apply(&plan);
        let set = self.pools[pool].set.as_mut().unwrap();
        (set.replicas, set.observed) = (size, false);
    }

    fn sets(&mut self) -> impl Iterator<Item = &mut Set> {
        self.pools.iter_mut().filter_map(|pool| pool.set.as_mut())
    }

    fn apply(&mut self, plan: &Plan) {
        for pool in &mut self.pools {
            let set = pool.set.as_mut().unwrap();
            let strategy = plan.strategies[&pool.name];
            set.observed &= set.strategy == strategy;
            set.strategy = strategy;
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
                let former = matches!(set.strategy, Strategy::Partition(at) if ordinal < at);
                let revision = if former { &set.current_revision } else { &set.update_revision };
                if self.refused.contains(&&**revision) && !pool.grapes.contains_key(&ordinal) {
                    continue;
                }
                let bad = self.bad.contains(&&**revision);
                let grape = pool.grapes.entry(ordinal).or_insert_with(|| GrapePod {
                    ready: false,
                    failing: bad.then(|| "ImagePullBackOff".into()),
                    ..grape(&pool.name, ordinal, revision)
                });
                grape.ready |= grape.failing.is_none();
            }
            let missing = pool.missing().map(|ordinal| (ordinal, MADE));
            pool.absent = missing.collect();
            let set = pool.set.as_mut().unwrap();
            // It replaces no pod while another is not available (MaxUnavailableStatefulSet).
            let outdated = |(ordinal, grape): &(&i32, &GrapePod)| {
                matches!(set.strategy, Strategy::Partition(at) if **ordinal >= at)
                    && grape.revision != set.update_revision
            };
            let next = pool.grapes.iter().rev().find(outdated).map(|(ordinal, _)| *ordinal);
            if let Some(ordinal) = next.filter(|_| !unavailable) {
                pool.grapes.remove(&ordinal);
            }
            let done = |grape: &GrapePod| grape.ready && grape.revision == set.update_revision;
            let whole = pool.grapes.len() == set.replicas as usize;
            let rolls = set.strategy != Strategy::OnDelete;
            if rolls && whole && pool.grapes.values().all(done) {
                set.current_revision = set.update_revision.clone();
            }
        }
    }

    fn strategy(&self, pool: usize) -> Strategy {
        self.pools[pool].set.as_ref().unwrap().strategy
    }

    fn ready(&self) -> usize {
        self.grapes().filter(|grape| grape.ready).count()
    }

    fn of(&self, revision: &str) -> usize {
        self.grapes().filter(|grape| grape.revision == revision).count()
    }

    fn grapes(&self) -> impl Iterator<Item = &GrapePod> {
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

fn grape(pool: &str, ordinal: i32, revision: &str) -> GrapePod {
    GrapePod {
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
    let at = |pool: &str, partition| (pool.to_owned(), Strategy::Partition(partition));
    assert_eq!(plan.strategies, BTreeMap::from([at("p0", 4), at("p1", 2)]));
    assert_eq!((plan.delete, plan.phase), (None, Phase::Settled));
}

#[test]
fn one_grape_at_a_time_over_all_pools() {
    let mut world = World::new(&[4, 2, 3], "a");
    world.change("b");
    let (fewest, phase) = world.settle();
    assert_eq!((fewest, world.of("b"), phase), (8, 9, Phase::Settled));
    assert!(
        world.sets().all(|set| set.strategy == Strategy::Partition(set.replicas)),
        "held again"
    );
}

#[test]
fn a_bad_template_stops_after_one_grape_and_can_be_fixed() {
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
fn grapes_that_are_added_while_a_bad_template_stops_are_made_as_the_others_are() {
    let mut world = World::new(&[3, 2], "a");
    world.bad.push("bad");
    world.change("bad");
    world.settle();
    world.scale(0, 5);
    let (_, phase) = world.settle();
    assert_eq!((world.of("bad"), world.of("a"), world.ready()), (1, 6, 6));
    assert!(matches!(phase, Phase::Stalled { .. }), "{phase:?}");

    world.change("c");
    let (fewest, phase) = world.settle();
    assert_eq!((fewest, world.of("c"), phase), (5, 7, Phase::Settled));
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
fn a_cluster_that_never_started_can_be_fixed() {
    let mut world = World::new(&[3], "bad");
    for grape in world.pools[0].grapes.values_mut() {
        grape.ready = false;
        grape.failing = Some("ImagePullBackOff".into());
    }
    world.change("good");
    let (_, phase) = world.settle();
    assert_eq!((world.of("good"), world.ready(), phase), (3, 3, Phase::Settled));
}

/// The first pod of the new template knows no other Grape, and is not ready while the others do not
/// start.
#[test]
fn grapes_that_do_not_start_do_not_wait_for_one_that_finds_no_others() {
    let mut world = World::new(&[3], "bad");
    for grape in world.pools[0].grapes.values_mut() {
        grape.ready = false;
        grape.failing = Some("ImagePullBackOff".into());
    }
    world.change("good");
    for _ in 0..20 {
        world.pass();
        world.pools[0].grapes.values_mut().for_each(|grape| grape.ready = false);
        let plan = plan(&world.pools, Lookups::NotYet);
        world.apply(&plan);
    }
    world.pass();
    assert_eq!((world.of("good"), world.ready()), (3, 3));
}

#[test]
fn the_next_one_waits_for_lookups() {
    let mut world = World::new(&[3], "a");
    world.change("b");
    world.pass();
    let waiting = plan(&world.pools, Lookups::NotYet);
    assert_eq!(waiting.phase, Phase::Rolling(Wait::Lookups("market-p0-2".to_owned())));
    assert_eq!(waiting.strategies["p0"], Strategy::Partition(3));
    assert_eq!(plan(&world.pools, Lookups::Healthy).strategies["p0"], Strategy::Partition(2));
}

#[test]
fn a_single_grape_waits_for_no_lookup() {
    let mut world = World::new(&[1], "a");
    world.change("b");
    world.pass();
    assert_eq!(plan(&world.pools, Lookups::NotYet).strategies["p0"], Strategy::Partition(0));
}

#[test]
fn a_grape_that_may_come_back_is_waited_for() {
    let mut world = World::new(&[3], "a");
    world.change("b");
    world.pass();
    world.pools[0].grapes.get_mut(&0).unwrap().ready = false;
    let plan = plan(&world.pools, Lookups::Healthy);
    assert_eq!(plan.phase, Phase::Rolling(Wait::Ready("market-p0-0".to_owned())));
    assert_eq!(plan.strategies["p0"], Strategy::Partition(3));
}

#[test]
fn a_grape_that_fails_already_does_not_hold_up_a_change_that_may_fix_it() {
    let mut world = World::new(&[3], "a");
    world.change("b");
    world.pass();
    let lowest = world.pools[0].grapes.get_mut(&0).unwrap();
    lowest.ready = false;
    lowest.failing = Some("it was killed for its memory".into());
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
    world.pools[0].set.as_mut().unwrap().strategy = Strategy::Partition(2);
    let plan = plan(&world.pools, Lookups::Healthy);
    assert_eq!(plan.delete, None);
    assert_eq!(plan.phase, Phase::Rolling(Wait::Ready("market-p0-2".to_owned())));
}

/// Pods of a template that is refused are lost, and the template is mended.
#[rstest]
#[case::the_lowest(&[0])]
#[case::a_middle_one(&[1])]
#[case::the_highest(&[3])]
#[case::several(&[0, 2])]
#[case::all(&[0, 1, 2, 3])]
fn a_pod_that_cannot_be_created_is_created_from_the_fixed_template(#[case] lost: &[i32]) {
    let mut world = World::new(&[4, 2], "refused");
    world.refused.push("refused");
    world.pools[0].grapes.retain(|ordinal, _| !lost.contains(ordinal));
    let (_, phase) = world.settle();
    assert_eq!((world.ready(), phase), (6 - lost.len(), Phase::Settled), "nothing is better");
    assert_eq!(world.strategy(0), Strategy::Partition(4), "there is no newer template");

    world.change("good");
    while world.ready() < 6 {
        let plan = plan(&world.pools, Lookups::Healthy);
        assert_eq!(plan.strategies["p0"], Strategy::OnDelete);
        assert_eq!(plan.delete, None);
        world.apply(&plan);
        world.pass();
        assert!(world.of("refused") == 6 - lost.len(), "those that are ready stay");
    }
    assert_eq!(world.of("good"), lost.len());
    let (fewest, phase) = world.settle();
    assert_eq!((fewest, world.of("good"), phase), (5, 6, Phase::Settled));
    assert!(world.sets().all(|set| set.strategy == Strategy::Partition(set.replicas)));
}

#[test]
fn a_change_that_is_refused_can_be_fixed() {
    let mut world = World::new(&[3], "a");
    world.refused.push("refused");
    world.change("refused");
    let (fewest, _) = world.settle();
    assert_eq!((fewest, world.of("a")), (2, 2), "one was replaced, and no other is");

    world.change("b");
    let (fewest, phase) = world.settle();
    assert_eq!((fewest, world.of("b"), phase), (2, 3, Phase::Settled));
}

#[test]
fn a_pod_that_is_lost_comes_back_as_it_was_where_it_can() {
    let mut world = World::new(&[3], "a");
    world.bad.push("bad");
    world.change("bad");
    world.settle();
    world.pools[0].grapes.remove(&0);
    world.pools[0].absent.insert(0, Duration::ZERO);
    let plan = plan(&world.pools, Lookups::Healthy);
    assert_eq!(plan.strategies["p0"], Strategy::Partition(2), "its StatefulSet is about to");
}
