//! Pods that lack the Secret to pull with: what the GrapeCluster says, and that the Secret mends it.

use grape_tests::kubernetes::script;
use grape_tests::release::tools;
use serde_json::json;

use super::stage::{NAMESPACE, SECRET, Stage};

#[tokio::test]
async fn who_lacks_a_pull_secret_is_told_which_field_needs_one() {
    let Some(stage) = Stage::new().await else { return };
    let said = stage.push(&["--pull-secret", SECRET]);
    let chart = said.split_whitespace().find(|word| word.starts_with("oci://")).expect(&said);
    stage.namespace(NAMESPACE);
    stage.secret(NAMESPACE);
    let mut helm = stage.login.command(&tools::of_release("helm").unwrap());
    helm.arg("--kubeconfig").arg(stage.cluster.kubeconfig());
    helm.args(["install", "grape-operator", chart, "--namespace", NAMESPACE, "--wait"]);
    helm.args(["--timeout=5m", "--set=observeInterval=2s", "--values"]);
    script::run(helm.arg(stage.dist.file("values.yaml"))).unwrap();

    own_grapes(&stage).await;
    a_pod_of_another_namespace(&stage).await;
}

async fn own_grapes(stage: &Stage) {
    stage.namespace("shop");
    let from = json!({"from": "All"});
    stage.grapes("shop", json!({"injection": {"namespaces": from}}));
    let grape = stage.dist.image("grapeImage").unwrap();
    let said = [
        &*format!("its image {grape} cannot be fetched"),
        "the registry wants a login: spec.image.pullSecrets needs a Secret of this namespace",
    ];
    stage.until("shop", "Ready", "False", &said).await;
    stage.secret("shop");
    let image = json!({"pullSecrets": [{"name": SECRET}]});
    stage.grapes("shop", json!({"injection": {"namespaces": from}, "image": image}));
    stage.until("shop", "Ready", "True", &[]).await;
    // Its pods are in the namespace of the Secret, which they get with the Grape.
    stage.web("shop", "market", json!({}));
    stage.until_found("shop", "shop").await;
    let secrets = "--output=jsonpath={.spec.imagePullSecrets[*].name}";
    let of_pod = stage.kubectl(&["get", "pod", "web", "--namespace=shop", secrets]);
    assert_eq!(of_pod, SECRET);
    stage.kubectl(&["delete", "pod", "web", "--namespace=shop"]);
}

async fn a_pod_of_another_namespace(stage: &Stage) {
    stage.namespace("other");
    stage.web("other", "shop.market", json!({}));
    let said = [
        "In these pods the sidecar does not start: other/web: its image",
        "imagePullSecrets of the pod, or of its ServiceAccount, need a Secret of the namespace other",
    ];
    stage.until("shop", "Injected", "False", &said).await;

    stage.kubectl(&["delete", "pod", "web", "--namespace=other"]);
    stage.secret("other");
    stage.web("other", "shop.market", json!({"imagePullSecrets": [{"name": SECRET}]}));
    stage.until_found("other", "shop").await;
    stage.until("shop", "Injected", "True", &[]).await;
}
