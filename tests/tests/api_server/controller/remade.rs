//! StatefulSets that cannot be changed in place: recreated around their pods.

use std::collections::BTreeMap;

use grape_tests::kubernetes::ApiServer;
use grape_tests::wait;
use serde_json::{Value, json};

use super::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn a_statefulset_is_recreated_around_its_pods() {
    let server = ApiServer::start_with_definition().await.unwrap();
    let controllers = ["garbage-collector-controller", "statefulset-controller"];
    let server = server.with_controllers(&controllers).await.unwrap();
    tokio::join!(
        with(&server, "service", json!({"serviceName": "other"}), 3),
        // Whose first pod is waited for.
        with(&server, "policy", json!({"podManagementPolicy": "OrderedReady"}), 1),
    );
}

async fn with(server: &ApiServer, prefix: &str, different: Value, pods: usize) {
    let scene = Scene::new(server, prefix).await;
    scene.cluster("market", json!({})).await;
    let mut operator = scene.operator("before").await;
    scene.until_applied_with_pods("market").await;
    // The same set, but for what is different, as if it had been made so.
    operator.kill().await.unwrap();
    let right = scene.get("StatefulSet", "market-default").await;
    scene.delete("StatefulSet", "market-default").await;
    scene.until_gone("StatefulSet", "market-default").await;
    until_pods(&scene, 0).await;
    let mut wrong = right.clone();
    for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"] {
        wrong["metadata"].as_object_mut().unwrap().remove(field);
    }
    wrong.as_object_mut().unwrap().remove("status");
    for (field, value) in different.as_object().unwrap() {
        assert_ne!(right["spec"][field], *value);
        wrong["spec"][field] = value.clone();
    }
    let wrong = scene.make("StatefulSet", wrong).await;
    let before = until_pods(&scene, pods).await;

    let operator = scene.operator("after").await;
    let set = scene
        .until("it is made anew", ("StatefulSet", "market-default"), |set| {
            set["metadata"]["uid"] != wrong["metadata"]["uid"]
        })
        .await;
    for field in different.as_object().unwrap().keys() {
        assert_eq!(set["spec"][field], right["spec"][field]);
    }
    let adopted = wait::until("its pods are the new one's", async || {
        let pods = scene.all(&["Pod"]).await;
        let by = |pod: &Value| pod["metadata"]["ownerReferences"][0]["uid"].clone();
        if pods.len() == 3 && pods.values().all(|pod| by(pod) == set["metadata"]["uid"]) {
            return Ok(uids(&pods));
        }
        Err(format!("{:?}", pods.values().map(by).collect::<Vec<_>>()))
    });
    let after = adopted.await.unwrap();
    for (name, uid) in before {
        assert_eq!(after[&name], uid, "{name}");
    }
    let events = scene.all(&["Event"]).await;
    let remade: Vec<_> = events.values().filter(|event| event["reason"] == "Recreated").collect();
    assert_eq!(remade.len(), 1, "{:?}", operator.log());
    let note = remade[0]["note"].as_str().unwrap();
    assert!(note.starts_with("Recreated the StatefulSet market-default "), "{note}");
}

async fn until_pods(scene: &Scene, count: usize) -> BTreeMap<String, Value> {
    let what = format!("there are {count} pods");
    let pods = wait::until(&what, async || {
        let pods = scene.all(&["Pod"]).await;
        if pods.len() == count { Ok(uids(&pods)) } else { Err(pods.len()) }
    });
    pods.await.unwrap()
}

fn uids(pods: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    pods.iter().map(|(name, pod)| (name.clone(), pod["metadata"]["uid"].clone())).collect()
}
