//! Two clusters, of which one comes to an address of the other: they stay two.

use std::time::Duration;

use grape_tests::kubernetes::grape_cluster::{GRAPES, condition};
use grape_tests::kubernetes::{GrapeCluster, Operator, service_pod};
use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::super::pods;

/// Twice as long as two clusters took to become one, before Grapes named their networks.
const LONG: Duration = Duration::from_secs(60);

/// A Grape in the network of one cluster, which it joins, with an address of another cluster too.
fn stray(cluster: &GrapeCluster<'_>, address: &str) -> Pod {
    let mut grape = service_pod::grape("0.0.0.0", &format!("{},{address}", cluster.endpoint()));
    let network = format!("{}.market", cluster.namespace());
    grape["env"] = json!([{"name": "GRAPE_NETWORK", "value": network}]);
    let pod = json!({
        "metadata": {"name": "stray", "labels": {"app": "stray"}},
        "spec": {
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 1,
            "securityContext": service_pod::pod_security(),
            "containers": [grape],
        },
    });
    serde_json::from_value(pod).unwrap()
}

fn ip(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()).unwrap()
}

#[tokio::test]
async fn clusters_that_meet_at_an_address_stay_two() {
    let operator = Operator::shared().await.unwrap();
    let first = GrapeCluster::make(&operator, "first", json!({})).await.unwrap();
    let second = GrapeCluster::make(&operator, "second", json!({})).await.unwrap();
    first.until_ready().await.unwrap();
    second.until_ready().await.unwrap();
    second.ask("market-default-1", "announce", json!(["theirs", 1337])).await.unwrap();
    let grapes = pods::ready(second.pods(), GRAPES, 3).await;

    let pod = stray(&first, &format!("{}:20001", ip(&grapes[0])));
    first.pods().create(&PostParams::default(), &pod).await.unwrap();
    let pod = pods::ready(first.pods(), "app=stray", 1).await.remove(0);
    let begun = Instant::now();
    while begun.elapsed() < LONG {
        for grape in ["market-default-0", "market-default-2", "stray"] {
            let found = first.ask(grape, "lookup", json!("theirs")).await.unwrap();
            assert_eq!(found, json!([]), "{grape} after {:?}", begun.elapsed());
        }
        sleep(Duration::from_secs(2)).await;
    }
    // Both are healthy, and report each other.
    let told = |status: &Value, address: &str| {
        let message = condition(status, "OtherNetworks")["message"].as_str().unwrap_or_default();
        message.contains(address)
    };
    let address = format!("{}:20001", ip(&pod));
    second.until("it tells of the other", |status| told(status, &address)).await.unwrap();
    for cluster in [&first, &second] {
        let status = cluster.until_ready().await.unwrap();
        assert_eq!(condition(&status, "Partitioned")["status"], "False", "{status}");
    }
    first.kubectl(&["delete", "pod", "stray"]).unwrap();
    let over = |status: &Value| condition(status, "OtherNetworks").is_null();
    second.until("it is over", over).await.unwrap();
}
