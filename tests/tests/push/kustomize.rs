//! The kustomize base, with the real kustomize.

use std::fs;

use grape_tests::kubernetes::{ApiServer, Kubectl};
use rstest::rstest;

use super::{Scene, base, kustomize};

/// What is rendered names each image in one line alone: the operator's as its container's, that of
/// Grapes as the variable.
fn assert_images(rendered: &str, operator: &str, grape: &str) {
    let lines: Vec<&str> = rendered.lines().map(str::trim).collect();
    for line in [format!("image: {operator}"), format!("value: {grape}")] {
        assert_eq!(lines.iter().filter(|it| **it == line).count(), 1, "{line}\n{rendered}");
    }
}

const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000001";

#[rstest]
#[case::tags("mirror.example.org/op:1", "mirror.example.org:5000/a/grape:v2", ":")]
#[case::digests(
    &format!("mirror.example.org/op@{DIGEST}"),
    &format!("mirror.example.org/grape@{DIGEST}"),
    "@"
)]
#[tokio::test(flavor = "multi_thread")]
async fn set_image_reaches_both_images(
    #[case] operator: &str,
    #[case] grape: &str,
    #[case] before: &str,
) {
    let scene = Scene::new().await;
    scene.push(&[]);
    let (folder, base) = base(&scene);
    let image = |field| scene.dist.image(field).unwrap();
    assert_images(&kustomize(&base, &["build", "."]), &image("image"), &image("grapeImage"));
    let set = [format!("grape-operator={operator}"), format!("grape={grape}")];
    kustomize(&base, &["edit", "set", "image", &set[0], &set[1]]);
    assert_images(&kustomize(&base, &["build", "."]), operator, grape);

    // As an overlay does, which sets the images that the base has.
    let overlay = folder.path().join("overlay");
    fs::create_dir(&overlay).unwrap();
    fs::copy(base.join("images.yaml"), overlay.join("images.yaml")).unwrap();
    let file = "resources: [../base]\nconfigurations: [images.yaml]\n";
    fs::write(overlay.join("kustomization.yaml"), file).unwrap();
    let name = |image: &str| image.rsplit_once(before).unwrap().0.to_owned();
    let set = [operator, grape].map(|image| format!("{}=other.example.org/x:3", name(image)));
    kustomize(&overlay, &["edit", "set", "image", &set[0], &set[1]]);
    let both = ["other.example.org/x:3"; 2];
    assert_images(&kustomize(&overlay, &["build", "."]), both[0], both[1]);
}

/// All that names the namespace follows, but for names of objects that are in no namespace. The
/// operator is told the one that it works with.
#[tokio::test(flavor = "multi_thread")]
async fn another_namespace_takes_all_of_it() {
    let scene = Scene::new().await;
    scene.push(&[]);
    let (folder, _base) = base(&scene);
    let overlay = folder.path().join("overlay");
    fs::create_dir(&overlay).unwrap();
    let file = "resources: [../base]\nnamespace: grapes\n";
    fs::write(overlay.join("kustomization.yaml"), file).unwrap();
    let rendered = kustomize(&overlay, &["build", "."]);
    let left: Vec<&str> = rendered.lines().filter(|line| line.contains("grape-system")).collect();
    let is_name = |line: &&str| line.trim_start_matches([' ', '-']).contains("grape-operator-");
    assert!(left.iter().all(is_name), "{left:#?}");
    let configuration = "value: grape-operator-webhook.grape-system";
    assert_eq!(left.iter().filter(|line| line.contains(configuration)).count(), 1, "{left:#?}");

    let server = ApiServer::start().await.unwrap();
    let kubectl = Kubectl::ours(server.kubeconfig()).unwrap();
    let folder = overlay.display().to_string();
    kubectl.run(["apply", "--server-side", "--kustomize", &folder]).unwrap();
    let diff = kubectl.run(["diff", "--server-side", "--kustomize", &folder]).unwrap();
    assert_eq!(diff, "");
    let read = |what: &[&str], path: &str| {
        let path = format!("--output=jsonpath={path}");
        kubectl.run([&["get"], what, &[&*path]].concat()).unwrap()
    };
    let service = "{.webhooks[*].clientConfig.service.namespace}";
    let webhook = ["mutatingwebhookconfiguration", "grape-operator-webhook.grape-system"];
    assert_eq!(read(&webhook, service), "grapes grapes");
    for kind in ["clusterrolebinding", "rolebinding"] {
        let of_ours =
            [kind, "--all-namespaces", "--selector=app.kubernetes.io/name=grape-operator"];
        let subjects = read(&of_ours, "{.items[*].subjects[*].namespace}");
        assert!(subjects.split(' ').count() > 1, "{kind}: {subjects}");
        assert!(subjects.split(' ').all(|it| it == "grapes"), "{kind}: {subjects}");
    }
    assert_eq!(
        read(&["deployment", "--namespace=grapes"], "{.items[*].metadata.name}"),
        "grape-operator"
    );
}
