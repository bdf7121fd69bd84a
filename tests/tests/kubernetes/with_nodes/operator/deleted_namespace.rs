//! The operator's namespace is deleted, without Helm.

use grape_tests::kubernetes::operator::NAMESPACE;
use grape_tests::kubernetes::{GrapeCluster, Operator, service_pod};
use grape_tests::{figure, wait};
use kube::api::PostParams;
use serde_json::json;
use tokio::time::Instant;

use super::super::pods;

#[tokio::test]
async fn pods_are_made_all_the_same_and_get_their_grape_once_it_is_installed_again() {
    let operator = Operator::alone().await.unwrap();
    let cluster = GrapeCluster::make(&operator, "deleted", json!({})).await.unwrap();
    cluster.until_ready().await.unwrap();
    let service = |name: &str| {
        let argument = json!({"grape": "http://127.0.0.1:30001", "name": name, "port": 1337});
        let mut pod = service_pod::node_js(name, "zone-1", "rpc_server.js", &argument);
        pod["metadata"]["labels"]["grenache.dev/cluster"] = "market".into();
        serde_json::from_value(pod).unwrap()
    };

    operator.kubectl(["delete", "namespace", NAMESPACE]).unwrap();
    let begun = Instant::now();
    let made = wait::until("pods that ask for a Grape are made", async || {
        cluster.pods().create(&PostParams::default(), &service("without")).await
    });
    assert_eq!(made.await.unwrap().spec.unwrap().init_containers, None);
    figure::took("the operator's namespace deleted: pods are made", begun.elapsed());

    operator.reinstall().unwrap();
    // Nodes learn of the webhook's new pods later than Helm does.
    let made = wait::until("API servers reach the webhook", async || {
        cluster.pods().create(&PostParams::default(), &service("with")).await
    });
    made.await.unwrap();
    let with = pods::ready(cluster.pods(), "app=with", 1).await.remove(0);
    assert!(with.spec.unwrap().init_containers.is_some());
    cluster.until_ready().await.unwrap();
}
