//! The steps of README.md and docs/quick-start-cluster.md.

use std::process::Command;

use grape_tests::figure;
use grape_tests::kubernetes::operator::is_somebody_elses;
use grape_tests::kubernetes::{Cluster, script};
use tokio::time::Instant;

/// A cluster of its own: a node that has pulled an image from the registry of the README pulls what is
/// the same image by another name, too, and the other tests load theirs into the nodes.
const CLUSTER: &str = "readme";

#[tokio::test]
async fn the_readme_can_be_followed_to_the_letter() {
    if is_somebody_elses().unwrap() {
        return;
    }
    let _cluster = Cluster::own(CLUSTER).await.unwrap();
    let begun = Instant::now();
    let mut follow = Command::new(script::path("../readme/on_a_cluster"));
    script::run(follow.env("GRAPE_CLUSTER", CLUSTER)).unwrap();
    figure::took("the quick start on a cluster, followed", begun.elapsed());
}
