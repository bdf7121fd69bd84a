//! The chart's manifest and GrapeClusters, as tools apply them that keep a cluster as files say: twice,
//! by two managers, and without the fields that others set.

use std::fs;
use std::path::{Path, PathBuf};

use grape_cluster::GrapeCluster;
use grape_tests::kubernetes::{ApiServer, Kubectl, helm, script};
use grape_tests::wait;
use kube::api::Api;
use kube::{Resource, ResourceExt};
use rstest::rstest;

use crate::webhook::scene::{CONFIGURATION, OPS, Scene};

/// How tools apply.
const CLIENT_SIDE: &[&str] = &["apply"];
const SERVER_SIDE: &[&str] = &["apply", "--server-side", "--field-manager=argocd-controller"];
/// The difference that the second of them would make.
const SERVER_SIDE_DIFF: &[&str] = &["diff", "--server-side", "--field-manager=argocd-controller"];

/// The whole chart, with a running operator that fills in its parts.
#[tokio::test]
async fn the_chart_applied_again_changes_nothing_and_conflicts_with_nobody() {
    let scene = Scene::new().await;
    let kubectl = scene.server.kubectl().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = rendered(folder.path(), &["--set=webhook.enabled=true"]);
    apply(&kubectl, CLIENT_SIDE, &file);
    let operator = scene.replica("one", &[]).await;
    operator.operator.until_leads().await.unwrap();
    until_filled(&scene).await;

    apply(&kubectl, CLIENT_SIDE, &file);
    unchanged(&kubectl, &["diff"], &file);
    // Without --force-conflicts: another manager conflicts with nothing.
    apply(&kubectl, SERVER_SIDE, &file);
    unchanged(&kubectl, SERVER_SIDE_DIFF, &file);
    until_filled(&scene).await;
    let owners = scene.configurations().get(CONFIGURATION).await.unwrap().metadata.owner_references;
    assert_eq!(owners.unwrap_or_default()[0].name, OPS, "the operator's own part is left alone");
}

async fn until_filled(scene: &Scene) {
    wait::until("the operator has filled in the CA bundle", async || {
        let bundles = scene.bundles().await;
        let filled = !bundles.is_empty() && bundles.iter().all(|it| it.contains("CERTIFICATE"));
        let configuration = scene.configurations().get(CONFIGURATION).await?;
        anyhow::ensure!(filled, "{bundles:?}");
        anyhow::ensure!(!configuration.owner_references().is_empty(), "it has no owner yet");
        anyhow::Ok(())
    })
    .await
    .unwrap();
}

/// Between two applies of a manifest without `spec.replicas`, somebody scales.
#[rstest]
#[case::client_side(CLIENT_SIDE, &["diff"])]
#[case::server_side(SERVER_SIDE, SERVER_SIDE_DIFF)]
#[tokio::test]
async fn a_scale_is_kept_by_a_manifest_without_replicas(
    #[case] how: &[&str],
    #[case] diff: &[&str],
) {
    let server = ApiServer::start_with_definition().await.unwrap();
    let kubectl = server.kubectl().unwrap();
    let clusters: Api<GrapeCluster> = Api::default_namespaced(server.client());
    let folder = tempfile::tempdir().unwrap();
    let file = cluster(folder.path(), "gitops-scaled", "{paused: true}");
    apply(&kubectl, how, &file);
    assert_eq!(clusters.get("gitops-scaled").await.unwrap().spec.replicas, 3, "the default");
    let scale = ["scale", "grapecluster", "gitops-scaled", "--replicas=5"];
    kubectl.run(scale).unwrap();
    unchanged(&kubectl, diff, &file);

    let changed = cluster(folder.path(), "gitops-scaled", "{api: {maxPayloadSize: 4096}}");
    apply(&kubectl, how, &changed);
    let spec = clusters.get("gitops-scaled").await.unwrap().spec;
    assert_eq!((spec.replicas, spec.api.max_payload_size, spec.paused), (5, 4096, false));
    kubectl.run(["delete", "grapecluster", "gitops-scaled"]).unwrap();
}

/// Whoever takes `spec.replicas` out of a manifest gets the default, unless somebody else has set it.
#[tokio::test]
async fn replicas_that_leave_a_manifest_are_kept_if_another_manager_set_them() {
    let server = ApiServer::start_with_definition().await.unwrap();
    let kubectl = server.kubectl().unwrap();
    let clusters: Api<GrapeCluster> = Api::default_namespaced(server.client());
    let replicas = async || clusters.get("gitops-left").await.unwrap().spec.replicas;
    let folder = tempfile::tempdir().unwrap();
    let with = |spec: &str| cluster(folder.path(), "gitops-left", spec);
    apply(&kubectl, SERVER_SIDE, &with("{paused: true, replicas: 4}"));
    apply(&kubectl, SERVER_SIDE, &with("{paused: true}"));
    assert_eq!(replicas().await, 3, "nobody else had set it");

    apply(&kubectl, SERVER_SIDE, &with("{paused: true, replicas: 4}"));
    kubectl.run(["scale", "grapecluster", "gitops-left", "--replicas=5"]).unwrap();
    let conflict = [SERVER_SIDE, &["--filename"]].concat();
    let file = with("{paused: true, replicas: 4}");
    let told = kubectl.refused(conflict.iter().copied().chain([file.to_str().unwrap()])).unwrap();
    assert!(told.contains(".spec.replicas"), "{told}");
    apply(&kubectl, SERVER_SIDE, &with("{paused: true}"));
    assert_eq!(replicas().await, 5, "who scaled has set it");
    kubectl.run(["delete", "grapecluster", "gitops-left"]).unwrap();
}

#[tokio::test]
async fn a_cluster_whose_pools_all_have_replicas_cannot_be_scaled() {
    let server = ApiServer::start_with_definition().await.unwrap();
    let kubectl = server.kubectl().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let pools = "{replicas: 3, pools: [{name: a, replicas: 1}, {name: b, replicas: 2}]}";
    apply(&kubectl, CLIENT_SIDE, &cluster(folder.path(), "gitops-fixed", pools));
    let scale = |replicas: &str| {
        kubectl.refused(["scale", "grapecluster", "gitops-fixed", replicas]).unwrap()
    };
    let more = scale("--replicas=5");
    assert!(
        more.contains("the replicas of all spec.pools together, unless one of these"),
        "{more}"
    );
    let fewer = scale("--replicas=2");
    assert!(fewer.contains("at least the replicas of all spec.pools together"), "{fewer}");
    kubectl.run(["delete", "grapecluster", "gitops-fixed"]).unwrap();
}

/// Without a status, Flux and `helm --wait` would take a GrapeCluster for ready that no operator has
/// seen.
#[tokio::test]
async fn a_new_cluster_counts_as_not_observed() {
    let server = ApiServer::start_with_definition().await.unwrap();
    let kubectl = server.kubectl().unwrap();
    let folder = tempfile::tempdir().unwrap();
    apply(&kubectl, CLIENT_SIDE, &cluster(folder.path(), "gitops-new", "{}"));
    let clusters: Api<GrapeCluster> = Api::default_namespaced(server.client());
    let new = clusters.get("gitops-new").await.unwrap();
    assert_eq!(new.meta().generation, Some(1));
    assert_eq!(new.status.unwrap().observed_generation, Some(-1));
    kubectl.run(["delete", "grapecluster", "gitops-new"]).unwrap();
}

/// The file of the chart's whole manifest.
fn rendered(folder: &Path, flags: &[&str]) -> PathBuf {
    let mut command = helm::command().unwrap();
    command.args(["template", "grape-operator"]).arg(helm::chart().unwrap());
    // The pod of `helm test` is made by Helm alone.
    command.args(["--namespace=ops", "--skip-tests"]).args(flags);
    let file = folder.join("chart.yaml");
    fs::write(&file, script::run(&mut command).unwrap()).unwrap();
    file
}

/// The file of a GrapeCluster.
fn cluster(folder: &Path, name: &str, spec: &str) -> PathBuf {
    let file = folder.join("cluster.yaml");
    let manifest = format!(
        "apiVersion: grenache.dev/v1alpha1\nkind: GrapeCluster\nmetadata: {{name: {name}}}\n\
         spec: {spec}\n"
    );
    fs::write(&file, manifest).unwrap();
    file
}

fn apply(kubectl: &Kubectl, how: &[&str], file: &Path) {
    let filename = ["--filename", file.to_str().unwrap()];
    kubectl.run([how, &filename].concat()).unwrap();
}

/// `kubectl diff` fails if there is a difference, and shows it.
fn unchanged(kubectl: &Kubectl, diff: &[&str], file: &Path) {
    let filename = ["--filename", file.to_str().unwrap()];
    assert_eq!(kubectl.run([diff, &filename].concat()).unwrap(), "");
}
