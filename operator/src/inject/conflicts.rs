//! Why a pod cannot have a Grape.

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

use super::annotations::{ADMIN_PORT, ANNOUNCE, Annotations, DHT_PORT};
use super::{Objection, Reason};
use crate::desired::grape::{PORT_START, Port, Ports};
use crate::desired::{container, labels};

/// By this annotation kubelet marks the mirror of a static pod.
const MIRROR: &str = "kubernetes.io/config.mirror";
/// The label of nodes with their operating system.
const OS: &str = "kubernetes.io/os";
const WINDOWS: &str = "windows";

/// Whether a pod runs on a node already, and the object only shows it.
pub(super) fn is_mirror(pod: &Pod) -> bool {
    pod.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(MIRROR))
}

/// Whether the pod's ports leave room for a Grape at these ports, of the cluster NAMESPACE/NAME.
pub(super) fn check(
    spec: &PodSpec,
    grape: Ports,
    cluster: &str,
    own: &Annotations,
) -> Result<(), Objection> {
    if spec.host_network == Some(true) {
        let problem = "spec.hostNetwork: a pod on its node's network cannot have a sidecar, whose \
             ports may be taken there";
        let remedy =
            "remove hostNetwork, or run a Grape yourself and give its address to the service";
        return Err(Objection::new(Reason::HostNetwork, problem, remedy));
    }
    let os = spec.os.as_ref().map(|os| os.name.as_str());
    let selected = spec.node_selector.as_ref().and_then(|labels| labels.get(OS));
    for (field, value) in
        [("spec.os.name", os), ("spec.nodeSelector", selected.map(String::as_str))]
    {
        if value == Some(WINDOWS) {
            let problem = format!("{field}: the pod is for Windows, and a Grape runs on Linux");
            let remedy = "run a Grape yourself and give its address to the service";
            return Err(Objection::new(Reason::Windows, problem, remedy));
        }
    }
    names(spec)?;
    port_start(spec, grape, cluster)?;
    ports(spec, grape, cluster, own)
}

fn containers(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.init_containers.iter().flatten().chain(&spec.containers)
}

fn names(spec: &PodSpec) -> Result<(), Objection> {
    let name = container::CONTAINER;
    if containers(spec).any(|container| container.name == name) {
        let problem = format!("a container has the name of the sidecar, {name:?}");
        let remedy = format!(
            "rename it; if it is a Grape, remove it, because {} injects one",
            labels::CLUSTER
        );
        return Err(Objection::new(Reason::NameTaken, problem, remedy));
    }
    Ok(())
}

/// A pod that sets which ports its processes may listen at does so on purpose.
fn port_start(spec: &PodSpec, grape: Ports, cluster: &str) -> Result<(), Objection> {
    let context = spec.security_context.as_ref();
    let mut sysctls = context.and_then(|it| it.sysctls.as_ref()).into_iter().flatten();
    let own = sysctls.find(|sysctl| sysctl.name == PORT_START);
    let (Some(own), Some(port)) = (own, grape.privileged()) else {
        return Ok(());
    };
    if own.value.trim().parse::<u16>().is_ok_and(|first| first <= port) {
        return Ok(());
    }
    let problem = format!(
        "spec.securityContext.sysctls: {} is {:?}, but the sidecar listens at port {port}",
        own.name, own.value
    );
    let mut remedy = format!("remove it, or set it to {port} or less");
    if port == grape.api {
        remedy =
            format!("{remedy}, or set spec.api.port of the GrapeCluster {cluster} to 1024 or more");
    }
    Err(Objection::new(Reason::PortForbidden, problem, remedy))
}

/// A container need not name its ports, so this finds only those that it names.
///
/// A hostPort alone is not the pod's: the node forwards what comes to its own address, and the port
/// within the pod is the containerPort.
fn ports(spec: &PodSpec, grape: Ports, cluster: &str, own: &Annotations) -> Result<(), Objection> {
    let taken = |who: String, port: &Port| {
        let Port { name, number, protocol } = port;
        let problem =
            format!("{who} uses port {number}/{protocol}, which is the sidecar's {name} port");
        let of_pod = |key: &str, field: &str| {
            format!("the annotation {key} of the pod, or {field} of the GrapeCluster {cluster}")
        };
        let setting = match *name {
            container::DHT => of_pod(DHT_PORT, "spec.injection.dhtPort"),
            container::ADMIN => of_pod(ADMIN_PORT, "spec.injection.adminPort"),
            _ => format!("spec.api.port of the GrapeCluster {cluster}"),
        };
        let remedy = format!("use another port there, or set {setting}");
        Objection::new(Reason::PortTaken, problem, remedy)
    };
    let grape = grape.each();
    for container in containers(spec) {
        for port in container.ports.iter().flatten() {
            let protocol = port.protocol.as_deref().unwrap_or("TCP");
            let same = |own: &&Port| {
                i32::from(own.number) == port.container_port && own.protocol == protocol
            };
            if let Some(own) = grape.iter().find(same) {
                return Err(taken(format!("the container {:?}", container.name), own));
            }
        }
    }
    for service in &own.announce {
        let same = |own: &&Port| own.number == service.port && own.protocol == "TCP";
        if let Some(own) = grape.iter().find(same) {
            return Err(taken(format!("annotation {ANNOUNCE}: {:?}", service.name), own));
        }
    }
    Ok(())
}

/// The resolver option for how many dots make a name absolute.
const NDOTS: &str = "ndots";

/// Settings that do not keep a Grape from running, but maybe from finding the others, whose
/// addresses are behind the name of the Service `host`.
pub(super) fn warning(spec: &PodSpec, host: &str) -> Option<String> {
    let finds = format!("the pod's Grape finds the others by the name of a Service, {host}");
    match spec.dns_policy.as_deref() {
        Some("Default") => {
            return Some(format!("spec.dnsPolicy is Default: {finds}; expected ClusterFirst"));
        }
        Some("None") => {
            return Some(format!(
                "spec.dnsPolicy is None: {finds}, which the name servers and search domains of \
                 spec.dnsConfig have to resolve; expected ClusterFirst"
            ));
        }
        _ => {}
    }
    let mut options = spec.dns_config.iter().flat_map(|config| config.options.iter().flatten());
    let ndots = options.find(|option| option.name.as_deref() == Some(NDOTS))?;
    let ndots: usize = ndots.value.as_deref()?.parse().ok()?;
    let dots = host.matches('.').count();
    // Search domains are not tried then.
    (ndots <= dots).then(|| {
        format!(
            "spec.dnsConfig has {NDOTS} {ndots}: {finds}, to which its resolver would not add the \
             cluster's domain; expected {} or more",
            dots + 1
        )
    })
}
