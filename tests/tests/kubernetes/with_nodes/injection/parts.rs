//! All Grapes of a cluster are replaced at once, while many services go on.

use std::time::Duration;

use grape_tests::kubernetes::grape_cluster::GRAPES;
use grape_tests::kubernetes::{GrapeCluster, Operator, service_pod};
use grape_tests::{figure, wait};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::PostParams;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::pods;
use super::stage::LABEL;

/// More than a Grape has to know to leave its bootstrap addresses alone in the releases before.
const SERVICES: usize = 26;
/// Three times what is wanted.
const BOUND: Duration = Duration::from_secs(180);

/// A pod that only waits, with a Grape beside it.
pub(super) fn idle(name: &str, group: &str) -> Pod {
    let mut container = service_pod::grape("127.0.0.1", "127.0.0.1:9");
    container["name"] = "idle".into();
    // It watches a name without instances, at the Grape beside it.
    container["args"] = json!(["watch", "nobody"]);
    for probe in ["startupProbe", "readinessProbe", "livenessProbe", "ports"] {
        container.as_object_mut().unwrap().remove(probe);
    }
    container["resources"] = json!({"requests": {"cpu": "5m"}});
    let pod = json!({
        "metadata": {"name": name, "labels": {"group": group, LABEL: "market"}},
        "spec": {
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 1,
            "securityContext": service_pod::pod_security(),
            "containers": [container],
        },
    });
    serde_json::from_value(pod).unwrap()
}

async fn start(cluster: &GrapeCluster<'_>, group: &str, count: usize) -> Vec<Pod> {
    for number in 0..count {
        let pod = idle(&format!("{group}-{number}"), group);
        cluster.pods().create(&PostParams::default(), &pod).await.unwrap();
    }
    pods::ready(cluster.pods(), &format!("group={group}"), count).await
}

fn grape(cluster: &GrapeCluster<'_>, pod: &str, arguments: &[&str]) -> Result<String, String> {
    let exec = [&["exec", pod, "--container", "grape", "--", "grape"], arguments].concat();
    cluster.kubectl(&exec).map_err(|error| format!("{error:#}"))
}

fn known(cluster: &GrapeCluster<'_>, pod: &str) -> u64 {
    let status = grape(cluster, pod, &["status", "--output", "json"]).unwrap();
    serde_json::from_str::<Value>(&status).unwrap()["nodes"].as_u64().unwrap()
}

#[tokio::test]
async fn old_services_new_services_and_new_grapes_find_each_other() {
    let operator = Operator::shared().await.unwrap();
    let spec = json!({"injection": {"resources": {"requests": {"cpu": "5m"}}}});
    let cluster = GrapeCluster::make(&operator, "parts", spec).await.unwrap();
    cluster.until_ready().await.unwrap();
    start(&cluster, "old", SERVICES).await;
    wait::until("a service knows more than twenty Grapes", async || {
        let known = known(&cluster, "old-0");
        if known > 20 { Ok(()) } else { Err(format!("{known}")) }
    })
    .await
    .unwrap();

    let before = uids(&cluster).await;
    cluster.kubectl(&["delete", "pods", "--grace-period=0", "--force", "-l", GRAPES]).unwrap();
    let begun = Instant::now();
    wait::until("all Grapes are others", async || {
        let now = uids(&cluster).await;
        let others = now.len() == 3 && now.iter().all(|uid| !before.contains(uid));
        if others { Ok(()) } else { Err("not yet") }
    })
    .await
    .unwrap();
    pods::ready(cluster.pods(), GRAPES, 3).await;
    start(&cluster, "new", 1).await;
    let offers = [("old-1", "from-old"), ("new-0", "from-new"), ("market-default-1", "from-own")];
    let found = wait::until_within(BOUND, "all find each other", async || {
        for (pod, name) in offers {
            grape(&cluster, pod, &["announce", name, "1337"])?;
        }
        for asker in ["old-2", "old-25", "new-0", "market-default-0"] {
            for (_, name) in offers {
                grape(&cluster, asker, &["lookup", name])
                    .map_err(|error| format!("{asker} does not find {name}: {error}"))?;
            }
        }
        Ok::<_, String>(())
    });
    found.await.unwrap_or_else(|error| panic!("{error:#}\n{}", cluster.shown()));
    figure::took("all Grapes replaced beside 26 services, all find each other", begun.elapsed());
    cluster.until_ready().await.unwrap();
}

async fn uids(cluster: &GrapeCluster<'_>) -> Vec<Option<String>> {
    cluster.grapes().await.unwrap().iter().map(ResourceExt::uid).collect()
}
