//! What Grapes tell each other by gossip spares the operator questions, and gets into no status.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use grape_tests::http::{self, Request};
use grape_tests::kubernetes::ApiServer;
use grape_tests::our_operator::Operator;
use grape_tests::wait;
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use super::rest::{grapes, ips, say_ready};
use super::scene::{Scene, told};

/// The key in which each Grape keeps its entry.
const ENTRY: &str = "/gossip/grapecluster/state/grape";

/// How many requests of a path Grapes got.
async fn asked(operator: &Operator, path: &str) -> Result<f64> {
    let series = format!("grape_operator_grape_requests_total{{path=\"{path}\"}}");
    Ok(operator.metric(&series).await?.unwrap_or_default())
}

/// The views and the status pages that the operator reads in a few rounds at rest.
async fn rounds(operator: &Operator) -> Result<[f64; 2]> {
    let before = [asked(operator, "/gossip").await?, asked(operator, "/status").await?];
    let mut after = before;
    while after[0] - before[0] < 4.0 {
        ensure!(after[1] - before[1] < 100.0, "it reads no view: {before:?} {after:?}");
        sleep(Duration::from_millis(100)).await;
        after = [asked(operator, "/gossip").await?, asked(operator, "/status").await?];
    }
    Ok([after[0] - before[0], after[1] - before[1]])
}

/// Waits until a few rounds read this many status pages for each view: at least, and at most.
async fn until_asked(operator: &Operator, least: f64, most: f64) {
    let what = format!("{least} to {most} Grapes are asked in a round");
    let seen = wait::until(&what, async || {
        let [views, pages] = rounds(operator).await?;
        // A round may have begun in between.
        ensure!(pages >= views * least - 1.0 && pages <= views * most + 1.0, "{views} {pages}");
        anyhow::Ok(())
    });
    seen.await.unwrap();
}

async fn conditions(scene: &Scene) -> [Value; 2] {
    let cluster = scene.get("GrapeCluster", "live").await;
    ["Ready", "Partitioned"].map(|condition| told(&cluster, condition))
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_spare_questions_and_lies_change_no_condition() {
    let server = ApiServer::start_with_definition().await.unwrap();
    let scene = Scene::new(&server, "hints").await;
    let operator = scene.operator("one").await;
    let server = server.with_controllers(&["statefulset-controller"]).await.unwrap();
    let (grapes, [_, api]) = grapes(&scene).await;
    scene.until_told("live", "Ready", "Healthy").await;
    // One in turn, of three.
    until_asked(&operator, 1.0, 1.0).await;
    let before = conditions(&scene).await;

    // One says that it is not ready, and knows nobody.
    let liar = SocketAddr::new(ips(&scene).await[0], api.number());
    let entry = http::send(liar, &Request::get(ENTRY)).await.unwrap().json().unwrap();
    let mut lie = entry.clone();
    lie["ready"] = json!(false);
    lie["knows"] = json!("0000000000000000");
    let request = |body: &Value| Request::post(ENTRY, body.to_string()).method("PUT");
    assert_eq!(http::send(liar, &request(&lie)).await.unwrap().status, 200);
    until_asked(&operator, 1.5, 2.0).await;
    assert_eq!(conditions(&scene).await, before, "its own status page counts");

    // All say that nothing has changed, while one of them is stopped.
    assert_eq!(http::send(liar, &request(&entry)).await.unwrap().status, 200);
    until_asked(&operator, 1.0, 1.0).await;
    grapes[2].signal("STOP").await.unwrap();
    let ready = scene.until_told("live", "Ready", "GrapesUnreachable").await;
    assert_eq!(ready["status"], "False", "{ready}");
    grapes[2].signal("CONT").await.unwrap();
    scene.until_told("live", "Ready", "Healthy").await;
    until_asked(&operator, 1.0, 1.0).await;
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kubernetes_says_of_a_pod_is_told_once_all_were_asked() {
    let server = ApiServer::start_with_definition().await.unwrap();
    let scene = Scene::new(&server, "unready").await;
    let operator = scene.operator("one").await;
    let server = server.with_controllers(&["statefulset-controller"]).await.unwrap();
    let _grapes = grapes(&scene).await;
    scene.until_told("live", "Ready", "Healthy").await;
    until_asked(&operator, 1.0, 1.0).await;
    let ip = ips(&scene).await[1].to_string();
    for (ready, reason) in [("False", "GrapesNotReady"), ("True", "Healthy")] {
        say_ready(&scene, "live-default-1", &ip, ready).await;
        let told = scene.until_told("live", "Ready", reason).await;
        assert_eq!(told["status"], ready, "{told}");
    }
    until_asked(&operator, 1.0, 1.0).await;
    drop(server);
}
