//! From `spec: {}` to Grapes that services use, and to nothing again.

use std::collections::BTreeSet;
use std::time::Duration;

use grape_tests::kubernetes::grape_cluster::{GRAPES, NAME};
use grape_tests::kubernetes::{GrapeCluster, Operator, service_pod};
use grape_tests::{figure, wait};
use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::pods;

#[tokio::test]
async fn an_empty_spec_is_three_grapes_that_services_use() {
    let operator = Operator::shared().await.unwrap();
    let begun = Instant::now();
    // Its namespace takes no pods but those that keep the restricted Pod Security Standard.
    let cluster = GrapeCluster::make(&operator, "first-use", json!({})).await.unwrap();
    let status = cluster.until_ready().await.unwrap();
    figure::took("spec: {} is three Grapes, Ready", begun.elapsed());

    assert_eq!(status["summary"]["grapes"], "3/3");
    assert_eq!(status["endpoint"], cluster.endpoint());
    let table = cluster.kubectl(&["get", "gcl"]).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().map(|it| it.split_whitespace().collect()).collect();
    assert_eq!(rows[0][..4], ["NAME", "READY", "GRAPES", "POOLS"], "{table}");
    assert_eq!(rows[1][..5], [NAME, "True", "3/3", "default", "3/3"], "{table}");
    assert!(rows[1].contains(&"Healthy"), "{table}");

    let grapes = pods::ready(cluster.pods(), GRAPES, 3).await;
    let nodes: BTreeSet<&str> = grapes.iter().map(pods::node).collect();
    assert_eq!(nodes.len(), 2, "both nodes run Grapes");
    for grape in &grapes {
        let spec = grape.spec.as_ref().unwrap();
        assert_eq!(spec.automount_service_account_token, Some(false));
        let container = &spec.containers[0];
        for probe in [&container.startup_probe, &container.readiness_probe] {
            assert!(probe.is_some(), "{container:?}");
        }
        let restarts = grape.status.as_ref().unwrap().container_statuses.as_ref().unwrap();
        assert_eq!(restarts[0].restart_count, 0);
    }

    a_service_is_called(&cluster).await;
    nothing_is_left(&cluster).await;
}

/// By an unchanged client, that asks a Grape of the cluster.
async fn a_service_is_called(cluster: &GrapeCluster<'_>) {
    let served = json!({"grape": "http://127.0.0.1:30001", "name": "rpc_test", "port": 1337});
    let mut server = service_pod::node_js("server", "zone-1", "rpc_server.js", &served);
    server["spec"]["initContainers"] = json!([service_pod::sidecar(&cluster.endpoint())]);
    create(cluster, server).await;
    pods::ready(cluster.pods(), "app=server", 1).await;
    let grape = format!("http://{NAME}.{}.svc:30001", cluster.namespace());
    let call = json!({"grape": grape, "names": ["rpc_test"], "payload": {"hello": "there"}});
    create(cluster, service_pod::node_js("client", "zone-2", "rpc_client.js", &call)).await;
    let told = pods::outcome(cluster.pods(), "app=client").await;
    let reply: Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
    assert_eq!(reply["error"], Value::Null, "{told}");
    assert_eq!(reply["result"], json!({"service": "rpc_test", "payload": {"hello": "there"}}));
}

async fn create(cluster: &GrapeCluster<'_>, pod: Value) {
    let pod: Pod = serde_json::from_value(pod).unwrap();
    cluster.pods().create(&PostParams::default(), &pod).await.unwrap();
}

/// Once the GrapeCluster is deleted: Kubernetes' own garbage collector removes what was its.
async fn nothing_is_left(cluster: &GrapeCluster<'_>) {
    const KINDS: &str = "statefulsets,controllerrevisions,pods,services,endpointslices,\
                         serviceaccounts,poddisruptionbudgets,networkpolicies";
    let selector = ["--selector", "app.kubernetes.io/instance=market", "--output=name"];
    let left = || cluster.kubectl(&[&["get", KINDS], &selector[..]].concat()).unwrap();
    assert!(left().contains("statefulset.apps/market-default"), "{}", left());
    let begun = Instant::now();
    cluster.kubectl(&["delete", "grapecluster", NAME]).unwrap();
    let gone = wait::until_within(Duration::from_secs(90), "nothing is left", async || {
        let left = left();
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    gone.await.unwrap();
    figure::took("a deleted GrapeCluster has left nothing", begun.elapsed());
}
