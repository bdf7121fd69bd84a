//! Grapes in whose pods a name does not resolve by which they join. They run here, where no name server
//! knows the names of a cluster.

use grape_tests::kubernetes::ApiServer;
use grape_tests::ports::Port;
use grape_tests::process::Process;
use grape_tests::wait;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::time::Duration;

use super::rest::{address, be_ready, start};
use super::scene::{Scene, told};

/// A name is reported after half a minute, and asked for at intervals of up to 20 s.
const REPORTED: Duration = Duration::from_secs(180);

/// Starts the Grape of a pod, as soon as there is a pod.
async fn run(scene: &Scene, pod: &str, ip: &str) -> Process {
    let object = scene.until("its pod is there", ("Pod", pod), |_| true).await;
    start(pod, &object, ip, None)
}

/// Waits until the condition `Ready` has this status, and its message all of these parts.
async fn until_says(scene: &Scene, name: &str, status: &str, parts: &[&str]) {
    let said = wait::until_within(REPORTED, "Ready reports the name", async || {
        let ready = told(&scene.get("GrapeCluster", name).await, "Ready");
        let message = ready["message"].as_str().unwrap_or_default();
        let all = parts.iter().all(|part| message.contains(part));
        if all && ready["status"] == status { Ok(()) } else { Err(ready.to_string()) }
    });
    said.await.unwrap();
}

/// The operator has introduced them to each other.
#[tokio::test(flavor = "multi_thread")]
async fn ready_grapes_that_cannot_resolve_their_own_name_are_reported() {
    let server = ApiServer::start_with_definition().await.unwrap();
    let scene = Scene::new(&server, "unnamed").await;
    let _operator = scene.operator("one").await;
    let server = server.with_controllers(&["statefulset-controller"]).await.unwrap();
    let ports = [Port::take().unwrap(), Port::take().unwrap()];
    let [dht, api] = ports.each_ref().map(Port::number);
    let spec = json!({"replicas": 2, "dht": {"port": dht}, "api": {"port": api}});
    scene.cluster("unnamed", spec).await;
    let mut grapes = Vec::new();
    for pod in ["unnamed-default-0", "unnamed-default-1"] {
        let ip = address();
        grapes.push(run(&scene, pod, &ip).await);
        be_ready(&scene, pod, &ip).await;
    }
    let name = format!("unnamed.{}.svc:{dht}", scene.space());
    let parts = ["Both Grapes are ready", "does not resolve in their pods", &name];
    until_says(&scene, "unnamed", "True", &parts).await;
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grape_that_waits_for_a_name_is_reported_with_it() {
    let server = ApiServer::start_with_definition().await.unwrap();
    let scene = Scene::new(&server, "waiting").await;
    let _operator = scene.operator("one").await;
    let server = server.with_controllers(&["statefulset-controller"]).await.unwrap();
    let ports = [Port::take().unwrap(), Port::take().unwrap()];
    let [dht, api] = ports.each_ref().map(Port::number);
    let bootstrap = json!(["no.such.invalid:20001"]);
    let dht = json!({"port": dht, "bootstrap": bootstrap});
    scene.cluster("waiting", json!({"replicas": 1, "dht": dht, "api": {"port": api}})).await;
    let ip = address();
    let _grape = run(&scene, "waiting-default-0", &ip).await;
    starts(&scene, "waiting-default-0", &ip).await;
    let parts =
        ["0 of 1 Grapes are ready", "waiting-default-0: the name ", "does not resolve there"];
    until_says(&scene, "waiting", "False", &parts).await;
    drop(server);
}

/// What a node says of a pod whose container has run for a while, and is not ready.
async fn starts(scene: &Scene, pod: &str, ip: &str) {
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status});
    let status: Value = json!({"status": {
        "phase": "Running",
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "startTime": "2026-01-01T00:00:00Z",
        "conditions": [condition("PodScheduled", "True"), condition("Ready", "False")],
        "containerStatuses": [{
            "name": "grape", "image": "grape", "imageID": "grape", "ready": false, "started": true,
            "restartCount": 0, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        }],
    }});
    let merge = Patch::Merge(status);
    scene.api("Pod").patch_status(pod, &PatchParams::default(), &merge).await.unwrap();
}
