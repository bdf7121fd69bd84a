//! The steps of README.md and docs/quick-start-cluster.md.

use std::process::Command;

use grape_tests::figure;
use grape_tests::kubernetes::operator::{CLUSTER, NAMESPACE, RELEASE, is_somebody_elses};
use grape_tests::kubernetes::{Operator, script};
use tokio::time::Instant;

#[tokio::test]
async fn the_readme_can_be_followed_to_the_letter() {
    if is_somebody_elses().unwrap() {
        return;
    }
    let operator = Operator::alone().await.unwrap();
    // Nothing of it is there at first.
    operator.helm(["uninstall", RELEASE, "--wait", "--namespace", NAMESPACE]).unwrap();
    operator.kubectl(["delete", "crd", "grapeclusters.grenache.dev"]).unwrap();
    let begun = Instant::now();
    let mut follow = Command::new(script::path("../readme/on_a_cluster"));
    script::run(follow.env("GRAPE_CLUSTER", CLUSTER)).unwrap();
    figure::took("the quick start on a cluster, followed", begun.elapsed());
    operator.install(&[]).unwrap();
}
