//! Clusters that are left as they are: `spec.paused`.

use grape_tests::kubernetes::{ApiServer, Proxy};
use serde_json::json;
use tokio::time::Duration;

use super::scene::{Scene, shown, until_quiet, writes};

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_cluster_is_observed_and_not_changed() {
    let server = ApiServer::start_with_definition().await.unwrap();
    let scene = Scene::new(&server, "paused").await;
    let proxy = Proxy::start(&server).await.unwrap();
    scene.cluster("market", json!({})).await;
    let _operator = scene.operator_at(proxy.kubeconfig(), "one").await;
    scene.until_applied("market").await;

    scene.change("GrapeCluster", "market", json!({"spec": {"paused": true}})).await;
    let progressing = scene.until_told("market", "Progressing", "Paused").await;
    assert_eq!(progressing["status"], "False");
    until_quiet(&proxy, Duration::from_secs(1)).await;
    proxy.forget_calls();

    let other = json!({"spec": {"replicas": 1, "networkPolicy": {"enabled": false}}});
    scene.change("GrapeCluster", "market", other).await;
    scene.change("StatefulSet", "market-default", json!({"spec": {"replicas": 9}})).await;
    scene.delete("Service", "market").await;
    scene.until_told("market", "Progressing", "Paused").await;
    scene
        .until("what is wanted is told", ("GrapeCluster", "market"), |cluster| {
            cluster["status"]["summary"]["grapes"] == "0/1"
        })
        .await;
    until_quiet(&proxy, Duration::from_secs(2)).await;
    let others = writes(&proxy).into_iter().filter(|it| {
        !it.path.ends_with("/grapeclusters/market/status") && !it.path.ends_with("/events")
    });
    assert_eq!(shown(&others.collect::<Vec<_>>()), [""; 0]);
    assert_ne!(writes(&proxy), [], "its status was written");
    assert_eq!(
        scene.names().await,
        [
            "NetworkPolicy market",
            "PodDisruptionBudget market",
            "ServiceAccount market",
            "StatefulSet market-default",
        ]
    );
    assert_eq!(scene.get("StatefulSet", "market-default").await["spec"]["replicas"], 9);

    scene.change("GrapeCluster", "market", json!({"spec": {"paused": false}})).await;
    scene.until_applied("market").await;
    assert_eq!(
        scene.names().await,
        ["Service market", "ServiceAccount market", "StatefulSet market-default"]
    );
    assert_eq!(scene.get("StatefulSet", "market-default").await["spec"]["replicas"], 1);
}
