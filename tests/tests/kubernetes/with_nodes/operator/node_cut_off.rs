//! A node that is cut off the network, with Grapes and the operator's leader on it.

use grape_tests::figure;
use grape_tests::kubernetes::grape_cluster::GRAPES;
use grape_tests::kubernetes::operator::{NAMESPACE, is_somebody_elses};
use grape_tests::kubernetes::{Cluster, GrapeCluster, Load, Operator};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::Api;
use serde_json::json;
use tokio::time::Instant;

use super::super::pods;

#[tokio::test]
async fn a_node_that_is_cut_off_is_told_of_and_the_other_serves_on() {
    if is_somebody_elses().unwrap() {
        return;
    }
    let operator = Operator::alone().await.unwrap();
    let cluster = GrapeCluster::make(&operator, "cut-off", json!({"replicas": 4})).await.unwrap();
    cluster.until_ready().await.unwrap();
    // The worst of the two.
    let leader = operator.leader().await.unwrap().unwrap();
    let operators: Api<Pod> = Api::namespaced(operator.cluster().client(), NAMESPACE);
    let node = pods::node(&operators.get(&leader).await.unwrap()).to_owned();
    let (number, zone) = match &*node {
        "n1" => (1, "zone-2"),
        "n2" => (2, "zone-1"),
        other => panic!("{other}"),
    };
    let grapes = pods::ready(cluster.pods(), GRAPES, 4).await;
    let lost: Vec<_> = grapes.iter().filter(|pod| pods::node(pod) == node).collect();
    assert_eq!(lost.len(), 2, "Grapes are spread over the nodes");
    let mut load = Load::start(&cluster, "load", [zone, zone]).await.unwrap();

    let begun = Instant::now();
    let cut = CutOff::begin(operator.cluster(), number);
    let reasons = ["GrapesUnreachable", "GrapesNotReady"];
    let message = cluster.until_unready(&reasons).await.unwrap();
    figure::took("the leader's node cut off, and the status says so", begun.elapsed());
    figure::tell(&message);
    for grape in &lost {
        assert!(message.contains(&grape.name_any()), "{message}");
    }
    let another = operator.leader().await.unwrap().unwrap();
    assert_ne!(another, leader);
    load.flawless("on the other node", begun.elapsed()).await.unwrap();

    let mended = Instant::now();
    drop(cut);
    cluster.until_ready().await.unwrap();
    figure::took("the node is back, Ready", mended.elapsed());
    let again = pods::ready(cluster.pods(), GRAPES, 4).await;
    let uids = |grapes: &[Pod]| grapes.iter().map(ResourceExt::uid).collect::<Vec<_>>();
    assert_eq!(uids(&again), uids(&grapes), "they are the same that were cut off");
    load.flawless("on the other node, until all was well", begun.elapsed()).await.unwrap();
}

/// A node for as long as it is cut off.
struct CutOff<'a> {
    cluster: &'a Cluster,
    node: u8,
}

impl<'a> CutOff<'a> {
    fn begin(cluster: &'a Cluster, node: u8) -> Self {
        cluster.node_down(node).unwrap();
        Self { cluster, node }
    }
}

impl Drop for CutOff<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.cluster.node_up(self.node) {
            eprintln!("the node n{} is still cut off: {error:#}", self.node);
        }
    }
}
