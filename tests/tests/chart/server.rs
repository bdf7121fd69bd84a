//! All that is rendered, at a real API server, with every field that it does not know refused.

use std::path::PathBuf;
use std::process::Command;

use grape_tests::kubernetes::{ApiServer, access, script, tools};
use grape_tests::wait;

use crate::helm;

/// It only asks: nothing is stored of the chart.
#[tokio::test]
async fn takes_every_object() {
    let Some(server) = server().await else { return };
    for namespace in ["ops", "market", "trade"] {
        kubectl(&server, &["create", "namespace", namespace]).unwrap();
    }
    define_monitoring(&server).await;
    let files = [
        None,
        Some("everything.yaml"),
        Some("otherwise.yaml"),
        Some("host-network.yaml"),
        Some("namespaced.yaml"),
        Some("monitored.yaml"),
    ];
    let folder = tempfile::tempdir().unwrap();
    for values in files {
        let path = values.map(helm::values);
        let given = path.as_ref().map_or(vec![], |path| vec!["--values", path]);
        let file = folder.path().join("rendered.yaml");
        std::fs::write(&file, helm::printed(helm::template(&given))).unwrap();
        let told = kubectl(
            &server,
            &[
                "apply",
                "--dry-run=server",
                "--validate=strict",
                "--server-side",
                "--filename",
                file.to_str().unwrap(),
            ],
        );
        let told = told.unwrap_or_else(|error| panic!("{values:?}: {error}"));
        assert!(told.contains("deployment.apps/"), "{values:?}: {told}");
        let monitored = matches!(values, Some("everything.yaml" | "monitored.yaml"));
        for kind in
            ["servicemonitor.monitoring", "podmonitor.monitoring", "prometheusrule.monitoring"]
        {
            let monitored =
                monitored || values == Some("host-network.yaml") && kind.starts_with("service");
            assert_eq!(told.contains(kind), monitored, "{values:?}: {told}");
        }
    }
}

/// YAML 1.1 has more words for true, false and numbers than the names here that Rust's reader knows.
#[tokio::test]
async fn takes_names_that_could_be_numbers_or_booleans() {
    let Some(server) = server().await else { return };
    let folder = tempfile::tempdir().unwrap();
    for name in ["2024", "1e3", "true", "no", "y"] {
        kubectl(&server, &["create", "namespace", name]).unwrap();
        let watched = format!("--set-string=watchNamespaces={{{name}}}");
        for more in [&[][..], &[&watched, "--set=webhook.enabled=true"]] {
            let arguments = [&["--set=fullnameOverride=grapes"], more].concat();
            let yaml = helm::printed(helm::template_of(name, name, &arguments));
            let file = folder.path().join("rendered.yaml");
            std::fs::write(&file, yaml).unwrap();
            let apply = ["apply", "--dry-run=server", "--validate=strict", "--server-side"];
            let told = kubectl(&server, &[&apply[..], &["-f", file.to_str().unwrap()]].concat());
            let told = told.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(told.contains("deployment.apps/grapes"), "{name}: {told}");
        }
    }
}

/// As when a fleet goes over to Argo CD: what API servers fill in by themselves would be a conflict
/// between the two ways of applying.
#[tokio::test]
async fn client_side_apply_moves_to_server_side_apply_without_a_conflict() {
    let Some(server) = server().await else { return };
    let folder = tempfile::tempdir().unwrap();
    for namespace in ["ops", "market", "trade"] {
        kubectl(&server, &["create", "namespace", namespace]).unwrap();
    }
    define_monitoring(&server).await;
    for values in [None, Some("everything.yaml"), Some("monitored.yaml")] {
        let path = values.map(helm::values);
        let given = path.as_ref().map_or(vec![], |path| vec!["--values", path]);
        let file = folder.path().join("rendered.yaml");
        // The definition is too long for an annotation: it is applied at the server in any case. The
        // pod of `helm test` is made by Helm alone.
        let given = [&given[..], &["--set=crds.install=false", "--skip-tests"]].concat();
        std::fs::write(&file, helm::printed(helm::template(&given))).unwrap();
        let file = file.to_str().unwrap();
        kubectl(&server, &["apply", "-f", file]).unwrap_or_else(|e| panic!("{values:?}: {e}"));
        let moved = kubectl(&server, &["apply", "--server-side", "-f", file]);
        moved.unwrap_or_else(|error| panic!("{values:?}: {error}"));
        kubectl(&server, &["delete", "--wait=false", "-f", file]).unwrap();
    }
}

/// A server that is ours; none where the tests run at a cluster of somebody else.
pub async fn server() -> Option<ApiServer> {
    if access::existing().unwrap().is_some() {
        eprintln!("NOT TESTED: it would need namespaces and CRDs in a cluster that is not ours.");
        return None;
    }
    Some(ApiServer::start().await.unwrap())
}

async fn define_monitoring(server: &ApiServer) {
    let script = script::path("tools/monitoring-crds");
    let folder = PathBuf::from(script::run(&mut Command::new(script)).unwrap());
    for plural in ["servicemonitors", "podmonitors", "prometheusrules"] {
        let file = folder.join(format!("monitoring.coreos.com_{plural}.yaml"));
        let apply = ["apply", "--server-side", "--filename", file.to_str().unwrap()];
        kubectl(server, &apply).unwrap();
    }
    wait::until("the API server serves what the Prometheus operator knows", async || {
        kubectl(server, &["get", "servicemonitors,podmonitors,prometheusrules"])
    })
    .await
    .unwrap();
}

/// What kubectl printed, or why it failed.
pub fn kubectl(server: &ApiServer, arguments: &[&str]) -> Result<String, String> {
    let mut kubectl = Command::new(tools::binary("kubectl").unwrap());
    let output = kubectl.env("KUBECONFIG", server.kubeconfig()).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}
