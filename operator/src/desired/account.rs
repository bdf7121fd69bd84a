//! The ServiceAccount of a cluster's pods.

use k8s_openapi::api::core::v1::ServiceAccount;

use super::{Surroundings, labels, metadata};
use crate::validate::ValidatedCluster;

/// An account that may do nothing and has no token: Grapes do not call the API server.
pub(super) fn build(cluster: &ValidatedCluster, around: &Surroundings) -> ServiceAccount {
    ServiceAccount {
        automount_service_account_token: Some(false),
        metadata: metadata(&cluster.name, labels::of_cluster(&cluster.name), around),
        ..ServiceAccount::default()
    }
}
