//! A pod with name servers of its own, which know nothing of the cluster.

use grape_tests::figure;
use grape_tests::kubernetes::grape_cluster::condition;
use grape_tests::kubernetes::{Operator, service_pod};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::stage::{GRAPE, LABEL, PORT, Stage, ZONES};

#[tokio::test]
async fn a_pod_that_finds_no_grapes_is_reported_and_the_cluster_stays_ready() {
    let operator = Operator::shared().await.unwrap();
    let stage = Stage::new(&operator, "dns").await;
    stage.start("tenant", 0, "rpc_server.js", json!({"name": "rpc_test"})).await;
    stage.announced("tenant").await;

    let begun = Instant::now();
    let warned = stage.warned(&lost());
    assert!(warned.contains("spec.dnsPolicy is None"), "{warned}");
    let named = format!("{}/lost", stage.cluster.namespace());
    let told = stage.cluster.until("the pod is named", |status| {
        let injected = condition(status, "Injected");
        let message = injected["message"].as_str().unwrap_or_default();
        injected["status"] == "False"
            && message.contains(&named)
            && message.contains("do not resolve market.")
    });
    let told = told.await.unwrap();
    figure::took("a pod that finds nobody told of, from its creation", begun.elapsed());
    let injected = condition(&told, "Injected");
    // The operator introduces it to the others, before or after its name is reported as unresolved.
    let reason = injected["reason"].as_str().unwrap();
    assert!(["SidecarsDisconnected", "SeedsUnresolved"].contains(&reason), "{injected}");
    for (kind, is) in [("Ready", "True"), ("Bootstrapped", "True"), ("Partitioned", "False")] {
        assert_eq!(condition(&told, kind)["status"], is, "{told}");
    }

    stage.kubectl(&["delete", "pod", "lost", "--wait=false"]);
    let well = stage
        .cluster
        .until("all is well", |status| condition(status, "Injected")["reason"] == "AllInjected");
    well.await.unwrap();
}

/// A service whose name server does not answer.
fn lost() -> Value {
    let argument = json!({"grape": GRAPE, "name": "lost", "port": PORT});
    let mut pod = service_pod::node_js("lost", ZONES[1], "rpc_server.js", &argument);
    pod["metadata"]["labels"][LABEL] = "market".into();
    pod["spec"]["restartPolicy"] = "Always".into();
    pod["spec"]["dnsPolicy"] = "None".into();
    pod["spec"]["dnsConfig"] = json!({"nameservers": ["192.0.2.53"]});
    pod
}
