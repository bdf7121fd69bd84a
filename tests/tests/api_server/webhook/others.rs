//! What other tools add by themselves, as a mesh does: containers, variables, labels and annotations.
//! The operator leaves all of it alone.

use std::time::Duration;

use grape_tests::wait;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use tokio::time::sleep;

use super::again::Injector;
use super::scene::{CLUSTER, SHOP, Scene, is_injected, pod};

/// Several looks of an operator that looks every second.
const A_WHILE: Duration = Duration::from_secs(8);
const MESH: &str = "example.com/mesh";

#[tokio::test(flavor = "multi_thread")]
async fn what_another_tool_adds_to_grapes_and_services_stays() {
    let scene = Scene::new().await.with_controllers(&["statefulset-controller"]).await;
    let other = Injector::start();
    other.configure(&scene).await;
    // The API server reads the configuration a moment late.
    wait::until("the other webhook is asked", async || {
        let made = scene.try_pod(&pod("tried", &[])).await?;
        anyhow::ensure!(is_meshed(&made), "{made:?}");
        anyhow::Ok(())
    })
    .await
    .unwrap();
    let replica = scene.replica("one", &["--observe-interval=1s"]).await;
    scene.configure([&replica.url(), &replica.url()]).await;
    replica.operator.until_leads().await.unwrap();

    let service = scene.make_pod(SHOP, &pod("service", CLUSTER)).await.unwrap();
    assert!(is_injected(&service) && is_meshed(&service), "{service:?}");
    let pods: Api<Pod> = Api::namespaced(scene.server.client(), SHOP);
    let grape = wait::until("a pod of a Grape is there", async || {
        let grape = pods.get("market-default-0").await?;
        anyhow::ensure!(is_meshed(&grape), "{grape:?}");
        anyhow::Ok(grape)
    });
    let grape = grape.await.unwrap();

    // And as another manager of fields, later.
    let sets: Api<StatefulSet> = Api::namespaced(scene.server.client(), SHOP);
    let metadata = json!({"labels": {"example.com/team": "a"}, "annotations": {MESH: "later"}});
    let patch = Patch::Merge(json!({"metadata": metadata}));
    let manager = PatchParams { field_manager: Some("mesh".to_owned()), ..<_>::default() };
    sets.patch("market-default", &manager, &patch).await.unwrap();
    for name in ["market-default-0", "service"] {
        pods.patch(name, &manager, &patch).await.unwrap();
    }
    let set = sets.get("market-default").await.unwrap();
    sleep(A_WHILE).await;
    let after = sets.get("market-default").await.unwrap();
    assert_eq!(after.spec, set.spec);
    assert_eq!(after.labels()["example.com/team"], "a");
    assert_eq!(after.annotations()[MESH], "later");
    for before in [grape, service] {
        let after = pods.get(&before.name_any()).await.unwrap();
        assert_eq!(after.uid(), before.uid(), "it was not recreated");
        assert_eq!(after.spec, before.spec);
        assert_eq!(after.labels()["example.com/team"], "a");
        assert_eq!((&*after.labels()[MESH], &*after.annotations()[MESH]), ("on", "later"));
    }
}

/// Whether a pod has what the other webhook adds.
fn is_meshed(pod: &Pod) -> bool {
    let spec = pod.spec.as_ref().unwrap();
    let has_variable = spec.containers[0].env.iter().flatten().any(|it| it.name == "MESH");
    let marked = pod.labels().get(MESH).is_some() && pod.annotations().get(MESH).is_some();
    has_variable && marked && spec.containers.iter().any(|it| it.name == "added")
}
