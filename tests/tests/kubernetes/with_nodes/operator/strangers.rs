//! A Helm release `market` of another chart that is called `grape`, beside the GrapeCluster `market`.

use grape_tests::kubernetes::grape_cluster::NAME;
use grape_tests::kubernetes::{GrapeCluster, Operator, service_pod};
use grape_tests::wait;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, EvictParams, PostParams};
use serde_json::json;

use super::super::pods;

/// The pod of the other chart.
const THEIRS: &str = "theirs";

#[tokio::test]
async fn pods_of_another_chart_are_neither_joined_nor_held_up() {
    let operator = Operator::shared().await.unwrap();
    let cluster = GrapeCluster::make(&operator, "strangers", json!({})).await.unwrap();
    cluster.until_ready().await.unwrap();
    // A Grape of a network of its own.
    let mut pod = service_pod::node_js(THEIRS, "zone-1", "", &json!({}));
    pod["spec"]["containers"] = json!([service_pod::grape("127.0.0.1", "")]);
    pod["spec"]["containers"][0]["args"] = json!(["--bind=127.0.0.1", "--admin-bind=0.0.0.0:9091"]);
    for (key, value) in [("name", "grape"), ("instance", NAME), ("managed-by", "Helm")] {
        pod["metadata"]["labels"][format!("app.kubernetes.io/{key}")] = value.into();
    }
    let pod = serde_json::from_value(pod).unwrap();
    cluster.pods().create(&PostParams::default(), &pod).await.unwrap();
    let theirs = pods::ready(cluster.pods(), &format!("app={THEIRS}"), 1).await.remove(0);
    let budget = json!({
        "metadata": {"name": THEIRS},
        "spec": {"minAvailable": 0, "selector": {"matchLabels": {"app": THEIRS}}},
    });
    let budgets: Api<PodDisruptionBudget> =
        Api::namespaced(operator.cluster().client(), cluster.namespace());
    let budget = serde_json::from_value(budget).unwrap();
    budgets.create(&PostParams::default(), &budget).await.unwrap();

    let ip = theirs.status.unwrap().pod_ip.unwrap();
    wait::until("three are behind the Service, and it is none of them", async || {
        let by = format!("kubernetes.io/service-name={NAME}");
        let found = cluster.kubectl(&[
            "get",
            "endpointslices",
            "--selector",
            &by,
            "--output=jsonpath={.items[*].endpoints[*].addresses[0]}",
        ])?;
        let found: Vec<_> = found.split_whitespace().collect();
        anyhow::ensure!(found.len() == 3 && !found.contains(&&*ip), "{ip}: {found:?}");
        anyhow::Ok(())
    })
    .await
    .unwrap();
    let own = budgets.get(NAME).await.unwrap().status.unwrap();
    assert_eq!((own.expected_pods, own.current_healthy), (3, 3));
    wait::until("it can be evicted", async || {
        cluster.pods().evict(THEIRS, &EvictParams::default()).await
    })
    .await
    .unwrap();
    // None of it restarted a Grape.
    cluster.until_ready().await.unwrap();
}
