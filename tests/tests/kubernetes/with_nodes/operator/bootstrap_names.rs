//! Names in `spec.dht.bootstrap` that lead to no Grape, as when a fleet moves: the status says
//! which and why, and the cluster is ready all the same.

use grape_tests::kubernetes::grape_cluster::{GRAPES, condition};
use grape_tests::kubernetes::{GrapeCluster, Operator};
use serde_json::{Value, json};

use super::super::pods;

const UNRESOLVED: &str = "no-such-grape.prod.svc:20001";

#[tokio::test]
async fn a_bootstrap_name_that_leads_to_no_grape_is_in_the_status() {
    let operator = Operator::shared().await.unwrap();
    let old = GrapeCluster::make(&operator, "old", json!({"replicas": 1})).await.unwrap();
    old.until_ready().await.unwrap();
    let grape = pods::ready(old.pods(), GRAPES, 1).await.remove(0);
    let ip = grape.status.unwrap().pod_ip.unwrap();
    // The port of its API: over UDP, nothing listens there.
    let unanswered = format!("{ip}:30001");
    let right = format!("{ip}:20001");

    let names = json!([UNRESOLVED, unanswered, right]);
    let new = GrapeCluster::make(&operator, "new", json!({"dht": {"bootstrap": names}})).await;
    let new = new.unwrap();
    let reachable = |status: &Value| condition(status, "BootstrapReachable").clone();
    let told = |status: &Value| {
        let it = reachable(status);
        let message = it["message"].as_str().unwrap_or_default();
        // The right name is among the others until the first answer from it.
        it["status"] == "False"
            && [UNRESOLVED, &unanswered].iter().all(|name| message.contains(name))
            && !message.contains(&right)
    };
    let status = new.until("both names are told of", told).await.unwrap();
    let it = reachable(&status);
    assert_eq!(it["reason"], "NoGrapeAnswers", "{it}");
    let message = it["message"].as_str().unwrap();
    for part in [
        &format!("{UNRESOLVED} does not resolve: "),
        &format!(
            "{unanswered}: no Grape answers at {unanswered} (is that the UDP port of its DHT?)"
        ),
    ] {
        assert!(message.contains(part), "{message}");
    }
    let status = new.until_ready().await.unwrap();
    let ready = condition(&status, "Ready")["message"].as_str().unwrap();
    assert!(ready.contains("see BootstrapReachable"), "{ready}");

    new.change(json!({"dht": {"bootstrap": [right]}})).await.unwrap();
    let well = |status: &Value| reachable(status)["status"] == "True";
    new.until("its names lead to Grapes", well).await.unwrap();
    new.change(json!({"dht": {"bootstrap": []}})).await.unwrap();
    new.until("it has no names", |status| reachable(status).is_null()).await.unwrap();
}
