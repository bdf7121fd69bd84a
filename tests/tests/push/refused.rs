//! What is said when nothing is pushed: nothing is written either.

use grape_tests::release::Login;
use grape_tests::release::registry::refused;
use rstest::rstest;

use super::{Scene, small};

#[rstest]
#[case::no_prefix("registry.example.org", "PREFIX is \"\"; expected one or more words")]
#[case::capitals("registry.example.org/Team", "PREFIX is \"/Team\"; expected one or more words")]
#[case::no_host("platform/team", "REGISTRY is \"platform\"; expected the name of a host")]
#[case::a_url(
    "https://registry.example.org/team",
    "leave out https://, as in registry.example.org/team"
)]
#[case::too_long(&format!("registry.example.org/{}", "a".repeat(200)), "221 characters; at most 200")]
#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_none(#[case] target: &str, #[case] said: &str) {
    let scene = Scene::new().await;
    let told = refused(&mut scene.dist.push(&scene.login, target).unwrap()).unwrap();
    assert!(told.contains(said), "{told}");
}

#[rstest]
#[case(&["--pull-secret", "A b"], "--pull-secret is \"A b\"; expected the name of a Secret")]
#[case(&["--pull-secret"], "--pull-secret has no value")]
#[case(&["--force"], "there is no flag --force; there are --dist, --out and --pull-secret")]
#[case(&["registry.example.org/b"], "two places to push to")]
#[tokio::test(flavor = "multi_thread")]
async fn a_flag_that_is_wrong(#[case] more: &[&str], #[case] said: &str) {
    let scene = Scene::new().await;
    let mut push = scene.dist.push(&scene.login, "registry.example.org/a").unwrap();
    let told = refused(push.args(more)).unwrap();
    assert!(told.contains(said), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_without_a_release_names_what_builds_one() {
    let scene = Scene::new().await;
    let push = || scene.dist.push(&scene.login, &scene.target()).unwrap();
    let chart = format!("charts/grape-operator-{}.tgz", env!("CARGO_PKG_VERSION"));
    let chart = scene.dist.file(&chart);
    std::fs::copy(&chart, scene.dist.file("charts/grape-operator-0.0.1.tgz")).unwrap();
    let told = refused(&mut push()).unwrap();
    assert!(told.contains("has several charts") && told.contains("Leave one"), "{told}");
    for gone in ["charts", "images"] {
        std::fs::remove_dir_all(scene.dist.file(gone)).unwrap();
        let told = refused(&mut push()).unwrap();
        assert!(told.contains(gone) && told.contains("release/build VERSION"), "{told}");
    }
    let written = ["values.yaml", "install.yaml", "kustomize"];
    assert!(!written.iter().any(|file| scene.dist.file(file).exists()), "nothing was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_wants_a_login_names_how_to_log_in() {
    let mut scene = Scene::new().await;
    scene.login = Login::none(&scene.registry).unwrap();
    let told = refused(&mut scene.dist.push(&scene.login, &scene.target()).unwrap()).unwrap();
    let said = format!("Log in: helm registry login {}", scene.registry.address());
    assert!(told.contains(&said), "{told}");
    assert!(!scene.dist.file("values.yaml").exists(), "nothing was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_does_not_answer_is_named() {
    let scene = Scene::new().await;
    // Port 9 is nobody's.
    let told = refused(&mut small().push(&scene.login, "127.0.0.1:9/team").unwrap()).unwrap();
    assert!(told.contains("127.0.0.1:9 cannot be reached from here. Check the name"), "{told}");
}
