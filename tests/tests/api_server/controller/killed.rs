//! The operator killed after each of its calls in turn: the one that is started after it ends where
//! an undisturbed one does.

use std::collections::BTreeMap;

use anyhow::Context;
use futures_util::{StreamExt, stream};
use grape_tests::kubernetes::proxy::Which;
use grape_tests::kubernetes::{ApiServer, Proxy};
use serde_json::{Value, json};
use tokio::time::Duration;

use super::scene::{Scene, until_quiet};

/// How many runs go on beside each other.
const LANES: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_any_call_it_ends_where_it_would_have() {
    let server = ApiServer::start_with_definition().await.unwrap();
    makes(&server).await;
    changes(&server).await;
}

/// A cluster that is new.
async fn makes(server: &ApiServer) {
    let prepare = async || {
        let scene = Scene::new(server, "made").await;
        scene.cluster("market", first()).await;
        scene
    };
    let (whole, calls) = undisturbed(server, prepare().await).await;
    assert_eq!(whole.len(), 7, "{:?}", whole.keys());
    // Those of a start, six copies, and all objects.
    assert!(calls > 20, "only {calls} calls");
    let runs = stream::iter(1..=calls).map(async |nth| {
        let scene = prepare().await;
        killed(server, &scene, nth, &whole).await;
    });
    runs.buffer_unordered(LANES).collect::<Vec<()>>().await;
}

/// A cluster that is there, and is to be another: objects change, come and go.
async fn changes(server: &ApiServer) {
    let prepare = async || {
        let scene = Scene::new(server, "changed").await;
        scene.cluster("market", first()).await;
        let mut operator = scene.operator("before").await;
        scene.until_applied("market").await;
        operator.kill().await.unwrap();
        scene.change("GrapeCluster", "market", json!({"spec": second()})).await;
        scene
    };
    let (whole, calls) = undisturbed(server, prepare().await).await;
    assert_eq!(
        whole.keys().collect::<Vec<_>>(),
        [
            "GrapeCluster",
            "Service CLUSTER",
            "ServiceAccount CLUSTER",
            "StatefulSet CLUSTER-a",
            "StatefulSet CLUSTER-b",
            "StatefulSet CLUSTER-c",
        ]
    );
    let runs = stream::iter(1..=calls).map(async |nth| {
        let scene = prepare().await;
        killed(server, &scene, nth, &whole).await;
    });
    runs.buffer_unordered(LANES).collect::<Vec<()>>().await;
}

fn first() -> Value {
    json!({"pools": [{"name": "a"}, {"name": "b"}]})
}

fn second() -> Value {
    json!({
        "replicas": 1,
        "pools": [{"name": "a"}, {"name": "c"}],
        "template": {"labels": {"team": "exchange"}},
        "networkPolicy": {"enabled": false},
    })
}

/// What comes of a run that nothing befalls, and of how many calls it was.
async fn undisturbed(server: &ApiServer, scene: Scene) -> (BTreeMap<String, Value>, usize) {
    let proxy = Proxy::start(server).await.unwrap();
    let _operator = scene.operator_at(proxy.kubeconfig(), "one").await;
    scene.until_applied("market").await;
    until_quiet(&proxy, Duration::from_secs(3)).await;
    let calls = proxy.calls().len();
    (scene.outcome("market").await, calls)
}

/// When the operator is killed after its `nth` call, and another one is started, the same comes of
/// it.
async fn killed(server: &ApiServer, scene: &Scene, nth: usize, whole: &BTreeMap<String, Value>) {
    let proxy = Proxy::start(server).await.unwrap();
    let held = proxy.hold(Which::calls().nth(nth));
    let mut operator = scene.operator_at(proxy.kubeconfig(), "one").await;
    let reached = held.reached().await.unwrap();
    operator.kill().await.unwrap();
    drop(reached);
    let proxy = Proxy::start(server).await.unwrap();
    let operator = scene.operator_at(proxy.kubeconfig(), "two").await;
    operator.until_leads().await.unwrap();
    scene.until_applied("market").await;
    let same = scene.until_ends_as("market", whole, &proxy).await;
    same.with_context(|| format!("killed at call {nth}")).unwrap();
}
