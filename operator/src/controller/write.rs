//! The one write of a status.

use grape_cluster::{GrapeCluster, GrapeClusterStatus};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;

use super::error::Error;
use crate::api_client::MANAGER;

/// Replaces the status of a cluster.
///
/// # Errors
/// The API server cannot do it now. That the cluster is gone meanwhile is none.
pub async fn status(
    client: &Client,
    cluster: &GrapeCluster,
    status: &GrapeClusterStatus,
) -> Result<(), Error> {
    let namespace = cluster.namespace().unwrap_or_default();
    let api: Api<GrapeCluster> = Api::namespaced(client.clone(), &namespace);
    let patch = json!({
        "apiVersion": GrapeCluster::api_version(&()),
        "kind": GrapeCluster::kind(&()),
        // One of the same name that was made meanwhile is another.
        "metadata": {"uid": cluster.uid()},
        "status": status,
    });
    let force = PatchParams::apply(MANAGER).force();
    match api.patch_status(&cluster.name_any(), &force, &Patch::Apply(&patch)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(refusal)) if refusal.code == 404 => {
            tracing::debug!(cluster = cluster.name_any(), %refusal, "cluster deleted");
            Ok(())
        }
        // Also if a new cluster of that name was made meanwhile: the new one is reconciled next.
        Err(error) => {
            let object = format!("status of the GrapeCluster {}", cluster.name_any());
            Err(Error::failed("write", object)(error))
        }
    }
}
