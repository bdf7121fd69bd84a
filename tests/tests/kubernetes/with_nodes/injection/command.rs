//! The command `grape` in a service's pod, as people run it.

use grape_tests::kubernetes::Operator;
use serde_json::json;

use super::stage::Stage;

#[tokio::test]
async fn the_command_works_in_a_pod() {
    let operator = Operator::shared().await.unwrap();
    let stage = Stage::new(&operator, "command").await;
    stage.start("server", 0, "rpc_server.js", json!({"name": "rpc_test"})).await;
    let server = stage.announced("server").await;
    let mut watcher = stage.watch("other", 1, &["rpc_test"]).await;
    watcher.until("rpc_test", &[server.peer()]).await;

    let grape = |pod: &str, arguments: &[&str]| {
        let exec = ["exec", pod, "--container", "grape", "--", "grape"];
        stage.kubectl(&[&exec, arguments].concat())
    };
    let found = grape("other", &["lookup", "rpc_test"]);
    assert!(found.contains(&server.peer()), "{found}");
    let status = grape("server", &["status", "--output=json"]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    // Three of the cluster, and that of the other pod.
    assert_eq!(status["nodes"], 4, "{status}");
    let shown = grape("server", &["status"]);
    assert!(shown.contains("rpc_test"), "{shown}");
}
