//! More Grapes and fewer.

use grape_tests::figure;
use grape_tests::kubernetes::grape_cluster::{GRAPES, NAME};
use grape_tests::kubernetes::{GrapeCluster, Load, Operator};
use kube::ResourceExt;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::pods;

#[tokio::test]
async fn scaling_up_and_down_fails_no_lookup() {
    let operator = Operator::shared().await.unwrap();
    let cluster = GrapeCluster::make(&operator, "replicas", json!({})).await.unwrap();
    cluster.until_ready().await.unwrap();
    let mut load = Load::start(&cluster, "load", ["zone-1", "zone-2"]).await.unwrap();

    let begun = Instant::now();
    scale(&cluster, 6).await;
    figure::took("scaled from 3 Grapes to 6, Ready", begun.elapsed());
    let leave = ["market-default-3", "market-default-5"];
    for grape in leave {
        cluster.ask(grape, "announce", json!([grape, 1337])).await.unwrap();
        assert_ne!(found(&cluster, grape).await, json!([]));
    }

    let shrunk = Instant::now();
    scale(&cluster, 2).await;
    figure::took("scaled from 6 Grapes to 2, Ready", shrunk.elapsed());
    let left = pods::ready(cluster.pods(), GRAPES, 2).await;
    let names: Vec<_> = left.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names, ["market-default-0", "market-default-1"]);
    for grape in leave {
        assert_eq!(found(&cluster, grape).await, json!([]), "{grape} withdrew what it announced");
    }
    load.flawless("3 Grapes, then 6, then 2", begun.elapsed()).await.unwrap();
}

async fn scale(cluster: &GrapeCluster<'_>, replicas: usize) {
    let replicas_flag = format!("--replicas={replicas}");
    cluster.kubectl(&["scale", "grapecluster", NAME, &replicas_flag]).unwrap();
    cluster.until_ready().await.unwrap();
    // Ready it is as soon as those that leave are on their way out.
    let left = cluster.until("all others have left", |status| {
        status["replicas"] == replicas && status["readyReplicas"] == replicas
    });
    left.await.unwrap();
}

/// The peers of a name, as the first Grape finds them.
async fn found(cluster: &GrapeCluster<'_>, name: &str) -> Value {
    cluster.ask("market-default-0", "lookup", json!(name)).await.unwrap()
}
