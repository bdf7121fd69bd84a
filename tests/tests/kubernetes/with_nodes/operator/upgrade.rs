//! The operator itself upgraded, taken back, uninstalled and installed again, with a cluster at
//! rest, which takes no notice of any of it.

use std::time::Duration;

use anyhow::anyhow;
use grape_tests::kubernetes::grape_cluster::{NAME, without_lookups};
use grape_tests::kubernetes::operator::{self, NAMESPACE, RELEASE};
use grape_tests::kubernetes::{GrapeCluster, Operator};
use grape_tests::{figure, wait};
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::json;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Several looks of the operator at the Grapes.
const A_WHILE: Duration = Duration::from_secs(7);

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_comes_or_goes_touches_no_cluster_at_rest() {
    let operator = Operator::alone().await.unwrap();
    let cluster = GrapeCluster::make(&operator, "upgrade", json!({})).await.unwrap();
    cluster.until_ready().await.unwrap();
    let rest = Rest::of(&cluster).await;

    let change = ["--set=log.level=debug", "--set-string=podAnnotations.changed=yes"];
    handed_over("helm upgrade", &operator, || operator.install(&change).unwrap()).await;
    rest.goes_on("the operator was upgraded").await;
    let back = ["rollback", RELEASE, "--wait", "--namespace", NAMESPACE];
    handed_over("helm rollback", &operator, || drop(operator.helm(back).unwrap())).await;
    rest.goes_on("the operator was taken back").await;
    operator.helm(["test", RELEASE, "--namespace", NAMESPACE]).unwrap();

    operator.helm(["uninstall", RELEASE, "--wait", "--namespace", NAMESPACE]).unwrap();
    rest.goes_on("the operator was uninstalled").await;
    let kept = cluster.kubectl(&["get", "grapecluster", NAME, "--output=name"]).unwrap();
    assert_eq!(kept, "grapecluster.grenache.dev/market");
    let begun = Instant::now();
    operator.install(&[]).unwrap();
    rest.goes_on("the operator was installed again").await;
    cluster.change(json!({"replicas": 4})).await.unwrap();
    assert_eq!(cluster.until_ready().await.unwrap()["readyReplicas"], 4, "it took it over");
    figure::took("installed again, and a change made", begun.elapsed());
}

/// Does something with the operator's pods, and prints for how long at most none led: the Lease was
/// released, and no replica had acquired it.
async fn handed_over(what: &str, operator: &Operator, act: impl FnOnce()) {
    let before = operator.leader().await.unwrap();
    let done = CancellationToken::new();
    let (client, stop) = (operator.cluster().client(), done.clone());
    let watching = tokio::spawn(async move {
        let (mut longest, mut since) = (Duration::ZERO, None);
        while !stop.is_cancelled() {
            match operator::leader(&client).await.unwrap() {
                Some(_) => since = None,
                None => longest = longest.max(since.get_or_insert_with(Instant::now).elapsed()),
            }
            sleep(Duration::from_millis(20)).await;
        }
        longest
    });
    tokio::task::block_in_place(act);
    done.cancel();
    let longest = watching.await.unwrap();
    // Helm does not wait for the old pods' end.
    let led = wait::until("another one leads", async || match operator.leader().await? {
        Some(leader) if Some(&leader) != before.as_ref() => anyhow::Ok(()),
        other => anyhow::bail!("{other:?}"),
    });
    led.await.unwrap();
    figure::took(&format!("{what}: nobody led for at most"), longest);
}

/// A cluster at rest.
struct Rest<'a> {
    cluster: &'a GrapeCluster<'a>,
    pods: Vec<Option<String>>,
    object: DynamicObject,
}

impl<'a> Rest<'a> {
    /// Once nothing has been written of it for a while.
    async fn of(cluster: &'a GrapeCluster<'a>) -> Self {
        let object = wait::until("it is at rest", async || {
            let before = cluster.object().await?;
            sleep(A_WHILE).await;
            let written = cluster.written_since(&before).await?;
            if written.is_empty() { Ok(before) } else { Err(anyhow!("{written:?}")) }
        });
        let object = object.await.unwrap();
        Self { cluster, pods: uids(cluster).await, object }
    }

    /// Neither its pods nor its status are written. Only a slower latency band on a busy machine
    /// may be.
    async fn goes_on(&self, what: &str) {
        sleep(A_WHILE).await;
        assert_eq!(uids(self.cluster).await, self.pods, "its pods, when {what}");
        let mut before = self.object.data["status"].clone();
        for written in self.cluster.written_since(&self.object).await.unwrap() {
            let status = &written.data["status"];
            assert_ne!(*status, before, "it was written as it was, when {what}");
            assert_eq!(without_lookups(status), without_lookups(&before), "when {what}");
            before = status.clone();
        }
    }
}

async fn uids(cluster: &GrapeCluster<'_>) -> Vec<Option<String>> {
    cluster.grapes().await.unwrap().iter().map(ResourceExt::uid).collect()
}
