//! What of a pod is against a Grape in it.

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

use super::annotations::{ADMIN_PORT, ANNOUNCE, Annotations, DHT_PORT};
use super::{Objection, Reason};
use crate::desired::grape::{PORT_START, Port, Ports};
use crate::desired::{container, labels};

/// By this annotation a node says that it made the pod from a file.
const MIRROR: &str = "kubernetes.io/config.mirror";
/// The label of nodes with their operating system.
const OS: &str = "kubernetes.io/os";
const WINDOWS: &str = "windows";

/// Whether a pod is there already, on a node, and the object only shows it.
pub(super) fn is_mirror(pod: &Pod) -> bool {
    pod.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(MIRROR))
}

/// Whether there is room for a Grape at these ports, of the cluster that is called NAMESPACE/NAME.
pub(super) fn check(
    spec: &PodSpec,
    grape: Ports,
    cluster: &str,
    own: &Annotations,
) -> Result<(), Objection> {
    if spec.host_network == Some(true) {
        let problem = "spec.hostNetwork: a Grape would have its ports on the node, where another \
             pod's Grape may be";
        let remedy = "leave it out, or give the service the address of a Grape of its own";
        return Err(Objection::new(Reason::HostNetwork, problem, remedy));
    }
    let os = spec.os.as_ref().map(|os| os.name.as_str());
    let selected = spec.node_selector.as_ref().and_then(|labels| labels.get(OS));
    for (field, value) in
        [("spec.os.name", os), ("spec.nodeSelector", selected.map(String::as_str))]
    {
        if value == Some(WINDOWS) {
            let problem = format!("{field}: the pod is for Windows, and a Grape runs on Linux");
            let remedy = "give the service the address of a Grape of its own";
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
        let problem = format!("a container is called {name:?}, as its Grape is to be");
        let remedy =
            format!("rename it, or drop it if it is a Grape: {} makes one", labels::CLUSTER);
        return Err(Objection::new(Reason::NameTaken, problem, remedy));
    }
    Ok(())
}

/// A pod that says at which ports its processes may listen knows why.
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
        "spec.securityContext.sysctls: {} is {:?}, and its Grape listens at port {port}",
        own.name, own.value
    );
    let mut remedy = format!("leave it out, or let it be {port} or less");
    if port == grape.api {
        remedy =
            format!("{remedy}, or set spec.api.port of the GrapeCluster {cluster} to 1024 or more");
    }
    Err(Objection::new(Reason::PortForbidden, problem, remedy))
}

/// A container's ports may be left out, so that this finds only what is said.
///
/// A hostPort alone is none of the pod's: the node passes on what comes to its own address, and the
/// port within the pod is the containerPort.
fn ports(spec: &PodSpec, grape: Ports, cluster: &str, own: &Annotations) -> Result<(), Objection> {
    let taken = |who: String, port: &Port| {
        let Port { name, number, protocol } = port;
        let problem =
            format!("{who} is at port {number}/{protocol}, where its Grape has its {name}");
        let of_pod = |key: &str, field: &str| {
            format!("the annotation {key} of the pod, or {field} of the GrapeCluster {cluster}")
        };
        let setting = match *name {
            container::DHT => of_pod(DHT_PORT, "spec.injection.dhtPort"),
            container::ADMIN => of_pod(ADMIN_PORT, "spec.injection.adminPort"),
            _ => format!("spec.api.port of the GrapeCluster {cluster}"),
        };
        let remedy = format!("let it have another port, or set {setting}");
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

/// The option of resolvers that says how many dots make a name that is looked up as it is.
const NDOTS: &str = "ndots";

/// What does not keep a Grape from running, but perhaps from finding the others, which are behind the
/// name of the Service `host`.
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
