//! Tries one pod without its Grape, or with one that does not start, and evicts it.
//!
//! A pod is evicted only while the webhook changes pods like it: the API server is asked to create
//! one like it, as a dry run. That passes the webhook and everything else that may refuse a pod,
//! and so shows whether the pod would come back with its Grape, without it, or not at all.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::Eviction;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, Preconditions};
use kube::api::PostParams;
use kube::core::{ObjectMeta, Status};
use kube::{Api, Client, ResourceExt};
use tracing::{info, warn};

use super::lack::Lack;
use super::pod::ServicePod;
use super::repair::Tried;
use crate::api_client::MANAGER;
use crate::controller::words;
use crate::desired::labels;
use crate::inject;

/// Most characters that are kept of the API server's message.
const MAX_EXCERPT: usize = 200;

/// Evicts a pod if its successor would have its Grape. `lack` is why the pod has none now. `client`
/// repeats no request: a refusal by a PodDisruptionBudget is an answer.
pub async fn try_evict(client: &Client, pod: &ServicePod, lack: Option<Lack>) -> Tried {
    let title = pod.title();
    let tried = evict(client, pod, lack).await.unwrap_or_else(|error| match error {
        kube::Error::Api(refusal) if matches!(refusal.code, 404 | 409) => Tried::Gone,
        kube::Error::Api(refusal) if refusal.code == 429 => Tried::Forbidden,
        error => Tried::Aside(format!("cannot be evicted: {}", excerpt(&error))),
    });
    match &tried {
        Tried::Evicted => {
            info!(pod = title, "evicted the pod, which its controller recreates with a sidecar")
        }
        Tried::Gone => {}
        Tried::Forbidden => info!(pod = title, "its PodDisruptionBudget forbids its eviction"),
        Tried::Aside(why) => warn!(pod = title, why, "not evicted"),
    }
    tried
}

async fn evict(client: &Client, pod: &ServicePod, lack: Option<Lack>) -> kube::Result<Tried> {
    let api: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace);
    let there = api.get(&pod.name).await?;
    if there.uid().as_deref() != Some(&pod.uid) || there.metadata.deletion_timestamp.is_some() {
        return Ok(Tried::Gone);
    }
    let dry = PostParams { dry_run: true, field_manager: Some(MANAGER.to_owned()) };
    match api.create(&dry, &like(there)).await {
        Ok(made) if inject::is_injected(&made) => {}
        Ok(_) => {
            let why = match lack.filter(|lack| lack.is_lasting()) {
                Some(lack) => lack.explanation(),
                None => "the webhook does not answer for it".to_owned(),
            };
            return Ok(Tried::Aside(format!("(a new pod would get no sidecar either: {why})")));
        }
        Err(error) => {
            let why = format!("(a new pod would be refused: {})", excerpt(&error));
            return Ok(Tried::Aside(why));
        }
    }
    let eviction = Eviction {
        metadata: ObjectMeta {
            name: Some(pod.name.clone()),
            namespace: Some(pod.namespace.clone()),
            ..ObjectMeta::default()
        },
        delete_options: Some(DeleteOptions {
            preconditions: Some(Preconditions {
                uid: Some(pod.uid.clone()),
                resource_version: None,
            }),
            ..DeleteOptions::default()
        }),
    };
    let params = PostParams::default();
    let _: Status = api.create_subresource("eviction", &pod.name, &params, &eviction).await?;
    Ok(Tried::Evicted)
}

/// The pod as its controller would create its successor, as far as the pod itself shows: under
/// another name, and without the fields that the pod got after its creation.
fn like(pod: Pod) -> Pod {
    let mut metadata = ObjectMeta {
        // Always the same name, because the API server's message, and so the status, contains it.
        name: Some(format!("{}-dry-run", pod.name_any())),
        namespace: pod.metadata.namespace,
        labels: pod.metadata.labels,
        annotations: pod.metadata.annotations,
        owner_references: pod.metadata.owner_references,
        ..ObjectMeta::default()
    };
    for owner in metadata.owner_references.iter_mut().flatten() {
        // Blocking the owner's deletion would take a right of its own.
        owner.block_owner_deletion = None;
    }
    if let Some(labels) = &mut metadata.labels {
        labels.remove(labels::SIDECAR);
    }
    let spec = pod.spec.map(|mut spec| {
        if let Some(containers) = &mut spec.init_containers {
            containers.retain(|container| !inject::is_grape(container));
        }
        spec.node_name = None;
        spec.ephemeral_containers = None;
        spec
    });
    Pod { metadata, spec, status: None }
}

/// The API server's message, within bounds.
fn excerpt(error: &kube::Error) -> String {
    let text = match error {
        kube::Error::Api(refusal) => refusal.message.clone(),
        other => other.to_string(),
    };
    words::line(&text, MAX_EXCERPT)
}
