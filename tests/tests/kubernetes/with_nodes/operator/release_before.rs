//! From the release before this one to this one, under constant lookups.

use std::collections::BTreeSet;

use anyhow::Result;
use grape_tests::figure;
use grape_tests::kubernetes::operator::{NAMESPACE, RELEASE};
use grape_tests::kubernetes::{GrapeCluster, Load, Operator, helm, images, service_pod};
use kube::api::PostParams;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::pods;
use super::watch::Watch;

const BEFORE: &str = "localhost/grape-before:test";
const NOW: &str = "localhost/grape:test";

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_replaces_each_grape_once_and_fails_no_lookup() {
    let operator = Operator::alone().await.unwrap();
    tokio::task::block_in_place(|| install_before(&operator)).unwrap();
    let cluster = GrapeCluster::make(&operator, "before", json!({})).await.unwrap();
    cluster.until_ready().await.unwrap();
    let service = serde_json::from_value(service("older")).unwrap();
    cluster.pods().create(&PostParams::default(), &service).await.unwrap();
    let older = pods::ready(cluster.pods(), "app=older", 1).await.remove(0);
    let beside = older.spec.unwrap().init_containers.unwrap();
    assert_eq!(beside[0].image.as_deref(), Some(BEFORE));
    cluster.until("it is counted", |status| status["injected"]["ready"] == 1).await.unwrap();
    let mut load = Load::start(&cluster, "load", ["zone-1", "zone-2"]).await.unwrap();
    let watch = Watch::begin(&cluster);

    let begun = Instant::now();
    tokio::task::block_in_place(|| operator.install(&[])).unwrap();
    let status = cluster.until("all are of this release", |status| {
        status["updatedReplicas"] == 3 && status["injected"]["outdated"] == 1
    });
    let status = status.await.unwrap();
    cluster.until_ready().await.unwrap();
    figure::took("from the release before to this one, three Grapes", begun.elapsed());
    load.flawless("from the release before", begun.elapsed()).await.unwrap();
    for grape in cluster.grapes().await.unwrap() {
        assert_eq!(grape.spec.unwrap().containers[0].image.as_deref(), Some(NOW));
    }
    let (fewest, then) = watch.fewest();
    assert_eq!(fewest, 2, "one Grape is replaced at a time: {then}");
    assert_eq!(watch.pods(), 6, "each is replaced once");
    assert_eq!(watch.not_ready(), BTreeSet::from(["RollingOut".to_owned()]), "as at any change");

    // The Grape that was made before answers this operator, and is one of the network.
    let injected = &status["injected"];
    let told = [&injected["pods"], &injected["ready"], &injected["missing"]];
    assert_eq!(told, [&json!(1), &json!(1), &json!(0)], "{status}");
    assert!(!status.to_string().contains("older"), "nothing is wrong with it: {status}");

    // The status has the fields of this release, and none of the release before.
    let topology = status["topology"].as_object().unwrap();
    assert_eq!(topology["partitions"], 1, "{status}");
    for former in ["islands", "mostKnown", "leastKnown", "meanKnown"] {
        assert!(!topology.contains_key(former), "{former}: {status}");
    }
    let lookup = ["exec", "market-default-0", "--", "grape", "lookup", "rpc_test"];
    let found = cluster.kubectl(&lookup).unwrap();
    assert!(found.ends_with(":1337"), "{found}");
}

/// In the place of this one, as a user has it who is about to upgrade.
fn install_before(operator: &Operator) -> Result<()> {
    for image in ["grape-before", "operator-before"] {
        images::load(operator.cluster(), image)?;
    }
    operator.helm(["uninstall", RELEASE, "--wait", "--namespace", NAMESPACE])?;
    let chart = helm::chart_before()?.display().to_string();
    let flags = [
        "--wait",
        "--timeout=2m",
        "--namespace",
        NAMESPACE,
        "--set=observeInterval=2s",
        "--set=image.repository=localhost/operator-before,image.tag=test",
        "--set=grapeImage.repository=localhost/grape-before,grapeImage.tag=test",
    ];
    operator.helm(["install", RELEASE, &chart].into_iter().chain(flags))?;
    Ok(())
}

fn service(name: &str) -> Value {
    let argument = json!({"grape": "http://127.0.0.1:30001", "name": "rpc_test", "port": 1337});
    let mut pod = service_pod::node_js(name, "zone-1", "rpc_server.js", &argument);
    pod["metadata"]["labels"]["grenache.dev/cluster"] = "market".into();
    pod["spec"]["restartPolicy"] = "Always".into();
    pod
}
