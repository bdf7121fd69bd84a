//! What somebody else changes: put right where it is the operator's, left where it is not.

use std::collections::BTreeMap;

use grape_tests::kubernetes::ApiServer;
use grape_tests::wait;
use serde_json::{Value, json};
use tokio::time::Duration;

use super::scene::Scene;

/// How soon a change is to be put right. It takes milliseconds, on a machine that has nothing else
/// to do.
const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_reverted_and_additions_stay() {
    let server = ApiServer::start_with_definition().await.unwrap();
    let scene = Scene::new(&server, "drift").await;
    scene.cluster("market", json!({})).await;
    let _operator = scene.operator("one").await;
    scene.until_applied("market").await;

    add(&scene).await;
    let whole = essence(&scene).await;
    for (kind, name, patch) in changes() {
        let before = scene.get(kind, name).await;
        let after = scene.change(kind, name, patch.clone()).await;
        assert_ne!(version(&before), version(&after), "{patch} changes nothing");
        put_right(&scene, &format!("{kind} {name} after {patch}"), &whole).await;
    }
    for (kind, name) in [
        ("PodDisruptionBudget", "market"),
        ("NetworkPolicy", "market"),
        ("ServiceAccount", "market"),
    ] {
        // With what others had added to it.
        let mut whole = whole.clone();
        let object = whole.get_mut(&format!("{kind} {name}")).unwrap();
        object["metadata"]["annotations"] = Value::Null;
        object["metadata"]["labels"].as_object_mut().unwrap().remove("team");
        scene.delete(kind, name).await;
        put_right(&scene, &format!("{kind} {name} after its deletion"), &whole).await;
        annotate(&scene, kind, name).await;
    }
    // An object that is being deleted cannot be changed, and is recreated when it is gone.
    hold(&scene).await;
}

/// What somebody else does with what is the operator's.
fn changes() -> Vec<(&'static str, &'static str, Value)> {
    let labels = |labels: Value| json!({"metadata": {"labels": labels}});
    let set = "market-default";
    vec![
        ("StatefulSet", set, json!({"spec": {"replicas": 7}})),
        (
            "StatefulSet",
            set,
            json!({"spec": {"template": {"spec": {"containers": [{
                "name": "grape", "image": "somebody/else:1",
            }]}}}}),
        ),
        (
            "StatefulSet",
            set,
            json!({"metadata": {"annotations": {"grenache.dev/template-hash": "0"}}}),
        ),
        ("StatefulSet", set, labels(json!({"grenache.dev/pool": "other"}))),
        ("StatefulSet", set, json!({"metadata": {"ownerReferences": null}})),
        (
            "Service",
            "market",
            json!({"spec": {"ports": [
                {"name": "dht", "port": 20001, "protocol": "UDP", "targetPort": 5},
                {"name": "api", "port": 30001, "protocol": "TCP", "targetPort": "api"},
                {"name": "admin", "port": 9091, "protocol": "TCP", "targetPort": "admin"},
            ]}}),
        ),
        ("Service", "market", labels(json!({"app.kubernetes.io/instance": "other"}))),
        ("Service", "market", labels(json!({"app.kubernetes.io/managed-by": null}))),
        ("Service", "market", json!({"spec": {"publishNotReadyAddresses": false}})),
        ("NetworkPolicy", "market", json!({"spec": {"egress": []}})),
        ("NetworkPolicy", "market", json!({"metadata": {"ownerReferences": null}})),
        ("PodDisruptionBudget", "market", json!({"spec": {"maxUnavailable": 3}})),
        ("ServiceAccount", "market", json!({"metadata": {"ownerReferences": []}})),
    ]
}

/// What somebody else adds, which is theirs.
async fn add(scene: &Scene) {
    for kind in ["StatefulSet", "Service", "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount"]
    {
        let name = if kind == "StatefulSet" { "market-default" } else { "market" };
        annotate(scene, kind, name).await;
    }
    let restart = json!({"spec": {"template": {"metadata": {"annotations": {
        "kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z",
    }}}}});
    scene.change("StatefulSet", "market-default", restart).await;
    let held = json!({"metadata": {"finalizers": ["example.org/held"]}});
    scene.change("Service", "market", held).await;
}

async fn annotate(scene: &Scene, kind: &str, name: &str) {
    let theirs = json!({"metadata": {
        "annotations": {"example.org/note": "ours"},
        "labels": {"team": "exchange"},
    }});
    scene.change(kind, name, theirs).await;
}

/// The objects, without times and managers.
async fn essence(scene: &Scene) -> BTreeMap<String, Value> {
    let mut all = scene.children().await;
    for object in all.values_mut() {
        let metadata = object["metadata"].as_object_mut().unwrap();
        for field in ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"]
        {
            metadata.remove(field);
        }
        metadata.entry("annotations").or_insert(Value::Null);
    }
    all
}

async fn put_right(scene: &Scene, what: &str, whole: &BTreeMap<String, Value>) {
    let right = wait::until_within(SOON, what, async || {
        let now = essence(scene).await;
        if now == *whole {
            return Ok(());
        }
        let other = |(name, object): (&String, &Value)| {
            (now.get(name) != Some(object)).then(|| {
                format!("{:#} instead of {object:#}", now.get(name).unwrap_or(&Value::Null))
            })
        };
        Err(whole.iter().find_map(other).unwrap_or_else(|| "one too many".to_owned()))
    });
    right.await.unwrap();
}

async fn hold(scene: &Scene) {
    let before = scene.get("Service", "market").await;
    assert_eq!(before["metadata"]["finalizers"], json!(["example.org/held"]));
    scene.delete("Service", "market").await;
    // Something to reconcile for.
    scene.change("GrapeCluster", "market", json!({"spec": {"replicas": 4}})).await;
    scene.until_applied("market").await;
    let held = scene.get("Service", "market").await;
    assert_eq!(held["metadata"]["uid"], before["metadata"]["uid"]);
    assert_eq!(held["metadata"]["finalizers"], json!(["example.org/held"]));
    scene.change("Service", "market", json!({"metadata": {"finalizers": null}})).await;
    let anew = scene
        .until("the Service is made anew", ("Service", "market"), |service| {
            service["metadata"]["uid"] != before["metadata"]["uid"]
        })
        .await;
    // Beside which no other of that name is allowed, so that it cannot be put right in place.
    let ports = json!({"spec": {"ports": [{"name": "dht", "port": 5, "protocol": "UDP"}]}});
    scene.change("Service", "market", ports).await;
    scene
        .until("its ports are right", ("Service", "market"), |service| {
            service["spec"]["ports"] == anew["spec"]["ports"]
        })
        .await;
}

fn version(object: &Value) -> &Value {
    &object["metadata"]["resourceVersion"]
}
