//! Services that listen where a Grape does by default.

use grape_tests::kubernetes::grape_cluster::condition;
use grape_tests::kubernetes::{Operator, service_pod};
use serde_json::{Value, json};

use super::stage::{GRAPE, LABEL, Stage, ZONES, peer};

/// As a Pushgateway does: it has the port of a Grape's admin pages itself.
const PORT: u16 = 9091;

#[tokio::test]
async fn a_service_on_the_port_of_the_admin_pages_gets_its_grape() {
    let operator = Operator::shared().await.unwrap();
    let stage = Stage::new(&operator, "ports").await;
    let refused = stage.refused(service("taken", json!({}))).await;
    assert!(refused.contains("grenache.dev/admin-port"), "the setting is named: {refused}");
    assert!(refused.contains("spec.injection.adminPort"), "the setting is named: {refused}");

    let ports = json!({"grenache.dev/admin-port": "9092", "grenache.dev/dht-port": "20002"});
    stage.make(service("gateway", ports)).await;
    let gateway = stage.announced("gateway").await;
    let found = peer(&gateway.pod).replace(":1337", &format!(":{PORT}"));
    let mut watcher = stage.watch("watcher", 1, &["rpc_test"]).await;
    watcher.until("rpc_test", &[found]).await;

    // The operator asks it there, and the cluster's own know it there.
    let told = stage.cluster.until("all is well with both", |status| {
        status["injected"]["ready"] == 2 && condition(status, "Injected")["reason"] == "AllInjected"
    });
    let told = told.await.unwrap();
    assert!(!told.to_string().contains("seen neither"), "{told}");
    let shown =
        stage.kubectl(&["exec", "gateway", "--container", "grape", "--", "grape", "status"]);
    assert!(shown.contains(":9092") && shown.contains(":20002"), "{shown}");

    // For all pods by the cluster.
    let all = json!({"injection": {"adminPort": 9093, "dhtPort": 20003}});
    stage.cluster.change(all).await.unwrap();
    stage.cluster.until_ready().await.unwrap();
    stage.make(service("second", json!({}))).await;
    stage.announced("second").await;
    let shown = stage.kubectl(&["exec", "second", "--container", "grape", "--", "grape", "status"]);
    assert!(shown.contains(":9093") && shown.contains(":20003"), "{shown}");
}

fn service(name: &str, annotations: Value) -> Value {
    let argument = json!({"grape": GRAPE, "name": "rpc_test", "port": PORT});
    let mut pod = service_pod::node_js(name, ZONES[0], "rpc_server.js", &argument);
    pod["metadata"]["labels"][LABEL] = "market".into();
    pod["metadata"]["annotations"] = annotations;
    pod["spec"]["containers"][0]["ports"] = json!([{"containerPort": PORT}]);
    pod["spec"]["restartPolicy"] = "Always".into();
    pod
}
