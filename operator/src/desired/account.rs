//! The ServiceAccount of a cluster's pods.

use grape_cluster::validate::ValidatedCluster;
use k8s_openapi::api::core::v1::ServiceAccount;

use super::{BuildContext, labels, metadata};

/// An account that may do nothing and has no token: Grapes do not call the API server.
pub(super) fn build(cluster: &ValidatedCluster, context: &BuildContext) -> ServiceAccount {
    ServiceAccount {
        automount_service_account_token: Some(false),
        metadata: metadata(&cluster.name, labels::of_cluster(&cluster.name), context),
        ..ServiceAccount::default()
    }
}
