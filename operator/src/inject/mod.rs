//! Gives the pod of a service a Grape when it is created. Pure.
//!
//! | module | concern |
//! |---|---|
//! | [`selection`] | which cluster a pod asks for |
//! | [`annotations`] | how a pod configures its Grape |
//! | `ports` | the Grape's ports |
//! | `conflicts` | why a pod cannot have a Grape |
//! | `sidecar` | the Grape's container |
//! | `readiness` | what the Grape checks before it announces |
//! | `resources` | the Grape's resources |
//! | `patch` | what else changes in the pod |
//!
//! A pod is changed by a patch of single operations, and not by the difference between two
//! versions: the API server may know fields of pods that the types here do not, and those stay
//! unchanged.

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
    /// The cluster of a namespace and a name, if it exists and its spec is valid.
    pub clusters: &'a dyn Fn(&str, &str) -> Option<Arc<ValidatedCluster>>,
    /// All clusters that exist and whose specs are valid, with their namespaces and names.
    pub all: &'a dyn Fn() -> Vec<Named>,
    /// The image of Grapes if a cluster names none, as `REPOSITORY[:TAG][@DIGEST]`.
    pub grape_image: &'a str,
}

/// The verdict on a pod.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The pod is changed.
    Inject {
        /// The patch; it has at least one operation.
        patch: Patch,
        /// Warnings for its author.
        warnings: Vec<String>,
        /// [`Reason::Injected`] or [`Reason::Completed`].
        reason: Reason,
    },
    /// The pod stays as it is.
    Unchanged {
        /// [`Reason::NotAsked`], [`Reason::OptedOut`] or [`Reason::AlreadyInjected`].
        reason: Reason,
    },
    /// The pod stays without a Grape: its namespace asked for one, and the pod cannot have it.
    Skip {
        /// The cause.
        reason: Reason,
        /// The cause as a sentence, and what to do.
        message: String,
    },
    /// The pod is refused: it asked for a Grape itself, and cannot have it.
    Refuse {
        /// The cause.
        reason: Reason,
        /// The cause as a sentence, and what to do.
        message: String,
    },
}

impl Verdict {
    /// The verdict in a word, for metrics.
    pub fn result(&self) -> &'static str {
        match self {
            Self::Inject { .. } => "injected",
            Self::Unchanged { .. } => "unchanged",
            Self::Skip { .. } => "skipped",
            Self::Refuse { .. } => "refused",
        }
    }

    /// The cause.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Inject { reason, .. }
            | Self::Unchanged { reason }
            | Self::Skip { reason, .. }
            | Self::Refuse { reason, .. } => *reason,
        }
    }
}

/// The cause of a verdict. Part of the API: alerts use them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The pod gets its Grape.
    Injected,
    /// The pod had its Grape, and containers that others added since then get its address now.
    Completed,
    /// The pod had its Grape before.
    AlreadyInjected,
    /// Neither the pod nor its namespace asks for a Grape.
    NotAsked,
    /// The pod opts out.
    OptedOut,
    /// The pod is the mirror of a static pod, which cannot be changed.
    MirrorPod,
    /// There is no such cluster, or its spec is invalid.
    ClusterNotFound,
    /// The cluster does not admit pods of this namespace.
    NamespaceNotAllowed,
    /// The pod uses the network of its node.
    HostNetwork,
    /// The pod is for nodes with Windows.
    Windows,
    /// One of its containers has a port that its Grape needs.
    PortTaken,
    /// A setting of the pod keeps its Grape from listening at its port.
    PortForbidden,
    /// One of its containers has the Grape's name.
    NameTaken,
    /// A label is invalid.
    InvalidLabel,
    /// An annotation is invalid.
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
    /// The problem, after its place in the pod.
    problem: String,
    /// What to do.
    remedy: String,
}

impl Objection {
    fn new(reason: Reason, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { reason, problem: problem.into(), remedy: remedy.into() }
    }

    /// A pod that asks for a Grape itself and cannot have it is refused: its author sees why, and a
    /// ReplicaSet tries again. A pod whose namespace asks starts without one: otherwise one label
    /// would keep all pods of a namespace from starting.
    fn verdict(self, inherited: bool) -> Verdict {
        let Self { reason, problem, remedy } = self;
        if inherited {
            let message = format!(
                "the pod runs without a sidecar: {problem}; {remedy}, or label the pod {}={}",
                selection::INJECT,
                selection::DISABLED,
            );
            Verdict::Skip { reason, message }
        } else {
            Verdict::Refuse { reason, message: format!("{problem}; {remedy}") }
        }
    }
}

/// Decides about a pod that is being created.
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
        let message =
            "the pod runs without a sidecar: it is a static pod, which its node created from \
             a file; add a Grape to that file"
                .to_owned();
        return Verdict::Skip { reason, message };
    }
    let attempt = attempt(pod, spec, context, &selected);
    attempt.unwrap_or_else(|objection| objection.verdict(selected.inherited))
}

/// A pod with its Grape, to which another injector may have added containers.
fn complete(spec: &PodSpec) -> Verdict {
    let mut edit = Edit::default();
    // A Grape without its flag was not injected here, and its port is unknown.
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
            format!("the GrapeCluster {namespace}/{name} was not found, or its spec is invalid");
        let remedy = match suggestion::cluster(selected, context) {
            Some(suggestion) => format!("{suggestion} (label {})", selected.label()),
            None => format!("create it, or fix the label {}", selected.label()),
        };
        Objection::new(Reason::ClusterNotFound, problem, remedy)
    })?;
    let from = &cluster.injection.namespaces;
    if !from.allows(context.namespace, context.namespace_labels, namespace) {
        let problem = format!(
            "the GrapeCluster {namespace}/{name} does not allow pods of the namespace {:?}",
            context.namespace
        );
        let remedy = "allow it in spec.injection.namespaces of the GrapeCluster";
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
    // Last: the operations before it count the init containers without the Grape.
    patch::put_first(&mut edit, spec, &grape);
    Ok(Verdict::Inject { patch: edit.patch(), warnings, reason: Reason::Injected })
}

#[cfg(test)]
mod tests;
