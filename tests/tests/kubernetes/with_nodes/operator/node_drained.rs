//! A node that is drained, as before its upgrade.

use grape_tests::figure;
use grape_tests::kubernetes::grape_cluster::GRAPES;
use grape_tests::kubernetes::{GrapeCluster, Load, Operator};
use serde_json::json;
use tokio::time::Instant;

use super::super::pods;
use super::watch::Watch;

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_takes_one_grape_at_a_time_and_fails_no_lookup() {
    let operator = Operator::alone().await.unwrap();
    let cluster = GrapeCluster::make(&operator, "drained", json!({})).await.unwrap();
    cluster.until_ready().await.unwrap();
    let mut load = Load::start(&cluster, "load", ["zone-1", "zone-1"]).await.unwrap();
    let watch = Watch::begin(&cluster);

    let begun = Instant::now();
    let drained = Drained::begin(&operator);
    figure::took("a node with Grapes and an operator drained", begun.elapsed());
    cluster.until_ready().await.unwrap();
    figure::took("the same until Ready", begun.elapsed());
    for grape in pods::ready(cluster.pods(), GRAPES, 3).await {
        assert_eq!(pods::node(&grape), "n1");
    }
    let (fewest, then) = watch.fewest();
    assert_eq!(fewest, 2, "one Grape goes at a time: {then}");
    load.flawless("on the other node", begun.elapsed()).await.unwrap();
    drop(drained);
}

/// The node n2 while it takes no pods.
struct Drained<'a>(&'a Operator);

impl<'a> Drained<'a> {
    fn begin(operator: &'a Operator) -> Self {
        let drained = Self(operator);
        let drain = ["drain", "n2", "--ignore-daemonsets", "--delete-emptydir-data"];
        let flags = ["--force", "--timeout=120s"];
        // The watch goes on meanwhile.
        tokio::task::block_in_place(|| operator.kubectl(drain.iter().chain(&flags))).unwrap();
        drained
    }
}

impl Drop for Drained<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.kubectl(["uncordon", "n2"]) {
            eprintln!("the node n2 still takes no pods: {error:#}");
        }
    }
}
