//! Stage 1: a stored GrapeCluster to one that can run, and the objects that it needs.

use std::borrow::Cow;
use std::sync::Arc;

use grape_cluster::GrapeCluster;
use grape_cluster::image;
use grape_cluster::validate::{Invalid, ValidatedCluster, validate};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};

use super::Reconciler;
use crate::desired::{BuildContext, Desired, desired};
use crate::informers::stored::Stored;

/// A cluster that can run.
pub(super) struct Subject<'a> {
    /// The cluster, with the status that was written last.
    pub(super) cluster: Cow<'a, GrapeCluster>,
    /// Its validated spec.
    pub(super) valid: Arc<ValidatedCluster>,
    /// Its namespace.
    pub(super) namespace: String,
    /// The cluster as the owner of its objects.
    pub(super) owner: OwnerReference,
    /// The image of its Grapes.
    pub(super) image: String,
    /// The image of sidecars, unless a rollout has reached all Grapes.
    pub(super) sidecar_image: String,
    /// The objects that it needs.
    pub(super) desired: Desired,
}

/// The result of validation.
pub(super) enum Validated<'a> {
    /// The cluster can run.
    Runnable(Box<Subject<'a>>),
    /// The spec cannot be used.
    Invalid {
        /// The cluster.
        cluster: Box<Cow<'a, GrapeCluster>>,
        /// What is wrong with its spec.
        problems: Vec<Invalid>,
    },
    /// An older schema accepted something that cannot be read: why.
    Unreadable(&'a str),
    /// The cluster is being deleted: Kubernetes deletes its objects.
    Leaving,
}

impl Reconciler {
    /// Validates a cluster.
    pub(super) fn validate<'a>(&self, stored: &'a Stored) -> Validated<'a> {
        if stored.meta().deletion_timestamp.is_some() {
            return Validated::Leaving;
        }
        let cluster = match stored.cluster() {
            Ok(cluster) => self.states.caught_up(cluster),
            Err(why) => return Validated::Unreadable(why),
        };
        let (Some(namespace), Some(owner)) =
            (cluster.namespace(), cluster.controller_owner_ref(&()))
        else {
            return Validated::Leaving;
        };
        let valid = match &cluster {
            Cow::Borrowed(_) => stored.validated().cloned().map_err(<[_]>::to_vec),
            // The status says which image sidecars get.
            Cow::Owned(cluster) => validate(cluster).map(Arc::new),
        };
        let valid = match valid {
            Ok(valid) => valid,
            Err(problems) => return Validated::Invalid { cluster: Box::new(cluster), problems },
        };
        // A deletion in the foreground waits for the objects.
        let owner = OwnerReference { block_owner_deletion: Some(true), ..owner };
        let grape_image = &self.config.grape_image;
        let context = BuildContext {
            namespace: namespace.clone(),
            owner: owner.clone(),
            grape_image: grape_image.clone(),
            operator_namespace: self.namespace.clone(),
        };
        Validated::Runnable(Box::new(Subject {
            image: image::resolve(&valid.image, grape_image),
            sidecar_image: valid.sidecar_image(grape_image),
            desired: desired(&valid, &context),
            cluster,
            valid,
            namespace,
            owner,
        }))
    }
}
