//! Pods that the API server refuses to a StatefulSet: reported, and created once nothing is against
//! them.

use grape_tests::figure;
use grape_tests::kubernetes::{ApiServer, Proxy};
use grape_tests::wait;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use super::rest::be_ready;
use super::scene::{Scene, told, writes};

/// A quota of two pods, and a cluster that wants three.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_by_a_quota_is_reported_until_the_quota_is_lifted() {
    let server = ApiServer::start_with_definition().await.unwrap();
    let controllers = ["statefulset-controller", "resourcequota-controller"];
    let server = server.with_controllers(&controllers).await.unwrap();
    let scene = Scene::new(&server, "quota").await;
    let proxy = Proxy::start(&server).await.unwrap();
    let quota = |pods: &str| json!({"spec": {"hard": {"pods": pods}}});
    let mut few = quota("2");
    few["metadata"] = json!({"name": "few"});
    scene.make("ResourceQuota", few).await;
    let counts = |quota: &Value| quota["status"]["hard"]["pods"] == "2";
    scene.until("the quota counts", ("ResourceQuota", "few"), counts).await;

    let _operator = scene.operator_at(proxy.kubeconfig(), "one").await;
    scene.cluster("market", json!({})).await;
    let begun = Instant::now();
    let stalled = scene.until_told("market", "Stalled", "PodsRefused").await;
    figure::took("a quota refuses a Grape: told", begun.elapsed());
    assert_eq!(stalled["status"], "True");
    let cluster = scene.get("GrapeCluster", "market").await;
    for kind in ["Ready", "Progressing"] {
        let condition = told(&cluster, kind);
        assert_eq!(
            (&condition["status"], &condition["reason"]),
            (&json!("False"), &json!("PodsRefused"))
        );
        assert_eq!(condition["message"], stalled["message"]);
    }
    let message = stalled["message"].as_str().unwrap();
    for part in ["StatefulSet market-default", "pod market-default-", "exceeded quota: few"] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
    let event = scene.until_event("market", "PodsRefused").await;
    assert_eq!((&event["type"], &event["note"]), (&json!("Warning"), &stalled["message"]));

    // It is tried again, and nothing is reported again.
    proxy.forget_calls();
    sleep(Duration::from_secs(25)).await;
    let written = writes(&proxy);
    assert!((1..=4).contains(&written.iter().filter(|call| is_set(&call.path)).count()));
    let others: Vec<_> = written.iter().filter(|call| !is_set(&call.path)).collect();
    assert!(others.iter().all(|call| call.path.ends_with("/pods")), "{others:?}");
    let still = scene.get("GrapeCluster", "market").await;
    assert_eq!(told(&still, "Stalled"), stalled);

    scene.change("ResourceQuota", "few", quota("5")).await;
    let lifted = Instant::now();
    let stalled = scene.until_told("market", "Stalled", "NotStalled").await;
    figure::took("the quota is lifted: over", lifted.elapsed());
    assert_eq!(stalled["status"], "False");
    assert_eq!(pods(&scene, "market").await.len(), 3);
    let is_clean =
        |set: &Value| set["metadata"]["annotations"]["grenache.dev/retried-at"].is_null();
    scene.until("its mark is gone", ("StatefulSet", "market-default"), is_clean).await;
}

/// A LimitRange refuses the pods of a cluster that has none yet, and of clusters that lose one.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_pod_is_created_from_the_fixed_spec() {
    let server = ApiServer::start_with_definition().await.unwrap();
    let server = server.with_controllers(&["statefulset-controller"]).await.unwrap();
    let scene = Scene::new(&server, "mended").await;
    let pods_api: Api<Pod> = Api::namespaced(server.client(), scene.space());
    let _operator = scene.operator("one").await;
    let lost = [("lowest", 0), ("middle", 1), ("highest", 2)];
    for (name, _) in lost {
        scene.cluster(name, json!({})).await;
        for ordinal in 0..3 {
            let pod = format!("{name}-default-{ordinal}");
            scene.until("its pod is there", ("Pod", &pod), |_| true).await;
            be_ready(&scene, &pod, "127.255.255.254").await;
        }
    }
    scene
        .make(
            "LimitRange",
            json!({
                "metadata": {"name": "small"},
                "spec": {"limits": [{"type": "Container", "max": {"memory": "64Mi"}}]},
            }),
        )
        .await;
    let mut before = Vec::new();
    for (name, ordinal) in lost {
        before.push(pods(&scene, name).await);
        let now = DeleteParams::default().grace_period(0);
        pods_api.delete(&format!("{name}-default-{ordinal}"), &now).await.unwrap();
    }
    scene.cluster("none", json!({})).await;
    for name in ["lowest", "middle", "highest", "none"] {
        let stalled = scene.until_told(name, "Stalled", "PodsRefused").await;
        let message = stalled["message"].as_str().unwrap();
        assert!(message.contains("maximum memory usage per Container is 64Mi"), "{message}");
    }

    let mended = json!({"spec": {"template": {"resources": {"limits": {"memory": "64Mi"}}}}});
    for name in ["lowest", "middle", "highest", "none"] {
        scene.change("GrapeCluster", name, mended.clone()).await;
    }
    let begun = Instant::now();
    for name in ["lowest", "middle", "highest", "none"] {
        wait::until("its pods are there", async || match pods(&scene, name).await {
            all if all.len() == 3 => Ok(()),
            some => Err(format!("{some:?}")),
        })
        .await
        .unwrap();
        // And nothing is to be replaced before what came is ready.
        let is_held = |set: &Value| {
            set["spec"]["updateStrategy"]
                == json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 3}})
        };
        scene
            .until("no pod is replaced", ("StatefulSet", &format!("{name}-default")), is_held)
            .await;
        scene.until_told(name, "Stalled", "NotStalled").await;
    }
    figure::took("refused pods, after the spec was mended", begun.elapsed());
    sleep(Duration::from_secs(3)).await;
    for ((name, ordinal), before) in lost.into_iter().zip(before) {
        let now = pods(&scene, name).await;
        for (at, (before, now)) in before.iter().zip(&now).enumerate() {
            assert_eq!(before != now, at == ordinal, "{name}: {before} {now}");
        }
        let pod = scene.get("Pod", &format!("{name}-default-{ordinal}")).await;
        let memory = &pod["spec"]["containers"][0]["resources"]["limits"]["memory"];
        assert_eq!(memory, "64Mi", "{name}");
    }
}

/// Writes of ours that a webhook refuses are tried again as soon.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_object_is_reported_until_it_is_accepted() {
    let server = ApiServer::start_with_definition().await.unwrap();
    let server = server.with_controllers(&["resourcequota-controller"]).await.unwrap();
    let scene = Scene::new(&server, "object").await;
    let quota = |sets: &str| json!({"spec": {"hard": {"count/statefulsets.apps": sets}}});
    let mut none = quota("0");
    none["metadata"] = json!({"name": "none"});
    scene.make("ResourceQuota", none).await;
    let counts = |quota: &Value| !quota["status"]["hard"].is_null();
    scene.until("the quota counts", ("ResourceQuota", "none"), counts).await;

    let _operator = scene.operator("one").await;
    scene.cluster("market", json!({})).await;
    let stalled = scene.until_told("market", "Stalled", "Refused").await;
    assert_eq!(stalled["status"], "True");
    let message = stalled["message"].as_str().unwrap();
    assert!(message.contains("exceeded quota: none"), "{message}");
    let lifted = Instant::now();
    scene.change("ResourceQuota", "none", quota("5")).await;
    scene.until_told("market", "Stalled", "NotStalled").await;
    figure::took("a quota of StatefulSets is lifted: over", lifted.elapsed());
    scene.get("StatefulSet", "market-default").await;
}

fn is_set(path: &str) -> bool {
    path.ends_with("/statefulsets/market-default")
}

/// The uids of a cluster's pods, by their names.
async fn pods(scene: &Scene, cluster: &str) -> Vec<Value> {
    let all = scene.all(&["Pod"]).await.into_iter();
    let own = all.filter(|(name, _)| name.starts_with(&format!("Pod {cluster}-")));
    own.map(|(_, pod)| pod["metadata"]["uid"].clone()).collect()
}
