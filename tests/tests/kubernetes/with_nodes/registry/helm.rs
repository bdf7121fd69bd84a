//! `helm install oci://…`.

use grape_tests::kubernetes::script;
use grape_tests::release::registry::refused;
use grape_tests::release::tools;

use super::stage::{NAMESPACE, SECRET, Stage};

#[tokio::test]
async fn a_release_is_pushed_and_installed_by_helm() {
    let Some(stage) = Stage::new().await else { return };
    let said = stage.push(&["--pull-secret", SECRET]);
    let chart = said.split_whitespace().find(|word| word.starts_with("oci://")).expect(&said);
    stage.namespace(NAMESPACE);
    stage.secret(NAMESPACE);
    let install = |more: &[&str]| {
        let mut helm = stage.login.command(&tools::of_release("helm").unwrap());
        helm.arg("--kubeconfig").arg(stage.cluster.kubeconfig());
        helm.args(["install", "grape-operator", chart, "--namespace", NAMESPACE]);
        helm.args(["--wait", "--timeout=5m", "--values"]).arg(stage.dist.file("values.yaml"));
        helm.args(more);
        helm
    };
    // Without the password nobody gets the chart.
    let nobody = grape_tests::release::Login::none(&stage.registry).unwrap();
    let mut pull = nobody.command(&tools::of_release("helm").unwrap());
    let told = refused(pull.args(["pull", chart])).unwrap();
    assert!(told.contains("basic credential not found"), "{told}");

    script::run(&mut install(&[])).unwrap();
    stage.is_used(NAMESPACE, "shop").await;

    // The chart's own check pulls with the same Secret.
    let mut test = stage.login.command(&tools::of_release("helm").unwrap());
    test.arg("--kubeconfig").arg(stage.cluster.kubeconfig());
    script::run(test.args(["test", "grape-operator", "--namespace", NAMESPACE])).unwrap();
}
