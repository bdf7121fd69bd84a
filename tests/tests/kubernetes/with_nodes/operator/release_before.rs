//! From the release before this one to this one, and back, under constant lookups.

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
async fn an_upgrade_and_its_rollback_replace_each_grape_once_and_fail_no_lookup() {
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

    // The operator of each release has the Grape of the other one among its sidecars, or its own.
    for (what, image, outdated) in
        [("from the release before to this one", NOW, 1), ("back to the release before", BEFORE, 0)]
    {
        let watch = Watch::begin(&cluster);
        let begun = Instant::now();
        tokio::task::block_in_place(|| {
            if image == NOW { operator.install(&[]) } else { roll_back(&operator) }
        })
        .unwrap();
        let status = cluster.until("all are of one release, and all is well", |status| {
            let injected = &status["injected"];
            status["image"] == image
                && status["updatedReplicas"] == 3
                && status["topology"]["partitions"] == 1
                // The Grape that was made before answers either operator, and is one of the network.
                && [&injected["pods"], &injected["ready"], &injected["missing"]] == [1, 1, 0]
                && injected["outdated"] == outdated
                && !status.to_string().contains("older")
        });
        status.await.unwrap();
        cluster.until_ready().await.unwrap();
        figure::took(&format!("{what}, three Grapes"), begun.elapsed());
        load.flawless(what, begun.elapsed()).await.unwrap();

        for grape in cluster.grapes().await.unwrap() {
            assert_eq!(grape.spec.unwrap().containers[0].image.as_deref(), Some(image), "{what}");
        }
        let (fewest, then) = watch.fewest();
        assert_eq!(fewest, 2, "{what}, one Grape is replaced at a time: {then}");
        assert_eq!(watch.pods(), 6, "{what}, each is replaced once");
        let reasons = BTreeSet::from(["RollingOut".to_owned()]);
        assert_eq!(watch.not_ready(), reasons, "{what}, as at any change");
        let lookup = ["exec", "market-default-0", "--", "grape", "lookup", "rpc_test"];
        let found = cluster.kubectl(&lookup).unwrap();
        assert!(found.ends_with(":1337"), "{what}: {found}");
    }
    // So that the next test has its operator.
    tokio::task::block_in_place(|| operator.install(&[])).unwrap();
}

/// As docs/upgrades.md has it.
fn roll_back(operator: &Operator) -> Result<()> {
    let flags = ["--namespace", NAMESPACE, "--wait", "--timeout=2m"];
    operator.helm(["rollback", RELEASE].into_iter().chain(flags))?;
    Ok(())
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
