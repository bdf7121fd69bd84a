//! A broadcast to all instances of a name, one of which is dead.

use grape_tests::kubernetes::operator::is_somebody_elses;
use grape_tests::kubernetes::{Operator, pod_processes};
use grape_tests::programs::Talks;
use grape_tests::{figure, scenarios::offers::NAMES};
use serde_json::json;
use tokio::time::Instant;

use super::stage::{Service, Stage};

#[tokio::test]
async fn the_dead_one_is_gone_before_the_next_broadcast() {
    if is_somebody_elses().unwrap() {
        return;
    }
    let operator = Operator::shared().await.unwrap();
    let stage = Stage::new(&operator, "broadcast").await;
    for (number, name) in NAMES.iter().enumerate() {
        // A trader that dies stays dead.
        stage.start_once(name, number % 2, "trader.js", json!({})).await;
    }
    let mut traders = Vec::new();
    for name in NAMES {
        traders.push(stage.announced(name).await);
    }
    let peers: Vec<_> = traders.iter().map(Service::peer).collect();
    stage.until_found(NAMES[0], "common", &peers).await;

    let dave = traders.pop().unwrap();
    let killed = Instant::now();
    pod_processes::kill(&dave.pod, &["node", "grape"]).unwrap();
    stage.until_found(NAMES[0], "common", &peers[..3]).await;
    figure::took("a pod killed, and gone from a broadcast", killed.elapsed());

    let text = "1 ETH for 3000 USD";
    traders[0].tell(json!({ "do": "offer", "id": "offer-1", "text": text })).await.unwrap();
    let broadcast = traders[0].event("broadcast").await.unwrap();
    assert_eq!(broadcast["answers"], json!(["seen", "seen", "seen"]), "{broadcast}");
}
