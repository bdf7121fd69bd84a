//! Pods that are made while no operator is there to give them their Grape.

use grape_tests::figure;
use grape_tests::kubernetes::operator::{NAMESPACE, RELEASE};
use grape_tests::kubernetes::{Operator, service_pod};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::pods;
use super::stage::{GRAPE, LABEL, PORT, Stage, ZONES, deployment, peer};

#[tokio::test]
async fn pods_made_meanwhile_get_their_grape_when_it_is_back() {
    let operator = Operator::alone().await.unwrap();
    let stage = Stage::new(&operator, "away").await;
    stage.cluster.change(json!({"injection": {"repair": true}})).await.unwrap();
    let label = format!("{LABEL}=market");
    stage.kubectl(&["label", "namespace", stage.cluster.namespace(), &label]);
    scale(&operator, 0);
    let gone = ["wait", "pod", "--for=delete", "--timeout=1m", "--namespace", NAMESPACE];
    let all = format!("--selector=app.kubernetes.io/name={RELEASE}");
    operator.kubectl(gone.into_iter().chain([all.as_str()])).unwrap();

    // A pod that asks by its own label would find no services without its Grape, so it is not
    // created.
    let mut asks = service("asks");
    asks["metadata"]["labels"][LABEL] = "market".into();
    let asks = serde_json::from_value(asks).unwrap();
    let refused = stage.cluster.pods().create(&PostParams::default(), &asks).await;
    let refusal = refused.unwrap_err().to_string();
    assert!(refusal.contains("failed calling webhook"), "{refusal}");
    // One label of a namespace does not keep its pods from being made.
    let client = operator.cluster().client();
    let deployments: Api<Deployment> = Api::namespaced(client, stage.cluster.namespace());
    let quiet = deployment(service("quiet"), 1);
    deployments.create(&PostParams::default(), &quiet).await.unwrap();
    let without = pods::ready(stage.cluster.pods(), "app=quiet", 1).await.remove(0);
    assert_eq!(without.spec.unwrap().init_containers, None);

    let back = Instant::now();
    scale(&operator, 2);
    let injected = |missing: i64, ready: i64| {
        move |status: &Value| {
            let injected = &status["injected"];
            injected["missing"] == missing && injected["ready"] == ready
        }
    };
    stage.cluster.until("the pod is missed", injected(1, 0)).await.unwrap();
    figure::took("the operator back, a pod without its Grape told of", back.elapsed());
    stage.cluster.until("its successor has one", injected(0, 1)).await.unwrap();
    figure::took("the operator back, a pod replaced by one with its Grape", back.elapsed());
    let with = pods::ready(stage.cluster.pods(), "app=quiet", 1).await.remove(0);
    let name = with.metadata.name.clone().unwrap();
    stage.until_found(&name, "rpc_test", &[peer(&with)]).await;
}

/// By hand: helm would take the webhook's configuration away with the last pod.
fn scale(operator: &Operator, replicas: u8) {
    let name = format!("deployment/{RELEASE}");
    let replicas = format!("--replicas={replicas}");
    operator.kubectl(["scale", &name, &replicas, "--namespace", NAMESPACE]).unwrap();
}

/// A service that says nothing of a Grape.
fn service(name: &str) -> Value {
    let argument = json!({"grape": GRAPE, "name": "rpc_test", "port": PORT});
    service_pod::node_js(name, ZONES[1], "rpc_server.js", &argument)
}
