//! A service of ten pods that is changed under constant calls, by a client that looks it up for each
//! and by one that keeps what it found for as long as npm's Link does.

use std::collections::BTreeSet;
use std::time::Duration;

use grape_tests::figure;
use grape_tests::kubernetes::{Operator, service_pod};
use grape_tests::programs::Talks;
use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::pods;
use super::stage::{GRAPE, LABEL, PORT, Service, Stage, ZONES, deployment};

const PODS: usize = 10;

/// How long the containers of a pod that is to end go on, as an annotation says it.
const DRAIN: &str = "90s";

/// Far longer than the former pods take to end.
const ENDS: Duration = Duration::from_secs(5 * 60);

#[tokio::test]
async fn no_call_fails_while_ten_pods_are_replaced() {
    let operator = Operator::shared().await.unwrap();
    let stage = Stage::new(&operator, "rolling").await;
    let client = operator.cluster().client();
    let deployments: Api<Deployment> = Api::namespaced(client, stage.cluster.namespace());
    let made = deployment(service(), PODS);
    deployments.create(&PostParams::default(), &made).await.unwrap();
    let former = rolled_out(&stage).await;
    let mut callers = Vec::new();
    let asks = json!({"name": "rpc_test", "kept": 1});
    let keeps = json!({"name": "rpc_test"});
    for (zone, (name, more)) in [("asks", asks), ("keeps", keeps)].into_iter().enumerate() {
        stage.start(name, zone, "caller.js", more).await;
        callers.push(stage.ready(name).await);
    }
    for caller in &mut callers {
        caller.event("second").await.unwrap();
    }

    let begun = Instant::now();
    let change = json!({"spec": {"template": {"metadata": {"annotations": {"changed": "yes"}}}}});
    deployments.patch("rpc", &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
    let latter = rolled_out(&stage).await;
    let took = begun.elapsed();
    figure::took("a Deployment of ten pods, replaced", took);
    for (number, caller) in callers.iter_mut().enumerate() {
        let by = flawless(number, caller, took).await;
        assert!(!by.is_disjoint(&former), "served by {by:?}, none of which was there before");
        assert!(!by.is_disjoint(&latter), "served by {by:?}, none of which was there after");
    }
}

/// Waits until all its pods are new ones, and the old ones gone. Returns their names.
async fn rolled_out(stage: &Stage<'_>) -> BTreeSet<String> {
    stage.kubectl(&["rollout", "status", "deployment/rpc", "--timeout=3m"]);
    let pods = pods::ready_within(ENDS, stage.cluster.pods(), "app=rpc", PODS).await;
    pods.iter().map(ResourceExt::name_any).collect()
}

/// Checks the results of all calls of a caller so far. Returns the pods that answered.
async fn flawless(number: usize, caller: &mut Service, during: Duration) -> BTreeSet<String> {
    let (mut calls, mut slowest, mut by) = (0, 0, BTreeSet::new());
    for _ in 0..during.as_secs() + 2 {
        let second = caller.event("second").await.unwrap();
        assert_eq!(second["failures"], json!([]), "{second}");
        calls += second["calls"].as_u64().unwrap();
        slowest = slowest.max(second["slowest"].as_u64().unwrap());
        by.extend(second["hosts"].as_object().unwrap().keys().cloned());
    }
    figure::tell(&format!("caller {number}: {calls} calls, none failed, slowest {slowest} ms"));
    by
}

/// With the time that Kubernetes gives a pod to end. Its containers go on for longer than by default:
/// a Grape withdraws its service by a hook, and a node that is short of CPU begins a hook late.
fn service() -> Value {
    let argument = json!({"grape": GRAPE, "name": "rpc_test", "port": PORT});
    let mut pod = service_pod::node_js("rpc", ZONES[0], "rpc_server.js", &argument);
    pod["metadata"]["labels"][LABEL] = "market".into();
    pod["metadata"]["annotations"] = json!({"grenache.dev/drain": DRAIN});
    pod["spec"].as_object_mut().unwrap().remove("terminationGracePeriodSeconds");
    pod
}
