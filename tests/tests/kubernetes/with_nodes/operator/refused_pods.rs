//! Pods of Grapes that the API server refuses: reported in its words, and created as soon as it
//! accepts them.

use std::collections::BTreeMap;
use std::time::Duration;

use grape_tests::figure;
use grape_tests::kubernetes::grape_cluster::condition;
use grape_tests::kubernetes::{GrapeCluster, Operator};
use grape_tests::wait;
use k8s_openapi::api::core::v1::{LimitRange, ResourceQuota};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::pods;

/// How long a mended spec, or a quota that is lifted, may take: several times what it should.
const DEADLINE: Duration = Duration::from_secs(180);

#[tokio::test]
async fn a_cluster_without_any_pod_comes_up_when_its_spec_is_fixed() {
    let operator = Operator::shared().await.unwrap();
    let spec = json!({"template": {"priorityClassName": "not-there"}});
    let cluster = GrapeCluster::make(&operator, "never", spec).await.unwrap();
    let message = until_stalled(&cluster).await;
    assert!(message.contains("no PriorityClass with name not-there was found"), "{message}");
    assert_eq!(cluster.grapes().await.unwrap().len(), 0);

    let begun = Instant::now();
    cluster.change(json!({"template": {"priorityClassName": null}})).await.unwrap();
    cluster.until_ready().await.unwrap();
    figure::took("a PriorityClass that is not there, mended: Ready", begun.elapsed());
    is_over(&cluster).await;
}

#[tokio::test]
async fn a_lost_and_refused_grape_comes_back_when_the_spec_is_fixed() {
    let operator = Operator::shared().await.unwrap();
    for ordinal in 0..3 {
        let cluster = GrapeCluster::make(&operator, "lost", json!({})).await.unwrap();
        cluster.until_ready().await.unwrap();
        let before = uids(&cluster).await;
        let ranges: Api<LimitRange> = api(&cluster);
        let small = json!({
            "metadata": {"name": "small"},
            "spec": {"limits": [{"type": "Container", "max": {"memory": "64Mi"}}]},
        });
        let small = serde_json::from_value(small).unwrap();
        ranges.create(&PostParams::default(), &small).await.unwrap();
        let name = format!("market-default-{ordinal}");
        cluster.pods().delete(&name, &DeleteParams::default().grace_period(0)).await.unwrap();
        let message = until_stalled(&cluster).await;
        assert!(message.contains("maximum memory usage per Container is 64Mi"), "{message}");

        let begun = Instant::now();
        let limits = json!({"template": {"resources": {"limits": {"memory": "64Mi"}}}});
        cluster.change(limits).await.unwrap();
        wait::until_within(DEADLINE, "it is ready", async || {
            let now = cluster.grapes().await.map_err(|error| format!("{error:#}"))?;
            let lost = now.iter().find(|pod| pod.name_any() == name);
            if lost.is_some_and(pods::is_ready) {
                return Ok(());
            }
            for pod in now.iter().filter(|pod| pod.name_any() != name) {
                assert_eq!(pod.uid().as_ref(), before.get(&pod.name_any()), "{name} is missing");
            }
            Err(now.iter().map(pods::told).collect::<Vec<_>>().join("; "))
        })
        .await
        .unwrap();
        figure::took(&format!("{name} refused, and the spec mended: ready"), begun.elapsed());
        // The others follow.
        let status = cluster.until_ready().await.unwrap();
        assert_eq!(status["updatedReplicas"], 3);
        is_over(&cluster).await;
    }
}

#[tokio::test]
async fn a_quota_is_reported_and_its_end_is_noticed() {
    let operator = Operator::shared().await.unwrap();
    let cluster = GrapeCluster::make(&operator, "quota", json!({})).await.unwrap();
    cluster.until_ready().await.unwrap();
    let quotas: Api<ResourceQuota> = api(&cluster);
    let few = json!({"metadata": {"name": "few"}, "spec": {"hard": {"pods": "3"}}});
    let few = serde_json::from_value(few).unwrap();
    quotas.create(&PostParams::default(), &few).await.unwrap();
    wait::until("the quota counts", async || {
        let quota = quotas.get("few").await.map_err(|error| error.to_string())?;
        let used = quota.status.and_then(|status| status.used);
        if used.as_ref().is_some_and(|used| used["pods"].0 == "3") {
            Ok(())
        } else {
            Err(format!("{used:?}"))
        }
    })
    .await
    .unwrap();

    let begun = Instant::now();
    cluster.change(json!({"replicas": 4})).await.unwrap();
    let message = until_stalled(&cluster).await;
    figure::took("a quota refuses a Grape: Stalled", begun.elapsed());
    for part in ["market-default-3", "exceeded quota: few"] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
    let more = Patch::Merge(json!({"spec": {"hard": {"pods": "9"}}}));
    quotas.patch("few", &PatchParams::default(), &more).await.unwrap();
    let begun = Instant::now();
    is_over(&cluster).await;
    figure::took("the quota is lifted: not Stalled", begun.elapsed());
    cluster.until_ready().await.unwrap();
}

/// The last output of a program that ends at once is reported, and not its exit code alone.
#[tokio::test]
async fn the_last_words_of_a_grape_are_reported() {
    let operator = Operator::shared().await.unwrap();
    // It knows none of a Grape's flags.
    let spec = json!({"image": {"repository": "localhost/peers", "tag": "test"}});
    let cluster = GrapeCluster::make(&operator, "words", spec).await.unwrap();
    let message = cluster.until_unready(&["GrapesFailing"]).await.unwrap();
    assert!(message.contains("/usr/bin/node: bad option: --"), "{message}");
}

#[tokio::test]
async fn a_grape_serves_at_a_low_port() {
    let operator = Operator::shared().await.unwrap();
    let spec = json!({"api": {"port": 80}});
    let cluster = GrapeCluster::make(&operator, "low", spec).await.unwrap();
    // Canaries are announced and looked up there.
    let status = cluster.until_ready().await.unwrap();
    assert_eq!(condition(&status, "LookupHealthy")["status"], "True");
    for pod in cluster.grapes().await.unwrap() {
        assert_eq!(pods::restarts(&pod), 0);
    }
}

fn api<K>(cluster: &GrapeCluster<'_>) -> Api<K>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    Api::namespaced(cluster.operator().cluster().client(), cluster.namespace())
}

/// Waits until a cluster says that it is stalled, and gives what it says.
async fn until_stalled(cluster: &GrapeCluster<'_>) -> String {
    let is = |status: &Value| condition(status, "Stalled")["status"] == "True";
    let status = cluster.until("it is Stalled", is).await.unwrap();
    assert_eq!(condition(&status, "Ready")["status"], "False", "{status}");
    assert_eq!(condition(&status, "Progressing")["status"], "False", "{status}");
    condition(&status, "Stalled")["message"].as_str().unwrap().to_owned()
}

async fn is_over(cluster: &GrapeCluster<'_>) {
    let is = |status: &Value| condition(status, "Stalled")["status"] == "False";
    cluster.until("it is not Stalled any more", is).await.unwrap();
}

async fn uids(cluster: &GrapeCluster<'_>) -> BTreeMap<String, String> {
    let grapes = cluster.grapes().await.unwrap().into_iter();
    grapes.map(|pod| (pod.name_any(), pod.uid().unwrap())).collect()
}
