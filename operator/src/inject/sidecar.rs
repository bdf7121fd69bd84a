//! The Grape's container, as a native sidecar: an init container that goes on running.

use grape_cluster::image;
use grape_cluster::validate::ValidatedCluster;
use k8s_openapi::api::core::v1::{
    Container, EnvVar, ExecAction, Lifecycle, LifecycleHandler, Pod, PodSpec, ResourceRequirements,
    SeccompProfile, SecurityContext,
};

use super::annotations::Annotations;
use super::patch::{GRAPE_URL, url};
use super::readiness;
use super::selection::SelectedCluster;
use crate::desired::container::{API, CONTAINER};
use crate::desired::grape::{self, Ports};
use crate::desired::labels;

/// What makes an init container a sidecar, and a pod's containers restart.
const ALWAYS: &str = "Always";
/// The user and group of the image, as a number.
const NOBODY: i64 = 65532;

/// Whether a pod has an injected Grape.
pub fn is_injected(pod: &Pod) -> bool {
    let labels = pod.metadata.labels.as_ref();
    let label = labels.and_then(|labels| labels.get(labels::SIDECAR)).map(String::as_str);
    label == Some(labels::INJECTED) && pod.spec.as_ref().is_some_and(|spec| find(spec).is_some())
}

/// The injected Grape of a pod.
fn find(spec: &PodSpec) -> Option<&Container> {
    spec.init_containers.iter().flatten().find(|container| is_grape(container))
}

/// Whether a container is the injected Grape of its pod, which has the label.
pub fn is_grape(container: &Container) -> bool {
    container.name == CONTAINER && container.restart_policy.as_deref() == Some(ALWAYS)
}

/// The API port of a pod's injected Grape.
pub(super) fn api_port(spec: &PodSpec) -> Option<u16> {
    let mut flags = find(spec)?.args.iter().flatten();
    flags.find_map(|flag| flag.strip_prefix(grape::API_PORT)?.parse().ok())
}

/// What decides a pod's Grape.
pub(super) struct Making<'a> {
    /// The cluster that the pod asks for.
    pub(super) selected: &'a SelectedCluster,
    /// The pod's annotations.
    pub(super) own: &'a Annotations,
    /// The Grape's ports.
    pub(super) ports: Ports,
    /// The image if neither names one.
    pub(super) grape_image: &'a str,
}

/// The Grape's container.
///
/// It has no readiness probe. A pod is ready only if its sidecars are, so a Grape that knows no
/// other one would take its service out of every Service, although the service works for callers
/// there. Whoever looks the service up in the DHT does not find it then anyway.
pub(super) fn build(
    spec: &PodSpec,
    cluster: &ValidatedCluster,
    making: &Making<'_>,
    resources: Option<ResourceRequirements>,
) -> Container {
    let of_cluster = || cluster.sidecar_image(making.grape_image);
    let image = making.own.image.clone().unwrap_or_else(of_cluster);
    // The API is for the pod alone, so it is not among the pod's ports. The operator finds the
    // Grape by the others.
    let ports = making.ports.each().into_iter().filter(|port| port.name != API);
    Container {
        name: CONTAINER.to_owned(),
        image_pull_policy: Some(image::pull_policy(&cluster.image, &image).to_owned()),
        image: Some(image),
        restart_policy: Some(ALWAYS.to_owned()),
        args: Some(flags(spec, cluster, making)),
        // The command `grape` calls this address, when people or the hook below run it in this
        // container.
        env: Some(environment(cluster, making)),
        ports: Some(ports.map(Into::into).collect()),
        // The next containers start when the Grape answers.
        startup_probe: Some(grape::startup()),
        liveness_probe: Some(grape::liveness()),
        lifecycle: Some(Lifecycle {
            // Kubernetes runs it when the pod is to end, at once and beside the hooks of the other
            // containers, and ends the Grape itself after those have ended.
            pre_stop: Some(LifecycleHandler {
                exec: Some(ExecAction {
                    command: Some(vec!["/grape".to_owned(), "drain".to_owned()]),
                }),
                ..LifecycleHandler::default()
            }),
            ..Lifecycle::default()
        }),
        resources,
        security_context: Some(security(spec)),
        termination_message_policy: Some(grape::LAST_WORDS.to_owned()),
        ..Container::default()
    }
}

fn flags(spec: &PodSpec, cluster: &ValidatedCluster, making: &Making<'_>) -> Vec<String> {
    let Making { selected, own, ports, .. } = *making;
    let mut flags = grape::flags(cluster, &selected.namespace, ports);
    flags.push("--bind=127.0.0.1".to_owned());
    let announced = own.announce.iter().map(|service| format!("--announce={service}"));
    let ready = readiness::urls(spec).into_iter().map(|url| format!("--ready-when={url}"));
    let log = own.log.iter().map(|filter| format!("--log={filter}"));
    flags.extend(announced.chain(ready).chain(log).map(|flag| grape::literal(&flag)));
    flags.push("--check-announced".to_owned());
    flags
}

fn environment(cluster: &ValidatedCluster, making: &Making<'_>) -> Vec<EnvVar> {
    let mut variables = grape::environment(cluster, &making.selected.namespace);
    if !making.own.gossip.is_empty() {
        let groups = making.own.gossip.join(",");
        variables.push(grape::variable(grape::GOSSIP, grape::literal(&groups)));
    }
    variables.push(grape::variable(GRAPE_URL, url(cluster.api.port)));
    variables
}

/// The pod's own security context is for the service. The Grape keeps the `restricted` Pod Security
/// Standard whatever the rest of its pod does.
fn security(spec: &PodSpec) -> SecurityContext {
    let pod = spec.security_context.as_ref();
    // The image's own user is nobody; a user that the pod names overrides it, and OpenShift sets
    // one for each namespace.
    let root = pod.and_then(|pod| pod.run_as_user) == Some(0);
    SecurityContext {
        run_as_non_root: Some(true),
        run_as_user: root.then_some(NOBODY),
        run_as_group: root.then_some(NOBODY),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            ..SeccompProfile::default()
        }),
        ..grape::security()
    }
}
