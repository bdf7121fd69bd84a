//! A pod of a service as one of a cluster: whether it should have a Grape, by what the webhook would
//! say of it now. Pure.

use std::sync::Arc;

use grape_cluster::validate::ValidatedCluster;
use jiff::Timestamp;

use super::index::Labels;
use super::lack::Lack;
use super::pod::{ServicePod, SidecarState};
use super::reach::Reach;
use crate::inject::{self, Verdict};

/// A pod that is to have a Grape of a cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// The pod.
    pub pod: Arc<ServicePod>,
    /// Why one like it would not be made now, of a pod without its Grape.
    pub refused: Option<String>,
    /// Why it has no Grape, of a pod without.
    pub lack: Option<Lack>,
    /// Whether its Grape does not start, and is of another image than that of one that is made now.
    pub is_stuck: bool,
    /// Whether it has a Grape from when its namespace was let in, and one that is made now would not.
    pub is_left_out: bool,
}

/// The cluster that pods are to have a Grape of, and what else tells whether they should, and could.
pub struct Of<'a> {
    /// The cluster's namespace.
    pub namespace: &'a str,
    /// The cluster.
    pub cluster: &'a Arc<ValidatedCluster>,
    /// When it was made.
    pub made: Option<Timestamp>,
    /// The image where it names none.
    pub grape_image: &'a str,
    /// Which pods the webhook is asked about.
    pub reach: &'a Reach,
}

impl Member {
    /// A pod in a namespace with these labels, as one of a cluster; none of one that has no Grape and is
    /// to have none: the cluster is not for its namespace, or it cannot have what its namespace asks for.
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

    /// Whether its Grape is not there, and would be in a pod that is made in its place. One on its way
    /// out has no need of it.
    pub fn is_to_be_made_anew(&self) -> bool {
        (self.pod.sidecar().is_none() || self.is_stuck) && !self.pod.leaving
    }
}
