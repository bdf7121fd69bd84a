//! Pools: Grapes that are placed by zone.

use grape_tests::figure;
use grape_tests::kubernetes::grape_cluster::GRAPES;
use grape_tests::kubernetes::{GrapeCluster, Load, Operator};
use kube::ResourceExt;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::pods;
use super::watch::Watch;

#[tokio::test]
async fn moving_to_a_pool_in_each_zone_fails_no_lookup() {
    let operator = Operator::shared().await.unwrap();
    let cluster = GrapeCluster::make(&operator, "zones", json!({})).await.unwrap();
    cluster.until_ready().await.unwrap();
    let mut load = Load::start(&cluster, "load", ["zone-1", "zone-2"]).await.unwrap();
    let watch = Watch::begin(&cluster);

    let begun = Instant::now();
    let pools = json!([pool("zone-1"), pool("zone-2")]);
    cluster.change(json!({"replicas": 4, "pools": pools})).await.unwrap();
    let status = cluster.until_ready().await.unwrap();
    figure::took("moved from the default pool to one in each zone, Ready", begun.elapsed());

    assert_eq!(status["summary"]["pools"], "zone-1 2/2, zone-2 2/2");
    let placed = pods::ready(cluster.pods(), GRAPES, 4).await;
    let placed: Vec<_> = placed.iter().map(|pod| (pod.name_any(), pods::node(pod))).collect();
    let wanted = [
        ("market-zone-1-0", "n1"),
        ("market-zone-1-1", "n1"),
        ("market-zone-2-0", "n2"),
        ("market-zone-2-1", "n2"),
    ];
    assert_eq!(placed, wanted.map(|(pod, node)| (pod.to_owned(), node)));
    let sets = cluster.kubectl(&["get", "statefulsets", "--output=name"]).unwrap();
    assert_eq!(sets, "statefulset.apps/market-zone-1\nstatefulset.apps/market-zone-2");
    let (fewest, then) = watch.fewest();
    assert!(fewest >= 3, "the old pool went before the new ones were ready: {then}");
    load.flawless("from one pool to two", begun.elapsed()).await.unwrap();
}

fn pool(zone: &str) -> Value {
    json!({"name": zone, "template": {"nodeSelector": {"topology.kubernetes.io/zone": zone}}})
}
