//! One of several namespaces is deleted: the others are served on.

use grape_tests::{figure, wait};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::json;
use tokio::time::Instant;

use super::scene::{CLUSTER, SHOP, Scene, is_injected, pod};

/// The namespace that is deleted.
const GONE: &str = "gone";
const SERIES: &str = "grape_operator_namespace_unwatched{namespace=\"gone\"}";

async fn make_namespace(scene: &Scene) {
    let namespaces: Api<Namespace> = Api::all(scene.server.client());
    let object = serde_json::from_value(json!({"metadata": {"name": GONE}})).unwrap();
    namespaces.create(&PostParams::default(), &object).await.unwrap();
}

async fn until_reconciled(scene: &Scene, namespace: &str) {
    let sets: Api<StatefulSet> = Api::namespaced(scene.server.client(), namespace);
    let made = wait::until("its GrapeCluster has a StatefulSet", async || {
        sets.get("market-default").await
    });
    made.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_namespace_holds_up_no_others() {
    let values = ["--set=watchNamespaces={shop},webhook.enabled=true"];
    let scene = Scene::of(&values).await.with_controllers(&["namespace-controller"]).await;
    let both = ["--set=watchNamespaces={shop,gone},webhook.enabled=true"];
    make_namespace(&scene).await;
    scene.upgrade(&both);
    let namespaces: Api<Namespace> = Api::all(scene.server.client());
    namespaces.delete(GONE, &DeleteParams::default()).await.unwrap();
    wait::until("the namespace is gone", async || {
        let found = namespaces.get_opt(GONE).await?;
        anyhow::ensure!(found.is_none(), "{found:?}");
        anyhow::Ok(())
    })
    .await
    .unwrap();

    let begun = Instant::now();
    let replica = scene.replica("one", &["--watch-namespaces=shop,gone"]).await;
    figure::took("with a namespace that is gone, ready", begun.elapsed());
    replica.operator.until_leads().await.unwrap();
    until_reconciled(&scene, SHOP).await;
    scene.configure([&replica.url(), &replica.url()]).await;
    assert!(is_injected(&scene.try_pod(&pod("asks", CLUSTER)).await.unwrap()));
    assert_eq!(replica.operator.metric(SERIES).await.unwrap(), Some(1.0));
    let told = "cannot watch GrapeClusters; trying again";
    let logged = replica.operator.until_logs(told).await.unwrap();
    assert_eq!(logged["namespace"], GONE);

    // It comes back, and an upgrade of the release gives its Role.
    make_namespace(&scene).await;
    scene.upgrade(&both);
    scene.cluster(GONE, "market", json!({})).await;
    let begun = Instant::now();
    until_reconciled(&scene, GONE).await;
    figure::took("the namespace is back, its GrapeCluster is reconciled", begun.elapsed());
    wait::until("nothing is unwatched", async || {
        let shown = replica.operator.metric(SERIES).await?;
        anyhow::ensure!(shown.is_none(), "{shown:?}");
        anyhow::Ok(())
    })
    .await
    .unwrap();
}
