//! Grapes of the release before this one, where a cluster or a pod asks for their image.

use grape_tests::kubernetes::grape_cluster::condition;
use grape_tests::kubernetes::{Operator, images, service_pod};
use rstest::rstest;
use serde_json::{Value, json};

use super::stage::{GRAPE, LABEL, PORT, Stage, ZONES, peer};

/// The operator of this release sets flags that the Grape of the release before does not know.
#[rstest]
#[case::of_the_cluster("grape-before", "grape")]
#[case::of_a_pod("grape", "grape-before")]
#[tokio::test]
async fn its_grapes_start_and_work_with_those_of_this_one(#[case] all: &str, #[case] one: &str) {
    let operator = Operator::shared().await.unwrap();
    images::load(operator.cluster(), "grape-before").unwrap();
    let stage = Stage::new(&operator, "pinned").await;
    let image = json!({"image": {"repository": format!("localhost/{all}"), "tag": "test"}});
    stage.cluster.change(image).await.unwrap();
    stage.cluster.until_ready().await.unwrap();

    stage.until_injected(&format!("localhost/{all}:test")).await;
    stage.make(service("plain", "first", json!({}))).await;
    let asks = json!({"grenache.dev/image": format!("localhost/{one}:test")});
    stage.make(service("asks", "second", asks)).await;
    let plain = stage.announced("plain").await;
    let asks = stage.announced("asks").await;
    for (service, image) in [(&plain, all), (&asks, one)] {
        let beside = service.pod.spec.as_ref().unwrap().init_containers.as_ref().unwrap();
        let wanted = format!("localhost/{image}:test");
        assert_eq!(beside[0].image.as_deref(), Some(wanted.as_str()));
    }
    stage.until_found("plain", "second", &[peer(&asks.pod)]).await;
    stage.until_found("asks", "first", &[peer(&plain.pod)]).await;

    let status = stage.cluster.until("all is well with both", |status| {
        status["injected"]["ready"] == 2
            && condition(status, "Injected")["reason"] == "AllInjected"
            && condition(status, "Ready")["status"] == "True"
            // Each has what it asked for.
            && status["injected"]["outdated"] == 0
    });
    let status = status.await.unwrap();
    for name in ["pinned/plain", "/asks"] {
        assert!(!status.to_string().contains(name), "nothing is wrong with it: {status}");
    }
}

fn service(pod: &str, name: &str, annotations: Value) -> Value {
    let argument = json!({"grape": GRAPE, "name": name, "port": PORT});
    let mut made = service_pod::node_js(pod, ZONES[0], "rpc_server.js", &argument);
    made["metadata"]["labels"][LABEL] = "market".into();
    made["metadata"]["annotations"] = annotations;
    made["spec"]["restartPolicy"] = "Always".into();
    made
}
