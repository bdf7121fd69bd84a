//! A fleet of npm's Grapes in pods, moved over to Grapes of the operator.

use grape_tests::kubernetes::{GrapeCluster, Load, Operator, service_pod};
use grape_tests::{figure, wait};
use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::pods;

const NPM: [&str; 2] = ["npm-1", "npm-2"];

#[tokio::test]
async fn npms_grapes_are_joined_and_then_replaced() {
    let operator = Operator::shared().await.unwrap();
    // It waits for them: a name that is not there yet is asked for again.
    let cluster = GrapeCluster::make(&operator, "npm", json!({"paused": true})).await.unwrap();
    let first = npm_grape(&cluster, NPM[0], "zone-1", &[]).await;
    let second = npm_grape(&cluster, NPM[1], "zone-2", &[&first]).await;
    let bootstrap = json!({"bootstrap": [first, second]});
    cluster.change(json!({"paused": false, "dht": bootstrap})).await.unwrap();
    cluster.until_ready().await.unwrap();

    // What is announced here is found there.
    for (announcer, finder, name) in
        [(NPM[0], "market-default-2", "theirs"), ("market-default-0", NPM[1], "ours")]
    {
        ask(&cluster, announcer, "announce", json!([name, 1337])).await;
        let found = ask(&cluster, finder, "lookup", json!(name)).await;
        let found = found.as_array().unwrap();
        assert_eq!(found.len(), 1, "{name} at {finder}: {found:?}");
        assert!(found[0].as_str().unwrap().ends_with(":1337"), "{found:?}");
    }

    // Services that have moved keep finding each other when npm's Grapes end.
    let mut load = Load::start(&cluster, "load", ["zone-1", "zone-2"]).await.unwrap();
    let begun = Instant::now();
    cluster.kubectl(&["delete", "pod", NPM[0]]).unwrap();
    load.flawless("one of two npm Grapes stopped", begun.elapsed()).await.unwrap();
    let begun = Instant::now();
    cluster.kubectl(&["delete", "pod", NPM[1]]).unwrap();
    cluster.change(json!({"dht": {"bootstrap": []}})).await.unwrap();
    cluster.until_ready().await.unwrap();
    figure::took("the last npm Grape stopped and forgotten, Ready", begun.elapsed());
    load.flawless("the last npm Grape stopped and forgotten", begun.elapsed()).await.unwrap();
}

/// Starts one that joins others, and gives its address.
async fn npm_grape(
    cluster: &GrapeCluster<'_>,
    name: &str,
    zone: &str,
    bootstrap: &[&str],
) -> String {
    let options = json!([{"dht_port": 20001, "api_port": 30001, "dht_bootstrap": bootstrap}]);
    let pod = service_pod::node_js(name, zone, "grape.js", &options);
    let pod: Pod = serde_json::from_value(pod).unwrap();
    cluster.pods().create(&PostParams::default(), &pod).await.unwrap();
    let label = format!("app={name}");
    let running = pods::ready(cluster.pods(), &label, 1).await.remove(0);
    let ip = running.status.unwrap().pod_ip.unwrap();
    format!("{ip}:20001")
}

/// A verb's answer. One of npm's needs a moment until it listens, and knows of others.
async fn ask(cluster: &GrapeCluster<'_>, grape: &str, verb: &str, data: Value) -> Value {
    let what = format!("{grape} answers {verb} {data}");
    wait::until(&what, async || match cluster.ask(grape, verb, data.clone()).await {
        Ok(Value::Array(none)) if none.is_empty() => Err("nobody".to_owned()),
        Ok(answer) => Ok(answer),
        Err(error) => Err(format!("{error:#}")),
    })
    .await
    .unwrap()
}
