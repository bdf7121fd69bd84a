//! A pod of a service as one of a cluster: whether it should have a Grape, by what the webhook would
//! say of it now. Pure.

use std::sync::Arc;

use super::pod::{Grape, ServicePod};
use super::roster::Labels;
use crate::inject::{self, Asked, Verdict};
use crate::validate::ValidatedCluster;

/// A pod that is to have a Grape of a cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// The pod.
    pub pod: Arc<ServicePod>,
    /// Why one like it would not be made now, of a pod without its Grape.
    pub refused: Option<String>,
}

impl Member {
    /// A pod in a namespace with these labels, as one of `cluster` in the namespace `own`; none of one
    /// that is not to have its Grape: the cluster is not for its namespace, or the webhook leaves it
    /// out. `grape_image` is the image where a cluster names none.
    pub fn of(
        pod: Arc<ServicePod>,
        labels: &Labels,
        (own, cluster): (&str, &Arc<ValidatedCluster>),
        grape_image: &str,
    ) -> Option<Self> {
        if !cluster.injection.namespaces.allows(&pod.namespace, labels, own) {
            return None;
        }
        let refused = match &pod.grape {
            Grape::Sidecar(_) => None,
            Grape::None(bare) => {
                let asked = Asked {
                    namespace: &pod.namespace,
                    namespace_labels: labels,
                    clusters: &|_, _| Some(Arc::clone(cluster)),
                    grape_image,
                };
                match inject::inject(bare, &asked) {
                    Verdict::Skip { .. } => return None,
                    Verdict::Refuse { message, .. } => Some(message),
                    Verdict::Inject { .. } | Verdict::Unchanged { .. } => None,
                }
            }
        };
        Some(Self { pod, refused })
    }

    /// Whether it runs without its Grape. One on its way out has no need of it.
    pub fn is_without_grape(&self) -> bool {
        self.pod.sidecar().is_none() && !self.pod.leaving
    }
}
