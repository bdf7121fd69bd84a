//! `kubectl apply` of what a push wrote: `install.yaml`, and an overlay of the kustomize base in another
//! namespace.

use std::fs;
use std::process::Command;

use grape_tests::kubernetes::script;

use super::stage::{NAMESPACE, OF_OPERATOR, SECRET, Stage};

#[tokio::test]
async fn a_release_is_pushed_and_applied_by_kubectl() {
    let Some(stage) = Stage::new().await else { return };
    stage.push(&["--pull-secret", SECRET]);
    let manifest = stage.dist.file("install.yaml").display().to_string();
    stage.kubectl(&["apply", "--server-side", "--filename", &manifest]);
    stage.secret(NAMESPACE);
    rollout(&stage, NAMESPACE);
    stage.is_used(NAMESPACE, "shop").await;
    check(&stage, NAMESPACE);
    // What the operator wrote meanwhile is not taken away, and conflicts with nothing.
    stage.kubectl(&["apply", "--server-side", "--filename", &manifest]);
    assert_eq!(stage.kubectl(&["diff", "--server-side", "--filename", &manifest]), "");

    stage.kubectl(&["delete", "namespace", "shop"]);
    stage.kubectl(&["delete", "--filename", &manifest, "--timeout=5m"]);
    let kinds = "crds,clusterroles,clusterrolebindings,mutatingwebhookconfigurations,\
                 validatingadmissionpolicies,validatingadmissionpolicybindings";
    assert_eq!(stage.kubectl(&["get", kinds, OF_OPERATOR, "--output=name"]), "");

    in_another_namespace(&stage).await;
}

async fn in_another_namespace(stage: &Stage) {
    let folder = tempfile::tempdir().unwrap();
    let base = stage.dist.file("kustomize");
    script::run(Command::new("cp").arg("-r").arg(base).arg(folder.path().join("base"))).unwrap();
    let file = "resources: [base]\nnamespace: grapes\n";
    fs::write(folder.path().join("kustomization.yaml"), file).unwrap();
    let overlay = folder.path().display().to_string();
    stage.kubectl(&["apply", "--server-side", "--kustomize", &overlay]);
    stage.secret("grapes");
    rollout(stage, "grapes");
    stage.is_used("grapes", "market").await;
    check(stage, "grapes");
}

fn rollout(stage: &Stage, namespace: &str) {
    let deployment = "deployment/grape-operator";
    stage.kubectl(&["rollout", "status", deployment, "--namespace", namespace, "--timeout=5m"]);
}

/// What `helm test` does where Helm installed the operator.
fn check(stage: &Stage, namespace: &str) {
    let named = format!("--namespace={namespace}");
    let service = format!("--operator=http://grape-operator.{namespace}.svc:9090");
    let exec = ["exec", "deployment/grape-operator", &named, "--"];
    let check = ["grape-operator", "check", &named, &service];
    stage.kubectl(&[&exec[..], &check].concat());
}
