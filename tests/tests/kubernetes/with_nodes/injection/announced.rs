//! A service that does not use Grenache, announced by an annotation of its pod.

use grape_tests::figure;
use grape_tests::kubernetes::{Operator, service_pod};
use grape_tests::programs::Talks;
use serde_json::json;
use tokio::time::Instant;

use super::stage::{LABEL, PORT, Stage, ZONES};

#[tokio::test]
async fn it_is_found_while_it_is_ready() {
    let operator = Operator::shared().await.unwrap();
    let stage = Stage::new(&operator, "announced").await;
    let mut watcher = stage.watch("watcher", 1, &["plain", "plain:too"]).await;

    let argument = json!({"name": "plain", "port": PORT});
    let mut pod = service_pod::node_js("plain", ZONES[0], "plain_http.js", &argument);
    pod["metadata"]["labels"][LABEL] = "market".into();
    let announced = format!("plain:{PORT}, plain:too:{PORT}");
    pod["metadata"]["annotations"] = json!({"grenache.dev/announce": announced});
    pod["spec"]["containers"][0]["readinessProbe"] =
        json!({"httpGet": {"path": "/ready", "port": PORT}, "periodSeconds": 1});
    stage.make(pod).await;
    let mut plain = stage.ready("plain").await;
    for name in ["plain", "plain:too"] {
        watcher.until(name, &[plain.peer()]).await;
    }

    let begun = Instant::now();
    plain.tell(json!("unready")).await.unwrap();
    watcher.until("plain", &[]).await;
    figure::took("a service that is not ready, gone from lookups", begun.elapsed());
    let begun = Instant::now();
    plain.tell(json!("ready")).await.unwrap();
    watcher.until("plain", &[plain.peer()]).await;
    figure::took("a service that is ready again, found", begun.elapsed());
}
