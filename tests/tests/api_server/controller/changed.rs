//! A change costs one write of each thing that it changes.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use grape_tests::kubernetes::{ApiServer, Proxy};
use serde_json::json;
use tokio::time::Duration;

use super::scene::{Scene, is_seen, until_quiet, writes};

/// So many that watches are behind what was written.
const CLUSTERS: u16 = 40;

#[tokio::test(flavor = "multi_thread")]
async fn a_status_is_written_once_for_a_change() {
    let server = ApiServer::start_with_definition().await.unwrap();
    let scene = Scene::new(&server, "once").await;
    let proxy = Proxy::start(&server).await.unwrap();
    let names: Vec<_> = (0..CLUSTERS).map(|number| format!("c-{number}")).collect();
    for name in &names {
        scene.cluster(name, json!({})).await;
    }
    let _operator = scene.operator_at(proxy.kubeconfig(), "one").await;
    for name in &names {
        scene.until_applied(name).await;
    }
    until_quiet(&proxy, Duration::from_secs(3)).await;

    proxy.forget_calls();
    let change = json!({"spec": {"replicas": 4}});
    join_all(names.iter().map(|name| scene.change("GrapeCluster", name, change.clone()))).await;
    for name in &names {
        scene.until("it is told of", ("GrapeCluster", name), is_seen).await;
        let set = scene.get("StatefulSet", &format!("{name}-default")).await;
        assert_eq!(set["spec"]["replicas"], 4, "{name}");
    }
    until_quiet(&proxy, Duration::from_secs(3)).await;
    let mut statuses: BTreeMap<_, u32> = BTreeMap::new();
    for call in writes(&proxy).into_iter().filter(|call| call.path.ends_with("/status")) {
        *statuses.entry(call.path).or_default() += 1;
    }
    assert_eq!(statuses.len(), names.len(), "{statuses:?}");
    statuses.retain(|_, times| *times > 1);
    assert_eq!(statuses, BTreeMap::new(), "these were written again");
}
