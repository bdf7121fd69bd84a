//! A name server that goes on telling for minutes what is over, also that there is no such name.

use std::time::Duration;

use grape_tests::kubernetes::grape_cluster::GRAPES;
use grape_tests::kubernetes::operator::is_somebody_elses;
use grape_tests::kubernetes::{GrapeCluster, Operator, pod_processes};
use grape_tests::{figure, wait};
use serde_json::json;
use tokio::time::Instant;

use super::super::pods;

/// For how long answers are cached, in seconds.
const CACHED: u64 = 300;
/// A third of that, and many times what is wanted.
const BOUND: Duration = Duration::from_secs(100);

/// The cluster's name server while it caches all answers.
struct Cached<'a> {
    operator: &'a Operator,
    before: String,
}

const SYSTEM: &str = "--namespace=kube-system";

impl<'a> Cached<'a> {
    fn new(operator: &'a Operator) -> Self {
        let map = operator.kubectl([SYSTEM, "get", "configmap", "coredns", "--output=json"]);
        let map: serde_json::Value = serde_json::from_str(&map.unwrap()).unwrap();
        let before = map["data"]["Corefile"].as_str().unwrap().to_owned();
        let lines = before.lines().map(|line| match line.trim() {
            it if it.starts_with("ttl ") => format!("        ttl {CACHED}"),
            it if it.starts_with("cache ") => format!("    cache {CACHED}"),
            _ => line.to_owned(),
        });
        let after = lines.collect::<Vec<_>>().join("\n") + "\n";
        assert_ne!(before, after);
        let cached = Self { operator, before };
        cached.set(&after).unwrap();
        cached
    }

    fn set(&self, file: &str) -> anyhow::Result<()> {
        let patch = json!({"data": {"Corefile": file}}).to_string();
        let server = "daemonset/coredns";
        for arguments in [
            [SYSTEM, "patch", "configmap/coredns", "--patch", &patch],
            [SYSTEM, "rollout", "restart", server, "--output=name"],
            [SYSTEM, "rollout", "status", server, "--timeout=2m"],
        ] {
            self.operator.kubectl(arguments)?;
        }
        Ok(())
    }
}

impl Drop for Cached<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.set(&self.before) {
            eprintln!("the name server goes on caching: {error:#}");
        }
    }
}

#[tokio::test]
async fn no_lookup_waits_for_a_name_server() {
    if is_somebody_elses().unwrap() {
        return;
    }
    let operator = Operator::alone().await.unwrap();
    let _cached = Cached::new(&operator);
    let begun = Instant::now();
    let cluster = GrapeCluster::make(&operator, "cached", json!({})).await.unwrap();
    let single = GrapeCluster::make(&operator, "single", json!({"replicas": 1})).await.unwrap();
    cluster.until_ready().await.unwrap();
    let took = begun.elapsed();
    figure::took("a new cluster where answers are cached for five minutes, Ready", took);
    assert!(took <= BOUND, "{took:?}");
    single.until_ready().await.unwrap();
    let took = begun.elapsed();
    figure::took("a new cluster of one Grape there, Ready", took);
    assert!(took <= BOUND, "{took:?}");

    // Other pods, at other addresses, which the name server does not return yet.
    let before = cluster.grapes().await.unwrap();
    let begun = Instant::now();
    cluster.kubectl(&["delete", "pods", "--grace-period=0", "--force", "-l", GRAPES]).unwrap();
    wait::until("all are others", async || {
        let now = cluster.grapes().await.map_err(|error| format!("{error:#}"))?;
        let is_new = |pod: &_| before.iter().all(|old| uid(old) != uid(pod));
        if now.len() == 3 && now.iter().all(is_new) { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await
    .unwrap();
    pods::ready(cluster.pods(), GRAPES, 3).await;
    cluster.until_ready().await.unwrap();
    let took = begun.elapsed();
    figure::took("all Grapes replaced at once there, Ready", took);
    assert!(took <= BOUND, "{took:?}");

    let begun = Instant::now();
    for pod in &cluster.grapes().await.unwrap() {
        pod_processes::kill(pod, &["grape"]).unwrap();
    }
    wait::until("all were started again", async || {
        let grapes = pods::ready(cluster.pods(), GRAPES, 3).await;
        let restarts: Vec<_> = grapes.iter().map(pods::restarts).collect();
        if restarts == [1; 3] { Ok(()) } else { Err(format!("{restarts:?}")) }
    })
    .await
    .unwrap();
    cluster.until_ready().await.unwrap();
    let took = begun.elapsed();
    figure::took("all Grapes killed at once there, Ready", took);
    assert!(took <= BOUND, "{took:?}");
}

fn uid(pod: &k8s_openapi::api::core::v1::Pod) -> Option<&str> {
    pod.metadata.uid.as_deref()
}
