//! Names that somebody else has: the objects stay as they are, and the cluster's status says so.

use grape_tests::kubernetes::ApiServer;
use grape_tests::wait;
use serde_json::{Value, json};

use super::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_others_are_not_touched() {
    let server = ApiServer::start_with_definition().await.unwrap();
    let server = server.with_controllers(&["statefulset-controller"]).await.unwrap();
    let ports = json!({"ports": [{"port": 80}]});
    let pods = json!({
        "serviceName": "theirs",
        "replicas": 1,
        "selector": {"matchLabels": {"app": "theirs"}},
        "template": {
            "metadata": {"labels": {"app": "theirs"}},
            "spec": {"containers": [{"name": "theirs", "image": "theirs:1"}]},
        },
    });
    tokio::join!(
        an_object_of_that_name(&server, "Service", "market", ports),
        an_object_of_that_name(&server, "StatefulSet", "market-default", pods),
        two_clusters_with_one_name_for_a_set(&server),
    );
}

async fn an_object_of_that_name(server: &ApiServer, kind: &str, name: &str, spec: Value) {
    let scene = Scene::new(server, "taken").await;
    let theirs = json!({"metadata": {"name": name}, "spec": spec});
    let theirs = scene.make(kind, theirs).await;
    scene.cluster("market", json!({})).await;
    scene.cluster("beside", json!({})).await;
    let _operator = scene.operator("one").await;
    let ready = scene.until_told("market", "Ready", "NameTaken").await;
    assert_eq!(ready["status"], "False");
    assert_eq!(
        ready["message"],
        format!(
            "There is a {kind} {name} already that is not this cluster's: remove it, or make a \
             cluster of another name."
        )
    );
    scene.until_applied_with_pods("beside").await;
    let now = scene.get(kind, name).await;
    for field in ["labels", "ownerReferences", "generation", "uid"] {
        assert_eq!(now["metadata"][field], theirs["metadata"][field], "{field}");
    }
    assert_eq!(now["spec"], theirs["spec"]);

    scene.delete(kind, name).await;
    scene.until_gone(kind, name).await;
    // It would be seen within a minute anyway.
    let touch = json!({"metadata": {"annotations": {"example.org/touched": "1"}}});
    scene.change("GrapeCluster", "market", touch).await;
    scene.until_applied_with_pods("market").await;
    let ours = scene.get(kind, name).await;
    assert_eq!(ours["metadata"]["ownerReferences"][0]["name"], "market");
}

async fn two_clusters_with_one_name_for_a_set(server: &ApiServer) {
    let scene = Scene::new(server, "twice").await;
    let first = scene.cluster("market", json!({"pools": [{"name": "zone-1"}]})).await;
    let _operator = scene.operator("one").await;
    scene.until_applied_with_pods("market").await;
    wait::until("its pods are told", async || {
        let cluster = scene.get("GrapeCluster", "market").await;
        if cluster["status"]["replicas"] == 3 { Ok(()) } else { Err(cluster["status"].to_string()) }
    })
    .await
    .unwrap();
    let before = scene.get("StatefulSet", "market-zone-1").await;

    scene.cluster("market-zone", json!({"pools": [{"name": "1"}]})).await;
    let ready = scene.until_told("market-zone", "Ready", "NameTaken").await;
    let message = ready["message"].as_str().unwrap();
    assert!(message.starts_with("There is a StatefulSet market-zone-1 already"), "{message}");
    let after = scene.get("StatefulSet", "market-zone-1").await;
    assert_eq!(after["metadata"]["generation"], before["metadata"]["generation"]);
    let owners = &after["metadata"]["ownerReferences"];
    assert_eq!(owners.as_array().unwrap().len(), 1);
    assert_eq!(owners[0]["uid"], first["metadata"]["uid"]);
    // What Grapes the other one has is no matter of it.
    let second = scene.get("GrapeCluster", "market-zone").await;
    assert_eq!(second["status"]["replicas"], 0, "{}", second["status"]);
    assert_eq!(second["status"]["updatedReplicas"], 0, "{}", second["status"]);
}
