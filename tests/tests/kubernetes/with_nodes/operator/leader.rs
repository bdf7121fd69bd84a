//! Two pods of the operator, of which the one that leads is killed.

use grape_tests::kubernetes::operator::NAMESPACE;
use grape_tests::kubernetes::{GrapeCluster, Operator};
use grape_tests::{figure, wait};
use serde_json::json;
use tokio::time::Instant;

#[tokio::test]
async fn when_the_leader_is_killed_the_other_one_leads() {
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
    figure::took("the leader killed, another leads", begun.elapsed());
    cluster.change(json!({"replicas": 4})).await.unwrap();
    let status = cluster.until_ready().await.unwrap();
    assert_eq!(status["readyReplicas"], 4, "and it works");
    figure::took("the leader killed, a change is made by the next", begun.elapsed());
    operator.install(&[]).unwrap();
}
