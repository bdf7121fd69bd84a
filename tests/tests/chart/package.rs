//! The chart as a package: versions, copies that have to be kept up, helm's own lints.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_yaml::Value;

use crate::helm::{self, Rendered};

#[test]
fn helm_finds_nothing_to_blame() {
    let chart = helm::chart();
    let chart = chart.to_str().unwrap();
    helm::printed(["lint", "--strict", chart]);
    for values in [
        "everything.yaml",
        "otherwise.yaml",
        "host-network.yaml",
        "namespaced.yaml",
        "monitored.yaml",
    ] {
        helm::printed(["lint", "--strict", chart, "--values", &helm::values(values)]);
    }
}

#[test]
fn its_versions_are_those_of_the_workspace() {
    let chart: Value = serde_yaml::from_str(&helm::file("Chart.yaml")).unwrap();
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn kubernetes_before_the_floor_is_refused() {
    let refusal = helm::refusal(helm::template(&["--kube-version=1.32.9"]));
    assert!(refusal.contains("requires kubeVersion: >=1.33.0-0"), "{refusal}");
    // As a provider calls its own.
    Rendered::of(&["--kube-version=1.33.0-gke.100"]);
}

#[test]
fn its_definitions_are_those_of_the_repository() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds");
    let mut names = Vec::new();
    for entry in fs::read_dir(kept).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let copy = fs::read_to_string(helm::chart().join("files/crds").join(&name));
        assert!(
            copy.unwrap_or_default() == fs::read_to_string(&path).unwrap(),
            "the chart's {name} is stale; run: cp crds/*.yaml charts/grape-operator/files/crds/"
        );
        names.push(name);
    }
    let copies = fs::read_dir(helm::chart().join("files/crds")).unwrap().count();
    assert_eq!(copies, names.len(), "a definition that is no longer in crds/ is in the chart");
}

#[test]
fn a_definition_is_rendered_as_it_is_and_kept() {
    let rendered = Rendered::of(&[]);
    let mut definition = rendered.one_of_kind("CustomResourceDefinition").clone();
    let metadata = definition["metadata"].as_mapping_mut().unwrap();
    let annotations = metadata.remove("annotations").unwrap();
    assert_eq!(annotations["helm.sh/resource-policy"], "keep");
    metadata.remove("labels").unwrap();
    let file = helm::file("files/crds/grapeclusters.grenache.dev.yaml");
    assert_eq!(definition, serde_yaml::from_str::<Value>(&file).unwrap());
}

/// What is between braces in a description is not run.
#[test]
fn a_definition_is_no_template() {
    let folder = tempfile::tempdir().unwrap();
    let chart = copy(folder.path());
    let path = chart.join("files/crds/grapeclusters.grenache.dev.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let changed = text.replace("A cluster of Grapes:", "A {{ fail $1 }} cluster of Grapes:");
    assert_ne!(changed, text);
    fs::write(path, changed).unwrap();
    let printed = helm::printed(["template", "grape-operator", chart.to_str().unwrap()]);
    assert!(printed.contains("A {{ fail $1 }} cluster of Grapes:"), "{printed}");
}

#[test]
fn another_chart_can_have_it_as_a_part() {
    let folder = tempfile::tempdir().unwrap();
    let part = copy(folder.path());
    let whole = folder.path().join("whole");
    fs::create_dir_all(whole.join("charts")).unwrap();
    fs::rename(part, whole.join("charts/grape-operator")).unwrap();
    let chart = "apiVersion: v2\nname: whole\nversion: 1.0.0\ndependencies:\n- name: grape-operator\n  \
                 version: \"*\"\n  condition: grape-operator.enabled\n";
    fs::write(whole.join("Chart.yaml"), chart).unwrap();
    let values = "global: {region: eu}\ngrape-operator: {enabled: true, replicas: 3}\n";
    fs::write(whole.join("values.yaml"), values).unwrap();
    let printed = helm::printed(["template", "all", whole.to_str().unwrap()]);
    assert!(printed.contains("name: \"all-grape-operator\""), "{printed}");
    assert!(printed.contains("replicas: 3"), "{printed}");
}

/// A copy of the chart in a folder, to be changed.
pub fn copy(folder: &Path) -> std::path::PathBuf {
    let copied = Command::new("cp").arg("-r").arg(helm::chart()).arg(folder).status().unwrap();
    assert!(copied.success());
    folder.join("grape-operator")
}
