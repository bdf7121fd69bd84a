//! Which Grapes know each other.

use std::time::Duration;

use grape_operator::observe::call::{CallError, Limits};
use grape_operator::observe::canary::ProbeResult;
use grape_operator::observe::{Observation, Observer};
use tokio::time::timeout;

use crate::targets::{DEADLINE, join, kill, start, targets, until};

#[tokio::test]
async fn three_joined_grapes_are_one_partition_and_find_each_other() {
    let targets = targets(3);
    let grapes = join(&targets).await;
    let observer = Observer::default();
    // A controller observes in tasks of its own.
    let seen = tokio::spawn({
        let targets = targets.clone();
        async move { observer.observe(&targets, &[], 0).await }
    });
    let seen = seen.await.unwrap();

    let names: Vec<_> = targets.iter().map(|target| target.name.clone()).collect();
    let topology = &seen.topology;
    assert_eq!(
        topology.partitions.iter().map(|partition| &partition[..]).collect::<Vec<_>>(),
        [&names[..]]
    );
    assert_eq!((topology.answered, topology.nodes, topology.min_known_nodes), (3, 2, 2));
    assert!(topology.unreachable.is_empty() && topology.sees_too_few.is_empty(), "{topology:?}");
    assert_eq!(seen.answers.keys().collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
    for (grape, answer) in grapes.iter().zip(seen.answers.values()) {
        assert_eq!(answer.id, grape.status().id);
        assert_eq!((answer.ready, answer.draining, answer.nodes), (true, false, 2));
        assert_eq!(answer.version, env!("CARGO_PKG_VERSION"));
    }
    assert_eq!(seen.probes.len(), 3);
    for probe in &seen.probes {
        assert!(
            matches!(probe.result, ProbeResult::Found(_)) && probe.begun >= seen.at,
            "{probe:?}"
        );
        assert_ne!(probe.announcer, probe.looker);
    }
}

#[tokio::test]
async fn two_pairs_that_do_not_know_each_other_are_two_partitions() {
    let targets = targets(4);
    let _grapes = (join(&targets[..2]).await, join(&targets[2..]).await);
    let seen = Observer::default().observe(&targets, &[], 0).await;
    let [a, b, c, d] = [0, 1, 2, 3].map(|index: usize| targets[index].name.clone());
    assert_eq!(seen.topology.partitions, [[a, b], [c, d]]);
    assert!(seen.topology.is_partitioned());
    assert_eq!(seen.topology.sees_too_few.len(), 4, "each sees one of three others");
}

#[tokio::test]
async fn a_grape_that_is_gone_is_unreachable_and_sends_no_canaries() {
    let targets = targets(3);
    let mut grapes = join(&targets).await;
    kill(grapes.remove(1)).await;
    let gone = &targets[1].name;
    let seen = Observer::default().observe(&targets, &[], 0).await;
    let unreachable = &seen.topology.unreachable;
    assert_eq!(unreachable.len(), 1);
    assert_eq!((&unreachable[0].name, &unreachable[0].why), (gone, &CallError::Refused));
    let [first, last] = [0, 2].map(|index: usize| &targets[index].name);
    assert_eq!(seen.topology.partitions, [[first.clone(), last.clone()]]);
    assert!(!seen.answers.contains_key(gone));
    let pairs: Vec<_> = seen.probes.iter().map(|it| (&it.announcer, &it.looker)).collect();
    assert_eq!(pairs, [(first, last), (last, first)]);
    assert!(seen.probes.iter().all(|it| matches!(it.result, ProbeResult::Found(_))));
    assert!(grapes.iter().all(|grape| grape.status().announced.is_empty()));
}

#[tokio::test]
async fn a_grape_that_started_again_counts_once() {
    let targets = targets(3);
    let mut grapes = join(&targets).await;
    let before = grapes[2].status().id;
    kill(grapes.remove(2)).await;
    grapes.push(start(&targets, 2).await);
    let after = grapes[2].status().id;
    assert_ne!(before, after);
    for grape in &grapes[..2] {
        let met = || grape.status().neighbours.iter().any(|other| other.id == after);
        until("the others have met it", met).await;
    }
    until("it has met the others", || grapes[2].status().neighbours.len() >= 2).await;
    let seen = Observer::default().observe(&targets, &[], 1).await;
    assert_eq!((seen.topology.nodes, seen.topology.min_known_nodes), (2, 2));
    assert_eq!(seen.topology.partitions.len(), 1);
    assert_eq!(seen.answers[&targets[2].name].id, after);
}

#[tokio::test]
async fn fifty_grapes_become_one_partition_that_finds_all() {
    let targets = targets(50);
    let _grapes = join(&targets).await;
    // On a busy machine they are slow for a while, and suspect each other.
    let patient = Limits { timeout: Duration::from_secs(10), ..Limits::default() };
    let observer = Observer::new(patient);
    let mut round = 0;
    let well = async {
        loop {
            let Observation { topology, probes, .. } = observer.observe(&targets, &[], round).await;
            round += 1;
            let found = probes.iter().all(|probe| matches!(probe.result, ProbeResult::Found(_)));
            let whole = (topology.answered, topology.partitions.len()) == (50, 1);
            let known = topology.sees_too_few.is_empty() && topology.min_known_nodes >= 20;
            if found && whole && known && probes.len() >= 7 {
                return;
            }
        }
    };
    assert!(timeout(DEADLINE, well).await.is_ok(), "not well in {round} rounds");
}
