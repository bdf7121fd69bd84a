//! Ten pods that are a group by an annotation: one is killed, one moves, one node is cut off. A
//! service in Python follows the group.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use grape_tests::kubernetes::operator::is_somebody_elses;
use grape_tests::kubernetes::{Operator, images, pod_processes, service_pod};
use grape_tests::programs::Talks;
use grape_tests::{figure, pages, wait};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::cut_off::CutOff;
use super::super::pods;
use super::parts::idle;
use super::stage::{LABEL, Service, Stage, ZONES};

const GROUP: &str = "workers";
const FOLLOWER: &str = "follower";
/// Those that stay on the first node; the follower is there too.
const NEAR: [&str; 3] = ["near-0", "near-1", "near-2"];
/// Those on the node that is cut off.
const FAR: [&str; 4] = ["far-0", "far-1", "far-2", "far-3"];
const DIES: &str = "dies";
const MOVES: &str = "moves";
/// Far beyond the half a minute after which the parts of a group look for each other.
const BOUND: Duration = Duration::from_secs(240);

/// The addresses of members, by the names of their pods.
type Members = BTreeMap<String, String>;

#[tokio::test]
async fn a_group_of_pods_sees_who_dies_who_moves_and_who_is_cut_off() {
    if is_somebody_elses().unwrap() {
        return;
    }
    // It cuts a node off.
    let operator = Operator::alone().await.unwrap();
    images::load(operator.cluster(), "python").unwrap();
    let stage = Stage::new(&operator, "gossip").await;
    let program = pages::program("gossip.md", "python").unwrap();
    stage.make(member(service_pod::python(FOLLOWER, ZONES[0], &program))).await;
    for name in NEAR {
        stage.make(worker(name, 0, "Always")).await;
    }
    for name in FAR {
        stage.make(worker(name, 1, "Always")).await;
    }
    // Its node does not start it again.
    stage.make(worker(DIES, 1, "Never")).await;
    stage.make(worker(MOVES, 1, "Always")).await;
    let workers = pods::ready(stage.cluster.pods(), "group=workers", 9).await;
    let mut follower = stage.ready(FOLLOWER).await;
    let mut members: Members = workers.iter().map(|pod| (pod.name_any(), address(pod))).collect();
    members.insert(FOLLOWER.to_owned(), address(&follower.pod));
    let all: Vec<_> = members.keys().cloned().collect();
    all_see(&stage, &all, &members, "ten pods").await;
    let others = members.iter().filter(|(name, _)| *name != FOLLOWER);
    told(&mut follower, "new_peer", others.map(|(_, address)| address)).await;

    let dies = workers.iter().find(|pod| pod.name_any() == DIES).unwrap();
    let killed = Instant::now();
    // What runs in it beside its Grape is the command `grape`.
    pod_processes::kill(dies, &["grape", "grape"]).unwrap();
    let dead = members.remove(DIES).unwrap();
    told(&mut follower, "peer_failed", [&dead]).await;
    figure::took("gossip: a pod killed, the Python service is told", killed.elapsed());
    let all: Vec<_> = members.keys().cloned().collect();
    all_see(&stage, &all, &members, "the killed one failed").await;

    stage.kubectl(&["delete", "pod", MOVES, "--wait"]);
    let left = members.remove(MOVES).unwrap();
    stage.make(worker(MOVES, 0, "Always")).await;
    let moved = pods::ready(stage.cluster.pods(), &format!("app={MOVES}"), 1).await.remove(0);
    assert_eq!(pods::node(&moved), "n1");
    members.insert(MOVES.to_owned(), address(&moved));
    all_see(&stage, &all, &members, "one moved to the other node").await;
    told(&mut follower, "peer_failed", [&left]).await;
    told(&mut follower, "new_peer", [&address(&moved)]).await;

    let (far, near): (Members, Members) =
        members.clone().into_iter().partition(|(name, _)| FAR.contains(&name.as_str()));
    let begun = Instant::now();
    let cut = CutOff::begin(operator.cluster(), 2);
    told(&mut follower, "peer_failed", far.values()).await;
    figure::took("gossip: a node cut off, the Python service is told", begun.elapsed());
    let here: Vec<_> = near.keys().cloned().collect();
    all_see(&stage, &here, &near, "those of the node that is cut off failed").await;
    drop(cut);
    all_see(&stage, &all, &members, "they are alive again").await;
    told(&mut follower, "peer_alive", far.values()).await;
}

/// A pod that only waits, and is a member by its Grape.
fn worker(name: &str, zone: usize, restarts: &str) -> Value {
    let mut pod = serde_json::to_value(idle(name, GROUP)).unwrap();
    pod["metadata"]["labels"]["app"] = name.into();
    pod["spec"]["restartPolicy"] = restarts.into();
    pod["spec"]["nodeSelector"] = json!({"topology.kubernetes.io/zone": ZONES[zone]});
    member(pod)
}

fn member(mut pod: Value) -> Value {
    pod["metadata"]["labels"][LABEL] = "market".into();
    pod["metadata"]["annotations"] = json!({"grenache.dev/gossip": GROUP});
    pod
}

/// Where the Grape of a pod is a member.
fn address(pod: &Pod) -> String {
    let ip = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref());
    format!("{}:20001", ip.unwrap_or_else(|| panic!("{} has no address", pod.name_any())))
}

/// Waits until each of these pods sees just these members alive, itself aside, by their pods' names.
async fn all_see(stage: &Stage<'_>, pods: &[String], members: &Members, what: &str) {
    let begun = Instant::now();
    for pod in pods {
        let mut others = members.clone();
        others.remove(pod);
        wait::until_within(BOUND, &format!("{what}: {pod} sees it"), async || {
            let live = live(stage, pod)?;
            if live == others { Ok(()) } else { Err(format!("{live:?}, and not {others:?}")) }
        })
        .await
        .unwrap();
    }
    figure::took(&format!("gossip: {what}, seen by all {}", pods.len()), begun.elapsed());
}

/// The members that are alive for the Grape of a pod.
fn live(stage: &Stage<'_>, pod: &str) -> Result<Members, String> {
    let exec = ["exec", pod, "--container", "grape", "--", "grape", "gossip", "peers", GROUP];
    let shown = stage.cluster.kubectl(&[&exec[..], &["--state", "live", "-o", "json"]].concat());
    let shown = shown.map_err(|error| format!("{error:#}"))?;
    let peers: Vec<Value> = serde_json::from_str(&shown).map_err(|error| error.to_string())?;
    let text = |peer: &Value, field: &str| peer[field].as_str().unwrap_or_default().to_owned();
    Ok(peers.iter().map(|peer| (text(peer, "pod"), text(peer, "address"))).collect())
}

/// Waits until the service has printed such an event of each of these members.
async fn told<'a>(follower: &mut Service, kind: &str, of: impl IntoIterator<Item = &'a String>) {
    let mut missing: BTreeSet<_> = of.into_iter().map(String::as_str).collect();
    while !missing.is_empty() {
        let event = follower.event(kind).await;
        let event = event.unwrap_or_else(|error| panic!("no {kind} of {missing:?}: {error:#}"));
        missing.remove(event["peer"].as_str().unwrap_or_default());
    }
}
