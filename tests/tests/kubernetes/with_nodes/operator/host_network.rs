//! The webhook on the nodes' network: switched on and off, and called by an API server that reaches no
//! pod.

use anyhow::ensure;
use grape_tests::kubernetes::operator::{self, NAMESPACE, RELEASE};
use grape_tests::kubernetes::{Cluster, GrapeCluster, Operator};
use grape_tests::{figure, wait};
use serde_json::json;
use tokio::task::block_in_place;
use tokio::time::Instant;

use super::asking::{Asking, injected};

const ON: &str = "--set=webhook.hostNetwork=true";

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_switches_it_on_and_off_and_every_pod_gets_its_grape() {
    let operator = Operator::alone().await.unwrap();
    let cluster = GrapeCluster::make(&operator, "nodes", json!({})).await.unwrap();
    cluster.until_ready().await.unwrap();
    privileged(&operator);
    let asking = Asking::begin(cluster.pods()).await;
    for (switched, values) in [("on", &[ON][..]), ("off", &[])] {
        let names = deployments(&operator);
        block_in_place(|| operator.install(values)).unwrap();
        gone(&operator, &names).await;
        cluster.until_ready().await.unwrap();
        assert_ne!(deployments(&operator), names, "switched {switched}");
    }
    let (made, failures) = asking.end().await;
    figure::tell(&format!("pods that were made while webhook.hostNetwork changed: {made}"));
    assert!(failures.is_empty(), "{} of {made} got no Grape: {failures:?}", failures.len());
    operator.reinstall().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_reaches_no_pod_reaches_it() {
    if operator::is_somebody_elses().unwrap() {
        return;
    }
    let operator = Operator::alone().await.unwrap();
    let cluster = GrapeCluster::make(&operator, "unreached", json!({})).await.unwrap();
    cluster.until_ready().await.unwrap();
    privileged(&operator);
    injected(cluster.pods()).await.unwrap();

    let cut = CutOff::new(operator.cluster());
    let begun = Instant::now();
    let refusal = injected(cluster.pods()).await.unwrap_err();
    figure::took("a call of the webhook, when the API server reaches no pod", begun.elapsed());
    assert!(refusal.contains("failed calling webhook"), "{refusal}");
    assert!(refusal.contains("deadline exceeded") || refusal.contains("imeout"), "{refusal}");

    block_in_place(|| operator.install(&[ON])).unwrap();
    // Pods of before may still be endpoints for a moment.
    let served = wait::until("a pod gets its Grape", async || injected(cluster.pods()).await);
    served.await.unwrap();
    let names = ["grape-operator".to_owned()];
    gone(&operator, &names).await;
    let asking = Asking::begin(cluster.pods()).await;
    cluster.change(json!({"replicas": 4})).await.unwrap();
    assert_eq!(cluster.until_ready().await.unwrap()["readyReplicas"], 4, "the controller works");
    let (made, failures) = asking.end().await;
    assert!(made > 0 && failures.is_empty(), "{made}, {failures:?}");
    drop(cut);
    operator.reinstall().unwrap();
}

/// For as long as it lives, the API server reaches no pod.
struct CutOff<'a>(&'a Cluster);

impl<'a> CutOff<'a> {
    fn new(cluster: &'a Cluster) -> Self {
        cluster.cut_pods_off().unwrap();
        Self(cluster)
    }
}

impl Drop for CutOff<'_> {
    fn drop(&mut self) {
        self.0.make_pods_reachable().unwrap();
    }
}

/// As docs say: a namespace that keeps the `restricted` standard has no pods on the nodes' network.
fn privileged(operator: &Operator) {
    let enforce = "pod-security.kubernetes.io/enforce=privileged";
    operator.kubectl(["label", "--overwrite", "namespace", NAMESPACE, enforce]).unwrap();
}

fn deployments(operator: &Operator) -> Vec<String> {
    let names = "--output=jsonpath={.items[*].metadata.name}";
    let all = operator.kubectl(["get", "deployments", names, "--namespace", NAMESPACE]).unwrap();
    all.split_whitespace().map(str::to_owned).collect()
}

/// Waits until these Deployments have no pods any more: Helm does not wait for their end.
async fn gone(operator: &Operator, names: &[String]) {
    let of = "--output=jsonpath={range .items[*]}{.metadata.name}\n{end}";
    let selector = format!("--selector=app.kubernetes.io/name={RELEASE}");
    wait::until("the pods of before are gone", async || {
        let pods = operator.kubectl(["get", "pods", of, &selector, "--namespace", NAMESPACE])?;
        let is_of = |pod: &str, name: &String| {
            let rest = pod.strip_prefix(name.as_str()).unwrap_or_default();
            // `-HASH-ID`, and not the name of another Deployment that begins alike.
            rest.starts_with('-') && rest.matches('-').count() == 2
        };
        let old: Vec<_> =
            pods.lines().filter(|pod| names.iter().any(|it| is_of(pod, it))).collect();
        ensure!(old.is_empty(), "{old:?}");
        anyhow::Ok(())
    })
    .await
    .unwrap();
}
