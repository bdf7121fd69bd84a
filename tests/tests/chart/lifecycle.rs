//! A release from its installation to its end, by the real helm. No controller is there: what is
//! installed is stored, and nothing of it runs.

use std::fs;
use std::path::Path;

use grape_cluster::GrapeCluster;
use grape_tests::kubernetes::{ApiServer, access};
use grape_tests::wait;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::rbac::v1::ClusterRole;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::server::kubectl;
use crate::{helm, package};

/// A server that is ours to install into and to leave things on.
async fn server() -> Option<ApiServer> {
    if access::existing().unwrap().is_some() {
        eprintln!("NOT TESTED: a cluster that is not ours may have an operator.");
        return None;
    }
    Some(ApiServer::start().await.unwrap())
}

fn words<'a>(server: &'a ApiServer, arguments: &[&'a str]) -> Vec<&'a str> {
    let kubeconfig = ["--kubeconfig", server.kubeconfig().to_str().unwrap()];
    [arguments, &kubeconfig].concat()
}

fn helm(server: &ApiServer, arguments: &[&str]) -> String {
    helm::printed(words(server, arguments))
}

/// What the definition says of itself.
async fn description(server: &ApiServer) -> String {
    let definitions: Api<CustomResourceDefinition> = Api::all(server.client());
    let definition = definitions.get("grapeclusters.grenache.dev").await.unwrap();
    let annotations = definition.metadata.annotations.unwrap();
    assert_eq!(annotations["helm.sh/resource-policy"], "keep");
    let schema = definition.spec.versions[0].schema.clone().unwrap();
    schema.open_api_v3_schema.unwrap().description.unwrap()
}

/// A cluster, as soon as the API server serves its kind.
async fn make_cluster(clusters: &Api<GrapeCluster>) {
    let cluster = json!({
        "apiVersion": "grenache.dev/v1alpha1", "kind": "GrapeCluster",
        "metadata": {"name": "market"}, "spec": {},
    });
    let cluster = serde_json::from_value(cluster).unwrap();
    wait::until("a GrapeCluster is taken", async || {
        clusters.create(&PostParams::default(), &cluster).await
    })
    .await
    .unwrap();
}

/// The chart with another definition: a newer version.
fn newer(folder: &Path) -> String {
    let chart = package::copy(folder);
    let change = |file: &str, from: &str, to: &str| {
        let path = chart.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        fs::write(path, text.replace(from, to)).unwrap();
    };
    change("Chart.yaml", concat!("version: ", env!("CARGO_PKG_VERSION")), "version: 99.0.0");
    let definition = "files/crds/grapeclusters.grenache.dev.yaml";
    change(definition, "'A cluster of Grapes:", "'A newer cluster of Grapes:");
    chart.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn definitions_are_upgraded_and_outlive_their_release() {
    let Some(server) = server().await else { return };
    let (chart, folder) = (helm::chart(), tempfile::tempdir().unwrap());
    let chart = chart.to_str().unwrap();
    let release = ["grapes", "--namespace=ops"];
    let deployments: Api<Deployment> = Api::namespaced(server.client(), "ops");
    let roles: Api<ClusterRole> = Api::all(server.client());
    let clusters: Api<GrapeCluster> = Api::namespaced(server.client(), "default");
    let run = |verb: &str, more: &[&str]| {
        let arguments = [&[verb], &release[..], more].concat();
        helm(&server, &arguments)
    };

    let notes = run("install", &["--create-namespace", chart]);
    assert!(notes.contains("helm test grapes -n ops"), "{notes}");
    assert!(deployments.get_opt("grapes-grape-operator").await.unwrap().is_some());
    make_cluster(&clusters).await;
    let before = description(&server).await;

    run("upgrade", &[&newer(folder.path())]);
    assert!(description(&server).await.starts_with("A newer cluster"));
    run("rollback", &["1"]);
    assert_eq!(description(&server).await, before);

    run("uninstall", &[]);
    assert!(deployments.get_opt("grapes-grape-operator").await.unwrap().is_none());
    assert!(roles.get_opt("grapes-grape-operator").await.unwrap().is_none());
    assert_eq!(description(&server).await, before);
    clusters.get("market").await.unwrap();

    // The same release finds it again; another release needs --take-ownership.
    run("install", &[chart]);
    run("uninstall", &[]);
    let other = ["install", "other", "--namespace=ops", chart];
    let refusal = helm::refusal(words(&server, &other));
    assert!(refusal.contains("grapeclusters.grenache.dev"), "{refusal}");
    assert!(refusal.contains("invalid ownership metadata"), "{refusal}");
    assert!(deployments.get_opt("other-grape-operator").await.unwrap().is_none());
    helm(&server, &[&other[..], &["--take-ownership"]].concat());
    clusters.get("market").await.unwrap();
}

/// The first installs what there is one of for the whole cluster, the second takes it as it is.
#[tokio::test]
async fn two_operators_share_a_cluster_by_namespaces() {
    let Some(server) = server().await else { return };
    let chart = helm::chart();
    let chart = chart.to_str().unwrap();
    for namespace in ["market", "trade"] {
        kubectl(&server, &["create", "namespace", namespace]).unwrap();
    }
    let watched = |namespace: &str| format!("--set=watchNamespaces={{{namespace}}}");
    let first = ["install", "grape-operator", "--namespace=market", chart, &watched("market")];
    let notes = helm(&server, &first);
    assert!(notes.contains("serves the GrapeClusters of the namespace market"), "{notes}");
    let (watched, more) = (watched("trade"), "--set=crds.install=false,userRoles.enabled=false");
    let second = ["install", "grape-operator", "--namespace=trade", chart, &watched, more];
    let notes = helm(&server, &second);
    assert!(notes.contains("namespace: trade"), "{notes}");
    assert!(notes.contains("crds.install is false"), "{notes}");
}

#[tokio::test]
async fn missing_kinds_are_named_and_nothing_is_changed() {
    let Some(server) = server().await else { return };
    let chart = helm::chart();
    let install = ["install", "grapes", "--namespace=default", chart.to_str().unwrap()];
    let definitions: Api<CustomResourceDefinition> = Api::all(server.client());
    for (set, kind) in [
        ("--set=serviceMonitor.enabled=true", "no matches for kind \"ServiceMonitor\""),
        ("--set=prometheusRule.enabled=true", "no matches for kind \"PrometheusRule\""),
    ] {
        let refusal = helm::refusal(words(&server, &[&install[..], &[set]].concat()));
        assert!(refusal.contains(kind), "{refusal}");
        assert!(refusal.contains("ensure CRDs are installed first"), "{refusal}");
        assert!(definitions.list(&Default::default()).await.unwrap().items.is_empty());
    }
}

/// As a mesh, or `kubectl rollout restart`, does it.
#[tokio::test]
async fn an_upgrade_leaves_what_others_added() {
    let Some(server) = server().await else { return };
    let chart = helm::chart();
    let release = ["grapes", chart.to_str().unwrap(), "--namespace=ops"];
    helm(&server, &[&["install"], &release[..], &["--create-namespace"]].concat());
    let deployments: Api<Deployment> = Api::namespaced(server.client(), "ops");
    let name = "grapes-grape-operator";
    let added = json!({
        "metadata": {"labels": {"example.com/team": "a"}, "annotations": {"example.com/mesh": "on"}},
        "spec": {"template": {
            "metadata": {"annotations": {"example.com/mesh": "on"}},
            "spec": {"containers": [
                {"name": "operator", "env": [{"name": "MESH", "value": "on"}]},
                {"name": "mesh", "image": "mesh"},
            ]},
        }},
    });
    let manager = PatchParams { field_manager: Some("mesh".to_owned()), ..<_>::default() };
    deployments.patch(name, &manager, &Patch::Strategic(added)).await.unwrap();
    for value in ["log.level=debug", "extraEnv[0].name=A,extraEnv[0].value=b"] {
        let set = format!("--set={value}");
        helm(&server, &[&["upgrade"], &release[..], &[&set]].concat());
        let deployment = deployments.get(name).await.unwrap();
        assert_eq!(deployment.metadata.labels.unwrap()["example.com/team"], "a");
        assert_eq!(deployment.metadata.annotations.unwrap()["example.com/mesh"], "on");
        let template = deployment.spec.unwrap().template;
        assert_eq!(template.metadata.unwrap().annotations.unwrap()["example.com/mesh"], "on");
        let containers = template.spec.unwrap().containers;
        assert!(containers.iter().any(|it| it.name == "mesh"), "{containers:?}");
        let operator = containers.iter().find(|it| it.name == "operator").unwrap();
        let variables: Vec<_> = operator.env.iter().flatten().map(|it| it.name.as_str()).collect();
        assert!(variables.contains(&"MESH"), "{variables:?}");
        assert_eq!(variables.contains(&"A"), value.starts_with("extraEnv"), "{variables:?}");
    }
}
