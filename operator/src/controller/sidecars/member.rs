//! A pod of a service as a member of a cluster: whether it should have a Grape, by what the webhook
//! would decide now. Pure.

use std::sync::Arc;

use grape_cluster::validate::ValidatedCluster;
use jiff::Timestamp;

use super::index::Labels;
use super::lack::Lack;
use super::pod::{ServicePod, SidecarState};
use super::reach::Reach;
use crate::inject::{self, Verdict};

/// A pod that should have a Grape of a cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// The pod.
    pub pod: Arc<ServicePod>,
    /// Why a pod without its Grape would be refused as a new pod.
    pub refused: Option<String>,
    /// Why the pod has no Grape; none of a pod with one.
    pub lack: Option<Lack>,
    /// Whether its Grape does not start, and has another image than a new pod would get.
    pub is_stuck: bool,
    /// Whether it has a Grape from when its namespace was admitted, which it is no more.
    pub is_left_out: bool,
}

/// The cluster whose Grape pods should have, and what else decides whether they should.
pub struct Of<'a> {
    /// The cluster's namespace.
    pub namespace: &'a str,
    /// The cluster.
    pub cluster: &'a Arc<ValidatedCluster>,
    /// When the cluster was created.
    pub made: Option<Timestamp>,
    /// The image if the cluster names none.
    pub grape_image: &'a str,
    /// Which pods API servers send to the webhook.
    pub reach: &'a Reach,
}

impl Member {
    /// A pod in a namespace with these labels as a member of a cluster; none if the pod neither has
    /// a Grape nor should have one, because the cluster does not admit its namespace, or because
    /// the pod cannot have what its namespace asks for.
    pub fn of(pod: Arc<ServicePod>, labels: &Labels, of: &Of<'_>) -> Option<Self> {
        let Of { namespace, cluster, made, grape_image, reach } = *of;
        let is_left_out = !cluster.injection.namespaces.allows(&pod.namespace, labels, namespace);
        if is_left_out && pod.sidecar().is_none() {
            return None;
        }
        let (refused, lack) = match &pod.grape {
            SidecarState::Sidecar(_) => (None, None),
            SidecarState::None(bare) => {
                let context = inject::Context {
                    namespace: &pod.namespace,
                    namespace_labels: labels,
                    clusters: &|_, _| Some(Arc::clone(cluster)),
                    all: &Vec::new,
                    grape_image,
                };
                let refused = match inject::inject(bare, &context) {
                    Verdict::Skip { .. } => return None,
                    Verdict::Refuse { message, .. } => Some(message),
                    Verdict::Inject { .. } | Verdict::Unchanged { .. } => None,
                };
                let own = bare.metadata.labels.clone().unwrap_or_default();
                let coverage = reach.about(&pod.namespace, labels, &own);
                (refused, Some(Lack::of(&pod, coverage, made)))
            }
        };
        let is_stuck = pod.sidecar().is_some_and(|grape| {
            grape.failing.is_some() && grape.is_outdated(&cluster.sidecar_image(grape_image))
        });
        Some(Self { pod, refused, lack, is_stuck: is_stuck && !is_left_out, is_left_out })
    }

    /// Whether the pod lacks its Grape and its successor would have one. A terminating pod needs
    /// none.
    pub fn is_to_be_made_anew(&self) -> bool {
        (self.pod.sidecar().is_none() || self.is_stuck) && !self.pod.leaving
    }
}
