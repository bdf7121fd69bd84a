//! Several operators, and several namespaces.

use std::fs;
use std::path::Path;
use std::process::Command;

use grape_tests::kubernetes::{ApiServer, Proxy, script, tools};
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use super::scene::{Scene, until_quiet, writes};

#[tokio::test(flavor = "multi_thread")]
async fn only_the_permitted_operator_writes() {
    let server = ApiServer::start_with_definition().await.unwrap();
    tokio::join!(the_leader_alone_writes(&server), the_rights_of_a_namespace_suffice(&server));
}

async fn the_leader_alone_writes(server: &ApiServer) {
    let scene = Scene::new(server, "replicas").await;
    let watch = format!("--watch-namespaces={}", scene.space());
    let [first, second] =
        [Proxy::start(server).await.unwrap(), Proxy::start(server).await.unwrap()];
    let mut one = scene.start(first.kubeconfig(), "one", &[&watch]).await;
    one.until_leads().await.unwrap();
    let two = scene.start(second.kubeconfig(), "two", &[&watch]).await;
    two.until_logs("waiting for the lease").await.unwrap();
    scene.cluster("market", json!({})).await;
    scene.until_applied("market").await;
    until_quiet(&first, Duration::from_secs(1)).await;
    assert_ne!(writes(&first), []);
    assert_eq!(writes(&second), []);

    one.signal("TERM").await.unwrap();
    assert_eq!(one.ended().await.unwrap().code(), Some(0));
    first.forget_calls();
    scene.change("GrapeCluster", "market", json!({"spec": {"replicas": 5}})).await;
    scene.until_applied("market").await;
    assert_eq!(scene.get("StatefulSet", "market-default").await["spec"]["replicas"], 5);
    assert_ne!(writes(&second), []);
    assert_eq!(first.calls(), []);
}

/// As the chart gives them.
async fn the_rights_of_a_namespace_suffice(server: &ApiServer) {
    let [ops, here, there, elsewhere] = [
        Scene::new(server, "ops").await,
        Scene::new(server, "here").await,
        Scene::new(server, "there").await,
        Scene::new(server, "elsewhere").await,
    ];
    let folder = tempfile::tempdir().unwrap();
    let watched = format!("{},{}", here.space(), there.space());
    let kubeconfig = account(server, ops.space(), &watched, folder.path());
    for scene in [&here, &there, &elsewhere] {
        let pools = json!([{"name": "a"}, {"name": "b"}]);
        let spec = json!({"pools": pools, "monitoring": {"serviceMonitor": true}});
        scene.cluster("market", spec).await;
    }
    let flag = format!("--watch-namespaces={watched}");
    let operator = ops.start(&kubeconfig, "one", &[&flag]).await;
    for scene in [&here, &there] {
        scene.until_applied("market").await;
        let less = json!({"spec": {"replicas": 1, "networkPolicy": {"enabled": false}}});
        scene.change("GrapeCluster", "market", less).await;
        scene.until_applied("market").await;
        assert_eq!(
            scene.names().await,
            [
                "Service market",
                "ServiceAccount market",
                "StatefulSet market-a",
                "StatefulSet market-b",
            ]
        );
        assert_ne!(scene.all(&["Event"]).await.len(), 0);
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(elsewhere.names().await, [""; 0]);
    let status = &elsewhere.get("GrapeCluster", "market").await["status"];
    assert_eq!(status["observedGeneration"], -1, "no operator has seen it: {status}");
    assert_eq!(forbidden(&operator.log()), [""; 0]);
    drop(operator);

    // It is these rights that were used: for all namespaces they do not suffice.
    let all = ops.start(&kubeconfig, "two", &["--lease-name=two"]).await;
    all.until_logs("cannot watch GrapeClusters; trying again").await.unwrap();
    assert_ne!(forbidden(&all.log()), [""; 0]);
    assert_eq!(elsewhere.names().await, [""; 0]);
}

/// Lines of what it may not, but for the Leases of other operators, which it does without.
fn forbidden(log: &[Value]) -> Vec<String> {
    let lines = log.iter().map(Value::to_string).filter(|line| !line.contains("other operators"));
    lines.filter(|line| line.to_lowercase().contains("forbidden")).collect()
}

/// A kubeconfig of the chart's account, which has what the chart gives it.
fn account(server: &ApiServer, ops: &str, watched: &str, folder: &Path) -> std::path::PathBuf {
    let kubectl = server.kubectl().unwrap();
    let chart =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("charts/grape-operator");
    let mut helm = Command::new(tools::binary("helm").unwrap());
    helm.args(["template", "grape-operator"]).arg(chart).arg(format!("--namespace={ops}"));
    helm.arg(format!("--set=watchNamespaces={{{watched}}}"));
    for file in ["rbac", "leases", "serviceaccount"] {
        helm.arg(format!("--show-only=templates/{file}.yaml"));
    }
    let rendered = folder.join("rendered.yaml");
    fs::write(&rendered, script::run(&mut helm).unwrap()).unwrap();
    kubectl.run(["apply", "--filename", rendered.to_str().unwrap()]).unwrap();
    let token = kubectl.run(["create", "token", "grape-operator", "--namespace", ops]).unwrap();

    let text = fs::read_to_string(server.kubeconfig()).unwrap();
    let mut config: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
    config["users"][0]["user"] = serde_yaml::to_value(json!({"token": token})).unwrap();
    // Next to the other, whose paths it has.
    let path = server.kubeconfig().with_file_name("operator.kubeconfig");
    fs::write(&path, serde_yaml::to_string(&config).unwrap()).unwrap();
    path
}
