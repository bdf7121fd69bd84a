//! Pods of others that have the labels of Grapes: those of a Helm release `market`, of a chart that is
//! called `grape`, too.
//!
//! Kubernetes' own controllers keep the Service and the budgets. No node runs the pods: the test says
//! how they are.

use grape_tests::kubernetes::ApiServer;
use grape_tests::wait;
use kube::api::{EvictParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::scene::Scene;

const CONTROLLERS: [&str; 3] =
    ["statefulset-controller", "endpointslice-controller", "disruption-controller"];

/// The pod of the other chart.
const THEIRS: &str = "theirs";

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_another_chart_are_neither_joined_nor_counted() {
    let server = ApiServer::start_with_definition().await.unwrap();
    let server = server.with_controllers(&CONTROLLERS).await.unwrap();
    let scene = Scene::new(&server, "strangers").await;
    their_release(&scene).await;
    scene.cluster("market", json!({"replicas": 2})).await;
    let _operator = scene.operator("one").await;
    scene.until_applied_with_pods("market").await;
    for (number, pod) in ["market-default-0", "market-default-1", THEIRS].iter().enumerate() {
        run(&scene, pod, number).await;
    }

    // The name by which Grapes join leads to Grapes alone.
    wait::until("the Service has its Grapes", async || {
        let found = behind(&scene, "market").await;
        if found == ["10.9.0.0", "10.9.0.1"] { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await
    .unwrap();
    let counted = scene.until("both are counted", ("PodDisruptionBudget", "market"), |budget| {
        let status = &budget["status"];
        status["currentHealthy"] == 2 && status["observedGeneration"] == 1
    });
    let counted = counted.await;
    assert_eq!(counted["status"]["expectedPods"], 2, "{counted}");

    // Of two budgets none would let it go.
    scene
        .until("their budget allows it", ("PodDisruptionBudget", THEIRS), |budget| {
            budget["status"]["disruptionsAllowed"] == 1
        })
        .await;
    evict(&server.client(), scene.space(), THEIRS).await.unwrap();
}

/// A pod with a budget of its own, as their chart makes them.
async fn their_release(scene: &Scene) {
    let name = json!({"app.kubernetes.io/name": "grape", "app.kubernetes.io/instance": "market"});
    let mut labels = name.clone();
    labels["app.kubernetes.io/managed-by"] = "Helm".into();
    labels["app"] = THEIRS.into();
    let pod = json!({
        "metadata": {"name": THEIRS, "labels": labels},
        "spec": {"containers": [{"name": "web", "image": "web"}]},
    });
    scene.make("Pod", pod).await;
    let spec = json!({"minAvailable": 0, "selector": {"matchLabels": {"app": THEIRS}}});
    scene.make("PodDisruptionBudget", json!({"metadata": {"name": THEIRS}, "spec": spec})).await;
}

/// What a node says of a pod that runs.
async fn run(scene: &Scene, name: &str, number: usize) {
    let there = format!("{name} is there");
    scene.until(&there, ("Pod", name), |_| true).await;
    let ip = format!("10.9.0.{number}");
    let status = json!({"status": {
        "phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}],
        "conditions": [{"type": "Ready", "status": "True"}],
    }});
    let merge = Patch::Merge(status);
    scene.api("Pod").patch_status(name, &PatchParams::default(), &merge).await.unwrap();
}

/// The addresses behind a Service.
async fn behind(scene: &Scene, service: &str) -> Vec<String> {
    let slices = scene.all(&["EndpointSlice"]).await;
    let own = |slice: &&Value| slice["metadata"]["labels"]["kubernetes.io/service-name"] == service;
    let endpoints = slices.values().filter(own).filter_map(|slice| slice["endpoints"].as_array());
    let addresses = endpoints.flatten().filter_map(|endpoint| endpoint["addresses"][0].as_str());
    let mut addresses: Vec<_> = addresses.map(str::to_owned).collect();
    addresses.sort_unstable();
    addresses
}

async fn evict(client: &Client, namespace: &str, pod: &str) -> kube::Result<()> {
    let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(client.clone(), namespace);
    pods.evict(pod, &EvictParams::default()).await.map(|_| ())
}
