//! A cluster and services in the operator's own namespace, and pods that the webhook is not asked
//! about.

use std::time::Duration;

use grape_tests::wait;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};

use super::scene::{CLUSTER, OPS, SHOP, Scene, is_injected, pod};

/// As what one command installs into the current namespace.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_beside_the_operator_gets_its_grape() {
    let scene = Scene::new().await;
    scene.cluster(OPS, "market", json!({})).await;
    let mut replica = scene.replica("one", &["--observe-interval=1s"]).await;
    scene.configure([&replica.url(), &replica.url()]).await;
    let made = scene.make_pod(OPS, &pod("asks", CLUSTER)).await.unwrap();
    assert!(is_injected(&made), "{made:?}");
    scene.label(OPS, "market").await;
    wait::until("one whose namespace asks has its Grape", async || {
        let name = format!("inherits-{:08x}", rand::random::<u32>());
        let made = scene.make_pod(OPS, &pod(&name, &[])).await?;
        anyhow::ensure!(is_injected(&made), "{made:?}");
        anyhow::Ok(())
    })
    .await
    .unwrap();

    // The operator's own pods come up when none of them answers.
    replica.operator.kill().await.unwrap();
    let own = [("app.kubernetes.io/name", "grape-operator"), CLUSTER[0]];
    let made = scene.make_pod(OPS, &pod("operator", &own)).await.unwrap();
    assert!(!is_injected(&made));
    let refused = scene.make_pod(OPS, &pod("late", CLUSTER)).await.unwrap_err().to_string();
    assert!(refused.contains("failed calling webhook"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_the_webhook_did_not_see_is_reported() {
    let scene = Scene::new().await;
    scene.cluster("kube-system", "market", json!({})).await;
    // Made before there is a webhook.
    scene.make_pod(SHOP, &pod("older", CLUSTER)).await.unwrap();
    // Times are whole seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let replica = scene.replica("one", &["--observe-interval=1s"]).await;
    scene.configure([&replica.url(), &replica.url()]).await;
    let made = scene.make_pod("kube-system", &pod("asks", CLUSTER)).await.unwrap();
    assert!(!is_injected(&made));

    let told = until_told(&scene, "kube-system", "kube-system/asks").await;
    assert!(told.contains("asks the webhook about no pod of this namespace"), "{told}");
    assert!(!told.contains("delete these pods"), "that does not help: {told}");
    let told = until_told(&scene, SHOP, "shop/older").await;
    assert!(told.contains("created before the operator's webhook was installed"), "{told}");
    assert!(told.contains("delete these pods"), "{told}");

    // Without the label nothing is asked, and it does not come by putting the label on a pod.
    scene.make_pod(SHOP, &pod("later", &[])).await.unwrap();
    let kubectl = scene.server.kubectl().unwrap();
    kubectl
        .run(["label", "pod", "later", "grenache.dev/cluster=market", "--namespace", SHOP])
        .unwrap();
    let told = until_told(&scene, SHOP, "shop/later").await;
    assert!(told.contains("labelled grenache.dev/cluster after they were created"), "{told}");
}

/// What the status of a namespace's cluster says of pods without their Grape, once it names this one.
async fn until_told(scene: &Scene, namespace: &str, pod: &str) -> String {
    let kind = GroupVersionKind::gvk("grenache.dev", "v1alpha1", "GrapeCluster");
    let kind = ApiResource::from_gvk(&kind);
    let clusters: Api<DynamicObject> =
        Api::namespaced_with(scene.server.client(), namespace, &kind);
    wait::until(&format!("{pod} is told of"), async || {
        let cluster = clusters.get("market").await?;
        let conditions = cluster.data["status"]["conditions"].as_array().cloned();
        let mut conditions = conditions.unwrap_or_default().into_iter();
        let injected = conditions.find(|it| it["type"] == "Injected").unwrap_or(Value::Null);
        let message = injected["message"].as_str().unwrap_or_default().to_owned();
        anyhow::ensure!(message.contains(pod), "{injected}");
        anyhow::Ok(message)
    })
    .await
    .unwrap()
}
