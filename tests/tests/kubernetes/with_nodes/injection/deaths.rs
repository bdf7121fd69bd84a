//! Services that die without a word, and how long they are found after that, by pods on both nodes.

use std::time::SystemTime;

use grape_tests::kubernetes::operator::is_somebody_elses;
use grape_tests::kubernetes::{Operator, pod_processes};
use grape_tests::{figure, wait};
use serde_json::json;
use tokio::time::Instant;

use super::super::cut_off::CutOff;
use super::stage::{Stage, Watcher, now};

const NAME: &str = "rpc_test";

#[tokio::test]
async fn a_dead_service_soon_disappears_from_lookups() {
    if is_somebody_elses().unwrap() {
        return;
    }
    // It cuts a node off.
    let operator = Operator::alone().await.unwrap();
    let stage = Stage::new(&operator, "deaths").await;
    for (name, zone) in [("stays", 0), ("in-place", 0), ("far", 1)] {
        stage.start(name, zone, "rpc_server.js", json!({"name": NAME})).await;
    }
    stage.start_once("dies", 1, "rpc_server.js", json!({"name": NAME})).await;
    let mut both = Vec::new();
    for (name, zone) in [("watcher-1", 1), ("watcher-2", 0), ("watcher-3", 0)] {
        both.push(stage.watch(name, zone, &[NAME]).await);
    }
    let stays = stage.announced("stays").await;
    let in_place = stage.announced("in-place").await;
    let dies = stage.announced("dies").await;
    let far = stage.announced("far").await;
    let all = [stays.peer(), in_place.peer(), dies.peer(), far.peer()];
    until(&mut both, &all).await;

    let [stays, back_again, dies_at, far_at] = all.clone();
    // Its node starts it again at once, and then only after ten seconds.
    let first = pod_processes::running(&in_place.pod, &["node"]).unwrap();
    pod_processes::kill(&in_place.pod, &["node"]).unwrap();
    wait::until("its node starts it again", async || {
        let again = pod_processes::running(&in_place.pod, &["node"])?;
        // The one that was killed may be there for a moment.
        anyhow::ensure!(again != first, "{again:?} is the one that was killed");
        anyhow::Ok(())
    })
    .await
    .unwrap();
    until(&mut both, &all).await;
    let killed = now();
    pod_processes::kill(&in_place.pod, &["node"]).unwrap();
    let left = [stays.clone(), dies_at, far_at.clone()];
    gone("a service killed in its pod", killed, &mut both, &left).await;
    let back = Instant::now();
    until(&mut both, &all).await;
    figure::took("a service that its pod starts again is found again", back.elapsed());

    let killed = now();
    pod_processes::kill(&dies.pod, &["node", "grape"]).unwrap();
    let left = [stays.clone(), back_again.clone(), far_at];
    gone("a pod killed, its Grape too", killed, &mut both, &left).await;

    let mut near = both.split_off(1);
    let killed = now();
    let cut = CutOff::begin(operator.cluster(), 2);
    gone("a node cut off, on the other one", killed, &mut near, &[stays, back_again]).await;
    let back = Instant::now();
    drop(cut);
    until(&mut near, &left).await;
    figure::took("a node back, its service is found again", back.elapsed());
}

/// Waits until all find just these.
async fn until(watchers: &mut [Watcher], peers: &[String]) {
    for watcher in watchers {
        watcher.until(NAME, peers).await;
    }
}

/// The same, and prints how long after the death each last found the dead one.
async fn gone(what: &str, killed: SystemTime, watchers: &mut [Watcher], left: &[String]) {
    for watcher in watchers {
        let gone = watcher.until(NAME, left).await.duration_since(killed).unwrap_or_default();
        figure::took(&format!("{what}: gone from the lookups of {}", watcher.name), gone);
    }
}
