//! The chart is installed a second time, for all namespaces, with another image for Grapes.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use grape_tests::kubernetes::operator::{NAMESPACE, RELEASE};
use grape_tests::kubernetes::{GrapeCluster, Operator, helm, images};
use grape_tests::{figure, wait};
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt;
use kube::api::Api;
use serde_json::json;
use tokio::time::{Instant, sleep};

/// The second release, in a namespace of the same name.
const SECOND: &str = "second";
/// The image that it would give Grapes.
const IMAGE: &str = "localhost/second:test";
/// Several looks of an operator, in which two of them wrote hundreds of times.
const A_WHILE: Duration = Duration::from_secs(10);
/// Three times what a second operator may take until it works.
const TAKEN_OVER: Duration = Duration::from_secs(180);

fn install(operator: &Operator) -> Result<()> {
    let chart = helm::chart()?.display().to_string();
    let flags = [
        "--create-namespace",
        "--namespace=second",
        // The first has installed it.
        "--set=crds.install=false",
        "--set=replicas=1",
        "--set=observeInterval=2s",
        "--set=image.repository=localhost/operator,image.tag=test",
        "--set=grapeImage.repository=localhost/second,grapeImage.tag=test",
    ];
    operator.helm(["install", SECOND, &chart].into_iter().chain(flags))?;
    Ok(())
}

async fn set(cluster: &GrapeCluster<'_>) -> Result<StatefulSet> {
    let client = cluster.operator().cluster().client();
    Ok(Api::namespaced(client, cluster.namespace()).get("market-default").await?)
}

async fn uids(cluster: &GrapeCluster<'_>) -> Result<BTreeMap<String, Option<String>>> {
    let grapes = cluster.grapes().await?.into_iter();
    Ok(grapes.map(|pod| (pod.name_any(), pod.uid())).collect())
}

#[tokio::test]
async fn the_second_waits_and_takes_over_when_the_first_is_gone() {
    let operator = Operator::alone().await.unwrap();
    images::name_again(operator.cluster(), "localhost/grape:test", IMAGE).unwrap();
    let cluster = GrapeCluster::make(&operator, "tworeleases", json!({})).await.unwrap();
    cluster.until_ready().await.unwrap();
    let before = set(&cluster).await.unwrap();
    let grapes = uids(&cluster).await.unwrap();

    install(&operator).unwrap();
    let waits = format!("another operator, {RELEASE} in the namespace {NAMESPACE}");
    let logs = ["logs", "--namespace", SECOND, "--selector", "app.kubernetes.io/instance=second"];
    let told = wait::until("the second says for whom it waits", async || {
        let said = operator.kubectl(logs)?;
        ensure!(said.contains(&waits) && said.contains("watchNamespaces"), "{said}");
        anyhow::Ok(())
    });
    told.await.unwrap();
    sleep(A_WHILE).await;
    let after = set(&cluster).await.unwrap();
    assert_eq!(after.metadata.generation, before.metadata.generation, "nobody wrote");
    assert_eq!(uids(&cluster).await.unwrap(), grapes);
    let ready = "--output=jsonpath={.status.readyReplicas}";
    let deployments = ["get", "deployments", "--namespace", SECOND, ready];
    assert_eq!(operator.kubectl(deployments).unwrap(), "", "it is not ready while it waits");

    operator.helm(["uninstall", RELEASE, "--wait", "--namespace", NAMESPACE]).unwrap();
    let begun = Instant::now();
    let taken = wait::until_within(TAKEN_OVER, "the second works", async || {
        let set = set(&cluster).await?;
        let pod = set.spec.and_then(|spec| spec.template.spec);
        let image = pod.and_then(|pod| pod.containers[0].image.clone());
        ensure!(image.as_deref() == Some(IMAGE), "{image:?}");
        anyhow::Ok(())
    });
    taken.await.unwrap();
    figure::took("the first of two operators uninstalled: the second works", begun.elapsed());
    cluster.until_ready().await.unwrap();

    operator.helm(["uninstall", SECOND, "--wait", "--namespace", SECOND]).unwrap();
    operator.kubectl(["delete", "namespace", SECOND]).unwrap();
    operator.install(&[]).unwrap();
    cluster.until_ready().await.unwrap();
}
