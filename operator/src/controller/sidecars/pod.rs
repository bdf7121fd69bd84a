//! What is kept of a service's pod: who it is, who made it, and how the Grape in it is. Pure.

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

/// A pod that is to have a Grape of a cluster. There may be tens of thousands of them, and all else
/// would only take memory.
#[derive(Debug, Clone, PartialEq)]
pub struct ServicePod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Which one of that name.
    pub uid: String,
    /// The cluster whose Grape it is to have.
    pub selected: SelectedCluster,
    /// Whether it got the label by which it asks when it was there already.
    pub labelled_later: bool,
    /// What makes it anew when it goes; none of a pod that somebody made by hand.
    pub maker: Option<Maker>,
    /// When it was made.
    pub made: Option<Timestamp>,
    /// On its way out.
    pub leaving: bool,
    /// Ready, and not on its way out.
    pub ready: bool,
    /// Its address, once it has one.
    pub ip: Option<IpAddr>,
    /// What it has for it.
    pub grape: SidecarState,
}

impl ServicePod {
    /// It, to be told of in an event.
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

/// What a pod has for a Grape.
#[derive(Debug, Clone, PartialEq)]
pub enum SidecarState {
    /// The one that the webhook put into it.
    Sidecar(Sidecar),
    /// None, and never will have: a pod gets it when it is made. Of the pod, what the webhook would
    /// decide by.
    None(Box<Pod>),
}

/// The Grape in a service's pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sidecar {
    /// Its image.
    pub image: String,
    /// Its image as the webhook asked for it, which others may have changed since; none of a pod from
    /// before that was noted.
    pub asked_image: Option<String>,
    /// Whether the pod itself names that image, whatever its cluster's is.
    pub is_own_image: bool,
    /// Whether it runs.
    pub ready: bool,
    /// The TCP port of its admin pages, as its container says.
    pub admin_port: Option<u16>,
    /// The UDP port of its DHT node, as its container says.
    pub dht_port: Option<u16>,
    /// Why it does not start; none if it may.
    pub failing: Option<String>,
}

impl Sidecar {
    /// Whether its image is another one than `image`, which its cluster wants: neither was that one
    /// asked for, nor is it there. What others made of it, as a webhook that knows a mirror, is theirs.
    pub fn is_outdated(&self, image: &str) -> bool {
        let is_asked = match &self.asked_image {
            Some(asked) => asked == image,
            None => image::is_copy(&self.image, image),
        };
        !self.is_own_image && !is_asked && self.image != image
    }
}

/// What makes a pod anew: its controller. It is told as `NAMESPACE/KIND NAME`.
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
    /// Whether it makes another pod for one that is evicted. A Job would count that as a failure, and
    /// its pod ends by itself; the pods of a node itself are not the API server's.
    pub fn replaces(&self) -> bool {
        !matches!(&*self.kind, "Job" | "Node")
    }

    /// It, for an event.
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
    /// What is kept of a pod in a namespace with these labels; none of one that is to have no Grape.
    pub fn of(mut pod: Pod, namespace_labels: &BTreeMap<String, String>) -> Option<Self> {
        let namespace = pod.namespace()?;
        // A label that cannot be read was refused, or names no cluster that could be told of it.
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

    /// Its name with its namespace, as it is told.
    pub fn title(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The Grape in it.
    pub fn sidecar(&self) -> Option<&Sidecar> {
        match &self.grape {
            SidecarState::Sidecar(sidecar) => Some(sidecar),
            SidecarState::None(_) => None,
        }
    }
}

/// Whether nobody who made the pod, and so has its containers, set the label by which it asks. Where
/// nothing tells who set it, it was there from the beginning.
fn is_labelled_later(pod: &Pod) -> bool {
    let label = format!("f:{}", labels::CLUSTER);
    let label = ["f:metadata", "f:labels", &label];
    let has =
        |of: &Value, path: &[&str]| path.iter().try_fold(of, |of, step| of.get(step)).is_some();
    let managers = pod.managed_fields().iter().filter_map(|it| it.fields_v1.as_ref());
    let mut setters = managers.filter(|of| has(&of.0, &label)).peekable();
    setters.peek().is_some() && !setters.any(|of| has(&of.0, &["f:spec", "f:containers"]))
}

/// The Grape in a pod that the webhook has put one into.
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
    Some(Sidecar {
        image: grape.image.clone().unwrap_or_default(),
        asked_image: pod.annotations().get(INJECTED_IMAGE).cloned(),
        is_own_image: pod.annotations().contains_key(IMAGE),
        ready: status.is_some_and(|status| status.ready) && !leaving,
        // As long as it does not run, however long ago it ended. Where the others have ended, such as
        // those of a Job, it ends too.
        failing: status
            .filter(|status| !status.ready && !leaving && keeps_trying(status))
            .and_then(|status| Some(failing::container(status, true)?.to_string())),
        admin_port: grapes::port(grape, ADMIN),
        dht_port: grapes::port(grape, DHT),
    })
}

/// Whether a node is about to start a container, which it may have done before.
fn keeps_trying(status: &ContainerStatus) -> bool {
    let waits = status.state.as_ref().is_some_and(|state| state.waiting.is_some());
    waits || status.restart_count >= 2
}

/// Leaves of a pod what [`inject`](inject::inject) looks at.
fn trim(pod: &mut Pod) {
    let metadata = std::mem::take(&mut pod.metadata);
    pod.metadata = ObjectMeta {
        name: metadata.name,
        namespace: metadata.namespace,
        labels: metadata.labels,
        annotations: metadata.annotations,
        ..ObjectMeta::default()
    };
    // What kubectl keeps there may be as long as the pod.
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
