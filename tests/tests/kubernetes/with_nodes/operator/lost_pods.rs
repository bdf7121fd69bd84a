//! Grapes that are killed, without time to take leave.

use std::time::Duration;

use grape_tests::kubernetes::grape_cluster::GRAPES;
use grape_tests::kubernetes::operator::is_somebody_elses;
use grape_tests::kubernetes::{GrapeCluster, Load, Operator, pod_processes};
use grape_tests::{figure, wait};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::super::pods;

#[tokio::test]
async fn killed_grapes_come_back_by_themselves() {
    if is_somebody_elses().unwrap() {
        return;
    }
    let operator = Operator::shared().await.unwrap();
    let cluster = GrapeCluster::make(&operator, "killed", json!({})).await.unwrap();
    cluster.until_ready().await.unwrap();
    let mut load = Load::start(&cluster, "load", ["zone-1", "zone-2"]).await.unwrap();

    let begun = Instant::now();
    kill(&cluster, &["market-default-1"]).await;
    figure::took("one of three Grapes killed, Ready", begun.elapsed());
    load.flawless("one of three Grapes killed", begun.elapsed()).await.unwrap();

    let begun = Instant::now();
    kill(&cluster, &["market-default-0", "market-default-1", "market-default-2"]).await;
    figure::took("all Grapes killed at once, Ready", begun.elapsed());
    load.since().await.unwrap();
    finds_again(&mut load, "all Grapes killed at once").await;

    // Other pods, at other addresses.
    let begun = Instant::now();
    let before = uids(&cluster).await;
    cluster.kubectl(&["delete", "pods", "--grace-period=0", "--force", "-l", GRAPES]).unwrap();
    wait::until("all are others", async || {
        let now = uids(&cluster).await;
        if now.len() == 3 && now.iter().all(|uid| !before.contains(uid)) {
            Ok(())
        } else {
            Err("not yet")
        }
    })
    .await
    .unwrap();
    pods::ready(cluster.pods(), GRAPES, 3).await;
    cluster.until_ready().await.unwrap();
    figure::took("all pods deleted at once, Ready", begun.elapsed());
    load.since().await.unwrap();
    finds_again(&mut load, "all pods deleted at once").await;
}

/// Services that kept running find each other as before, whichever Grapes were lost.
async fn finds_again(load: &mut Load<'_>, what: &str) {
    let well = Instant::now();
    sleep(Duration::from_secs(2)).await;
    load.flawless(&format!("{what}, and then"), well.elapsed()).await.unwrap();
}

/// Kills these Grapes, and waits until they have been started again and all is well.
async fn kill(cluster: &GrapeCluster<'_>, names: &[&str]) {
    let before = cluster.grapes().await.unwrap();
    let chosen = |pod: &&Pod| names.contains(&&*pod.name_any());
    for pod in before.iter().filter(chosen) {
        pod_processes::kill(pod, &["grape"]).unwrap();
    }
    wait::until("they have been started again", async || {
        let now = cluster.grapes().await.map_err(|error| format!("{error:#}"))?;
        let again = now
            .iter()
            .zip(&before)
            .filter(|(now, before)| pods::restarts(now) > pods::restarts(before));
        let again: Vec<_> = again.map(|(now, _)| now.name_any()).collect();
        if again == names { Ok(()) } else { Err(format!("only {again:?}")) }
    })
    .await
    .unwrap();
    pods::ready(cluster.pods(), GRAPES, 3).await;
    cluster.until_ready().await.unwrap();
}

async fn uids(cluster: &GrapeCluster<'_>) -> Vec<Option<String>> {
    cluster.grapes().await.unwrap().iter().map(ResourceExt::uid).collect()
}
