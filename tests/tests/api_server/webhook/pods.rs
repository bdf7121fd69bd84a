//! What becomes of pods, as people see it.

use std::fs;

use grape_tests::wait;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::scene::{CLUSTER, Replica, SHOP, Scene, is_injected, pod};

#[tokio::test(flavor = "multi_thread")]
async fn pods_get_a_grape_or_the_reason_why_not() {
    let scene = Scene::new().await;
    let replica = scene.replica("one", &[]).await;
    scene.configure([&replica.url(), &replica.url()]).await;
    a_pod_that_asks_gets_its_grape(&scene).await;
    a_refusal_is_told(&scene, &replica).await;
    a_namespace_asks_for_its_pods(&scene, &replica).await;
    what_is_newer_than_a_watch_is_known(&scene).await;
}

/// What kubectl says of a pod that it cannot make, or not without a warning.
fn kubectl(scene: &Scene, namespace: &str, pod: &Value, flags: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pod.yaml");
    fs::write(&file, pod.to_string()).unwrap();
    let create = ["create", "--warnings-as-errors", "--namespace", namespace, "--filename"];
    let arguments = create.into_iter().chain(file.to_str()).chain(flags.iter().copied());
    let said = scene.server.kubectl().unwrap().refused(arguments).unwrap();
    said.replace(file.to_str().unwrap(), "pod.yaml")
}

/// How often this became of a pod.
async fn count(replica: &Replica, result: &str, reason: &str) -> f64 {
    let series =
        format!("grape_operator_injections_total{{reason=\"{reason}\",result=\"{result}\"}}");
    replica.operator.metric(&series).await.unwrap().unwrap_or_default()
}

/// The events, as `REASON KIND NAME: NOTE`.
async fn events(scene: &Scene, namespace: &str) -> Vec<String> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("events.k8s.io", "v1", "Event"));
    let events: Api<DynamicObject> = Api::namespaced_with(scene.server.client(), namespace, &kind);
    let all = events.list(&ListParams::default()).await.unwrap().items;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let told = all.iter().map(|it| {
        let about = &it.data["regarding"];
        let [reason, kind, name, note] =
            [&it.data["reason"], &about["kind"], &about["name"], &it.data["note"]].map(text);
        format!("{reason} {kind} {name}: {note}")
    });
    told.collect()
}

async fn until_event(scene: &Scene, namespace: &str, expected: &str) {
    wait::until("an event tells of it", async || {
        let events = events(scene, namespace).await;
        anyhow::ensure!(events.iter().any(|event| event == expected), "{events:#?}");
        anyhow::Ok(())
    })
    .await
    .unwrap();
}

async fn a_pod_that_asks_gets_its_grape(scene: &Scene) {
    let made = scene.make_pod(SHOP, &pod("asks", CLUSTER)).await.unwrap();
    assert!(is_injected(&made), "{made:?}");
    assert_eq!(made.metadata.labels.as_ref().unwrap()["grenache.dev/grape"], "injected");
    let plain = scene.make_pod(SHOP, &pod("plain", &[])).await.unwrap();
    assert_eq!(plain.spec.unwrap().init_containers, None);
    let labels = [CLUSTER[0], ("grenache.dev/inject", "disabled")];
    let out = scene.make_pod(SHOP, &pod("out", &labels)).await.unwrap();
    assert_eq!(out.spec.unwrap().init_containers, None);
}

const REFUSED: &str = "ClusterNotFound: the GrapeCluster shop/none was not found, or its spec is \
    invalid; create it, or fix the label grenache.dev/cluster of the pod";

async fn a_refusal_is_told(scene: &Scene, replica: &Replica) {
    let labels = [("grenache.dev/cluster", "none")];
    let whole = format!(
        "Error from server (ClusterNotFound): error when creating \"pod.yaml\": admission \
         webhook \"pods.inject.grenache.dev\" denied the request: {REFUSED}"
    );
    // A dry run gets the same answer, and leaves no event.
    let dry = kubectl(scene, SHOP, &pod("dry", &labels), &["--dry-run=server"]);
    assert_eq!(dry, whole);
    assert_eq!(count(replica, "refused", "ClusterNotFound").await, 0.0);

    assert_eq!(kubectl(scene, SHOP, &pod("alone", &labels), &[]), whole);
    assert_eq!(count(replica, "refused", "ClusterNotFound").await, 1.0);
    let note = REFUSED.strip_prefix("ClusterNotFound: ").unwrap();
    until_event(
        scene,
        SHOP,
        &format!("ClusterNotFound Namespace shop: Pod alone is refused: {note}"),
    )
    .await;

    // For a pod of a ReplicaSet, the event is at the Deployment, and there is one.
    let set = replica_set_of_a_deployment(scene).await;
    let mut made = pod("", &labels);
    made["metadata"] = json!({
        "generateName": "web-1-",
        "labels": made["metadata"]["labels"],
        "ownerReferences": [{
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": set,
            "controller": true,
        }],
    });
    for _ in 0..3 {
        let error = scene.make_pod(SHOP, &made).await.unwrap_err();
        assert!(format!("{error:#}").contains(note), "{error:#}");
    }
    let told =
        format!("ClusterNotFound Deployment web: A pod of ReplicaSet web-1 is refused: {note}");
    until_event(scene, SHOP, &told).await;
    assert_eq!(count(replica, "refused", "ClusterNotFound").await, 4.0);
    // Of the cluster there are others.
    let events = events(scene, SHOP).await;
    let told = events.iter().filter(|event| event.starts_with("ClusterNotFound "));
    assert_eq!(told.count(), 2, "{events:#?}");
}

/// The uid of a ReplicaSet `web-1`, whose Deployment is `web`.
async fn replica_set_of_a_deployment(scene: &Scene) -> String {
    let client = scene.server.client();
    let template = json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "web"}]},
    });
    let spec = json!({"selector": {"matchLabels": {"app": "web"}}, "template": template});
    let deployment = json!({"metadata": {"name": "web"}, "spec": spec});
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), SHOP);
    let made = serde_json::from_value(deployment).unwrap();
    let made = deployments.create(&PostParams::default(), &made).await.unwrap();
    let owner = json!([{
        "apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": made.uid(),
        "controller": true,
    }]);
    let set = json!({"metadata": {"name": "web-1", "ownerReferences": owner}, "spec": spec});
    let sets: Api<ReplicaSet> = Api::namespaced(client, SHOP);
    let set = serde_json::from_value(set).unwrap();
    sets.create(&PostParams::default(), &set).await.unwrap().uid().unwrap()
}

const LEFT_OUT: &str = "NamespaceNotAllowed: the pod runs without a sidecar: the GrapeCluster \
    shop/market does not allow pods of the namespace \"far\"; allow it in \
    spec.injection.namespaces of the GrapeCluster, or label the pod grenache.dev/inject=disabled";

async fn a_namespace_asks_for_its_pods(scene: &Scene, replica: &Replica) {
    scene.label("far", "shop.market").await;
    let mut number = 0;
    wait::until("API servers know the label of the namespace", async || {
        number += 1;
        let name = format!("left-out-{number}");
        match scene.make_pod("far", &pod(&name, &[])).await {
            Ok(_) => anyhow::ensure!(
                count(replica, "skipped", "NamespaceNotAllowed").await > 0.0,
                "it was not asked about"
            ),
            Err(error) => anyhow::bail!("{error:#}"),
        }
        anyhow::Ok(())
    })
    .await
    .unwrap();
    let told = kubectl(scene, "far", &pod("left-out", &[]), &[]);
    assert_eq!(told, format!("Warning: {LEFT_OUT}\nerror: 1 warning received"));
    let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(scene.server.client(), "far");
    let made = pods.get("left-out").await.unwrap();
    assert_eq!(made.spec.unwrap().init_containers, None);
    let events = events(scene, SHOP).await;
    let told =
        events.iter().filter(|it| it.starts_with("NamespaceNotAllowed GrapeCluster market: "));
    assert_eq!(told.count(), 1, "{events:#?}");

    // What the pod asks for itself is refused.
    let asks = pod("asks", &[("grenache.dev/cluster", "shop.market")]);
    let refused = kubectl(scene, "far", &asks, &[]);
    assert!(refused.starts_with("Error from server (NamespaceNotAllowed): "), "{refused}");
}

/// A cluster, the label of a namespace and a pod come in one file, often.
async fn what_is_newer_than_a_watch_is_known(scene: &Scene) {
    for number in 0..20 {
        let name = format!("new-{number}");
        scene.cluster(SHOP, &name, json!({})).await;
        let labels = [("grenache.dev/cluster", &*name)];
        let made = scene.make_pod(SHOP, &pod(&name, &labels)).await;
        assert!(is_injected(&made.unwrap()), "{name}");
    }
}
