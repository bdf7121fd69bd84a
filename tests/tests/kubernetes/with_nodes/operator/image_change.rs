//! A change of the image: one Grape at a time, and no further than the first that does not start.

use std::time::Duration;

use grape_tests::figure;
use grape_tests::kubernetes::grape_cluster::GRAPES;
use grape_tests::kubernetes::{GrapeCluster, Load, Operator, images};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::Api;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::super::pods;
use super::watch::Watch;

#[tokio::test]
async fn a_change_of_the_image_good_or_bad_fails_no_lookup() {
    let operator = Operator::shared().await.unwrap();
    images::name_again(operator.cluster(), "localhost/grape:test", "localhost/grape:next").unwrap();
    let cluster = GrapeCluster::make(&operator, "image", json!({})).await.unwrap();
    cluster.until_ready().await.unwrap();
    let mut load = Load::start(&cluster, "load", ["zone-1", "zone-2"]).await.unwrap();
    let watch = Watch::begin(&cluster);

    let begun = Instant::now();
    change(&cluster, "next").await;
    until_all_run(&cluster, "next").await;
    figure::took("a new image in all 3 Grapes, Ready", begun.elapsed());
    load.flawless("a new image", begun.elapsed()).await.unwrap();

    let begun = Instant::now();
    let before = uids(&cluster).await;
    change(&cluster, "missing").await;
    stalls_at_one(&cluster, &before).await;
    figure::took("an image that is missing: stalled, and told so", begun.elapsed());
    // The rollout stops at this Grape.
    sleep(Duration::from_secs(5)).await;
    stalls_at_one(&cluster, &before).await;
    load.flawless("an image that is missing", begun.elapsed()).await.unwrap();

    let begun = Instant::now();
    change(&cluster, "test").await;
    until_all_run(&cluster, "test").await;
    figure::took("repaired with a third image, Ready", begun.elapsed());

    let before = uids(&cluster).await;
    change(&cluster, "missing").await;
    stalls_at_one(&cluster, &before).await;
    let taken_back = Instant::now();
    change(&cluster, "test").await;
    until_all_run(&cluster, "test").await;
    figure::took("taken back, Ready", taken_back.elapsed());
    assert_eq!(uids(&cluster).await[..2], before[..2], "only the one that had changed is replaced");

    let (fewest, then) = watch.fewest();
    assert_eq!(fewest, 2, "one Grape is replaced at a time: {then}");
    load.flawless("repaired, and taken back", begun.elapsed()).await.unwrap();
}

async fn change(cluster: &GrapeCluster<'_>, tag: &str) {
    cluster.change(json!({"image": {"tag": tag}})).await.unwrap();
}

/// And the StatefulSet is as if it had always been so.
async fn until_all_run(cluster: &GrapeCluster<'_>, tag: &str) {
    let status = cluster.until_ready().await.unwrap();
    assert_eq!(status["updatedReplicas"], 3);
    for grape in pods::ready(cluster.pods(), GRAPES, 3).await {
        assert_eq!(image(&grape), format!("localhost/grape:{tag}"));
    }
    let sets: Api<StatefulSet> =
        Api::namespaced(cluster.operator().cluster().client(), cluster.namespace());
    let set = sets.get("market-default").await.unwrap();
    let status = set.status.unwrap();
    assert_eq!(status.current_revision, status.update_revision);
    let rolling = set.spec.unwrap().update_strategy.unwrap().rolling_update.unwrap();
    assert_eq!(rolling.partition, Some(3), "held above all pods again");
}

/// The last Grape has the image that is missing; the others are untouched.
async fn stalls_at_one(cluster: &GrapeCluster<'_>, before: &[Option<String>]) {
    let message = cluster.until_unready(&["RollStalled"]).await.unwrap();
    for part in ["market-default-2", "localhost/grape:missing", "Fix or revert spec.image"] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
    let grapes = cluster.grapes().await.unwrap();
    let images: Vec<_> = grapes.iter().map(image).collect();
    assert_eq!(images.iter().filter(|image| image.ends_with(":missing")).count(), 1, "{images:?}");
    assert_eq!(uids(cluster).await[..2], before[..2]);
    let ready: Vec<_> = grapes.iter().filter(|pod| pods::is_ready(pod)).collect();
    assert_eq!(ready.len(), 2, "the others serve");
}

async fn uids(cluster: &GrapeCluster<'_>) -> Vec<Option<String>> {
    cluster.grapes().await.unwrap().iter().map(ResourceExt::uid).collect()
}

fn image(grape: &Pod) -> String {
    grape.spec.as_ref().unwrap().containers[0].image.clone().unwrap()
}
