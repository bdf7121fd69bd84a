//! A name server that goes on telling for minutes what is over, also that there is no such name.

use std::time::Duration;

use grape_tests::kubernetes::grape_cluster::GRAPES;
use grape_tests::kubernetes::operator::is_somebody_elses;
use grape_tests::kubernetes::{GrapeCluster, Operator, pod_processes};
use grape_tests::{figure, wait};
use serde_json::json;
use tokio::time::Instant;

use super::super::pods;

/// Three times what is wanted of a new cluster. Names are cached for longer.
const NEW: Duration = Duration::from_secs(30);
/// Three times what is wanted once all Grapes were killed.
const KILLED: Duration = Duration::from_secs(45);
const CACHED: u64 = 120;

/// Has the cluster's name server cache all answers for so many seconds.
fn cache(operator: &Operator, seconds: u64) {
    let file =
        operator.kubectl(["--namespace=kube-system", "get", "configmap", "coredns", "-ojson"]);
    let mut map: serde_json::Value = serde_json::from_str(&file.unwrap()).unwrap();
    let before = map["data"]["Corefile"].as_str().unwrap();
    let lines = before.lines().map(|line| match line.trim() {
        it if it.starts_with("ttl ") => format!("        ttl {seconds}"),
        it if it.starts_with("cache ") => format!("    cache {seconds}"),
        _ => line.to_owned(),
    });
    let after = lines.collect::<Vec<_>>().join("\n") + "\n";
    map["data"]["Corefile"] = after.into();
    let patch = json!({"data": map["data"]}).to_string();
    let system = "--namespace=kube-system";
    operator.kubectl([system, "patch", "configmap", "coredns", "--patch", &patch]).unwrap();
    operator.kubectl([system, "rollout", "restart", "daemonset/coredns"]).unwrap();
    operator.kubectl([system, "rollout", "status", "daemonset/coredns", "--timeout=2m"]).unwrap();
}

#[tokio::test]
async fn nobody_waits_for_a_name_server() {
    if is_somebody_elses().unwrap() {
        return;
    }
    let operator = Operator::alone().await.unwrap();
    cache(&operator, CACHED);
    let begun = Instant::now();
    let cluster = GrapeCluster::make(&operator, "cached", json!({})).await.unwrap();
    let single = GrapeCluster::make(&operator, "single", json!({"replicas": 1})).await.unwrap();
    cluster.until_ready().await.unwrap();
    let took = begun.elapsed();
    figure::took("a new cluster where answers are cached for two minutes, Ready", took);
    assert!(took <= NEW, "{took:?}");
    single.until_ready().await.unwrap();
    let took = begun.elapsed();
    figure::took("a new cluster of one Grape there, Ready", took);
    assert!(took <= NEW, "{took:?}");

    // Other pods, at other addresses, which the name server does not tell.
    let before = cluster.grapes().await.unwrap();
    let begun = Instant::now();
    cluster.kubectl(&["delete", "pods", "--grace-period=0", "--force", "-l", GRAPES]).unwrap();
    wait::until("all are others", async || {
        let now = cluster.grapes().await.map_err(|error| format!("{error:#}"))?;
        let is_new = |pod: &_| before.iter().all(|old| uid(old) != uid(pod));
        if now.len() == 3 && now.iter().all(is_new) { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await
    .unwrap();
    pods::ready(cluster.pods(), GRAPES, 3).await;
    cluster.until_ready().await.unwrap();
    let took = begun.elapsed();
    figure::took("all Grapes replaced at once there, Ready", took);
    assert!(took <= KILLED, "{took:?}");

    let begun = Instant::now();
    for pod in &cluster.grapes().await.unwrap() {
        pod_processes::kill(pod, &["grape"]).unwrap();
    }
    pods::ready(cluster.pods(), GRAPES, 3).await;
    cluster.until_ready().await.unwrap();
    figure::took("all Grapes killed at once there, Ready", begun.elapsed());
    cache(&operator, 1);
}

fn uid(pod: &k8s_openapi::api::core::v1::Pod) -> Option<&str> {
    pod.metadata.uid.as_deref()
}
