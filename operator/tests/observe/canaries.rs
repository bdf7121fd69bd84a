//! Canaries: which are found, which are not, and that none are left over.

use std::time::Duration;

use grape_operator::observe::call::{CallError, Limits};
use grape_operator::observe::canary::{Probe, ProbeResult};
use grape_operator::observe::{Observer, Target};
use hyper::StatusCode;

use crate::targets::{Parrot, join, ok, silence, start_in, targets, until};

#[tokio::test]
async fn a_single_grape_finds_itself() {
    let targets = targets(1);
    let _grape = join(&targets).await;
    let seen = Observer::default().observe(&targets, &[], 7).await;
    assert_eq!(seen.topology.partitions, [[targets[0].name.clone()]]);
    assert_eq!(seen.probes.len(), 1);
    let Probe { announcer, looker, result, .. } = &seen.probes[0];
    assert_eq!((announcer, looker), (&targets[0].name, &targets[0].name));
    assert!(matches!(result, ProbeResult::Found(_)), "{result:?}");
}

#[tokio::test]
async fn a_canary_of_another_partition_is_not_found() {
    let targets = targets(4);
    // Of two networks: those of one would be introduced to each other, and be one partition.
    let mut grapes = Vec::new();
    for (index, target) in targets.iter().enumerate() {
        grapes.push(start_in(target, if index < 2 { "one" } else { "two" }).await);
    }
    let observer = Observer::default();
    for pair in [&targets[..2], &targets[2..]] {
        observer.welcome(pair, &[], &[], false).await;
    }
    for grape in &grapes {
        until("it knows its neighbour", || grape.status().neighbours.len() == 1).await;
    }
    for round in 0..3 {
        for Probe { announcer, looker, result, .. } in
            observer.observe(&targets, &[], round).await.probes
        {
            let is_first = |name: &str| targets[..2].iter().any(|target| target.name == *name);
            match result {
                ProbeResult::Found(_) => assert_eq!(is_first(&announcer), is_first(&looker)),
                ProbeResult::NotFound => assert_ne!(is_first(&announcer), is_first(&looker)),
                ProbeResult::Failed { .. } => panic!("{announcer} {looker} {result:?}"),
            }
        }
    }
}

#[tokio::test]
async fn nothing_of_a_canary_is_left() {
    let targets = targets(3);
    let grapes = join(&targets).await;
    let seen = Observer::default().observe(&targets, &[], 0).await;
    assert!(seen.probes.iter().all(|probe| matches!(probe.result, ProbeResult::Found(_))));
    for grape in &grapes {
        let status = grape.status();
        assert!(status.announced.is_empty(), "{:?}", status.announced);
        assert_eq!(status.names_held, 0);
    }
}

#[tokio::test]
async fn a_canary_is_withdrawn_after_a_failed_lookup_too() {
    let mut targets = targets(2);
    let grapes = join(&targets).await;
    let page = ok(r#""ERR_GRAPE_LOOKUP""#);
    // The second Grape's API is replaced by a port that refuses connections.
    let elsewhere = Target { api_port: targets[1].api_port + 1, ..targets[1].clone() };
    let _parrot = Parrot::start(elsewhere.api(), page, Duration::ZERO).await;
    targets[1] = elsewhere;
    let seen = Observer::default().observe(&targets, &[], 0).await;
    assert_eq!(
        failures(&seen.probes),
        [
            (&*targets[1].name, r#"/lookup answered "ERR_GRAPE_LOOKUP""#.to_owned()),
            (&*targets[1].name, r#"/announce answered "ERR_GRAPE_LOOKUP""#.to_owned()),
        ]
    );
    assert!(grapes[0].status().announced.is_empty());
}

#[tokio::test]
async fn a_server_that_is_no_grape_fails_the_probe() {
    let mut targets = targets(2);
    let _grapes = join(&targets).await;
    targets[0].api_port = targets[0].admin_port;
    let seen = Observer::default().observe(&targets, &[], 0).await;
    for probe in &seen.probes {
        let why = CallError::Status(StatusCode::NOT_FOUND);
        assert_eq!(probe.result, ProbeResult::Failed { at: targets[0].name.clone(), why });
    }
}

#[tokio::test]
async fn a_grape_that_hangs_fails_its_probes_within_the_time_out() {
    let timeout = Duration::from_secs(1);
    let mut targets = targets(3);
    let _grapes = join(&targets).await;
    targets[2].api_port += 1;
    let _listener = silence(targets[2].ip, targets[2].api_port);
    let started = grape::clock::now();
    let seen =
        Observer::new(Limits { timeout, ..Limits::default() }).observe(&targets, &[], 0).await;
    let took = started.elapsed();
    let hangs = format!("no answer in {timeout:?}");
    let failed = failures(&seen.probes);
    assert_eq!(failed, [(&*targets[2].name, hangs.clone()), (&*targets[2].name, hangs)]);
    // An announce and a withdrawal, one after the other, and not one probe after the other.
    assert!(took >= 2 * timeout && took < 3 * timeout, "{took:?}");
}

#[tokio::test]
async fn seats_that_are_not_ready_are_asked_and_send_no_canaries() {
    let mut targets = targets(3);
    let _grapes = join(&targets).await;
    targets[0].ready = false;
    let seen = Observer::default().observe(&targets, &[], 0).await;
    assert_eq!(seen.topology.answered, 3);
    let pairs: Vec<_> =
        seen.probes.iter().map(|probe| (&*probe.announcer, &*probe.looker)).collect();
    let [_, b, c] = [0, 1, 2].map(|index: usize| &*targets[index].name);
    assert_eq!(pairs, [(b, c), (c, b)]);
}

/// Where probes failed, and why.
fn failures(probes: &[Probe]) -> Vec<(&str, String)> {
    let failure = |probe| match probe {
        &Probe { result: ProbeResult::Failed { ref at, ref why }, .. } => {
            Some((at.as_str(), why.to_string()))
        }
        _ => None,
    };
    probes.iter().filter_map(failure).collect()
}
