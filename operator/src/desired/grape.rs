//! What every Grape has on Kubernetes, in a cluster's pools and beside services: its flags, ports
//! and probes, and its rights.

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr};

use grape_cluster::limits;
use grape_cluster::quantity::QuantityText;
use grape_cluster::validate::ValidatedCluster;
use k8s_openapi::api::core::v1::{
    Capabilities, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction, ObjectFieldSelector, Probe,
    ResourceRequirements, SecurityContext, Sysctl,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::container::{ADMIN, API, DHT, DRAIN_TIMEOUT};
use super::names;

/// A port of a Grape.
pub(crate) struct Port {
    pub(crate) name: &'static str,
    pub(crate) number: u16,
    pub(crate) protocol: &'static str,
}

impl From<Port> for ContainerPort {
    fn from(port: Port) -> Self {
        Self {
            name: Some(port.name.to_owned()),
            container_port: port.number.into(),
            protocol: Some(port.protocol.to_owned()),
            ..Self::default()
        }
    }
}

/// The ports of a Grape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ports {
    /// UDP, of its DHT node.
    pub(crate) dht: u16,
    /// TCP, of its API.
    pub(crate) api: u16,
    /// TCP, of its admin pages.
    pub(crate) admin: u16,
}

impl Ports {
    /// The ports of a cluster's own Grapes.
    pub(crate) fn own(cluster: &ValidatedCluster) -> Self {
        Self { dht: cluster.dht.port, api: cluster.api.port, admin: limits::ADMIN_PORT }
    }

    /// Each of them.
    pub(crate) fn each(self) -> [Port; 3] {
        [
            Port { name: DHT, number: self.dht, protocol: "UDP" },
            Port { name: API, number: self.api, protocol: "TCP" },
            Port { name: ADMIN, number: self.admin, protocol: "TCP" },
        ]
    }

    /// The lowest of them that takes a privilege, on a node with default settings. Some container
    /// runtimes allow such ports to every pod; a Grape does not depend on that.
    pub(crate) fn privileged(self) -> Option<u16> {
        self.each().into_iter().map(|port| port.number).filter(|port| *port < UNPRIVILEGED).min()
    }
}

/// The flag of the API's port.
pub(crate) const API_PORT: &str = "--api_port=";

/// The flags of a Grape of a cluster in `namespace` with these ports. Without addresses for the API
/// and the DHT, both listen on all addresses, of IPv4 and IPv6, whichever the node has. The flags
/// refer to its [`environment`].
pub(crate) fn flags(cluster: &ValidatedCluster, namespace: &str, ports: Ports) -> Vec<String> {
    let (dht, api) = (&cluster.dht, &cluster.api);
    // The Service's name has the addresses of the other Grapes, and of a Grape itself: a Grape that
    // finds only itself there knows that it is the first.
    let own = names::endpoint(&cluster.name, namespace, dht.port);
    let bootstrap = [&own].into_iter().chain(&dht.bootstrap).map(ToString::to_string);
    // This accepts IPv4 too.
    let admin = SocketAddr::from((Ipv6Addr::UNSPECIFIED, ports.admin));
    vec![
        format!("--dht_port={}", ports.dht),
        format!("{API_PORT}{}", ports.api),
        format!("--bootstrap={}", bootstrap.collect::<Vec<_>>().join(",")),
        format!("--dht_concurrency={}", dht.concurrency),
        format!("--dht_maxTables={}", dht.max_tables),
        format!("--dht_maxValues={}", dht.max_values),
        format!("--dht_peer_maxAge={}", dht.peer_max_age.as_millis()),
        format!("--dht_nodeLiveness={}", dht.node_liveness.as_millis()),
        format!("--check_maxPayloadSize={}", api.max_payload_size),
        format!("--admin-bind={admin}"),
        "--advertise-ip=$(POD_IP)".to_owned(),
        format!("--drain-timeout={}", DRAIN_TIMEOUT.as_millis()),
        "--log-format=json".to_owned(),
    ]
}

/// The variables of such a Grape: those that its flags refer to, and settings of newer Grapes. An
/// older Grape ignores an unknown variable, and would not start with an unknown flag.
pub(crate) fn environment(cluster: &ValidatedCluster, namespace: &str) -> Vec<EnvVar> {
    let network = network(cluster, namespace).map(|name| variable(NETWORK, literal(&name)));
    let nets: Vec<_> = cluster.dht.trust_nets.iter().map(ToString::to_string).collect();
    let nets = (!nets.is_empty()).then(|| variable(TRUST_NETS, literal(&nets.join(","))));
    let pod = [of_pod("POD_IP", "status.podIP"), of_pod(POD_NAME, "metadata.name")];
    pod.into_iter().chain(network).chain(nets).collect()
}

/// The variable of the pod's name, which the members of a Grape's groups see.
const POD_NAME: &str = "GRAPE_POD_NAME";

/// The variable of the groups that a Grape joins. An older Grape ignores it.
pub(crate) const GOSSIP: &str = "GRAPE_GOSSIP";

/// The variable of the networks in which Grapes of one address are independent of each other.
const TRUST_NETS: &str = "GRAPE_TRUST_NET";

/// The variable of the network's name.
const NETWORK: &str = "GRAPE_NETWORK";

/// The network of a cluster in `namespace`. The uid is not part of it: a cluster that is deleted
/// and created again is the same network. A cluster that joins others by `spec.dht.bootstrap` has
/// no name of its own unless it sets one.
fn network(cluster: &ValidatedCluster, namespace: &str) -> Option<String> {
    let default = || format!("{namespace}.{}", cluster.name);
    let joins_others = !cluster.dht.bootstrap.is_empty();
    cluster.dht.network.clone().or_else(|| (!joins_others).then(default))
}

/// A variable with a value.
pub(crate) fn variable(name: &str, value: String) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value), ..EnvVar::default() }
}

/// A text in which Kubernetes expands nothing: it would read `$(NAME)` as a variable, and `$$` as
/// `$`.
pub(crate) fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

/// The policy by which a node keeps the end of a failed Grape's log: it has the cause.
pub(crate) const LAST_WORDS: &str = "FallbackToLogsOnError";

/// The first port that takes no privilege, by default.
const UNPRIVILEGED: u16 = 1024;
/// The setting of a pod that lowers it. It is a safe sysctl: the `restricted` Pod Security Standard
/// allows it.
pub(crate) const PORT_START: &str = "net.ipv4.ip_unprivileged_port_start";

/// The setting that allows every port.
pub(crate) fn any_port() -> Sysctl {
    Sysctl { name: PORT_START.to_owned(), value: "0".to_owned() }
}

/// A variable that the node sets, from a field of the pod.
fn of_pod(name: &str, field: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                field_path: field.to_owned(),
                ..ObjectFieldSelector::default()
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }
}

/// The startup probe. A Grape listens within milliseconds if it gets CPU; a minute is for
/// overloaded nodes.
pub(crate) fn startup() -> Probe {
    probe("/healthz", 1, 2, 60)
}

/// The readiness probe. Only it asks `/readyz`, which waits for other Grapes: killing a Grape
/// because the others are missing does not bring them back, and a Grape that restarts while the
/// others are unreachable would be killed again and again. `/healthz` is about the process alone.
pub(crate) fn readiness() -> Probe {
    // Often, because a rollout waits for it at every Grape.
    probe("/readyz", 2, 2, 3)
}

/// The probe of liveness.
pub(crate) fn liveness() -> Probe {
    probe("/healthz", 10, 5, 6)
}

fn probe(path: &str, period: i32, timeout: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(ADMIN.to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(timeout),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

/// The rights of a Grape's process: none beyond those of any process.
pub(crate) fn security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            ..Capabilities::default()
        }),
        ..SecurityContext::default()
    }
}

/// The resources of a Grape; none if nothing is set.
///
/// A limit without a request is its own request. The API server would set that once, and its value
/// would stay when the limit changes.
pub(crate) fn resources(
    requests: &BTreeMap<String, QuantityText>,
    limits: &BTreeMap<String, QuantityText>,
) -> Option<ResourceRequirements> {
    let quantities = |own: &BTreeMap<String, QuantityText>| -> BTreeMap<String, Quantity> {
        own.iter().map(|(name, quantity)| (name.clone(), quantity.into())).collect()
    };
    let limits = quantities(limits);
    let mut all = limits.clone();
    all.extend(quantities(requests));
    (!all.is_empty()).then(|| ResourceRequirements {
        requests: Some(all),
        limits: (!limits.is_empty()).then_some(limits),
        ..ResourceRequirements::default()
    })
}

/// Quantities of resources, each with its name.
pub(crate) fn quantities<const N: usize>(
    entries: [(&str, &str); N],
) -> BTreeMap<String, QuantityText> {
    entries.into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect()
}
