//! Clusters that are deleted: nothing is left of them.

use grape_tests::kubernetes::proxy::Which;
use grape_tests::kubernetes::{ApiServer, Proxy};
use grape_tests::our_operator::Operator;
use grape_tests::wait;
use kube::api::DeleteParams;
use serde_json::json;
use tokio::time::Duration;

use super::scene::{Scene, until_quiet};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_cluster_that_is_deleted() {
    let server = ApiServer::start_with_definition().await.unwrap();
    let controllers = ["garbage-collector-controller", "statefulset-controller"];
    let server = server.with_controllers(&controllers).await.unwrap();
    let [background, foreground] = [DeleteParams::background(), DeleteParams::foreground()];
    tokio::join!(
        deleted(&server, "background", &background),
        deleted(&server, "foreground", &foreground),
        deleted_in_between(&server),
    );
}

async fn deleted(server: &ApiServer, how: &str, parameters: &DeleteParams) {
    let scene = Scene::new(server, how).await;
    scene.cluster("stays", json!({"replicas": 1})).await;
    scene.cluster("goes", json!({"pools": [{"name": "a"}, {"name": "b"}]})).await;
    let operator = scene.operator("one").await;
    scene.until_applied_with_pods("stays").await;
    scene.until_applied_with_pods("goes").await;
    let stays = scene.names().await.into_iter().filter(|name| name.contains(" stays"));
    let stays: Vec<_> = stays.collect();
    assert_eq!(stays.len(), 4, "{stays:?}");
    assert!(scene.names().await.len() > stays.len());
    assert_ne!(series(&operator, "goes").await, 0);

    scene.api("GrapeCluster").delete("goes", parameters).await.unwrap();
    scene.until_gone("GrapeCluster", "goes").await;
    only(&scene, &stays).await;
    let gone = wait::until("its series are gone", async || match series(&operator, "goes").await {
        0 => Ok(()),
        count => Err(count),
    });
    gone.await.unwrap();
    assert_ne!(series(&operator, "stays").await, 0);
    wait::until("nobody waits", async || {
        match operator.metric("grape_operator_queue_depth").await? {
            Some(0.0) => anyhow::Ok(()),
            depth => anyhow::bail!("{depth:?}"),
        }
    })
    .await
    .unwrap();
}

/// While it is being reconciled.
async fn deleted_in_between(server: &ApiServer) {
    let scene = Scene::new(server, "between").await;
    let proxy = Proxy::start(server).await.unwrap();
    scene.cluster("goes", json!({})).await;
    let held = proxy.hold(Which::writes().to("/statefulsets"));
    let operator = scene.operator_at(proxy.kubeconfig(), "one").await;
    let reached = held.reached().await.unwrap();
    scene.delete("GrapeCluster", "goes").await;
    scene.until_gone("GrapeCluster", "goes").await;
    // Another one that is made after it has been seen when this has.
    scene.cluster("later", json!({})).await;
    scene.until_applied_with_pods("later").await;
    drop(reached);
    until_quiet(&proxy, Duration::from_secs(1)).await;
    let names = scene.names().await.into_iter().filter(|name| name.contains(" later"));
    only(&scene, &names.collect::<Vec<_>>()).await;
    assert_eq!(series(&operator, "goes").await, 0);
    assert_ne!(series(&operator, "later").await, 0);
}

async fn only(scene: &Scene, names: &[String]) {
    let left = wait::until("its objects are gone", async || {
        let left = scene.names().await;
        if left == names { Ok(()) } else { Err(format!("{left:?}")) }
    });
    left.await.unwrap();
}

/// How many series there are of a cluster.
async fn series(operator: &Operator, name: &str) -> usize {
    let page = operator.page("/metrics").await.unwrap();
    let label = format!("name=\"{name}\"");
    page.body
        .lines()
        .filter(|line| line.starts_with("grape_cluster_") && line.contains(&label))
        .count()
}
