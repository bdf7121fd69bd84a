//! Kubernetes' own controllers, beside the API server.

use grape_cluster::{GrapeCluster, GrapeClusterSpec};
use grape_tests::kubernetes::ApiServer;
use grape_tests::wait;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::Resource;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::json;

const CONTROLLERS: [&str; 2] = ["garbage-collector-controller", "statefulset-controller"];

#[tokio::test]
async fn pods_come_of_a_stateful_set_and_go_with_its_owner() {
    let server = ApiServer::start_with_definition().await.unwrap();
    let server = server.with_controllers(&CONTROLLERS).await.unwrap();
    let clusters: Api<GrapeCluster> = Api::default_namespaced(server.client());
    let sets: Api<StatefulSet> = Api::default_namespaced(server.client());
    let pods: Api<Pod> = Api::default_namespaced(server.client());

    let cluster = GrapeCluster::new("collected", GrapeClusterSpec::default());
    let owner = clusters.create(&PostParams::default(), &cluster).await.unwrap();
    let labels = json!({"app": "collected"});
    let set: StatefulSet = serde_json::from_value(json!({
        "metadata": {"name": "collected", "ownerReferences": [owner.controller_owner_ref(&())]},
        "spec": {
            "serviceName": "collected",
            "replicas": 2,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "grape", "image": "localhost/grape:none"}]},
            },
        },
    }))
    .unwrap();
    sets.create(&PostParams::default(), &set).await.unwrap();
    let labelled = ListParams::default().labels("app=collected");
    let count = async |wanted: usize| {
        let found = pods.list(&labelled).await.map_err(|error| error.to_string())?.items.len();
        if found == wanted { Ok(()) } else { Err(format!("there are {found}")) }
    };
    wait::until("its two pods are there", async || count(2).await).await.unwrap();

    clusters.delete("collected", &DeleteParams::default()).await.unwrap();
    wait::until("the set goes with its owner", async || match sets.get_opt("collected").await {
        Ok(None) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await
    .unwrap();
    wait::until("the pods go with the set", async || count(0).await).await.unwrap();
}

#[tokio::test]
async fn an_unknown_controller_is_an_error() {
    let server = ApiServer::start().await.unwrap();
    let started = server.with_controllers(&["grape-controller"]).await;
    let error = format!("{:#}", started.err().expect("there is none of that name"));
    assert!(error.starts_with("it ended: exit status: 1"), "{error}");
}
