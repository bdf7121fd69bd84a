//! A node that is cut off the network, with Grapes and the operator's leader on it.

use grape_tests::figure;
use grape_tests::kubernetes::grape_cluster::GRAPES;
use grape_tests::kubernetes::operator::{NAMESPACE, is_somebody_elses};
use grape_tests::kubernetes::{GrapeCluster, Load, Operator};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::Api;
use serde_json::json;
use tokio::time::Instant;

use super::super::cut_off::CutOff;
use super::super::pods;

#[tokio::test]
async fn a_node_that_is_cut_off_is_reported_and_the_other_serves_on() {
    if is_somebody_elses().unwrap() {
        return;
    }
    let operator = Operator::alone().await.unwrap();
    let cluster = GrapeCluster::make(&operator, "cut-off", json!({"replicas": 4})).await.unwrap();
    cluster.until_ready().await.unwrap();

    let leads = leading_node(&operator).await;
    cut_off_and_back(&cluster, if leads == 1 { 2 } else { 1 }, "a node").await;
    cut_off_and_back(&cluster, leading_node(&operator).await, "the leader's node").await;
}

/// The node that the operator's leader is on.
async fn leading_node(operator: &Operator) -> u8 {
    let leader = operator.leader().await.unwrap().expect("one leads");
    let operators: Api<Pod> = Api::namespaced(operator.cluster().client(), NAMESPACE);
    let leader = operators.get(&leader).await.unwrap();
    pods::node(&leader).strip_prefix('n').unwrap().parse().unwrap()
}

async fn cut_off_and_back(cluster: &GrapeCluster<'_>, node: u8, what: &str) {
    let grapes = pods::ready(cluster.pods(), GRAPES, 4).await;
    let on_it = |pod: &&Pod| pods::node(pod) == format!("n{node}");
    let lost: Vec<_> = grapes.iter().filter(on_it).map(ResourceExt::name_any).collect();
    assert_eq!(lost.len(), 2, "Grapes are spread over the nodes");
    let zone = if node == 1 { "zone-2" } else { "zone-1" };
    let mut load = Load::start(cluster, zone, [zone, zone]).await.unwrap();

    let begun = Instant::now();
    let cut = CutOff::begin(cluster.operator().cluster(), node);
    let reasons = ["GrapesUnreachable", "GrapesNotReady"];
    let message = cluster.until_unready(&reasons).await.unwrap();
    figure::took(&format!("{what} cut off, and the status says so"), begun.elapsed());
    figure::tell(&message);
    for grape in &lost {
        assert!(message.contains(grape), "{message}");
    }
    load.flawless(&format!("{what} cut off, on the other one"), begun.elapsed()).await.unwrap();

    let mended = Instant::now();
    drop(cut);
    cluster.until_ready().await.unwrap();
    figure::took(&format!("{what} is back, Ready"), mended.elapsed());
    let again = pods::ready(cluster.pods(), GRAPES, 4).await;
    let uids = |grapes: &[Pod]| grapes.iter().map(ResourceExt::uid).collect::<Vec<_>>();
    assert_eq!(uids(&again), uids(&grapes), "they are the same that were cut off");
    load.flawless(&format!("{what} is back, on the other one"), mended.elapsed()).await.unwrap();
}
