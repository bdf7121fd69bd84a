//! What people read of a cluster in each of its states.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use grape_cluster::validate::validate;
use grape_cluster::{GrapeCluster, GrapeClusterSpec, PoolSpec};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

mod gitops;
mod seeds;
mod services;
mod texts;
mod verdict;

use super::*;
use crate::controller::bootstrap::{DeadEnd, DeadEnds};
use crate::controller::rollout::{GrapePod, Set, Strategy, Wait};
use crate::controller::sidecars::lack::Lack;
use crate::observe::band::P95Band;
use crate::observe::outside::Trouble;
use crate::observe::topology::{Topology, View};

fn valid(change: impl FnOnce(&mut GrapeClusterSpec)) -> ValidatedCluster {
    let mut spec = GrapeClusterSpec::default();
    change(&mut spec);
    validate(&GrapeCluster::new("market", spec)).unwrap()
}

fn grape(pod: &str) -> GrapePod {
    GrapePod {
        pod: pod.to_owned(),
        revision: "new".to_owned(),
        ready: true,
        leaving: false,
        failing: None,
    }
}

/// A pool as it should be.
fn pool(name: &str, size: i32) -> Pool {
    let set_name = format!("market-{name}");
    Pool {
        name: name.to_owned(),
        desired: size,
        set: Some(Set {
            template_is_current: true,
            observed: true,
            replicas: size,
            strategy: Strategy::Partition(size),
            current_revision: "new".to_owned(),
            update_revision: "new".to_owned(),
        }),
        grapes: (0..size).map(|at| (at, grape(&format!("{set_name}-{at}")))).collect(),
        absent: BTreeMap::new(),
        set_name,
    }
}

/// What Grapes see that are in these groups.
fn seen(groups: &[&[&str]]) -> Topology {
    let address = |group: usize, at: usize| format!("10.0.{group}.{at}:20001").parse().unwrap();
    let mut views = Vec::new();
    for (group, names) in groups.iter().enumerate() {
        for (at, name) in names.iter().enumerate() {
            let others = (0..names.len()).filter(|other| *other != at);
            let live = Ok(others.map(|other| address(group, other)).collect());
            views.push(View { name: (*name).to_owned(), address: address(group, at), live });
        }
    }
    Topology::of(&views)
}

const ALL: [&str; 3] = ["market-default-0", "market-default-1", "market-default-2"];

fn well(topology: &Topology) -> HealthSnapshot<'_> {
    HealthSnapshot {
        dead_ends: None,
        topology: Some(topology),
        success: Some(1.0),
        lost_at: &[],
        band: Some(P95Band::of(Duration::from_millis(4))),
        other_networks: None,
    }
}

/// No Grape reports a name that does not resolve.
fn none() -> &'static UnresolvedSeeds {
    static NONE: UnresolvedSeeds = UnresolvedSeeds::new();
    &NONE
}

fn facts<'a>(
    cluster: &'a ValidatedCluster,
    pools: &'a [Pool],
    phase: &'a Phase,
    snapshot: HealthSnapshot<'a>,
) -> Facts<'a> {
    Facts {
        cluster,
        namespace: "trading",
        generation: Some(7),
        image: "grenache/grape:0.1.0",
        rolled_out: "grenache/grape:0.1.0",
        pools,
        leaving: &[],
        phase,
        snapshot,
        unresolved: none(),
        trouble: None,
        blocked: &[],
        services: None,
    }
}

fn told_of(facts: &Facts<'_>) -> String {
    let status = status(facts, None, Timestamp::UNIX_EPOCH);
    lines(&status.conditions)
}

fn lines(conditions: &[Condition]) -> String {
    let line = |it: &Condition| format!("{}={} {}: {}", it.type_, it.status, it.reason, it.message);
    conditions.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn services(counts: Counts) -> Services {
    Services { counts, ..Services::default() }
}

fn names(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn grapes_of_another_network_are_reported_with_what_to_do() {
    let (cluster, pools, topology) = (valid(|_| {}), [pool("default", 3)], seen(&[&ALL]));
    let others = BTreeSet::from(["10.0.9.1:20001".parse().unwrap()]);
    let snapshot = HealthSnapshot { other_networks: Some(&others), ..well(&topology) };
    let facts = facts(&cluster, &pools, &Phase::Settled, snapshot);
    let told = told_of(&facts);
    insta::assert_snapshot!(told.lines().last().unwrap());
    assert!(told.starts_with("Ready=True Healthy"), "they do no harm: {told}");
    let status = status(&facts, None, Timestamp::UNIX_EPOCH);
    let health = health(&facts, &status, &Window::default());
    assert!(health.conditions.contains(&(types::OTHER_NETWORKS, Some(true))));
    let nobody = BTreeSet::new();
    let snapshot = HealthSnapshot { other_networks: Some(&nobody), ..well(&topology) };
    assert!(!told_of(&Facts { snapshot, ..facts }).contains(types::OTHER_NETWORKS));
}

#[test]
fn a_bootstrap_name_that_leads_to_no_grape_is_reported_with_what_to_do() {
    let names = ["old.prod:20001", "[2001:db8::1]:20001"].map(str::to_owned);
    let cluster = valid(|spec| spec.dht.bootstrap = names.to_vec());
    let (pools, topology) = ([pool("default", 3)], seen(&[&ALL]));
    let told = |dead_ends: Option<&DeadEnds>| {
        let snapshot = HealthSnapshot { dead_ends, ..well(&topology) };
        let facts = facts(&cluster, &pools, &Phase::Settled, snapshot);
        let status = status(&facts, None, Timestamp::UNIX_EPOCH);
        let health = health(&facts, &status, &Window::default());
        let last = status.conditions.last().unwrap();
        let is = health.conditions.iter().find(|(kind, _)| *kind == types::BOOTSTRAP_REACHABLE);
        (is.unwrap().1, lines(&[status.conditions[0].clone(), last.clone()]))
    };
    assert_eq!(told(None).0, None, "nobody has told of it yet");
    let (is, well) = told(Some(&DeadEnds::new()));
    assert_eq!(is, Some(true));
    let unresolved = DeadEnd {
        trouble: Trouble::Unresolved("Name does not resolve".to_owned()),
        alone: BTreeSet::new(),
    };
    let unanswered = DeadEnd {
        trouble: Trouble::Unanswered(vec!["[2001:db8::1]:20001".parse().unwrap()]),
        alone: ["market-default-1".to_owned()].into(),
    };
    let mut dead_ends: DeadEnds = [("gone.from.the.spec:1".to_owned(), unresolved.clone())].into();
    assert_eq!(told(Some(&dead_ends)).1, well, "one that the spec has not is none");
    dead_ends.insert("old.prod:20001".to_owned(), unresolved);
    let (is, one) = told(Some(&dead_ends));
    assert_eq!(is, Some(false));
    dead_ends.insert("[2001:db8::1]:20001".to_owned(), unanswered);
    let (_, two) = told(Some(&dead_ends));
    insta::assert_snapshot!([well, one, two].join("\n\n"));
}

#[test]
fn the_docs_have_every_condition_reason_and_event() {
    let page = include_str!("../../../../docs/conditions.md");
    let quoted = |text: &str| -> Vec<String> {
        text.split('"').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let declared = |source: &str, begins: &str| -> Vec<String> {
        source.lines().filter(|line| line.starts_with(begins)).flat_map(quoted).collect()
    };
    let mut names = declared(include_str!("reasons.rs"), "pub const ");
    names.extend(declared(include_str!("types.rs"), "pub const "));
    assert!(names.len() > 40, "{names:?}");
    let published = include_str!("../events.rs").lines().filter(|line| line.contains(".publish("));
    names.extend(published.flat_map(quoted).filter(|name| name.starts_with(char::is_uppercase)));
    let injection = include_str!("../../inject/mod.rs").split("pub enum Reason {").nth(1).unwrap();
    let variants = injection.lines().take_while(|line| *line != "}").map(str::trim);
    let variants = variants.filter(|line| line.starts_with(char::is_uppercase));
    let is_told = |name: &&str| {
        !["Injected", "Completed", "AlreadyInjected", "NotAsked", "OptedOut"].contains(name)
    };
    names
        .extend(variants.map(|name| name.trim_end_matches(',')).filter(is_told).map(str::to_owned));
    // Verbs of events: what the operator was about to do.
    let actions = ["Apply", "Prune", "Validate", "Report"];
    names.retain(|name| !actions.contains(&&**name));
    let missing: Vec<_> =
        names.iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/conditions.md does not have {missing:?}");
}

#[test]
fn a_cluster_that_is_well() {
    let (cluster, pools, topology) = (valid(|_| {}), [pool("default", 3)], seen(&[&ALL]));
    let facts = facts(&cluster, &pools, &Phase::Settled, well(&topology));
    insta::assert_snapshot!(told_of(&facts));
    let rest = GrapeClusterStatus {
        conditions: Vec::new(),
        ..status(&facts, None, Timestamp::UNIX_EPOCH)
    };
    insta::assert_yaml_snapshot!(rest);
}

#[test]
fn a_cluster_that_starts() {
    let cluster = valid(|_| {});
    let mut one = pool("default", 3);
    one.grapes = BTreeMap::from([(0, GrapePod { ready: false, ..grape("market-default-0") })]);
    insta::assert_snapshot!(told_of(&facts(
        &cluster,
        &[one],
        &Phase::Settled,
        HealthSnapshot::default()
    )));
}

#[test]
fn a_pod_that_a_quota_refuses() {
    let (mut cluster, topology) = (valid(|_| {}), seen(&[&ALL[..2]]));
    let mut one = pool("default", 3);
    one.grapes.remove(&2);
    let blocked = [Blocked {
        set: "market-default".to_owned(),
        pod: ALL[2].to_owned(),
        why: "pods \"market-default-2\" is forbidden: exceeded quota: few".to_owned(),
    }];
    let pools = [one];
    let rolling = Phase::Rolling(Wait::Ready(ALL[2].to_owned()));
    let told = |cluster: &ValidatedCluster, phase: &Phase| {
        let facts = facts(cluster, &pools, phase, well(&topology));
        told_of(&Facts { blocked: &blocked, ..facts })
    };
    insta::assert_snapshot!(told(&cluster, &Phase::Settled));
    assert_eq!(told(&cluster, &rolling), told(&cluster, &Phase::Settled), "it waits for nothing");
    cluster.paused = true;
    insta::assert_snapshot!(told(&cluster, &Phase::Settled));
}

#[test]
fn a_change_on_its_way() {
    let (cluster, topology) = (valid(|_| {}), seen(&[&ALL[..2]]));
    let mut one = pool("default", 3);
    for at in [0, 1] {
        one.grapes.get_mut(&at).unwrap().revision = "old".to_owned();
    }
    one.grapes.get_mut(&2).unwrap().ready = false;
    let phase = Phase::Rolling(Wait::Ready("market-default-2".to_owned()));
    insta::assert_snapshot!(told_of(&facts(&cluster, &[one], &phase, well(&topology))));
}

#[test]
fn a_change_that_does_not_start() {
    let (cluster, topology) = (valid(|_| {}), seen(&[&ALL[..2]]));
    let mut one = pool("default", 3);
    for at in [0, 1] {
        one.grapes.get_mut(&at).unwrap().revision = "old".to_owned();
    }
    let why = "its image grenache/grape:9 cannot be fetched";
    one.grapes.insert(2, GrapePod { ready: false, failing: Some(why.into()), ..grape(ALL[2]) });
    let phase = Phase::Stalled { pod: ALL[2].to_owned(), why: why.to_owned() };
    insta::assert_snapshot!(told_of(&facts(&cluster, &[one], &phase, well(&topology))));
}

#[test]
fn groups_that_do_not_see_each_other() {
    let (cluster, pools) = (valid(|_| {}), [pool("default", 3)]);
    let topology = seen(&[&ALL[..2], &ALL[2..]]);
    let lost_at = names("market-default-2");
    let snapshot = HealthSnapshot { success: Some(0.5), lost_at: &lost_at, ..well(&topology) };
    let facts = facts(&cluster, &pools, &Phase::Settled, snapshot);
    insta::assert_snapshot!(told_of(&facts));
    let status = status(&facts, None, Timestamp::UNIX_EPOCH);
    insta::assert_yaml_snapshot!(status.topology);
}

#[test]
fn the_band_of_a_status_is_found_again() {
    let (cluster, pools, topology) = (valid(|_| {}), [pool("default", 3)], seen(&[&ALL]));
    let snapshot = well(&topology);
    let shown =
        status(&facts(&cluster, &pools, &Phase::Settled, snapshot), None, Timestamp::UNIX_EPOCH);
    assert_eq!(band(&shown), snapshot.band);
    assert_eq!(band(&GrapeClusterStatus::default()), None);
}

#[test]
fn lookups_that_fail() {
    let (cluster, pools, topology) = (valid(|_| {}), [pool("default", 3)], seen(&[&ALL]));
    let lost_at = names("market-default-2");
    let snapshot = HealthSnapshot { success: Some(0.949), lost_at: &lost_at, ..well(&topology) };
    insta::assert_snapshot!(told_of(&facts(&cluster, &pools, &Phase::Settled, snapshot)));
}

#[test]
fn a_grape_that_is_away() {
    let (cluster, topology) = (valid(|_| {}), seen(&[&ALL[..2]]));
    let mut one = pool("default", 3);
    one.grapes.get_mut(&2).unwrap().ready = false;
    insta::assert_snapshot!(told_of(&facts(&cluster, &[one], &Phase::Settled, well(&topology))));
}

#[test]
fn an_object_that_is_refused() {
    let (cluster, topology) = (valid(|_| {}), seen(&[&ALL]));
    let pools = [pool("default", 3)];
    let error = Error::Refused {
        kind: "StatefulSet".to_owned(),
        name: "market-default".to_owned(),
        message: "spec.template.spec.affinity: Required value".to_owned(),
    };
    let facts = Facts {
        trouble: Some(&error),
        ..facts(&cluster, &pools, &Phase::Settled, well(&topology))
    };
    insta::assert_snapshot!(told_of(&facts));
}

#[test]
fn the_status_of_a_paused_cluster_is_still_reported() {
    let (cluster, topology) = (valid(|spec| spec.paused = true), seen(&[&ALL]));
    let pools = [pool("default", 3)];
    insta::assert_snapshot!(told_of(&facts(&cluster, &pools, &Phase::Settled, well(&topology))));
}

#[test]
fn each_pool_has_its_own_status() {
    let zone =
        |name: &str, replicas| PoolSpec { name: name.to_owned(), replicas, ..PoolSpec::default() };
    let cluster = valid(|spec| {
        spec.replicas = 6;
        spec.pools = vec![zone("zone-1", Some(4)), zone("zone-2", None)];
    });
    let mut pools = [pool("zone-1", 4), pool("zone-2", 2)];
    pools[1].grapes.get_mut(&1).unwrap().ready = false;
    let leaving = [pool("default", 1)];
    let facts = Facts {
        leaving: &leaving,
        ..facts(&cluster, &pools, &Phase::Settled, HealthSnapshot::default())
    };
    let status = status(&facts, None, Timestamp::UNIX_EPOCH);
    assert_eq!(status.summary.pools, "zone-1 4/4, zone-2 1/2");
    assert_eq!((&*status.summary.grapes, &*status.summary.lookups), ("5/6", "-"));
    assert_eq!((status.replicas, status.pools.len()), (7, 3));
}

#[test]
fn an_invalid_spec_keeps_the_last_status() {
    let (cluster, topology) = (valid(|_| {}), seen(&[&ALL]));
    let pools = [pool("default", 3)];
    let before = status(
        &facts(&cluster, &pools, &Phase::Settled, well(&topology)),
        None,
        Timestamp::UNIX_EPOCH,
    );
    let bad = Invalid {
        field: "spec.replicas".to_owned(),
        problem: "0 is too small".to_owned(),
        expected: "a whole number from 1 to 1000".to_owned(),
    };
    let now = Timestamp::from_second(60).unwrap();
    let after = invalid(&[bad], Some(&before), Some(8), now);
    insta::assert_snapshot!(lines(&after.conditions));
    assert_eq!((after.ready_replicas, after.observed_generation), (3, Some(8)));
}

#[test]
fn times_are_those_of_changes() {
    let (cluster, topology) = (valid(|_| {}), seen(&[&ALL]));
    let pools = [pool("default", 3)];
    let facts = facts(&cluster, &pools, &Phase::Settled, well(&topology));
    let first = status(&facts, None, Timestamp::from_second(100).unwrap());
    let later = status(&facts, Some(&first), Timestamp::from_second(200).unwrap());
    assert_eq!(first, later, "nothing has changed: nothing is written");

    let snapshot = HealthSnapshot { success: Some(0.5), ..facts.snapshot };
    let worse = Facts { snapshot, ..facts };
    let changed = status(&worse, Some(&first), Timestamp::from_second(300).unwrap());
    let time = |kind: &str| {
        let condition = changed.conditions.iter().find(|it| it.type_ == kind).unwrap();
        condition.last_transition_time.0.as_second()
    };
    assert_eq!((time(types::LOOKUP_HEALTHY), time(types::BOOTSTRAPPED)), (300, 100));
}
