//! Grapes that cannot start: the status says that nothing is under way, and has the cause, in the
//! words of the Grape or the node.

use grape_tests::kubernetes::grape_cluster::condition;
use grape_tests::kubernetes::{GrapeCluster, Operator};
use rstest::rstest;
use serde_json::{Value, json};

#[rstest]
// With so little memory the node does not even create the sandbox, which only its events say.
#[case::no_memory_for_the_sandbox(
    json!({"template": {"resources": {"requests": {"memory": "1Mi"}, "limits": {"memory": "1Mi"}}}}),
    &["its memory does not suffice to start it: raise its limit"],
    json!({"template": {"resources": null}})
)]
#[case::nowhere(
    json!({"template": {"nodeSelector": {"no-such-label": "here"}}}),
    &["0/", "nodes are available", "node affinity/selector"],
    json!({"template": {"nodeSelector": null}})
)]
#[case::no_image(
    json!({"image": {"tag": "missing"}}),
    &["localhost/grape:missing cannot be fetched"],
    json!({"image": {"tag": "test"}})
)]
#[tokio::test]
async fn grapes_that_cannot_start_are_reported_with_the_cause(
    #[case] spec: Value,
    #[case] cause: &[&str],
    #[case] mended: Value,
) {
    let operator = Operator::shared().await.unwrap();
    let cluster = GrapeCluster::make(&operator, "not-starting", spec).await.unwrap();
    // The scheduler is done with the first pod before the StatefulSet counts all of them: for a
    // moment the Grapes fail while a change is still under way.
    let reported = cluster.until("the cause is reported, and no change is under way", |status| {
        let ready = condition(status, "Ready");
        let message = ready["message"].as_str().unwrap_or_default();
        let progressing = condition(status, "Progressing");
        ready["reason"] == "GrapesFailing"
            && message.starts_with("0 of 3 Grapes are ready. ")
            && cause.iter().all(|part| message.contains(part))
            && progressing["status"] == "False"
            && progressing["message"]
                == "No change is under way. 0 of 3 Grapes are ready: see Ready."
    });
    reported.await.unwrap();

    cluster.change(mended).await.unwrap();
    cluster.until_ready().await.unwrap();
}
