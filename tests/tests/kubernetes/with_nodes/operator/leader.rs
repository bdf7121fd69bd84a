//! Two pods of the operator, of which the one that leads is killed.

use grape_tests::kubernetes::operator::{NAMESPACE, is_somebody_elses};
use grape_tests::kubernetes::{GrapeCluster, Operator, pod_processes};
use grape_tests::{figure, wait};
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use serde_json::json;
use tokio::time::Instant;

#[tokio::test]
async fn when_the_leader_is_killed_the_other_one_leads() {
    if is_somebody_elses().unwrap() {
        return;
    }
    let operator = Operator::alone().await.unwrap();
    let cluster = GrapeCluster::make(&operator, "leader", json!({})).await.unwrap();
    cluster.until_ready().await.unwrap();
    let leader = operator.leader().await.unwrap().expect("one leads");

    let begun = Instant::now();
    let kill = ["delete", "pod", &leader, "--grace-period=0", "--force", "--namespace", NAMESPACE];
    operator.kubectl(kill).unwrap();
    wait::until("another leads", async || match operator.leader().await {
        Ok(Some(another)) if another != leader => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await
    .unwrap();
    figure::took("the leader's pod deleted by force, another leads", begun.elapsed());
    cluster.change(json!({"replicas": 4})).await.unwrap();
    let status = cluster.until_ready().await.unwrap();
    assert_eq!(status["readyReplicas"], 4, "and it works");
    figure::took("the leader's pod deleted by force, a change is made", begun.elapsed());

    // And when it has no time to give the Lease up, be it the same pod that leads again.
    let leader = operator.leader().await.unwrap().expect("one leads");
    let operators: Api<Pod> = Api::namespaced(operator.cluster().client(), NAMESPACE);
    let begun = Instant::now();
    pod_processes::kill(&operators.get(&leader).await.unwrap(), &["grape-operator"]).unwrap();
    cluster.change(json!({"replicas": 3})).await.unwrap();
    cluster.until_ready().await.unwrap();
    figure::took("the leader's process killed, a change is made", begun.elapsed());
    operator.install(&[]).unwrap();
}
