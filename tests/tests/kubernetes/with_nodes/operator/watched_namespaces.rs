//! Namespaces that are named to the operator, of which one is deleted.

use std::time::Duration;

use anyhow::ensure;
use grape_tests::kubernetes::operator::{NAMESPACE, RELEASE};
use grape_tests::kubernetes::{GrapeCluster, Operator, service_pod};
use grape_tests::{figure, wait};
use kube::api::PostParams;
use serde_json::json;
use tokio::time::Instant;

use super::super::pods;

/// Three times the minute that a namespace which is back may take.
const BACK: Duration = Duration::from_secs(180);
const GONE: &str = "watched-gone";

#[tokio::test]
async fn the_others_are_served() {
    let operator = Operator::alone().await.unwrap();
    operator.kubectl(["create", "namespace", GONE]).unwrap();
    let cluster = GrapeCluster::make(&operator, "watched", json!({})).await.unwrap();
    let both = format!("--set=watchNamespaces={{{},{GONE}}}", cluster.namespace());
    let webhook = "--set=webhook.enabled=true";
    operator.install(&[webhook, &both]).unwrap();
    cluster.until_ready().await.unwrap();

    operator.kubectl(["delete", "namespace", GONE]).unwrap();
    let restart = ["rollout", "restart", "deployment", RELEASE, "--namespace", NAMESPACE];
    operator.kubectl(restart).unwrap();
    let done = ["rollout", "status", "deployment", RELEASE, "--namespace", NAMESPACE];
    operator.kubectl(done.into_iter().chain(["--timeout=2m"])).unwrap();
    let mut pod = service_pod::node_js(
        "asks",
        "zone-1",
        "rpc_server.js",
        &json!({
            "grape": "http://127.0.0.1:30001", "name": "rpc_test", "port": 1337,
        }),
    );
    pod["metadata"]["labels"]["grenache.dev/cluster"] = "market".into();
    let pod = serde_json::from_value(pod).unwrap();
    let made = cluster.pods().create(&PostParams::default(), &pod).await.unwrap();
    assert!(made.spec.unwrap().init_containers.is_some(), "it has its Grape");
    pods::ready(cluster.pods(), "app=asks", 1).await;
    let named = operator.shown();
    assert!(named.contains("cannot watch GrapeClusters; trying again"), "{named}");

    // It is back, with a cluster, before the chart has made a Role in it.
    operator.kubectl(["create", "namespace", GONE]).unwrap();
    let object = json!({
        "apiVersion": "grenache.dev/v1alpha1", "kind": "GrapeCluster",
        "metadata": {"name": "back", "namespace": GONE}, "spec": {"replicas": 1},
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), object.to_string()).unwrap();
    operator.kubectl(["create", "--filename", file.path().to_str().unwrap()]).unwrap();
    operator.install(&[webhook, &both]).unwrap();
    let begun = Instant::now();
    let served = wait::until_within(BACK, "what is back is served", async || {
        let of = "--output=jsonpath={.status.readyReplicas}";
        let ready = operator.kubectl(["get", "gcl", "back", "--namespace", GONE, of])?;
        ensure!(ready == "1", "{ready:?} are ready");
        anyhow::Ok(())
    });
    served.await.unwrap();
    figure::took("a namespace is back, with its Role: its cluster ready", begun.elapsed());

    // And without it.
    operator.kubectl(["delete", "namespace", GONE]).unwrap();
    let one = format!("--set=watchNamespaces={{{}}}", cluster.namespace());
    operator.install(&[webhook, &one]).unwrap();
    operator.install(&[]).unwrap();
    cluster.until_ready().await.unwrap();
}
