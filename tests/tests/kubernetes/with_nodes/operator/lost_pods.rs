//! Grapes that are killed.

use std::collections::BTreeSet;

use grape_tests::kubernetes::grape_cluster::GRAPES;
use grape_tests::kubernetes::{GrapeCluster, Load, Operator};
use grape_tests::{figure, wait};
use kube::ResourceExt;
use serde_json::json;
use tokio::time::Instant;

use super::super::pods;

#[tokio::test]
async fn killed_grapes_come_back_by_themselves() {
    let operator = Operator::shared().await.unwrap();
    let cluster = GrapeCluster::make(&operator, "killed", json!({})).await.unwrap();
    cluster.until_ready().await.unwrap();
    let mut load = Load::start(&cluster, "load", ["zone-1", "zone-2"]).await.unwrap();

    let begun = Instant::now();
    kill(&cluster, &["pod/market-default-1"]).await;
    figure::took("one of three Grapes killed, Ready", begun.elapsed());
    load.flawless("one of three Grapes killed", begun.elapsed()).await.unwrap();

    let begun = Instant::now();
    kill(&cluster, &["pods", "--selector", GRAPES]).await;
    figure::took("all Grapes killed, Ready", begun.elapsed());
    load.since().await.unwrap();
    let well = Instant::now();
    load.flawless("after all were killed, by services that ran on", well.elapsed()).await.unwrap();
}

/// Without time to take leave, and waits until others are in their places and well.
async fn kill(cluster: &GrapeCluster<'_>, what: &[&str]) {
    let uids = async || -> BTreeSet<_> {
        cluster.grapes().await.unwrap().iter().map(|pod| pod.uid().unwrap()).collect()
    };
    let before = uids().await;
    cluster.kubectl(&[&["delete", "--grace-period=0", "--force"], what].concat()).unwrap();
    let killed = if what.len() == 1 { 1 } else { before.len() };
    wait::until("others are in their places", async || {
        pods::ready(cluster.pods(), GRAPES, 3).await;
        let now = uids().await;
        if now.difference(&before).count() == killed { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await
    .unwrap();
    cluster.until_ready().await.unwrap();
}
