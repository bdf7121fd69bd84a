//! What the pod of a service gets when it is made: a Grape of its own. Pure.
//!
//! | module | concern |
//! |---|---|
//! | [`selection`] | which cluster a pod asks for |
//! | [`annotations`] | what a pod says of its Grape |
//! | `ports` | where the Grape listens |
//! | `conflicts` | what of a pod is against a Grape in it |
//! | `sidecar` | the Grape's container |
//! | `readiness` | when the services of a pod are ready |
//! | `resources` | what the Grape has of the node |
//! | `patch` | what else changes in the pod |
//!
//! A pod is changed by a patch of single operations, and not by a comparison of what was with what
//! is to be: the API server may know fields of pods that the types here do not, and they stay as
//! they are.

pub mod annotations;
mod conflicts;
mod patch;
mod ports;
mod readiness;
mod resources;
pub mod selection;
mod sidecar;
mod suggestion;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use grape_cluster::validate::ValidatedCluster;
use json_patch::Patch;
use k8s_openapi::api::core::v1::{Pod, PodSpec};

use crate::desired::names;
use patch::Edit;
use selection::{SelectedCluster, Selection};

pub use patch::GRAPE_URL;
pub use sidecar::{is_grape, is_injected};

/// A cluster, with its namespace and its name.
pub type Named = ((String, String), Arc<ValidatedCluster>);

/// What is known beside the pod.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The namespace of the pod, which its own metadata may leave out.
    pub namespace: &'a str,
    /// The labels of that namespace.
    pub namespace_labels: &'a BTreeMap<String, String>,
    /// The cluster of a namespace and a name, if it is there and its spec can be used.
    pub clusters: &'a dyn Fn(&str, &str) -> Option<Arc<ValidatedCluster>>,
    /// All clusters that are there and whose specs can be used, with their namespaces and names.
    pub all: &'a dyn Fn() -> Vec<Named>,
    /// The image of Grapes where a cluster names none, as `REPOSITORY[:TAG][@DIGEST]`.
    pub grape_image: &'a str,
}

/// What becomes of a pod.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It is changed.
    Inject {
        /// How; it has at least one operation.
        patch: Patch,
        /// What its author should know.
        warnings: Vec<String>,
        /// [`Reason::Injected`] or [`Reason::Completed`].
        reason: Reason,
    },
    /// It is as it should be.
    Unchanged {
        /// [`Reason::NotAsked`], [`Reason::OptedOut`] or [`Reason::AlreadyInjected`].
        reason: Reason,
    },
    /// It runs without a Grape, which its namespace asked for and it cannot have.
    Skip {
        /// Why.
        reason: Reason,
        /// The same as a sentence, and what to do.
        message: String,
    },
    /// It is not made: it asked for a Grape itself and cannot have it.
    Refuse {
        /// Why.
        reason: Reason,
        /// The same as a sentence, and what to do.
        message: String,
    },
}

impl Verdict {
    /// What became of the pod, in a word for metrics.
    pub fn result(&self) -> &'static str {
        match self {
            Self::Inject { .. } => "injected",
            Self::Unchanged { .. } => "unchanged",
            Self::Skip { .. } => "skipped",
            Self::Refuse { .. } => "refused",
        }
    }

    /// Why.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Inject { reason, .. }
            | Self::Unchanged { reason }
            | Self::Skip { reason, .. }
            | Self::Refuse { reason, .. } => *reason,
        }
    }
}

/// Why a pod became what it became. Part of the API: alerts look for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It has its Grape.
    Injected,
    /// It had its Grape, and containers that others added since then know of it now.
    Completed,
    /// It had its Grape before.
    AlreadyInjected,
    /// Neither it nor its namespace asks for one.
    NotAsked,
    /// It wants none.
    OptedOut,
    /// It is the mirror of a static pod, which its node runs from a file and which cannot be
    /// changed here.
    MirrorPod,
    /// There is no such cluster, or its spec cannot be used.
    ClusterNotFound,
    /// The cluster is not for pods of this namespace.
    NamespaceNotAllowed,
    /// It has the network of its node.
    HostNetwork,
    /// It is for nodes with Windows.
    Windows,
    /// One of its containers has a port that its Grape needs.
    PortTaken,
    /// A setting of its own keeps its Grape from listening at its port.
    PortForbidden,
    /// One of its containers is called as its Grape is.
    NameTaken,
    /// A label cannot be read.
    InvalidLabel,
    /// An annotation cannot be read.
    InvalidAnnotation,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Why a pod cannot have its Grape.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Objection {
    reason: Reason,
    /// What is wrong, after its place in the pod.
    problem: String,
    /// What to do.
    remedy: String,
}

impl Objection {
    fn new(reason: Reason, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { reason, problem: problem.into(), remedy: remedy.into() }
    }

    /// If the pod itself asks for a Grape that it cannot have, the pod is refused: its creator gets
    /// the error, and a ReplicaSet tries again. If only its namespace asks, the pod is created
    /// without a Grape: otherwise one label would keep all pods of a namespace from being created.
    fn verdict(self, inherited: bool) -> Verdict {
        let Self { reason, problem, remedy } = self;
        if inherited {
            let message = format!(
                "the pod runs without a Grape: {problem}; {remedy}, or label the pod {}={}",
                selection::INJECT,
                selection::DISABLED,
            );
            Verdict::Skip { reason, message }
        } else {
            Verdict::Refuse { reason, message: format!("{problem}; {remedy}") }
        }
    }
}

/// Decides about a pod that is to be made.
pub fn inject(pod: &Pod, context: &Context<'_>) -> Verdict {
    let selected = match selection::of(&pod.metadata, context.namespace, context.namespace_labels) {
        Ok(Selection::Cluster(selected)) => selected,
        Ok(Selection::Nothing) => return Verdict::Unchanged { reason: Reason::NotAsked },
        Ok(Selection::OptedOut) => return Verdict::Unchanged { reason: Reason::OptedOut },
        Err(invalid) => {
            let selection::InvalidLabel { problem, remedy, inherited } = invalid;
            return Objection::new(Reason::InvalidLabel, problem, remedy).verdict(inherited);
        }
    };
    let Some(spec) = &pod.spec else {
        return Verdict::Unchanged { reason: Reason::NotAsked };
    };
    if is_injected(pod) {
        return complete(spec);
    }
    if conflicts::is_mirror(pod) {
        let reason = Reason::MirrorPod;
        let message = "the pod runs without a Grape: its node has made it from a file already; \
             write the Grape into that file"
            .to_owned();
        return Verdict::Skip { reason, message };
    }
    let attempt = attempt(pod, spec, context, &selected);
    attempt.unwrap_or_else(|objection| objection.verdict(selected.inherited))
}

/// A pod with its Grape, which another injector may have added containers to.
fn complete(spec: &PodSpec) -> Verdict {
    let mut edit = Edit::default();
    // A Grape without its flag is none that was made here, and its port is not known.
    if let Some(port) = sidecar::api_port(spec) {
        patch::tell(&mut edit, spec, port);
    }
    let patch = edit.patch();
    if patch.is_empty() {
        return Verdict::Unchanged { reason: Reason::AlreadyInjected };
    }
    Verdict::Inject { patch, warnings: Vec::new(), reason: Reason::Completed }
}

fn attempt(
    pod: &Pod,
    spec: &PodSpec,
    context: &Context<'_>,
    selected: &SelectedCluster,
) -> Result<Verdict, Objection> {
    let SelectedCluster { namespace, name, .. } = selected;
    let cluster = (context.clusters)(namespace, name).ok_or_else(|| {
        let problem =
            format!("there is no GrapeCluster {name:?} that works in the namespace {namespace:?}");
        let remedy = match suggestion::cluster(selected, context) {
            Some(suggestion) => format!("{suggestion} (label {})", selected.label()),
            None => format!("make it, or correct the label {}", selected.label()),
        };
        Objection::new(Reason::ClusterNotFound, problem, remedy)
    })?;
    let from = &cluster.injection.namespaces;
    if !from.allows(context.namespace, context.namespace_labels, namespace) {
        let problem = format!(
            "the GrapeCluster {namespace}/{name} is not for pods of the namespace {:?}",
            context.namespace
        );
        let remedy = "let it in by spec.injection.namespaces of the GrapeCluster";
        return Err(Objection::new(Reason::NamespaceNotAllowed, problem, remedy));
    }
    let annotations::Read { own, mut warnings } = annotations::read(&pod.metadata)?;
    let ports = ports::of(&cluster, &own)?;
    conflicts::check(spec, ports, &format!("{namespace}/{name}"), &own)?;
    let resources = resources::of(spec, &cluster.injection, &own)?;
    let making = sidecar::Making { selected, own: &own, ports, grape_image: context.grape_image };
    let grape = sidecar::build(spec, &cluster, &making, resources);
    warnings.extend(conflicts::warning(spec, &names::host(name, namespace)));
    let mut edit = Edit::default();
    patch::mark(&mut edit, pod, selected, grape.image.as_deref().unwrap_or_default());
    patch::ports(&mut edit, spec, making.ports);
    patch::pull(&mut edit, spec, &cluster, context.namespace == *namespace);
    patch::drain(&mut edit, spec, &own);
    patch::tell(&mut edit, spec, cluster.api.port);
    // Last: the operations before it count the init containers without it.
    patch::put_first(&mut edit, spec, &grape);
    Ok(Verdict::Inject { patch: edit.patch(), warnings, reason: Reason::Injected })
}

#[cfg(test)]
mod tests;
