//! While a rollout of an image stops at its first Grape: pods that are created meanwhile work, and
//! pods that were created with the bad image are reported and repaired.

use grape_tests::figure;
use grape_tests::kubernetes::grape_cluster::{GRAPES, condition};
use grape_tests::kubernetes::{GrapeCluster, Operator, service_pod};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::pods;
use super::stage::{GRAPE, LABEL, PORT, ZONES, deployment};

#[tokio::test]
async fn pods_created_meanwhile_have_the_last_working_image() {
    let operator = Operator::shared().await.unwrap();
    let cluster = GrapeCluster::make(&operator, "stalled", json!({})).await.unwrap();
    cluster.until_ready().await.unwrap();
    let deployments: Api<Deployment> =
        Api::namespaced(operator.cluster().client(), cluster.namespace());
    let service = deployment(service(), 1);
    deployments.create(&PostParams::default(), &service).await.unwrap();
    pods::ready(cluster.pods(), "app=rpc", 1).await;

    cluster.change(json!({"image": {"tag": "missing"}})).await.unwrap();
    cluster.until_unready(&["RollStalled"]).await.unwrap();
    let begun = Instant::now();
    let more = Patch::Merge(json!({"spec": {"replicas": 2}}));
    deployments.patch("rpc", &PatchParams::default(), &more).await.unwrap();
    for pod in pods::ready(cluster.pods(), "app=rpc", 2).await {
        assert_eq!(sidecar(&pod), "localhost/grape:test");
    }
    figure::took("a service scaled while a roll is stalled, ready", begun.elapsed());
    cluster.change(json!({"replicas": 5})).await.unwrap();
    // The one of the bad image stays away.
    cluster.until("four of five are ready", |status| status["readyReplicas"] == 4).await.unwrap();
    let images = cluster.grapes().await.unwrap();
    let bad = images.iter().filter(|pod| image(pod) == "localhost/grape:missing");
    assert_eq!(bad.count(), 1);

    cluster.change(json!({"image": {"tag": "test"}})).await.unwrap();
    cluster.until_ready().await.unwrap();
    for grape in pods::ready(cluster.pods(), GRAPES, 5).await {
        assert_eq!(image(&grape), "localhost/grape:test");
    }
}

/// A pod whose Grape has a bad image does not start, even when its cluster has a good one again:
/// only its controller can recreate it.
#[tokio::test]
async fn a_service_whose_grape_does_not_start_is_reported_and_repaired() {
    let operator = Operator::shared().await.unwrap();
    // It never had another image, so that its pods get this one.
    let spec = json!({"image": {"tag": "missing"}});
    let cluster = GrapeCluster::make(&operator, "stuck", spec).await.unwrap();
    let deployments: Api<Deployment> =
        Api::namespaced(operator.cluster().client(), cluster.namespace());
    let service = deployment(service(), 1);
    deployments.create(&PostParams::default(), &service).await.unwrap();
    let told = cluster.until("the service is told of", |status| {
        condition(status, "Injected")["reason"] == "SidecarsFailing"
    });
    let told = told.await.unwrap();
    let message = condition(&told, "Injected")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("localhost/grape:missing cannot be fetched"), "{message}");

    cluster.change(json!({"image": {"tag": "test"}})).await.unwrap();
    let told = cluster.until("it is told how to mend that", |status| {
        let message = condition(status, "Injected")["message"].as_str();
        message.is_some_and(|message| message.contains("with another image than new pods get"))
    });
    let told = told.await.unwrap();
    let message = condition(&told, "Injected")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("delete these pods"), "{message}");
    cluster.change(json!({"injection": {"repair": true}})).await.unwrap();
    let begun = Instant::now();
    let pods = pods::ready(cluster.pods(), "app=rpc", 1).await;
    assert_eq!(sidecar(&pods[0]), "localhost/grape:test");
    figure::took("a service whose Grape had a bad image, repaired", begun.elapsed());
}

/// Lookups go on, and the roll goes through, while some Grapes are at another port.
#[tokio::test]
async fn another_port_of_the_api_reaches_all_grapes() {
    let operator = Operator::shared().await.unwrap();
    let cluster = GrapeCluster::make(&operator, "api-port", json!({})).await.unwrap();
    cluster.until_ready().await.unwrap();
    let begun = Instant::now();
    cluster.change(json!({"api": {"port": 30009}})).await.unwrap();
    let status = cluster.until_ready().await.unwrap();
    assert_eq!(status["updatedReplicas"], 3);
    figure::took("another API port in all 3 Grapes, Ready", begun.elapsed());
}

fn service() -> Value {
    let argument = json!({"grape": GRAPE, "name": "rpc_test", "port": PORT});
    let mut pod = service_pod::node_js("rpc", ZONES[0], "rpc_server.js", &argument);
    pod["metadata"]["labels"][LABEL] = "market".into();
    pod
}

fn sidecar(pod: &Pod) -> String {
    let containers = pod.spec.as_ref().unwrap().init_containers.as_ref().unwrap();
    containers[0].image.clone().unwrap()
}

fn image(grape: &Pod) -> String {
    grape.spec.as_ref().unwrap().containers[0].image.clone().unwrap()
}
