//! Values that an upgrade sets: clusters stay Ready, their Grapes are not restarted, and pods get their
//! Grape.

use anyhow::ensure;
use grape_tests::kubernetes::operator::{NAMESPACE, RELEASE};
use grape_tests::kubernetes::{GrapeCluster, Operator};
use grape_tests::{figure, wait};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::json;
use tokio::task::block_in_place;

use super::asking::{Asking, injected};

/// Values that leave the names of objects as they are. `extraArgs` is not among them: the chart sets
/// every flag of this operator.
const VALUES: [&[&str]; 5] = [
    &[
        "--set=image.repository=operator,image.registry=localhost",
        "--set=global.imageRegistry=registry.example.org",
        "--set=imagePullSecrets[0].name=registry,global.imagePullSecrets={mirror}",
    ],
    &[
        "--set=extraEnv[0].name=NO_PROXY,extraEnv[0].value=example.com",
        "--set=extraVolumes[0].name=scratch,extraVolumes[0].emptyDir.medium=Memory",
        "--set=extraVolumeMounts[0].name=scratch,extraVolumeMounts[0].mountPath=/scratch",
        "--set=podSecurityContext.fsGroup=2000,securityContext.runAsGroup=2000",
    ],
    &["--set=adminPort=9191,revisionHistoryLimit=1"],
    &[
        "--set=updateStrategy.type=RollingUpdate",
        "--set=updateStrategy.rollingUpdate.maxSurge=1",
        "--set=updateStrategy.rollingUpdate.maxUnavailable=0",
        "--set-string=podAnnotations.changed=strategy",
    ],
    &[
        "--set=commonLabels.team=platform",
        "--set=serviceAccount.annotations.example\\.com/role=operator",
        "--set=rbac.create=false",
    ],
];

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_sets_them_disturbs_no_cluster_and_no_service() {
    let operator = Operator::alone().await.unwrap();
    let cluster = GrapeCluster::make(&operator, "values", json!({})).await.unwrap();
    cluster.until_ready().await.unwrap();
    let before = uids(&cluster.grapes().await.unwrap());
    // Rights that somebody else gives.
    let account = format!("--serviceaccount={NAMESPACE}:{RELEASE}");
    let bind = ["create", "clusterrolebinding", "values-test", "--clusterrole=cluster-admin"];
    operator.kubectl(bind.into_iter().chain([account.as_str()])).unwrap();
    let binding = Binding(&operator);

    let asking = Asking::begin(cluster.pods()).await;
    for values in VALUES {
        block_in_place(|| operator.install(values)).unwrap();
        let status = cluster.until_ready().await.unwrap();
        assert_eq!(status["readyReplicas"], 3, "{values:?}");
        assert_eq!(uids(&cluster.grapes().await.unwrap()), before, "{values:?}");
    }
    // The operator's rights are its own again. With more of them, it would make the Secret anew that
    // Helm deletes with the other objects of the former name.
    block_in_place(|| operator.install(&[])).unwrap();
    drop(binding);
    let (made, failures) = asking.end().await;
    figure::tell(&format!("pods that were made while values were set: {made}"));
    assert!(failures.is_empty(), "{} of {made} got no Grape: {failures:?}", failures.len());

    // Objects of other names, so for a moment no webhook answers.
    block_in_place(|| operator.install(&["--set=nameOverride=grapes"])).unwrap();
    let told = "--output=jsonpath={.spec.selector.matchLabels.app\\.kubernetes\\.io/name}";
    let name = format!("{RELEASE}-grapes");
    let get = ["get", "deployment", &name, told, "--namespace", NAMESPACE];
    assert_eq!(operator.kubectl(get).unwrap(), RELEASE, "the selector is as it was");
    wait::until("a pod gets its Grape", async || injected(cluster.pods()).await).await.unwrap();
    cluster.change(json!({"replicas": 4})).await.unwrap();
    assert_eq!(cluster.until_ready().await.unwrap()["readyReplicas"], 4, "the controller works");
    let after = uids(&cluster.grapes().await.unwrap());
    assert!(before.iter().all(|uid| after.contains(uid)), "{before:?} {after:?}");

    // Back, so that the next test has its operator.
    block_in_place(|| operator.install(&[])).unwrap();
    let back = wait::until("the operator leads by its name of before", async || {
        let leader = operator.leader().await?;
        ensure!(leader.is_some(), "nobody leads");
        anyhow::Ok(())
    });
    back.await.unwrap();
    wait::until("a pod gets its Grape", async || injected(cluster.pods()).await).await.unwrap();
}

fn uids(pods: &[Pod]) -> Vec<Option<String>> {
    pods.iter().map(ResourceExt::uid).collect()
}

/// The rights of the test, which go with it.
struct Binding<'a>(&'a Operator);

impl Drop for Binding<'_> {
    fn drop(&mut self) {
        let _ = self.0.kubectl(["delete", "clusterrolebinding", "values-test"]);
    }
}
