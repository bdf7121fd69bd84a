//! Pods of a test, waited for.

use std::time::Duration;

use grape_tests::wait;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams};

/// Waits until so many pods with a label are ready, and returns them by name.
pub(crate) async fn ready(pods: &Api<Pod>, label: &str, count: usize) -> Vec<Pod> {
    ready_within(wait::DEADLINE, pods, label, count).await
}

/// The same, with a deadline of one's own, as for pods that take their time to end.
pub(crate) async fn ready_within(
    deadline: Duration,
    pods: &Api<Pod>,
    label: &str,
    count: usize,
) -> Vec<Pod> {
    let what = format!("{count} pods with {label} are ready, and no others are there");
    wait::until_within(deadline, &what, async || {
        let mut found = list(pods, label).await?;
        found.sort_by_key(ResourceExt::name_any);
        let ready = found.iter().filter(|pod| is_ready(pod)).count();
        if ready == count && found.len() == count {
            return Ok(found);
        }
        Err(found.iter().map(told).collect::<Vec<_>>().join("; "))
    })
    .await
    .unwrap()
}

/// Waits until the only pod with a label has succeeded, and returns what its only container said.
pub(crate) async fn outcome(pods: &Api<Pod>, label: &str) -> String {
    let name = wait::until(&format!("the pod with {label} has ended"), async || {
        let found = list(pods, label).await?;
        let ended = found.iter().find(|pod| phase(pod) == "Succeeded" || phase(pod) == "Failed");
        ended
            .map(ResourceExt::name_any)
            .ok_or_else(|| found.iter().map(told).collect::<Vec<_>>().join("; "))
    })
    .await
    .unwrap();
    pods.logs(&name, &kube::api::LogParams::default()).await.unwrap()
}

/// The node on which it runs.
pub(crate) fn node(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("no node")
}

async fn list(pods: &Api<Pod>, label: &str) -> Result<Vec<Pod>, String> {
    let found = pods.list(&ListParams::default().labels(label)).await;
    found.map(|list| list.items).map_err(|error| error.to_string())
}

pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions
        .is_some_and(|all| all.iter().any(|each| each.type_ == "Ready" && each.status == "True"))
}

pub(crate) fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("no phase")
}

/// Why it may not be ready.
pub(crate) fn told(pod: &Pod) -> String {
    let mut reasons = Vec::new();
    if let Some(status) = &pod.status {
        for container in status.container_statuses.iter().flatten() {
            if let Some(state) = &container.state
                && let Some(waiting) = &state.waiting
            {
                reasons.push(format!("{}: {waiting:?}", container.name));
            }
        }
    }
    format!("{} on {}: {} {}", pod.name_any(), node(pod), phase(pod), reasons.join(", "))
}

/// How often the containers of a pod were started again.
pub(super) fn restarts(pod: &Pod) -> i32 {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    statuses.into_iter().flatten().map(|container| container.restart_count).sum()
}
