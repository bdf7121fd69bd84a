//! The owner of the MutatingWebhookConfiguration: it is deleted with the operator's namespace.

use grape_tests::wait;
use k8s_openapi::api::core::v1::Namespace;
use kube::Resource;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;

use super::scene::{CLUSTER, CONFIGURATION, OPS, Scene, is_injected, pod};

/// Waits until the operator's namespace of now is an owner of the configuration, and no other.
pub(super) async fn until_owned(scene: &Scene) {
    let namespaces: Api<Namespace> = Api::all(scene.server.client());
    let mut owner = namespaces.get(OPS).await.unwrap().owner_ref(&()).unwrap();
    owner.block_owner_deletion = None;
    wait::until("the namespace owns the configuration", async || {
        let owners = scene.configurations().get(CONFIGURATION).await?.metadata.owner_references;
        anyhow::ensure!(owners.as_ref().is_some_and(|it| *it == [owner.clone()]), "{owners:?}");
        anyhow::Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_deleted_takes_the_refusals_along() {
    let scene = Scene::new().await;
    // The controllers look for kinds when they start.
    let controllers = ["garbage-collector-controller", "namespace-controller"];
    let scene = scene.with_controllers(&controllers).await;
    let mut replica = scene.replica("one", &[]).await;
    scene.configure([&replica.url(), &replica.url()]).await;
    until_owned(&scene).await;

    // What somebody strips it of comes back.
    let stripped = Patch::Merge(json!({"metadata": {"ownerReferences": null}}));
    let by = PatchParams::default();
    scene.configurations().patch(CONFIGURATION, &by, &stripped).await.unwrap();
    until_owned(&scene).await;

    replica.operator.kill().await.unwrap();
    let refused = scene.try_pod(&pod("asks", CLUSTER)).await.unwrap_err().to_string();
    assert!(refused.contains("failed calling webhook"), "{refused}");
    let namespaces: Api<Namespace> = Api::all(scene.server.client());
    namespaces.delete(OPS, &DeleteParams::default()).await.unwrap();
    let made =
        wait::until("pods are made again", async || scene.try_pod(&pod("asks", CLUSTER)).await);
    assert!(!is_injected(&made.await.unwrap()));
    let configurations = scene.configurations();
    assert!(configurations.get_opt(CONFIGURATION).await.unwrap().is_none());
}
