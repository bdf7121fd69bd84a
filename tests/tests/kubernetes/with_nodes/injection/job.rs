//! A Job whose pod has a Grape: it completes.

use grape_tests::kubernetes::{Operator, service_pod};
use grape_tests::wait;
use k8s_openapi::api::batch::v1::Job;
use kube::api::{Api, PostParams};
use serde_json::json;

use super::stage::{GRAPE, LABEL, Stage};

#[tokio::test]
async fn a_job_calls_a_service_and_completes() {
    let operator = Operator::shared().await.unwrap();
    let stage = Stage::new(&operator, "job").await;
    stage.start("server", 0, "rpc_server.js", json!({"name": "rpc_test"})).await;
    stage.announced("server").await;

    let argument = json!({"grape": GRAPE, "names": ["rpc_test"], "payload": "from a job"});
    let mut pod = service_pod::node_js("call", "zone-2", "rpc_client.js", &argument);
    pod["metadata"]["labels"][LABEL] = "market".into();
    pod["metadata"].as_object_mut().unwrap().remove("name");
    let job = json!({"metadata": {"name": "call"}, "spec": {"backoffLimit": 0, "template": pod}});
    let client = operator.cluster().client();
    let jobs: Api<Job> = Api::namespaced(client, stage.cluster.namespace());
    jobs.create(&PostParams::default(), &serde_json::from_value(job).unwrap()).await.unwrap();
    let done = wait::until("the Job is complete", async || {
        let status = jobs.get("call").await?.status.unwrap_or_default();
        anyhow::ensure!(status.succeeded == Some(1), "{status:?}");
        anyhow::Ok(())
    });
    done.await.unwrap();
    let said = stage.kubectl(&["logs", "job/call", "--container", service_pod::CONTAINER]);
    assert!(said.contains(r#""payload":"from a job""#), "{said}");
    let with =
        ["get", "pod", "--selector=app=call", "--output=jsonpath={..initContainers[*].name}"];
    assert_eq!(stage.kubectl(&with), "grape");
}
