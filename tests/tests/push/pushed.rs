//! What is in the registry after a push.

use std::process::Command;

use grape_tests::kubernetes::script;
use grape_tests::release::{Login, tools};
use rstest::rstest;
use serde_json::Value;

use super::Scene;

fn crane(login: &Login, arguments: &[&str]) -> String {
    script::run(login.command(&tools::of_release("crane").unwrap()).args(arguments)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_pushed_whole_and_the_chart_beside_them() {
    let scene = Scene::new().await;
    let said = scene.push(&[]);
    // crane itself reads only what docker login left.
    scene.login.by_docker(&scene.registry).unwrap();
    for (field, name) in [("image", "grape-operator"), ("grapeImage", "grape")] {
        let image = scene.dist.image(field).unwrap();
        assert!(image.starts_with(&format!("{}/{name}@sha256:", scene.target())), "{image}");
        assert!(said.contains(&image), "{said}");
        let index: Value =
            serde_json::from_str(&crane(&scene.login, &["manifest", &image])).unwrap();
        let manifests = index["manifests"].as_array().unwrap();
        let all: Vec<_> = manifests.iter().map(|it| &it["platform"]["architecture"]).collect();
        assert_eq!(all, ["amd64", "arm64"], "{index}");
        // Nothing of it is missing.
        for architecture in ["linux/amd64", "linux/arm64"] {
            crane(&scene.login, &["validate", "--platform", architecture, "--remote", &image]);
        }
        let tag = format!("{}/{name}:{}", scene.target(), env!("CARGO_PKG_VERSION"));
        let digest = crane(&scene.login, &["digest", &tag]);
        assert!(image.ends_with(&digest), "{image} is {digest}");
    }

    let chart = format!("oci://{}/charts/grape-operator@sha256:", scene.target());
    let chart = said.split_whitespace().find(|word| word.starts_with(&chart)).expect(&said);
    let mut show = scene.login.command(&tools::of_release("helm").unwrap());
    let shown = script::run(show.args(["show", "chart", "--plain-http", chart])).unwrap();
    assert!(shown.contains("name: grape-operator"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn to_push_again_changes_nothing() {
    let scene = Scene::new().await;
    let files =
        ["values.yaml", "install.yaml", "kustomize/resources.yaml", "kustomize/kustomization.yaml"];
    let written = || files.map(|file| scene.text(file));
    let first = (scene.push(&[]), written());
    // Also where the release was copied meanwhile.
    let charts = scene.dist.file("charts");
    let touch = r#"touch -d 2001-01-01 "$0"/*"#;
    script::run(Command::new("bash").arg("-c").arg(touch).arg(charts)).unwrap();
    assert_eq!((scene.push(&[]), written()), first);
}

#[rstest]
#[case::of_helm(true)]
#[case::of_docker(false)]
#[tokio::test(flavor = "multi_thread")]
async fn the_login_may_be_helms_or_dockers(#[case] by_helm: bool) {
    let mut scene = Scene::new().await;
    scene.login = Login::none(&scene.registry).unwrap();
    match by_helm {
        true => scene.login.by_helm(&scene.registry),
        false => scene.login.by_docker(&scene.registry),
    }
    .unwrap();
    scene.push(&[]);
    scene.dist.values().unwrap();
}
