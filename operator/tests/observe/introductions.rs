//! Grapes that do not know each other, and are introduced.

use grape_operator::observe::sidecars::InjectedSidecar;
use grape_operator::observe::{Observer, Target};

use crate::targets::{Parrot, join, ok, start_alone, targets, until};

fn sidecar(target: &Target) -> InjectedSidecar {
    let Target { name, ip, admin_port, dht_port, .. } = target.clone();
    InjectedSidecar { name: format!("{ip}/{name}"), ip, admin_port, dht_port, seed: String::new() }
}

#[tokio::test]
async fn parts_that_a_look_finds_come_together() {
    let targets = targets(5);
    let (first, second) = (join(&targets[..3]).await, join(&targets[3..]).await);
    let observer = Observer::default();
    let seen = observer.observe(&targets, &[], 0).await;
    assert_eq!(seen.topology.partitions.len(), 2, "as it was before");
    for grape in first.iter().chain(&second) {
        until("it knows all", || grape.status().nodes == 4).await;
    }
    let seen = observer.observe(&targets, &[], 1).await;
    assert_eq!(seen.topology.partitions.len(), 1);
}

#[tokio::test]
async fn grapes_of_services_come_together_with_new_ones_of_the_cluster() {
    let (own, services) = (targets(2), targets(25));
    let _services = join(&services).await;
    let grapes = join(&own).await;
    let sidecars: Vec<_> = services.iter().take(16).map(sidecar).collect();
    let observer = Observer::default();
    observer.observe(&own, &sidecars, 0).await;
    for grape in &grapes {
        until("it knows all", || grape.status().nodes >= 20).await;
    }
}

/// The others are of a release that takes no introductions, and answers as it does.
#[tokio::test]
async fn one_side_that_takes_introductions_is_enough() {
    let targets = targets(3);
    let grapes = join(&targets[..2]).await;
    let mut old = targets[2].clone();
    let (alone, status) = start_alone(&old, None).await;
    // In front of its pages, which know of introductions.
    old.admin_port += 1;
    let _pages = Parrot::start(old.admin(), ok(&status), std::time::Duration::ZERO).await;
    let all = [targets[0].clone(), targets[1].clone(), old];
    Observer::default().observe(&all, &[], 0).await;
    until("it knows the others", || alone.status().nodes == 2).await;
    until("they know it", || grapes.iter().all(|grape| grape.status().nodes == 2)).await;
}

#[tokio::test]
async fn grapes_that_start_need_no_name_server() {
    let targets = targets(3);
    let mut grapes = Vec::new();
    for target in &targets {
        grapes.push(start_alone(target, Some("grape.invalid:1")).await.0);
    }
    assert!(grapes.iter().all(|grape| !grape.status().ready));
    let observer = Observer::default();
    observer.welcome(&targets, &[], &[], false).await;
    for grape in &grapes {
        until("it is ready", || grape.status().ready).await;
        until("it knows the others", || grape.status().nodes == 2).await;
    }
}

#[tokio::test]
async fn a_sole_grape_learns_that_it_is_the_first() {
    let targets = targets(1);
    let (grape, _) = start_alone(&targets[0], Some("grape.invalid:1")).await;
    let observer = Observer::default();
    observer.welcome(&targets, &[], &[], false).await;
    assert!(!grape.status().ready, "others are still to come");
    observer.welcome(&targets, &[], &[], true).await;
    until("it is ready", || grape.status().ready).await;
}

#[tokio::test]
async fn grapes_of_different_networks_are_not_joined() {
    let targets = targets(2);
    let mut grapes = Vec::new();
    for (target, network) in targets.iter().zip(["prod.market", "test.market"]) {
        grapes.push(crate::targets::start_in(target, network).await);
    }
    let observer = Observer::default();
    let seen = observer.observe(&targets, &[], 0).await;
    assert!(seen.topology.is_partitioned() && seen.other_networks.is_empty());
    for (grape, other) in grapes.iter().zip(targets.iter().rev()) {
        until("it tells of the other", || grape.status().other_networks == [other.dht()]).await;
    }
    let seen = observer.observe(&targets, &[], 1).await;
    assert!(seen.topology.is_partitioned());
    assert_eq!(seen.other_networks, targets.iter().map(Target::dht).collect());
}
