//! The part of a service's pod that is kept: who it is, who made it, and the state of its Grape.
//! Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use grape_cluster::image;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerStatus, ObjectReference, Pod, PodSpec, Probe,
};
use kube::ResourceExt;
use kube::core::ObjectMeta;
use serde_json::Value;

use crate::controller::{failing, grapes};
use crate::desired::container::{ADMIN, CONTAINER, DHT};
use crate::desired::labels;
use crate::inject;
use crate::inject::annotations::{IMAGE, INJECTED_IMAGE};
use crate::inject::selection::{self, SelectedCluster, Selection};

/// A pod that should have a Grape of a cluster. There may be tens of thousands, so nothing else of
/// them is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct ServicePod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The cluster whose Grape it should have.
    pub selected: SelectedCluster,
    /// Whether it got the label that asks for a Grape after its creation.
    pub labelled_later: bool,
    /// The controller that recreates it; none of a bare pod.
    pub maker: Option<Maker>,
    /// When it was created.
    pub made: Option<Timestamp>,
    /// Whether it terminates.
    pub leaving: bool,
    /// Whether it is ready and does not terminate.
    pub ready: bool,
    /// Its address, once it has one.
    pub ip: Option<IpAddr>,
    /// Its Grape, or what it has instead.
    pub grape: SidecarState,
}

impl ServicePod {
    /// The pod as the object of an event.
    pub fn reference(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            namespace: Some(self.namespace.clone()),
            name: Some(self.name.clone()),
            uid: Some(self.uid.clone()),
            ..ObjectReference::default()
        }
    }
}

/// The Grape of a pod, or none.
#[derive(Debug, Clone, PartialEq)]
pub enum SidecarState {
    /// The Grape that the webhook injected.
    Sidecar(Sidecar),
    /// No Grape, for the pod's whole life: pods get it at creation. The part of the pod by which
    /// the webhook would decide.
    None(Box<Pod>),
}

/// The Grape in a service's pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sidecar {
    /// Its image.
    pub image: String,
    /// The image that the webhook injected, which others may have changed since; none of a pod from
    /// before this was recorded.
    pub asked_image: Option<String>,
    /// Whether the pod itself names the image, independent of its cluster.
    pub is_own_image: bool,
    /// Whether it runs.
    pub ready: bool,
    /// The TCP port of its admin pages, as its container says.
    pub admin_port: Option<u16>,
    /// The UDP port of its DHT node, as its container says.
    pub dht_port: Option<u16>,
    /// Why it does not start; none if it may start yet.
    pub failing: Option<String>,
}

impl Sidecar {
    /// Whether its image is neither `image`, which its cluster wants, nor was injected as that one.
    /// Others may change the image afterwards, as a webhook for a registry mirror does.
    pub fn is_outdated(&self, image: &str) -> bool {
        let is_asked = match &self.asked_image {
            Some(asked) => asked == image,
            None => image::is_copy(&self.image, image),
        };
        !self.is_own_image && !is_asked && self.image != image
    }
}

/// The controller that recreates a pod. Its text is `NAMESPACE/KIND NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Maker {
    namespace: String,
    kind: String,
    name: String,
}

impl fmt::Display for Maker {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}/{} {}", self.namespace, self.kind, self.name)
    }
}

impl Maker {
    /// Whether it replaces an evicted pod. A Job counts an eviction as a failure, and its pod ends
    /// by itself; kubelet's own static pods are not the API server's.
    pub fn replaces(&self) -> bool {
        !matches!(&*self.kind, "Job" | "Node")
    }

    /// The controller as the object of an event.
    pub fn reference(&self) -> ObjectReference {
        ObjectReference {
            kind: Some(self.kind.clone()),
            namespace: Some(self.namespace.clone()),
            name: Some(self.name.clone()),
            ..ObjectReference::default()
        }
    }
}

impl ServicePod {
    /// The part that is kept of a pod in a namespace with these labels; none of a pod that should
    /// have no Grape.
    pub fn of(mut pod: Pod, namespace_labels: &BTreeMap<String, String>) -> Option<Self> {
        let namespace = pod.namespace()?;
        // An unreadable label was refused, or names no cluster that could report it.
        let Ok(Selection::Cluster(selected)) =
            selection::of(&pod.metadata, &namespace, namespace_labels)
        else {
            return None;
        };
        let maker = pod.owner_references().iter().find(|by| by.controller == Some(true));
        let maker = maker.map(|by| Maker {
            namespace: namespace.clone(),
            kind: by.kind.clone(),
            name: by.name.clone(),
        });
        let status = pod.status.as_ref();
        Some(Self {
            maker,
            name: pod.name_any(),
            uid: pod.uid().unwrap_or_default(),
            labelled_later: !selected.inherited && is_labelled_later(&pod),
            selected,
            made: pod.creation_timestamp().map(|time| time.0),
            leaving: pod.metadata.deletion_timestamp.is_some(),
            ready: grapes::is_ready(&pod),
            ip: status.and_then(|status| status.pod_ip.as_deref()?.parse().ok()),
            grape: match sidecar(&pod) {
                Some(sidecar) => SidecarState::Sidecar(sidecar),
                None => {
                    trim(&mut pod);
                    SidecarState::None(Box::new(pod))
                }
            },
            namespace,
        })
    }

    /// The pod as `NAMESPACE/NAME`.
    pub fn title(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The pod's Grape.
    pub fn sidecar(&self) -> Option<&Sidecar> {
        match &self.grape {
            SidecarState::Sidecar(sidecar) => Some(sidecar),
            SidecarState::None(_) => None,
        }
    }
}

/// Whether the label that asks for a Grape was set by somebody other than the author of the pod's
/// containers. If the managed fields do not show that, the label was there from the start.
fn is_labelled_later(pod: &Pod) -> bool {
    let label = format!("f:{}", labels::CLUSTER);
    let label = ["f:metadata", "f:labels", &label];
    let has =
        |of: &Value, path: &[&str]| path.iter().try_fold(of, |of, step| of.get(step)).is_some();
    let managers = pod.managed_fields().iter().filter_map(|it| it.fields_v1.as_ref());
    let mut setters = managers.filter(|of| has(&of.0, &label)).peekable();
    setters.peek().is_some() && !setters.any(|of| has(&of.0, &["f:spec", "f:containers"]))
}

/// The Grape of a pod that the webhook injected.
fn sidecar(pod: &Pod) -> Option<Sidecar> {
    if !inject::is_injected(pod) {
        return None;
    }
    let mut containers = pod.spec.as_ref()?.init_containers.iter().flatten();
    let grape = containers.find(|it| it.name == CONTAINER)?;
    let mut statuses =
        pod.status.iter().filter_map(|it| it.init_container_statuses.as_ref()).flatten();
    let status = statuses.find(|it| it.name == CONTAINER);
    let leaving = pod.metadata.deletion_timestamp.is_some();
    // The Secrets of a cluster are in its namespace alone.
    let secrets = format!(
        "the registry wants a login: imagePullSecrets of the pod, or of its ServiceAccount, need a Secret \
         of the namespace {} that may pull the image",
        pod.namespace().unwrap_or_default()
    );
    Some(Sidecar {
        image: grape.image.clone().unwrap_or_default(),
        asked_image: pod.annotations().get(INJECTED_IMAGE).cloned(),
        is_own_image: pod.annotations().contains_key(IMAGE),
        ready: status.is_some_and(|status| status.ready) && !leaving,
        // As long as it does not run, however long ago it ended. After the other containers have
        // ended, as in a Job, the Grape ends too.
        failing: status
            .filter(|status| !status.ready && !leaving && keeps_trying(status))
            .and_then(|status| Some(failing::container(status, true, &secrets)?.to_string())),
        admin_port: grapes::port(grape, ADMIN),
        dht_port: grapes::port(grape, DHT),
    })
}

/// Whether kubelet is about to start a container, which may have run before.
fn keeps_trying(status: &ContainerStatus) -> bool {
    let waits = status.state.as_ref().is_some_and(|state| state.waiting.is_some());
    waits || status.restart_count >= 2
}

/// Reduces a pod to what [`inject`](inject::inject) reads.
fn trim(pod: &mut Pod) {
    let metadata = std::mem::take(&mut pod.metadata);
    pod.metadata = ObjectMeta {
        name: metadata.name,
        namespace: metadata.namespace,
        labels: metadata.labels,
        annotations: metadata.annotations,
        ..ObjectMeta::default()
    };
    // kubectl's copy in there may be as long as the pod.
    if let Some(annotations) = &mut pod.metadata.annotations {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    pod.status = None;
    pod.spec = pod.spec.take().map(|spec| {
        let trimmed = |all: Vec<Container>| all.into_iter().map(trim_container).collect();
        PodSpec {
            containers: trimmed(spec.containers),
            init_containers: spec.init_containers.map(trimmed),
            host_network: spec.host_network,
            node_selector: spec.node_selector,
            os: spec.os,
            restart_policy: spec.restart_policy,
            resources: spec.resources,
            ..PodSpec::default()
        }
    });
}

fn trim_container(container: Container) -> Container {
    let probe = container.readiness_probe.map(|probe| Probe {
        http_get: probe.http_get,
        tcp_socket: probe.tcp_socket,
        ..Probe::default()
    });
    Container {
        name: container.name,
        ports: container.ports,
        resources: container.resources,
        restart_policy: container.restart_policy,
        readiness_probe: probe,
        ..Container::default()
    }
}

#[cfg(test)]
mod tests;
