//! Two operators in one Kubernetes, each with what the chart gives it.

use std::time::Duration;

use anyhow::ensure;
use grape_tests::our_operator::Operator;
use grape_tests::{figure, wait};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use kube::api::{Api, PostParams};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::scene::{CLUSTER, CONFIGURATION, SHOP, Scene, WEBHOOKS, is_injected, pod};

/// The namespace of the other operator.
const OTHER: &str = "other";

/// How long the second may take once the first is gone, three times what it takes.
const TAKEN_OVER: Duration = Duration::from_secs(120);

async fn scene() -> Scene {
    let scene = Scene::new().await;
    let namespaces: Api<Namespace> = Api::all(scene.server.client());
    let object = serde_json::from_value(json!({"metadata": {"name": OTHER}})).unwrap();
    namespaces.create(&PostParams::default(), &object).await.unwrap();
    scene
}

async fn second(scene: &Scene, flags: &[&str]) -> Operator {
    let kubeconfig = scene.another(OTHER, "second");
    let own = ["--namespace=other", "--grape-image=second"];
    Operator::start(&kubeconfig, "second", &[&own, flags].concat()).await.unwrap()
}

async fn set(scene: &Scene) -> anyhow::Result<StatefulSet> {
    let sets: Api<StatefulSet> = Api::namespaced(scene.server.client(), SHOP);
    Ok(sets.get("market-default").await?)
}

fn image(set: &StatefulSet) -> String {
    let pod = set.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    pod.and_then(|pod| pod.containers[0].image.clone()).unwrap_or_default()
}

async fn until_image(scene: &Scene, wanted: &str) {
    wait::until_within(TAKEN_OVER, "the StatefulSet has another image", async || {
        let image = image(&set(scene).await?);
        ensure!(image == wanted, "{image}");
        anyhow::Ok(())
    })
    .await
    .unwrap();
}

async fn until_waits(operator: &Operator, other: &str, shared: &str) {
    let expected = format!(
        "another operator, grape-operator in the namespace {other}, runs the GrapeClusters of \
         {shared}: this one waits until that one is gone. To run both, give each its own \
         namespaces: watchNamespaces in the values of the chart, or --watch-namespaces\n"
    );
    wait::until("it says for whom it waits", async || {
        let page = operator.page("/readyz").await?;
        ensure!(page.status == 503 && page.body == expected, "{page:?}");
        anyhow::Ok(())
    })
    .await
    .unwrap();
}

/// The StatefulSet is as the first operator wants it, and there are no writes.
async fn assert_at_rest(scene: &Scene) {
    let version = set(scene).await.unwrap().resource_version();
    sleep(Duration::from_secs(6)).await;
    assert_eq!(set(scene).await.unwrap().resource_version(), version, "somebody writes");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_waits_until_the_first_is_gone() {
    let scene = scene().await;
    let mut first = scene.replica("first", &[]).await;
    scene.configure([&first.url(), &first.url()]).await;
    until_image(&scene, "grape").await;

    let flags = ["--webhook-bind=127.0.0.1:0", "--webhook-name=second-webhook"];
    let mut second = second(&scene, &flags).await;
    until_waits(&second, "ops", "all namespaces").await;
    assert_at_rest(&scene).await;
    assert_eq!(image(&set(&scene).await.unwrap()), "grape");
    assert!(is_injected(&scene.try_pod(&pod("asks", CLUSTER)).await.unwrap()));
    assert!(!second.leads().await.unwrap());

    first.operator.kill().await.unwrap();
    let begun = Instant::now();
    until_image(&scene, "second").await;
    second.until_ready().await.unwrap();
    figure::took("the first is killed, the second works", begun.elapsed());

    // When it comes back, it waits for its turn, and its webhook is not called.
    let again = ["--namespace=ops", "--grape-image=grape", "--webhook-bind=127.0.0.1:0"];
    let back = Operator::start(scene.kubeconfig(), "again", &again).await.unwrap();
    until_waits(&back, "other", "all namespaces").await;
    wait::until("its webhook is not asked", async || {
        let webhooks = scene.configurations().get(CONFIGURATION).await?.webhooks.unwrap();
        let never = |it: &&k8s_openapi::api::admissionregistration::v1::MutatingWebhook| {
            it.match_conditions.iter().flatten().any(|it| it.expression == "false")
        };
        ensure!(webhooks.iter().filter(never).count() == WEBHOOKS.len(), "{webhooks:?}");
        // Nor would it have answered: no pod is refused for want of it.
        scene.try_pod(&pod("asks", CLUSTER)).await
    })
    .await
    .unwrap();
    assert_at_rest(&scene).await;
    assert_eq!(image(&set(&scene).await.unwrap()), "second");

    // Stopped in peace, the second makes room as well.
    second.signal("TERM").await.unwrap();
    assert_eq!(second.ended().await.unwrap().code(), Some(0));
    until_image(&scene, "grape").await;
    back.until_ready().await.unwrap();
    wait::until("its webhook is asked again", async || {
        let webhooks = scene.configurations().get(CONFIGURATION).await?.webhooks.unwrap();
        let conditions = webhooks.iter().flat_map(|it| it.match_conditions.iter().flatten());
        ensure!(conditions.count() == 0, "{webhooks:?}");
        anyhow::Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_of_different_namespaces_run_side_by_side() {
    let scene = scene().await;
    let first = scene.replica("first", &["--watch-namespaces=shop"]).await;
    let apart = second(&scene, &["--watch-namespaces=other,elsewhere"]).await;
    scene.cluster(OTHER, "market", json!({})).await;
    apart.until_ready().await.unwrap();
    apart.until_leads().await.unwrap();
    first.operator.until_leads().await.unwrap();
    until_image(&scene, "grape").await;
    drop(apart);

    // And with one namespace in common they do not.
    let meets = second(&scene, &["--watch-namespaces=other,shop", "--lease-name=meets"]).await;
    until_waits(&meets, "ops", "the namespace shop").await;
    assert_at_rest(&scene).await;
}

/// A user who may write Leases in a namespace cannot keep an operator waiting.
#[tokio::test(flavor = "multi_thread")]
async fn a_forged_lease_is_ignored() {
    let scene = scene().await;
    let leases: Api<Lease> = Api::namespaced(scene.server.client(), SHOP);
    let forged = json!({
        "metadata": {
            "name": "grape-operator",
            "labels": {"app.kubernetes.io/name": "grape-operator"},
            "annotations": {
                "grenache.dev/watch-namespaces": "*",
                "grenache.dev/service-account": "default",
                "grenache.dev/turn": "18446744073709551615",
            },
        },
        "spec": {"holderIdentity": "tenant", "leaseDurationSeconds": 3600},
    });
    let forged = serde_json::from_value(forged).unwrap();
    leases.create(&PostParams::default(), &forged).await.unwrap();
    let first = scene.replica("first", &[]).await;
    first.operator.until_leads().await.unwrap();
    until_image(&scene, "grape").await;
}
